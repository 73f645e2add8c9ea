//! One row: locked, compared, written, read back.

use super::decide::{Decision, Rules, barred, decide};
use super::entry::{Entry, Fields};
use super::rows::Outcome;
use super::value::is_same;
use crate::model::{Row, Value};
use crate::sql::catalog::Table;
use crate::sql::statement::{Param, Statement};
use crate::sql::write::{Act, Facts, Failed, FailedKind, Session, change, insert, referring, remove, whole};
use crate::sql::{PlaceErrorKind, bind};

/// A table that is repaired.
pub(super) struct Target {
    pub(super) table: Table,
    pub(super) facts: Facts,
    rules: Rules,
    /// What its rows are found by.
    key: Vec<usize>,
    /// What one of them is known by.
    handle: Vec<usize>,
    look: Statement,
    triggers: bool,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    /// What takes it back.
    pub(super) undo: Option<Entry>,
    /// It may go when others have been written.
    pub(super) later: bool,
}

impl Done {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self { outcome, reason: reason.into(), undo: None, later: false }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self::new(Outcome::Refused, reason)
    }
}

impl Target {
    /// Of a plan or, which wants every bit back, of an undo file.
    pub(super) fn new(
        (table, facts): (Table, Facts),
        key: Vec<usize>,
        undo: bool,
        lock: bool,
        triggers: bool,
    ) -> Self {
        let handle = if table.primary_key.is_empty() { key.clone() } else { table.primary_key.clone() };
        let (rules, look) = (Rules::new(&table, undo), whole(&table, &key, lock));
        Self { table, facts, rules, key, handle, look, triggers }
    }

    /// Does what an entry asks for, if its row still is as it was; a session that may not write only looks.
    pub(super) async fn one(&self, session: &mut Session, entry: &Entry) -> Result<Done, Failed> {
        if let Some(why) = barred(&self.table, &self.facts, entry, self.triggers) {
            return Ok(Done::refused(why));
        }
        let before = match self.find(session, &entry.key).await? {
            Ok(row) => row,
            Err(why) => return Ok(Done::refused(why)),
        };
        match decide(&self.table, &self.rules, entry, before.as_deref()) {
            Decision::Already => return Ok(Done::new(Outcome::Already, "")),
            Decision::Stale(why) => return Ok(Done::new(Outcome::Stale, why)),
            Decision::Write => {}
        }
        if let Some(why) = self.referred(session, entry, before.as_deref()).await? {
            return Ok(Done::refused(why));
        }
        if !session.writes() {
            return Ok(Done::new(Outcome::Applied, ""));
        }
        self.write(session, entry, before.as_deref()).await
    }

    /// Makes what is unique of a row empty, so that another row can have it; returns the row as it was. `None`: it is not
    /// one to be written.
    pub(super) async fn empty(
        &self,
        session: &mut Session,
        entry: &Entry,
    ) -> Result<Option<Option<Row>>, Failed> {
        if barred(&self.table, &self.facts, entry, self.triggers).is_some() {
            return Ok(None);
        }
        let Ok(before) = self.find(session, &entry.key).await? else { return Ok(None) };
        let write = decide(&self.table, &self.rules, entry, before.as_deref()) == Decision::Write;
        if !write || self.referred(session, entry, before.as_deref()).await?.is_some() {
            return Ok(None);
        }
        let unique =
            |at: usize| self.table.indexes.iter().any(|index| index.unique && index.columns.contains(&at));
        let nullable = || entry.new.iter().map(|(at, _)| *at).filter(|at| self.table.columns[*at].nullable);
        let mut nothing: Fields = nullable().filter(|at| unique(*at)).map(|at| (at, Value::Null)).collect();
        if nothing.is_empty() {
            // The catalogue does not tell of indexes over a part of the rows, or over an expression.
            nothing = nullable().map(|at| (at, Value::Null)).collect();
        }
        if let Some(row) = before.as_deref().filter(|_| entry.act == Act::Update && !nothing.is_empty()) {
            let handle: Fields = self.handle.iter().map(|at| (*at, row[*at].clone())).collect();
            let mut params = Vec::new();
            let sql = change(&self.table, &self.facts, (&handle, &[], &nothing), Some(&mut params));
            if let Some(sql) = sql {
                session.execute(&sql, &params).await?;
            }
        }
        Ok(Some(before))
    }

