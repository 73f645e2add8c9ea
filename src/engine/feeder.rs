//! A source and an event destination: what of the rows that a feed has read is to be told.
//!
//! Nothing is looked up anywhere but in the state, which knows the version of a row that was told last. A feed reads a
//! row again and again until it has settled, and two feeds may read it; it is told once, because a version that is the
//! last one told of its row is no news. That holds only while what is read is made durable in the order in which it was
//! read, so the feeds of an event destination are read one at a time (`manager`).

use std::collections::HashSet;
use std::sync::Arc;

mod ready;

pub(super) use ready::{ready, unlooked};

use super::look::shown;
use super::pair::{LONGEST_KEY, PairError};
use crate::base::chain::chain;
use crate::config::{BodyForm, DestinationConfig, Rule, SourceConfig, ValueForm};
use crate::deliver::{body, extra_body};
use crate::diff::{KeyForm, digest, is_too_large};
use crate::model::{
    Class, Counts, DatabaseClass, DeliveryKind, DestinationName, Feed, Key, RowId, SourceRow, TaskName,
    Unfit, Value, Verdict, Version,
};
use crate::source::Source;
use crate::sql::{PlaceError, PlaceErrorKind};
use crate::store::{Store, StoreError, Told};

/// See the module's documentation.
pub struct Feeder {
    /// Where rows are true.
    pub source: Arc<dyn Source>,
    key_form: KeyForm,
    /// Where `byColumn` stands in what a feed reads.
    key: usize,
    /// Where each column of the source stands there.
    columns: Vec<usize>,
    /// Only versions for which it holds are told.
    filter: Option<Named>,
    /// A version for which it holds is told as type 3.
    deleted_when: Option<Named>,
    body: BodyForm,
    values: ValueForm,
}

impl std::fmt::Debug for Feeder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feeder").field("source", &self.source.identity()).finish_non_exhaustive()
    }
}

/// A rule, and where its columns stand in what a feed reads.
struct Named {
    rule: Rule,
    at: Vec<(usize, Class)>,
}

/// What is to be done with a version that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// It is told.
    Tell {
        /// As of a row that is to go.
        deleted: bool,
    },
    /// `where` does not hold for it.
    Leave,
    /// It cannot be told.
    Unfit(Unfit),
}

/// What one batch gave.
#[derive(Debug, Default)]
pub(super) struct Fed {
    /// What is new, in the order in which it was read.
    pub(super) versions: Vec<Version>,
    pub(super) counts: Counts,
    /// Rows that are told, were told, or are not to be.
    pub(super) fit: Vec<RowId>,
    /// Rows that cannot be told.
    pub(super) unfit: Vec<(RowId, Option<Key>, Unfit)>,
}

/// What some rows of the source would be told as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Rows read.
    pub rows: u64,
    /// Rows that would be told.
    pub told: u64,
    /// Of these, as deleted.
    pub deleted: u64,
    /// Rows for which `where` does not hold.
    pub left: u64,
    /// Rows for which a rule cannot be worked out.
    pub undecided: u64,
    /// Rows without a key, or too large.
    pub unfit: u64,
}

