//! Booleans, bits, JSON, UUIDs, and rows as a whole.

use super::case::Is::{Differs, Same};
use super::case::Lit::{B, E, N, Null, T};
use super::case::{Group, NONE, Type, group, ty};

const TINY: Type = ty("TINYINT(1)", "smallint", "INTEGER");
const TRUTH: Type = ty("BOOLEAN", "boolean", "BOOLEAN");
const TEXT: Type = ty("VARCHAR(90)", "varchar(90)", "VARCHAR(90)");
const JSON: Type = ty("JSON", "json", "JSON");
const JSONB: Type = ty("JSON", "jsonb", "JSON");
const YES: super::case::Lit = E("1", "true", "1");
const NO: super::case::Lit = E("0", "false", "0");

pub const GROUPS: &[Group] = &[
    group(
        "truth",
        TRUTH,
        TRUTH,
        &[(YES, YES, Same), (NO, NO, Same), (YES, NO, Differs), (NO, Null, Differs), (Null, Null, Same)],
    ),
    group(
        "truth and small numbers",
        ty(NONE, "boolean", "BOOLEAN"),
        TINY,
        &[
            (E("", "true", "1"), N("1"), Same),
            (E("", "false", "0"), N("0"), Same),
            (E("", "true", "1"), N("2"), Differs),
            (E("", "true", "1"), N("-1"), Differs),
            (E("", "false", "0"), Null, Differs),
        ],
    ),
    group(
        "small numbers that are no truth",
        ty("TINYINT(1)", NONE, NONE),
        TINY,
        &[(N("2"), N("1"), Differs), (N("2"), N("2"), Same), (N("-1"), N("-1"), Same)],
    ),
    group(
        "truth and text",
        ty(NONE, "boolean", NONE),
        TEXT,
        &[
            (N("true"), T("t"), Same),
            (N("true"), T("TRUE"), Same),
            (N("true"), T("1"), Same),
            (N("false"), T("f"), Same),
            (N("false"), T("false"), Same),
            (N("false"), T("0"), Same),
            (N("true"), T("f"), Differs),
            (N("false"), T(""), Differs),
            (N("true"), T("yep"), Differs),
        ],
    ),
    group(
        "truth and bits",
        ty(NONE, "boolean", NONE),
        ty("BIT(1)", "bit(1)", NONE),
        &[
            (N("true"), E("b'1'", "B'1'", ""), Same),
            (N("false"), E("b'0'", "B'0'", ""), Same),
            (N("true"), E("b'0'", "B'0'", ""), Differs),
            (N("false"), Null, Differs),
        ],
    ),
    group(
        "bits",
        ty("BIT(9)", "bit(9)", NONE),
        ty("BIT(9)", "bit(9)", NONE),
        &[
            (E("b'100000001'", "B'100000001'", ""), E("b'100000001'", "B'100000001'", ""), Same),
            (E("b'100000001'", "B'100000001'", ""), E("b'000000001'", "B'000000001'", ""), Differs),
            (E("b'000000000'", "B'000000000'", ""), Null, Differs),
        ],
    ),
    group(
        "sixty-four bits",
        ty("BIT(64)", "bit(64)", NONE),
        ty("BIGINT UNSIGNED", NONE, "INTEGER"),
        &[
            (E("b'101'", "5::bit(64)", ""), N("5"), Same),
            (E("b'1010'", "10::bit(64)", ""), N("10"), Same),
            (E("b'1010'", "10::bit(64)", ""), N("1010"), Differs),
            (E("b'1010'", "10::bit(64)", ""), N("2"), Differs),
        ],
    ),
    group(
        "sixty-four bits and a negative number",
        ty("BIT(64)", "bit(64)", NONE),
        ty("BIGINT", "bigint", "INTEGER"),
        &[(
            E("b'1111111111111111111111111111111111111111111111111111111111111111'", "(-1)::bit(64)", ""),
            N("-1"),
            Differs,
        )],
    ),
    group(
        "bits and decimals",
        ty("BIT(8)", "bit(8)", NONE),
        ty("DECIMAL(20,2)", "numeric(20,2)", "DECIMAL(20,2)"),
        &[
            (E("b'101'", "B'00000101'", ""), N("5"), Same),
            (E("b'101'", "B'00000101'", ""), N("101"), Differs),
            (E("b'11'", "B'00000011'", ""), N("11"), Differs),
            (E("b'0'", "B'00000000'", ""), N("0"), Same),
        ],
    ),
    group(
        "bits and floats",
        ty("BIT(8)", "bit(8)", NONE),
        ty("DOUBLE", "double precision", "REAL"),
        &[
            (E("b'101'", "B'00000101'", ""), N("5"), Same),
            (E("b'101'", "B'00000101'", ""), N("101"), Differs),
        ],
    ),
    group(
        "bits and text",
        ty("BIT(8)", "bit(8)", NONE),
        TEXT,
        &[
            (E("b'00000101'", "B'00000101'", ""), T("00000101"), Same),
            (E("b'00000101'", "B'00000101'", ""), T("101"), Same),
            (E("b'00001010'", "B'00001010'", ""), T("a"), Differs),
            (E("b'00000101'", "B'00000101'", ""), T("5"), Differs),
        ],
    ),
    group(
        "bits of any length",
        ty(NONE, "varbit", NONE),
        ty(NONE, "varbit", "TEXT"),
        &[
            (T("0101"), T("0101"), Same),
            (T("0101"), T("101"), Differs),
            (T(""), Null, Differs),
            (T(""), T("0"), Differs),
        ],
    ),
    group(
        "JSON",
        JSON,
        JSON,
        &[
            (T(r#"{"a": 1, "b": [1, 2]}"#), T(r#"{"b":[1,2],"a":1}"#), Same),
            (T(r#"{"a": 1}"#), T(r#"{"a": 2}"#), Differs),
            (T(r#"{"a": [1, 2]}"#), T(r#"{"a": [2, 1]}"#), Differs),
            (T(r#"{"a": 1.0}"#), T(r#"{"a": 1}"#), Same),
            (T(r#"{"a": 1.10}"#), T(r#"{"a": 1.1}"#), Same),
            (T(r#"{"a": "1"}"#), T(r#"{"a": 1}"#), Differs),
            (T(r#"{"a": 9007199254740993}"#), T(r#"{"a": 9007199254740992}"#), Differs),
            (T(r#"{"a": 18446744073709551615}"#), T(r#"{"a": 18446744073709551614}"#), Differs),
            (T(r#"{"a": 0.30000000000000004}"#), T(r#"{"a": 0.3}"#), Differs),
            (T(r#"{"a": null}"#), T("{}"), Differs),
            (T(r#"{"a": true}"#), T(r#"{"a": 1}"#), Differs),
            (T(r#"{"a": "é😀"}"#), T(r#"{"a": "\u00e9\ud83d\ude00"}"#), Same),
            (T(r#"{"A": 1}"#), T(r#"{"a": 1}"#), Differs),
            (T("null"), Null, Differs),
            (T("\"\""), Null, Differs),
            (T("[]"), T("{}"), Differs),
            (T("[[], [1]]"), T("[[],[1]]"), Same),
            (T("\"a b\""), T("\"a  b\""), Differs),
        ],
    ),
    group(
        "binary JSON",
        JSONB,
        JSONB,
        &[
            (T(r#"{"bb": 1, "a": 2.50}"#), T(r#"{"a": 2.5, "bb": 1}"#), Same),
            (T(r#"{"a": 1e2}"#), T(r#"{"a": 100}"#), Same),
            (T(r#"{"a": 12345678901234567890}"#), T(r#"{"a": 12345678901234567891}"#), Differs),
        ],
    ),
    group(
        "JSON with a name twice",
        ty("JSON", "json", "JSON"),
        JSONB,
        &[
            (T(r#"{"a": 1, "a": 2}"#), T(r#"{"a": 2}"#), Same),
            (T(r#"{"a": 1, "a": 2}"#), T(r#"{"a": 1}"#), Differs),
        ],
    ),
    group(
        "JSON and text",
        JSON,
        ty("TEXT", "text", "TEXT"),
        &[
            (T(r#"{"a": 1, "b": 2}"#), T(r#"{"b":2,"a":1}"#), Same),
            (T(r#"{"a": 1}"#), T(r#"{"a": 1"#), Differs),
            (T("\"x\""), T("x"), Differs),
            (T("{}"), T(""), Differs),
        ],
    ),
    group(
        "UUIDs",
        ty("UUID", "uuid", "UUID"),
        ty("UUID", "uuid", "UUID"),
        &[
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("6CCD780C-BABA-1026-9564-5B8C656024DB"), Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("6ccd780c-baba-1026-9564-5b8c656024dc"), Differs),
            (T("00000000-0000-0000-0000-000000000000"), Null, Differs),
        ],
    ),
    group(
        "UUIDs and text",
        ty("UUID", "uuid", "UUID"),
        TEXT,
        &[
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("6CCD780C-BABA-1026-9564-5B8C656024DB"), Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("{6ccd780c-baba-1026-9564-5b8c656024db}"), Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("6ccd780cbaba102695645b8c656024db"), Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), T("6ccd780c-baba-1026-9564"), Differs),
        ],
    ),
    group(
        "UUIDs and sixteen bytes",
        ty("UUID", "uuid", "UUID"),
        ty("BINARY(16)", "bytea", "BLOB"),
        &[
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), B("6ccd780cbaba102695645b8c656024db"), Same),
            // The fields swapped as UUID_TO_BIN(x, 1) does.
            (T("6ccd780c-baba-1026-9564-5b8c656024db"), B("1026baba6ccd780c95645b8c656024db"), Differs),
        ],
    ),
    group(
        "sixteen bytes and the text of a UUID",
        ty("BINARY(16)", NONE, NONE),
        TEXT,
        &[
            (B("6ccd780cbaba102695645b8c656024db"), T("6ccd780c-baba-1026-9564-5b8c656024db"), Same),
            (B("6ccd780cbaba102695645b8c656024db"), T("6CCD780C-BABA-1026-9564-5B8C656024DB"), Same),
            (B("6ccd780cbaba102695645b8c656024db"), T("6ccd780c-baba-1026-9564-5b8c656024dc"), Differs),
            (B("6162636465666768696a6b6c6d6e6f70"), T("abcdefghijklmnop"), Same),
            (B("6162636465666768696a6b6c6d6e6f70"), T("abcdefghijklmnoq"), Differs),
        ],
    ),
];
