//! A source and one of its destinations, with everything that was decided about comparing them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::try_join_all;

mod again;
mod extra;
mod several;

use several::several;

use super::ticket::Counts;
use crate::base::clock::UnixMs;
use crate::config::{DestinationConfig, Rule, SourceConfig};
use crate::destination::Destination;
use crate::diff::{ColumnRule, KeyForm, compare, digest, is_too_large};
use crate::model::{
    Class, DeliveryKind, DestinationName, Evidence, Finding, Key, Row, RowId, SourceRow, TaskName, Value,
    Verdict,
};
use crate::outbox::{Watch, Witness};
use crate::source::Source;
use crate::sql::{PlaceError, PlaceErrorKind};

/// Look-ups of one batch that a destination answers at the same time.
const SIDE_BY_SIDE: usize = 2;
/// Bytes of a key that is still looked up: no index holds longer ones, and servers refuse statements that weigh more
/// than their packets may.
const LONGEST_KEY: usize = 1 << 16;
/// Keys below which splitting a batch gains nothing.
const LEAST_LIST: usize = 1000;

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
    /// Where the values stand that a feed reads: a version of the row, as far as comparing goes.
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
}

/// What a comparison of some rows showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Rows by verdict.
    pub counts: Counts,
    /// For each compared column, in the order of the configuration, the rows in which it differs.
    pub by_column: Vec<u64>,
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
}

impl Pair {
    /// Decides how the two are compared.
    ///
    /// # Errors
    /// If a column is not there (the catalogue changed between two looks), or has a policy that its type does not allow.
    pub(super) fn new(
        source: Arc<dyn Source>,
        destination: Arc<dyn Destination>,
        from: &SourceConfig,
        config: &DestinationConfig,
    ) -> Result<Self, PlaceError> {
        let all = source.columns();
        let read = source.read_columns();
        let find = |name: &str| {
            let gone = || {
                let message =
                    format!("column `{name}` is no longer there; put it back, or change the configuration");
                PlaceError::new(PlaceErrorKind::Missing, source.identity(), message)
            };
            let whole = source.find(name).ok_or_else(gone)?;
            let read = read.iter().position(|i| *i == whole).ok_or_else(gone)?;
            Ok::<_, PlaceError>((whole, read))
        };
        let (whole_key, read_key) = find(&from.by_column)?;
        let columns = &config.columns;
        let pairs = columns.iter().map(|column| find(&column.source)).collect::<Result<Vec<_>, _>>()?;
        // A copy's row is its key followed by the compared columns.
        let rule = |at: usize, i: usize| {
            let (from, to) = ((at, &all[pairs[i].0]), (i + 1, &destination.columns()[i]));
            let unfit = |message| PlaceError::new(PlaceErrorKind::Missing, destination.identity(), message);
            ColumnRule::new(from, to, &columns[i].policy).map_err(unfit)
        };
        let named = from.deleted_when.iter().flat_map(Rule::columns);
        let named = named.map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        let classes = named.iter().map(|(whole, _)| all[*whole].class).collect();
        let shape = |key: usize, columns: Vec<usize>, version: Vec<usize>, named: Vec<usize>| {
            let rules = columns.iter().enumerate().map(|(i, at)| rule(*at, i)).collect::<Result<_, _>>()?;
            Ok::<_, PlaceError>(Shape { key, columns, rules, version, rule: named })
        };
        let key_form = KeyForm::new(&all[whole_key], destination.key_column());
        let of_read = shape(
            read_key,
            pairs.iter().map(|p| p.1).collect(),
            (0..read.len()).collect(),
            named.iter().map(|p| p.1).collect(),
        )?;
        let of_whole = shape(
            whole_key,
            pairs.iter().map(|p| p.0).collect(),
            read.to_vec(),
            named.iter().map(|p| p.0).collect(),
        )?;
        let deleted_when = from.deleted_when.clone().map(|rule| (rule, classes));
        let delete = config.delete;
        Ok(Self { key_form, delete, deleted_when, read: of_read, whole: of_whole, source, destination })
    }

