//! What a look at a place before the start has found, as data: `check --connect` prints it.

use super::catalog::Table;
use super::dialect::quote;
use super::select;
use super::statement::{Param, Read, Statement};
use super::{Database, PlaceError};
use crate::config::Engine;
use crate::model::Class;

/// How bad something found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but slowly or perhaps not as meant.
    Warning,
    /// The task cannot run like this.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// How bad it is.
    pub level: Level,
    /// What was looked at, in a word: `connection`, `table`, `columns`, `id`, `index`, `charset`, `clock`, `case`.
    pub subject: &'static str,
    /// What was found and, unless it is good, what to do; one line.
    pub message: String,
}

impl Checked {
    /// As it should be.
    pub fn good(subject: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Good, subject, message: message.into() }
    }

    /// Worth a look.
    pub fn warning(subject: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, subject, message: message.into() }
    }

    /// In the way.
    pub fn problem(subject: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Problem, subject, message: message.into() }
    }
}

/// So many columns that the task needs are there.
pub(crate) fn all_there(columns: usize) -> String {
    match columns {
        1 => "the one that is needed is there".to_owned(),
        columns => format!("all {columns} that are needed are there"),
    }
}

/// Who this connection is for the server, quoted for a GRANT; `None` where there are no users.
pub(crate) async fn user(database: &Database) -> Option<String> {
    let sql = match database.engine() {
        Engine::MySql => "SELECT CAST(CURRENT_USER() AS CHAR)",
        Engine::Postgres => "SELECT current_user::text",
        Engine::Sqlite => return None,
    };
    let rows = database.fetch(&Statement::new(sql, [Read::Text]), &[]).await.ok()?;
    let name = rows.first()?.first()?.to_text()?.into_owned();
    Some(match database.engine() {
        Engine::Postgres => quote(Engine::Postgres, &name),
        _ => {
            let (user, host) = name.rsplit_once('@').unwrap_or((&name, "%"));
            let text = |part: &str| format!("'{}'", part.replace('\'', "''"));
            format!("{}@{}", text(user), text(host))
        }
    })
}

/// A text that loses something on every connection that is not fully Unicode.
const PROBE: &str = "é中😀";

/// Reaches the database, sends a text there and back, and finds the table. Without the table there is no more to
/// look at.
pub(crate) async fn place(database: &Database, table: &str, found: &mut Vec<Checked>) -> Option<Table> {
    if let Err(error) = database.ping().await {
        found.push(Checked::problem("connection", error.to_string()));
        return None;
    }
    found.push(Checked::good("connection", format!("{} answers", database.place())));
    found.push(match echoes(database).await {
        Ok(true) => Checked::good("charset", "text arrives as it was sent"),
        Ok(false) => {
            let message =
                format!("{PROBE:?} does not come back as it was sent; check the server's character sets");
            Checked::problem("charset", message)
        }
        Err(error) => Checked::problem("charset", error.to_string()),
    });
    match Table::resolve(database, table).await {
        Ok(table) => {
            let kind = if table.view { "view" } else { "table" };
            let message = format!("{kind} {:?}, {} readable columns", table.full_name(), table.columns.len());
            found.push(Checked::good("table", message));
            found.extend(table.untold.iter().map(|untold| Checked::warning("columns", untold)));
            Some(table)
        }
        Err(error) => {
            found.push(Checked::problem("table", error.to_string()));
            None
        }
    }
}

async fn echoes(database: &Database) -> Result<bool, PlaceError> {
    let sql = match database.engine() {
        Engine::MySql => "SELECT CAST(? AS CHAR)",
        Engine::Postgres => "SELECT $1::text",
        Engine::Sqlite => "SELECT ?",
    };
    let rows = database.fetch(&Statement::new(sql, [Read::Text]), &[Param::text(PROBE)]).await?;
    Ok(rows.first().and_then(|row| row[0].to_text()).as_deref() == Some(PROBE))
}

/// Pairs of texts that a collation may take for one.
const FOLDED: [(&str, &str, &str); 3] =
    [("a", "A", "case"), ("e", "é", "accents"), ("a", "a ", "trailing blanks")];

/// What two keys may differ in and still be one to a column: words for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folds(Vec<&'static str>);

impl Folds {
    /// What these take for one and `others` do not.
    pub(crate) fn beyond(&self, others: &Self) -> Option<String> {
        let more: Vec<&str> = self.0.iter().filter(|what| !others.0.contains(what)).copied().collect();
        match &more[..] {
            [] => None,
            [only] => Some((*only).to_owned()),
            [head @ .., last] => Some(format!("{} or {last}", head.join(", "))),
        }
    }
}

/// What the database does not tell apart in a column.
pub(crate) async fn folds(database: &Database, table: &Table, column: usize) -> Folds {
    if !matches!(table.columns[column].class, Class::Text | Class::Dynamic) {
        return Folds::default();
    }
    // The column decides how the union is compared, without a row being read.
    let (name, from) = (quote(table.engine, &table.columns[column].name), select::from(table));
    let never = if table.engine == Engine::Postgres { "false" } else { "0" };
    let mut folds = Vec::new();
    for (one, other, what) in FOLDED {
        let sql = format!(
            "SELECT 'yes' FROM (SELECT {name} AS k FROM {from} WHERE {never} UNION ALL SELECT '{one}') AS probe \
             WHERE k = '{other}'"
        );
        let found = database.fetch(&Statement::new(sql, [Read::Text]), &[]).await;
        // Types that no such text fits into (an enum) do not fold.
        folds.extend(found.is_ok_and(|rows| !rows.is_empty()).then_some(what));
    }
    Folds(folds)
}

/// Whether an index leads with a column that rows are read or found by.
pub(crate) fn index(table: &Table, column: usize, purpose: &str) -> Checked {
    let (name, full_name) = (&table.columns[column].name, table.full_name());
    if table.view {
        return Checked::warning(
            "index",
            format!(
                "{full_name:?} is a view: make sure that it finds rows by {name:?} through an index ({purpose})"
            ),
        );
    }
    if table.has_index(&[column]) {
        return Checked::good("index", format!("{name:?} of {full_name:?} leads an index ({purpose})"));
    }
    Checked::warning(
        "index",
        format!(
            "no index of {full_name:?} begins with {name:?} ({purpose}): every look reads the whole table; add one"
        ),
    )
}
