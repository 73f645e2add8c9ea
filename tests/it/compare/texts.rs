//! Text, bytes and labels: byte for byte.

use super::case::Is::{Differs, Same};
use super::case::Lit::{B, E, N, Null, Own, T};
use super::case::{Group, NONE, Type, group, ty};

const TEXT: Type = ty("VARCHAR(60) CHARACTER SET utf8mb4", "varchar(60)", "VARCHAR(60)");
/// Text that its own database compares without case and accents.
const FOLDED: Type =
    ty("VARCHAR(60) COLLATE utf8mb4_unicode_ci", "text COLLATE folds", "TEXT COLLATE NOCASE");
const LONG: Type = ty("LONGTEXT CHARACTER SET utf8mb4", "text", "TEXT");
const CHAR: Type = ty("CHAR(8)", "char(8)", NONE);
const BYTES: Type = ty("VARBINARY(60)", "bytea", "BLOB");
const BLOB: Type = ty("LONGBLOB", "bytea", "BLOB");

pub const GROUPS: &[Group] = &[
    group(
        "text",
        TEXT,
        TEXT,
        &[
            (T("a"), T("a"), Same),
            (T("a"), T("A"), Differs),
            (T("é"), T("e"), Differs),
            (T("ß"), T("ss"), Differs),
            (T("a"), T("a "), Differs),
            (T("a"), T(" a"), Differs),
            (T("a"), T("a\t"), Differs),
            (T(""), T(" "), Differs),
            (T("a\nb"), T("a\r\nb"), Differs),
            (T(""), T(""), Same),
            (Null, Null, Same),
            (Null, T(""), Differs),
            (Null, T("NULL"), Differs),
            (Null, T("null"), Differs),
            (Null, T("<null>"), Differs),
            (Null, T(" "), Differs),
            (Null, T("0"), Differs),
            (T("NULL"), T("NULL"), Same),
            (T("O'Brien \"x\" \\ %_ ; --"), T("O'Brien \"x\" \\ %_ ; --"), Same),
            (T("中文字"), T("中文字"), Same),
            (T("😀👩‍👩‍👧‍👦"), T("😀👩‍👩‍👧‍👦"), Same),
            (T("😀"), T("😁"), Differs),
            // What a connection that knows three bytes makes of it.
            (T("😀"), T("?"), Differs),
            (T("😀"), T("????"), Differs),
            (T("😀"), T("\u{fffd}"), Differs),
            // Composed and decomposed.
            (T("é"), T("e\u{301}"), Differs),
            (T("\u{feff}a"), T("a"), Differs),
            (T("a\u{200b}"), T("a"), Differs),
            (T("\u{a0}"), T(" "), Differs),
            (T("Ａ"), T("A"), Differs),
            (T("true"), T("1"), Differs),
            (T("2024-01-01"), T("2024-01-01 00:00:00"), Differs),
            (T("6CCD780C-BABA-1026-9564-5B8C656024DB"), T("6ccd780c-baba-1026-9564-5b8c656024db"), Differs),
            (T("{\"a\":1}"), T("{ \"a\": 1 }"), Differs),
        ],
    ),
    group(
        "text under a collation that folds",
        FOLDED,
        FOLDED,
        &[
            (T("abc"), T("ABC"), Differs),
            (T("abc"), T("abc"), Same),
            (T("resume"), T("résumé"), Differs),
            (T("a"), T("a "), Differs),
        ],
    ),
    group(
        "text of two lengths",
        TEXT,
        LONG,
        &[
            (T("a"), T("a"), Same),
            (T("abc"), T("ab"), Differs),
            (T("é😀"), T("é😀"), Same),
            (T(""), Null, Differs),
        ],
    ),
    group(
        "padded text",
        CHAR,
        CHAR,
        &[
            (T("ab"), T("ab"), Same),
            // The padding is no part of the value.
            (T("ab"), T("ab   "), Same),
            (T("ab"), T(" ab"), Differs),
            (T(""), T("  "), Same),
            (T(""), Null, Differs),
            (T("ab"), T("AB"), Differs),
        ],
    ),
    group(
        "padded text and text",
        CHAR,
        TEXT,
        &[
            (T("ab"), T("ab"), Same),
            (T("ab"), T("ab "), Differs),
            (T("ab"), T("ab      "), Differs),
            (T(""), T(""), Same),
            (T(""), T(" "), Differs),
        ],
    ),
    group(
        "other character sets",
        ty("VARCHAR(40) CHARACTER SET latin1", NONE, NONE),
        TEXT,
        &[
            (T("é"), T("é"), Same),
            (T("é"), T("Ã©"), Differs),
            (T("€"), T("€"), Same),
            (T("ÿ"), T("y"), Differs),
        ],
    ),
    group(
        "three bytes a character",
        ty("VARCHAR(40) CHARACTER SET utf8mb3", NONE, NONE),
        TEXT,
        &[(T("中"), T("中"), Same), (T("中"), T("?"), Differs)],
    ),
    group(
        "gbk",
        ty("VARCHAR(40) CHARACTER SET gbk", NONE, NONE),
        TEXT,
        &[(T("中文"), T("中文"), Same), (T("中文"), T("中交"), Differs)],
    ),
    group(
        "utf16",
        ty("VARCHAR(40) CHARACTER SET utf16", NONE, NONE),
        TEXT,
        &[(T("a😀"), T("a😀"), Same), (T("a😀"), T("a"), Differs)],
    ),
    group(
        "bytes",
        BYTES,
        BYTES,
        &[
            (B("00ff"), B("00ff"), Same),
            (B("00ff"), B("00fe"), Differs),
            (B(""), B(""), Same),
            (B(""), Null, Differs),
            (B("00"), B("0000"), Differs),
            (B("61"), B("6100"), Differs),
            (B("61"), B("41"), Differs),
            (B("c328"), B("c328"), Same),
            (B("c328"), B("efbfbd28"), Differs),
            (B("20"), B(""), Differs),
        ],
    ),
    group(
        "bytes of a fixed width",
        ty("BINARY(4)", NONE, NONE),
        BYTES,
        &[
            (B("61626364"), B("61626364"), Same),
            (B("6162"), B("61620000"), Same),
            (B("6162"), B("6162"), Differs),
            (B("61622020"), B("6162"), Differs),
        ],
    ),
    group(
        "bytes in two types",
        BYTES,
        BLOB,
        &[(B("00ff27225c"), B("00ff27225c"), Same), (B("00ff"), B("ff00"), Differs)],
    ),
    group(
        "bytes and text",
        BYTES,
        LONG,
        &[
            (B("616263"), T("abc"), Same),
            (B("616263"), T("616263"), Differs),
            (B("616263"), T("\\x616263"), Differs),
            (B("616263"), T("YWJj"), Differs),
            (B("e4b8ad"), T("中"), Same),
            (B("616263"), T("ABC"), Differs),
        ],
    ),
    group(
        "labels",
        ty("ENUM('new','sent','2')", NONE, NONE),
        ty("ENUM('sent','new','2')", "varchar(9)", "TEXT"),
        &[
            // By label, whatever its place.
            (T("new"), T("new"), Same),
            (T("new"), T("sent"), Differs),
            (T("2"), T("2"), Same),
            (Null, T("new"), Differs),
        ],
    ),
    group(
        "labels and their places",
        ty("ENUM('new','sent')", NONE, NONE),
        ty("INT", "int", "INTEGER"),
        &[(T("new"), N("1"), Differs), (T("sent"), N("2"), Differs)],
    ),
    group(
        "sets of labels",
        ty("SET('a','b','c')", NONE, NONE),
        ty("SET('c','b','a')", "varchar(9)", "TEXT"),
        &[(T("b"), T("b"), Same), (T("b"), T("c"), Differs), (T(""), T(""), Same), (T(""), Null, Differs)],
    ),
    group(
        "an enum of PostgreSQL",
        ty(NONE, "mood", NONE),
        ty("ENUM('sad','o''k')", "mood", "TEXT"),
        &[(T("sad"), T("sad"), Same), (T("o'k"), T("o'k"), Same), (T("sad"), T("o'k"), Differs)],
    ),
    group(
        "citext and name",
        ty(NONE, "name", NONE),
        TEXT,
        &[(T("Ab"), T("Ab"), Same), (T("Ab"), T("ab"), Differs)],
    ),
    group(
        "a domain",
        ty(NONE, "short", NONE),
        TEXT,
        &[(T("Ab"), T("Ab"), Same), (T("Ab"), T("ab"), Differs), (Null, T(""), Differs)],
    ),
    group(
        "arrays",
        ty(NONE, "int[]", NONE),
        ty(NONE, "int[]", "TEXT"),
        &[
            (T("{1,2}"), T("{1,2}"), Same),
            (T("{1,2}"), T("{2,1}"), Differs),
            (T("{}"), Null, Differs),
            (T("{NULL}"), T("{}"), Differs),
        ],
    ),
    group(
        "arrays of text",
        ty(NONE, "text[]", NONE),
        ty("VARCHAR(60)", "text[]", "TEXT"),
        &[
            (T("{\"a,b\"}"), T("{\"a,b\"}"), Same),
            (T("{a,b}"), T("{\"a,b\"}"), Differs),
            (T("{NULL}"), T("{\"NULL\"}"), Differs),
        ],
    ),
    group(
        "addresses",
        ty("INET6", "inet", "TEXT"),
        ty("INET6", "inet", "TEXT"),
        &[
            (T("2001:db8::ff00:42:8329"), T("2001:db8::ff00:42:8329"), Same),
            (T("2001:db8::1"), T("2001:db8::2"), Differs),
            (T("::1"), Null, Differs),
        ],
    ),
    group(
        "addresses and networks",
        ty(NONE, "inet", NONE),
        ty(NONE, "inet", "TEXT"),
        &[(T("10.0.0.1"), T("10.0.0.1"), Same), (T("10.0.0.1/8"), T("10.0.0.1"), Differs)],
    ),
    group(
        "an address and the network of one",
        ty(NONE, "inet", NONE),
        ty(NONE, "cidr", NONE),
        &[
            (T("10.0.0.1"), T("10.0.0.1/32"), Same),
            (T("10.0.0.1"), T("10.0.0.0/24"), Differs),
            (T("::1"), T("::1/128"), Same),
        ],
    ),
    group(
        "an address of four bytes in six",
        ty(NONE, "inet", NONE),
        ty("INET6", NONE, NONE),
        &[(T("10.0.0.1"), T("::ffff:10.0.0.1"), Same), (T("10.0.0.1"), T("::ffff:10.0.0.2"), Differs)],
    ),
    group(
        "xml, ranges and points",
        ty(NONE, "xml", NONE),
        ty("TEXT", "xml", "TEXT"),
        &[(T("<a/>"), T("<a/>"), Same), (T("<a/>"), T("<a></a>"), Differs)],
    ),
    group(
        "ranges",
        ty(NONE, "int4range", NONE),
        ty("TEXT", "int4range", "TEXT"),
        &[(T("[1,5)"), T("[1,5)"), Same), (T("[1,5)"), T("[1,6)"), Differs), (T("empty"), Null, Differs)],
    ),
    group(
        "values that a table computes",
        ty(
            "VARCHAR(20) GENERATED ALWAYS AS (CASE WHEN id < 3 THEN CONCAT('n', id) END) STORED",
            "varchar(20) GENERATED ALWAYS AS (CASE WHEN id < 3 THEN 'n' || id::text END) STORED",
            "VARCHAR(20) GENERATED ALWAYS AS (CASE WHEN id < 3 THEN 'n' || id END) STORED",
        ),
        TEXT,
        &[(Own, T("n1"), Same), (Own, T("n1"), Differs)],
    ),
    group(
        "text with a NUL",
        ty("VARCHAR(9)", NONE, "TEXT"),
        ty("VARCHAR(9)", NONE, "TEXT"),
        &[
            (
                E("CONCAT('a', CHAR(0), 'b')", "", "'a' || char(0) || 'b'"),
                E("CONCAT('a', CHAR(0), 'b')", "", "'a' || char(0) || 'b'"),
                Same,
            ),
            (E("CONCAT('a', CHAR(0), 'b')", "", "'a' || char(0) || 'b'"), T("a"), Differs),
        ],
    ),
    group(
        "text that is none",
        ty(NONE, NONE, "TEXT"),
        BYTES,
        &[
            (E("", "", "CAST(x'c328' AS TEXT)"), B("c328"), Same),
            (E("", "", "CAST(x'c328' AS TEXT)"), B("c329"), Differs),
        ],
    ),
];
