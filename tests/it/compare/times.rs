//! Dates and times: instants as instants, wall clocks as written, and days that no calendar has.

use super::case::Is::{Differs, Same};
use super::case::Lit::{N, Null, T};
use super::case::{Group, NONE, Type, group, ty};

const DATE: Type = ty("DATE", "date", "DATE");
const WALL: Type = ty("DATETIME(6)", "timestamp", "DATETIME");
const WALL_SECONDS: Type = ty("DATETIME", "timestamp(0)", "DATETIME");
const INSTANT: Type = ty("TIMESTAMP(6) NULL", "timestamptz", "TIMESTAMP");
const CLOCK: Type = ty("TIME(6)", "time", "TIME");
const TEXT: Type = ty("VARCHAR(60)", "varchar(60)", "TEXT");

pub const GROUPS: &[Group] = &[
    group(
        "dates",
        DATE,
        DATE,
        &[
            (T("2024-02-29"), T("2024-02-29"), Same),
            (T("2024-02-29"), T("2024-03-01"), Differs),
            (T("1000-01-01"), T("1000-01-01"), Same),
            (T("9999-12-31"), T("9999-12-31"), Same),
            (T("9999-12-31"), Null, Differs),
        ],
    ),
    group(
        "wall clocks",
        WALL,
        WALL,
        &[
            (T("2024-01-01 00:00:00.000001"), T("2024-01-01 00:00:00.000001"), Same),
            (T("2024-01-01 00:00:00.000001"), T("2024-01-01 00:00:00"), Differs),
            (T("2024-01-01 00:00:00.5"), T("2024-01-01 00:00:00.500000"), Same),
            (T("2024-01-01 12:00:00"), T("2024-01-01 12:10:00"), Differs),
            // The hour that comes twice, and the one that never comes.
            (T("2024-11-03 01:30:00"), T("2024-11-03 01:30:00"), Same),
            (T("2024-03-10 02:30:00"), T("2024-03-10 03:30:00"), Differs),
            (T("1969-12-31 23:59:59"), T("1969-12-31 23:59:59"), Same),
            (T("2038-01-19 03:14:08"), T("2038-01-19 03:14:08"), Same),
            (Null, T("1970-01-01 00:00:00"), Differs),
        ],
    ),
    group(
        "wall clocks of two precisions",
        WALL,
        WALL_SECONDS,
        &[
            (T("2024-01-01 00:00:00.000000"), T("2024-01-01 00:00:00"), Same),
            (T("2024-01-01 00:00:00.4"), T("2024-01-01 00:00:00"), Differs),
        ],
    ),
    group(
        "wall clocks and dates",
        WALL,
        DATE,
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01"), Same),
            (T("2024-01-01 00:00:01"), T("2024-01-01"), Differs),
        ],
    ),
    group(
        "wall clocks and text",
        WALL,
        TEXT,
        &[
            (T("2024-01-01 10:00:00"), T("2024-01-01 10:00:00"), Same),
            (T("2024-01-01 10:00:00"), T("2024-01-01T10:00:00.000"), Same),
            (T("2024-01-01 10:00:00"), T("2024-01-01 10:00"), Same),
            (T("2024-01-01 10:00:00"), T("2024-01-01 10:00:01"), Differs),
            (T("2024-01-01 10:00:00"), T("01/01/2024 10:00:00"), Differs),
            (T("2024-01-01 10:00:00"), T(""), Differs),
        ],
    ),
    group(
        "instants",
        INSTANT,
        INSTANT,
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01 00:00:00"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01 08:00:00"), Differs),
            (T("2024-01-01 00:00:00.000001"), T("2024-01-01 00:00:00"), Differs),
            (T("1970-01-02 00:00:00"), Null, Differs),
        ],
    ),
    group(
        "instants and wall clocks, which stand for UTC",
        INSTANT,
        WALL,
        &[
            (T("2024-01-01 00:00:00"), T("2024-01-01 00:00:00"), Same),
            (T("2024-01-01 00:00:00"), T("2024-01-01 08:00:00"), Differs),
        ],
    ),
    group(
        "instants and text",
        ty(NONE, "timestamptz", NONE),
        TEXT,
        &[
            (T("2024-01-01 00:00:00+00"), T("2024-01-01T00:00:00Z"), Same),
            (T("2024-01-01 00:00:00+00"), T("2024-01-01 08:00:00+08:00"), Same),
            (T("2024-01-01 00:00:00+00"), T("2023-12-31T18:30:00-05:30"), Same),
            (T("2024-01-01 00:00:00+00"), T("2024-01-01 08:00:00+09:00"), Differs),
            (T("2024-01-01 00:00:00+00"), T("1704067200"), Differs),
        ],
    ),
    group(
        "days that no calendar has",
        ty("DATE", NONE, "DATE"),
        ty("DATE", NONE, "TEXT"),
        &[
            (T("0000-00-00"), T("0000-00-00"), Same),
            (T("0000-00-00"), Null, Differs),
            (T("2024-00-00"), T("2024-00-00"), Same),
            (T("2024-00-00"), T("2024-01-01"), Differs),
            (T("0000-00-00"), T("0001-01-01"), Differs),
        ],
    ),
    group(
        "times that no calendar has",
        ty("DATETIME", NONE, "DATETIME"),
        ty("DATETIME(3)", NONE, "DATETIME"),
        &[
            (T("0000-00-00 00:00:00"), T("0000-00-00 00:00:00.000"), Same),
            (T("0000-00-00 00:00:00"), Null, Differs),
            (T("0000-00-00 00:00:00"), T("1970-01-01 00:00:00"), Differs),
        ],
    ),
    group(
        "a zero date and what PostgreSQL gets for it",
        ty("DATE", NONE, NONE),
        ty(NONE, "date", NONE),
        &[(T("0000-00-00"), Null, Differs), (T("0000-00-00"), T("0001-01-01"), Differs), (Null, Null, Same)],
    ),
    group(
        "a zero timestamp",
        ty("TIMESTAMP NULL", NONE, NONE),
        ty("DATETIME", "timestamptz", "TEXT"),
        &[(N("0"), Null, Differs), (N("0"), T("1970-01-01 00:00:00"), Differs)],
    ),
    group(
        "before Christ, beyond 9999, infinity",
        ty(NONE, "timestamp", NONE),
        ty(NONE, "timestamptz", "DATETIME"),
        &[
            (T("0044-03-15 12:00:00 BC"), T("0044-03-15 12:00:00 BC"), Same),
            (T("0044-03-15 12:00:00 BC"), T("0044-03-15 12:00:00"), Differs),
            (T("12000-01-01 00:00:00"), T("12000-01-01 00:00:00"), Same),
            (T("12000-01-01 00:00:00"), T("2000-01-01 00:00:00"), Differs),
            (T("infinity"), T("infinity"), Same),
            (T("infinity"), T("-infinity"), Differs),
            (T("infinity"), Null, Differs),
            (T("infinity"), T("9999-12-31 23:59:59"), Differs),
            (T("0001-01-01 00:00:00"), T("0001-01-01 00:00:00"), Same),
        ],
    ),
    group(
        "odd days",
        ty(NONE, "date", NONE),
        ty(NONE, "timestamp", "DATE"),
        &[
            (T("infinity"), T("infinity"), Same),
            (T("4713-01-01 BC"), T("4713-01-01 BC"), Same),
            (T("4713-01-01 BC"), T("4713-01-01"), Differs),
            (T("12000-01-01"), T("12000-01-01"), Same),
        ],
    ),
    group(
        "times of day",
        CLOCK,
        CLOCK,
        &[
            (T("00:00:00"), T("00:00:00"), Same),
            (T("01:02:03.5"), T("01:02:03.500000"), Same),
            (T("01:02:03.000001"), T("01:02:03"), Differs),
            (T("23:59:59"), T("00:00:00"), Differs),
            (T("00:00:00"), Null, Differs),
            (T("24:00:00"), T("24:00:00"), Same),
            (T("24:00:00"), T("00:00:00"), Differs),
        ],
    ),
    group(
        "more than a day",
        ty("TIME(6)", NONE, "TIME"),
        ty("TIME(6)", "interval", "TEXT"),
        &[
            (T("838:59:59"), T("838:59:59"), Same),
            (T("-838:59:59"), T("-838:59:59"), Same),
            (T("-00:00:01"), T("00:00:01"), Differs),
            (T("100:00:00"), T("10:00:00"), Differs),
            (T("-01:02:03.5"), T("-01:02:03.5"), Same),
        ],
    ),
    group(
        "times of day and text",
        CLOCK,
        TEXT,
        &[
            (T("01:02:03"), T("01:02:03.000"), Same),
            (T("01:02:03"), T("1:02:03"), Differs),
            (T("00:00:00"), T(""), Differs),
        ],
    ),
    group(
        "intervals",
        ty(NONE, "interval", NONE),
        ty("VARCHAR(60)", "interval", "TEXT"),
        &[
            (T("1 year 2 days 03:04:05"), T("1 year 2 days 03:04:05"), Same),
            (T("1 day"), T("24:00:00"), Differs),
            (T("1 mon"), T("30 days"), Differs),
            (T("-00:00:00.5"), T("-00:00:00.5"), Same),
        ],
    ),
    group(
        "times with a zone",
        ty(NONE, "timetz", NONE),
        ty("VARCHAR(60)", "timetz", "TEXT"),
        &[(T("01:02:03+05:30"), T("01:02:03+05:30"), Same), (T("01:02:03+00"), T("01:02:03+01"), Differs)],
    ),
];
