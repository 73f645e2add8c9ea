//! PHP's form: `mysql:host=…;port=…;dbname=…`; user and password usually stand beside it.

use super::{DsnError, Parsed, params, server};
use crate::base::secret::Secret;
use crate::config::Engine;

pub(super) fn parse(engine: Engine, text: &str) -> Result<Parsed, DsnError> {
    let mut dsn = server(engine);
    let mut notes = Vec::new();
    // PHP writes a semicolon inside a value as two.
    let text = text.replace(";;", "\u{0}");
    for pair in text.split(';').map(|pair| pair.replace('\u{0}', ";")) {
        if pair.trim().is_empty() {
            continue;
        }
        let Some((key, value)) = pair.split_once('=') else {
            return Err(DsnError::new("a part of the DSN is not key=value")
                .help("write mysql:host=127.0.0.1;port=3306;dbname=shop"));
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "host" if engine == Engine::Postgres && value.starts_with('/') => {
                dsn.socket = Some(value.into());
                dsn.host = String::new();
            }
            "host" => value.clone_into(&mut dsn.host),
            "port" => {
                dsn.port = value
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| DsnError::new("the port is not a number from 1 to 65535"))?;
            }
            "dbname" => value.clone_into(&mut dsn.database),
            "unix_socket" if engine == Engine::MySql => {
                dsn.socket = Some(value.into());
                dsn.host = String::new();
            }
            "user" => value.clone_into(&mut dsn.user),
            "password" => dsn.password = Some(Secret::new(value.to_owned())),
            "charset" => {}
            _ if engine == Engine::Postgres && params::postgres(&mut dsn, key, value)? => {}
            _ => notes.push(params::unused(key)),
        }
    }
    params::finish(&mut dsn);
    Ok(Parsed { dsn, notes })
}
