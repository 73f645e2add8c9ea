//! What a configuration lets pass, and no more than that.

use super::bench::{places, task};
use super::case::Is::{Differs, Same};
use super::case::Lit::{self, B, E, N, Null, T};
use super::case::{Group, NONE, Type, ty};

const TEXT: Type = ty("VARCHAR(60) CHARACTER SET utf8mb4", "varchar(60)", "VARCHAR(60)");
const CHAR: Type = ty("CHAR(8)", "char(8)", "CHAR(8)");
const INT: Type = ty("BIGINT", "bigint", "INTEGER");
const DEC: Type = ty("DECIMAL(30,4)", "numeric(30,4)", "DECIMAL(30,4)");
const DOUBLE: Type = ty("DOUBLE", "double precision", "REAL");
const WALL: Type = ty("DATETIME(6)", "timestamp", "DATETIME");
const CLOCK: Type = ty("TIME(6)", "time", "TIME");
const BYTES: Type = ty("VARBINARY(60)", "bytea", "BLOB");
const INSTANT: Type = ty("TIMESTAMP(6) NULL", "timestamptz", NONE);

const fn with(
    policy: &'static str,
    source: Type,
    copy: Type,
    rows: &'static [(Lit, Lit, super::case::Is)],
) -> Group {
    Group { about: "policy", source, copy, policy, rows }
}

