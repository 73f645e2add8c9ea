//! Driver errors become [`PlaceError`]: by the codes each engine documents, never by the words of a message.

use std::io;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use super::{PlaceError, PlaceErrorKind};
use crate::config::Engine;

/// What the driver's error means, in our words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) kind: PlaceErrorKind,
    /// The connection can be used again.
    pub(super) keeps_connection: bool,
    /// The database refused a bound value; the statement as such is right.
    pub(super) bad_value: bool,
    next: &'static str,
}

impl Class {
    const fn new(kind: PlaceErrorKind, next: &'static str) -> Self {
        Self { kind, keeps_connection: true, bad_value: false, next }
    }

    const fn lost(kind: PlaceErrorKind, next: &'static str) -> Self {
        Self { kind, keeps_connection: false, bad_value: false, next }
    }

    /// The statement failed only because the connection had been closed or its cached plan had become stale: on a
    /// fresh connection the same statement may run at once.
    pub(super) fn wants_fresh_connection(self) -> bool {
        !self.keeps_connection && matches!(self.kind, PlaceErrorKind::Transient | PlaceErrorKind::Unreachable)
    }
}

// What follows holds for `check`, which tries once, as well as for the daemon, which says itself that it goes on.
pub(super) const REACH: &str = "check that the server runs, and its address in the dsn";
const BUSY: &str = "the server cannot serve us now, its log says why";
const DISK: &str = "check the disk that the file is on";
const AGAIN: &str = "a repeat may succeed";
const LESS: &str = "add an index on the column that is read by, or raise the statement time limit";
const RIGHTS: &str = "check user, password and the right to SELECT";
const POLICY: &str =
    "check the right to SELECT, and if policies hide rows of the table from this user, give it BYPASSRLS";
const NAMES: &str = "check the names in the configuration against the database";
const TLS: &str = "check the server's certificate and the TLS setting of the dsn";
const VALUE: &str = "a bound value was refused";

/// Classifies a driver error.
pub(super) fn class(engine: Engine, error: &sqlx::Error) -> Class {
    use PlaceErrorKind::{Other, Transient, Unreachable};
    match error {
        sqlx::Error::Database(e) => match engine {
            Engine::MySql => {
                let number = e.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
                mysql(number)
            }
            Engine::Postgres => postgres(e.code().as_deref().unwrap_or_default()),
            Engine::Sqlite => sqlite(e.code().and_then(|code| code.parse().ok()).unwrap_or(0)),
        },
        // The TLS library reports through the stream.
        sqlx::Error::Io(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Class::lost(Other, TLS)
        }
        sqlx::Error::Io(e) => match e.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Class::lost(Transient, AGAIN),
            io::ErrorKind::NotFound if engine == Engine::Sqlite => {
                Class::lost(PlaceErrorKind::Missing, "check the path; cupid never creates a database")
            }
            _ => Class::lost(Unreachable, REACH),
        },
        sqlx::Error::Tls(_) => Class::lost(Other, TLS),
        sqlx::Error::Configuration(_) => Class::lost(Other, "check the dsn"),
        sqlx::Error::WorkerCrashed => Class::lost(Transient, AGAIN),
        // Half-read packets and the like: the state of the connection is unknown.
        _ => Class::lost(Other, "this is a fault in cupid or its driver if it stays"),
    }
}

fn mysql(number: u16) -> Class {
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    match number {
        // Too many connections (server, user), shutdown, host blocked, server starting, killed.
        1040 | 1053 | 1129 | 1203 | 1226 | 1461 | 3169 => Class::lost(Unreachable, BUSY),
        1927 | 1152 | 1158..=1161 | 1317 | 2006 | 2013 | 4031 => Class::lost(Transient, AGAIN),
        1205 | 1213 | 1412 | 1615 | 3572 => Class::new(Transient, AGAIN),
        1969 | 3024 => Class::new(TooSlow, LESS),
        1044 | 1045 | 1130 | 1142 | 1143 | 1227 | 1370 | 1449 | 1698 | 1820 | 1862 | 3118 | 3879 | 4151
        | 4161 => Class::new(Denied, RIGHTS),
        1049 | 1051 | 1054 | 1109 | 1146 | 1356 | 1932 => Class::new(Missing, NAMES),
        1264 | 1265 | 1292 | 1366 | 1411 | 1525 | 3854 | 3988 => {
            Class { bad_value: true, ..Class::new(Other, VALUE) }
        }
        _ => Class::new(Other, "see the database's own message"),
    }
}

