//! From what was asked for to two tables that can be compared.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::digest;
use super::join::{Gone, Matcher};
use super::order;
use super::side::Side;
use crate::config::{ColumnPolicy, CopyConfig, Rule, SourceConfig};
use crate::diff::{ColumnRule, KeyForm, narrower};
use crate::model::{Class, Column, DatabaseClass};
use crate::sql::catalog::Table;
use crate::sql::{Database, PlaceError, PlaceErrorKind};

/// Which columns are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// All that both sides have by the same name, but not these of the source.
    Same {
        /// Names at the source.
        but: Vec<String>,
    },
    /// These: name at the source, name at the copy, what is let pass.
    These(Vec<(String, String, ColumnPolicy)>),
}

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Tables as written, source and copy.
    pub tables: [String; 2],
    /// Columns of the key at the source and at the copy; empty: the source's primary key.
    pub key: Vec<(String, String)>,
    /// Compared columns.
    pub columns: Mapping,
    /// Conditions in SQL, of source and copy, that rows must meet.
    pub filters: [Option<String>; 2],
    /// Rows of the source for which this holds count as not there; and whether the copy must not have them either.
    pub gone: Option<(Rule, bool)>,
}

impl Wanted {
    /// What a configuration says of a source and a copy. `delete`: the copy must not have rows that count as deleted.
    pub fn of(source: &SourceConfig, copy: &CopyConfig, delete: bool) -> Self {
        let columns = copy.columns.iter().map(|c| (c.source.clone(), c.copy.clone(), c.policy.clone()));
        Self {
            tables: [source.table.clone(), copy.table.clone()],
            key: vec![(source.by_column.clone(), copy.by_column.clone())],
            columns: Mapping::These(columns.collect()),
            filters: [None, None],
            gone: source.deleted_when.clone().map(|rule| (rule, delete)),
        }
    }
}

/// Two tables that can be compared.
pub struct Tables {
    pub(super) source: Side,
    pub(super) copy: Side,
    /// The same with nothing but keys.
    pub(super) copy_keys: Side,
    pub(super) matcher: Matcher,
    /// Names of the key's columns and of the compared ones, at the source.
    pub(super) key_names: Vec<Box<str>>,
    pub(super) names: Vec<Box<str>>,
    /// Whether both order keys alike.
    pub(super) alike: bool,
    /// What both servers write rows as to digest them, or why they cannot do so alike.
    texts: Result<[String; 2], String>,
    /// Room for whole rows that are told, in KiB, where they are wanted.
    pub(super) rows: Option<Arc<Semaphore>>,
    /// Places of the compared columns at both sides.
    pairs: Vec<(usize, usize)>,
    notes: Vec<String>,
}

/// Whole rows that wait to be taken, in KiB.
pub(super) const WAITING_ROWS: u32 = 64 << 10;

