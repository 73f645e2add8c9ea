//! Data source names: the Go driver's, PHP's and URLs become one [`Dsn`](super::Dsn).
//!
//! Messages never quote any part of a DSN: what looks like a host may be half of a password.

mod go;
mod params;
mod parse;
mod pdo;
mod place_url;
mod table_url;
mod text;

use parse::{CONNECT_TIMEOUT, FORMS, Parsed, server};
pub(crate) use parse::{DsnError, parse};
pub use table_url::TableUrl;
pub(crate) use text::{absolute, decode, host_and_port};

#[cfg(test)]
mod tests;
