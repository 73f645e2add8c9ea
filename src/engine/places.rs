//! The databases of a task: opened when first needed, kept while they work, looked at anew when they fail.
//!
//! A failure that waiting cannot cure (right, table or column gone) drops what was opened, so that the next try reads
//! the catalogue again: a task resumes by itself when the cause is gone.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

mod anew;
mod slot;
mod trial;

use anew::Standing;
use slot::Slot;

use super::StatusBoard;
use super::feeder::Feeder;
use super::pair::{self, Pair};
use crate::base::chain::chain;
use crate::config::{Config, CopyConfig, Dsn, TaskConfig};
use crate::destination::{self, Destination};
use crate::model::{Column, Feed};
use crate::source::{self, Source};
use crate::sql::{Database, Limits, PlaceError, PlaceErrorKind};
use crate::store::Cursor;

/// The databases of all tasks; tasks that name the same place share its connections.
#[derive(Debug)]
pub struct Places {
    /// In the order of the configuration.
    pub tasks: Vec<Arc<TaskPlaces>>,
    databases: Vec<Arc<Database>>,
}

impl Places {
    /// Prepares everything; nothing is connected yet. `cursors` are those of saved progress: sources must be those that
    /// they were made on.
    pub fn new(config: &Config, cursors: &[Cursor]) -> Self {
        let mut databases: HashMap<Dsn, Arc<Database>> = HashMap::new();
        let mut shared = |dsn: &Dsn| {
            databases
                .entry(dsn.clone())
                .or_insert_with(|| Arc::new(Database::connect(dsn, Limits::default())))
                .clone()
        };
        let tasks = config
            .tasks
            .iter()
            .map(|task| {
                let source = shared(&task.source.dsn);
                let copies = task.destinations.iter().map(|des| des.copy.as_ref());
                let destinations = copies.map(|copy| copy.map(|copy| shared(&copy.dsn))).collect();
                let places = TaskPlaces::new(task.clone(), source, destinations);
                for cursor in cursors.iter().filter(|cursor| cursor.task == task.name) {
                    places.progress_of(&cursor.identity);
                    let destination = task.destinations.iter().position(|d| d.name == cursor.destination);
                    if let (Feed::Insert, Some(at)) = (cursor.feed, destination) {
                        places.inserts_at(at, &cursor.position);
                    }
                }
                Arc::new(places)
            })
            .collect();
        Self { tasks, databases: databases.into_values().collect() }
    }

    /// Places on stages, one for each task.
    #[cfg(test)]
    pub(super) fn staged(config: &Config, cursors: &[Cursor], stages: Vec<Stage>) -> Self {
        let mut places = Self::new(config, cursors);
        for (task, stage) in places.tasks.iter_mut().zip(stages) {
            Arc::get_mut(task).expect("nobody else has it yet").stage = Some(stage);
        }
        places
    }

    /// Closes all connections.
    pub async fn close(&self) {
        for database in &self.databases {
            database.close().await;
        }
    }
}

/// The source and the destinations of one task.
pub struct TaskPlaces {
    /// The task.
    pub config: TaskConfig,
    source_database: Arc<Database>,
    /// By destination; `None`: there is nothing to look at.
    destination_databases: Vec<Option<Arc<Database>>>,
    source: Slot<dyn Source>,
    pairs: Vec<Slot<Pair>>,
    feeders: Vec<Slot<Feeder>>,
    /// `Source::identity` that saved progress was made on.
    progress: std::sync::Mutex<Option<String>>,
    /// Whether the source's ids go on where saved progress stands.
    standing: Standing,
    /// By destination: when both sides were last seen to be as they were opened.
    checked: Vec<std::sync::Mutex<Option<Instant>>>,
    #[cfg(test)]
    stage: Option<Stage>,
}

/// What a test plays instead of the databases of a task.
#[cfg(test)]
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) source: Arc<dyn Source>,
    pub(super) destinations: Vec<Arc<dyn Destination>>,
}

impl std::fmt::Debug for TaskPlaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskPlaces").field("task", &self.config.name).finish_non_exhaustive()
    }
}

impl TaskPlaces {
    fn new(
        config: TaskConfig,
        source_database: Arc<Database>,
        destination_databases: Vec<Option<Arc<Database>>>,
    ) -> Self {
        let pairs = config.destinations.iter().map(|_| Slot::new()).collect();
        let feeders = config.destinations.iter().map(|_| Slot::new()).collect();
        let (source, progress) = (Slot::new(), std::sync::Mutex::new(None));
        let standing = Standing::new(config.destinations.len());
        let checked = config.destinations.iter().map(|_| std::sync::Mutex::default()).collect();
        Self {
            config,
            source_database,
            destination_databases,
            source,
            pairs,
            feeders,
            progress,
            standing,
            checked,
            #[cfg(test)]
            stage: None,
        }
    }

