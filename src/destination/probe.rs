//! A look at a destination before the start.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::CopyConfig;
use crate::sql::Database;
use crate::sql::probe::{self, Checked, Folds};

/// Looks at everything a task needs of a destination and tells all that was found, good and bad. `source_folds`:
/// which keys the source takes for one, if that is known.
pub async fn probe(
    config: &CopyConfig,
    database: &Arc<Database>,
    source_folds: Option<&Folds>,
) -> Vec<Checked> {
    let mut found = Vec::new();
    let Some(table) = probe::place(database, &config.table, &mut found).await else { return found };
    let names = std::iter::once(&config.by_column).chain(config.columns.iter().map(|column| &column.copy));
    let (mut columns, mut problems) = (BTreeSet::new(), Vec::new());
    for name in names {
        match table.require(name) {
            Ok(column) => drop(columns.insert(column)),
            Err(problem) => problems.push(problem),
        }
    }
    problems.dedup();
    if problems.is_empty() {
        found.push(Checked::good("columns", probe::all_there(columns.len())));
    }
    found.extend(problems.into_iter().map(|problem| Checked::problem("columns", problem)));
    if let Ok(key) = table.require(&config.by_column) {
        found.push(probe::index(&table, key, "copies are found by it"));
        let folds = probe::folds(database, &table, key).await;
        if let Some(what) = source_folds.and_then(|source| folds.beyond(source)) {
            let name = &table.columns[key].name;
            let message = format!(
                "{name:?} takes keys for one that differ in {what} only, the source's \"byColumn\" does not: of two such \
                 keys of the source a unique index keeps just one here, and the other is reported as missing; give \
                 {name:?} a collation that tells them apart (rows are matched exactly in any case)"
            );
            found.push(Checked::warning("collation", message));
        }
    }
    found
}
