use super::*;
use crate::sql::catalog::Detail;

fn table(engine: Engine, columns: &[(Class, &str, Read, bool)]) -> Table {
    let column = |(at, (class, declared, _, nullable)): (usize, &(Class, &str, Read, bool))| Column {
        name: format!("c{at}").into(),
        class: *class,
        declared: (*declared).into(),
        nullable: *nullable,
    };
    let detail = |(_, _, read, _): &(Class, &str, Read, bool)| Detail {
        read: *read,
        as_text: false,
        utf8: true,
        key: "?".to_owned(),
    };
    Table {
        engine,
        schema: None,
        name: "t".to_owned(),
        view: false,
        columns: columns.iter().enumerate().map(column).collect(),
        details: columns.iter().map(detail).collect(),
        primary_key: vec![0],
        indexes: Vec::new(),
        identity: String::new(),
        incarnation: String::new(),
        untold: Vec::new(),
    }
}

fn one(engine: Engine, class: Class, declared: &str) -> Table {
    table(engine, &[(class, declared, Read::Text, false)])
}

#[test]
fn a_row_is_written_alike_by_both() {
    let my = table(
        Engine::MySql,
        &[
            (Class::Int, "bigint(20)", Read::Int, false),
            (Class::Text, "varchar(9)", Read::Text, true),
            (Class::Decimal, "decimal(10,2)", Read::Text, true),
            (Class::Instant, "timestamp(6)", Read::DateTime(6), true),
        ],
    );
    let pg = table(
        Engine::Postgres,
        &[
            (Class::Int, "bigint", Read::Int, false),
            (Class::Text, "text", Read::Text, true),
            (Class::Decimal, "numeric(12,3)", Read::Text, true),
            (Class::Instant, "timestamp with time zone", Read::Text, false),
        ],
    );
    let pairs = [(0, 0), (1, 1), (2, 2), (3, 3)];
    let [a, b] = rows(&my, &pg, &pairs).unwrap();
    assert_eq!(
        a,
        "CONCAT(`c0`, ';', IF(`c1` IS NULL, 'N', CONCAT(LENGTH(`c1`), ':', CAST(`c1` AS BINARY))), \
         IF(`c2` IS NULL, 'N', CONCAT(`c2`, '0')), ';', \
         IF(`c3` IS NULL, 'N', TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM `c3`))), ';')"
    );
    assert_eq!(
        b,
        "(((\"c0\"::text || ';') || CASE WHEN \"c1\" IS NULL THEN 'N' ELSE pg_catalog.octet_length(\"c1\"::text)::text \
         || ':' || \"c1\"::text END) || (CASE WHEN \"c2\" IS NULL THEN 'N;' ELSE \"c2\"::text || ';' END \
         || ((\"c3\" AT TIME ZONE 'UTC')::text || ';')))"
    );
    let [c, d] = rows(&pg, &my, &pairs).unwrap();
    assert_eq!((c, d), (b, a), "whichever is the source");
}

#[test]
fn what_cannot_be_written_alike_is_named() {
    let my = |class, declared| one(Engine::MySql, class, declared);
    let pg = |class, declared| one(Engine::Postgres, class, declared);
    let unlike = [
        // Texts of floats are the engine's own.
        (my(Class::F64, "double"), pg(Class::F64, "double precision")),
        (my(Class::F32, "float"), my(Class::F64, "double")),
        // Cut to so many digits.
        (my(Class::F64, "double(10,2)"), my(Class::F64, "double(10,2)")),
        (my(Class::Decimal, "decimal(10,2) unsigned zerofill"), my(Class::Decimal, "decimal(10,2)")),
        // Structure, not text.
        (my(Class::Json, "longtext"), pg(Class::Json, "jsonb")),
        (pg(Class::Json, "json"), pg(Class::Json, "jsonb")),
        // Text that may be spelt in any way.
        (my(Class::DateTime, "datetime"), pg(Class::Text, "text")),
        (my(Class::Int, "int"), my(Class::Text, "varchar(9)")),
        (pg(Class::Bool, "boolean"), pg(Class::Text, "text")),
        // Its length counts on one side only.
        (pg(Class::Bit, "bit varying(8)"), pg(Class::Bit, "bit(8)")),
        (pg(Class::Bit, "flags"), my(Class::Bit, "bit(8)")),
        (pg(Class::Bool, "boolean"), pg(Class::Bit, "bit varying")),
        (pg(Class::Other, "inet"), my(Class::Other, "inet6")),
        (my(Class::Bytes, "geometry"), my(Class::Bytes, "geometry")),
    ];
    for (a, b) in &unlike {
        assert_eq!(rows(a, b, &[(0, 0)]), Err(vec![0]), "{:?} {:?}", a.columns, b.columns);
        assert_eq!(rows(b, a, &[(0, 0)]), Err(vec![0]), "{:?} {:?}", b.columns, a.columns);
    }
    let mut latin = pg(Class::Text, "text");
    latin.details[0].utf8 = false;
    assert_eq!(
        rows(&my(Class::Text, "text"), &latin, &[(0, 0)]),
        Err(vec![0]),
        "the server's bytes are others"
    );
}

#[test]
fn numbers_meet_in_one_scale() {
    let text = |a: &Table, b: &Table| rows(a, b, &[(0, 0)]).unwrap();
    let int = one(Engine::MySql, Class::Int, "int");
    let padded = one(Engine::MySql, Class::Int, "int(8) unsigned zerofill");
    let (whole, two) = (
        one(Engine::MySql, Class::Decimal, "decimal(9,0)"),
        one(Engine::MySql, Class::Decimal, "decimal(9,2)"),
    );
    let (free, three) = (
        one(Engine::Postgres, Class::Decimal, "numeric"),
        one(Engine::Postgres, Class::Decimal, "numeric(9,3)"),
    );
    assert_eq!(text(&int, &padded), ["CONCAT(`c0`, ';')", "CONCAT(CAST(`c0` AS UNSIGNED), ';')"]);
    assert_eq!(text(&int, &two)[0], "CONCAT(CONCAT(`c0`, '.00'), ';')");
    assert_eq!(text(&whole, &two)[0], "CONCAT(CONCAT(`c0`, '.00'), ';')");
    assert_eq!(text(&three, &two), ["(\"c0\"::text || ';')", "CONCAT(CONCAT(`c0`, '0'), ';')"]);
    assert_eq!(text(&int, &free)[0], "CONCAT(`c0`, ';')");
    assert_eq!(text(&whole, &free)[0], "CONCAT(`c0`, ';')", "zeros before the point stay");
    assert!(
        text(&two, &free)[0].contains("TRIM(TRAILING '0'")
            && text(&two, &free)[1].contains("scale(\"c0\") > 0")
    );
}