    /// Writes, and takes it back if it did not become what it should.
    pub(super) async fn write(
        &self,
        session: &mut Session,
        entry: &Entry,
        before: Option<&[Value]>,
    ) -> Result<Done, Failed> {
        let mut params = Vec::new();
        let Some(sql) = self.statement(entry, before, &mut params) else {
            return Ok(Done::refused("a value is stored in a way in which nothing can be written"));
        };
        session.mark().await?;
        let why = match session.execute(&sql, &params).await {
            Ok(1) => None,
            Ok(0) => Some("the database wrote nothing; a trigger, a rule or a policy may be why".to_owned()),
            Ok(rows) => Some(format!("the key finds {rows} rows where one is meant")),
            Err(failed) => match failed.kind {
                FailedKind::Duplicate | FailedKind::ForeignKey => {
                    session.back().await?;
                    session.release().await?;
                    let what =
                        if failed.kind == FailedKind::Duplicate { "a unique index" } else { "a foreign key" };
                    let done = Done::refused(format!("{what} says no: {}", failed.error.message));
                    return Ok(Done { later: true, ..done });
                }
                FailedKind::Refused => Some(format!("the database says no: {}", failed.error.message)),
                _ => return Err(failed),
            },
        };
        let ended = match why {
            Some(why) => Err(why),
            None => self.became(session, entry, before).await?,
        };
        let done = match ended {
            Ok(undo) => Done { undo, ..Done::new(Outcome::Applied, "") },
            Err(why) => {
                session.back().await?;
                Done::refused(why)
            }
        };
        session.release().await?;
        Ok(done)
    }

    fn statement(&self, entry: &Entry, before: Option<&[Value]>, params: &mut Vec<Param>) -> Option<String> {
        let handle = |row: &[Value]| self.handle.iter().map(|at| (*at, row[*at].clone())).collect::<Fields>();
        match entry.act {
            Act::Insert => {
                let row: Vec<_> = entry.key.iter().chain(&entry.new).collect();
                insert(&self.table, &self.facts, &row, Some(params))
            }
            Act::Update => {
                change(&self.table, &self.facts, (&handle(before?), &[], &entry.new), Some(params))
            }
            Act::Delete => remove(&self.table, (&handle(before?), &[]), Some(params)),
        }
    }

    /// What takes the row back, if it is now what the entry wants; else why it is not.
    async fn became(
        &self,
        session: &mut Session,
        entry: &Entry,
        before: Option<&[Value]>,
    ) -> Result<Result<Option<Entry>, String>, Failed> {
        let after = match self.find(session, &entry.key).await? {
            Ok(row) => row,
            Err(why) => return Ok(Err(why)),
        };
        let name = |column: usize| &self.table.columns[column].name;
        Ok(match (entry.act, after) {
            (Act::Delete, None) => Ok(before.map(|before| self.bring_back(before))),
            (Act::Delete, Some(_)) => {
                Err("the row is still there; a trigger or a rule may be why".to_owned())
            }
            (_, None) => Err("the row is not found by its key after it was written".to_owned()),
            (_, Some(after)) => {
                let kept = |(column, value): &&(usize, Value)| {
                    entry.new.iter().chain(&entry.follows).all(|(at, _)| at != column)
                        && !is_same(value, &after[*column])
                };
                if let Some(column) = self.rules.other(&entry.new, &after) {
                    let why = format!("{} was stored as another value than was written", name(column));
                    Err(format!("{why}; {} may not hold it", self.table.columns[column].declared))
                } else if let Some(column) = self.rules.other(&entry.follows, &after) {
                    Err(format!(
                        "{} is computed by the server and did not become what it should",
                        name(column)
                    ))
                } else if let Some((column, _)) = entry.old.iter().find(kept) {
                    Err(format!("{} changed as well; a trigger may be why", name(*column)))
                } else {
                    Ok(self.take_back(entry.act, before, &after))
                }
            }
        })
    }

    /// The row with the key; `Err`: why it is not known which it is.
    async fn find(&self, session: &mut Session, key: &Fields) -> Result<Result<Option<Row>, String>, Failed> {
        let mut params = Vec::with_capacity(key.len());
        for column in &self.key {
            let value = key.iter().find(|(at, _)| at == column).map(|(_, value)| value);
            let own =
                value.and_then(|value| bind::own(self.table.engine, &self.table.columns[*column], value));
            let Some(own) = own else {
                return Ok(Err(format!(
                    "{} is no key that can be asked for",
                    self.table.columns[*column].name
                )));
            };
            params.push(bind::param(&own));
        }
        let rows = session.fetch(&self.look, &params).await?;
        // A collation may find more than was asked for.
        let mut rows = rows.into_iter().filter(|row| self.rules.other(key, row).is_none());
        let row = match (rows.next(), rows.next()) {
            (row, None) => row,
            _ => return Ok(Err("several rows carry this key".to_owned())),
        };
        Ok(row.map_or(Ok(None), |row| self.exact(row).map(Some)))
    }

