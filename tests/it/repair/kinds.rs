//! Every kind of value, on every engine: repaired, and taken back byte for byte.

use cupid::config::Engine;

use super::{Repair, dump, results};
use crate::support::db::{Db, ENGINES};

/// Columns of an engine, and rows of the source and of the copy.
fn wide(engine: Engine) -> (&'static str, Vec<&'static str>, [Vec<&'static str>; 2]) {
    match engine {
        Engine::MySql => (
            "a INT, b VARCHAR(20), n BIGINT UNSIGNED, d DECIMAL(30,10), f FLOAT, g DOUBLE, t TEXT, c CHAR(5), \
             l VARCHAR(50) CHARACTER SET latin1, x VARBINARY(50), bl LONGBLOB, bi BIT(9), da DATE, dt DATETIME(6), \
             ti TIMESTAMP(3) NULL, tm TIME(2), y YEAR, e ENUM('one','two'), s SET('p','q'), j JSON, PRIMARY KEY (a, b)",
            vec![
                "a", "b", "n", "d", "f", "g", "t", "c", "l", "x", "bl", "bi", "da", "dt", "ti", "tm", "y",
                "e", "s", "j",
            ],
            [
                vec![
                    "1, 'k', 18446744073709551615, 12345678901234567890.0123456789, 0.1, 1e300, 'it''s\\n--\\0\\\\', 'ab', 'é', X'00ff27', X'', b'100000001', '0000-00-00', '2024-02-29 23:59:59.123456', '2024-01-01 00:00:00.123', '-838:59:58.99', 1999, 'two', 'p,q', '{\"a\": 1.50}'",
                    "2, 'K', 0, -0.5, -0.0, 0.30000000000000004, '😀', '', 'ÿ', X'5c', X'0a0d', b'0', '2024-00-00', '0000-00-00 00:00:00', NULL, '00:00:01', 0, 'one', '', '[]'",
                    "3, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
                ],
                vec![
                    "1, 'k', 1, 1.5, 0.2, 2e300, 'It''s', 'AB', 'e', X'0000', X'ff', b'1', '2024-01-01', '2024-02-29 23:59:59.123457', '2024-01-01 00:00:00.124', '00:00:00', 0, 'one', 'q', '{\"a\": 2}'",
                    "3, '', 5, 0.1, 0.1, 0.1, 'a\\\\b\\n', 'x', 'ä', X'00', X'00ff', b'11', '0000-00-00', '2024-01-01 01:01:01.000001', '2024-01-01 00:00:00', '12:00:00.5', 2024, 'two', 'p', '{\"b\": [1, null]}'",
                    "4, 'extra', 9223372036854775808, 0.0000000001, 3.14, 2.718281828459045, '\\'\\0\\Z', 'z', 'ü', X'27', X'2d2d0a', b'111111111', '2024-02-31', '1999-12-31 23:59:59.999999', NULL, '-00:00:01', 2155, NULL, 'p,q', 'null'",
                ],
            ],
        ),
        Engine::Postgres => (
            "a INT, b VARCHAR(20), n NUMERIC, d NUMERIC(30,10), f REAL, g DOUBLE PRECISION, t TEXT, c CHAR(5), x BYTEA, \
             bo BOOLEAN, bi BIT(9), vb VARBIT, da DATE, ts TIMESTAMP, tz TIMESTAMPTZ, tm TIME, iv INTERVAL, j JSON, \
             jb JSONB, u UUID, ar TEXT[], ip INET, mo MONEY, rg INT4RANGE, sm SMALLINT, PRIMARY KEY (a, b)",
            vec![
                "a", "b", "n", "d", "f", "g", "t", "c", "x", "bo", "bi", "vb", "da", "ts", "tz", "tm", "iv",
                "j", "jb", "u", "ar", "ip", "mo", "rg", "sm",
            ],
            [
                vec![
                    r#"1, 'k', 1.50, 12345678901234567890.0123456789, 0.1, 1e300, E'it''s\n--\\ \u2028', 'ab', '\x00ff27', true, B'100000001', B'', '0044-03-15 BC', 'infinity', '2024-02-29 23:59:59.123456+05:30', '23:59:59.999999', '1 year 2 days -00:00:01', '{"a": 1.50,  "a":2}', '{"a": 1.50}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', ARRAY['x"y', NULL, E'\n'], '10.0.0.1', '-12.34', '[1,5)', -32768"#,
                    "2, 'K', 'NaN', 0, '-0', 'NaN', '😀', '', '', false, B'000000000', B'1', '2024-02-29', '2024-02-29 00:00:00', '-infinity', '00:00:00', '0', '[]', '[]', NULL, '{}', '10.0.0.0/8', '0', 'empty', 0",
                    "3, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
                ],
                vec![
                    r#"1, 'k', 1.51, 1.5, 0.2, 2e300, 'It''s', 'AB', '\x0000', false, B'000000001', B'0', '2024-03-15', '2024-01-01', '2024-02-29 23:59:59.123457+05:30', '00:00:00', '1 year', '{"b":1}', '{"b": 1}', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', ARRAY['x'], '10.0.0.2', '1', '[1,6)', 1"#,
                    r#"3, '', 5.00, 0.1, 0.1, 0.1, E'a\\b\n', 'x', '\x00', true, B'000000011', B'0101', '2024-01-01', '2024-01-01 01:01:01.000001', '2024-01-01', '12:00:00.5', '1 mon', '{"b":  [1, null]}', '{"b": [1]}', 'b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{}', '::1', '2', '(,3)', 2"#,
                    r#"4, 'extra', 0.000000000100, 0.0000000001, 3.14, 'Infinity', E'\'\t', 'z', '\x2d2d0a', NULL, B'111111111', B'111', '5874897-12-31', '1999-12-31 23:59:59.999999', '2000-01-01', '12:00:00', '-3 days', 'null', '1.10', NULL, NULL, '::/0', '3', NULL, NULL"#,
                ],
            ],
        ),
        Engine::Sqlite => (
            "a INTEGER, b TEXT COLLATE NOCASE, n INTEGER, d DECIMAL(30,10), f REAL, t TEXT, x BLOB, w, dt DATETIME, j JSON, \
             PRIMARY KEY (a, b)",
            vec!["a", "b", "n", "d", "f", "t", "x", "w", "dt", "j"],
            [
                vec![
                    "1, 'k', 9223372036854775807, 1.5, 0.1, 'it''s' || char(10) || '--' || char(0), X'00ff27', '7', '2024-02-29 23:59:59', '{\"a\": 1}'",
                    "2, 'x', -1, '12345678901234567890.5', -0.0, '😀', X'', 7, NULL, '[]'",
                    "3, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
                ],
                vec![
                    "1, 'k', 1, 1.25, 0.2, 'It''s', X'00', 8, '2024-02-29 23:59:58', '{\"a\": 2}'",
                    "3, '', 'abc', 'x', 1e300, 'a\\b' || char(13), X'0a', X'37', 'never', 'null'",
                    "4, 'extra', 1.5, 9e999, -9e999, char(0), X'27', 0.30000000000000004, 5, 'x'",
                ],
            ],
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_value_is_repaired_and_taken_back() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let (table, columns, rows) = wide(engine);
        for (db, rows) in [&src, &des].into_iter().zip(&rows) {
            db.run(format!("CREATE TABLE t ({table})")).await;
            let mode = if engine == Engine::MySql { "SET sql_mode='ALLOW_INVALID_DATES'; " } else { "" };
            for row in rows {
                db.run(format!("{mode}INSERT INTO t VALUES ({row})")).await;
            }
        }
        let (wanted, before) = (dump(&src, "t", &columns).await, dump(&des, "t", &columns).await);
        let r = Repair::new(&src, &des, "t");
        let planned = r.plan(&[]);
        assert!(planned.stderr.contains("plan: 4 rows"), "{engine}: {planned:?}");
        let (rows, _, ran) = r.repair(&["--delete"]);
        assert_eq!(ran.code, Some(0), "{engine}: {rows:#?} {ran:?}");
        assert_eq!(dump(&des, "t", &columns).await, wanted, "{engine}");
        assert_eq!(r.diff(&[]).code, Some(0), "{engine}");
        let back = r.run("plan.undo.sql", &[]);
        assert_eq!(back.code, Some(0), "{engine}: {back:?}");
        assert_eq!(dump(&des, "t", &columns).await, before, "{engine}");

        // What stands in the plan for people does the same.
        let plan = r.text("plan.sql").replace("-- with --delete: ", "");
        des.run(format!(
            "{}{plan}",
            if engine == Engine::MySql {
                "SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES';\n"
            } else {
                ""
            }
        ))
        .await;
        assert_eq!(r.diff(&[]).code, Some(0), "{engine}: the statements as they stand");
        let undo: String = r.text("plan.sql").lines().filter_map(|line| line.strip_prefix("-- undo: ")).fold(
            if engine == Engine::MySql {
                "SET time_zone='+00:00', sql_mode='ALLOW_INVALID_DATES';\n"
            } else {
                ""
            }
            .to_owned(),
            |all, line| all + line + "\n",
        );
        des.run(undo).await;
        assert_eq!(dump(&des, "t", &columns).await, before, "{engine}: the reverse statements as they stand");
    }
}

/// Values between engines, where the copy's type is another one; what it cannot hold is not planned, or refused by the look
/// behind the write, and nothing is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_copy_cannot_hold_is_refused_and_never_cut_off() {
    let (Some(src), Some(des)) = (Db::new(Engine::Sqlite).await, Db::new(Engine::Postgres).await) else {
        return;
    };
    src.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, d DECIMAL, da TEXT, n INTEGER)").await;
    des.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(5), d NUMERIC(6,2), da DATE, n SMALLINT)")
        .await;
    src.run(
        "INSERT INTO t VALUES (1, 'short', 1.25, '2024-02-29', 5), (2, 'longer', 1, NULL, 1), (3, 'a' || char(0), 1, NULL, 1), \
         (4, 'x', 1.125, NULL, 1), (5, 'x', 1, '0000-00-00', 1), (6, 'x', 1, NULL, 40000), (7, 'blank    ', 1, NULL, 1)",
    )
    .await;
    let r = Repair::new(&src, &des, "t");
    let planned = r.plan(&[]);
    assert!(planned.stderr.contains("2 differences are not in the plan"), "{planned:?}");
    for why in ["v cannot hold a text with a NUL", "da cannot hold this value exactly (date)"] {
        assert!(planned.stderr.contains(why), "{why:?} in {planned:?}");
    }
    let (rows, stats, ran) = r.repair(&[]);
    assert_eq!((ran.code, &stats["inserted"]), (Some(1), &1.into()), "{rows:?}");
    assert_eq!(
        results(&rows, "id"),
        ["refused insert 2", "refused insert 4", "refused insert 6", "refused insert 7"],
        "{rows:?}"
    );
    assert_eq!(des.texts("SELECT id FROM t").await, [[Some("1".to_owned())]]);
    let cut = rows.iter().find(|row| row["key"]["id"] == "7").unwrap()["reason"].as_str().unwrap();
    assert!(cut.contains("v was stored as another value"), "{cut}");

    // The other way round everything fits.
    let r = Repair::new(&des, &src, "t");
    r.plan(&[]);
    let (rows, _, ran) = r.repair(&["--delete"]);
    assert_eq!((ran.code, rows.len()), (Some(0), 0), "{ran:?}");
}

