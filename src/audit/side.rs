//! One of the two tables: what it is asked.

use std::sync::Arc;

use crate::diff::KeyForm;
use crate::model::{Row, Value};
use crate::sql::catalog::Table;
use crate::sql::select::span::{self, End, Span};
use crate::sql::statement::{Param, Statement};
use crate::sql::{Answer, Database, Lookup, PlaceError, PlaceErrorKind, bind};

/// Bytes of rows that one read brings at most.
const MOST: usize = 16 << 20;
/// Keys of several columns that one statement asks for.
const LISTS: [usize; 3] = [1, 10, 100];

/// An end of a stretch: values of the key's columns. `None`: the end of the table.
pub(super) type Edge = Option<Arc<[Value]>>;

/// A table, and the statements over it. Its rows are the key's columns followed by the compared ones.
pub(super) struct Side {
    pub(super) database: Arc<Database>,
    pub(super) table: Table,
    /// Columns of the key, in the order in which it is walked.
    pub(super) key: Vec<usize>,
    all: Span,
    behind: Span,
    upto: Span,
    between: Span,
    first: Span,
    next: Span,
    last: Span,
    /// Where a part of the key may be NULL.
    keyless: Option<Statement>,
    /// Where one column is the key and nothing is filtered.
    lookup: Option<Lookup>,
    lists: Vec<Statement>,
    /// Where both servers can write rows alike.
    digests: Option<[Span; 4]>,
    /// Edges that lie before another one: of the first rows, and behind a key.
    within: [Span; 2],
}

/// What a server says of the rows of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    /// Rows too large to have one.
    pub(super) without: u64,
    pub(super) sums: [Value; 2],
}

impl Side {
    pub(super) fn new(
        database: Arc<Database>,
        table: Table,
        key: Vec<usize>,
        compared: &[usize],
        filter: Option<&str>,
    ) -> Self {
        let selected: Vec<usize> = key.iter().chain(compared).copied().collect();
        let rows = |ends: &[End]| span::rows(&table, &selected, &key, ends, filter);
        let edge = |ends: &[End]| span::edge(&table, &key, ends, filter);
        let lookup = match (&key[..], filter) {
            ([only], None) => Some(Lookup::new(&table, &selected, *only)),
            _ => None,
        };
        let lists = LISTS.iter().map(|count| span::keys(&table, &selected, &key, *count, filter));
        Self {
            all: rows(&[]),
            behind: rows(&[End::Low]),
            upto: rows(&[End::High]),
            between: rows(&[End::Low, End::High]),
            first: edge(&[]),
            next: edge(&[End::Low]),
            last: span::last(&table, &key, filter),
            keyless: span::keyless(&table, &key, filter),
            lookup,
            lists: lists.collect(),
            digests: None,
            within: [edge(&[End::High]), edge(&[End::Low, End::High])],
            database,
            table,
            key,
        }
    }

    /// The same, which can also be digested by this text of a row.
    pub(super) fn with_digests(mut self, text: &str, filter: Option<&str>) -> Self {
        let ends: [&[End]; 4] = [&[], &[End::Low], &[End::High], &[End::Low, End::High]];
        self.digests = Some(ends.map(|ends| span::digest(&self.table, text, &self.key, ends, filter)));
        self
    }

    /// Name with its schema, for people.
    pub(super) fn name(&self) -> String {
        self.table.full_name()
    }

    /// The key of the row `skip` rows behind `low`; `None`: there are fewer.
    pub(super) async fn edge(&self, low: &Edge, skip: usize) -> Result<Edge, PlaceError> {
        let span = if low.is_none() { &self.first } else { &self.next };
        let mut params = self.params(span, low, &None)?;
        params.push(Param::Int(i64::try_from(skip).unwrap_or(i64::MAX)));
        let rows = self.database.fetch(&span.statement, &params).await?;
        Ok(rows.into_iter().next().map(Arc::from))
    }

    /// The same before `high`; `None`: there are fewer.
    pub(super) async fn edge_within(&self, low: &Edge, high: &Edge, skip: usize) -> Result<Edge, PlaceError> {
        if high.is_none() {
            return self.edge(low, skip).await;
        }
        let span = &self.within[usize::from(low.is_some())];
        let mut params = self.params(span, low, high)?;
        params.push(Param::Int(i64::try_from(skip).unwrap_or(i64::MAX)));
        let rows = self.database.fetch(&span.statement, &params).await?;
        Ok(rows.into_iter().next().map(Arc::from))
    }

