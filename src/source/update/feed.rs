//! The update feed of a table: how its column tells time, where it starts, and its looks.

use std::sync::OnceLock;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::{Cursor, Place, Strays, Terms, TimeForm, earlier_place};
use crate::config::{SourceConfig, Start, UpdateConfig};
use crate::model::{Class, Position, RowId, Value, form};
use crate::source::Batch;
use crate::source::ground::{EDGE, Ground, may_be_no_time};
use crate::source::keys::limit_param;
use crate::source::shape::Shape;
use crate::sql::catalog::Table;
use crate::sql::clock::{self, Now};
use crate::sql::horizon::{self, span};
use crate::sql::select;
use crate::sql::statement::Statement;
use crate::sql::{Database, PlaceError, PlaceErrorKind};

/// The least overlap of windows: a second, because most update columns hold whole seconds.
const LEAST_OVERLAP: TimeDelta = TimeDelta::seconds(1);

/// See the module's documentation.
pub(in crate::source) struct UpdateFeed {
    column: crate::model::Column,
    /// Place of the update column in what the feed returns.
    place: usize,
    config: UpdateConfig,
    zone: Option<Tz>,
    settle: Duration,
    overlap: TimeDelta,
    time: OnceLock<TimeForm>,
    largest: Statement,
    /// The largest and the smallest values, if they may be no times.
    edges: Option<[Statement; 2]>,
}

impl UpdateFeed {
    /// The update feed that a source is configured to have.
    pub(in crate::source) fn new(table: &Table, shape: &Shape, config: &SourceConfig) -> Option<Self> {
        let (update, column, place) = (config.update.as_ref()?, shape.update?, shape.update_place()?);
        Some(Self {
            column: table.columns[column].clone(),
            place,
            config: update.clone(),
            zone: config.zone,
            settle: config.settle,
            overlap: span(update.window).max(LEAST_OVERLAP),
            time: OnceLock::new(),
            largest: select::extreme(table, column, true),
            edges: may_be_no_time(table.columns[column].class).then(|| {
                [true, false]
                    .map(|largest| select::edge(table, &[shape.id, column], (column, shape.id), largest))
            }),
        })
    }

    /// Makes sure that the update column can tell time.
    pub(in crate::source) async fn check(&self, database: &Database) -> Result<(), PlaceError> {
        self.time(database).await.map(drop)
    }

    /// How the update column writes time; `None` while the table is empty and the column's type does not tell.
    async fn time(&self, database: &Database) -> Result<Option<&TimeForm>, PlaceError> {
        if let Some(time) = self.time.get() {
            return Ok(Some(time));
        }
        let sample = match self.column.class {
            Class::Date | Class::DateTime | Class::Instant => None,
            _ => self.largest(database).await?,
        };
        let time = match self.decide(database, sample.as_ref()).await? {
            // Not for one text that is no time: others may tell.
            Err(problem) => match self.others(database).await? {
                Some(time) => Some(time),
                None => return Err(PlaceError::new(PlaceErrorKind::Missing, database.place(), problem)),
            },
            Ok(time) => time,
        };
        Ok(time.map(|time| self.time.get_or_init(|| time)))
    }

    async fn decide(
        &self,
        database: &Database,
        sample: Option<&Value>,
    ) -> Result<Result<Option<TimeForm>, String>, PlaceError> {
        let now = match sample {
            Some(Value::Int(_)) => {
                Box::pin(clock::now(database, Some(Tz::UTC))).await?.utc.and_utc().timestamp()
            }
            _ => 0,
        };
        Ok(TimeForm::decide(&self.column, self.config.layout.as_ref(), sample, now))
    }

    /// The form of the largest value that is a time, where values may be none.
    async fn others(&self, database: &Database) -> Result<Option<TimeForm>, PlaceError> {
        for (value, _) in self.edges(database).await? {
            if let Ok(Some(time)) = self.decide(database, Some(&value)).await? {
                return Ok(Some(time));
            }
        }
        Ok(None)
    }