    async fn open_source_anew(&self, columns: &[String]) -> Result<Arc<dyn Source>, PlaceError> {
        #[cfg(test)]
        if let Some(stage) = &self.stage {
            return Ok(stage.source.clone());
        }
        Ok(source::open(&self.config.source, columns, self.source_database.clone()).await?.into())
    }

    async fn open_destination_anew(&self, destination: usize) -> Result<Arc<dyn Destination>, PlaceError> {
        #[cfg(test)]
        if let Some(stage) = &self.stage {
            return Ok(stage.destinations[destination].clone());
        }
        let (copy, database) = self.copy(destination)?;
        Ok(destination::open(copy, database.clone()).await?.into())
    }

    /// Whether there is nothing to compare at a destination.
    pub fn is_event(&self, destination: usize) -> bool {
        self.config.destinations[destination].is_event()
    }

    fn copy(&self, destination: usize) -> Result<(&CopyConfig, &Arc<Database>), PlaceError> {
        let config = &self.config.destinations[destination];
        let copy = config.copy.as_ref().zip(self.destination_databases[destination].as_ref());
        copy.ok_or_else(|| {
            let message = "an event destination has no copy; this is a fault in cupid";
            PlaceError::new(PlaceErrorKind::Other, format!("destination {}", config.name), message)
        })
    }

    /// The source, opened if it is not yet.
    ///
    /// # Errors
    /// As for opening; and if saved progress was made on another source, or on rows that are gone because its ids have
    /// begun anew: deliveries and cursors of the one say nothing about the other.
    pub async fn source(&self) -> Result<Arc<dyn Source>, PlaceError> {
        let source = self.opened().await?;
        self.must_stand(&source).await?;
        Ok(source)
    }

    async fn opened(&self) -> Result<Arc<dyn Source>, PlaceError> {
        if let Some(source) = self.source.get() {
            return Ok(source);
        }
        let _opening = self.source.opening.lock().await;
        if let Some(source) = self.source.get() {
            return Ok(source);
        }
        let columns = self.compared_columns();
        let opened = self.open_source_anew(&columns).await?;
        let saved = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = opened.identity();
        if let Some(saved) = saved.filter(|saved| saved != found) {
            let message = format!(
                "saved progress belongs to another source: it was made on {saved:?}, and the source is {found:?} now; \
                 point `src` back at the old one, or start once with `--restart {}` to begin again",
                self.config.name
            );
            return Err(PlaceError::new(PlaceErrorKind::Missing, self.source_database.place(), message));
        }
        if let Some(before) = self.source.last() {
            let names = columns.iter().chain([&self.config.source.by_column]);
            let kind =
                |source: &Arc<dyn Source>, name: &str| source.find(name).map(|i| source.columns()[i].clone());
            let pairs = names.filter_map(|name| Some((kind(&before, name)?, kind(&opened, name)?)));
            unchanged(self.source_database.place(), &self.config.source.table, pairs)?;
        }
        if self.source.last().is_none() {
            pair::warn_if_unnoticed(&self.config.name, &*opened);
        }
        self.source.set(opened.clone());
        Ok(opened)
    }

    /// The source if it is open right now; never waits.
    pub fn open_source(&self) -> Option<Arc<dyn Source>> {
        self.source.last()
    }

