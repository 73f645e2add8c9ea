//! Which kind of source a configuration means.

use std::sync::Arc;

use super::Source;
use super::sql::SqlSource;
use crate::config::SourceConfig;
use crate::sql::{Database, PlaceError};

/// Opens the source of a task. `mapped` are the source columns that any destination compares, as written.
///
/// # Errors
/// The database cannot be reached, or table, columns, key or rights are not as the task needs them.
pub async fn open(
    config: &SourceConfig,
    mapped: &[String],
    database: Arc<Database>,
) -> Result<Box<dyn Source>, PlaceError> {
    Ok(Box::new(SqlSource::open(config, mapped, database).await?))
}
