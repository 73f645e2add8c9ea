//! Telling the notations apart.

use std::path::Path;
use std::time::Duration;

use super::{go, pdo, place_url};
use crate::config::{Dsn, Engine, Tls};

/// Time to wait for a connection when the DSN does not say.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The notations, for messages.
pub(crate) const FORMS: &str = "user:password@tcp(host:3306)/database, mysql://user:password@host/database, \
     postgres://user:password@host/database, sqlite:file.db or mysql:host=…;dbname=…";

/// A DSN that was understood.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The result.
    pub(crate) dsn: Dsn,
    /// Parts that have no effect here, worth a note.
    pub(crate) notes: Vec<String>,
}

/// A DSN that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DsnError {
    /// What is wrong, without any part of the DSN.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
}

impl DsnError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Reads a DSN in any notation; relative SQLite files are looked for in `folder`.
pub(crate) fn parse(text: &str, folder: &Path) -> Result<Parsed, DsnError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(DsnError::new("the DSN is empty").help(format!("write one of {FORMS}")));
    }
    let parsed = match text.split_once(':') {
        // The user may be called like the beginning of another notation.
        Some((_, rest)) if is_go(rest) => go::parse(text),
        Some(("sqlite", rest)) => place_url::sqlite(rest, folder),
        Some((scheme, rest)) if rest.starts_with("//") => place_url::server(scheme, text),
        Some(("mysql", rest)) => pdo::parse(Engine::MySql, rest),
        Some(("pgsql", rest)) => pdo::parse(Engine::Postgres, rest),
        _ => go::parse(text),
    }?;
    if parsed.dsn.database.is_empty() {
        return Err(DsnError::new("the DSN does not name a database")
            .help("the name of the database comes after the last `/` (after `dbname=` in the PHP form)"));
    }
    Ok(parsed)
}

/// Whether what follows the first colon ends in a network and an address as only Go's notation writes them.
fn is_go(rest: &str) -> bool {
    let address = ["@tcp(", "@tcp4(", "@tcp6(", "@unix(", "@("].iter().find_map(|net| rest.split_once(net));
    !rest.starts_with("//") && address.is_some_and(|(_, behind)| behind.contains(")/"))
}

/// A server with every default filled in.
pub(super) fn server(engine: Engine) -> Dsn {
    Dsn {
        engine,
        host: "127.0.0.1".to_owned(),
        port: if engine == Engine::Postgres { 5432 } else { 3306 },
        socket: None,
        user: String::new(),
        password: None,
        database: String::new(),
        tls: Tls::Preferred,
        ca: None,
        connect_timeout: CONNECT_TIMEOUT,
    }
}
