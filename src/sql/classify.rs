//! Driver errors become [`PlaceError`]: by the codes each engine documents, never by the words of a message.

use std::io;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use super::{PlaceError, PlaceErrorKind};
use crate::config::Engine;
use crate::model::DatabaseClass;

/// What the driver's error means, in our words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) kind: PlaceErrorKind,
    pub(super) class: DatabaseClass,
    /// The connection can be used again.
    pub(super) keeps_connection: bool,
    /// The database refused a bound value; the statement as such is right.
    pub(super) bad_value: bool,
    next: &'static str,
}

impl Class {
    const fn new(kind: PlaceErrorKind, class: DatabaseClass, next: &'static str) -> Self {
        Self { kind, class, keeps_connection: true, bad_value: false, next }
    }

    const fn lost(kind: PlaceErrorKind, class: DatabaseClass, next: &'static str) -> Self {
        Self { keeps_connection: false, ..Self::new(kind, class, next) }
    }

    const fn refused_value() -> Self {
        Self { bad_value: true, ..Self::new(PlaceErrorKind::Other, DatabaseClass::Value, VALUE) }
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
const FILE_RIGHTS: &str = "check the rights of the file and its folder";
const DAMAGED: &str = "the database is damaged: check the table, and its disk";
const OWN_WORDS: &str = "see the database's own message";

/// Classifies a driver error.
pub(super) fn class(engine: Engine, error: &sqlx::Error) -> Class {
    use PlaceErrorKind::{Other, Transient};
    match error {
        sqlx::Error::Database(e) => match engine {
            Engine::MySql => {
                let number = e.try_downcast_ref::<MySqlDatabaseError>().map_or(0, MySqlDatabaseError::number);
                mysql(number)
            }
            Engine::Postgres => postgres(e.code().as_deref().unwrap_or_default()),
            Engine::Sqlite => sqlite(e.code().and_then(|code| code.parse().ok()).unwrap_or(0)),
        },
        sqlx::Error::Io(e) => stream(engine, e),
        sqlx::Error::Tls(_) => Class::lost(Other, DatabaseClass::Tls, TLS),
        sqlx::Error::Configuration(_) => Class::lost(Other, DatabaseClass::Other, "check the dsn"),
        sqlx::Error::WorkerCrashed => Class::lost(Transient, DatabaseClass::Internal, AGAIN),
        // Half-read packets and the like: the state of the connection is unknown.
        _ => Class::lost(Other, DatabaseClass::Other, "this is a fault in cupid or its driver if it stays"),
    }
}

fn stream(engine: Engine, error: &io::Error) -> Class {
    use PlaceErrorKind::{Missing, Other, Transient, Unreachable};
    // The TLS library reports through the stream.
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return Class::lost(Other, DatabaseClass::Tls, TLS);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Class::lost(Transient, DatabaseClass::Lost, AGAIN),
        io::ErrorKind::NotFound if engine == Engine::Sqlite => Class::lost(Missing, NO_FILE.0, NO_FILE.1),
        io::ErrorKind::TimedOut => Class::lost(Unreachable, DatabaseClass::Timeout, REACH),
        // Whatever the system itself reports has a number; a name that leads nowhere has none.
        _ if error.raw_os_error().is_none() => Class::lost(Unreachable, DatabaseClass::Dns, REACH),
        _ => Class::lost(Unreachable, DatabaseClass::Connect, REACH),
    }
}

const NO_FILE: (DatabaseClass, &str) =
    (DatabaseClass::MissingDatabase, "check the path and its rights; cupid never creates a database");

fn mysql(number: u16) -> Class {
    use DatabaseClass as C;
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    match number {
        1040 | 1203 | 1226 => Class::lost(Unreachable, C::TooManyConnections, BUSY),
        // Shutdown, or starting.
        1053 => Class::lost(Unreachable, C::Unavailable, BUSY),
        // This host had too many failed connections.
        1129 => Class::lost(Unreachable, C::Auth, BUSY),
        // Disk full, out of memory, no thread, too many files or prepared statements, table full.
        1021 | 1037 | 1038 | 1041 | 1114 | 1135 | 1461 => Class::lost(Unreachable, C::Resources, BUSY),
        3169 => Class::lost(Unreachable, C::Lost, BUSY),
        1927 | 1152 | 1158..=1161 | 1317 | 2006 | 2013 | 4031 => Class::lost(Transient, C::Lost, AGAIN),
        1205 | 3572 => Class::new(Transient, C::LockTimeout, AGAIN),
        1213 => Class::new(Transient, C::Deadlock, AGAIN),
        1412 | 1615 => Class::new(Transient, C::Altered, AGAIN),
        1969 | 3024 => Class::new(TooSlow, C::StatementTimeout, LESS),
        // Wrong user or password, host not allowed, password expired, account locked.
        1045 | 1130 | 1698 | 1820 | 1862 | 3118 | 4151 => Class::new(Denied, C::Auth, RIGHTS),
        1044 | 1142 | 1143 | 1227 | 1370 | 1449 | 3879 | 4161 => Class::new(Denied, C::Permission, RIGHTS),
        1049 => Class::new(Missing, C::MissingDatabase, NAMES),
        1051 | 1109 | 1146 | 1932 => Class::new(Missing, C::MissingTable, NAMES),
        1054 => Class::new(Missing, C::MissingColumn, NAMES),
        // A view whose tables, columns or rights are gone.
        1356 => Class::new(Missing, C::Schema, NAMES),
        1264 | 1265 | 1292 | 1366 | 1411 | 1525 | 3854 | 3988 => Class::refused_value(),
        // Index or table file damaged, marked as crashed.
        1034 | 1035 | 1194 | 1195 | 1712 | 1877 => Class::new(Other, C::Corrupt, DAMAGED),
        1290 | 1792 | 1836 => Class::new(Other, C::ReadOnly, OWN_WORDS),
        _ => Class::new(Other, C::Other, OWN_WORDS),
    }
}

pub(super) fn postgres(state: &str) -> Class {
    use DatabaseClass as C;
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    match state {
        "53300" => Class::lost(Unreachable, C::TooManyConnections, BUSY),
        "57P03" => Class::lost(Unreachable, C::Unavailable, BUSY),
        // An orderly shutdown, or a session that was ended by hand; and a crash.
        "57P01" | "57P02" => Class::lost(Transient, C::Unavailable, AGAIN),
        "57P04" => Class::lost(Transient, C::MissingDatabase, AGAIN),
        "57P05" | "25P03" => Class::lost(Transient, C::Lost, AGAIN),
        // The result type of a cached plan changed: the table was altered.
        "0A000" => Class::lost(Transient, C::Altered, AGAIN),
        "40001" | "40P01" => Class::new(Transient, C::Deadlock, AGAIN),
        "40003" => Class::new(Transient, C::Lost, AGAIN),
        "55P03" => Class::new(Transient, C::LockTimeout, AGAIN),
        "57014" => Class::new(TooSlow, C::StatementTimeout, LESS),
        "28000" | "28P01" => Class::new(Denied, C::Auth, RIGHTS),
        "42501" => Class::new(Denied, C::Permission, POLICY),
        "3D000" => Class::new(Missing, C::MissingDatabase, NAMES),
        "42P01" => Class::new(Missing, C::MissingTable, NAMES),
        "42703" => Class::new(Missing, C::MissingColumn, NAMES),
        // A schema, a type or a function.
        "3F000" | "42704" | "42883" => Class::new(Missing, C::Schema, NAMES),
        "08001" | "08004" => Class::lost(Unreachable, C::Connect, BUSY),
        "XX001" | "XX002" => Class::new(Other, C::Corrupt, DAMAGED),
        "25006" => Class::new(Other, C::ReadOnly, OWN_WORDS),
        s if s.starts_with("08") => Class::lost(Unreachable, C::Lost, BUSY),
        s if s.starts_with("53") => Class::lost(Unreachable, C::Resources, BUSY),
        s if s.starts_with("58") => Class::lost(Unreachable, C::Io, BUSY),
        // What reading a value of a type ends with: no number and the like, out of range, no date, no such date, zone or
        // interval, no character, none of this encoding. Other data exceptions come from the rows a view computes with.
        "22P02" | "22003" | "22007" | "22008" | "22009" | "22015" | "22021" | "22P05" => {
            Class::refused_value()
        }
        _ => Class::new(Other, C::Other, OWN_WORDS),
    }
}

fn sqlite(code: i32) -> Class {
    use DatabaseClass as C;
    use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
    // Extended codes carry the primary one in the low byte.
    match code & 0xff {
        5 | 6 | 15 => Class::new(Transient, C::LockTimeout, AGAIN),
        17 => Class::new(Transient, C::Altered, AGAIN),
        9 => Class::new(TooSlow, C::StatementTimeout, LESS),
        3 | 23 => Class::new(Denied, C::Permission, FILE_RIGHTS),
        8 => Class::new(Denied, C::ReadOnly, FILE_RIGHTS),
        10 => Class::new(Unreachable, C::Io, DISK),
        7 | 13 => Class::new(Unreachable, C::Resources, DISK),
        14 => Class::lost(Missing, NO_FILE.0, NO_FILE.1),
        // One code for a table, a column or a function that is not there, and for whatever else is wrong with a statement.
        1 => Class::new(Missing, C::Schema, NAMES),
        11 => Class::new(Other, C::Corrupt, DAMAGED),
        26 => Class::lost(Other, C::Corrupt, "the file is not an SQLite database"),
        _ => Class::new(Other, C::Other, OWN_WORDS),
    }
}

/// Wraps a driver error with its class and the next step. Values that were refused are not repeated.
pub(super) fn place_error(engine: Engine, place: &str, error: sqlx::Error) -> PlaceError {
    let class = class(engine, &error);
    if class.bad_value {
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
        let message = format!("{} (SQLSTATE {code})", class.next);
        return PlaceError::new(class.kind, place, message).of_class(class.class);
    }
    let (found, source) = match error {
        // The driver's own text says the same once more, with the line of the server's source that it came from.
        sqlx::Error::Database(e) => (format!("{}{}", one_line(e.message()), code(engine, &*e)), None),
        other => (one_line(&other.to_string()), Some(other.into())),
    };
    let message = format!("{found}; {}", class.next);
    PlaceError { kind: class.kind, class: class.class, place: place.to_owned(), message, source }
}

/// The code that the server's manual explains.
fn code(engine: Engine, error: &dyn DatabaseError) -> String {
    match (engine, error.try_downcast_ref::<MySqlDatabaseError>(), error.code()) {
        (Engine::MySql, Some(e), _) => format!(" (error {})", e.number()),
        (Engine::Postgres, _, Some(state)) => format!(" (SQLSTATE {state})"),
        _ => String::new(),
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also those that no test can provoke; `tests/it/sql/classes.rs` provokes the others.
    #[test]
    fn codes_are_classified() {
        use DatabaseClass as C;
        use PlaceErrorKind::{Denied, Missing, Other, TooSlow, Transient, Unreachable};
        let rows: [(&[u16], PlaceErrorKind, C); 20] = [
            (&[1040, 1203, 1226], Unreachable, C::TooManyConnections),
            (&[1053], Unreachable, C::Unavailable),
            (&[1129], Unreachable, C::Auth),
            (&[1021, 1037, 1038, 1041, 1114, 1135, 1461], Unreachable, C::Resources),
            (&[3169], Unreachable, C::Lost),
            (&[1927, 1152, 1158, 1160, 1161, 1317, 2006, 2013, 4031], Transient, C::Lost),
            (&[1205, 3572], Transient, C::LockTimeout),
            (&[1213], Transient, C::Deadlock),
            (&[1412, 1615], Transient, C::Altered),
            (&[1969, 3024], TooSlow, C::StatementTimeout),
            (&[1045, 1130, 1698, 1820, 1862, 3118, 4151], Denied, C::Auth),
            (&[1044, 1142, 1143, 1227, 1370, 1449, 3879], Denied, C::Permission),
            (&[1049], Missing, C::MissingDatabase),
            (&[1051, 1109, 1146, 1932], Missing, C::MissingTable),
            (&[1054], Missing, C::MissingColumn),
            (&[1356], Missing, C::Schema),
            (&[1264, 1292, 1366, 3988], Other, C::Value),
            (&[1034, 1035, 1194, 1195, 1712, 1877], Other, C::Corrupt),
            (&[1290, 1792, 1836], Other, C::ReadOnly),
            (&[0, 1064, 1267, 9999], Other, C::Other),
        ];
        for (numbers, kind, class) in rows {
            for number in numbers {
                assert_eq!((mysql(*number).kind, mysql(*number).class), (kind, class), "{number}");
            }
        }
        let rows: [(&[&str], PlaceErrorKind, C); 21] = [
            (&["53300"], Unreachable, C::TooManyConnections),
            (&["57P03"], Unreachable, C::Unavailable),
            (&["57P01", "57P02"], Transient, C::Unavailable),
            (&["57P04"], Transient, C::MissingDatabase),
            (&["57P05", "25P03", "40003"], Transient, C::Lost),
            (&["08006", "08003", "08P01"], Unreachable, C::Lost),
            (&["08001", "08004"], Unreachable, C::Connect),
            (&["53000", "53100", "53200", "53400"], Unreachable, C::Resources),
            (&["58000", "58030", "58P01"], Unreachable, C::Io),
            (&["40001", "40P01"], Transient, C::Deadlock),
            (&["55P03"], Transient, C::LockTimeout),
            (&["0A000"], Transient, C::Altered),
            (&["57014"], TooSlow, C::StatementTimeout),
            (&["28000", "28P01"], Denied, C::Auth),
            (&["42501"], Denied, C::Permission),
            (&["3D000"], Missing, C::MissingDatabase),
            (&["42P01"], Missing, C::MissingTable),
            (&["42703"], Missing, C::MissingColumn),
            (&["3F000", "42704", "42883"], Missing, C::Schema),
            (&["XX001", "XX002"], Other, C::Corrupt),
            (&["XX000", "42601", "22012", ""], Other, C::Other),
        ];
        for (states, kind, class) in rows {
            for state in states {
                assert_eq!((postgres(state).kind, postgres(state).class), (kind, class), "{state}");
            }
        }
        // Extended codes as well.
        for (code, kind, class) in [
            (5, Transient, C::LockTimeout),
            (517, Transient, C::LockTimeout),
            (6, Transient, C::LockTimeout),
            (17, Transient, C::Altered),
            (9, TooSlow, C::StatementTimeout),
            (3, Denied, C::Permission),
            (23, Denied, C::Permission),
            (8, Denied, C::ReadOnly),
            (1032, Denied, C::ReadOnly),
            (10, Unreachable, C::Io),
            (266, Unreachable, C::Io),
            (7, Unreachable, C::Resources),
            (13, Unreachable, C::Resources),
            (14, Missing, C::MissingDatabase),
            (1, Missing, C::Schema),
            (11, Other, C::Corrupt),
            (26, Other, C::Corrupt),
            (21, Other, C::Other),
        ] {
            assert_eq!((sqlite(code).kind, sqlite(code).class), (kind, class), "{code}");
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
