//! Parts that the notations have in common.

use std::path::{Component, Path, PathBuf};

use super::DsnError;

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
