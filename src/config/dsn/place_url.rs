//! URLs: `mysql://`, `mariadb://`, `postgres://`, `postgresql://` and `sqlite:`.

use std::path::Path;

use super::{DsnError, Parsed, absolute, decode, host_and_port, params};
use crate::base::secret::Secret;
use crate::config::{Engine, Tls};

/// A URL of a database server. Taken apart by hand, because passwords written without escapes are common and a
/// strict parser's messages would not say what to do about them.
pub(super) fn server(scheme: &str, text: &str) -> Result<Parsed, DsnError> {
    let engine = match scheme.to_ascii_lowercase().as_str() {
        "mysql" | "mariadb" => Engine::MySql,
        "postgres" | "postgresql" | "pgsql" => Engine::Postgres,
        _ => {
            return Err(DsnError::new("the URL does not begin with a kind of database that is known")
                .help("mysql://, mariadb://, postgres://, postgresql:// and sqlite: are"));
        }
    };
    let rest = &text[scheme.len() + "://".len()..];
    if rest.contains('#') {
        return Err(
            DsnError::new("the URL contains a `#`").help("write it as %23, or give `password` beside `dsn`")
        );
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before.split_once('/').unwrap_or((before, ""));
    if !before.contains(['/', '@']) && query.contains('@') {
        return Err(DsnError::new("the user or password in the URL contains a `?`")
            .help("write it as %3F, or give `password` beside `dsn`"));
    }
    if database.contains('@') {
        return Err(DsnError::new("the user or password in the URL contains a `/`")
            .help("write it as %2F, or give `password` beside `dsn`"));
    }
    let mut dsn = super::server(engine);
    let address = match authority.rsplit_once('@') {
        None => authority,
        Some((account, address)) => {
            let (user, password) = match account.split_once(':') {
                None => (account, None),
                Some((user, password)) => (user, Some(password)),
            };
            dsn.user = decode(user, false, "user")?;
            let password = password.map(|password| decode(password, false, "password")).transpose()?;
            dsn.password = password.map(Secret::new);
            address
        }
    };
    // An escaped address is a folder with a socket: postgres://%2Frun%2Fpostgresql/shop.
    let address = decode(address, false, "address")?;
    if address.starts_with('/') {
        dsn.socket = Some(address.into());
        dsn.host = String::new();
    } else {
        (dsn.host, dsn.port) = host_and_port(&address, dsn.port)?;
    }
    dsn.database = decode(database.trim_end_matches('/'), false, "name of the database")?;
    let mut notes = Vec::new();
    for pair in params::pairs(query) {
        let (key, value) = pair?;
        let known = match (key.as_str(), engine) {
            ("user", _) => {
                dsn.user = value;
                true
            }
            ("password", _) => {
                dsn.password = Some(Secret::new(value));
                true
            }
            (key, Engine::Postgres) => params::postgres(&mut dsn, key, &value)?,
            (key, _) => params::mysql(&mut dsn, key, &value)?,
        };
        if !known && !params::is_silent(&key) {
            notes.push(params::unused(&key));
        }
    }
    params::finish(&mut dsn);
    Ok(Parsed { dsn, notes })
}

/// What stands behind `sqlite:`.
pub(super) fn sqlite(rest: &str, folder: &Path) -> Result<Parsed, DsnError> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (file, query) = rest.split_once('?').unwrap_or((rest, ""));
    if file == ":memory:" || query.contains("mode=memory") {
        return Err(DsnError::new("a SQLite database in memory cannot be watched").help(
            "name a file: sqlite:shop.db (in the folder of the configuration) or sqlite:/path/shop.db",
        ));
    }
    if file.is_empty() {
        return Err(DsnError::new("the DSN does not name a SQLite file")
            .help("write sqlite:shop.db or sqlite:/path/shop.db"));
    }
    let mut dsn = super::server(Engine::Sqlite);
    let file = decode(file, false, "file name").unwrap_or_else(|_| file.to_owned());
    dsn.database = absolute(Path::new(&file), folder).to_string_lossy().into_owned();
    dsn.host = String::new();
    dsn.port = 0;
    dsn.tls = Tls::Off;
    let mut notes = Vec::new();
    for pair in params::pairs(query) {
        let (key, _) = pair?;
        if !matches!(key.as_str(), "mode" | "cache" | "immutable") {
            notes.push(params::unused(&key));
        }
    }
    Ok(Parsed { dsn, notes })
}
