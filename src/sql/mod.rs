//! Databases: with `store`, the only place that knows sqlx.

mod error;

pub use error::{PlaceError, PlaceErrorKind};
