//! The databases of a task: opened when first needed, kept while they work, looked at anew when they fail.
//!
//! A failure that waiting cannot cure (right, table or column gone) drops what was opened, so that the next try reads
//! the catalogue again: a task resumes by itself when the cause is gone.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::pair::{Pair, Sample};
use crate::config::{Config, Dsn, TaskConfig};
use crate::destination::{self, Destination};
use crate::source::{self, Source};
use crate::sql::probe::Checked;
use crate::sql::{Database, Limits, PlaceError};

/// The databases of all tasks; tasks that name the same place share its connections.
#[derive(Debug)]
pub struct Places {
    /// In the order of the configuration.
    pub tasks: Vec<Arc<TaskPlaces>>,
    databases: Vec<Arc<Database>>,
}

impl Places {
    /// Prepares everything; nothing is connected yet.
    pub fn new(config: &Config) -> Self {
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
                let destinations = task.destinations.iter().map(|des| shared(&des.dsn)).collect();
                Arc::new(TaskPlaces::new(task.clone(), source, destinations))
            })
            .collect();
        Self { tasks, databases: databases.into_values().collect() }
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
    destination_databases: Vec<Arc<Database>>,
    source: Mutex<Option<Arc<dyn Source>>>,
    pairs: Vec<Mutex<Option<Arc<Pair>>>>,
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
        destination_databases: Vec<Arc<Database>>,
    ) -> Self {
        let pairs = config.destinations.iter().map(|_| Mutex::new(None)).collect();
        Self { config, source_database, destination_databases, source: Mutex::new(None), pairs }
    }

    /// The source, opened if it is not yet.
    pub async fn source(&self) -> Result<Arc<dyn Source>, PlaceError> {
        let mut slot = self.source.lock().await;
        if let Some(source) = &*slot {
            return Ok(source.clone());
        }
        let columns = self.compared_columns();
        let opened: Arc<dyn Source> =
            source::open(&self.config.source, &columns, self.source_database.clone()).await?.into();
        *slot = Some(opened.clone());
        Ok(opened)
    }

    /// The source if it is open right now; never waits.
    pub fn open_source(&self) -> Option<Arc<dyn Source>> {
        self.source.try_lock().ok()?.clone()
    }

    /// A destination together with its source, opened if they are not yet.
    pub async fn pair(&self, destination: usize) -> Result<Arc<Pair>, PlaceError> {
        let source = self.source().await?;
        let mut slot = self.pairs[destination].lock().await;
        if let Some(pair) = &*slot
            && Arc::ptr_eq(&pair.source, &source)
        {
            return Ok(pair.clone());
        }
        let config = &self.config.destinations[destination];
        let opened: Arc<dyn Destination> =
            destination::open(config, self.destination_databases[destination].clone()).await?.into();
        let pair = Arc::new(Pair::new(source, opened, &self.config.source.by_column, &config.columns)?);
        *slot = Some(pair.clone());
        Ok(pair)
    }

    /// Looks at everything the task needs of its places and tells all that was found, by place.
    pub async fn probe(&self) -> Vec<(String, Vec<Checked>)> {
        let source = &self.config.source;
        let name = format!("source {} {}", source.dsn.place(), source.table);
        let found = source::probe(source, &self.compared_columns(), &self.source_database).await;
        let mut places = vec![(name, found)];
        for (config, database) in self.config.destinations.iter().zip(&self.destination_databases) {
            let name = format!("destination {}: {} {}", config.name, config.dsn.place(), config.table);
            places.push((name, destination::probe(config, database).await));
        }
        places
    }

    /// Compares up to `rows` rows spread over the source with one destination.
    pub async fn sample(&self, destination: usize, rows: usize) -> Result<Sample, PlaceError> {
        self.pair(destination).await?.sample(rows).await
    }

    /// The source columns that any destination compares.
    fn compared_columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for (column, _) in self.config.destinations.iter().flat_map(|d| &d.columns) {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
        columns
    }

    /// Forgets what was opened, after a failure that may mean the catalogue has changed.
    pub async fn forget_source(&self) {
        *self.source.lock().await = None;
    }

    /// As [`TaskPlaces::forget_source`], for a destination.
    pub async fn forget_destination(&self, destination: usize) {
        *self.pairs[destination].lock().await = None;
    }
}
