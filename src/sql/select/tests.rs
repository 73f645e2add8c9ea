use super::super::catalog::Detail;
use super::*;
use crate::model::{Class, Column};

/// A table with quotes in its name.
pub(in crate::sql) fn table(engine: Engine) -> Table {
    let column = |name: &str, class, declared: &str| Column {
        name: name.into(),
        class,
        declared: declared.into(),
        nullable: true,
    };
    let detail = |read, as_text, key: &str| Detail { read, as_text, utf8: key == "?", key: key.to_owned() };
    let details = match engine {
        Engine::MySql => vec![
            detail(Read::Int, false, "?"),
            detail(Read::Text, false, "CONVERT(? USING latin1) COLLATE latin1_swedish_ci"),
            detail(Read::DateTime(3), false, "?"),
        ],
        Engine::Postgres => vec![
            detail(Read::Int, false, "?"),
            detail(Read::Text, false, "?"),
            detail(Read::Text, true, "?::text[]::pg_catalog.timestamptz[]"),
        ],
        Engine::Sqlite => vec![detail(Read::Dynamic, false, "?"); 3],
    };
    Table {
        engine,
        schema: (engine != Engine::Sqlite).then(|| "shop".to_owned()),
        name: "or\"de`r".to_owned(),
        view: false,
        columns: vec![
            column("id", Class::Int, "int"),
            column("name", Class::Text, "varchar(20)"),
            column("at", Class::Instant, "timestamp"),
        ],
        details,
        primary_key: vec![0],
        indexes: Vec::new(),
        identity: String::new(),
        incarnation: String::new(),
        untold: Vec::new(),
    }
}

fn sql(statement: &Statement) -> &str {
    &statement.sql
}

#[test]
fn pages() {
    let bounds = [Bound::After(2), Bound::UpTo(2)];
    let cases = [
        (
            Engine::MySql,
            "SELECT `id`, `at` FROM `shop`.`or\"de``r` WHERE `at` > ? AND `at` <= ? ORDER BY `at`, `id` LIMIT ?",
        ),
        (
            Engine::Postgres,
            "SELECT \"id\", \"at\"::text FROM \"shop\".\"or\"\"de`r\" WHERE \"at\" > $1::text::pg_catalog.timestamptz \
             AND \"at\" <= $2::text::pg_catalog.timestamptz ORDER BY \"or\"\"de`r\".\"at\", \"id\" LIMIT $3",
        ),
        (
            Engine::Sqlite,
            "SELECT `id`, `at` FROM `or\"de``r` WHERE `at` > ? AND `at` <= ? ORDER BY `at`, `id` LIMIT ?",
        ),
    ];
    for (engine, wanted) in cases {
        assert_eq!(sql(&page(&table(engine), &[0, 2], &bounds, &[2, 0])), wanted);
    }
    let first = page(&table(Engine::Sqlite), &[0], &[Bound::From(0)], &[0]);
    assert_eq!(sql(&first), "SELECT `id` FROM `or\"de``r` WHERE `id` >= ? ORDER BY `id` LIMIT ?");
    let same = page(&table(Engine::MySql), &[0], &[Bound::Equal(2), Bound::After(0)], &[0]);
    assert_eq!(
        sql(&same),
        "SELECT `id` FROM `shop`.`or\"de``r` WHERE `at` = ? AND `id` > ? ORDER BY `id` LIMIT ?"
    );
    assert_eq!(&*page(&table(Engine::MySql), &[2, 0], &[], &[]).reads, [Read::DateTime(3), Read::Int]);
}

#[test]
fn look_ups() {
    let lookup = |engine, key, size| by_key(&table(engine), &[0, 1], key, size).sql;
    assert_eq!(
        &*lookup(Engine::MySql, 1, 2),
        "SELECT `id`, `name` FROM `shop`.`or\"de``r` WHERE `name` IN \
         (CONVERT(? USING latin1) COLLATE latin1_swedish_ci, CONVERT(? USING latin1) COLLATE latin1_swedish_ci)"
    );
    assert_eq!(
        &*lookup(Engine::Postgres, 2, 100),
        "SELECT \"id\", \"name\" FROM \"shop\".\"or\"\"de`r\" WHERE \"at\" = ANY($1::text[]::pg_catalog.timestamptz[])"
    );
    assert_eq!(
        &*lookup(Engine::Postgres, 0, 1000),
        "SELECT \"id\", \"name\" FROM \"shop\".\"or\"\"de`r\" WHERE \"id\" = ANY($1)"
    );
    assert_eq!(
        &*lookup(Engine::Sqlite, 0, 3),
        "SELECT `id`, `name` FROM `or\"de``r` WHERE `id` IN (?, ?, ?)"
    );
}

#[test]
fn extremes() {
    assert_eq!(
        sql(&extreme(&table(Engine::Postgres), 2, true)),
        "SELECT \"at\"::text FROM \"shop\".\"or\"\"de`r\" WHERE \"at\" IS NOT NULL ORDER BY \"or\"\"de`r\".\"at\" DESC LIMIT 1"
    );
    assert_eq!(
        sql(&extreme(&table(Engine::MySql), 0, false)),
        "SELECT `id` FROM `shop`.`or\"de``r` WHERE `id` IS NOT NULL ORDER BY `id` LIMIT 1"
    );
}

#[test]
fn list_sizes() {
    for (keys, size) in [(1, 1), (2, 10), (10, 10), (11, 100), (100, 100), (101, 1000), (1000, 1000)] {
        assert_eq!(SIZES[size_for(keys)], size, "{keys}");
    }
}
