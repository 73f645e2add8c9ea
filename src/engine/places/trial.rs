//! What `cupid check` asks of the places of a task.

use std::sync::Arc;

use super::TaskPlaces;
use crate::destination::{self, Destination};
use crate::diff::narrower;
use crate::engine::feeder::{Feeder, Tried};
use crate::engine::pair::{Pair, PairError, Sample};
use crate::source;
use crate::sql::PlaceError;
use crate::sql::probe::Checked;

impl TaskPlaces {
    /// Policies of one destination's columns that do not fit what the two sides hold, or rules that do not fit their
    /// columns, all of them.
    ///
    /// # Errors
    /// Either side cannot be opened.
    pub async fn unfit(&self, destination: usize) -> Result<Vec<String>, PlaceError> {
        let config = &self.config.destinations[destination];
        let (source, compared) = (self.source().await?, self.compared_columns());
        let fits = if config.is_event() {
            Feeder::new(source, &self.config.source, config).map(drop)
        } else {
            let (copy, database) = self.copy(destination)?;
            let opened: Arc<dyn Destination> = destination::open(copy, database.clone()).await?.into();
            Pair::new(source, opened, &self.config.source, &compared, copy, config.delete).map(drop)
        };
        match fits {
            Err(PairError::Unfit(all)) => Ok(all),
            Err(PairError::Place(e)) => Err(e),
            Ok(()) => Ok(Vec::new()),
        }
    }

    /// What a copy's columns cannot hold of the source's.
    ///
    /// # Errors
    /// Either side cannot be opened.
    pub async fn narrower(&self, destination: usize) -> Result<Vec<String>, PlaceError> {
        let Some(copy) = &self.config.destinations[destination].copy else { return Ok(Vec::new()) };
        let pair = self.pair(destination).await?;
        let columns = copy.columns.iter().zip(pair.destination.columns()).filter(|(c, _)| !c.policy.ignore);
        let said = columns.filter_map(|(column, there)| {
            let source = pair.source.find(&column.source)?;
            narrower(&pair.source.columns()[source], there)
        });
        Ok(said.collect())
    }

    /// Looks at everything the task needs of its places and tells all that was found, by place.
    pub async fn probe(&self) -> Vec<(String, Vec<Checked>)> {
        let source = &self.config.source;
        let name = format!("source {} {}", source.dsn.place(), source.table);
        let found = source::probe(source, &self.compared_columns(), &self.source_database).await;
        let mut places = vec![(name, found)];
        let folds = source::key_folds(source, &self.source_database).await;
        for (config, database) in self.config.destinations.iter().zip(&self.destination_databases) {
            let (Some(copy), Some(database)) = (&config.copy, database) else { continue };
            let name = format!("destination {}: {} {}", config.name, copy.dsn.place(), copy.table);
            places.push((name, destination::probe(copy, database, folds.as_ref()).await));
        }
        places
    }

    /// Compares up to `rows` rows spread over the source with one destination.
    pub async fn sample(&self, destination: usize, rows: usize) -> Result<Sample, PlaceError> {
        self.pair(destination).await?.sample(rows).await
    }

    /// Says of up to `rows` rows spread over the source what an event destination would be told.
    ///
    /// # Errors
    /// The source cannot be asked.
    pub async fn try_events(&self, destination: usize, rows: usize) -> Result<Tried, PlaceError> {
        self.feeder(destination).await?.try_out(rows).await
    }
}
