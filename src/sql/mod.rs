//! Databases: with `store`, the only place that knows sqlx.
//!
//! A [`Database`] is a small pool of read-only sessions. What it is asked is built by `select` from names that
//! `catalog` has checked, what it is given is bound by `bind`, and what comes back is decoded from raw bytes as the
//! catalogue says, so that no value passes through a type that cannot hold it.

pub(crate) mod bind;
pub(crate) mod canonical;
pub(crate) mod catalog;
mod classify;
pub(crate) mod clock;
mod connect;
mod database;
mod decode;
mod dialect;
mod error;
pub(crate) mod horizon;
mod lookup;
pub(crate) mod next_id;
mod nodelay;
pub mod probe;
mod run;
pub(crate) mod select;
pub(crate) mod statement;
mod tls;
pub(crate) mod write;
mod zone;

pub(crate) use database::is_bad_value;
pub use database::{Database, Limits};
pub use error::{PlaceError, PlaceErrorKind, RESTART_TASK};
pub use lookup::Found;
pub(crate) use lookup::Lookup;
pub(crate) use run::{Answer, BUDGET};
