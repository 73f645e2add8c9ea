//! Keys: the same row is found whatever the two columns are, and no other one.

use super::case::Found::{Ambiguous, Differs, Missing, NotComparable, Same};
use super::case::Lit::{B, E, N, Null, T};
use super::case::{Keys, NONE, Type, keys, ty};

const INT: Type = ty("BIGINT", "bigint", "INTEGER");
const TEXT: Type = ty("VARCHAR(60) COLLATE utf8mb4_bin", "varchar(60)", "VARCHAR(60)");
/// Text keys that their own database takes for one whatever their case.
const FOLDED: Type =
    ty("VARCHAR(60) COLLATE utf8mb4_general_ci", "varchar(60) COLLATE folds", "TEXT COLLATE NOCASE");
const DEC: Type = ty("DECIMAL(30,4)", "numeric(30,4)", "TEXT");
const UUID: Type = ty("UUID", "uuid", "TEXT");
const UUID_TEXT: &str = "6ccd780c-baba-1026-9564-5b8c656024db";

pub const KEYS: &[Keys] = &[
    keys(
        "integers",
        INT,
        INT,
        &[
            (N("1"), &[N("1")], Same),
            (N("2"), &[], Missing),
            (N("3"), &[N("3")], Differs),
            (N("9223372036854775807"), &[N("9223372036854775807")], Same),
            (N("9223372036854775806"), &[], Missing),
            (N("-9223372036854775808"), &[N("-9223372036854775808")], Same),
            (N("4"), &[N("4"), N("4")], Ambiguous(2)),
            (N("5"), &[N("5"), N("5"), N("5")], Ambiguous(3)),
            (Null, &[Null], NotComparable),
            (N("0"), &[], Missing),
        ],
    ),
    keys(
        "integers and text",
        INT,
        TEXT,
        &[
            (N("1"), &[T("1")], Same),
            (N("2"), &[T("two")], Missing),
            (N("-3"), &[T("-3")], Differs),
            (N("9007199254740993"), &[T("9007199254740992")], Missing),
            (N("4"), &[T("4 ")], Missing),
        ],
    ),
    keys(
        "text and integers",
        TEXT,
        INT,
        &[
            (T("1"), &[N("1")], Same),
            (T("abc"), &[N("0")], Missing),
            (T("9223372036854775808"), &[N("9223372036854775807")], Missing),
            (T("2x"), &[N("2")], Missing),
            (T(""), &[], Missing),
            (T("3.0"), &[N("3")], Same),
        ],
    ),
    keys(
        "unsigned integers",
        ty("BIGINT UNSIGNED", "numeric(20)", "TEXT"),
        ty("BIGINT UNSIGNED", "numeric(20)", "TEXT"),
        &[
            (T("18446744073709551615"), &[T("18446744073709551615")], Same),
            (T("9223372036854775808"), &[T("9223372036854775807")], Missing),
            (T("18446744073709551614"), &[T("18446744073709551614")], Differs),
            (T("7"), &[], Missing),
        ],
    ),
    keys(
        "text",
        TEXT,
        TEXT,
        &[
            (T("a"), &[T("a")], Same),
            (T("b"), &[T("B")], Missing),
            (T("c"), &[T("c ")], Missing),
            (T("d "), &[T("d")], Missing),
            (T("é"), &[T("e\u{301}")], Missing),
            (T(""), &[T("")], Same),
            (T("😀"), &[T("😀")], Differs),
            (T("😁"), &[T("😂")], Missing),
            (T("NULL"), &[Null], Missing),
            (Null, &[T("null")], NotComparable),
            (T("O'x\\\"%_"), &[T("O'x\\\"%_")], Same),
            (T("twice"), &[T("twice"), T("twice")], Ambiguous(2)),
            (T("01"), &[T("1")], Missing),
        ],
    ),
    keys(
        "text that a database folds, found exactly",
        FOLDED,
        FOLDED,
        &[
            (T("abc"), &[T("abc"), T("ABC")], Same),
            (T("Def"), &[T("dEF")], Missing),
            (T("ghi"), &[T("ghi"), T("GHI"), T("Ghi")], Differs),
            (T("résumé"), &[T("resume")], Missing),
            (T("jkl "), &[T("jkl")], Missing),
            (T("mno"), &[T("mno"), T("mno")], Ambiguous(2)),
            (T("😀"), &[T("😁")], Missing),
        ],
    ),
    keys(
        "text onto text that folds",
        TEXT,
        FOLDED,
        &[(T("abc"), &[T("abc")], Same), (T("DEF"), &[T("def")], Missing), (T("e"), &[T("é")], Missing)],
    ),
    keys(
        "padded text",
        ty("CHAR(8)", "char(8)", NONE),
        ty("CHAR(8)", "char(8)", "TEXT"),
        &[(T("ab"), &[T("ab")], Same), (T("cd"), &[], Missing), (T("ef"), &[T("ef")], Differs)],
    ),
    keys(
        "text and padded text",
        TEXT,
        ty("CHAR(8)", "char(8)", NONE),
        &[
            (T("ab"), &[T("ab")], Same),
            (T("cd "), &[T("cd")], Missing),
            (T("longer than eight"), &[T("longer t")], Missing),
        ],
    ),
    keys(
        "other character sets",
        TEXT,
        ty("VARCHAR(40) CHARACTER SET latin1", NONE, NONE),
        &[(T("é"), &[T("é")], Same), (T("中"), &[T("?")], Missing), (T("a"), &[T("A")], Missing)],
    ),
    keys(
        "decimals",
        DEC,
        DEC,
        &[
            (T("1.5000"), &[T("1.5000")], Same),
            (T("12345678901234567890.0001"), &[T("12345678901234567890.0002")], Missing),
            (T("-7.2500"), &[T("-7.2500")], Differs),
        ],
    ),
    keys(
        "integers and decimals",
        INT,
        ty("DECIMAL(30,4)", "numeric(30,4)", "DECIMAL(30,4)"),
        &[(N("7"), &[T("7.0000")], Same), (N("8"), &[T("8.5")], Missing)],
    ),
    keys(
        "decimals and integers",
        ty("DECIMAL(30,4)", "numeric(30,4)", "DECIMAL(30,4)"),
        INT,
        &[(T("7.0000"), &[N("7")], Same), (T("8.5"), &[N("8"), N("9")], Missing)],
    ),
    keys(
        "UUIDs",
        UUID,
        UUID,
        &[(T(UUID_TEXT), &[T(UUID_TEXT)], Same), (T("6ccd780c-baba-1026-9564-5b8c656024dc"), &[], Missing)],
    ),
    keys(
        "UUIDs and their text",
        ty("UUID", "uuid", "UUID"),
        ty("VARCHAR(40) COLLATE utf8mb4_general_ci", NONE, "TEXT COLLATE NOCASE"),
        &[(T(UUID_TEXT), &[T("6CCD780C-BABA-1026-9564-5B8C656024DB")], Same)],
    ),
    keys(
        "UUIDs and their text in any spelling",
        ty("UUID", "uuid", NONE),
        ty("VARCHAR(40) COLLATE utf8mb4_bin", "text", "TEXT"),
        &[
            (T(UUID_TEXT), &[T("6CCD780C-BABA-1026-9564-5B8C656024DB")], Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024dc"), &[T("6ccd780cbaba102695645b8c656024dc")], Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024dd"), &[T("6CCD780CBABA102695645B8C656024DD")], Same),
            (
                T("6ccd780c-baba-1026-9564-5b8c656024de"),
                &[T("6ccd780c-baba-1026-9564-5b8c656024df")],
                Missing,
            ),
        ],
    ),
    keys(
        "sixteen bytes and text",
        ty("BINARY(16)", NONE, NONE),
        ty("CHAR(36) CHARACTER SET ascii", "text", "TEXT"),
        &[
            (B("6ccd780cbaba102695645b8c656024db"), &[T(UUID_TEXT)], Same),
            (B("6ccd780cbaba102695645b8c656024dc"), &[T("6CCD780C-BABA-1026-9564-5B8C656024DC")], Same),
            (B("6ccd780cbaba102695645b8c656024dd"), &[], Missing),
        ],
    ),
    keys(
        "UUIDs and bytes of any length",
        ty("UUID", "uuid", NONE),
        ty("VARBINARY(16)", "bytea", "BLOB"),
        &[
            (T(UUID_TEXT), &[B("6ccd780cbaba102695645b8c656024db")], Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024dc"), &[B("6ccd780cbaba102695645b8c656024dd")], Missing),
        ],
    ),
    keys(
        "UUIDs and sixteen bytes",
        UUID,
        ty("BINARY(16)", NONE, NONE),
        &[
            (T(UUID_TEXT), &[B("6ccd780cbaba102695645b8c656024db")], Same),
            (T("6ccd780c-baba-1026-9564-5b8c656024dc"), &[B("6ccd780cbaba102695645b8c656024dd")], Missing),
        ],
    ),
    keys(
        "sixteen bytes and UUIDs",
        ty("BINARY(16)", NONE, NONE),
        ty("UUID", "uuid", NONE),
        &[(B("6ccd780cbaba102695645b8c656024db"), &[T(UUID_TEXT)], Same)],
    ),
    keys(
        "the text of a UUID and sixteen bytes",
        TEXT,
        ty("BINARY(16)", NONE, NONE),
        &[
            (T(UUID_TEXT), &[B("6ccd780cbaba102695645b8c656024db")], Same),
            (T("abcdefghijklmnop"), &[B("6162636465666768696a6b6c6d6e6f70")], Same),
        ],
    ),
    keys(
        "bytes",
        ty("VARBINARY(60)", "bytea", "BLOB"),
        ty("VARBINARY(60)", "bytea", "BLOB"),
        &[
            (B("00ff"), &[B("00ff")], Same),
            (B("00"), &[B("0000")], Missing),
            (B("61"), &[B("41")], Missing),
            (B(""), &[B("")], Same),
            (B("2727"), &[B("2727")], Differs),
        ],
    ),
    keys(
        "bytes and text",
        ty("VARBINARY(60)", "bytea", "BLOB"),
        TEXT,
        &[(B("616263"), &[T("abc")], Same), (B("c328"), &[], Missing), (B("64"), &[T("D")], Missing)],
    ),
    keys(
        "text and bytes",
        TEXT,
        ty("VARBINARY(60)", "bytea", "BLOB"),
        &[
            (T("abc"), &[B("616263")], Same),
            (T("é"), &[B("c3a9")], Same),
            (T("d"), &[B("44")], Missing),
            (T("5"), &[B("35")], Same),
            (T("2024-01-01 00:00:00.0"), &[B("323032342d30312d30312030303a30303a30302e30")], Same),
        ],
    ),
    keys(
        "a SQLite column without a type",
        TEXT,
        ty(NONE, NONE, ""),
        &[
            (T("abc"), &[T("abc")], Same),
            (T("5"), &[N("5")], Same),
            (T("6"), &[T("6")], Same),
            (T("7"), &[B("37")], Same),
            (T("8"), &[N("8"), T("8")], Ambiguous(2)),
            (T("09"), &[T("9"), N("9")], Missing),
        ],
    ),
    keys(
        "days far away",
        ty(NONE, "timestamp", NONE),
        ty("DATETIME", "timestamp", "DATETIME"),
        &[
            (T("2024-01-01 00:00:00"), &[T("2024-01-01 00:00:00")], Same),
            (T("0044-03-15 12:00:00 BC"), &[], Missing),
            (T("12000-01-01 00:00:00"), &[], Missing),
            (T("infinity"), &[], Missing),
        ],
    ),
    keys(
        "days far away, found",
        ty(NONE, "timestamp", NONE),
        ty(NONE, "timestamptz", "DATETIME"),
        &[
            (T("0044-03-15 12:00:00 BC"), &[T("0044-03-15 12:00:00 BC")], Same),
            (T("12000-01-01 00:00:00"), &[T("12000-01-01 00:00:00")], Same),
            (T("infinity"), &[T("infinity")], Same),
            (T("2024-03-15 12:00:00"), &[T("2024-03-15 12:00:00 BC")], Missing),
        ],
    ),
    keys(
        "days that no calendar has",
        ty("DATE", NONE, NONE),
        ty("DATE", "date", "DATE"),
        &[(T("2024-01-01"), &[T("2024-01-01")], Same), (T("0000-00-00"), &[], Missing)],
    ),
    keys(
        "dates",
        ty("DATE", "date", "DATE"),
        ty("DATE", "date", "DATE"),
        &[(T("2024-02-29"), &[T("2024-02-29")], Same), (T("2024-03-01"), &[T("2024-03-02")], Missing)],
    ),
    keys(
        "wall clocks",
        ty("DATETIME(6)", "timestamp", "DATETIME"),
        ty("DATETIME(6)", "timestamp", "DATETIME"),
        &[
            (T("2024-01-01 00:00:00.000001"), &[T("2024-01-01 00:00:00.000002")], Missing),
            (T("2024-01-02 00:00:00.000000"), &[T("2024-01-02 00:00:00")], Same),
        ],
    ),
    keys(
        "instants",
        ty("TIMESTAMP(6) NULL", "timestamptz", NONE),
        ty("TIMESTAMP(6) NULL", "timestamptz", NONE),
        &[
            (T("2024-01-01 00:00:00"), &[T("2024-01-01 00:00:00")], Same),
            (T("2024-01-02 00:00:00"), &[T("2024-01-02 08:00:00")], Missing),
        ],
    ),
    keys(
        "truth",
        ty("BOOLEAN", "boolean", "BOOLEAN"),
        ty("BOOLEAN", "boolean", "BOOLEAN"),
        &[(E("1", "true", "1"), &[E("1", "true", "1")], Same), (E("0", "false", "0"), &[], Missing)],
    ),
    keys(
        "bits",
        ty("BIT(9)", "bit(9)", NONE),
        ty("BIT(9)", "bit(9)", "INTEGER"),
        &[
            (E("b'100000001'", "B'100000001'", ""), &[E("b'100000001'", "B'100000001'", "257")], Same),
            (E("b'000000010'", "B'000000010'", ""), &[E("b'000000011'", "B'000000011'", "10")], Missing),
        ],
    ),
    keys(
        "doubles",
        ty("DOUBLE", "double precision", "REAL"),
        ty("DOUBLE", "double precision", "REAL"),
        &[(N("0.1"), &[N("0.1")], Same), (N("0.30000000000000004"), &[N("0.3")], Missing)],
    ),
    keys(
        "labels",
        ty("ENUM('x','y')", "mood", NONE),
        ty("VARCHAR(9)", "varchar(9)", "TEXT"),
        &[(E("'x'", "'sad'", ""), &[E("'x'", "'x'", "'x'"), E("'sad'", "'sad'", "'sad'")], Same)],
    ),
    keys(
        "addresses",
        ty("INET6", "inet", NONE),
        ty("INET6", "inet", "TEXT"),
        &[(T("2001:db8::1"), &[T("2001:db8::1")], Same), (T("2001:db8::2"), &[T("2001:db8::3")], Missing)],
    ),
];
