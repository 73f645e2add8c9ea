//! Every engine against every engine, on real data: what agrees is silent, what was changed is reported, exactly.

use std::collections::{BTreeMap, HashSet};

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::chinook::{self, Kind, TABLES, Table, name, quoted};
use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::receiver::{Call, Receiver};
use crate::support::state;
use crate::support::wait::LIMIT;

/// What is to be called back: (table, key) → (type, the whole source row).
type Expected = BTreeMap<(String, i64), (i64, Value)>;

macro_rules! matrix {
    ($($name:ident: $src:ident -> $des:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            compare_all_tables(Engine::$src, Engine::$des).await;
        }
    )*};
}

matrix! {
    mysql_to_mysql: MySql -> MySql;
    mysql_to_postgres: MySql -> Postgres;
    mysql_to_sqlite: MySql -> Sqlite;
    postgres_to_mysql: Postgres -> MySql;
    postgres_to_postgres: Postgres -> Postgres;
    postgres_to_sqlite: Postgres -> Sqlite;
    sqlite_to_mysql: Sqlite -> MySql;
    sqlite_to_postgres: Sqlite -> Postgres;
    sqlite_to_sqlite: Sqlite -> Sqlite;
}

async fn compare_all_tables(from: Engine, to: Engine) {
    for (src, des) in pairs(from, to).await {
        Comparison::new(src, des).await.run().await;
    }
}

/// Two databases each; several where the developer has a MySQL of their own.
async fn pairs(from: Engine, to: Engine) -> Vec<(Db, Db)> {
    let several = async |engine| match engine {
        Engine::MySql => Db::every_mysql().await,
        other => Db::new(other).await.into_iter().collect(),
    };
    let (sources, copies) = (several(from).await, several(to).await);
    if from == to {
        return sources.into_iter().zip(copies).collect();
    }
    let all = sources.iter().flat_map(|s| copies.iter().map(move |d| (s.clone(), d.clone())));
    // Each is loaded once, so a database takes part once.
    all.take(sources.len().max(copies.len())).collect()
}

struct Comparison {
    src: Db,
    des: Db,
    receiver: Receiver,
}

impl Comparison {
    async fn new(src: Db, des: Db) -> Self {
        tokio::join!(chinook::load(&src), chinook::load(&des));
        chinook::add_computed_pair_key(&src).await;
        chinook::add_plain_pair_key(&des).await;
        Self { src, des, receiver: Receiver::answering(200).await }
    }

    async fn run(self) {
        let mut site = Site::new(&self.config());

        // Equal tables. One row per table that only the source has, with the highest id, is read last: when it has
        // been called back, everything else has been compared.
        let mut expected = Expected::new();
        for table in &TABLES {
            let key = self.add_sentinel(table).await;
            self.expect(&mut expected, table, key, 1).await;
        }
        let mut daemon = site.start();
        daemon.until("the sentinels are called back", LIMIT, || self.has_all(&expected, 0)).await;
        let (status, _) = daemon.stop().await;
        assert!(status.success(), "{status}\n{}", daemon.output());
        self.check(&expected, 0);
        assert_eq!(state::deliveries(&site).await, expected.len(), "found, not only called back");
        let called = self.receiver.count();

        // Differences of every sort, in a new round from the first id on.
        for table in &TABLES {
            self.copy_sentinel(table).await;
        }
        let mut expected = Expected::new();
        for table in &TABLES {
            for (key, kind) in self.plant(table).await {
                self.expect(&mut expected, table, key, kind).await;
            }
            let key = self.add_sentinel(table).await;
            self.expect(&mut expected, table, key, 1).await;
        }
        assert!(expected.len() > 5 * TABLES.len(), "{} differences of all sorts", expected.len());
        state::forget(&site);
        site.args(&["-s", "1"]);
        let mut daemon = site.start();
        daemon.until("all differences are called back", LIMIT, || self.has_all(&expected, called)).await;
        let (status, _) = daemon.stop().await;
        assert!(status.success(), "{status}\n{}", daemon.output());
        self.check(&expected, called);
        assert_eq!(state::deliveries(&site).await, expected.len(), "found, not only called back");
    }

