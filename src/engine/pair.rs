//! A source and one of its destinations, with everything that was decided about comparing them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

mod again;
mod counting;
mod extra;
mod fit;
mod lookup;
mod several;

pub(super) use fit::PairError;
use several::several;
pub(super) use several::warn_if_unnoticed;

use crate::base::clock::UnixMs;
use crate::config::{CopyConfig, Rule, SourceConfig};
use crate::destination::Destination;
use crate::diff::{ColumnRule, KeyForm, compare, digest, is_too_large};
use crate::model::{
    Class, Counts, DatabaseClass, DeliveryKind, DestinationName, Evidence, Finding, Key, Row, RowId,
    SourceRow, TaskName, Unfit, Value, Verdict,
};
use crate::outbox::{Watch, Witness};
use crate::source::Source;
use crate::sql::{PlaceError, PlaceErrorKind};
pub use counting::Sample;

/// Bytes of a key that is still looked up: no index holds longer ones, and servers refuse statements that weigh more
/// than their packets may.
pub(super) const LONGEST_KEY: usize = 1 << 16;

/// See the module's documentation.
pub struct Pair {
    /// Where rows are true.
    pub source: Arc<dyn Source>,
    /// The copy.
    pub destination: Arc<dyn Destination>,
    key_form: KeyForm,
    /// Whether rows that only the copy has are told.
    delete: bool,
    /// A row for which it holds counts as absent; with what the columns hold that it names.
    deleted_when: Option<(Rule, Vec<Class>)>,
    /// For the values a feed reads.
    read: Shape,
    /// For whole rows.
    whole: Shape,
}

/// How the compared columns stand in one form of source row.
struct Shape {
    key: usize,
    columns: Vec<usize>,
    rules: Vec<ColumnRule>,
    /// Where the values stand that make a version of the row, as far as comparing goes.
    version: Vec<usize>,
    /// Where the values stand that `deletedWhen` names.
    rule: Vec<usize>,
}

/// What one batch gave at one destination.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) findings: Vec<Finding>,
    pub(super) counts: Counts,
    /// Rows that agree, by key.
    pub(super) agreed: Vec<(Key, RowId)>,
    /// Rows that no delivery can stand for.
    pub(super) unfit: Vec<(RowId, Option<Key>, Unfit)>,
}

/// What the comparison of one row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The source row.
    pub row: RowId,
    /// Its key; `None` is NULL.
    pub key: Option<Key>,
    /// What the comparison says.
    pub verdict: Verdict,
    /// Digest of the difference.
    pub fingerprint: [u8; 16],
    /// What confirming needs of both sides; empty if they agree.
    pub(super) witness: Witness,
}

/// One key at both sides, just read.
#[derive(Debug)]
pub struct Looked {
    /// What the comparison says; `None`: the source row is gone or carries another key.
    pub verdict: Option<Verdict>,
    /// The whole source row.
    pub row: Option<Row>,
    /// The copy's row (key, then compared columns), if there is exactly one.
    pub copy: Option<Row>,
    /// Digest of the difference.
    pub fingerprint: [u8; 16],
    /// What confirming needs of both sides.
    pub(super) witness: Witness,
    /// The rows of both sides, if several carry the key.
    pub evidence: Option<Box<Evidence>>,
    /// Another key, of a row of the copy, that the copy's collation takes for this one: it stands in the way.
    pub stray: Option<Value>,
}