pub(super) fn postgres(state: &str) -> Class {
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    match state {
        "53300" | "53400" | "57P03" => Class::lost(Unreachable, BUSY),
        "57P01" | "57P02" | "57P04" | "57P05" | "25P03" => Class::lost(Transient, AGAIN),
        // The result type of a cached plan changed: the table was altered.
        "0A000" => Class::lost(Transient, AGAIN),
        "40001" | "40P01" | "55P03" | "40003" => Class::new(Transient, AGAIN),
        "57014" => Class::new(TooSlow, LESS),
        "28000" | "28P01" => Class::new(Denied, RIGHTS),
        "42501" => Class::new(Denied, POLICY),
        "3D000" | "3F000" | "42P01" | "42703" | "42704" | "42883" => Class::new(Missing, NAMES),
        s if s.starts_with("08") || s.starts_with("53") || s.starts_with("58") => {
            Class::lost(Unreachable, BUSY)
        }
        // What reading a value of a type ends with: no number and the like, out of range, no date, no such date, zone or
        // interval, no character, none of this encoding. Other data exceptions come from the rows a view computes with.
        "22P02" | "22003" | "22007" | "22008" | "22009" | "22015" | "22021" | "22P05" => {
            Class { bad_value: true, ..Class::new(Other, VALUE) }
        }
        _ => Class::new(Other, "see the database's own message"),
    }
}

fn sqlite(code: i32) -> Class {
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    // Extended codes carry the primary one in the low byte.
    match code & 0xff {
        5 | 6 | 15 | 17 => Class::new(Transient, AGAIN),
        9 => Class::new(TooSlow, LESS),
        3 | 8 | 23 => Class::new(Denied, "check the rights of the file and its folder"),
        10 | 13 => Class::new(Unreachable, DISK),
        14 => Class::lost(Missing, "check the path and its rights; cupid never creates a database"),
        1 => Class::new(Missing, NAMES),
        26 => Class::lost(Other, "the file is not an SQLite database"),
        _ => Class::new(Other, "see the database's own message"),
    }
}

/// Wraps a driver error with its class and the next step. Values that were refused are not repeated.
pub(super) fn place_error(engine: Engine, place: &str, error: sqlx::Error) -> PlaceError {
    let class = class(engine, &error);
    if class.bad_value {
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        let message = format!("{} (SQLSTATE {code})", class.next);
        return PlaceError::new(class.kind, place, message);
    }
    let (found, source) = match error {
        // The driver's own text says the same once more, with the line of the server's source that it came from.
        sqlx::Error::Database(e) => (format!("{}{}", one_line(e.message()), code(engine, &*e)), None),
        other => (one_line(&other.to_string()), Some(other.into())),
    };
    let message = format!("{found}; {}", class.next);
    PlaceError { kind: class.kind, place: place.to_owned(), message, source }
}

/// The code that the server's manual explains.
fn code(engine: Engine, error: &dyn DatabaseError) -> String {
    match (engine, error.try_downcast_ref::<MySqlDatabaseError>(), error.code()) {
        (Engine::MySql, Some(e), _) => format!(" (error {})", e.number()),
        (Engine::Postgres, _, Some(state)) => format!(" (SQLSTATE {state})"),
        _ => String::new(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classified() {
        use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
        for (number, kind) in [
            (1040, Unreachable),
            (1213, Transient),
            (1969, TooSlow),
            (3024, TooSlow),
            (1142, Denied),
            (1146, Missing),
        ] {
            assert_eq!(mysql(number).kind, kind, "{number}");
        }
        for (state, kind) in [
            ("57P03", Unreachable),
            ("08006", Unreachable),
            ("40P01", Transient),
            ("57014", TooSlow),
            ("28P01", Denied),
            ("42P01", Missing),
            ("XX000", Other),
        ] {
            assert_eq!(postgres(state).kind, kind, "{state}");
        }
        for (code, kind) in [(5, Transient), (517, Transient), (9, TooSlow), (14, Missing), (26, Other)] {
            assert_eq!(sqlite(code).kind, kind, "{code}");
        }
    }

    #[test]
    fn only_values_are_refused_values() {
        for (state, refused) in
            [("22P02", true), ("22003", true), ("22012", false), ("22011", false), ("23514", false)]
        {
            assert_eq!(postgres(state).bad_value, refused, "{state}");
        }
        for (number, refused) in [(1292, true), (1267, false), (1270, false), (1271, false)] {
            assert_eq!(mysql(number).bad_value, refused, "{number}");
        }
    }

    #[test]
    fn a_lost_connection_is_retried_and_a_refusal_is_waited_for() {
        let lost = sqlx::Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(class(Engine::MySql, &lost).wants_fresh_connection());
        let refused = sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused));
        let error = place_error(Engine::MySql, "mysql h:1/db", refused);
        assert_eq!(error.kind, PlaceErrorKind::Unreachable);
        assert!(error.to_string().starts_with("mysql h:1/db: error communicating"), "{error}");
    }
}
