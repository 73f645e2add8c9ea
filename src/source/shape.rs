//! Which columns of a table a source reads, and how its rows are made of a statement's.

use crate::config::SourceConfig;
use crate::model::{DatabaseClass, Row, RowId, SourceRow};
use crate::sql::catalog::Table;

/// The id column and the columns that a feed reads.
#[derive(Debug)]
pub(super) struct Shape {
    /// The integer key.
    pub(super) id: usize,
    /// `byColumn`.
    pub(super) by: usize,
    /// The update column, if there is one.
    pub(super) update: Option<usize>,
    /// What a feed returns, each column once: `byColumn`, the compared columns, the update column, and all others if whole
    /// rows are wanted.
    pub(super) read: Vec<usize>,
    /// What a feed selects: the id, then the others.
    pub(super) selected: Vec<usize>,
    /// For each of `read` its place in `selected`.
    places: Vec<usize>,
}

impl Shape {
    /// The shape that a task needs, or all that stands in its way.
    pub(super) fn new(table: &Table, config: &SourceConfig, mapped: &[String]) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut note = |found: Result<usize, String>| found.map_err(|problem| problems.push(problem)).ok();
        let id = note(id_column(table, config.id.as_deref()));
        let by = note(table.require(&config.by_column));
        let mut read: Vec<usize> = by.into_iter().collect();
        for name in mapped {
            read.extend(note(table.require(name)));
        }
        let update = config.update.as_ref().and_then(|update| note(table.require(&update.column)));
        read.extend(update);
        if config.whole {
            read.extend(0..table.columns.len());
        }
        if let Some(rule) = &config.deleted_when {
            let find = |name: &str| table.require(name).ok().map(|column| &table.columns[column]);
            problems.extend(rule.unfit_for(&find));
        }
        let (Some(id), Some(by), true) = (id, by, problems.is_empty()) else {
            problems.dedup();
            return Err(problems);
        };
        let mut once = Vec::with_capacity(read.len());
        for column in read {
            if !once.contains(&column) {
                once.push(column);
            }
        }
        let mut selected = vec![id];
        selected.extend(once.iter().filter(|column| **column != id));
        let place =
            |column: &usize| selected.iter().position(|c| c == column).expect("every one was just selected");
        Ok(Self { id, by, update, places: once.iter().map(place).collect(), read: once, selected })
    }

    /// What stands in the way where there is no shape: a column, or what the columns are.
    pub(super) fn obstacle(table: &Table, config: &SourceConfig, mapped: &[String]) -> DatabaseClass {
        let update = config.update.as_ref().map(|update| &update.column);
        let mut names = config.id.iter().chain([&config.by_column]).chain(mapped).chain(update);
        let gone = names.any(|name| table.find(name).is_none());
        if gone { DatabaseClass::MissingColumn } else { DatabaseClass::Schema }
    }

    /// Where the update column stands in what a feed returns.
    pub(super) fn update_place(&self) -> Option<usize> {
        self.read.iter().position(|column| Some(*column) == self.update)
    }

    /// Rows of a statement that selects `selected`. A row whose id is no integer (only SQLite lets one in) cannot be
    /// walked past and is left out.
    pub(super) fn rows(&self, rows: Vec<Row>) -> Vec<SourceRow> {
        let without_id = self.places.iter().copied().eq(1..=self.places.len());
        let shaped = rows.into_iter().filter_map(|mut row| {
            let id = RowId(row[0].as_int()?);
            if without_id {
                row.remove(0);
                return Some(SourceRow { id, values: row });
            }
            Some(SourceRow { id, values: self.places.iter().map(|place| row[*place].clone()).collect() })
        });
        shaped.collect()
    }
}

/// The integer key: the one named, else the integer primary key.
fn id_column(table: &Table, named: Option<&str>) -> Result<usize, String> {
    let full_name = table.full_name();
    let Some(name) = named else {
        return table.integer_primary_key().ok_or_else(|| {
            let found = match table.primary_key.as_slice() {
                _ if table.view => "is a view".to_owned(),
                [] => "has no primary key".to_owned(),
                [one] => {
                    let column = &table.columns[*one];
                    format!("has the primary key {:?}, which is {}", column.name, column.declared)
                }
                _ => "has a primary key of several columns".to_owned(),
            };
            format!("table {full_name:?} {found}; name a unique integer column with \"id\"")
        });
    };
    let column = table.require(name)?;
    if !table.is_integer(column) {
        let declared = &table.columns[column].declared;
        return Err(format!(
            "\"id\" names column {name:?} of table {full_name:?}, which is {declared}; it must be an integer"
        ));
    }
    if !table.view && !table.is_unique(column) {
        return Err(format!(
            "\"id\" names column {name:?} of table {full_name:?}, which is not unique; rows that share a value would \
             be lost at the edge of a page, so give it a unique index or name another"
        ));
    }
    Ok(column)
}