impl Feeder {
    /// Decides how rows are told.
    ///
    /// # Errors
    /// If a rule names a column that is not there or can never hold for the types of its columns.
    pub(super) fn new(
        source: Arc<dyn Source>,
        from: &SourceConfig,
        config: &DestinationConfig,
    ) -> Result<Self, PairError> {
        let gone = |name: &str| {
            let message = format!("column {name:?} is not read; this is a fault in cupid");
            PlaceError::new(PlaceErrorKind::Missing, source.identity(), message)
                .of_class(DatabaseClass::Internal)
        };
        let read = source.read_columns();
        let place = |column: usize| read.iter().position(|at| *at == column);
        let all = source.columns();
        let columns = all.iter().enumerate().map(|(at, column)| place(at).ok_or_else(|| gone(&column.name)));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let by = source.find(&from.by_column).ok_or_else(|| gone(&from.by_column))?;
        let deleted_when = from.deleted_when.as_ref().filter(|_| config.delete);
        let mut unfit = Vec::new();
        let mut named = |rule: &Rule| {
            let find = |name: &str| source.find(name);
            let missing = rule.columns().iter().filter(|name| find(name).is_none());
            let missing: Vec<String> = missing
                .map(|name| rule.unknown(name, &format!("the source has no column {name:?}")))
                .collect();
            if missing.is_empty() {
                unfit.extend(rule.unfit_for(&|name| find(name).map(|at| &all[at])));
            }
            unfit.extend(missing);
            let at =
                rule.columns().iter().filter_map(|name| find(name)).map(|at| (columns[at], all[at].class));
            Named { rule: rule.clone(), at: at.collect() }
        };
        let filter = config.filter.as_ref().map(&mut named);
        let deleted_when = deleted_when.map(&mut named);
        if !unfit.is_empty() {
            return Err(PairError::Unfit(unfit));
        }
        let (body, values) = (config.callback.body, config.callback.values);
        let (key_form, key) = (KeyForm::new(&all[by], &all[by]), columns[by]);
        Ok(Self { key_form, key, columns, filter, deleted_when, body, values, source })
    }

    /// Finds what is new among rows that a feed has read.
    ///
    /// # Errors
    /// The state cannot be asked, or a rule turns out to be none.
    pub(super) async fn feed(
        &self,
        store: &dyn Store,
        (task, destination): (&TaskName, &DestinationName),
        feed: Feed,
        rows: &[SourceRow],
    ) -> Result<Fed, PlaceError> {
        let mut fed = Fed::default();
        let mut wanted: Vec<(&SourceRow, Key, bool)> = Vec::new();
        for row in rows {
            // The first rows tell; a rule is worked out once for each of the others.
            if fed.counts.rows < 10
                && let Some(e) = self.no_rule(&row.values)
            {
                return Err(e);
            }
            let key = self.key_form.key(&row.values[self.key]);
            match (self.judge(&row.values, key.is_some()), key) {
                (Judged::Unfit(why), key) => {
                    let verdict =
                        if why == Unfit::TooLarge { Verdict::TooLarge } else { Verdict::NotComparable };
                    fed.counts.see(&verdict);
                    fed.counts.because(why);
                    fed.unfit.push((row.id, key, why));
                }
                (judged, key) => {
                    fed.counts.see(&Verdict::Same);
                    fed.fit.push(row.id);
                    if let (Judged::Tell { deleted }, Some(key)) = (judged, key) {
                        wanted.push((row, key, deleted));
                    }
                }
            }
        }
        if wanted.is_empty() {
            return Ok(fed);
        }
        let asked: Vec<(&Key, RowId)> = wanted.iter().map(|(row, key, _)| (key, row.id)).collect();
        let told = store.told(task, destination, &asked).await.map_err(|e: StoreError| {
            PlaceError::new(PlaceErrorKind::Other, "the state of cupid", chain(&e).to_string())
                .of_class(DatabaseClass::Internal)
        })?;
        let mut seen: HashSet<&Key> = HashSet::new();
        for ((row, key, deleted), last) in wanted.iter().zip(&told.rows) {
            let digest = self.digest(&row.values);
            let is_first = seen.insert(key) && !last.known;
            if last.digest == Some(digest) {
                continue;
            }
            let kind = match (deleted, is_first && self.is_new(feed, row.id, &told)) {
                (true, _) => DeliveryKind::Extra,
                (false, true) => DeliveryKind::Missing,
                (false, false) => DeliveryKind::Differs,
            };
            let (key, row, body) = (key.clone(), row.id, self.message(kind, &row.values));
            fed.versions.push(Version { key, row, kind, digest, body });
        }
        Ok(fed)
    }