pub const GROUPS: &[Group] = &[
    with(
        r#""trim": true"#,
        TEXT,
        TEXT,
        &[
            (T("a"), T(" a  "), Same),
            (T("a b"), T(" a b"), Same),
            (T("a b"), T("a  b"), Differs),
            (T("a"), T("A"), Differs),
            (T(""), T("   "), Same),
            (T(""), Null, Differs),
            (T("  "), Null, Differs),
            // Blanks are spaces: a tab or a line is a difference.
            (T("a"), T("a\t"), Differs),
            (T("a"), T("a\n"), Differs),
            (T("a"), T("a\u{a0}"), Differs),
            (Null, Null, Same),
        ],
    ),
    with(
        r#""trim": "end""#,
        TEXT,
        TEXT,
        &[
            (T("a"), T("a   "), Same),
            (T("a"), T(" a"), Differs),
            (T(" a "), T(" a"), Same),
            (T(""), T(" "), Same),
        ],
    ),
    with(r#""trim": false"#, TEXT, TEXT, &[(T("a"), T("a "), Differs), (T("a"), T("a"), Same)]),
    with(
        r#""trim": "end""#,
        TEXT,
        CHAR,
        &[(T("a  "), T("a"), Same), (T(" a"), T("a"), Differs), (T("ab"), T("a"), Differs)],
    ),
    with(
        r#""trim": true"#,
        INT,
        TEXT,
        &[(N("5"), T(" 5 "), Same), (N("5"), T(" 6 "), Differs), (N("5"), T(""), Differs)],
    ),
    with(
        r#""ignoreCase": true"#,
        TEXT,
        TEXT,
        &[
            (T("abc"), T("ABC"), Same),
            (T("École"), T("éCOLE"), Same),
            (T("Привет"), T("ПРИВЕТ"), Same),
            (T("abc"), T("abd"), Differs),
            (T("e"), T("é"), Differs),
            (T("ß"), T("ss"), Differs),
            (T("a"), T("A "), Differs),
            (T("a"), Null, Differs),
        ],
    ),
    with(
        r#""trim": true, "ignoreCase": true, "emptyIsNull": true"#,
        TEXT,
        TEXT,
        &[
            (T(" Abc"), T("aBC "), Same),
            (T("   "), Null, Same),
            (T(""), Null, Same),
            (T(""), T(" "), Same),
            (T("a"), Null, Differs),
            (T("NULL"), Null, Differs),
            (T("0"), Null, Differs),
        ],
    ),
    with(
        r#""emptyIsNull": true"#,
        TEXT,
        TEXT,
        &[
            (T(""), Null, Same),
            (T(" "), Null, Differs),
            (T(""), T(""), Same),
            (Null, Null, Same),
            (T("a"), T(""), Differs),
        ],
    ),
    with(
        r#""emptyIsNull": true"#,
        BYTES,
        BYTES,
        &[(B(""), Null, Same), (B("00"), Null, Differs), (B("20"), B(""), Differs)],
    ),
    with(r#""emptyIsNull": true"#, INT, TEXT, &[(Null, T(""), Same), (N("0"), T(""), Differs)]),
    with(
        r#""tolerance": 0.01"#,
        DEC,
        DEC,
        &[
            (N("1.00"), N("1.01"), Same),
            (N("1.01"), N("1.00"), Same),
            (N("1.00"), N("1.0101"), Differs),
            (N("-0.005"), N("0.005"), Same),
            (N("0"), Null, Differs),
            (Null, Null, Same),
        ],
    ),
    with(
        r#""tolerance": 0.01"#,
        ty("DECIMAL(30,4)", "numeric(30,4)", NONE),
        ty("DECIMAL(30,4)", "numeric(30,4)", "TEXT"),
        &[
            (T("12345678901234567890.0100"), T("12345678901234567890.0200"), Same),
            (T("12345678901234567890.0100"), T("12345678901234567890.0201"), Differs),
        ],
    ),
    with(
        r#""tolerance": "0.1%""#,
        DOUBLE,
        DOUBLE,
        &[
            (N("1000"), N("1001"), Same),
            (N("1000"), N("1002"), Differs),
            (N("-1000"), N("-999"), Same),
            (N("1e-9"), N("2e-9"), Differs),
            (N("0"), N("1e-9"), Differs),
            (N("1e300"), N("1.0005e300"), Same),
        ],
    ),
    with(
        r#""tolerance": 1"#,
        INT,
        DOUBLE,
        &[
            (N("5"), N("5.9"), Same),
            (N("5"), N("6.1"), Differs),
            (N("9007199254740993"), N("9007199254740992"), Same),
        ],
    ),
    with(
        r#""tolerance": 1e-6"#,
        ty("FLOAT", "real", NONE),
        DOUBLE,
        &[(N("0.1"), N("0.1000000014"), Same), (N("0.1"), N("0.10001"), Differs)],
    ),
    with(
        r#""tolerance": "1s""#,
        WALL,
        WALL,
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01 00:00:01"), Same),
            (T("2024-01-01 00:00:00"), T("2023-12-31 23:59:59"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01 00:00:01.000001"), Differs),
            (T("2024-01-01 00:00:00"), Null, Differs),
        ],
    ),
    with(
        r#""tolerance": "500ms""#,
        CLOCK,
        CLOCK,
        &[(T("10:00:00"), T("10:00:00.5"), Same), (T("10:00:00"), T("10:00:00.6"), Differs)],
    ),
    with(
        r#""tolerance": "1d""#,
        ty("DATE", "date", "DATE"),
        ty("DATE", "date", "DATE"),
        &[(T("2024-02-29"), T("2024-03-01"), Same), (T("2024-02-28"), T("2024-03-01"), Differs)],
    ),
    with(
        r#""tolerance": "1s""#,
        ty("DATETIME", NONE, "DATETIME"),
        ty("DATETIME", NONE, "DATETIME"),
        &[
            (T("0000-00-00 00:00:00"), T("0000-00-00 00:00:00"), Same),
            (T("0000-00-00 00:00:00"), Null, Differs),
        ],
    ),
    with(
        r#""zone": "Asia/Shanghai""#,
        INSTANT,
        WALL,
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01 08:00:00"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01 00:00:00"), Differs),
            (T("2024-01-01 00:00:00.5"), T("2024-01-01 08:00:00.5"), Same),
            (Null, T("2024-01-01 08:00:00"), Differs),
            (Null, Null, Same),
        ],
    ),
    with(
        r#""zone": "America/New_York""#,
        INSTANT,
        WALL,
        &[
            (T("2024-01-01 05:00:00"), T("2024-01-01 00:00:00"), Same),
            (T("2024-07-01 04:00:00"), T("2024-07-01 00:00:00"), Same),
            // The hour that comes twice stands for either instant.
            (T("2024-11-03 05:30:00"), T("2024-11-03 01:30:00"), Same),
            (T("2024-11-03 06:30:00"), T("2024-11-03 01:30:00"), Same),
            (T("2024-11-03 07:30:00"), T("2024-11-03 01:30:00"), Differs),
            // The hour that never comes stands for none.
            (T("2024-03-10 07:30:00"), T("2024-03-10 02:30:00"), Differs),
        ],
    ),
    with(
        r#""zone": "+08:00", "tolerance": "1s""#,
        INSTANT,
        ty("VARCHAR(60)", "varchar(60)", "TEXT"),
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01 08:00:01"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01 08:00:02"), Differs),
            // A text with a zone of its own needs none.
            (T("2024-01-01 00:00:00"), T("2024-01-01T00:00:00Z"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01T08:00:00Z"), Differs),
        ],
    ),
    with(
        r#""ignore": true"#,
        TEXT,
        INT,
        &[(T("a"), N("1"), Same), (Null, N("1"), Same), (T("1"), N("1"), Same)],
    ),
    with(r#""ignoreCase": false"#, TEXT, TEXT, &[(T("a"), T("A"), Differs)]),
    with(
        r#""ignoreCase": true"#,
        ty("JSON", "json", "JSON"),
        TEXT,
        &[(T(r#"{"a": "X"}"#), T(r#"{"A":"x"}"#), Same), (T(r#"{"a": "X"}"#), T(r#"{"A":"y"}"#), Differs)],
    ),
    with(r#""ignoreCase": true"#, BYTES, TEXT, &[(B("61"), T("a"), Same), (B("62"), T("a"), Differs)]),
    with(
        r#""tolerance": 0.5"#,
        ty("DOUBLE", "double precision", "REAL"),
        DEC,
        &[(E("1e0", "1e0", "1.0"), N("1.5"), Same), (E("1e0", "1e0", "1.0"), N("1.6"), Differs)],
    ),
];

/// Source and copy of one column, a policy that does not fit them, and what is said of it.
const UNFIT: [(Type, Type, &str, &str); 9] = [
    (INT, INT, r#""trim": true"#, "neither is text"),
    (INT, DEC, r#""ignoreCase": true"#, "neither is text"),
    (INT, INT, r#""emptyIsNull": true"#, "neither is text or bytes"),
    (TEXT, TEXT, r#""tolerance": 0.01"#, "not compared as numbers"),
    (WALL, WALL, r#""tolerance": 1"#, "not compared as numbers"),
    (INT, INT, r#""tolerance": "1s""#, "not compared as times"),
    (TEXT, TEXT, r#""tolerance": "1s""#, "not compared as times"),
    (WALL, WALL, r#""zone": "UTC""#, "an instant on one side and a wall clock"),
    (INSTANT, INSTANT, r#""zone": "UTC""#, "an instant on one side and a wall clock"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_apply_is_refused_when_opened() {
    for pair in super::pairs() {
        let Some((src, des)) = super::databases(pair).await else { continue };
        let mut tasks = serde_json::Map::new();
        for (n, (source, copy, policy, _)) in UNFIT.iter().enumerate() {
            let (Some(source), Some(copy)) = (source.on(src.engine), copy.on(des.engine)) else { continue };
            let name = format!("t{n}");
            src.run(format!("CREATE TABLE {name} (id INTEGER NOT NULL PRIMARY KEY, c {source})")).await;
            des.run(format!("CREATE TABLE {name} (id INTEGER NOT NULL PRIMARY KEY, c {copy})")).await;
            let entry = serde_json::from_str(&format!("{{ {policy} }}")).unwrap();
            let columns = [("c".to_owned(), entry)].into_iter().collect();
            tasks.insert(name.clone(), task(&src, &des, &name, "id", columns));
        }
        for task in &places(tasks).tasks {
            let at: usize = task.config.name.as_str()[1..].parse().unwrap();
            let error = task.pair(0).await.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(
                error.contains(UNFIT[at].3) && error.contains("\"c\" ("),
                "{pair:?} {:?}: {error:?}",
                UNFIT[at]
            );
        }
    }
}