    /// Index within a whole row of the source, of compared column number `column`.
    pub(super) fn source_column(&self, column: usize) -> usize {
        self.whole.columns[column]
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
        let (mut findings, mut agreed) = (Vec::new(), Vec::new());
        let mut ambiguous = HashSet::new();
        for judged in self.judge_all(rows).await? {
            counts.see(&judged.verdict);
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
        Ok(Compared { findings, counts, agreed })
    }

    /// Compares up to `limit` rows from all over the source; nothing comes of it but counts.
    pub(super) async fn sample(&self, limit: usize) -> Result<Sample, PlaceError> {
        let rows = self.source.sample(limit).await?;
        let mut sample = Sample { by_column: vec![0; self.read.rules.len()], ..Sample::default() };
        for judged in self.judge_all(&rows).await? {
            if let Verdict::Differs(columns) = &judged.verdict {
                columns.iter().for_each(|column| sample.by_column[*column] += 1);
            }
            sample.counts.see(&judged.verdict);
        }
        Ok(sample)
    }

    /// What the comparison says of each of some rows that a feed has read, in their order.
    ///
    /// # Errors
    /// The destination cannot be asked.
    pub async fn judge_all(&self, rows: &[SourceRow]) -> Result<Vec<Judged>, PlaceError> {
        let keys: Vec<Option<Key>> =
            rows.iter().map(|row| self.key_form.key(&row.values[self.read.key])).collect();
        let heavy = |row: &SourceRow| row.values[self.read.key].weight() > LONGEST_KEY;
        let asked = rows.iter().zip(&keys).filter(|(row, key)| key.is_some() && !heavy(row));
        let copies = self.look_up(asked.map(|(row, _)| &row.values[self.read.key])).await?;
        let carried = rows.iter().zip(&keys).filter_map(|(row, key)| Some((row.id, key.as_ref()?)));
        let several = several(carried);
        if let Some(e) = rows.iter().take(10).find_map(|row| self.no_rule(&row.values)) {
            return Err(e);
        }
        let judged = rows.iter().zip(&keys).map(|(row, key)| {
            let (mut verdict, mut fingerprint, mut witness) =
                (Verdict::NotComparable, [0; 16], Witness::default());
            if heavy(row) || is_too_large(&row.values) {
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
        });
        Ok(judged.collect())
    }

    /// Whether a row counts as being at the source; `None`: `deletedWhen` cannot be worked out for it.
    fn is_there(&self, shape: &Shape, row: &[Value]) -> Option<bool> {
        let Some((rule, classes)) = &self.deleted_when else { return Some(true) };
        let values = shape.rule.iter().zip(classes).map(|(at, class)| (&row[*at], *class));
        rule.holds(values).map(|deleted| !deleted)
    }

    /// Why `deletedWhen` is no rule, if this row shows that: nothing could be compared, and nobody would know.
    fn no_rule(&self, row: &[Value]) -> Option<PlaceError> {
        let (rule, classes) = self.deleted_when.as_ref()?;
        let gives =
            rule.gives_else(self.read.rule.iter().zip(classes).map(|(at, class)| (&row[*at], *class)))?;
        let message = format!(
            "\"deletedWhen\": {:?} gives {gives} and not true or false; write a comparison, such as {} == 1",
            rule.as_str(),
            rule.columns().first().map_or("IsDelete", String::as_str)
        );
        Some(PlaceError::new(PlaceErrorKind::Missing, self.source.identity(), message))
    }

    async fn look_up<'a>(
        &self,
        keys: impl Iterator<Item = &'a Value>,
    ) -> Result<HashMap<Key, Vec<Row>>, PlaceError> {
        let keys: Vec<Value> = keys.map(|key| self.key_form.asked(key).into_owned()).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let lists = keys.chunks(keys.len().div_ceil(SIDE_BY_SIDE).max(LEAST_LIST));
        let answers = try_join_all(lists.map(|list| self.destination.lookup(list))).await?;
        let mut copies: HashMap<Key, (usize, Vec<Row>)> = HashMap::with_capacity(keys.len());
        for (list, rows) in answers.into_iter().enumerate() {
            for row in rows {
                // Matched by exact key: what a case-insensitive collation added falls out here. It may also have
                // added the same row to both lists; either has all rows of a key, so the first one counts.
                let Some(key) = self.key_form.key(&row[0]) else { continue };
                let (from, found) = copies.entry(key).or_insert_with(|| (list, Vec::new()));
                if *from == list {
                    found.push(row);
                }
            }
        }
        Ok(copies.into_iter().map(|(key, (_, rows))| (key, rows)).collect())
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
        if row.is_some_and(|row| is_too_large(row) || row[shape.key].weight() > LONGEST_KEY) {
            return (Verdict::TooLarge, [0; 16]);
        }
        let (verdict, copy): (_, &[Value]) = match (row, copies.map(Vec::as_slice)) {
            (_, found) if carriers.len() > 1 || found.is_some_and(|found| found.len() > 1) => {
                let found = found.unwrap_or_default();
                let rows = carriers.len().max(found.len());
                return (Verdict::Ambiguous(rows), several::fingerprint(carriers, found));
            }
            (None, None | Some([])) => return (Verdict::Same, [0; 16]),
            (Some(_), None | Some([])) => (Verdict::Missing, &[]),
            (None, Some([copy])) if is_too_large(copy) => return (Verdict::TooLarge, [0; 16]),
            (None, Some([copy])) => (Verdict::Extra, copy),
            (Some(row), Some([copy])) => match compare(&shape.rules, row, copy) {
                Verdict::Same => return (Verdict::Same, [0; 16]),
                Verdict::TooLarge => return (Verdict::TooLarge, [0; 16]),
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
