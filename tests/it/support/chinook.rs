//! The Chinook data: eleven tables of a music shop, the same rows written for each engine.

use cupid::config::Engine;

use super::db::Db;

const MYSQL: &str = include_str!("../../fixtures/chinook/Chinook_MySql.sql");
const POSTGRES: &str = include_str!("../../fixtures/chinook/Chinook_PostgreSql.sql");
const SQLITE: &str = include_str!("../../fixtures/chinook/Chinook_Sqlite.sql");

/// What a column holds, as far as planting differences needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that may be NULL.
    Nullable,
    Int,
    Decimal,
    /// A date and time without a zone.
    Wall,
}

/// One table; names as MySQL and SQLite have them, [`name`] turns them into an engine's own.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// Integer key, also the `byColumn`.
    pub key: &'static str,
    /// All other columns.
    pub columns: &'static [(&'static str, Kind)],
}

use Kind::{Decimal as D, Int as I, Nullable as N, Text as T, Wall as W};

/// The key of `PlaylistTrack` in these tests. The table itself has a key of two columns and no single integer one; as its
/// owner would, the test adds one that is computed at the source and plain at the copy.
pub const PAIR_KEY: &str = "PlaylistTrackKey";

pub const TABLES: [Table; 11] = [
    Table { name: "Album", key: "AlbumId", columns: &[("Title", T), ("ArtistId", I)] },
    Table { name: "Artist", key: "ArtistId", columns: &[("Name", N)] },
    Table {
        name: "Customer",
        key: "CustomerId",
        columns: &[
            ("FirstName", T),
            ("LastName", T),
            ("Company", N),
            ("Address", N),
            ("City", N),
            ("State", N),
            ("Country", N),
            ("PostalCode", N),
            ("Phone", N),
            ("Fax", N),
            ("Email", T),
            ("SupportRepId", I),
        ],
    },
    Table {
        name: "Employee",
        key: "EmployeeId",
        columns: &[
            ("LastName", T),
            ("FirstName", T),
            ("Title", N),
            ("ReportsTo", I),
            ("BirthDate", W),
            ("HireDate", W),
            ("Address", N),
            ("City", N),
            ("State", N),
            ("Country", N),
            ("PostalCode", N),
            ("Phone", N),
            ("Fax", N),
            ("Email", N),
        ],
    },
    Table { name: "Genre", key: "GenreId", columns: &[("Name", N)] },
    Table {
        name: "Invoice",
        key: "InvoiceId",
        columns: &[
            ("CustomerId", I),
            ("InvoiceDate", W),
            ("BillingAddress", N),
            ("BillingCity", N),
            ("BillingState", N),
            ("BillingCountry", N),
            ("BillingPostalCode", N),
            ("Total", D),
        ],
    },
    Table {
        name: "InvoiceLine",
        key: "InvoiceLineId",
        columns: &[("InvoiceId", I), ("TrackId", I), ("UnitPrice", D), ("Quantity", I)],
    },
    Table { name: "MediaType", key: "MediaTypeId", columns: &[("Name", N)] },
    Table { name: "Playlist", key: "PlaylistId", columns: &[("Name", N)] },
    Table { name: "PlaylistTrack", key: PAIR_KEY, columns: &[("PlaylistId", I), ("TrackId", I)] },
    Table {
        name: "Track",
        key: "TrackId",
        columns: &[
            ("Name", T),
            ("AlbumId", I),
            ("MediaTypeId", I),
            ("GenreId", I),
            ("Composer", N),
            ("Milliseconds", I),
            ("Bytes", I),
            ("UnitPrice", D),
        ],
    },
];