    /// A row whose values can be written again as they are.
    fn exact(&self, mut row: Row) -> Result<Row, String> {
        let width = self.table.columns.len();
        if let Some(at) = row.iter().position(|value| matches!(value, Value::TooLarge(_))) {
            let name = self.table.columns.get(at).map_or("", |column| &column.name);
            return Err(format!("the row is too large: {name} was not read"));
        }
        if row.len() > width {
            let kinds = row.pop();
            let kinds = kinds.as_ref().and_then(Value::to_text).unwrap_or_default().into_owned();
            let odd = |(value, kind): (&Value, u8)| matches!(value, Value::Bytes(_)) && kind == b't';
            if let Some(at) = row.iter().zip(kinds.bytes()).position(odd) {
                return Err(format!("{} holds text that is not UTF-8", self.table.columns[at].name));
            }
        }
        Ok(row)
    }

    /// Rows of other tables that would be changed along.
    async fn referred(
        &self,
        session: &mut Session,
        entry: &Entry,
        row: Option<&[Value]>,
    ) -> Result<Option<String>, Failed> {
        let Some(row) = row else { return Ok(None) };
        if self.facts.hides_referrers && entry.act == Act::Delete {
            let why = "foreign keys of tables that this user may not see may lead to it, and would change rows there; \
                       GRANT SELECT on the database, or PROCESS, would show them";
            return Ok(Some(why.to_owned()));
        }
        for key in &self.facts.referrers {
            let rule = match entry.act {
                Act::Insert => &None,
                Act::Delete => &key.on_delete,
                Act::Update if key.columns.iter().any(|(_, to)| entry.new.iter().any(|(at, _)| at == to)) => {
                    &key.on_update
                }
                Act::Update => &None,
            };
            let Some(rule) = rule else { continue };
            let Some((statement, params)) = referring(&self.table, key, row) else { continue };
            if session.writes() {
                session.mark().await?;
            }
            let found = session.fetch(&statement, &params).await;
            let denied = match found {
                Ok(rows) if rows.is_empty() => None,
                Ok(_) => Some(format!(
                    "rows of {} refer to it, and foreign key {} would change them ({rule})",
                    key.table.0, key.name
                )),
                Err(failed) if failed.error.kind == PlaceErrorKind::Denied => {
                    Some(format!("rows of {} may refer to it, which this user may not read", key.table.0))
                }
                Err(failed) => return Err(failed),
            };
            if session.writes() {
                session.back().await?;
                session.release().await?;
            }
            if denied.is_some() {
                return Ok(denied);
            }
        }
        Ok(None)
    }

    /// What brings a deleted row back: all of it.
    fn bring_back(&self, before: &[Value]) -> Entry {
        let (key, new) = self.split(before, |_| true);
        Entry { act: Act::Insert, key, old: Fields::new(), new, follows: Fields::new() }
    }

    /// What takes a written row back; `None`: nothing has changed.
    fn take_back(&self, act: Act, before: Option<&[Value]>, after: &[Value]) -> Option<Entry> {
        let (key, old) = self.split(after, |_| true);
        let Some(before) = before.filter(|_| act == Act::Update) else {
            return Some(Entry { act: Act::Delete, key, old, new: Fields::new(), follows: Fields::new() });
        };
        let (_, new) = self.split(before, |at| !is_same(&before[at], &after[at]));
        let follows = Fields::new();
        (!new.is_empty()).then_some(Entry { act: Act::Update, key, old, new, follows })
    }

    /// The key of a row, and those of its other columns that can be written and are wanted.
    fn split(&self, row: &[Value], wanted: impl Fn(usize) -> bool) -> (Fields, Fields) {
        let key = self.key.iter().map(|at| (*at, row[*at].clone())).collect();
        let rest = (0..self.table.columns.len())
            .filter(|at| !self.key.contains(at) && !self.facts.generated[*at] && wanted(*at));
        (key, rest.map(|at| (at, row[at].clone())).collect())
    }
}
