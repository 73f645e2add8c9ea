//! The default time zone of a PostgreSQL server.
use super::{Database, PlaceError};

pub(super) async fn of_server(_database: &Database) -> Result<String, PlaceError> {
    Ok("UTC".to_owned())
}