impl Tables {
    /// Looks at both tables.
    ///
    /// # Errors
    /// A database cannot be reached, or a table or column is not there, with what is.
    pub async fn resolve([source, copy]: [Arc<Database>; 2], wanted: &Wanted) -> Result<Self, PlaceError> {
        let (from, to) = tokio::try_join!(
            Table::resolve(&source, &wanted.tables[0]),
            Table::resolve(&copy, &wanted.tables[1])
        )?;
        let places = [source.place(), copy.place()];
        let mut notes = Vec::new();
        let key = key(&from, &to, &wanted.key, places)?;
        let (from_key, to_key): (Vec<usize>, Vec<usize>) = key.iter().copied().unzip();
        let compared = compared(&from, &to, &key, &wanted.columns, places, &mut notes)?;
        let forms = key.iter().map(|(a, b)| KeyForm::new(&from.columns[*a], &to.columns[*b])).collect();
        let mut rules = Vec::with_capacity(compared.len());
        for (at, (a, b, policy)) in compared.iter().enumerate() {
            let place = key.len() + at;
            let rule = ColumnRule::new((place, &from.columns[*a]), (place, &to.columns[*b]), policy);
            rules.push(rule.map_err(|why| missing(places[1], why.join("; ")))?);
        }
        for (side, table, key) in [("source", &from, &from_key), ("copy", &to, &to_key)] {
            if !table.has_index(key) {
                let names: Vec<&str> = key.iter().map(|at| &*table.columns[*at].name).collect();
                notes.push(format!(
                    "the {side} has no index that begins with {}: each stretch reads all of {}, which takes long if it is \
                     large",
                    names.join(", "),
                    table.full_name()
                ));
            }
        }
        let unique = is_unique(&from, &from_key) && is_unique(&to, &to_key);
        let name = |at: &usize| from.columns[*at].name.clone();
        let (key_names, names) =
            (from_key.iter().map(name).collect(), compared.iter().map(|(a, ..)| name(a)).collect());
        let mut alike = order::is_alike((&from, &from_key), (&to, &to_key));
        let [of_source, of_copy] = &wanted.filters;
        let selected = |side: usize| -> Vec<usize> {
            compared.iter().map(|(a, b, _)| if side == 0 { *a } else { *b }).collect()
        };
        let mut gone = None;
        let mut of_source_side = selected(0);
        if let Some((rule, counts)) = &wanted.gone {
            let mut columns = Vec::new();
            for name in rule.columns() {
                let at = from.require(name).map_err(|e| missing(places[0], e))?;
                columns.push((key.len() + of_source_side.len(), from.columns[at].class));
                of_source_side.push(at);
            }
            gone = Some(Gone { rule: rule.clone(), columns, counts: *counts });
        }
        let copy_keys = Side::new(copy.clone(), to.clone(), to_key.clone(), &[], of_copy.as_deref());
        let copy = Side::new(copy, to, to_key, &selected(1), of_copy.as_deref());
        let source = Side::new(source, from, from_key, &of_source_side, of_source.as_deref());
        if alike {
            // What lies between the ends is of the same kind as they are.
            let (first, last) = tokio::try_join!(source.edge(&None, 0), source.last())?;
            let (other, others) = tokio::try_join!(copy.edge(&None, 0), copy.last())?;
            alike = copy.takes(&first) && copy.takes(&last) && source.takes(&other) && source.takes(&others);
        }
        if !alike {
            notes.push(
                "nobody knows whether both sides order these keys alike: the copy is asked for each key of the source, \
                 then the source for each key of the copy"
                    .to_owned(),
            );
        }
        let texts = match &wanted.gone {
            Some((rule, _)) => Err(format!("rows count as deleted for which {:?} holds", rule.as_str())),
            None => digest::texts(&source, &copy, &compared, alike, unique),
        };
        let (source, copy) = match &texts {
            Ok([a, b]) => {
                (source.with_digests(a, of_source.as_deref()), copy.with_digests(b, of_copy.as_deref()))
            }
            Err(_) => (source, copy),
        };
        let matcher = Matcher { forms, rules, unique, gone };
        let pairs = compared.iter().map(|(a, b, _)| (*a, *b)).collect();
        Ok(Self {
            source,
            copy,
            copy_keys,
            matcher,
            key_names,
            names,
            alike,
            texts,
            rows: None,
            pairs,
            notes,
        })
    }

    /// Also tells the whole rows of what it finds.
    #[must_use]
    pub fn with_rows(self) -> Self {
        Self { rows: Some(Arc::new(Semaphore::new(WAITING_ROWS as usize))), ..self }
    }

    /// The copy's table.
    pub(crate) fn copy_table(&self) -> &Table {
        &self.copy.table
    }

    /// Columns of the source and the places of those of the copy: of the key, and the compared ones.
    pub(crate) fn columns(&self) -> [Vec<(&Column, usize)>; 2] {
        let from = |at: usize| &self.source.table.columns[at];
        let key = self.source.key.iter().zip(&self.copy.key).map(|(a, b)| (from(*a), *b)).collect();
        [key, self.pairs.iter().map(|(a, b)| (from(*a), *b)).collect()]
    }

    /// What people should know before they read the result, one line each: columns of one side only, what makes it slow.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Why rows have to be read, as the servers cannot digest them alike; `None`: they can.
    pub fn without_digests(&self) -> Option<&str> {
        self.texts.as_ref().err().map(String::as_str)
    }

    /// The expressions that each server digests for a row, to look at what it makes of one; `None`: there are no digests.
    pub fn row_texts(&self) -> Option<&[String; 2]> {
        self.texts.as_ref().ok()
    }

    /// Names of both tables with their schemas.
    pub fn tables(&self) -> [String; 2] {
        [self.source.name(), self.copy.name()]
    }

    /// Where they are, without credentials.
    pub fn places(&self) -> [&str; 2] {
        [self.source.database.place(), self.copy.database.place()]
    }

    /// Names of the compared columns at the source.
    pub fn compared(&self) -> &[Box<str>] {
        &self.names
    }
}

fn missing(place: &str, message: String) -> PlaceError {
    PlaceError::new(PlaceErrorKind::Missing, place, message).of_class(DatabaseClass::MissingColumn)
}