    /// Saved progress was made on this source.
    pub(super) fn progress_of(&self, identity: &str) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity.to_owned());
    }

    /// What saved progress was made on, if there is any.
    pub(super) fn identity(&self) -> Option<String> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A destination together with its source, opened if they are not yet.
    pub async fn pair(&self, destination: usize) -> Result<Arc<Pair>, PlaceError> {
        let source = self.source().await?;
        let slot = &self.pairs[destination];
        let known = || slot.get().filter(|pair| Arc::ptr_eq(&pair.source, &source));
        if let Some(pair) = known() {
            return Ok(pair);
        }
        let _opening = slot.opening.lock().await;
        if let Some(pair) = known() {
            return Ok(pair);
        }
        let (config, (copy, database)) = (&self.config.destinations[destination], self.copy(destination)?);
        let opened = self.open_destination_anew(destination).await?;
        if let Some(before) = slot.last() {
            let all = |des: &Arc<dyn Destination>| {
                [des.key_column()].into_iter().chain(des.columns()).cloned().collect()
            };
            let (was, is): (Vec<Column>, Vec<Column>) = (all(&before.destination), all(&opened));
            unchanged(database.place(), &copy.table, was.into_iter().zip(is))?;
        }
        let place = opened.identity().to_owned();
        let compared = self.compared_columns();
        let pair = Pair::new(source.clone(), opened, &self.config.source, &compared, copy, config.delete);
        let pair = Arc::new(pair.map_err(|e| e.at(place))?);
        slot.set(pair.clone());
        Ok(pair)
    }

    /// An event destination together with its source, opened if that is not yet.
    ///
    /// # Errors
    /// As for the source; and if a rule does not fit its columns.
    pub async fn feeder(&self, destination: usize) -> Result<Arc<Feeder>, PlaceError> {
        let source = self.source().await?;
        let slot = &self.feeders[destination];
        if let Some(feeder) = slot.get().filter(|feeder| Arc::ptr_eq(&feeder.source, &source)) {
            return Ok(feeder);
        }
        let config = &self.config.destinations[destination];
        let feeder = Feeder::new(source, &self.config.source, config);
        let feeder = Arc::new(feeder.map_err(|e| e.at(self.source_database.place()))?);
        slot.set(feeder.clone());
        Ok(feeder)
    }

    /// Opens what a destination needs.
    ///
    /// # Errors
    /// Either side cannot be opened, or they do not fit.
    pub async fn open(&self, destination: usize) -> Result<(), PlaceError> {
        if self.is_event(destination) {
            self.feeder(destination).await.map(drop)
        } else {
            self.pair(destination).await.map(drop)
        }
    }

    fn copies(&self) -> impl Iterator<Item = &CopyConfig> {
        self.config.destinations.iter().filter_map(|config| config.copy.as_ref())
    }

    /// The source columns that any destination compares, and those that `deletedWhen` names.
    fn compared_columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for column in self.copies().flat_map(|copy| &copy.columns) {
            if !columns.contains(&column.source) {
                columns.push(column.source.clone());
            }
        }
        if let Some(rule) = &self.config.source.deleted_when {
            let new = rule.columns().iter().filter(|column| !columns.contains(column));
            columns.extend(new.cloned().collect::<Vec<_>>());
        }
        columns
    }

    /// Makes sure that both sides still are as they were opened, unless that was seen within `fresh`. Nothing may be
    /// believed or sent that was read from other tables, columns or types than those that were decided upon.
    ///
    /// # Errors
    /// What has changed; both sides are opened anew when they are needed next, and stay refused while that does not go.
    pub async fn recheck(&self, destination: usize, fresh: Duration) -> Result<(), PlaceError> {
        let checked = &self.checked[destination];
        let is_fresh = || {
            let checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
            checked.is_some_and(|at| at.elapsed() < fresh)
        };
        let result = if self.is_event(destination) {
            let source = self.source().await?;
            if is_fresh() {
                return Ok(());
            }
            (Instant::now(), source.recheck().await)
        } else {
            let pair = self.pair(destination).await?;
            if is_fresh() {
                return Ok(());
            }
            let began = Instant::now();
            let both = async { tokio::try_join!(pair.source.recheck(), pair.destination.recheck()) };
            (began, both.await.map(drop))
        };
        let (began, result) = result;
        if let Err(e) = result {
            if !e.kind.is_passing() {
                self.doubt_source();
                self.doubt_destination(destination);
            }
            return Err(e);
        }
        *checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
        Ok(())
    }

    /// Notes that `work` failed at a destination or the source, and has both looked at anew if that does not pass by
    /// itself. Returns the error, and when to try again.
    pub(super) fn failed(
        &self,
        status: &StatusBoard,
        work: &str,
        destination: usize,
        e: &PlaceError,
    ) -> (String, Duration) {
        let pause =
            status.place_failed(&self.config.name, work, &self.config.destinations[destination].name, e);
        if !e.kind.is_passing() {
            self.doubt_destination(destination);
            self.doubt_source();
        }
        (chain(e).to_string(), pause)
    }

    /// Lets the source be opened anew before it is used again, after a failure that may mean the catalogue has changed.
    pub fn doubt_source(&self) {
        self.source.doubt();
    }

    /// As [`TaskPlaces::doubt_source`], for a destination.
    pub fn doubt_destination(&self, destination: usize) {
        self.pairs[destination].doubt();
    }
}

/// What is compared is decided by types: another type is another comparison, and nobody has asked for that.
fn unchanged(
    place: impl Into<String>,
    table: &str,
    pairs: impl Iterator<Item = (Column, Column)>,
) -> Result<(), PlaceError> {
    for (was, is) in pairs {
        if was.class != is.class {
            let message = format!(
                "column {:?} of table {table:?} was {} and is {} now; change it back, or restart cupid to compare by \
                 the new type",
                is.name, was.declared, is.declared
            );
            return Err(PlaceError::new(PlaceErrorKind::Missing, place, message));
        }
    }
    Ok(())
}
