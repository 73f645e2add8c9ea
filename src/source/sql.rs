//! A table of a database as a source, whatever the engine.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use chrono_tz::Tz;

use super::insert::{self, InsertFeed};
use super::keys::{by_ids, id_column, id_param, limit_param, list_statements};
use super::update::{self, Stored, TimeForm, Window};
use super::{Batch, Source};
use crate::config::{SourceConfig, Start, UpdateConfig};
use crate::model::{Class, Column, Feed, Position, Row, RowId, SourceRow};
use crate::sql::catalog::Table;
use crate::sql::clock::{self, Now};
use crate::sql::select::{self, Bound};
use crate::sql::statement::Statement;
use crate::sql::{Database, PlaceError, PlaceErrorKind, bind};

/// The least overlap of update windows: a second, because most update columns hold whole seconds.
const LEAST_OVERLAP: TimeDelta = TimeDelta::seconds(1);

pub(super) struct SqlSource {
    config: SourceConfig,
    mapped: Vec<String>,
    database: Arc<Database>,
    table: Table,
    identity: String,
    id: usize,
    /// What `read` returns.
    read_columns: Vec<usize>,
    /// For each of `read_columns` its place in the statements' result, which begins with the id.
    places: Vec<usize>,
    insert: InsertFeed,
    update: Option<UpdateFeed>,
    fetch: Vec<Statement>,
}

/// The update feed of a source.
struct UpdateFeed {
    column: usize,
    /// Place of the column in `read_columns`.
    place: usize,
    config: UpdateConfig,
    overlap: TimeDelta,
    time: OnceLock<TimeForm>,
    sample: Statement,
    from_beginning: Statement,
    from: Statement,
    same_time: Statement,
    after: Statement,
}

impl SqlSource {
    pub(super) async fn open(
        config: &SourceConfig,
        mapped: &[String],
        database: Arc<Database>,
    ) -> Result<Self, PlaceError> {
        let table = Table::resolve(&database, &config.table).await?;
        let missing = |message: String| PlaceError::new(PlaceErrorKind::Missing, database.place(), message);
        let id = id_column(&table, config.id.as_deref()).map_err(missing)?;
        let by = table.require(&config.by_column).map_err(missing)?;
        let mut read_columns = vec![by];
        let named = mapped.iter().chain(config.update.iter().map(|update| &update.column));
        for name in named {
            let column = table.require(name).map_err(missing)?;
            if !read_columns.contains(&column) {
                read_columns.push(column);
            }
        }
        let mut selected = vec![id];
        selected.extend(read_columns.iter().filter(|column| **column != id));
        let place = |column: &usize| selected.iter().position(|c| c == column).unwrap_or_default();
        let places = read_columns.iter().map(place).collect();

        let update = match &config.update {
            Some(update) => {
                let column = table.require(&update.column).map_err(missing)?;
                let place = read_columns.iter().position(|c| *c == column).unwrap_or_default();
                Some(UpdateFeed::new(&table, &selected, id, column, place, update))
            }
            None => None,
        };
        let all: Vec<usize> = (0..table.columns.len()).collect();
        let source = Self {
            identity: format!(
                "{} id={} key={}",
                table.identity, table.columns[id].name, table.columns[by].name
            ),
            insert: InsertFeed::new(&table, &selected, id),
            fetch: list_statements(&table, &all, id),
            config: config.clone(),
            mapped: mapped.to_vec(),
            database,
            table,
            id,
            read_columns,
            places,
            update,
        };
        if source.update.is_some() {
            source.time_form().await?;
        }
        Ok(source)
    }

    fn missing(&self, message: String) -> PlaceError {
        PlaceError::new(PlaceErrorKind::Missing, self.database.place(), message)
    }

    fn update_feed(&self) -> Result<&UpdateFeed, PlaceError> {
        self.update.as_ref().ok_or_else(|| {
            self.missing("the update feed is off: the source names no \"updateColumn\"".to_owned())
        })
    }

    /// How the update column writes time; `None` while the table is empty and the column's type does not tell.
    async fn time_form(&self) -> Result<Option<&TimeForm>, PlaceError> {
        let feed = self.update_feed()?;
        if let Some(time) = feed.time.get() {
            return Ok(Some(time));
        }
        let column = &self.table.columns[feed.column];
        let sample = if matches!(column.class, Class::Date | Class::DateTime | Class::Instant) {
            None
        } else {
            self.database
                .fetch(&feed.sample, &[])
                .await?
                .into_iter()
                .next()
                .and_then(|row| row.into_iter().next())
        };
        let time = TimeForm::decide(column, feed.config.layout.as_ref(), sample.as_ref());
        let time = time.map_err(|message| self.missing(message))?;
        Ok(time.map(|time| feed.time.get_or_init(|| time)))
    }

