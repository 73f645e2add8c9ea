//! What the parameters of a DSN mean here.

use std::time::Duration;

use super::{DsnError, decode};
use crate::config::{Dsn, Tls, duration};

/// Parameters of the Go driver that have no meaning here and do no harm.
const GO_SILENT: &[&str] = &[
    "allowAllFiles",
    "allowCleartextPasswords",
    "allowFallbackToPlaintext",
    "allowNativePasswords",
    "allowOldPasswords",
    "charset",
    "checkConnLiveness",
    "clientFoundRows",
    "collation",
    "columnsWithAlias",
    "compress",
    "connectionAttributes",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "serverPubKey",
    "timeTruncate",
    "writeTimeout",
];

/// URL parameters that have no meaning here and do no harm.
const URL_SILENT: &[&str] = &[
    "application_name",
    "charset",
    "collation",
    "fallback_application_name",
    "parseTime",
    "pool_max_conns",
    "statement-cache-capacity",
    "timezone",
];

/// The note on a parameter without effect.
pub(super) fn unused(key: &str) -> String {
    let plain =
        key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if plain {
        format!("the DSN parameter `{key}` has no effect")
    } else {
        "a parameter of the DSN has no effect".to_owned()
    }
}

/// `key=value&…`, decoded.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = Result<(String, String), DsnError>> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(key, true, "parameters")?, decode(value, true, "parameters")?))
    })
}

/// The Go driver's parameters; the result are notes.
pub(super) fn go(dsn: &mut Dsn, query: &str) -> Result<Vec<String>, DsnError> {
    let mut notes = Vec::new();
    for pair in pairs(query) {
        let (key, value) = pair?;
        match key.as_str() {
            "tls" => dsn.tls = go_tls(&value)?,
            "timeout" => {
                dsn.connect_timeout = duration::parse(&value).map_err(|_| {
                    DsnError::new("`timeout` in the DSN is not a duration").help("write timeout=10s")
                })?;
            }
            silent if GO_SILENT.contains(&silent) => {}
            other => notes.push(unused(other)),
        }
    }
    finish(dsn);
    Ok(notes)
}

fn go_tls(value: &str) -> Result<Tls, DsnError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(Tls::VerifyFull),
        "false" | "0" => Ok(Tls::Off),
        "skip-verify" => Ok(Tls::Required),
        "preferred" => Ok(Tls::Preferred),
        _ => Err(DsnError::new("`tls` in the DSN names no known way of encryption")
            .help("write tls=true, tls=skip-verify, tls=preferred or tls=false; for an own authority use mysql://…?ssl-mode=verify_ca&ssl-ca=/path")),
    }
}

/// Parameters of `mysql://`; `false`: not known.
pub(super) fn mysql(dsn: &mut Dsn, key: &str, value: &str) -> Result<bool, DsnError> {
    match key {
        "tls" => dsn.tls = go_tls(value)?,
        "ssl-mode" | "sslmode" | "ssl_mode" => {
            dsn.tls = match value.to_ascii_lowercase().replace('-', "_").as_str() {
                "disabled" | "disable" => Tls::Off,
                "preferred" | "prefer" => Tls::Preferred,
                "required" | "require" => Tls::Required,
                "verify_ca" => Tls::VerifyCa,
                "verify_identity" | "verify_full" => Tls::VerifyFull,
                _ => {
                    return Err(DsnError::new("`ssl-mode` in the DSN is not known")
                        .help("write disabled, preferred, required, verify_ca or verify_identity"));
                }
            }
        }
        "ssl-ca" | "sslca" | "ssl_ca" | "sslrootcert" => dsn.ca = Some(value.into()),
        "socket" | "unix_socket" => {
            dsn.socket = Some(value.into());
            dsn.host = String::new();
        }
        "timeout" => {
            dsn.connect_timeout = duration::parse(value).map_err(|_| {
                DsnError::new("`timeout` in the DSN is not a duration").help("write timeout=10s")
            })?;
        }
        "connect_timeout" | "connectTimeout" => dsn.connect_timeout = seconds(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Parameters of libpq; `false`: not known.
pub(super) fn postgres(dsn: &mut Dsn, key: &str, value: &str) -> Result<bool, DsnError> {
    match key {
        "sslmode" | "ssl-mode" => {
            dsn.tls = match value {
                "disable" => Tls::Off,
                "allow" | "prefer" => Tls::Preferred,
                "require" => Tls::Required,
                "verify-ca" => Tls::VerifyCa,
                "verify-full" => Tls::VerifyFull,
                _ => {
                    return Err(DsnError::new("`sslmode` in the DSN is not known")
                        .help("write disable, allow, prefer, require, verify-ca or verify-full"));
                }
            }
        }
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => {
            dsn.ca = (value != "system").then(|| value.into());
        }
        "host" if value.starts_with('/') => {
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
        "connect_timeout" => dsn.connect_timeout = seconds(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether a URL parameter may be passed over without a note.
pub(super) fn is_silent(key: &str) -> bool {
    URL_SILENT.contains(&key) || GO_SILENT.contains(&key)
}

/// What holds between parameters: encryption that must be checked against an authority checks it (as libpq does),
/// and a wait of nothing means the default.
pub(super) fn finish(dsn: &mut Dsn) {
    if dsn.ca.is_some() && dsn.tls == Tls::Required {
        dsn.tls = Tls::VerifyCa;
    }
    if dsn.connect_timeout.is_zero() {
        dsn.connect_timeout = super::CONNECT_TIMEOUT;
    }
}

fn seconds(value: &str) -> Result<Duration, DsnError> {
    value
        .parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| DsnError::new("`connect_timeout` in the DSN is not a number of seconds"))
}