impl Pair {
    /// Decides how the two are compared.
    ///
    /// # Errors
    /// If a column is not there (the catalogue changed between two looks), or some have policies that their types do not
    /// allow. `compared` names the columns that any destination of the source compares.
    pub(super) fn new(
        source: Arc<dyn Source>,
        destination: Arc<dyn Destination>,
        from: &SourceConfig,
        compared: &[String],
        copy: &CopyConfig,
        delete: bool,
    ) -> Result<Self, PairError> {
        let all = source.columns();
        let read = source.read_columns();
        let find = |name: &str| {
            let gone = || {
                let message =
                    format!("column `{name}` is no longer there; put it back, or change the configuration");
                let error = PlaceError::new(PlaceErrorKind::Missing, source.identity(), message);
                error.of_class(DatabaseClass::MissingColumn)
            };
            let whole = source.find(name).ok_or_else(gone)?;
            let read = read.iter().position(|i| *i == whole).ok_or_else(gone)?;
            Ok::<_, PlaceError>((whole, read))
        };
        let (whole_key, read_key) = find(&from.by_column)?;
        let columns = &copy.columns;
        let pairs = columns.iter().map(|column| find(&column.source)).collect::<Result<Vec<_>, _>>()?;
        // A copy's row is its key followed by the compared columns.
        let rule = |at: usize, i: usize| {
            let (from, to) = ((at, &all[pairs[i].0]), (i + 1, &destination.columns()[i]));
            ColumnRule::new(from, to, &columns[i].policy)
        };
        let unfit: Vec<String> =
            pairs.iter().enumerate().filter_map(|(i, pair)| rule(pair.0, i).err()).flatten().collect();
        if !unfit.is_empty() {
            return Err(PairError::Unfit(unfit));
        }
        let named = from.deleted_when.iter().flat_map(Rule::columns);
        let named = named.map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let classes = named.iter().map(|(whole, _)| all[*whole].class).collect();
        // What is read for event destinations alone makes no other version here.
        let update = from.update.as_ref().map(|update| &update.column);
        let mut version: Vec<(usize, usize)> = Vec::new();
        for name in [&from.by_column].into_iter().chain(compared).chain(update) {
            let column = find(name)?;
            if !version.contains(&column) {
                version.push(column);
            }
        }
        let shape = |key: usize, columns: Vec<usize>, version: Vec<usize>, named: Vec<usize>| {
            let rules = columns.iter().enumerate().map(|(i, at)| rule(*at, i));
            let rules = rules.collect::<Result<_, _>>().map_err(PairError::Unfit)?;
            Ok::<_, PairError>(Shape { key, columns, rules, version, rule: named })
        };
        let key_form = KeyForm::new(&all[whole_key], destination.key_column());
        let of_read = shape(
            read_key,
            pairs.iter().map(|p| p.1).collect(),
            version.iter().map(|p| p.1).collect(),
            named.iter().map(|p| p.1).collect(),
        )?;
        let of_whole = shape(
            whole_key,
            pairs.iter().map(|p| p.0).collect(),
            version.iter().map(|p| p.0).collect(),
            named.iter().map(|p| p.0).collect(),
        )?;
        let deleted_when = from.deleted_when.clone().map(|rule| (rule, classes));
        Ok(Self { key_form, delete, deleted_when, read: of_read, whole: of_whole, source, destination })
    }

    /// Index within a whole row of the source, of compared column number `column`.
    pub(super) fn source_column(&self, column: usize) -> usize {
        self.whole.columns[column]
    }

