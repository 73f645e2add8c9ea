//! Which kind of destination a configuration means.

use std::sync::Arc;

use super::Destination;
use super::sql::SqlDestination;
use crate::config::CopyConfig;
use crate::sql::{Database, PlaceError};

/// Opens a destination.
///
/// # Errors
/// The database cannot be reached, or table, columns or rights are not as the task needs them.
pub async fn open(config: &CopyConfig, database: Arc<Database>) -> Result<Box<dyn Destination>, PlaceError> {
    Ok(Box::new(SqlDestination::open(config, database).await?))
}