/// The name of a table or column on an engine: PostgreSQL's file writes `invoice_line` for `InvoiceLine`.
pub fn name(engine: Engine, camel: &str) -> String {
    if engine != Engine::Postgres {
        return camel.to_owned();
    }
    let mut snake = String::new();
    for c in camel.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// The same, quoted for SQL.
pub fn quoted(db: &Db, camel: &str) -> String {
    db.quote(&name(db.engine, camel))
}

/// Fills an empty database. Foreign keys are left out: the tests take rows away one by one.
pub async fn load(db: &Db) {
    // Two traps on the way to the same rows: MySQL takes a backslash in a text for an escape, and PostgreSQL takes
    // N'...' for a blank-padded type, which loses blanks at the end.
    let script = match db.engine {
        Engine::MySql => format!(
            "SET sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES');\n{}\nSET sql_mode = DEFAULT;",
            statements(MYSQL)
        ),
        Engine::Postgres => statements(POSTGRES).replace("(N'", "('").replace(", N'", ", '"),
        Engine::Sqlite => statements(SQLITE),
    };
    db.run(script).await;
    for table in &TABLES {
        let count = format!("SELECT count(*) FROM {}", quoted(db, table.name));
        assert!(db.number(count).await > 0, "{} is filled", table.name);
    }
}

/// Gives `PlaylistTrack` of a source its single key, computed by the database.
pub async fn add_computed_pair_key(db: &Db) {
    let [table, key, playlist, track] =
        ["PlaylistTrack", PAIR_KEY, "PlaylistId", "TrackId"].map(|n| quoted(db, n));
    // SQLite cannot add a stored column to a table that exists.
    let stored = if db.engine == Engine::Sqlite { "VIRTUAL" } else { "STORED" };
    db.run(format!(
        "ALTER TABLE {table} ADD COLUMN {key} BIGINT GENERATED ALWAYS AS ({playlist} * 100000 + {track}) {stored};
         CREATE UNIQUE INDEX pair_key ON {table} ({key})"
    ))
    .await;
}

/// Gives `PlaylistTrack` of a copy the same key as an ordinary column.
pub async fn add_plain_pair_key(db: &Db) {
    let [table, key, playlist, track] =
        ["PlaylistTrack", PAIR_KEY, "PlaylistId", "TrackId"].map(|n| quoted(db, n));
    db.run(format!(
        "ALTER TABLE {table} ADD COLUMN {key} BIGINT;
         UPDATE {table} SET {key} = {playlist} * 100000 + {track};
         CREATE UNIQUE INDEX pair_key ON {table} ({key})"
    ))
    .await;
}

/// The script without what makes or chooses a database, and without foreign keys added afterwards.
fn statements(script: &str) -> String {
    let mut kept = String::with_capacity(script.len());
    let mut skipping = false;
    for line in script.lines() {
        let begins = |words: &[&str]| words.iter().any(|w| line.starts_with(w));
        if begins(&["DROP DATABASE", "CREATE DATABASE", "USE ", "\\c"]) || begins(&["ALTER TABLE"]) {
            skipping = true;
        }
        if !skipping {
            kept += line;
            kept.push('\n');
        } else if line.trim_end().ends_with(';') {
            skipping = false;
        }
    }
    kept
}

/// The helper itself: every engine has the same tables with as many rows, and the single key is one.
#[tokio::test]
async fn every_engine_has_the_same_rows() {
    let mut counts = Vec::new();
    let mut texts = Vec::new();
    for engine in super::db::ENGINES {
        let Some(db) = Db::new(engine).await else { continue };
        load(&db).await;
        add_computed_pair_key(&db).await;
        let mut rows = Vec::new();
        for table in &TABLES {
            let [t, key] = [table.name, table.key].map(|n| quoted(&db, n));
            rows.push(db.number(format!("SELECT count(DISTINCT {key}) FROM {t}")).await);
        }
        counts.push(rows);
        let mut all = Vec::new();
        for table in &TABLES {
            for (column, _) in table.columns.iter().filter(|(_, k)| matches!(k, Kind::Text | Kind::Nullable))
            {
                let [t, key, column] = [table.name, table.key, column].map(|n| quoted(&db, n));
                all.extend(db.texts(format!("SELECT {column} FROM {t} ORDER BY {key}")).await);
            }
        }
        texts.push(all);
    }
    assert!(texts.iter().all(|t| *t == texts[0]), "the same texts to the last blank");
    assert_eq!(counts[0].iter().sum::<i64>(), 15_607);
    assert!(counts.iter().all(|c| *c == counts[0]), "{counts:?}");
}