/// Keys that are text of several columns; one of them the copy takes for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_copy_takes_for_others() {
    let (Some(src), Some(des)) = (Db::new(Engine::Postgres).await, Db::new(Engine::MySql).await) else {
        return;
    };
    src.run("CREATE TABLE t (a VARCHAR(20), b NUMERIC(10,2), v VARCHAR(20), PRIMARY KEY (a, b))").await;
    des.run(
        "CREATE TABLE t (a VARCHAR(20) COLLATE utf8mb4_general_ci, b DECIMAL(10,2), v VARCHAR(20), PRIMARY KEY (a, b))",
    )
    .await;
    src.run("INSERT INTO t VALUES ('k', 1.50, 'x'), ('K', 1.50, 'y'), ('é', 2, 'z'), ('n''', 3, 'n')").await;
    des.run("INSERT INTO t VALUES ('k', 1.5, 'old'), ('E', 2, 'other')").await;
    let r = Repair::new(&src, &des, "t");
    r.plan(&[]);
    let (rows, stats, ran) = r.repair(&[]);
    assert_eq!(
        (ran.code, &stats["updated"], &stats["inserted"]),
        (Some(1), &1.into(), &1.into()),
        "{rows:?}"
    );
    assert_eq!(results(&rows, "a"), ["left delete E", "refused insert K", "refused insert é"], "{rows:?}");
    assert_eq!(
        des.texts("SELECT a, v FROM t ORDER BY v").await,
        [["n'", "n"], ["E", "other"], ["k", "x"]].map(|row| row.map(|v| Some(v.to_owned())))
    );
    let (rows, _, _) = r.repair(&["--delete"]);
    assert_eq!(results(&rows, "a"), ["refused insert K"], "{rows:?}");
}