    async fn edges(&self, database: &Database) -> Result<Vec<(Value, RowId)>, PlaceError> {
        let mut edges = Vec::new();
        for edge in self.edges.iter().flatten() {
            let rows = database.fetch(edge, &[limit_param(EDGE)]).await?;
            edges.extend(rows.into_iter().filter_map(|mut row| {
                let id = RowId(row[0].as_int()?);
                Some((row.pop()?, id))
            }));
        }
        Ok(edges)
    }

    /// Rows whose update time cannot be read.
    pub(in crate::source) async fn strays(&self, database: &Database) -> Result<Strays, PlaceError> {
        match self.time(database).await? {
            Some(time) => Ok(Strays::among(&self.edges(database).await?, time)),
            None => Ok(Strays::default()),
        }
    }

    /// The largest update time in the table.
    async fn largest(&self, database: &Database) -> Result<Option<Value>, PlaceError> {
        let rows = database.fetch(&self.largest, &[]).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()))
    }

    /// The zone whose wall the update column shows; `None`: the server's own.
    pub(in crate::source) fn wall(&self) -> Option<Tz> {
        let utc = self.time.get().is_none_or(TimeForm::is_utc);
        if utc { Some(Tz::UTC) } else { self.zone }
    }

    /// The database's clock as the update column shows it.
    async fn now(&self, database: &Database) -> Result<Now, PlaceError> {
        clock::now(database, self.wall()).await
    }

    /// How far the largest update time lies ahead of the clock that windows are made with; `None` if the table is
    /// empty.
    pub(in crate::source) async fn ahead(
        &self,
        database: &Database,
    ) -> Result<Option<TimeDelta>, PlaceError> {
        let Some(time) = self.time(database).await? else { return Ok(None) };
        let largest = match self.largest(database).await?.and_then(|value| time.parse(&value)) {
            None => Strays::among(&self.edges(database).await?, time).latest,
            largest => largest,
        };
        let now = self.now(database).await?;
        Ok(largest.map(|largest| match time {
            TimeForm::Day => form::midnight(largest.date()) - form::midnight(now.wall.date()),
            _ => largest - now.wall,
        }))
    }

    /// Where the feed starts without saved progress.
    pub(in crate::source) async fn start(&self, database: &Database) -> Result<Position, PlaceError> {
        self.time(database).await?;
        let cursor = match &self.config.start {
            Start::Beginning => Cursor::beginning(),
            // What is open now may have been written before, and is not to be seen yet.
            Start::Now => {
                let horizon = horizon::read(database, self.wall(), self.settle).await?;
                let now = horizon.now;
                Cursor::done(horizon.settled(self.settle).min(now.utc), now.offset())
            }
            Start::At(at) => Cursor::at(*at, self.overlap, &self.now(database).await?),
        };
        Ok(Place { cursor, ..Place::default() }.position())
    }

    /// Whether the feed can tell time yet: not while the table is empty and the column's type does not tell.
    pub(in crate::source) async fn is_ready(&self, database: &Database) -> Result<bool, PlaceError> {
        Ok(self.time(database).await?.is_some())
    }

    /// The rows behind a position; `None`: it is none of this feed.
    pub(in crate::source) async fn read(
        &self,
        ground: &dyn Ground,
        memory: usize,
        from: &Position,
        limit: usize,
    ) -> Result<Option<Batch>, PlaceError> {
        let Some(time) = self.time.get() else { return Ok(None) };
        let terms = Terms { overlap: self.overlap, settle: self.settle, memory, time, column: self.place };
        super::read(ground, terms, from, limit).await
    }

    /// A position from which neither of the two loses anything.
    pub(in crate::source) fn earlier(&self, a: &Position, b: &Position) -> Position {
        // Only a position inside a window needs the notation, and then it is known.
        earlier_place(a, b, self.overlap, self.time.get().unwrap_or(&TimeForm::Day))
    }
}
