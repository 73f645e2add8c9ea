//! What the live catalogue says about one table: its columns and how they are read and looked up by, its keys and
//! indexes, and what identifies it. One file per engine; none needs more than SELECT on that one table.

pub(super) mod mysql;
mod postgres;
mod sqlite;

use super::statement::Read;
use super::{Database, PlaceError, PlaceErrorKind};
use crate::config::Engine;
use crate::config::nearest::nearest;
use crate::model::{Class, Column, DatabaseClass};

/// A table or view, as the catalogue describes it.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) engine: Engine,
    /// Schema (MySQL: database) it stands in; `None` for SQLite.
    pub(crate) schema: Option<String>,
    /// Name as the catalogue spells it.
    pub(crate) name: String,
    /// A view has no keys of its own.
    pub(crate) view: bool,
    /// Columns we may read, in catalogue order.
    pub(crate) columns: Vec<Column>,
    /// How each column is read and looked up by; same order.
    pub(crate) details: Vec<Detail>,
    /// Columns of the primary key, in order.
    pub(crate) primary_key: Vec<usize>,
    /// Usable indexes.
    pub(crate) indexes: Vec<Index>,
    /// Server and table, as exactly as the engine tells.
    pub(crate) identity: String,
    /// What stands behind the name, as far as this user is told: another one once the table was replaced, emptied by
    /// TRUNCATE or rebuilt. Whether its rows are the same is not known then.
    pub(crate) incarnation: String,
    /// What the catalogue does not tell this user, and what follows from that: one line each, for people.
    pub(crate) untold: Vec<String>,
}

/// What only this floor needs to know about a column.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// How its values are read.
    pub(crate) read: Read,
    /// Whether it is asked for as `column::text`.
    pub(crate) as_text: bool,
    /// Whether its text is stored as UTF-8; true where there is none.
    pub(crate) utf8: bool,
    /// What stands around the placeholder when a key is bound to it, `?` marking the place.
    pub(crate) key: String,
}

/// An index that finds rows by its first columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Leading plain columns; an expression or a prefix ends the list.
    pub(crate) columns: Vec<usize>,
    /// Whether `columns` are all of it and no two rows can share them.
    pub(crate) unique: bool,
}

impl Table {
    /// The table that `written` means: first a table of exactly that name, then `schema.table`.
    ///
    /// # Errors
    /// No such table (with the nearest name), no right to read it, or the database's own trouble.
    pub(crate) async fn resolve(database: &Database, written: &str) -> Result<Self, PlaceError> {
        let table = match database.engine() {
            Engine::MySql => mysql::table(database, written).await?,
            Engine::Postgres => postgres::table(database, written).await?,
            Engine::Sqlite => sqlite::table(database, written).await?,
        };
        if table.columns.is_empty() {
            let message =
                format!("table {written:?} has no column that this user may read; grant SELECT on it");
            return Err(PlaceError::new(PlaceErrorKind::Denied, database.place(), message));
        }
        Ok(table)
    }

    /// Name with its schema, for people.
    pub(crate) fn full_name(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// The column called `name`: exactly, else (where the engine does not tell them apart) in another case.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| &*column.name == name);
        exact.or_else(|| {
            let folds = self.engine != Engine::Postgres;
            let lower = name.to_lowercase();
            self.columns.iter().position(|column| folds && column.name.to_lowercase() == lower)
        })
    }

    /// [`Table::find`], or the message that says what is there instead.
    pub(crate) fn require(&self, name: &str) -> Result<usize, String> {
        self.find(name).ok_or_else(|| {
            let names = || self.columns.iter().map(|column| &*column.name);
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("its columns are: {}", names().collect::<Vec<_>>().join(", ")),
            };
            format!("table {:?} has no column {name:?}; {hint}", self.full_name())
        })
    }

    /// Whether an index leads with these columns.
    pub(crate) fn has_index(&self, columns: &[usize]) -> bool {
        self.indexes.iter().any(|index| index.columns.starts_with(columns))
    }

    /// Whether no two rows can share the value of this column.
    pub(crate) fn is_unique(&self, column: usize) -> bool {
        self.primary_key == [column]
            || self.indexes.iter().any(|index| index.unique && index.columns == [column])
    }

    /// Whether rows need not have a value in this column. SQLite lets NULL into most primary keys, but nobody means it to.
    pub(crate) fn may_be_null(&self, column: usize) -> bool {
        self.columns[column].nullable && !self.primary_key.contains(&column)
    }

    /// Whether the column holds integers and nothing else.
    pub(crate) fn is_integer(&self, column: usize) -> bool {
        match self.columns[column].class {
            Class::Int => true,
            Class::Dynamic => self.columns[column].declared.to_uppercase().contains("INT"),
            _ => false,
        }
    }

    /// The single integer column that is the primary key.
    pub(crate) fn integer_primary_key(&self) -> Option<usize> {
        match self.primary_key[..] {
            [only] if self.is_integer(only) => Some(only),
            _ => None,
        }
    }
}

/// The ways to read a written table name: as it is, then split at each dot.
fn candidates(written: &str) -> Vec<(Option<&str>, &str)> {
    let splits = written.match_indices('.').map(|(at, _)| (&written[..at], &written[at + 1..]));
    let named = splits.filter(|(schema, table)| !schema.is_empty() && !table.is_empty());
    std::iter::once((None, written)).chain(named.map(|(schema, table)| (Some(schema), table))).collect()
}

/// The error for a table that is not there.
fn no_table(database: &Database, written: &str, known: &[String]) -> PlaceError {
    let hint = match nearest(written, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => {
            "this user sees no table there; check the database and the rights".to_owned()
        }
        None => "check the name in the configuration".to_owned(),
    };
    let message = format!("there is no table {written:?} that this user may read; {hint}");
    PlaceError::new(PlaceErrorKind::Missing, database.place(), message).of_class(DatabaseClass::MissingTable)
}

/// Reads the leading column lists of indexes from rows of (index, unique, column) in index order; a `None` column
/// is an expression or a prefix.
fn collect_indexes(rows: impl IntoIterator<Item = (String, bool, Option<usize>)>) -> Vec<(String, Index)> {
    let mut indexes: Vec<(String, Index, bool)> = Vec::new();
    for (name, unique, column) in rows {
        if indexes.last().is_none_or(|(last, ..)| *last != name) {
            indexes.push((name, Index { columns: Vec::new(), unique }, false));
        }
        let (_, index, ended) = indexes.last_mut().expect("one was just pushed");
        match column {
            Some(column) if !*ended => index.columns.push(column),
            _ => {
                *ended = true;
                index.unique = false;
            }
        }
    }
    indexes.into_iter().map(|(name, index, _)| (name, index)).filter(|(_, i)| !i.columns.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_whole_first() {
        assert_eq!(candidates("user"), [(None, "user")]);
        assert_eq!(candidates("a.b.c"), [(None, "a.b.c"), (Some("a"), "b.c"), (Some("a.b"), "c")]);
        assert_eq!(candidates(".x."), [(None, ".x.")]);
    }

    #[test]
    fn an_expression_ends_an_index() {
        let row = |name: &str, unique, column| (name.to_owned(), unique, column);
        let rows =
            [row("a", true, Some(1)), row("a", true, Some(2)), row("b", true, Some(3)), row("b", true, None)];
        let indexes = collect_indexes(rows);
        assert_eq!(indexes[0].1, Index { columns: vec![1, 2], unique: true });
        assert_eq!(indexes[1].1, Index { columns: vec![3], unique: false });
    }
}