/// The key's columns at both sides, in the order of an index of the source if there is one.
fn key(
    from: &Table,
    to: &Table,
    wanted: &[(String, String)],
    places: [&str; 2],
) -> Result<Vec<(usize, usize)>, PlaceError> {
    let mut key = Vec::new();
    for (a, b) in wanted {
        let a = from.require(a).map_err(|e| missing(places[0], e))?;
        key.push((a, to.require(b).map_err(|e| missing(places[1], e))?));
    }
    if key.is_empty() {
        if from.primary_key.is_empty() {
            let message = format!(
                "{} has no primary key; name the columns that tell its rows apart with -k",
                from.full_name()
            );
            return Err(missing(places[0], message));
        }
        for at in &from.primary_key {
            let name = &from.columns[*at].name;
            let there = to.require(name).map_err(|e| {
                missing(
                    places[1],
                    format!("{e} (it is part of the source's primary key; name another key with -k)"),
                )
            })?;
            key.push((*at, there));
        }
    }
    let orders = std::iter::once(&from.primary_key).chain(from.indexes.iter().map(|index| &index.columns));
    let fits = |order: &&Vec<usize>| {
        order.len() >= key.len() && order[..key.len()].iter().all(|at| key.iter().any(|(a, _)| a == at))
    };
    if let Some(order) = orders.into_iter().find(fits) {
        key.sort_by_key(|(a, _)| order.iter().position(|at| at == a));
    }
    Ok(key)
}

/// The compared columns at both sides; those of the key are not among them unless they are asked for.
fn compared(
    from: &Table,
    to: &Table,
    key: &[(usize, usize)],
    mapping: &Mapping,
    places: [&str; 2],
    notes: &mut Vec<String>,
) -> Result<Vec<(usize, usize, ColumnPolicy)>, PlaceError> {
    let but = match mapping {
        Mapping::Same { but } => but,
        Mapping::These(list) => return these(from, to, list, places, notes),
    };
    let mut ignored = Vec::with_capacity(but.len());
    for name in but {
        ignored.push(from.require(name).map_err(|e| missing(places[0], e))?);
    }
    let mut all = Vec::new();
    let mut lacks = Vec::new();
    for (at, column) in from.columns.iter().enumerate().filter(|(at, _)| !ignored.contains(at)) {
        match to.find(&column.name) {
            _ if key.iter().any(|(part, _)| *part == at) => {}
            Some(there) => all.push((at, there, ColumnPolicy::default())),
            None => lacks.push(&*column.name),
        }
    }
    let used = |at: usize| {
        let left_out = ignored.iter().any(|from_at| to.find(&from.columns[*from_at].name) == Some(at));
        left_out || all.iter().any(|(_, there, _)| *there == at) || key.iter().any(|(_, there)| *there == at)
    };
    let extra: Vec<&str> = (to.columns.iter().enumerate())
        .filter(|(at, _)| !used(*at))
        .map(|(_, column)| &*column.name)
        .collect();
    for (side, lone) in [("source", lacks), ("copy", extra)] {
        if !lone.is_empty() {
            notes.push(format!("only the {side} has {}: not compared", lone.join(", ")));
        }
    }
    for (a, b, _) in &all {
        let (a, b) = (&from.columns[*a], &to.columns[*b]);
        if let Some(less) = narrower(a, b) {
            notes.push(less);
            continue;
        }
        if a.class != b.class && a.class != Class::Dynamic && b.class != Class::Dynamic {
            notes.push(format!("{} is {} at the source and {} at the copy", a.name, a.declared, b.declared));
        }
    }
    Ok(all)
}

/// What is compared is named.
fn these(
    from: &Table,
    to: &Table,
    list: &[(String, String, ColumnPolicy)],
    places: [&str; 2],
    notes: &mut Vec<String>,
) -> Result<Vec<(usize, usize, ColumnPolicy)>, PlaceError> {
    let mut all = Vec::with_capacity(list.len());
    for (a, b, policy) in list {
        let a = from.require(a).map_err(|e| missing(places[0], e))?;
        let b = to.require(b).map_err(|e| missing(places[1], e))?;
        if policy.is_loose() {
            notes.push(format!("{}: {policy}", from.columns[a].name));
        }
        if !policy.ignore {
            all.push((a, b, policy.clone()));
        }
    }
    Ok(all)
}

/// Whether no two rows share the key.
fn is_unique(table: &Table, key: &[usize]) -> bool {
    let same = |columns: &[usize]| columns.len() <= key.len() && columns.iter().all(|at| key.contains(at));
    let primary = !table.primary_key.is_empty() && same(&table.primary_key);
    primary || table.indexes.iter().any(|index| index.unique && same(&index.columns))
}