    /// All eleven tables in one file; the receiver's path tells them apart.
    fn config(&self) -> Value {
        let (from, to) = (self.src.engine, self.des.engine);
        let tasks: serde_json::Map<String, Value> = TABLES
            .iter()
            .map(|t| {
                let columns: serde_json::Map<String, Value> =
                    t.columns.iter().map(|(c, _)| (name(from, c), Value::from(name(to, c)))).collect();
                let mut src = json!({
                    "use": "shop", "table": name(from, t.name), "byColumn": name(from, t.key),
                    "insert": true, "insertIntervalMillisecond": 100, "update": false,
                });
                if t.key == chinook::PAIR_KEY {
                    src["id"] = name(from, t.key).into();
                }
                let des = json!([{
                    "use": "copy", "table": name(to, t.name), "byColumn": name(to, t.key), "columns": columns,
                    "callbackNotification": { "url": format!("{}/{}", self.receiver.url(), t.name) },
                }]);
                (t.name.to_owned(), json!({ "src": src, "des": des }))
            })
            .collect();
        json!({
            "workerNumber": 5, "failureJobRetrySecond": 1, "verify": false, "tasks": tasks,
            "connections": { "shop": { "dsn": self.src.url() }, "copy": { "dsn": self.des.url() } },
        })
    }

    /// A row at the source behind all others.
    async fn add_sentinel(&self, table: &Table) -> i64 {
        let [t, key] = [table.name, table.key].map(|n| quoted(&self.src, n));
        if table.key == chinook::PAIR_KEY {
            let [playlist, track] = ["PlaylistId", "TrackId"].map(|n| quoted(&self.src, n));
            let next = self.src.number(format!("SELECT max({playlist}) + 1 FROM {t}")).await;
            self.src.run(format!("INSERT INTO {t} ({playlist}, {track}) VALUES ({next}, 1)")).await;
        } else {
            let columns: Vec<String> = table.columns.iter().map(|(c, _)| quoted(&self.src, c)).collect();
            let columns = columns.join(", ");
            let last = self.src.number(format!("SELECT max({key}) FROM {t}")).await;
            self.src
                .run(format!(
                    "INSERT INTO {t} ({key}, {columns}) SELECT {last} + 1, {columns} FROM {t} WHERE {key} = {last}"
                ))
                .await;
        }
        self.src.number(format!("SELECT max({key}) FROM {t}")).await
    }

    /// Brings the sentinel to the copy.
    async fn copy_sentinel(&self, table: &Table) {
        let [t, key] = [table.name, table.key].map(|n| quoted(&self.src, n));
        let all: Vec<&str> = [table.key].into_iter().chain(table.columns.iter().map(|(c, _)| *c)).collect();
        let from: Vec<String> = all.iter().map(|c| quoted(&self.src, c)).collect();
        let to: Vec<String> = all.iter().map(|c| quoted(&self.des, c)).collect();
        let row =
            &self.src.texts(format!("SELECT {} FROM {t} ORDER BY {key} DESC LIMIT 1", from.join(", "))).await
                [0];
        let values: Vec<String> = row.iter().map(|v| self.des.literal(v.as_deref())).collect();
        let t = quoted(&self.des, table.name);
        self.des.run(format!("INSERT INTO {t} ({}) VALUES ({})", to.join(", "), values.join(", "))).await;
    }

