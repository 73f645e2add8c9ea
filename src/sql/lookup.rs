//! Rows by the column that finds them, in answers that fit into memory: whatever the rows weigh, and however many of
//! them carry one key.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::catalog::Table;
use super::run::Take;
use super::select;
use super::statement::Statement;
use super::{BUDGET, Database, PlaceError, bind, is_bad_value};
use crate::model::{Column, Key, Row, Value, row_size};

/// Rows of one key that are returned at most: whoever sees so many need not know how many more there are.
const MANY: u32 = 100;

/// Rows beyond those that are read in vain before a statement is given up.
const SURPLUS: usize = 10_000;

/// What a look-up by keys found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<R> {
    /// All rows of the keys that were answered, in any order. Of a key with very many rows these are some of them: 100,
    /// or as many as there was room for, but never fewer than two.
    pub rows: Vec<R>,
    /// Places of the keys that were not answered, in their order: nothing is known of them, they are to be asked for
    /// again. Never the first key.
    pub rest: Vec<usize>,
}

/// What tells keys of one column apart exactly; `None` for NULL.
pub(crate) type Exact<'a> = &'a (dyn Fn(&Value) -> Option<Key> + Send + Sync);

/// The statements that find rows by one column.
#[derive(Debug)]
pub(crate) struct Lookup {
    key: usize,
    /// Where the key stands in a row.
    place: usize,
    unique: bool,
    /// One for each of [`select::SIZES`].
    statements: Vec<Statement>,
}

impl Lookup {
    /// Finds rows by the column `key`, which is one of `selected`.
    pub(crate) fn new(table: &Table, selected: &[usize], key: usize) -> Self {
        let place = selected.iter().position(|column| *column == key).expect("the key is selected");
        let statements = select::SIZES.iter().map(|size| select::by_key(table, selected, key, *size));
        Self { key, place, unique: table.is_unique(key), statements: statements.collect() }
    }

