//! Data source names: the Go driver's, PHP's and URLs become one [`Dsn`].
//!
//! Messages never quote any part of a DSN: what looks like a host may be half of a password.

mod go;
mod params;
mod pdo;
mod place_url;

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::{Dsn, Engine, Tls};

/// Time to wait for a connection when the DSN does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
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

/// A server with every default filled in.
fn server(engine: Engine) -> Dsn {
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

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn host_and_port(address: &str, default: u16) -> Result<(String, u16), DsnError> {
    let bad_port = || DsnError::new("the port is not a number from 1 to 65535");
    let bad_address =
        || DsnError::new("the address is not host:port").help("write an IPv6 address as [::1]:3306");
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(bad_address)?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port),
            None if port.is_empty() => None,
            None => return Err(bad_address()),
        };
        (host, port)
    } else {
        match address.split_once(':') {
            Some((_, rest)) if rest.contains(':') => return Err(bad_address()),
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    let port = match port {
        None | Some("") => default,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad_port)?,
    };
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '(' | ')' | '?' | '#');
    if host.contains(odd) {
        return Err(bad_address());
    }
    Ok((if host.is_empty() { "127.0.0.1".to_owned() } else { host.to_owned() }, port))
}

/// Undoes `%XX` (and `+`, if asked); the error names the part.
pub(crate) fn decode(text: &str, plus_is_space: bool, part: &str) -> Result<String, DsnError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex
                    .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(byte.ok_or_else(|| {
                    DsnError::new(format!("a `%` in the {part} is not followed by two hexadecimal digits"))
                        .help("write a plain percent sign as %25")
                })?);
                rest = &after[2..];
            }
            b'+' if plus_is_space => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| DsnError::new(format!("the {part} is not UTF-8")))
}

/// An absolute path without `.` and `..`.
pub(crate) fn absolute(path: &Path, folder: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
