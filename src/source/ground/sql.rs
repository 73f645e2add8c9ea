//! The ground on a table of a database.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono_tz::Tz;

use super::{Found, Ground, Page, Stretch, Survey};
use crate::config::SourceConfig;
use crate::model::{Class, Row, RowId, SourceRow, Value};
use crate::source::keys::{after_param, by_ids, limit_param, list_statements};
use crate::source::shape::Shape;
use crate::sql::catalog::Table;
use crate::sql::horizon::{self, Horizon};
use crate::sql::next_id::{Counter, NextId};
use crate::sql::select::{self, Bound};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Answer, BUDGET, Database, PlaceError, PlaceErrorKind, bind};

/// Where time is measured from: the same for every source, so that one that is opened anew goes on measuring.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// See the module's documentation. Made anew for each step from what [`Statements`] holds.
pub(in crate::source) struct SqlGround<'a> {
    pub(in crate::source) database: &'a Arc<Database>,
    pub(in crate::source) shape: &'a Shape,
    pub(in crate::source) statements: &'a Statements,
    /// The zone of the horizon's wall; `None`: the server's own.
    pub(in crate::source) zone: Option<Tz>,
    pub(in crate::source) settle: Duration,
}

/// Everything that is asked of a table.
pub(in crate::source) struct Statements {
    from: Statement,
    between: Statement,
    ids: Statement,
    within: Vec<Statement>,
    by_ids: Vec<Statement>,
    largest: Statement,
    counter: Counter,
    latest: Option<Statement>,
    nulls: Option<Statement>,
    edges: Option<[Statement; 2]>,
    /// Without an update column there are none.
    rows: Option<Timed>,
    pairs: Option<Timed>,
}

/// A stretch by time, as rows or as pairs. Two statements behind a place instead of one with OR: rows of that time
/// behind that id, then later times. Each follows an index; the OR would read all rows of one time again for each page.
struct Timed {
    beginning: Statement,
    from: Statement,
    same: Statement,
    later: Statement,
}

impl Timed {
    fn new(table: &Table, columns: &[usize], time: usize, id: usize) -> Self {
        let page = |bounds: &[Bound], order: &[usize]| select::page(table, columns, bounds, order);
        Self {
            beginning: page(&[Bound::UpTo(time)], &[time, id]),
            from: page(&[Bound::From(time), Bound::UpTo(time)], &[time, id]),
            same: page(&[Bound::Equal(time), Bound::After(id)], &[id]),
            later: page(&[Bound::After(time), Bound::UpTo(time)], &[time, id]),
        }
    }

    async fn fetch(
        &self,
        database: &Database,
        stretch: &Stretch,
        limit: usize,
    ) -> Result<Answer, PlaceError> {
        let high = bind::param(&stretch.high);
        let Some((time, id)) = &stretch.after else {
            return match &stretch.low {
                Some(low) => {
                    let params = [bind::param(low), high, limit_param(limit)];
                    database.fetch_within(BUDGET, &self.from, &params).await
                }
                None => database.fetch_within(BUDGET, &self.beginning, &[high, limit_param(limit)]).await,
            };
        };
        let time = bind::param(time);
        let mut answer = match after_param(database.engine(), *id) {
            Some(id) => {
                database.fetch_within(BUDGET, &self.same, &[time.clone(), id, limit_param(limit)]).await?
            }
            None => Answer::default(),
        };
        if !answer.is_full(limit) {
            let params = [time, high, limit_param(limit - answer.rows.len())];
            let left = BUDGET.saturating_sub(answer.size());
            let later = database.fetch_within(left, &self.later, &params).await?;
            answer.cut = later.cut;
            answer.rows.extend(later.rows);
        }
        Ok(answer)
    }
}

impl Statements {
    pub(in crate::source) fn new(table: &Table, shape: &Shape, config: &SourceConfig) -> Self {
        let id = shape.id;
        let page = |bounds: &[Bound]| select::page(table, &shape.selected, bounds, &[id]);
        let update = shape.update.filter(|_| config.update.is_some());
        let timed = |columns: &[usize]| update.map(|time| Timed::new(table, columns, time, id));
        Self {
            from: page(&[Bound::From(id)]),
            between: page(&[Bound::From(id), Bound::UpTo(id)]),
            ids: select::page(table, &[id], &[Bound::From(id), Bound::UpTo(id)], &[id]),
            within: select::SIZES.iter().map(|size| select::within(table, id, *size)).collect(),
            by_ids: list_statements(table, &shape.selected, id),
            largest: select::extreme(table, id, true),
            counter: Counter::new(table, id),
            latest: update.map(|time| select::extreme(table, time, true)),
            nulls: update
                .filter(|time| table.columns[*time].nullable)
                .map(|time| select::nulls(table, time, super::NULLS + 1)),
            edges: update.filter(|time| may_be_no_time(table.columns[*time].class)).map(|time| {
                [true, false].map(|largest| select::edge(table, &[id, time], (time, id), largest))
            }),
            rows: timed(&shape.selected),
            pairs: update.and_then(|time| timed(&[id, time])),
        }
    }
}

/// Whether a column of this class may hold what is no time: a text, `infinity` (PostgreSQL), a day that never was (MySQL).
pub(in crate::source) fn may_be_no_time(class: Class) -> bool {
    let time = matches!(class, Class::Date | Class::DateTime | Class::Instant);
    time || matches!(class, Class::Text | Class::Dynamic | Class::Other)
}