    /// Rows whose key equals one of `keys` under the database's own rules, each once and no more than take about
    /// [`BUDGET`], but at least those of the first key. A collation may add rows that nobody asked for. A key that the
    /// column cannot hold finds nothing.
    pub(crate) async fn some(
        &self,
        database: &Database,
        table: &Table,
        exact: Exact<'_>,
        keys: &[Value],
    ) -> Result<Found<Row>, PlaceError> {
        let column = &table.columns[self.key];
        let mut wanted = Wanted::new(database, column, exact, keys);
        let mut lists: VecDeque<Vec<usize>> = bind::lists(&wanted.forms).into();
        let mut rows = Vec::new();
        let mut left = BUDGET;
        // Beyond the budget only the first key is still asked for, so that something always goes on.
        while let Some(list) =
            if left > 0 { lists.pop_front() } else { wanted.first_open().map(|group| vec![group]) }
        {
            let mut gather = Gather::new(&wanted, &list, left, self.place, exact);
            let forms: Vec<&Value> = list.iter().flat_map(|group| &wanted.forms[*group]).collect();
            let cut = match self.ask(database, column, &forms, &mut gather).await {
                Ok(cut) => cut,
                // The key that the database refuses is found by halving; no row has it.
                Err(error) if is_bad_value(&error) && list.len() > 1 => {
                    let (front, back) = list.split_at(list.len() / 2);
                    lists.push_front(back.to_vec());
                    lists.push_front(front.to_vec());
                    continue;
                }
                Err(error) if is_bad_value(&error) => {
                    rows.extend(self.each_form(database, column, &forms, &mut gather).await?);
                    wanted.done[list[0]] = true;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let gathered = gather.ended(cut, self.unique);
            left = left.saturating_sub(gathered.rows.iter().map(|row| row_size(row)).sum());
            rows.extend(gathered.rows);
            wanted.known.extend(gathered.strays);
            gathered.done.iter().for_each(|group| wanted.done[*group] = true);
            match gathered.open {
                open if open.is_empty() => {}
                open if !gathered.done.is_empty() => lists.push_front(open),
                // Some of the others were answered: that is enough for now.
                _ if gathered.heavy && wanted.first_open().is_none() => break,
                open => open.chunks(gathered.piece).rev().for_each(|piece| lists.push_front(piece.to_vec())),
            }
        }
        Ok(Found { rows, rest: wanted.rest() })
    }

    /// Whether there was more than was taken.
    async fn ask(
        &self,
        database: &Database,
        column: &Column,
        forms: &[&Value],
        gather: &mut Gather<'_>,
    ) -> Result<bool, PlaceError> {
        let size = select::size_for(forms.len());
        let params = bind::params(database.engine(), column.class, forms, select::SIZES[size]);
        database.fetch_into(gather, &self.statements[size], &params).await
    }

    /// Asks for the forms of one key one by one; they never find the same row.
    async fn each_form(
        &self,
        database: &Database,
        column: &Column,
        forms: &[&Value],
        gather: &mut Gather<'_>,
    ) -> Result<Vec<Row>, PlaceError> {
        let mut rows = Vec::new();
        for form in forms.iter().filter(|_| forms.len() > 1) {
            match self.ask(database, column, &[*form], gather).await {
                Ok(_) => rows.extend(gather.rows.drain(..).map(|(_, row)| row)),
                Err(error) if is_bad_value(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }
}

/// The keys of one look-up. Forms that may find the same row are one group, and stand in one statement.
struct Wanted {
    /// By group.
    forms: Vec<Vec<Value>>,
    groups: HashMap<Key, usize>,
    /// Which key wants which group.
    wants: Vec<(usize, usize)>,
    /// Whether all rows of a group were returned.
    done: Vec<bool>,
    /// Keys that nobody asked for and whose rows were returned.
    known: HashSet<Key>,
}

impl Wanted {
    fn new(database: &Database, column: &Column, exact: Exact<'_>, keys: &[Value]) -> Self {
        let mut forms: Vec<Vec<Value>> = Vec::with_capacity(keys.len());
        let mut groups: HashMap<Key, usize> = HashMap::with_capacity(keys.len());
        let mut wants = Vec::with_capacity(keys.len());
        for (at, value) in keys.iter().enumerate() {
            for form in bind::all(database.engine(), column, value) {
                let Some(key) = exact(&form) else { continue };
                let group = *groups.entry(key).or_insert(forms.len());
                match forms.get_mut(group) {
                    None => forms.push(vec![form]),
                    Some(known) if known.contains(&form) => {}
                    Some(known) => known.push(form),
                }
                wants.push((at, group));
            }
        }
        let done = vec![false; forms.len()];
        Self { forms, groups, wants, done, known: HashSet::new() }
    }

    /// A group of the first key that is not done.
    fn first_open(&self) -> Option<usize> {
        let of_first = self.wants.iter().take_while(|(key, _)| *key == 0).map(|(_, group)| *group);
        of_first.into_iter().find(|group| !self.done[*group])
    }

    fn rest(&self) -> Vec<usize> {
        let open = self.wants.iter().filter(|(_, group)| !self.done[*group]);
        let open: BTreeSet<usize> = open.map(|(key, _)| *key).collect();
        open.into_iter().collect()
    }
}

/// Takes the rows of one statement.
struct Gather<'a> {
    wanted: &'a Wanted,
    list: &'a [usize],
    exact: Exact<'a>,
    place: usize,
    /// Bytes that there is room for, at first and now.
    room: usize,
    left: usize,
    /// Rows by group; `None`: another statement asks for it.
    counts: Vec<Option<u32>>,
    /// Rows by key that nobody asked for.
    strays: HashMap<Key, u32>,
    rows: Vec<(Option<usize>, Row)>,
    surplus: usize,
}

/// What a statement brought.
struct Gathered {
    rows: Vec<Row>,
    strays: Vec<Key>,
    done: Vec<usize>,
    open: Vec<usize>,
    /// There was no room for more.
    heavy: bool,
    /// How many groups to ask for at once if none is done.
    piece: usize,
}

impl<'a> Gather<'a> {
    fn new(wanted: &'a Wanted, list: &'a [usize], room: usize, place: usize, exact: Exact<'a>) -> Self {
        let (counts, rows) = (vec![None; wanted.forms.len()], Vec::with_capacity(list.len()));
        let strays = HashMap::new();
        Self { wanted, list, exact, place, room, left: room, counts, strays, rows, surplus: 0 }
    }

    /// How many rows there are of the only key asked for; `None`: there are several keys.
    fn alone(&self) -> Option<u32> {
        let [only] = self.list else { return None };
        self.counts[*only]
    }

    fn ended(mut self, cut: bool, unique: bool) -> Gathered {
        let count = |group: usize| self.counts[group].unwrap_or(0);
        let is_done = |group: usize| {
            let one_form = self.wanted.forms[group].len() == 1;
            !cut || self.list.len() == 1 || count(group) >= MANY || (unique && one_form && count(group) > 0)
        };
        let (done, open): (Vec<usize>, Vec<usize>) = self.list.iter().partition(|group| is_done(**group));
        let seen = open.iter().filter(|group| count(**group) > 0).count();
        let piece = if seen > 0 { seen / 2 } else { open.len() / 2 }.max(1);
        if cut {
            // Of what was not asked for, the others may be behind the cut.
            self.rows.retain(|(group, _)| group.is_some_and(is_done));
            self.strays.clear();
        }
        let rows = self.rows.into_iter().map(|(_, row)| row).collect();
        Gathered { rows, strays: self.strays.into_keys().collect(), done, open, heavy: self.left == 0, piece }
    }
}

impl Take for Gather<'_> {
    fn begin(&mut self) {
        self.list.iter().for_each(|group| self.counts[*group] = Some(0));
        self.strays.clear();
        self.rows.clear();
        (self.left, self.surplus) = (self.room, 0);
    }

    fn take(&mut self, row: Row) -> bool {
        let is_full = self.left == 0 || self.surplus >= SURPLUS;
        // Of a single key is always found out whether it has several rows.
        if is_full && self.alone().is_none_or(|rows| rows > 1) {
            return false;
        }
        let Some(key) = (self.exact)(&row[self.place]) else { return true };
        let group = self.wanted.groups.get(&key).copied();
        let count = match group {
            Some(group) => match &mut self.counts[group] {
                Some(count) => count,
                None => return true,
            },
            None if self.wanted.known.contains(&key) => return true,
            None => self.strays.entry(key).or_insert(0),
        };
        *count += 1;
        if *count <= if self.left == 0 { 2 } else { MANY } {
            self.left = self.left.saturating_sub(row_size(&row));
            self.rows.push((group, row));
        } else {
            self.surplus += 1;
        }
        true
    }
}