    /// The digest of the rows behind `low` up to `high`.
    pub(super) async fn digest(&self, low: &Edge, high: &Edge) -> Result<Digest, PlaceError> {
        let wrong = || {
            let message = format!("{:?} has no digest; please report this", self.name());
            PlaceError::new(PlaceErrorKind::Other, self.database.place(), message)
        };
        let place = usize::from(low.is_some()) + 2 * usize::from(high.is_some());
        let span = &self.digests.as_ref().ok_or_else(wrong)?[place];
        let rows = self.database.fetch(&span.statement, &self.params(span, low, high)?).await?;
        rows.first().and_then(|row| Digest::read(row)).ok_or_else(wrong)
    }

    /// The last key of all.
    pub(super) async fn last(&self) -> Result<Edge, PlaceError> {
        let rows = self.database.fetch(&self.last.statement, &[]).await?;
        Ok(rows.into_iter().next().map(Arc::from))
    }

    /// The rows behind `low` up to `high`, or as many of them as there is room for.
    pub(super) async fn rows(&self, low: &Edge, high: &Edge) -> Result<Answer, PlaceError> {
        let span = match (low, high) {
            (None, None) => &self.all,
            (Some(_), None) => &self.behind,
            (None, Some(_)) => &self.upto,
            (Some(_), Some(_)) => &self.between,
        };
        let params = self.params(span, low, high)?;
        let mut answer = self.database.fetch_within(MOST, &span.statement, &params).await?;
        // One row that takes all the room is whole, and is all if no other follows.
        if answer.cut && answer.rows.len() == 1 && self.edge_within(low, high, 1).await?.is_none() {
            answer.cut = false;
        }
        Ok(answer)
    }

    /// Rows without a key.
    pub(super) async fn keyless(&self) -> Result<u64, PlaceError> {
        let Some(statement) = &self.keyless else { return Ok(0) };
        let rows = self.database.fetch(statement, &[]).await?;
        let count = rows.first().and_then(|row| row.first()).and_then(Value::as_int);
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// Whether a stretch can end here on this side.
    pub(super) fn takes(&self, edge: &Edge) -> bool {
        let part = |(part, value): (usize, &Value)| self.own(part, value).is_some();
        edge.iter().flat_map(|values| values.iter().enumerate()).all(part)
    }

    /// The rows that carry one of these keys. A key that this side cannot hold finds nothing; a collation may find more
    /// than was asked for.
    pub(super) async fn look(
        &self,
        keys: &[Vec<Value>],
        form: Option<&KeyForm>,
    ) -> Result<Vec<Row>, PlaceError> {
        let mut rows = Vec::new();
        if let (Some(lookup), Some(form)) = (&self.lookup, form) {
            let spelt = |key: &Vec<Value>| {
                std::iter::once(form.asked(&key[0]).into_owned()).chain(form.further(&key[0]))
            };
            let mut left: Vec<Value> = keys.iter().flat_map(spelt).collect();
            while !left.is_empty() {
                let found = lookup.some(&self.database, &self.table, &|value| form.key(value), &left).await?;
                rows.extend(found.rows);
                left = found.rest.into_iter().map(|at| left[at].clone()).collect();
            }
            return Ok(rows);
        }
        let bound: Vec<Vec<Param>> = keys
            .iter()
            .filter_map(|key| key.iter().enumerate().map(|(part, value)| self.own(part, value)).collect())
            .collect();
        for list in bound.chunks(LISTS[LISTS.len() - 1]) {
            let size = LISTS.iter().position(|size| *size >= list.len()).unwrap_or(LISTS.len() - 1);
            let filled = list.iter().chain(list.last().into_iter().cycle()).take(LISTS[size]);
            let params: Vec<Param> = filled.flatten().cloned().collect();
            rows.extend(self.database.fetch(&self.lists[size], &params).await?);
        }
        Ok(rows)
    }

    fn own(&self, part: usize, value: &Value) -> Option<Param> {
        let column = &self.table.columns[self.key[part]];
        bind::own(self.database.engine(), column, value).map(|own| bind::param(&own))
    }

    fn params(&self, span: &Span, low: &Edge, high: &Edge) -> Result<Vec<Param>, PlaceError> {
        let bound = span.binds.iter().map(|(end, part)| {
            let edge = if *end == End::Low { low } else { high };
            edge.as_ref().and_then(|values| self.own(*part, values.get(*part)?))
        });
        bound.collect::<Option<Vec<Param>>>().ok_or_else(|| {
            let message =
                format!("a key of the other table stands in no place of the order of {:?}", self.name());
            PlaceError::new(PlaceErrorKind::Other, self.database.place(), message)
        })
    }
}
