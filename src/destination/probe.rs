//! A look at a destination before the start.

use std::sync::Arc;

use crate::config::DestinationConfig;
use crate::sql::Database;
use crate::sql::probe::{self, Checked};

/// Looks at everything a task needs of a destination and tells all that was found, good and bad.
pub async fn probe(config: &DestinationConfig, database: &Arc<Database>) -> Vec<Checked> {
    let mut found = Vec::new();
    let Some(table) = probe::place(database, &config.table, &mut found).await else { return found };
    let names = std::iter::once(&config.by_column).chain(config.columns.iter().map(|(_, name)| name));
    let mut problems: Vec<String> = names.filter_map(|name| table.require(name).err()).collect();
    problems.dedup();
    if problems.is_empty() {
        found.push(Checked::good("columns", format!("all {} are there", config.columns.len() + 1)));
    }
    found.extend(problems.into_iter().map(|problem| Checked::problem("columns", problem)));
    if let Ok(key) = table.require(&config.by_column) {
        found.push(probe::index(&table, key, "copies are found by it"));
    }
    found
}
