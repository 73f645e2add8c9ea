//! A table of a database as a source, whatever the engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::ground::{SqlGround, Statements};
use super::insert;
use super::keys::{by_ids, list_statements};
use super::sample::Sampler;
use super::shape::Shape;
use super::sweep::{self, SweepFeed};
use super::update::UpdateFeed;
use super::{Batch, Coverage, Fetched, Found, Source};
use crate::config::SourceConfig;
use crate::diff::KeyForm;
use crate::model::{Column, DatabaseClass, Feed, Position, Row, RowId, SourceRow, Value};
use crate::sql::catalog::Table;
use crate::sql::statement::Statement;
use crate::sql::{BUDGET, Database, Lookup, PlaceError, PlaceErrorKind};

/// Bytes of ids remembered; as much again is for the update feed.
const INSERT_MEMORY: usize = 8 << 20;

/// Bytes of pairs remembered.
const UPDATE_MEMORY: usize = 8 << 20;

pub(super) struct SqlSource {
    config: SourceConfig,
    mapped: Vec<String>,
    database: Arc<Database>,
    table: Table,
    identity: String,
    incarnation: Mutex<Arc<str>>,
    shape: Shape,
    statements: Statements,
    sampler: Sampler,
    update: Option<UpdateFeed>,
    /// Several rows may carry one key, and an index finds them.
    shared_keys: bool,
    /// Among how many positions the memory of a feed is divided: insert, update.
    divided: [AtomicUsize; 2],
    sweep: SweepFeed,
    /// What a feed reads, by key.
    lookup: Lookup,
    /// The id and the key, by key.
    holders: Lookup,
    /// Tells keys of this column apart.
    form: KeyForm,
    /// Whole rows by id, one statement per list size.
    fetch: Vec<Statement>,
}

impl SqlSource {
    pub(super) async fn open(
        config: &SourceConfig,
        mapped: &[String],
        database: Arc<Database>,
    ) -> Result<Self, PlaceError> {
        let table = Table::resolve(&database, &config.table).await?;
        let shape = Shape::new(&table, config, mapped).map_err(|problems| {
            let error = PlaceError::new(PlaceErrorKind::Missing, database.place(), problems.join("; "));
            error.of_class(Shape::obstacle(&table, config, mapped))
        })?;
        let name = |column: usize| &table.columns[column].name;
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let update = UpdateFeed::new(&table, &shape, config);
        if let Some(update) = &update {
            update.check(&database).await?;
        }
        Ok(Self {
            identity: format!("{} id={} key={}", table.identity, name(shape.id), name(shape.by)),
            incarnation: Mutex::new((&*table.incarnation).into()),
            shared_keys: shape.by != shape.id && !table.is_unique(shape.by) && table.has_index(&[shape.by]),
            statements: Statements::new(&table, &shape, config),
            sampler: Sampler::new(&table, &shape),
            update,
            divided: [AtomicUsize::new(1), AtomicUsize::new(1)],
            sweep: SweepFeed::new(&table, &shape),
            lookup: Lookup::new(&table, &shape.selected, shape.by),
            holders: Lookup::new(&table, &[shape.id, shape.by], shape.by),
            form: KeyForm::new(&table.columns[shape.by], &table.columns[shape.by]),
            fetch: list_statements(&table, &all, shape.id),
            config: config.clone(),
            mapped: mapped.to_vec(),
            database,
            table,
            shape,
        })
    }

    fn ground(&self, zone: Option<chrono_tz::Tz>) -> SqlGround<'_> {
        let settle = self.config.settle;
        SqlGround { database: &self.database, shape: &self.shape, statements: &self.statements, zone, settle }
    }

    async fn look_up(&self, lookup: &Lookup, keys: &[Value]) -> Result<Found<Row>, PlaceError> {
        lookup.some(&self.database, &self.table, &|value| self.form.key(value), keys).await
    }

    fn missing(&self, message: String) -> PlaceError {
        PlaceError::new(PlaceErrorKind::Missing, self.database.place(), message)
    }

    fn update(&self) -> Result<&UpdateFeed, PlaceError> {
        let off = || self.missing("the update feed is off: the source names no \"updateColumn\"".to_owned());
        self.update.as_ref().ok_or_else(off)
    }

    /// Rows that only a copy has are walked at the copy.
    fn not_here(&self) -> PlaceError {
        let message = "the source has no such feed; this is a fault in cupid";
        PlaceError::new(PlaceErrorKind::Other, self.database.place(), message)
    }

    /// What is no longer as it was when the source was opened.
    fn changed(&self, fresh: &Table) -> Option<PlaceError> {
        if fresh.identity != self.table.identity {
            return Some(self.missing(format!(
                "table {:?} is another one now ({}, was {}): it was dropped and made anew, or the server was replaced",
                self.config.table, fresh.identity, self.table.identity
            )));
        }
        if let Err(problems) = Shape::new(fresh, &self.config, &self.mapped) {
            let class = Shape::obstacle(fresh, &self.config, &self.mapped);
            return Some(self.missing(problems.join("; ")).of_class(class));
        }
        self.table.columns.iter().zip(&self.table.details).find_map(|(column, detail)| {
            let now = fresh.columns.iter().zip(&fresh.details).find(|(now, _)| now.name == column.name);
            let (class, what) = match now {
                None => (DatabaseClass::MissingColumn, "is gone".to_owned()),
                Some((now, fresh)) if now.class != column.class || fresh.read != detail.read => {
                    (DatabaseClass::Schema, format!("was {} and is {} now", column.declared, now.declared))
                }
                Some(_) => return None,
            };
            let message = format!("column {:?} of table {:?} {what}", column.name, self.table.full_name());
            Some(self.missing(message).of_class(class))
        })
    }
}