    /// Name and value of the key of a whole row of the source.
    pub(super) fn key_of<'a>(&'a self, row: &'a Row) -> Option<(&'a str, &'a Value)> {
        Some((&*self.source.columns().get(self.whole.key)?.name, row.get(self.whole.key)?))
    }

    /// Asks the destination once for all keys of a batch and compares.
    pub(super) async fn compare(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        rows: &[SourceRow],
        now: impl Fn() -> UnixMs,
    ) -> Result<Compared, PlaceError> {
        let mut counts = Counts::default();
        let (mut findings, mut agreed, mut unfit) = (Vec::new(), Vec::new(), Vec::new());
        let mut ambiguous = HashSet::new();
        for (judged, row) in self.judge_all(rows).await?.into_iter().zip(rows) {
            counts.see(&judged.verdict);
            if let Some(why) = self.unfit(&judged, row) {
                counts.because(why);
                unfit.push((judged.row, judged.key.clone(), why));
            }
            let kind = match judged.verdict {
                Verdict::Same => {
                    agreed.extend(judged.key.map(|key| (key, judged.row)));
                    continue;
                }
                Verdict::TooLarge | Verdict::NotComparable => continue,
                Verdict::Missing => DeliveryKind::Missing,
                Verdict::Differs(_) => DeliveryKind::Differs,
                Verdict::Ambiguous(_) => DeliveryKind::Ambiguous,
                Verdict::Extra => DeliveryKind::Extra,
            };
            let Some(key) = judged.key else { continue };
            // Several rows of one key are one finding.
            if kind == DeliveryKind::Ambiguous && !ambiguous.insert(key.clone()) {
                continue;
            }
            findings.push(Finding {
                task: task.clone(),
                destination: destination.clone(),
                key,
                row: judged.row,
                kind,
                fingerprint: judged.fingerprint,
                watch: Watch::begin(&judged.witness, now()).bytes(),
            });
        }
        Ok(Compared { findings, counts, agreed, unfit })
    }

    /// What the comparison says of each of some rows that a feed has read, in their order.
    ///
    /// # Errors
    /// The destination cannot be asked.
    pub async fn judge_all(&self, rows: &[SourceRow]) -> Result<Vec<Judged>, PlaceError> {
        let keys: Vec<Option<Key>> =
            rows.iter().map(|row| self.key_form.key(&row.values[self.read.key])).collect();
        let heavy = |row: &SourceRow| row.values[self.read.key].weight() > LONGEST_KEY;
        let carried = rows.iter().zip(&keys).filter_map(|(row, key)| Some((row.id, key.as_ref()?)));
        let several = several(carried);
        if let Some(e) = rows.iter().take(10).find_map(|row| self.no_rule(&row.values)) {
            return Err(e);
        }
        let judge = |row: &SourceRow, key: &Option<Key>, copies: &HashMap<Key, Vec<Row>>| {
            let (mut verdict, mut fingerprint, mut witness) =
                (Verdict::NotComparable, [0; 16], Witness::default());
            if heavy(row) {
                verdict = Verdict::TooLarge;
            } else if let Some(key) = key {
                let found = copies.get(key);
                let carriers = several.get(key).map_or(&[][..], Vec::as_slice);
                if let Some(there) = self.is_there(&self.read, &row.values) {
                    let source = there.then_some(&*row.values);
                    (verdict, fingerprint) = Self::judge(&self.read, source, found, carriers);
                    if !there && !self.delete {
                        verdict = Verdict::Same;
                    }
                    if verdict != Verdict::Same {
                        witness = Self::witness(&self.read, source, found, &verdict);
                    }
                }
            }
            Judged { row: row.id, key: key.clone(), verdict, fingerprint, witness }
        };
        // Copies may weigh more than is held at once: each row is judged when its copies are there.
        let has_key = |at: &usize| keys[*at].is_some() && !heavy(&rows[*at]);
        let mut asked: Vec<usize> = (0..rows.len()).filter(has_key).collect();
        let mut judged: Vec<Option<Judged>> = vec![None; rows.len()];
        loop {
            let copies = self.look_up(asked.iter().map(|at| &rows[*at].values[self.read.key])).await?;
            asked = lookup::again(&asked, &copies.rest);
            for (at, place) in judged.iter_mut().enumerate() {
                if place.is_none() && asked.binary_search(&at).is_err() {
                    *place = Some(judge(&rows[at], &keys[at], &copies.rows));
                }
            }
            if asked.is_empty() {
                return Ok(judged.into_iter().flatten().collect());
            }
        }
    }

    /// What confirming needs of a row, if there is one, and what was found for it.
    fn witness(
        shape: &Shape,
        row: Option<&[Value]>,
        copies: Option<&Vec<Row>>,
        verdict: &Verdict,
    ) -> Witness {
        let version = row.map_or(0, |row| {
            let [head @ .., _, _, _, _, _, _, _, _] = digest(&[&shape.version_of(row)]);
            u64::from_be_bytes(head)
        });
        let copy = match copies.map(Vec::as_slice) {
            Some([copy]) => Some(shape.rules.iter().map(|rule| rule.destination_mark(copy)).collect()),
            _ => None,
        };
        let marks = |row: &[Value]| shape.rules.iter().map(|rule| rule.source_mark(row)).collect();
        Witness {
            version,
            source: row.map_or_else(Vec::new, marks),
            copy,
            differs: match verdict {
                Verdict::Same => Vec::new(),
                Verdict::Differs(columns) => columns.clone(),
                _ => (0..shape.rules.len()).collect(),
            },
        }
    }

    /// The verdict over a row, if there is one, and the digest by which the same difference is known again. `carriers`:
    /// the rows of the source that carry the key, if there are several.
    fn judge(
        shape: &Shape,
        row: Option<&[Value]>,
        copies: Option<&Vec<Row>>,
        carriers: &[RowId],
    ) -> (Verdict, [u8; 16]) {
        if row.is_some_and(|row| row[shape.key].weight() > LONGEST_KEY) {
            return (Verdict::TooLarge, [0; 16]);
        }
        // What agrees where it is compared needs not be sent.
        let unsendable = row.is_some_and(is_too_large);
        let (verdict, copy): (_, &[Value]) = match (row, copies.map(Vec::as_slice)) {
            (_, found) if carriers.len() > 1 || found.is_some_and(|found| found.len() > 1) => {
                let found = found.unwrap_or_default();
                let rows = carriers.len().max(found.len());
                return (Verdict::Ambiguous(rows), several::fingerprint(carriers, found));
            }
            (None, None | Some([])) => return (Verdict::Same, [0; 16]),
            (Some(_), None | Some([])) if unsendable => return (Verdict::TooLarge, [0; 16]),
            (Some(_), None | Some([])) => (Verdict::Missing, &[]),
            (None, Some([copy])) if is_too_large(copy) => return (Verdict::TooLarge, [0; 16]),
            (None, Some([copy])) => (Verdict::Extra, copy),
            (Some(row), Some([copy])) => match compare(&shape.rules, row, copy) {
                Verdict::Same => return (Verdict::Same, [0; 16]),
                Verdict::TooLarge => return (Verdict::TooLarge, [0; 16]),
                _ if unsendable => return (Verdict::TooLarge, [0; 16]),
                differs => (differs, copy),
            },
            (_, Some(_)) => unreachable!("several rows are ambiguous"),
        };
        let version = row.map_or_else(Vec::new, |row| shape.version_of(row));
        (verdict, digest(&[&version, copy]))
    }
}

impl Shape {
    /// The values that make a version of a row.
    fn version_of(&self, row: &[Value]) -> Vec<Value> {
        self.version.iter().map(|i| row[*i].clone()).collect()
    }
}
