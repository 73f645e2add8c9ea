//! The two databases, and all SQL of the demo.
//!
//! The shop and its copy name their columns differently, as copies do. Both are SQLite files in WAL mode, so that
//! cupid reads beside the writers and never holds them up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row as _};

/// How long one writer waits for another.
const BUSY: Duration = Duration::from_secs(10);

/// A table of the shop and the table that copies it. Columns: key, name, note, amount, time of the last change.
#[derive(Debug)]
pub(super) struct Table {
    /// Its name in the shop; the task in the configuration has the same.
    pub(super) name: &'static str,
    /// Its name in the copy.
    pub(super) copy: &'static str,
    /// Column names in the shop and in the copy.
    pub(super) columns: [(&'static str, &'static str); 5],
}

/// Place of a table in [`TABLES`].
pub(super) type TableNo = usize;

/// All tables.
pub(super) static TABLES: [Table; 2] = [
    Table {
        name: "customer",
        copy: "crm_customer",
        columns: [
            ("id", "customer_no"),
            ("name", "full_name"),
            ("remark", "note"),
            ("credit", "credit_limit"),
            ("updated_at", "changed_at"),
        ],
    },
    Table {
        name: "orders",
        copy: "crm_order",
        columns: [
            ("id", "order_no"),
            ("article", "item"),
            ("remark", "note"),
            ("price", "amount"),
            ("updated_at", "changed_at"),
        ],
    },
];

/// A row of either side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The key.
    pub(super) id: i64,
    /// Of the customer, or of the article ordered.
    pub(super) name: String,
    /// Often empty, never NULL in the shop.
    pub(super) remark: Option<String>,
    /// In cents of whatever the shop is paid in.
    pub(super) cents: i64,
    /// `YYYY-MM-DD HH:MM:SS.mmm`, UTC; grows with every change.
    pub(super) updated_at: String,
}

impl Row {
    /// Credit or price as people write it, and as the databases hold it.
    pub(super) fn amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }
}

/// How many rows there are, and how many of them the copy shows as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// Rows in the shop, and rows that only the copy has.
    pub(super) rows: u64,
    /// Rows that are the same on both sides, in every column.
    pub(super) agree: u64,
}

impl Agreement {
    pub(super) fn is_full(self) -> bool {
        self.rows == self.agree
    }
}

/// Both databases.
#[derive(Debug)]
pub(super) struct Databases {
    shop: SqlitePool,
    copy: SqlitePool,
    /// Reads the shop with the copy attached.
    both: SqlitePool,
}

impl Databases {
    /// Makes both files, with their tables, in `folder`.
    pub(super) async fn create(folder: &Path) -> Result<Self> {
        let pool = SqlitePoolOptions::new().max_connections(1);
        let copy_file = folder.join("copy.db");
        let shop = pool.clone().connect_with(options(&folder.join("shop.db"))).await?;
        let copy = pool.clone().connect_with(options(&copy_file)).await?;
        for table in &TABLES {
            let [id, name, remark, amount, at] = table.columns;
            let t = table.name;
            shop.execute(AssertSqlSafe(format!(
                "CREATE TABLE {t} ({} INTEGER PRIMARY KEY, {} TEXT NOT NULL, {} TEXT NOT NULL, \
                 {} DECIMAL(10, 2) NOT NULL, {at} TEXT NOT NULL); CREATE INDEX {t}_{at} ON {t} ({at})",
                id.0,
                name.0,
                remark.0,
                amount.0,
                at = at.0
            )))
            .await?;
            copy.execute(AssertSqlSafe(format!(
                "CREATE TABLE {} ({} INTEGER PRIMARY KEY, {} TEXT, {} TEXT, {} DECIMAL(10, 2), {} TEXT)",
                table.copy, id.1, name.1, remark.1, amount.1, at.1
            )))
            .await?;
        }
        let attached = copy_file.to_str().context("the folder's name is not UTF-8")?.to_owned();
        let both = pool
            .after_connect(move |connection, _| {
                let attach = sqlx::query("ATTACH ? AS copy").bind(attached.clone());
                Box::pin(async move { connection.execute(attach).await.map(|_| ()) })
            })
            .connect_with(options(&folder.join("shop.db")))
            .await?;
        Ok(Self { shop, copy, both })
    }

    /// Inserts or changes rows of the shop, in one transaction.
    pub(super) async fn write_shop(&self, rows: &[(TableNo, &Row)]) -> Result<()> {
        let mut transaction = self.shop.begin().await?;
        for (table, row) in rows {
            let table = &TABLES[*table];
            upsert(table.name, table.columns.map(|c| c.0), row, &mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Inserts or changes rows of the copy, in one transaction; an older version never replaces a newer one.
    pub(super) async fn write_copy(&self, rows: &[(TableNo, &Row)]) -> Result<()> {
        let mut transaction = self.copy.begin().await?;
        for (table, row) in rows {
            let table = &TABLES[*table];
            upsert(table.copy, table.columns.map(|c| c.1), row, &mut transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Compares both sides completely.
    pub(super) async fn agreement(&self) -> Result<Agreement> {
        let mut sum = Agreement::default();
        for table in &TABLES {
            let [id, rest @ ..] = table.columns;
            let same = rest.map(|(s, c)| format!("s.{s} IS c.{c}")).join(" AND ");
            let row = self
                .both
                .fetch_one(AssertSqlSafe(format!(
                    "SELECT (SELECT count(*) FROM main.{shop}) + (SELECT count(*) FROM copy.{copy} \
                     WHERE {} NOT IN (SELECT {} FROM main.{shop})), \
                     (SELECT count(*) FROM main.{shop} s JOIN copy.{copy} c ON s.{} = c.{} WHERE {same})",
                    id.1,
                    id.0,
                    id.0,
                    id.1,
                    shop = table.name,
                    copy = table.copy
                )))
                .await?;
            sum.rows += u64::try_from(row.try_get::<i64, _>(0)?)?;
            sum.agree += u64::try_from(row.try_get::<i64, _>(1)?)?;
        }
        Ok(sum)
    }

    /// Closes both; what was in write-ahead logs goes to the files.
    pub(super) async fn close(&self) {
        for pool in [&self.both, &self.shop, &self.copy] {
            pool.close().await;
        }
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Nobody mourns a demo's last change after a power cut.
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(BUSY)
        .disable_statement_logging()
}

async fn upsert(
    table: &str,
    columns: [&str; 5],
    row: &Row,
    connection: &mut sqlx::SqliteConnection,
) -> Result<()> {
    let [id, rest @ .., at] = columns;
    let set = rest.iter().chain([&at]).map(|c| format!("{c} = excluded.{c}")).collect::<Vec<_>>().join(", ");
    let statement = format!(
        "INSERT INTO {table} ({}) VALUES (?, ?, ?, ?, ?) ON CONFLICT ({id}) DO UPDATE SET {set} \
         WHERE excluded.{at} >= {table}.{at}",
        columns.join(", ")
    );
    sqlx::query(AssertSqlSafe(statement))
        .bind(row.id)
        .bind(&row.name)
        .bind(&row.remark)
        .bind(row.amount())
        .bind(&row.updated_at)
        .execute(connection)
        .await?;
    Ok(())
}
