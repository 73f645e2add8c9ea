//! Keys that are decided and not built yet: they are refused by name, so that nobody believes them to work.

use super::Scope::{Connection, Destination, Source, Task, Top};
use super::{Key, Kind, Scope, Status};

// The kind only says that a value may hold a password.
const fn later(name: &'static str, scopes: &'static [Scope]) -> Key {
    Key {
        status: Status::Later,
        ..Key::new(name, scopes, Kind::Dsn, "", "Not available in this version.", "当前版本尚不支持。")
    }
}

const PLACE: &[Scope] = &[Source, Destination, Connection];

pub(super) const KEYS: &[Key] = &[
    later("include", &[Top]),
    later("web", &[Top]),
    later("schedule", &[Source, Task, Connection, Top]),
    later("zone", &[Destination]),
    later("where", &[Source, Task]),
    later("write", &[Destination]),
    later("deletedWhen", &[Destination]),
    later("http", PLACE),
    later("file", PLACE),
    later("sftp", PLACE),
    later("kafka", PLACE),
    later("mqtt", PLACE),
    later("redis", PLACE),
    later("listen", PLACE),
];