impl SqlGround<'_> {
    /// The lowest id behind this one; `None`: the column holds none.
    fn low(&self, after: Option<RowId>) -> Option<Param> {
        let behind = after.map_or(i128::MIN, |id| id.0.saturating_add(1));
        after_param(self.database.engine(), RowId(behind))
    }
}

fn page<T>(answer: Answer, limit: usize, make: impl FnMut(Row) -> Option<T>) -> Page<T> {
    Page { full: answer.is_full(limit), items: answer.rows.into_iter().filter_map(make).collect() }
}

#[async_trait]
impl Ground for SqlGround<'_> {
    async fn horizon(&self) -> Result<Horizon, PlaceError> {
        horizon::read(self.database, self.zone, self.settle).await
    }

    fn elapsed(&self) -> Duration {
        BEGUN.elapsed()
    }

    async fn largest(&self) -> Result<Option<RowId>, PlaceError> {
        let rows = self.database.fetch(&self.statements.largest, &[]).await?;
        Ok(rows.first().and_then(|row| row[0].as_int()).map(RowId))
    }

    async fn next_id(&self) -> Result<NextId, PlaceError> {
        self.statements.counter.read(self.database).await
    }

    async fn page(
        &self,
        after: Option<RowId>,
        upto: Option<RowId>,
        limit: usize,
    ) -> Result<Page<SourceRow>, PlaceError> {
        let database = self.database;
        let Some(low) = self.low(after) else { return Ok(Page { items: Vec::new(), full: false }) };
        let answer = match upto.and_then(|upto| after_param(database.engine(), upto)) {
            Some(upto) => {
                let params = [low, upto, limit_param(limit)];
                database.fetch_within(BUDGET, &self.statements.between, &params).await?
            }
            None => database.fetch_within(BUDGET, &self.statements.from, &[low, limit_param(limit)]).await?,
        };
        Ok(Page { full: answer.is_full(limit), items: self.shape.rows(answer.rows) })
    }

    async fn ids(&self, after: Option<RowId>, upto: RowId, limit: usize) -> Result<Page<RowId>, PlaceError> {
        let params = self.low(after).zip(after_param(self.database.engine(), upto));
        let Some((low, high)) = params else { return Ok(Page { items: Vec::new(), full: false }) };
        let params = [low, high, limit_param(limit)];
        let answer = self.database.fetch_within(BUDGET, &self.statements.ids, &params).await?;
        Ok(page(answer, limit, |row| row[0].as_int().map(RowId)))
    }

    async fn ids_within(&self, ranges: &[(RowId, RowId)], limit: usize) -> Result<Vec<RowId>, PlaceError> {
        let engine = self.database.engine();
        let bounds = ranges.iter().filter_map(|(a, b)| after_param(engine, *a).zip(after_param(engine, *b)));
        let mut bounds: Vec<(Param, Param)> = bounds.take(select::LIST).collect();
        let Some(last) = bounds.last().cloned() else { return Ok(Vec::new()) };
        let size = select::size_for(bounds.len());
        bounds.resize(select::SIZES[size], last);
        let mut params: Vec<Param> = bounds.into_iter().flat_map(|(a, b)| [a, b]).collect();
        params.push(limit_param(limit));
        let rows = self.database.fetch(&self.statements.within[size], &params).await?;
        Ok(rows.iter().filter_map(|row| row[0].as_int().map(RowId)).collect())
    }

    async fn rows(&self, ids: &[RowId]) -> Result<Found, PlaceError> {
        let found = by_ids(self.database, &self.statements.by_ids, 0, ids, BUDGET).await?;
        Ok(Found { rows: self.shape.rows(found.rows), rest: found.rest })
    }

    async fn changed(&self, stretch: &Stretch, limit: usize) -> Result<Page<SourceRow>, PlaceError> {
        let Some(timed) = &self.statements.rows else { return Ok(Page { items: Vec::new(), full: false }) };
        let answer = timed.fetch(self.database, stretch, limit).await?;
        Ok(Page { full: answer.is_full(limit), items: self.shape.rows(answer.rows) })
    }

    async fn pairs(&self, stretch: &Stretch, limit: usize) -> Result<Page<(Value, RowId)>, PlaceError> {
        let Some(timed) = &self.statements.pairs else { return Ok(Page { items: Vec::new(), full: false }) };
        let answer = timed.fetch(self.database, stretch, limit).await?;
        Ok(page(answer, limit, |mut row| {
            let id = RowId(row[0].as_int()?);
            Some((row.pop()?, id))
        }))
    }

    async fn survey(&self) -> Result<Survey, PlaceError> {
        let mut survey = Survey::default();
        if let Some(nulls) = &self.statements.nulls {
            let rows = self.database.fetch(nulls, &[]).await?;
            survey.nulls = rows[0][0].as_int().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        }
        if let Some(latest) = &self.statements.latest {
            survey.latest =
                self.database.fetch(latest, &[]).await?.into_iter().next().and_then(|mut row| row.pop());
        }
        for edge in self.statements.edges.iter().flatten() {
            let rows = self.database.fetch(edge, &[limit_param(super::EDGE)]).await?;
            survey.edges.extend(rows.into_iter().filter_map(|mut row| {
                let id = RowId(row[0].as_int()?);
                Some((row.pop()?, id))
            }));
        }
        Ok(survey)
    }

    fn broken(&self, message: &str) -> PlaceError {
        PlaceError::new(PlaceErrorKind::Other, self.database.place(), message)
    }
}
