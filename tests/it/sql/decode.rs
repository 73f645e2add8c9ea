//! Every type as the server stores it arrives exactly.

use cupid::config::Engine;
use cupid::model::{Class, Value};

use super::{Db, only_row, open, source_config, text};

/// Makes a table of the given (type, literal) pairs and compares what arrives with what is wanted.
async fn corpus(db: &Db, id_type: &str, cases: &[(&str, &str, Class, Value)]) {
    let columns: Vec<String> = cases.iter().enumerate().map(|(i, case)| format!("c{i} {}", case.0)).collect();
    let literals: Vec<&str> = cases.iter().map(|case| case.1).collect();
    db.run(format!("CREATE TABLE corpus (id {id_type} PRIMARY KEY, {})", columns.join(", "))).await;
    db.run(format!("INSERT INTO corpus VALUES (1, {})", literals.join(", "))).await;
    db.run("INSERT INTO corpus (id) VALUES (2)").await;
    let source = open(&source_config(db, "corpus", "id"), &[], db).await.unwrap();
    let row = only_row(&*source).await;
    for (i, (kind, literal, class, wanted)) in cases.iter().enumerate() {
        let column = &source.columns()[i + 1];
        assert_eq!(column.class, *class, "class of {kind} (declared {})", column.declared);
        let (got, wanted) = (&row[i + 1], wanted);
        let same = match (got, wanted) {
            (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
            (Value::F32(a), Value::F32(b)) => a.to_bits() == b.to_bits(),
            _ => got == wanted,
        };
        assert!(same, "{kind} {literal}: {got:?}, wanted {wanted:?}");
    }
    let nulls = source.fetch_some(&[cupid::model::RowId(2)]).await.unwrap().rows;
    assert!(nulls[0].values[1..].iter().all(Value::is_null), "{nulls:?}");
}

fn bytes(b: &[u8]) -> Value {
    Value::Bytes(b.into())
}

#[tokio::test]
async fn mysql_types() {
    use Class::{Bit, Bytes, Date, DateTime, Decimal, F32, F64, Instant, Int, Text, Time};
    for db in Db::every_mysql().await {
        db.run("SET GLOBAL sql_mode = ''").await;
        let cases = [
            ("TINYINT", "-128", Int, Value::Int(-128)),
            ("TINYINT UNSIGNED", "255", Int, Value::Int(255)),
            ("TINYINT(1)", "2", Int, Value::Int(2)),
            ("BOOLEAN", "TRUE", Int, Value::Int(1)),
            ("SMALLINT", "-32768", Int, Value::Int(-32768)),
            ("MEDIUMINT", "-8388608", Int, Value::Int(-8_388_608)),
            ("MEDIUMINT UNSIGNED", "16777215", Int, Value::Int(16_777_215)),
            ("INT UNSIGNED", "4294967295", Int, Value::Int(4_294_967_295)),
            ("BIGINT", "-9223372036854775808", Int, Value::Int(i64::MIN)),
            ("BIGINT UNSIGNED", "18446744073709551615", Int, Value::UInt(u64::MAX)),
            ("INT(5) ZEROFILL", "7", Int, Value::Int(7)),
            ("YEAR", "2024", Int, Value::Int(2024)),
            (
                "DECIMAL(65,30)",
                "-12345678901234567890123456789012345.000000000000000000000000000001",
                Decimal,
                text("-12345678901234567890123456789012345.000000000000000000000000000001"),
            ),
            ("DECIMAL(10,2)", "1.5", Decimal, text("1.50")),
            ("FLOAT", "0.1", F32, Value::F32(0.1)),
            ("DOUBLE", "0.1", F64, Value::F64(0.1)),
            ("CHAR(5)", "'ab  '", Text, text("ab")),
            ("VARCHAR(20)", "'ab  '", Text, text("ab  ")),
            ("VARCHAR(20) CHARACTER SET latin1", "'é'", Text, text("é")),
            ("VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "'😀\\'\"'", Text, text("😀'\"")),
            ("LONGTEXT", "''", Text, text("")),
            ("ENUM('a','ü')", "'ü'", Text, text("ü")),
            ("SET('x','y','z')", "'z,x'", Text, text("x,z")),
            ("BINARY(4)", "x'61'", Bytes, bytes(b"a\0\0\0")),
            ("VARBINARY(4)", "x'00ff'", Bytes, bytes(&[0, 255])),
            ("BLOB", "x''", Bytes, bytes(&[])),
            ("BIT(1)", "b'1'", Bit, bytes(&[1])),
            ("BIT(64)", "b'1000000000000000000000000000000000000000000000000000000000000001'", Bit, {
                bytes(&[0x80, 0, 0, 0, 0, 0, 0, 1])
            }),
            ("DATE", "'2024-02-29'", Date, text("2024-02-29")),
            ("DATE", "'0000-00-00'", Date, text("0000-00-00")),
            ("DATE", "'2024-00-00'", Date, text("2024-00-00")),
            ("TIME", "'-838:59:59'", Time, text("-838:59:59")),
            ("TIME(6)", "'00:00:00.000001'", Time, text("00:00:00.000001")),
            ("DATETIME", "'0000-00-00 00:00:00'", DateTime, text("0000-00-00 00:00:00")),
            ("DATETIME", "'9999-12-31 23:59:59'", DateTime, text("9999-12-31 23:59:59")),
            ("DATETIME(3)", "'2024-01-01 00:00:00'", DateTime, text("2024-01-01 00:00:00.000")),
            ("DATETIME(6)", "'2024-01-01 10:20:30.123456'", DateTime, text("2024-01-01 10:20:30.123456")),
            ("TIMESTAMP(2) NULL", "FROM_UNIXTIME(1700000000.25)", Instant, text("2023-11-14 22:13:20.25")),
            ("TIMESTAMP NULL", "0", Instant, text("0000-00-00 00:00:00")),
        ];
        corpus(&db, "INT", &cases).await;
    }
}

/// What only MariaDB has.
#[tokio::test]
async fn mariadb_types() {
    use super::super::support::servers;
    let Some(server) = servers::mysql().await else { return };
    let db = Db::on(&server).await;
    let uuid = "6ccd780c-baba-1026-9564-5b8c656024db";
    let cases = [
        ("JSON", r#"'{"b": 1, "a": [1.10]}'"#, Class::Json, text(r#"{"b": 1, "a": [1.10]}"#)),
        ("UUID", &*format!("'{uuid}'"), Class::Uuid, text(uuid)),
        ("INET6", "'2001:db8::ff00:42:8329'", Class::Other, text("2001:db8::ff00:42:8329")),
    ];
    corpus(&db, "BIGINT UNSIGNED", &cases).await;
}

#[tokio::test]
async fn postgres_types() {
    use Class::{
        Bit, Bool, Bytes, Date, DateTime, Decimal, F32, F64, Instant, Int, Json, Other, Text, Time, Uuid,
    };
    let Some(db) = Db::new(Engine::Postgres).await else { return };
    db.run("CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE DOMAIN inner_d AS int4; CREATE DOMAIN outer_d AS inner_d CHECK (VALUE > 0)").await;
    let cases = [
        ("smallint", "-32768", Int, Value::Int(-32768)),
        ("int", "-2147483648", Int, Value::Int(-2_147_483_648)),
        ("bigint", "9223372036854775807", Int, Value::Int(i64::MAX)),
        ("oid", "4294967295", Int, Value::Int(4_294_967_295)),
        ("outer_d", "7", Int, Value::Int(7)),
        ("bool", "true", Bool, Value::Bool(true)),
        ("numeric", "1.500", Decimal, text("1.500")),
        ("numeric(30,4)", "12345678901234.5", Decimal, text("12345678901234.5000")),
        ("numeric", "'NaN'", Decimal, text("NaN")),
        ("numeric", "'-Infinity'", Decimal, text("-Infinity")),
        ("real", "0.1", F32, Value::F32(0.1)),
        ("double precision", "0.30000000000000004", F64, Value::F64(0.300_000_000_000_000_04)),
        ("double precision", "'-0'", F64, Value::F64(-0.0)),
        ("double precision", "'Infinity'", F64, Value::F64(f64::INFINITY)),
        ("text", "E'tab\\t''😀'", Text, text("tab\t'😀")),
        ("text", "''", Text, text("")),
        ("varchar(10)", "'a  '", Text, text("a  ")),
        ("char(5)", "'a'", Text, text("a")),
        ("name", "'n'", Text, text("n")),
        ("\"char\"", "'c'", Text, text("c")),
        ("mood", "'o''k'", Text, text("o'k")),
        ("bytea", "'\\x00ff'", Bytes, bytes(&[0, 255])),
        (
            "uuid",
            "'6CCD780C-baba-1026-9564-5b8c656024db'",
            Uuid,
            text("6ccd780c-baba-1026-9564-5b8c656024db"),
        ),
        ("bit(4)", "B'0101'", Bit, text("0101")),
        ("varbit", "B'1'", Bit, text("1")),
        ("date", "'2024-02-29'", Date, text("2024-02-29")),
        ("date", "'infinity'", Date, text("infinity")),
        ("date", "'0044-03-15 BC'", Date, text("0044-03-15 BC")),
        ("time", "'24:00'", Time, text("24:00:00")),
        ("time(3)", "'01:02:03.120'", Time, text("01:02:03.12")),
        ("timetz", "'01:02:03+05:30'", Other, text("01:02:03+05:30")),
        ("timestamp", "'2024-01-01 10:20:30.123456'", DateTime, text("2024-01-01 10:20:30.123456")),
        ("timestamp", "'-infinity'", DateTime, text("-infinity")),
        ("timestamptz", "'2024-01-01 08:00:00+08'", Instant, text("2024-01-01 00:00:00+00")),
        ("timestamptz", "'infinity'", Instant, text("infinity")),
        ("interval", "'1 year 2 days 03:04:05'", Other, text("1 year 2 days 03:04:05")),
        ("json", "'{\"a\":1, \"a\":2}'", Json, text("{\"a\":1, \"a\":2}")),
        ("jsonb", "'{\"b\":1.10,\"a\":2}'", Json, text("{\"a\": 2, \"b\": 1.10}")),
        ("int[]", "'{1,NULL}'", Other, text("{1,NULL}")),
        ("inet", "'10.0.0.1/8'", Other, text("10.0.0.1/8")),
        ("int4range", "'[1,5)'", Other, text("[1,5)")),
        ("tsvector", "'a b'", Other, text("'a' 'b'")),
        ("money", "'1234.5'", Other, text("$1,234.50")),
        ("point", "'(1,2)'", Other, text("(1,2)")),
        ("xml", "'<a/>'", Other, text("<a/>")),
    ];
    corpus(&db, "bigint", &cases).await;
}

#[tokio::test]
async fn sqlite_values_keep_their_own_type() {
    use Class::Dynamic;
    let db = Db::sqlite().await;
    let cases = [
        ("INT", "9223372036854775807", Dynamic, Value::Int(i64::MAX)),
        ("BOOLEAN", "1", Dynamic, Value::Int(1)),
        ("REAL", "1", Dynamic, Value::F64(1.0)),
        ("TEXT", "1", Dynamic, text("1")),
        ("NUMERIC", "'1.50'", Dynamic, Value::F64(1.5)),
        ("DECIMAL(10,2)", "'abc'", Dynamic, text("abc")),
        ("DATETIME", "'2024-01-01 00:00:00'", Dynamic, text("2024-01-01 00:00:00")),
        ("DATETIME", "1700000000", Dynamic, Value::Int(1_700_000_000)),
        ("BLOB", "x'00ff'", Dynamic, bytes(&[0, 255])),
        ("BLOB", "x''", Dynamic, bytes(&[])),
        ("TEXT", "''", Dynamic, text("")),
        ("TEXT", "CAST(x'c328' AS TEXT)", Dynamic, bytes(&[0xc3, 0x28])),
        ("", "'a' || char(0) || 'b'", Dynamic, text("a\0b")),
        ("VARCHAR(3)", "'😀longer'", Dynamic, text("😀longer")),
    ];
    corpus(&db, "INTEGER", &cases).await;
}

/// A table altered while it is read is noticed, never misread.
#[tokio::test]
async fn an_altered_column_is_noticed() {
    for engine in super::SERVERS {
        let Some(db) = Db::new(engine).await else { continue };
        db.run("CREATE TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 2)").await;
        let source = open(&source_config(&db, "t", "id"), &["v"], &db).await.unwrap();
        assert_eq!(only_row(&*source).await, [Value::Int(1), Value::Int(2)]);
        let alter = match engine {
            Engine::MySql => "ALTER TABLE t MODIFY v VARCHAR(10)",
            _ => "ALTER TABLE t ALTER v TYPE varchar(10)",
        };
        db.run(alter).await;
        let error = source.fetch_some(&[cupid::model::RowId(1)]).await.unwrap_err();
        assert_eq!(error.kind, cupid::sql::PlaceErrorKind::Missing, "{error}");
        let error = source.recheck().await.unwrap_err();
        assert!(error.message.contains("was int") || error.message.contains("integer"), "{error}");
        let again = open(&source_config(&db, "t", "id"), &["v"], &db).await.unwrap();
        assert_eq!(only_row(&*again).await, [Value::Int(1), text("2")]);
    }
}
