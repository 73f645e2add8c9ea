//! The update feed on a table: its statements, and how a page of a window is read.

use std::sync::OnceLock;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::{Cursor, Page, Stored, TimeForm, Window, earlier};
use crate::config::{SourceConfig, Start, UpdateConfig};
use crate::model::{Class, Position, RowId, SourceRow, Value, form};
use crate::source::Batch;
use crate::source::keys::{after_param, limit_param};
use crate::source::shape::Shape;
use crate::sql::catalog::Table;
use crate::sql::clock::{self, Now};
use crate::sql::select::{self, Bound};
use crate::sql::statement::Statement;
use crate::sql::{Answer, BUDGET, Database, PlaceError, PlaceErrorKind, bind};

/// The least overlap of windows: a second, because most update columns hold whole seconds.
const LEAST_OVERLAP: TimeDelta = TimeDelta::seconds(1);

/// See the module's documentation.
pub(in crate::source) struct UpdateFeed {
    column: crate::model::Column,
    /// Place of the update column in what the feed returns.
    place: usize,
    config: UpdateConfig,
    zone: Option<Tz>,
    overlap: TimeDelta,
    time: OnceLock<TimeForm>,
    largest: Statement,
    from_beginning: Statement,
    from: Statement,
    same_time: Statement,
    after: Statement,
}

impl UpdateFeed {
    /// The update feed that a source is configured to have.
    pub(in crate::source) fn new(table: &Table, shape: &Shape, config: &SourceConfig) -> Option<Self> {
        let (update, column, place) = (config.update.as_ref()?, shape.update?, shape.update_place()?);
        let overlap = TimeDelta::from_std(update.window).unwrap_or(TimeDelta::days(365));
        let page = |bounds: &[Bound], order: &[usize]| select::page(table, &shape.selected, bounds, order);
        let by_time = [column, shape.id];
        Some(Self {
            column: table.columns[column].clone(),
            place,
            config: update.clone(),
            zone: config.zone,
            overlap: overlap.max(LEAST_OVERLAP),
            time: OnceLock::new(),
            largest: select::extreme(table, column, true),
            from_beginning: page(&[Bound::UpTo(column)], &by_time),
            from: page(&[Bound::From(column), Bound::UpTo(column)], &by_time),
            same_time: page(&[Bound::Equal(column), Bound::After(shape.id)], &[shape.id]),
            after: page(&[Bound::After(column), Bound::UpTo(column)], &by_time),
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
        let time = TimeForm::decide(&self.column, self.config.layout.as_ref(), sample.as_ref());
        let missing = |message| PlaceError::new(PlaceErrorKind::Missing, database.place(), message);
        Ok(time.map_err(missing)?.map(|time| self.time.get_or_init(|| time)))
    }

    /// The largest update time in the table.
    async fn largest(&self, database: &Database) -> Result<Option<Value>, PlaceError> {
        let rows = database.fetch(&self.largest, &[]).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()))
    }

    /// The database's clock as the update column shows it.
    async fn now(&self, database: &Database, time: Option<&TimeForm>) -> Result<Now, PlaceError> {
        let utc = time.is_none_or(TimeForm::is_utc);
        clock::now(database, if utc { Some(Tz::UTC) } else { self.zone }).await
    }

    /// How far the largest update time lies ahead of the clock that windows are made with; `None` if the table is
    /// empty.
    pub(in crate::source) async fn ahead(
        &self,
        database: &Database,
    ) -> Result<Option<TimeDelta>, PlaceError> {
        let Some(time) = self.time(database).await? else { return Ok(None) };
        let largest = self.largest(database).await?.and_then(|value| time.parse(&value));
        let now = self.now(database, Some(time)).await?;
        Ok(largest.map(|largest| match time {
            TimeForm::Day => form::midnight(largest.date()) - form::midnight(now.wall.date()),
            _ => largest - now.wall,
        }))
    }

    /// Where the feed starts without saved progress.
    pub(in crate::source) async fn start(&self, database: &Database) -> Result<Position, PlaceError> {
        let time = self.time(database).await?;
        let cursor = match &self.config.start {
            Start::Beginning => Cursor::beginning(),
            Start::Now => Cursor::done(&self.now(database, time).await?),
            Start::At(at) => Cursor::at(*at, self.overlap, &self.now(database, time).await?),
        };
        Ok(cursor.position())
    }

