//! Numbers: scale, size, sign, what is no number, and what passes for one.

use super::case::Is::{Differs, Same};
use super::case::Lit::{E, N, Null, T};
use super::case::{Group, NONE, Type, group, ty};

const INT: Type = ty("BIGINT", "bigint", "INTEGER");
const SMALL: Type = ty("SMALLINT", "smallint", "SMALLINT");
const UNSIGNED: Type = ty("BIGINT UNSIGNED", "numeric(20)", "TEXT");
const DEC: Type = ty("DECIMAL(30,4)", "numeric(30,4)", "TEXT");
const DEC_WIDE: Type = ty("DECIMAL(65,30)", "numeric", "TEXT");
const DEC_TWO: Type = ty("DECIMAL(10,2)", "numeric(10,2)", "DECIMAL(10,2)");
const SINGLE: Type = ty("FLOAT", "real", NONE);
const DOUBLE: Type = ty("DOUBLE", "double precision", "REAL");
const TEXT: Type = ty("VARCHAR(90)", "varchar(90)", "VARCHAR(90)");

pub const GROUPS: &[Group] = &[
    group(
        "integers",
        INT,
        INT,
        &[
            (N("0"), N("0"), Same),
            (N("1"), N("2"), Differs),
            (N("-1"), N("1"), Differs),
            (N("9223372036854775807"), N("9223372036854775807"), Same),
            (N("9223372036854775807"), N("9223372036854775806"), Differs),
            (N("-9223372036854775808"), N("-9223372036854775808"), Same),
            (N("-9223372036854775808"), N("9223372036854775807"), Differs),
            // Above 2^53, where a double stops telling integers apart.
            (N("9007199254740993"), N("9007199254740992"), Differs),
            // Eleven digits are not enough.
            (N("1234567890123"), N("1234567890124"), Differs),
            (Null, N("0"), Differs),
            (Null, Null, Same),
        ],
    ),
    group(
        "integers of two widths",
        INT,
        SMALL,
        &[(N("-32768"), N("-32768"), Same), (N("32768"), N("-32768"), Differs)],
    ),
    group(
        "unsigned integers",
        UNSIGNED,
        UNSIGNED,
        &[
            (T("18446744073709551615"), T("18446744073709551615"), Same),
            (T("18446744073709551615"), T("18446744073709551614"), Differs),
            (T("9223372036854775808"), T("9223372036854775807"), Differs),
            (T("9223372036854775808"), T("9223372036854775808"), Same),
            (T("0"), T("0"), Same),
        ],
    ),
    group(
        "an unsigned integer that wrapped",
        UNSIGNED,
        INT,
        &[(T("18446744073709551615"), N("-1"), Differs), (T("7"), N("7"), Same)],
    ),
    group(
        "decimals",
        DEC,
        ty("DECIMAL(30,4)", "numeric(30,4)", NONE),
        &[
            (T("3000.0"), T("3000.0000"), Same),
            (T("0.0000"), T("-0.0"), Same),
            (T("-0.0001"), T("0.0001"), Differs),
            (T("99999999999.12"), T("99999999999.13"), Differs),
            (T("12345678901234567890123456.7891"), T("12345678901234567890123456.7892"), Differs),
            (T("12345678901234567890123456.7891"), T("12345678901234567890123456.7891"), Same),
            (Null, T("0"), Differs),
        ],
    ),
    group(
        "decimals of two scales",
        DEC_TWO,
        DEC_WIDE,
        &[
            (N("3000.00"), T("3000.000000"), Same),
            (N("1.50"), T("1.5"), Same),
            (N("0.10"), T("0.100000000000000000000000000001"), Differs),
            (N("-1.25"), T("-1.25"), Same),
            // Rounded away on one side.
            (N("1.23"), T("1.234"), Differs),
        ],
    ),
    group(
        "decimals and integers",
        DEC_WIDE,
        INT,
        &[(T("5.000"), N("5"), Same), (T("5.001"), N("5"), Differs), (T("-0"), N("0"), Same)],
    ),
    group(
        "decimals that are no number",
        ty(NONE, "numeric", "TEXT"),
        ty(NONE, "numeric", "TEXT"),
        &[
            (T("NaN"), T("NaN"), Same),
            (T("NaN"), Null, Differs),
            (T("Infinity"), T("Infinity"), Same),
            (T("Infinity"), T("-Infinity"), Differs),
            (T("NaN"), T("0"), Differs),
        ],
    ),
    group(
        "doubles",
        DOUBLE,
        DOUBLE,
        &[
            (N("0.1"), N("0.1"), Same),
            (N("0.1"), N("0.10000000000000001"), Same),
            (N("0.30000000000000004"), N("0.3"), Differs),
            (N("1e300"), N("1e300"), Same),
            (N("1e300"), N("1.0000000000000001e300"), Same),
            (N("1.0000000000000002"), N("1"), Differs),
            (N("1e-300"), N("0"), Differs),
            (N("1e-7"), N("0"), Differs),
            (N("5e-324"), N("5e-324"), Same),
            (N("5e-324"), N("1e-323"), Differs),
            (E("-0e0", "'-0'", "-0.0"), N("0"), Same),
            (N("9007199254740992"), N("9007199254740994"), Differs),
            (N("0"), Null, Differs),
        ],
    ),
    group(
        "doubles that are no number",
        ty(NONE, "double precision", "REAL"),
        ty(NONE, "double precision", "REAL"),
        &[
            (E("", "'Infinity'", "9e999"), E("", "'Infinity'", "9e999"), Same),
            (E("", "'Infinity'", "9e999"), E("", "'-Infinity'", "-9e999"), Differs),
            (E("", "'Infinity'", "9e999"), N("1.7976931348623157e308"), Differs),
        ],
    ),
    group(
        "NaN",
        ty(NONE, "double precision", NONE),
        ty(NONE, "double precision", "TEXT"),
        &[(T("NaN"), T("NaN"), Same), (T("NaN"), T("0"), Differs), (T("NaN"), Null, Differs)],
    ),
    group(
        "doubles and decimals",
        DOUBLE,
        DEC_WIDE,
        &[
            (N("0.1"), T("0.1"), Same),
            (N("0.1"), T("0.100000000000000005"), Differs),
            (N("1e20"), T("100000000000000000000"), Same),
            (N("-1.5"), T("-1.5000"), Same),
            (N("0.3333333333333333"), T("0.3333333333333333"), Same),
            (N("0.3333333333333333"), T("0.33"), Differs),
            (N("9223372036854775808"), T("9223372036854775808"), Same),
            (N("9223372036854775808"), T("9223372036854775807"), Differs),
        ],
    ),
    group(
        "doubles and integers",
        DOUBLE,
        INT,
        &[
            (N("5"), N("5"), Same),
            (N("5.5"), N("5"), Differs),
            (N("9007199254740992"), N("9007199254740993"), Differs),
            (N("9007199254740992"), N("9007199254740992"), Same),
            (N("1e18"), N("1000000000000000000"), Same),
            (N("4611686018427387904"), N("4611686018427387904"), Same),
            (N("4611686018427387904"), N("4611686018427387905"), Differs),
        ],
    ),
    group(
        "singles",
        SINGLE,
        SINGLE,
        &[
            (N("0.1"), N("0.1"), Same),
            (N("16777216"), N("16777218"), Differs),
            (N("1e38"), N("1e38"), Same),
            (N("0.1"), N("0.10000001"), Differs),
            (E("-0e0", "'-0'", ""), N("0"), Same),
            (N("0"), Null, Differs),
        ],
    ),
    group(
        "singles and doubles",
        SINGLE,
        DOUBLE,
        &[
            // Copied as text, and copied as the number it exactly is.
            (N("0.1"), N("0.1"), Same),
            (N("0.1"), N("0.10000000149011612"), Same),
            (N("0.1"), N("0.1000000014"), Differs),
            (N("0.1"), N("0.10000001"), Differs),
            (N("0.25"), N("0.25"), Same),
            (N("3e38"), N("3e38"), Same),
            (N("3e38"), N("1e300"), Differs),
            (N("0"), N("1e-300"), Differs),
            (N("16777216"), N("16777217"), Differs),
        ],
    ),
    group(
        "singles and decimals",
        SINGLE,
        DEC_WIDE,
        &[
            (N("0.1"), T("0.1"), Same),
            (N("0.1"), T("0.1000000015"), Differs),
            (N("2.5"), T("2.50"), Same),
            (N("33.3"), T("33"), Differs),
        ],
    ),
    group(
        "singles and integers",
        SINGLE,
        INT,
        &[
            (N("5"), N("5"), Same),
            (N("16777216"), N("16777217"), Differs),
            (N("16777216"), N("16777216"), Same),
        ],
    ),
    group(
        "infinite singles",
        ty(NONE, "real", NONE),
        DOUBLE,
        &[(T("Infinity"), N("1e300"), Differs), (T("NaN"), N("0"), Differs)],
    ),
    group(
        "numbers and text",
        INT,
        TEXT,
        &[
            (N("5"), T("5"), Same),
            (N("5"), T("5 "), Differs),
            (N("5"), T(""), Differs),
            (N("0"), T(""), Differs),
            (N("0"), T("abc"), Differs),
            (N("5"), T("5x"), Differs),
            (N("9007199254740993"), T("9007199254740992"), Differs),
            (Null, T("NULL"), Differs),
            (Null, T(""), Differs),
        ],
    ),
    group(
        "decimals and text",
        ty("DECIMAL(30,4)", "numeric(30,4)", NONE),
        TEXT,
        &[
            (T("1.5000"), T("1.5"), Same),
            (T("1.5000"), T("1.50"), Same),
            (T("1.5"), T("1,5"), Differs),
            (T("1000000.0000"), T("1e6"), Same),
        ],
    ),
    group(
        "doubles and text",
        DOUBLE,
        TEXT,
        &[(N("0.1"), T("0.1"), Same), (N("1e20"), T("1e+20"), Same), (N("1e20"), T("1e21"), Differs)],
    ),
    group(
        "years",
        ty("YEAR", NONE, NONE),
        ty("YEAR", "smallint", "INTEGER"),
        &[
            (N("2024"), N("2024"), Same),
            (T("0000"), N("0"), Same),
            (N("1901"), N("2001"), Differs),
            (T("0000"), Null, Differs),
        ],
    ),
    group(
        "money",
        ty(NONE, "money", NONE),
        ty("DECIMAL(20,2)", "numeric(20,2)", "TEXT"),
        &[
            (T("1234567.50"), T("1234567.50"), Same),
            (T("-0.05"), T("-0.05"), Same),
            (T("1.00"), T("100"), Differs),
            (T("12.34"), T("12.35"), Differs),
        ],
    ),
    group(
        "money and money",
        ty(NONE, "money", NONE),
        ty(NONE, "money", NONE),
        &[(T("1234.50"), T("1234.50"), Same), (T("1234.50"), T("-1234.50"), Differs)],
    ),
    group(
        "zerofill",
        ty("INT(8) ZEROFILL", NONE, NONE),
        INT,
        &[(N("42"), N("42"), Same), (N("42"), N("24"), Differs)],
    ),
    group(
        "what SQLite makes of a number in a text column",
        ty(NONE, NONE, "TEXT"),
        ty(NONE, NONE, "TEXT"),
        &[
            (T("0123"), T("123"), Differs),
            (T("1.0"), T("1"), Differs),
            (T("1e3"), T("1000"), Differs),
            (T("+5"), T("5"), Differs),
            (N("5"), T("5"), Same),
        ],
    ),
    group(
        "SQLite columns without a type",
        ty(NONE, NONE, ""),
        ty(NONE, NONE, ""),
        &[
            (T("05"), T("5"), Differs),
            (T("1.0"), T("1"), Differs),
            (N("5"), N("5"), Same),
            (N("5"), N("5.0"), Same),
            (N("5"), N("5.5"), Differs),
            (T("a"), N("0"), Differs),
            (Null, T(""), Differs),
        ],
    ),
    group(
        "a SQLite column without a type and one of text",
        ty(NONE, NONE, ""),
        ty(NONE, NONE, "TEXT"),
        &[
            (N("5"), T("5"), Same),
            (N("100.0"), N("100.0"), Same),
            (N("1e20"), N("1e20"), Same),
            (T("05"), T("5"), Differs),
        ],
    ),
    group(
        "a SQLite number and text",
        ty(NONE, NONE, "NUMERIC"),
        ty("VARCHAR(20)", "text", "TEXT"),
        &[
            (T("1.50"), T("1.50"), Same),
            (T("1.50"), T("1.51"), Differs),
            (T("abc"), T("abc"), Same),
            (T("abc"), T("ABC"), Differs),
        ],
    ),
    group(
        "text that looks like a number",
        TEXT,
        TEXT,
        &[
            (T("0123"), T("123"), Differs),
            (T("1.0"), T("1"), Differs),
            (T("0"), T("-0"), Differs),
            (T("1e3"), T("1000"), Differs),
            (T("0x10"), T("16"), Differs),
            (T("NaN"), T("nan"), Differs),
            // A phone number.
            (T("+8613800138000"), T("8613800138000"), Differs),
        ],
    ),
];
