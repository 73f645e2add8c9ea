//! `user:password@tcp(host:3306)/database?param=value`, by the rules of Go's MySQL driver: the last `/` ends the
//! address, the last `@` before it ends the password, the first `:` before that ends the user.

use super::{DsnError, Parsed, decode, host_and_port, params, server};
use crate::base::secret::Secret;
use crate::config::Engine;

pub(super) fn parse(text: &str) -> Result<Parsed, DsnError> {
    let Some(slash) = text.rfind('/') else {
        return Err(DsnError::new("the DSN has no `/` before the name of the database")
            .help(format!("write one of {}", super::FORMS)));
    };
    let (left, right) = (&text[..slash], &text[slash + 1..]);
    if let Some(question) = left.find('?')
        && left[..question].contains(")/")
    {
        return Err(DsnError::new("a parameter of the DSN contains a `/`")
            .help("write it as %2F, for example loc=Asia%2FShanghai"));
    }
    let mut dsn = server(Engine::MySql);
    let address = match left.rfind('@') {
        None => left,
        Some(at) => {
            match left[..at].split_once(':') {
                None => dsn.user = left[..at].to_owned(),
                Some((user, password)) => {
                    dsn.user = user.to_owned();
                    dsn.password = Some(Secret::new(password.to_owned()));
                }
            }
            &left[at + 1..]
        }
    };
    let (net, address) = match address.split_once('(') {
        None => (address, ""),
        Some((net, rest)) => match rest.strip_suffix(')') {
            Some(inside) => (net, inside),
            None => {
                return Err(DsnError::new("the address of the DSN does not end in `)` right before the `/`")
                    .help("write it as tcp(host:3306)/database"));
            }
        },
    };
    match net {
        "" | "tcp" | "tcp4" | "tcp6" => {
            (dsn.host, dsn.port) = host_and_port(address, dsn.port)?;
        }
        "unix" => {
            let path = if address.is_empty() { "/tmp/mysql.sock" } else { address };
            dsn.socket = Some(path.into());
            dsn.host = String::new();
        }
        _ => {
            return Err(DsnError::new("the network of the DSN is neither `tcp` nor `unix`")
                .help("write user:password@tcp(host:3306)/database or user:password@unix(/run/mysqld/mysqld.sock)/database"));
        }
    }
    let (database, query) = right.split_once('?').unwrap_or((right, ""));
    dsn.database = decode(database, false, "name of the database")?;
    let notes = params::go(&mut dsn, query)?;
    Ok(Parsed { dsn, notes })
}