    /// The rows behind a position, or the message that it is none of this feed.
    pub(in crate::source) async fn read(
        &self,
        database: &Database,
        shape: &Shape,
        from: &Position,
        limit: usize,
    ) -> Result<Batch, PlaceError> {
        let cursor = Cursor::read(from).ok_or_else(|| super::foreign(database, from))?;
        let Some(time) = self.time(database).await? else {
            return Ok(Batch { rows: Vec::new(), next: from.clone(), more: false });
        };
        if let Some(page) = &cursor.page {
            let answer = self.next_page(database, time, page, limit).await?;
            let full = answer.is_full(limit);
            let rows = shape.rows(answer.rows);
            let next = match self.end(database, &rows, full)? {
                Some((time, id)) => page.advanced(&cursor, time, id),
                None => page.finished(),
            };
            return Ok(Batch { more: full, rows, next: next.position() });
        }
        let now = self.now(database, Some(time)).await?;
        let window = cursor.window(self.overlap, &now);
        let answer = self.first_page(database, time, &window, limit).await?;
        let full = answer.is_full(limit);
        let rows = shape.rows(answer.rows);
        let next = match self.end(database, &rows, full)? {
            Some((time, id)) => cursor.paged(&window, &now, time, id),
            None => Cursor::done(&now),
        };
        Ok(Batch { more: full, rows, next: next.position() })
    }

    /// Where the next page begins, if this one was full.
    fn end(
        &self,
        database: &Database,
        rows: &[SourceRow],
        full: bool,
    ) -> Result<Option<PageEnd>, PlaceError> {
        if !full {
            return Ok(None);
        }
        // Going on without a place to begin at would skip the rest of the window.
        page_end(rows, self.place).map(Some).ok_or_else(|| {
            let name = &self.column.name;
            let message =
                format!("none of {} rows in a page has a time in {name:?} and an integer id", rows.len());
            PlaceError::new(PlaceErrorKind::Other, database.place(), message)
        })
    }

    async fn first_page(
        &self,
        database: &Database,
        time: &TimeForm,
        window: &Window,
        limit: usize,
    ) -> Result<Answer, PlaceError> {
        let high = bind::param(&time.write(window.high));
        match window.low {
            Some(low) => {
                let low = bind::param(&time.write(low));
                database.fetch_within(BUDGET, &self.from, &[low, high, limit_param(limit)]).await
            }
            None => database.fetch_within(BUDGET, &self.from_beginning, &[high, limit_param(limit)]).await,
        }
    }

    /// Two statements instead of one with OR: rows of the last time behind the last key, then later times. Each
    /// follows an index; the OR would read all rows of one time again for each page of them.
    async fn next_page(
        &self,
        database: &Database,
        time: &TimeForm,
        page: &Page,
        limit: usize,
    ) -> Result<Answer, PlaceError> {
        let broken = || super::foreign(database, &Position::new(page.high.as_str()));
        let at = bind::param(&page.time.value().ok_or_else(broken)?);
        let id = page.id.parse().ok().map(RowId).ok_or_else(broken)?;
        let mut answer = match after_param(database.engine(), id) {
            Some(id) => {
                let params = [at.clone(), id, limit_param(limit)];
                database.fetch_within(BUDGET, &self.same_time, &params).await?
            }
            None => Answer::default(),
        };
        if !answer.is_full(limit) {
            let high = form::parse_moment(&page.high).ok_or_else(broken)?;
            let high = bind::param(&time.write(high));
            let params = [at, high, limit_param(limit - answer.rows.len())];
            let left = BUDGET.saturating_sub(answer.size());
            let later = database.fetch_within(left, &self.after, &params).await?;
            answer.rows.extend(later.rows);
            answer.cut = later.cut;
        }
        Ok(answer)
    }

    /// A position from which neither of the two loses anything.
    pub(in crate::source) fn earlier(&self, a: &Position, b: &Position) -> Position {
        // One that cannot be read is refused when it is read from.
        let Some(x) = Cursor::read(a) else { return a.clone() };
        let Some(y) = Cursor::read(b) else { return b.clone() };
        // Only a position inside a window needs the notation, and then it is known.
        let time = self.time.get().unwrap_or(&TimeForm::Day);
        earlier(&x, &y, self.overlap, time).position()
    }
}

/// Update time and id of a row.
type PageEnd = (Stored, i128);

/// The last row of a page that can be gone on from. Rows behind it whose time is unreadable are read again with the
/// next page.
fn page_end(rows: &[SourceRow], place: usize) -> Option<PageEnd> {
    rows.iter().rev().find_map(|row| Some((Stored::keep(&row.values[place])?, row.id.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_can_begin() {
        let row = |id, time: Value| SourceRow { id: RowId(id), values: vec![Value::Null, time] };
        let bad = Value::Bytes([0xff].into());
        let rows = [row(1, Value::text("a")), row(2, Value::Int(5)), row(3, bad.clone())];
        assert_eq!(page_end(&rows, 1), Some((Stored::Int("5".to_owned()), 2)));
        assert_eq!(page_end(&[row(3, bad)], 1), None);
        assert_eq!(page_end(&[], 1), None);
    }
}