    /// Changes the copy (for `''` against NULL also the source) and tells which keys now differ how.
    async fn plant(&self, table: &Table) -> Vec<(i64, i64)> {
        let [t, key] = [table.name, table.key].map(|n| quoted(&self.src, n));
        let (dt, dkey) = (quoted(&self.des, table.name), quoted(&self.des, table.key));
        let keys = self.src.texts(format!("SELECT {key} FROM {t} ORDER BY {key}")).await;
        let keys: Vec<i64> = keys.iter().map(|r| r[0].as_deref().unwrap().parse().unwrap()).collect();
        // Never the last one: until this round it was the sentinel.
        let keys = &keys[..keys.len() - 1];
        let mut free: Vec<i64> = keys.iter().copied().step_by(keys.len().div_ceil(9)).collect();
        let mut planted = Vec::new();

        let gone = free.remove(0);
        self.des.run(format!("DELETE FROM {dt} WHERE {dkey} = {gone}")).await;
        planted.push((gone, 1));

        let set = |(column, kind): &(&str, Kind)| {
            let c = quoted(&self.des, column);
            match kind {
                Kind::Text | Kind::Nullable => format!("{c} = 'changed'"),
                Kind::Int => format!("{c} = coalesce({c}, 0) + 100000"),
                Kind::Decimal => format!("{c} = {c} + 0.01"),
                Kind::Wall => format!("{c} = '2001-02-03 04:05:06'"),
            }
        };
        let one = free.remove(0);
        let change = set(&table.columns[table.columns.len() - 1]);
        self.des.run(format!("UPDATE {dt} SET {change} WHERE {dkey} = {one}")).await;
        planted.push((one, 2));

        if table.columns.len() > 1 {
            let several = free.remove(0);
            let changes: Vec<String> = table.columns.iter().map(set).collect();
            self.des.run(format!("UPDATE {dt} SET {} WHERE {dkey} = {several}", changes.join(", "))).await;
            planted.push((several, 2));
        }

        if let Some((column, _)) = table.columns.iter().find(|(_, k)| *k == Kind::Nullable) {
            let (c, dc) = (quoted(&self.src, column), quoted(&self.des, column));
            for (at_source, at_copy) in [("NULL", "''"), ("''", "NULL")] {
                let Some(k) = free.pop() else { continue };
                self.src.run(format!("UPDATE {t} SET {c} = {at_source} WHERE {key} = {k}")).await;
                self.des.run(format!("UPDATE {dt} SET {dc} = {at_copy} WHERE {dkey} = {k}")).await;
                planted.push((k, 2));
            }
            // And what agrees again stays silent.
            if let Some(k) = free.pop() {
                self.src.run(format!("UPDATE {t} SET {c} = NULL WHERE {key} = {k}")).await;
                self.des.run(format!("UPDATE {dt} SET {dc} = NULL WHERE {dkey} = {k}")).await;
            }
        }
        planted
    }

    async fn expect(&self, expected: &mut Expected, table: &Table, key: i64, kind: i64) {
        let [t, column] = [table.name, table.key].map(|n| quoted(&self.src, n));
        let (names, rows) = self.src.table(format!("SELECT * FROM {t} WHERE {column} = {key}")).await;
        let row: serde_json::Map<String, Value> =
            names.into_iter().zip(rows[0].iter().cloned().map(Value::from)).collect();
        let before = expected.insert((table.name.to_owned(), key), (kind, row.into()));
        assert!(before.is_none(), "{} {key} is planted once", table.name);
    }

    /// Table and key of a call.
    fn row_of(&self, call: &Call) -> (String, i64) {
        let table = call.path.rsplit('/').next().unwrap();
        let spec = TABLES.iter().find(|t| t.name == table).expect("one of the eleven");
        let key = call.src(&name(self.src.engine, spec.key)).expect("a key is not null");
        (table.to_owned(), key.parse().unwrap())
    }

    fn has_all(&self, expected: &Expected, skip: usize) -> bool {
        let seen: HashSet<_> = self.receiver.calls()[skip..].iter().map(|c| self.row_of(c)).collect();
        expected.keys().all(|row| seen.contains(row))
    }

    /// Exactly the expected calls behind the first `skip`, each once.
    fn check(&self, expected: &Expected, skip: usize) {
        let mut seen = Expected::new();
        for call in &self.receiver.calls()[skip..] {
            assert_eq!((call.method.as_str(), call.header("content-type")), ("POST", "application/json"));
            let (table, key) = self.row_of(call);
            assert_eq!(call.header("cupid-task"), table);
            let body = call.json();
            assert_eq!(body.as_object().unwrap().len(), 2, "type and srcColumn: {body}");
            let before = seen.insert((table.clone(), key), (call.kind(), body["srcColumn"].clone()));
            assert!(before.is_none(), "{table} {key} was called back twice");
        }
        let more: Vec<_> = seen.iter().filter(|(row, _)| !expected.contains_key(row)).collect();
        assert!(
            more.is_empty(),
            "{} called back without a difference: {:?}",
            more.len(),
            &more[..more.len().min(5)]
        );
        for (row, what) in expected {
            assert_eq!(seen.get(row), Some(what), "{row:?}");
        }
    }
}
