//! A table `user` and its copy, the shape of cupid-go's own example.

use std::ops::RangeInclusive;

use cupid::config::Engine;
use serde_json::Value;

use super::config::{copy, legacy, source, updated_source};
use super::db::Db;
use super::receiver::{Answer, Call, Receiver};
use super::servers::foreign_mysql;

/// The table of the tests; a reserved word in PostgreSQL, as users have it.
pub const TABLE: &str = "user";

const COLUMNS: [(&str, &str); 3] = [("number", "number"), ("name", "name"), ("phone", "phone")];

/// Source and copy in two databases.
#[derive(Clone)]
pub struct Pair {
    pub src: Db,
    pub des: Db,
}

impl Pair {
    /// Empty tables on the shared server of `engine`; `None` after a loud skip.
    pub async fn new(engine: Engine) -> Option<Self> {
        Some(Self::of(Db::new(engine).await?, Db::new(engine).await?).await)
    }

    /// Empty tables on every server there is for `engines`, also on a MySQL the developer has.
    pub async fn everywhere(engines: &[Engine]) -> Vec<Self> {
        let mut all = Vec::new();
        for &engine in engines {
            if engine == Engine::MySql {
                for (src, des) in Db::every_mysql().await.into_iter().zip(Db::every_mysql().await) {
                    all.push(Self::of(src, des).await);
                }
            } else {
                all.extend(Self::new(engine).await);
            }
        }
        all
    }

    /// As [`Pair::everywhere`], on the servers for tests that keep a transaction open.
    pub async fn apart(engines: &[Engine]) -> Vec<Self> {
        let mut all = Vec::new();
        for &engine in engines {
            if let (Some(src), Some(des)) = (Db::apart(engine).await, Db::apart(engine).await) {
                all.push(Self::of(src, des).await);
            }
            if let (Engine::MySql, Some(server)) = (engine, foreign_mysql()) {
                all.push(Self::of(Db::on(&server).await, Db::on(&server).await).await);
            }
        }
        all
    }

    /// Empty tables in two given databases.
    pub async fn of(src: Db, des: Db) -> Self {
        create(&src).await;
        create(&des).await;
        Self { src, des }
    }

    /// An empty copy on a given server.
    pub async fn new_copy(server: &std::sync::Arc<super::servers::Server>) -> Db {
        let db = Db::on(server).await;
        create(&db).await;
        db
    }

    /// Takes both tables away.
    pub async fn drop_tables(&self) {
        for db in [&self.src, &self.des] {
            db.run(format!("DROP TABLE {}", db.quote(TABLE))).await;
        }
    }

    /// Adds rows that agree.
    pub async fn fill(&self, ids: RangeInclusive<i64>) {
        insert(&self.src, ids.clone()).await;
        insert(&self.des, ids).await;
    }

    /// Adds rows the copy does not get.
    pub async fn fill_source(&self, ids: RangeInclusive<i64>) {
        insert(&self.src, ids).await;
    }

    /// Brings a row to the copy as [`Pair::fill`] does.
    pub async fn fill_copy(&self, id: i64) {
        insert(&self.des, id..=id).await;
    }

    /// Takes rows from the copy.
    pub async fn lose(&self, ids: &[i64]) {
        let t = self.des.quote(TABLE);
        self.des.run(format!("DELETE FROM {t} WHERE id IN ({})", list(ids))).await;
    }

    /// Changes rows of the copy.
    pub async fn spoil(&self, ids: &[i64]) {
        let t = self.des.quote(TABLE);
        self.des.run(format!("UPDATE {t} SET name = 'spoilt' WHERE id IN ({})", list(ids))).await;
    }

    /// Changes rows of the source, as an application does: the update time goes along.
    pub async fn update(&self, ids: &[i64], name: &str) {
        let t = self.src.quote(TABLE);
        let now = now(&self.src);
        self.src
            .run(format!("UPDATE {t} SET name = '{name}', update_time = {now} WHERE id IN ({})", list(ids)))
            .await;
    }

    /// The legacy configuration with only the insert feed on.
    pub fn inserts(&self, url: &str) -> Value {
        legacy(source(&self.src, TABLE, "number"), vec![self.copy(url)])
    }

    /// The legacy configuration with both feeds on.
    pub fn both_feeds(&self, url: &str) -> Value {
        legacy(updated_source(&self.src, TABLE, "number", "update_time"), vec![self.copy(url)])
    }