#[async_trait]
impl Source for SqlSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn incarnation(&self) -> Arc<str> {
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn columns(&self) -> &[Column] {
        &self.table.columns
    }

    fn find(&self, written: &str) -> Option<usize> {
        self.table.find(written)
    }

    fn read_columns(&self) -> &[usize] {
        &self.shape.read
    }

    async fn start(&self, feed: Feed, start_id: Option<RowId>) -> Result<Position, PlaceError> {
        match feed {
            Feed::Insert => Ok(insert::Cursor::starting_at(start_id).position()),
            Feed::Update => self.update()?.start(&self.database).await,
            Feed::Sweep => self.sweep.start(&self.database, start_id).await,
            Feed::Extra | Feed::Audit => Err(self.not_here()),
        }
    }

    async fn read(&self, feed: Feed, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let limit = limit.max(1);
        let batch = match feed {
            Feed::Insert => {
                let memory = INSERT_MEMORY / self.divided[0].load(Ordering::Relaxed);
                let bounds = insert::Bounds { memory, settle: self.config.settle };
                // No wall matters to ids.
                insert::read(&self.ground(Some(chrono_tz::UTC)), bounds, from, limit).await?
            }
            Feed::Update => {
                let update = self.update()?;
                if !update.is_ready(&self.database).await? {
                    // An empty table has no transaction to wait for.
                    let coverage = Coverage { told: true, ..Coverage::default() };
                    return Ok(Batch { rows: Vec::new(), next: from.clone(), more: false, coverage });
                }
                let memory = UPDATE_MEMORY / self.divided[1].load(Ordering::Relaxed);
                update.read(&self.ground(update.wall()), memory, from, limit).await?
            }
            Feed::Sweep => match sweep::Cursor::read(from) {
                Some(cursor) => Some(self.sweep.read(&self.database, &self.shape, cursor, limit).await?),
                None => None,
            },
            Feed::Extra | Feed::Audit => return Err(self.not_here()),
        };
        batch.ok_or_else(|| super::update::foreign(&self.database, from))
    }

    fn divide(&self, feed: Feed, among: usize) {
        let at = usize::from(feed == Feed::Update);
        self.divided[at].store(among.max(1), Ordering::Relaxed);
    }

    fn earlier(&self, feed: Feed, a: &Position, b: &Position) -> Position {
        match (feed, &self.update) {
            (Feed::Update, Some(update)) => update.earlier(a, b),
            _ => insert::earlier(a, b),
        }
    }

    async fn stands(&self, at: &[Position]) -> Result<(), PlaceError> {
        insert::stands(&self.ground(Some(chrono_tz::UTC)), at).await
    }

    async fn fetch_some(&self, ids: &[RowId]) -> Result<Fetched, PlaceError> {
        let by_ids = |ids, budget| by_ids(&self.database, &self.fetch, self.shape.id, ids, budget);
        let mut found = by_ids(ids, BUDGET).await?;
        // Whoever has waited longest must not be passed by others for ever.
        if let Some(first) = ids.first().filter(|first| found.rest.contains(*first)) {
            found.rows.extend(by_ids(std::slice::from_ref(first), 1).await?.rows);
            found.rest.retain(|id| id != first);
        }
        let keyed = |row: Row| Some(SourceRow { id: RowId(row[self.shape.id].as_int()?), values: row });
        Ok(Fetched { rows: found.rows.into_iter().filter_map(keyed).collect(), rest: found.rest })
    }

    fn shares_keys(&self) -> bool {
        self.shared_keys
    }

    async fn holders(&self, keys: &[Value]) -> Result<Found<(RowId, Value)>, PlaceError> {
        let found = self.look_up(&self.holders, keys).await?;
        let holder = |row: Row| Some((RowId(row[0].as_int()?), row.into_iter().next_back()?));
        Ok(Found { rows: found.rows.into_iter().filter_map(holder).collect(), rest: found.rest })
    }

    async fn lookup(&self, keys: &[Value]) -> Result<Found<SourceRow>, PlaceError> {
        let found = self.look_up(&self.lookup, keys).await?;
        Ok(Found { rows: self.shape.rows(found.rows), rest: found.rest })
    }

    fn unfindable(&self) -> Option<String> {
        let (name, table) = (&self.table.columns[self.shape.by].name, self.table.full_name());
        (!self.table.has_index(&[self.shape.by])).then(|| {
            format!(
                "{table:?} has no index that begins with {name:?}: whether a row of the copy is at the source cannot be \
                 told without reading the whole table each time; add one, or set \"delete\" to false"
            )
        })
    }

    async fn is_empty(&self) -> Result<bool, PlaceError> {
        self.sweep.is_empty(&self.database).await
    }

    async fn sample(&self, limit: usize) -> Result<Vec<SourceRow>, PlaceError> {
        self.sampler.sample(&self.database, &self.shape, limit).await
    }

    async fn recheck(&self) -> Result<(), PlaceError> {
        let fresh = Table::resolve(&self.database, &self.config.table).await?;
        if let Some(e) = self.changed(&fresh) {
            return Err(e);
        }
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = fresh.incarnation.into();
        Ok(())
    }

    fn interval(&self, feed: Feed) -> Option<Duration> {
        match feed {
            Feed::Insert => self.config.insert,
            Feed::Update => self.config.update.as_ref().map(|update| update.interval),
            // Each destination says for itself.
            Feed::Sweep | Feed::Extra | Feed::Audit => None,
        }
    }
}
