//! A table of a database as a destination, whatever the engine.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::walk::KeyWalk;
use super::{Destination, Found, Keys};
use crate::config::CopyConfig;
use crate::diff::KeyForm;
use crate::model::{Column, DatabaseClass, Position, Row, Value};
use crate::sql::catalog::Table;
use crate::sql::{Database, Lookup, PlaceError, PlaceErrorKind};

pub(super) struct SqlDestination {
    config: CopyConfig,
    database: Arc<Database>,
    table: Table,
    identity: String,
    incarnation: Mutex<Arc<str>>,
    key: usize,
    columns: Vec<Column>,
    /// Tells keys of this column apart.
    form: KeyForm,
    lookup: Lookup,
    walk: Result<KeyWalk, String>,
}

impl SqlDestination {
    pub(super) async fn open(config: &CopyConfig, database: Arc<Database>) -> Result<Self, PlaceError> {
        let table = Table::resolve(&database, &config.table).await?;
        let missing = |message: String| no_column(&database, message);
        let key = table.require(&config.by_column).map_err(missing)?;
        let mut selected = vec![key];
        for column in &config.columns {
            selected.push(table.require(&column.copy).map_err(missing)?);
        }
        Ok(Self {
            identity: format!("{} key={}", table.identity, table.columns[key].name),
            incarnation: Mutex::new((&*table.incarnation).into()),
            columns: selected[1..].iter().map(|column| table.columns[*column].clone()).collect(),
            form: KeyForm::new(&table.columns[key], &table.columns[key]),
            lookup: Lookup::new(&table, &selected, key),
            walk: KeyWalk::new(&table, key),
            config: config.clone(),
            database,
            table,
            key,
        })
    }
}

fn no_column(database: &Database, message: String) -> PlaceError {
    PlaceError::new(PlaceErrorKind::Missing, database.place(), message).of_class(DatabaseClass::MissingColumn)
}

#[async_trait]
impl Destination for SqlDestination {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn incarnation(&self) -> Arc<str> {
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn key_column(&self) -> &Column {
        &self.table.columns[self.key]
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    async fn lookup(&self, keys: &[Value]) -> Result<Found<Row>, PlaceError> {
        self.lookup.some(&self.database, &self.table, &|value| self.form.key(value), keys).await
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
        let missing = |message: String| no_column(&self.database, message);
        let names = self.config.columns.iter().map(|column| &column.copy).chain([&self.config.by_column]);
        for name in names {
            let (now, before) =
                (fresh.require(name).map_err(missing)?, self.table.require(name).map_err(missing)?);
            let same = fresh.columns[now].class == self.table.columns[before].class
                && fresh.details[now].read == self.table.details[before].read;
            if !same {
                let (was, is) = (&self.table.columns[before].declared, &fresh.columns[now].declared);
                let table = self.table.full_name();
                let message = format!("column {name:?} of table {table:?} was {was} and is {is} now");
                return Err(missing(message).of_class(DatabaseClass::Schema));
            }
        }
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = fresh.incarnation.into();
        Ok(())
    }
}