/// Ten megabytes in one value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_are_repaired_and_taken_back() {
    for engine in ENGINES {
        let (Some(src), Some(des)) = (Db::new(engine).await, Db::new(engine).await) else { continue };
        let kind = match engine {
            Engine::MySql => "LONGTEXT",
            _ => "TEXT",
        };
        let large = |letter: &str| match engine {
            Engine::Sqlite => format!("replace(hex(zeroblob(5000000)), '0', '{letter}')"),
            _ => format!("repeat('{letter}', 10000000)"),
        };
        for (db, letter) in [(&src, "a"), (&des, "b")] {
            db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v {kind})")).await;
            db.run(format!("INSERT INTO t VALUES (1, {}), (2, 'x')", large(letter))).await;
        }
        des.run("DELETE FROM t WHERE id = 2").await;
        let r = Repair::new(&src, &des, "t");
        r.plan(&[]);
        assert!(r.text("plan.sql").contains("too many to be written as a statement"));
        let ran = r.run("plan.sql", &[]);
        assert_eq!(ran.code, Some(0), "{engine}: {}", ran.all());
        assert_eq!(r.diff(&[]).code, Some(0), "{engine}");
        let back = r.run("plan.undo.sql", &[]);
        assert_eq!(back.code, Some(0), "{engine}: {}", back.all());
        assert_eq!(
            des.number(format!("SELECT COUNT(*) FROM t WHERE v = {}", large("b"))).await,
            1,
            "{engine}"
        );
    }
}