    /// What would be told of some rows from all over the source.
    pub(super) async fn try_out(&self, limit: usize) -> Result<Tried, PlaceError> {
        let rows = self.source.sample(limit).await?;
        if let Some(e) = rows.iter().find_map(|row| self.no_rule(&row.values)) {
            return Err(e);
        }
        let mut tried = Tried { rows: rows.len() as u64, ..Tried::default() };
        for row in &rows {
            let has_key = self.key_form.key(&row.values[self.key]).is_some();
            match self.judge(&row.values, has_key) {
                Judged::Tell { deleted } => {
                    tried.told += 1;
                    tried.deleted += u64::from(deleted);
                }
                Judged::Leave => tried.left += 1,
                Judged::Unfit(Unfit::Undecided) => tried.undecided += 1,
                Judged::Unfit(_) => tried.unfit += 1,
            }
        }
        Ok(tried)
    }

    fn judge(&self, row: &[Value], has_key: bool) -> Judged {
        match self.filter.as_ref().map(|filter| filter.holds(row)) {
            Some(Some(false)) => return Judged::Leave,
            _ if is_too_large(row) || row[self.key].weight() > LONGEST_KEY => {
                return Judged::Unfit(Unfit::TooLarge);
            }
            Some(None) => return Judged::Unfit(Unfit::Undecided),
            Some(Some(true)) | None => {}
        }
        if !has_key {
            let null = row[self.key].is_null();
            return Judged::Unfit(if null { Unfit::NullKey } else { Unfit::Inexpressible });
        }
        match self.deleted_when.as_ref().map(|rule| rule.holds(row)) {
            Some(None) => Judged::Unfit(Unfit::Undecided),
            Some(Some(deleted)) => Judged::Tell { deleted },
            None => Judged::Tell { deleted: false },
        }
    }

    /// Whether a key of which nothing is known is new to the insert feed.
    fn is_new(&self, feed: Feed, row: RowId, told: &Told) -> bool {
        let inserts = self.source.interval(Feed::Insert).is_some();
        feed == Feed::Insert || (inserts && told.inserted.is_none_or(|upto| row > upto))
    }

    fn digest(&self, row: &[Value]) -> [u8; 16] {
        let values: Vec<&[Value]> = self.columns.iter().map(|at| std::slice::from_ref(&row[*at])).collect();
        digest(&values)
    }

    fn message(&self, kind: DeliveryKind, row: &[Value]) -> Box<[u8]> {
        let columns = self.source.columns().iter().zip(&self.columns);
        let named: Vec<_> =
            columns.map(|(column, at)| (&*column.name, shown(column, &row[*at], self.values))).collect();
        let named = named.iter().map(|(name, value)| (*name, &**value));
        match kind {
            // What the receiver is to let go of.
            DeliveryKind::Extra => extra_body(named, self.values),
            _ => body(kind, named, &[], self.body, self.values),
        }
    }

    /// Why a rule is none, if this row shows that.
    fn no_rule(&self, row: &[Value]) -> Option<PlaceError> {
        let mut rules = [&self.filter, &self.deleted_when].into_iter().flatten();
        let message = rules.find_map(|named| named.no_rule(row))?;
        Some(PlaceError::new(PlaceErrorKind::Missing, self.source.identity(), message))
    }
}

impl Named {
    fn values<'r>(&self, row: &'r [Value]) -> impl Iterator<Item = (&'r Value, Class)> + Clone {
        self.at.iter().map(|(at, class)| (&row[*at], *class)).collect::<Vec<_>>().into_iter()
    }

    fn holds(&self, row: &[Value]) -> Option<bool> {
        self.rule.holds(self.values(row))
    }

    fn no_rule(&self, row: &[Value]) -> Option<String> {
        let gives = self.rule.gives_else(self.values(row))?;
        Some(self.rule.is_none(&gives))
    }
}
