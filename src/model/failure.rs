//! Why something failed: a class out of a small closed set, and the group that people count it in. Receivers have their
//! classes in [`super::ErrorClass`], databases theirs here; no two of them share a word.

/// Where a failure belongs when people count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorGroup {
    /// The other side could not be reached or does not let us in, or the connection broke.
    Connection,
    /// What was to be sent or read cannot be, or is not as it must be.
    Data,
    /// The other side is there and does not work.
    System,
    /// The other side works and says no.
    Business,
}

impl ErrorGroup {
    /// Every group.
    pub const ALL: [Self; 4] = [Self::Connection, Self::Data, Self::System, Self::Business];

    /// The word used in logs, in the API and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Data => "data",
            Self::System => "system",
            Self::Business => "business",
        }
    }
}

/// Why a database, or what it holds, cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DatabaseClass {
    /// Its name could not be resolved.
    Dns,
    /// Refused, or no way to it.
    Connect,
    /// No answer in time: to the connection, or to a statement that the server should have ended long before.
    Timeout,
    /// The connection broke, or somebody ended it.
    Lost,
    /// TLS handshake or certificate.
    Tls,
    /// User or password is wrong, the account is locked, or this address may not come in.
    Auth,
    /// It is starting, or shutting down.
    Unavailable,
    /// It has as many connections as it, or this user, may have.
    TooManyConnections,
    /// It is out of memory, disk or something else it needs.
    Resources,
    /// Its disk fails.
    Io,
    /// It is damaged, or no database.
    Corrupt,
    /// Something that the table needs would have to write, and may not.
    ReadOnly,
    /// A statement ran into its time limit.
    StatementTimeout,
    /// Somebody else held a lock for too long.
    LockTimeout,
    /// A deadlock, or a conflict with another transaction.
    Deadlock,
    /// A right is missing.
    Permission,
    /// There is no such database.
    MissingDatabase,
    /// There is no such table.
    MissingTable,
    /// There is no such column.
    MissingColumn,
    /// Table and columns are there, and not as they must be: another type, no usable key, a view that is broken.
    Schema,
    /// The table was altered while it was read.
    Altered,
    /// A value was refused.
    Value,
    /// The ids of the source have begun anew.
    IdsAnew,
    /// What both sides say is in doubt: the source seems to have lost its rows.
    InDoubt,
    /// A fault of cupid itself, or of its state.
    Internal,
    /// Anything else.
    Other,
}

impl DatabaseClass {
    /// Every class.
    pub const ALL: [Self; 26] = [
        Self::Dns,
        Self::Connect,
        Self::Timeout,
        Self::Lost,
        Self::Tls,
        Self::Auth,
        Self::Unavailable,
        Self::TooManyConnections,
        Self::Resources,
        Self::Io,
        Self::Corrupt,
        Self::ReadOnly,
        Self::StatementTimeout,
        Self::LockTimeout,
        Self::Deadlock,
        Self::Permission,
        Self::MissingDatabase,
        Self::MissingTable,
        Self::MissingColumn,
        Self::Schema,
        Self::Altered,
        Self::Value,
        Self::IdsAnew,
        Self::InDoubt,
        Self::Internal,
        Self::Other,
    ];

    /// Where it belongs.
    pub fn group(self) -> ErrorGroup {
        match self {
            Self::Dns | Self::Connect | Self::Timeout | Self::Lost | Self::Tls | Self::Auth => {
                ErrorGroup::Connection
            }
            Self::MissingDatabase
            | Self::MissingTable
            | Self::MissingColumn
            | Self::Schema
            | Self::Altered
            | Self::Value => ErrorGroup::Data,
            Self::Unavailable
            | Self::TooManyConnections
            | Self::Resources
            | Self::Io
            | Self::Corrupt
            | Self::ReadOnly
            | Self::StatementTimeout
            | Self::LockTimeout
            | Self::Deadlock
            | Self::Internal
            | Self::Other => ErrorGroup::System,
            Self::Permission | Self::IdsAnew | Self::InDoubt => ErrorGroup::Business,
        }
    }

    /// The word used in the state, in logs, in alerts and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "db_dns",
            Self::Connect => "db_connect",
            Self::Timeout => "db_timeout",
            Self::Lost => "db_lost",
            Self::Tls => "db_tls",
            Self::Auth => "db_auth",
            Self::Unavailable => "db_unavailable",
            Self::TooManyConnections => "db_too_many_connections",
            Self::Resources => "db_resources",
            Self::Io => "db_io",
            Self::Corrupt => "db_corrupt",
            Self::ReadOnly => "db_read_only",
            Self::StatementTimeout => "db_statement_timeout",
            Self::LockTimeout => "db_lock_timeout",
            Self::Deadlock => "db_deadlock",
            Self::Permission => "db_permission",
            Self::MissingDatabase => "db_missing_database",
            Self::MissingTable => "db_missing_table",
            Self::MissingColumn => "db_missing_column",
            Self::Schema => "db_schema",
            Self::Altered => "db_altered",
            Self::Value => "db_value",
            Self::IdsAnew => "db_ids_anew",
            Self::InDoubt => "db_in_doubt",
            Self::Internal => "internal",
            Self::Other => "db_other",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::ErrorClass;

    #[test]
    fn no_two_classes_share_a_word() {
        let receivers = ErrorClass::ALL.into_iter().map(ErrorClass::as_str);
        let databases = DatabaseClass::ALL.into_iter().map(DatabaseClass::as_str);
        let all: Vec<&str> = receivers.chain(databases).collect();
        let once: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(once.len(), all.len());
        assert_eq!(all.len(), 13 + 26);
    }

    #[test]
    fn every_group_has_classes_of_databases() {
        let groups: BTreeSet<ErrorGroup> = DatabaseClass::ALL.into_iter().map(DatabaseClass::group).collect();
        assert_eq!(groups.into_iter().collect::<Vec<_>>(), ErrorGroup::ALL);
    }
}