    /// The database's clock as the update column shows it.
    async fn now(&self, time: Option<&TimeForm>) -> Result<Now, PlaceError> {
        let utc = time.is_none_or(TimeForm::is_utc);
        clock::now(&self.database, if utc { Some(Tz::UTC) } else { self.config.zone }).await
    }

    /// Rows of a statement that selects the id and the read columns. A row whose id is no integer (only SQLite lets
    /// one in) cannot be walked past and is left out.
    fn source_rows(&self, rows: Vec<Row>) -> Vec<SourceRow> {
        let plain = self.places.iter().copied().eq(1..=self.places.len());
        rows.into_iter()
            .filter_map(|mut row| {
                let id = RowId(row[0].as_int()?);
                let values = if plain {
                    row.remove(0);
                    row
                } else {
                    self.places.iter().map(|place| row[*place].clone()).collect()
                };
                Some(SourceRow { id, values })
            })
            .collect()
    }

    async fn read_inserts(&self, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let cursor = insert::Cursor::read(from).ok_or_else(|| self.foreign(from))?;
        let read = self.insert.read(&self.database, cursor, limit).await?;
        Ok(Batch { rows: self.source_rows(read.rows), next: read.next, more: read.more })
    }

    async fn read_updates(&self, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let feed = self.update_feed()?;
        let cursor = update::Cursor::read(from).ok_or_else(|| self.foreign(from))?;
        let Some(time) = self.time_form().await? else {
            return Ok(Batch { rows: Vec::new(), next: from.clone(), more: false });
        };
        if let Some(page) = &cursor.page {
            let rows = self.next_page(feed, time, page, limit).await?;
            let full = rows.len() >= limit;
            let rows = self.source_rows(rows);
            let last = rows.last().filter(|_| full).and_then(|row| feed.last(row));
            let next = match last {
                Some((time, id)) => page.advanced(&cursor, time, id),
                None => page.finished(),
            };
            return Ok(Batch { more: full, rows, next: next.position() });
        }
        let now = self.now(Some(time)).await?;
        let window = cursor.window(feed.overlap, &now);
        let rows = self.first_page(feed, time, &window, limit).await?;
        let full = rows.len() >= limit;
        let rows = self.source_rows(rows);
        let last = rows.last().filter(|_| full).and_then(|row| feed.last(row));
        let next = match last {
            Some((time, id)) => cursor.paged(&window, &now, time, id),
            None => update::Cursor::done(&now),
        };
        Ok(Batch { more: full, rows, next: next.position() })
    }

    async fn first_page(
        &self,
        feed: &UpdateFeed,
        time: &TimeForm,
        window: &Window,
        limit: usize,
    ) -> Result<Vec<Row>, PlaceError> {
        let high = bind::param(&time.write(window.high));
        match window.low {
            Some(low) => {
                let low = bind::param(&time.write(low));
                self.database.fetch(&feed.from, &[low, high, limit_param(limit)]).await
            }
            None => self.database.fetch(&feed.from_beginning, &[high, limit_param(limit)]).await,
        }
    }

    /// Two statements instead of one with OR: rows of the last time behind the last key, then later times. Each
    /// follows an index; the OR would read all rows of one time again for each page of them.
    async fn next_page(
        &self,
        feed: &UpdateFeed,
        time: &TimeForm,
        page: &update::Page,
        limit: usize,
    ) -> Result<Vec<Row>, PlaceError> {
        let broken = || self.missing("the saved position cannot be read; start the task anew".to_owned());
        let at = bind::param(&page.time.value().ok_or_else(broken)?);
        let id =
            page.id.parse().ok().and_then(|id| id_param(&self.database, RowId(id))).ok_or_else(broken)?;
        let mut rows = self.database.fetch(&feed.same_time, &[at.clone(), id, limit_param(limit)]).await?;
        if rows.len() < limit {
            let high = crate::model::form::parse_moment(&page.high).ok_or_else(broken)?;
            let high = bind::param(&time.write(high));
            let left = limit_param(limit - rows.len());
            rows.extend(self.database.fetch(&feed.after, &[at, high, left]).await?);
        }
        Ok(rows)
    }

    fn foreign(&self, position: &Position) -> PlaceError {
        let message = format!(
            "the saved position {:?} is none of this feed; start the task anew (--restart)",
            position.as_str()
        );
        PlaceError::new(PlaceErrorKind::Other, self.database.place(), message)
    }
}

