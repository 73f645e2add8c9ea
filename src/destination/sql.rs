//! A table of a database as a destination, whatever the engine.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::walk::KeyWalk;
use super::{Destination, Keys};
use crate::config::DestinationConfig;
use crate::diff::{KeyForm, digest};
use crate::model::{Column, Key, Position, Row, Value};
use crate::sql::bind::{self, Forms};
use crate::sql::catalog::Table;
use crate::sql::select;
use crate::sql::statement::Statement;
use crate::sql::{Database, PlaceError, PlaceErrorKind, is_bad_value};

pub(super) struct SqlDestination {
    config: DestinationConfig,
    database: Arc<Database>,
    table: Table,
    identity: String,
    key: usize,
    columns: Vec<Column>,
    /// Tells keys of this column apart.
    form: KeyForm,
    /// One per list size.
    lookups: Vec<Statement>,
    walk: Result<KeyWalk, String>,
}

impl SqlDestination {
    pub(super) async fn open(
        config: &DestinationConfig,
        database: Arc<Database>,
    ) -> Result<Self, PlaceError> {
        let table = Table::resolve(&database, &config.table).await?;
        let missing = |message: String| PlaceError::new(PlaceErrorKind::Missing, database.place(), message);
        let key = table.require(&config.by_column).map_err(missing)?;
        let mut selected = vec![key];
        for column in &config.columns {
            selected.push(table.require(&column.copy).map_err(missing)?);
        }
        Ok(Self {
            identity: format!("{} key={}", table.identity, table.columns[key].name),
            columns: selected[1..].iter().map(|column| table.columns[*column].clone()).collect(),
            form: KeyForm::new(&table.columns[key], &table.columns[key]),
            lookups: select::SIZES.iter().map(|size| select::by_key(&table, &selected, key, *size)).collect(),
            walk: KeyWalk::new(&table, key),
            config: config.clone(),
            database,
            table,
            key,
        })
    }

    /// The keys to be asked for, in the column's own form and each once, in lists. Forms that may find the same row
    /// stand in one list.
    fn lists(&self, keys: &[Value]) -> Vec<Vec<Value>> {
        let column = &self.table.columns[self.key];
        let mut seen: HashSet<[u8; 16]> = HashSet::with_capacity(keys.len());
        let mut groups: HashMap<Key, usize> = HashMap::with_capacity(keys.len());
        let mut wanted: Vec<Vec<Value>> = Vec::with_capacity(keys.len());
        for key in keys {
            let Forms(forms) = bind::key(self.database.engine(), column, key);
            for form in forms.into_iter().flatten() {
                if !seen.insert(digest(&[std::slice::from_ref(&form)])) {
                    continue;
                }
                let Some(key) = self.form.key(&form) else { continue };
                match groups.entry(key) {
                    Entry::Occupied(group) => wanted[*group.get()].push(form),
                    Entry::Vacant(place) => {
                        place.insert(wanted.len());
                        wanted.push(vec![form]);
                    }
                }
            }
        }
        bind::groups(wanted)
    }

    /// Asks for one list of keys. A key that the database refuses is found by halving and counts as missing.
    async fn ask(&self, list: Vec<Value>, answers: &mut Answers) -> Result<(), PlaceError> {
        let mut lists = vec![list];
        while let Some(mut list) = lists.pop() {
            let refs: Vec<&Value> = list.iter().collect();
            let class = self.table.columns[self.key].class;
            let size = select::size_for(list.len());
            let params = bind::params(self.database.engine(), class, &refs, select::SIZES[size]);
            match self.database.fetch(&self.lookups[size], &params).await {
                Ok(rows) => answers.0.push((list, rows)),
                Err(error) if is_bad_value(&error) => {
                    if list.len() > 1 {
                        let half = list.split_off(list.len() / 2);
                        lists.extend([list, half]);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Answers of the single statements, with the keys that each asked for.
#[derive(Default)]
struct Answers(Vec<(Vec<Value>, Vec<Row>)>);

impl Answers {
    /// All rows, each once. Under a collation that takes `a` for `A`, two statements may both have found a row: it is
    /// kept for the one that asked for exactly its key.
    fn rows(mut self, form: &KeyForm) -> Vec<Row> {
        if self.0.len() == 1 {
            return self.0.pop().map(|(_, rows)| rows).unwrap_or_default();
        }
        let mut all = Vec::new();
        for (keys, rows) in self.0 {
            let asked: HashSet<Key> = keys.iter().filter_map(|key| form.key(key)).collect();
            all.extend(
                rows.into_iter().filter(|row| form.key(&row[0]).is_some_and(|key| asked.contains(&key))),
            );
        }
        all
    }
}

#[async_trait]
impl Destination for SqlDestination {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn key_column(&self) -> &Column {
        &self.table.columns[self.key]
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    async fn lookup(&self, keys: &[Value]) -> Result<Vec<Row>, PlaceError> {
        let mut answers = Answers::default();
        for list in self.lists(keys) {
            self.ask(list, &mut answers).await?;
        }
        Ok(answers.rows(&self.form))
    }

    fn unwalkable(&self) -> Option<&str> {
        self.walk.as_ref().err().map(String::as_str)
    }

    async fn walk(&self, from: Option<&Position>, limit: usize) -> Result<Keys, PlaceError> {
        let walk = self
            .walk
            .as_ref()
            .map_err(|why| PlaceError::new(PlaceErrorKind::Missing, self.database.place(), why.as_str()))?;
        walk.page(&self.database, &self.table, from, limit).await
    }

    async fn recheck(&self) -> Result<(), PlaceError> {
        let fresh = Table::resolve(&self.database, &self.config.table).await?;
        let missing =
            |message: String| PlaceError::new(PlaceErrorKind::Missing, self.database.place(), message);
        let names = self.config.columns.iter().map(|column| &column.copy).chain([&self.config.by_column]);
        for name in names {
            let (now, before) =
                (fresh.require(name).map_err(missing)?, self.table.require(name).map_err(missing)?);
            let same = fresh.columns[now].class == self.table.columns[before].class
                && fresh.details[now].read == self.table.details[before].read;
            if !same {
                let (was, is) = (&self.table.columns[before].declared, &fresh.columns[now].declared);
                let table = self.table.full_name();
                return Err(missing(format!("column {name:?} of table {table:?} was {was} and is {is} now")));
            }
        }
        Ok(())
    }
}