    /// The entry of `des`.
    pub fn copy(&self, url: &str) -> Value {
        copy(&self.des, TABLE, "number", &COLUMNS, url)
    }

    /// A receiver that brings each row it is told about to the copy.
    pub async fn repairer(&self) -> Receiver {
        let des = self.des.clone();
        Receiver::with(move |call| {
            let des = des.clone();
            async move {
                repair(&des, &call).await;
                Answer::Status(200)
            }
        })
        .await
    }

    /// The body of a callback about a row, as the documentation says.
    pub async fn body(&self, id: i64, kind: i64) -> Value {
        let t = self.src.quote(TABLE);
        let (names, rows) = self.src.table(format!("SELECT * FROM {t} WHERE id = {id}")).await;
        let row: serde_json::Map<String, Value> =
            names.into_iter().zip(rows[0].iter().cloned().map(Value::from)).collect();
        serde_json::json!({ "type": kind, "srcColumn": row })
    }

    /// Ids whose rows do not agree in the compared columns, with the sides' own answers.
    pub async fn differences(&self) -> Vec<i64> {
        let sql = |db: &Db| format!("SELECT id, number, name, phone FROM {} ORDER BY id", db.quote(TABLE));
        let (a, b) = tokio::join!(self.src.texts(sql(&self.src)), self.des.texts(sql(&self.des)));
        let b: std::collections::HashSet<_> = b.into_iter().collect();
        a.iter()
            .filter(|row| !b.contains(*row))
            .map(|row| row[0].as_deref().unwrap().parse().unwrap())
            .collect()
    }
}

/// The source's id in a call about `user`.
pub fn id_of(call: &Call) -> i64 {
    call.src("id").expect("a key is not null").parse().expect("a number")
}

/// Ids of all calls, sorted, doubles kept.
pub fn ids_of(calls: &[Call]) -> Vec<i64> {
    let mut ids: Vec<i64> = calls.iter().map(id_of).collect();
    ids.sort_unstable();
    ids
}

/// Writes the row of a call to the copy. Each side has an update time of its own, in its engine's notation.
pub async fn repair(des: &Db, call: &Call) {
    repair_row(des, &call.json()["srcColumn"]).await;
}

/// The same for a row as a body has it.
pub async fn repair_row(des: &Db, row: &Value) {
    let value = |column: &str| des.literal(row[column].as_str());
    let columns = ["id", "number", "name", "phone"];
    let values: Vec<String> = columns.iter().map(|c| value(c)).collect();
    let (t, names, values) = (des.quote(TABLE), columns.join(", "), values.join(", "));
    let sql = match des.engine {
        Engine::MySql => format!("REPLACE INTO {t} ({names}) VALUES ({values})"),
        _ => format!(
            "INSERT INTO {t} ({names}) VALUES ({values}) ON CONFLICT (id) DO UPDATE SET number = excluded.number, \
             name = excluded.name, phone = excluded.phone"
        ),
    };
    des.run(sql).await;
}

/// The database's own now in the form of `update_time`.
pub fn now(db: &Db) -> &'static str {
    if db.engine == Engine::Sqlite { "datetime('now')" } else { "CURRENT_TIMESTAMP" }
}

async fn create(db: &Db) {
    let t = db.quote(TABLE);
    let time = match db.engine {
        Engine::MySql => "DATETIME DEFAULT CURRENT_TIMESTAMP",
        Engine::Postgres => "TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP",
        Engine::Sqlite => "TEXT DEFAULT CURRENT_TIMESTAMP",
    };
    db.run(format!(
        "CREATE TABLE {t} (id INTEGER NOT NULL PRIMARY KEY, number VARCHAR(40) NOT NULL, name VARCHAR(60),
                           phone VARCHAR(30), update_time {time});
         CREATE UNIQUE INDEX user_number ON {t} (number);
         CREATE INDEX user_time ON {t} (update_time)"
    ))
    .await;
}

async fn insert(db: &Db, ids: RangeInclusive<i64>) {
    let t = db.quote(TABLE);
    let ids: Vec<i64> = ids.collect();
    for chunk in ids.chunks(2000) {
        let rows: Vec<String> =
            chunk.iter().map(|id| format!("({id}, 'n{id}', 'name {id}', '+86 {id}')")).collect();
        db.run(format!("INSERT INTO {t} (id, number, name, phone) VALUES {}", rows.join(", "))).await;
    }
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