impl UpdateFeed {
    fn new(
        table: &Table,
        selected: &[usize],
        id: usize,
        column: usize,
        place: usize,
        config: &UpdateConfig,
    ) -> Self {
        let overlap = TimeDelta::from_std(config.window).unwrap_or(TimeDelta::days(365));
        let page = |bounds: &[Bound], order: &[usize]| select::page(table, selected, bounds, order);
        Self {
            column,
            place,
            config: config.clone(),
            overlap: overlap.max(LEAST_OVERLAP),
            time: OnceLock::new(),
            sample: select::extreme(table, column, true),
            from_beginning: page(&[Bound::UpTo(column)], &[column, id]),
            from: page(&[Bound::From(column), Bound::UpTo(column)], &[column, id]),
            same_time: page(&[Bound::Equal(column), Bound::After(id)], &[id]),
            after: page(&[Bound::After(column), Bound::UpTo(column)], &[column, id]),
        }
    }

    /// Where a page ends that ends with this row.
    fn last(&self, row: &SourceRow) -> Option<(Stored, i128)> {
        Stored::keep(&row.values[self.place]).map(|time| (time, row.id.0))
    }
}

#[async_trait]
impl Source for SqlSource {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn columns(&self) -> &[Column] {
        &self.table.columns
    }

    fn read_columns(&self) -> &[usize] {
        &self.read_columns
    }

    async fn start(&self, feed: Feed, start_id: Option<RowId>) -> Result<Position, PlaceError> {
        if feed == Feed::Insert {
            return Ok(insert::Cursor::starting_at(start_id).position());
        }
        let feed = self.update_feed()?;
        let time = self.time_form().await?;
        let cursor = match &feed.config.start {
            Start::Beginning => update::Cursor::beginning(),
            Start::Now => update::Cursor::done(&self.now(time).await?),
            Start::At(at) => update::Cursor::at(*at, feed.overlap, &self.now(time).await?),
        };
        Ok(cursor.position())
    }

    async fn read(&self, feed: Feed, from: &Position, limit: usize) -> Result<Batch, PlaceError> {
        let limit = limit.max(1);
        match feed {
            Feed::Insert => self.read_inserts(from, limit).await,
            Feed::Update => self.read_updates(from, limit).await,
        }
    }

    fn earlier(&self, feed: Feed, a: &Position, b: &Position) -> Position {
        match feed {
            Feed::Insert => insert::earlier(a, b),
            Feed::Update => match (update::Cursor::read(a), update::Cursor::read(b), &self.update) {
                (Some(x), Some(y), Some(feed)) => {
                    // Only a position inside a window needs the notation, and then it is known.
                    let time = feed.time.get().cloned().unwrap_or(TimeForm::Day);
                    update::earlier(&x, &y, feed.overlap, &time).position()
                }
                (None, ..) => a.clone(),
                _ => b.clone(),
            },
        }
    }

    async fn fetch(&self, ids: &[RowId]) -> Result<Vec<SourceRow>, PlaceError> {
        let rows = by_ids(&self.database, &self.fetch, ids).await?;
        let keyed = |row: Row| Some(SourceRow { id: RowId(row[self.id].as_int()?), values: row });
        Ok(rows.into_iter().filter_map(keyed).collect())
    }

    async fn recheck(&self) -> Result<(), PlaceError> {
        let fresh = Table::resolve(&self.database, &self.config.table).await?;
        if fresh.identity != self.table.identity {
            let message = format!(
                "table {:?} is another one now ({}, was {}): it was dropped and made anew, or the server was replaced",
                self.config.table, fresh.identity, self.table.identity
            );
            return Err(self.missing(message));
        }
        id_column(&fresh, self.config.id.as_deref()).map_err(|message| self.missing(message))?;
        let named = self.mapped.iter().chain(self.config.update.iter().map(|update| &update.column));
        for name in named.chain([&self.config.by_column]) {
            fresh.require(name).map_err(|message| self.missing(message))?;
        }
        for (column, detail) in self.table.columns.iter().zip(&self.table.details) {
            let now = fresh.columns.iter().zip(&fresh.details).find(|(c, _)| c.name == column.name);
            let changed = match now {
                None => "is gone".to_owned(),
                Some((now, _)) if now.class != column.class => {
                    format!("was {} and is {} now", column.declared, now.declared)
                }
                Some((now, fresh)) if fresh.read != detail.read => {
                    format!("was {} and is {} now", column.declared, now.declared)
                }
                Some(_) => continue,
            };
            let table = self.table.full_name();
            return Err(self.missing(format!("column {:?} of table {table:?} {changed}", column.name)));
        }
        Ok(())
    }

    fn interval(&self, feed: Feed) -> Option<Duration> {
        match feed {
            Feed::Insert => self.config.insert,
            Feed::Update => self.config.update.as_ref().map(|update| update.interval),
        }
    }
}
