//! What is to be done with a row as it stands. Pure.

use super::entry::{Entry, Fields};
use super::value::is_same;
use crate::config::ColumnPolicy;
use crate::diff::ColumnRule;
use crate::model::Value;
use crate::sql::catalog::Table;
use crate::sql::write::{Act, Facts};

/// How a table's own values are compared with planned ones, by column.
pub(super) struct Rules {
    by_column: Vec<Option<ColumnRule>>,
    /// To the last bit, as for what is taken back.
    exact: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Write,
    /// It is as it should be.
    Already,
    /// It has changed since.
    Stale(String),
}

impl Rules {
    pub(super) fn new(table: &Table, exact: bool) -> Self {
        let rule = |column| ColumnRule::new((0, column), (0, column), &ColumnPolicy::default()).ok();
        Self { by_column: table.columns.iter().map(rule).collect(), exact }
    }

    /// Whether a value of a column is the planned one, however it is spelt unless that counts.
    pub(super) fn agrees(&self, column: usize, planned: &Value, stored: &Value) -> bool {
        let by_rule =
            |rule: &ColumnRule| rule.agrees(std::slice::from_ref(planned), std::slice::from_ref(stored));
        is_same(planned, stored) || (!self.exact && self.by_column[column].as_ref().is_some_and(by_rule))
    }

    /// The first of these that a row does not agree with.
    pub(super) fn other(&self, fields: &Fields, row: &[Value]) -> Option<usize> {
        fields
            .iter()
            .find(|(column, value)| !self.agrees(*column, value, &row[*column]))
            .map(|(column, _)| *column)
    }
}

/// What an entry asks for while its row stands so; `None`: there is no row.
pub(super) fn decide(table: &Table, rules: &Rules, entry: &Entry, row: Option<&[Value]>) -> Decision {
    let name = |column: usize| &table.columns[column].name;
    let changed =
        |column: usize| Decision::Stale(format!("{} has changed since the plan was made", name(column)));
    let wanted = |row: &[Value]| rules.other(&entry.new, row).or_else(|| rules.other(&entry.follows, row));
    let before = |row: &[Value]| {
        let other = entry.old.iter().find(|(column, value)| !is_same(value, &row[*column]));
        other.map(|(column, _)| *column)
    };
    match (entry.act, row) {
        (Act::Insert, None) => Decision::Write,
        (Act::Insert, Some(row)) => match wanted(row) {
            None => Decision::Already,
            Some(column) => Decision::Stale(format!(
                "a row with this key has come since the plan was made, with another {}",
                name(column)
            )),
        },
        (Act::Update, None) => Decision::Stale("the row has gone since the plan was made".to_owned()),
        (Act::Update, Some(row)) => match (before(row), wanted(row)) {
            (_, None) => Decision::Already,
            (None, Some(_)) => Decision::Write,
            (Some(column), Some(_)) => changed(column),
        },
        (Act::Delete, None) => Decision::Already,
        (Act::Delete, Some(row)) => before(row).map_or(Decision::Write, changed),
    }
}

/// Why nothing of the kind is done to this table, or to these columns.
pub(super) fn barred(table: &Table, facts: &Facts, entry: &Entry, triggers: bool) -> Option<String> {
    let set_off = facts.set_off(entry.act);
    if !triggers && !set_off.is_empty() {
        return Some(
            format!(
                "an {} would set off {}, which may change anything; --allow-triggers lets it",
                entry.act.as_str(),
                set_off.join(", ")
            )
            .replace("an delete", "a delete"),
        );
    }
    if entry.act == Act::Delete && !facts.unread.is_empty() {
        return Some(format!(
            "this user may not read {}, so the row could not be brought back",
            facts.unread.join(", ")
        ));
    }
    let written = entry.new.iter().chain(entry.key.iter().filter(|_| entry.act == Act::Insert));
    written.map(|(column, _)| *column).find_map(|column| {
        let name = &table.columns[column].name;
        if facts.generated[column] {
            Some(format!("{name} is computed by the server and cannot be written"))
        } else if facts.always[column] && entry.act == Act::Update {
            Some(format!("{name} is given by the server (GENERATED ALWAYS) and cannot be changed"))
        } else {
            None
        }
    })
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
