//! What a table lets be written, and what follows from it: generated columns, times that the server sets, triggers,
//! foreign keys of other tables. One file per engine.

mod mysql;
mod postgres;
mod sqlite;

use super::super::catalog::Table;
use super::super::{Database, PlaceError};
use super::build::Values;
use crate::config::Engine;

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Act {
    Insert,
    Update,
    Delete,
}

impl Act {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What is known of a table that is to be written. Lists have a place for each column.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Computed by the server.
    pub(crate) generated: Vec<bool>,
    /// Given by the server unless it is overridden (PostgreSQL's `GENERATED ALWAYS AS IDENTITY`).
    pub(crate) always: Vec<bool>,
    /// Set to the server's time whenever the row is changed.
    pub(crate) touched: Vec<bool>,
    /// A new row need not name it.
    pub(crate) optional: Vec<bool>,
    /// Names of triggers and rules, with what sets them off.
    pub(crate) triggers: Vec<(Act, String)>,
    /// Foreign keys of other tables, or of this one, that change or delete rows of their own.
    pub(crate) referrers: Vec<Referrer>,
    /// Others may do so that this user cannot see.
    pub(crate) hides_referrers: bool,
    /// Columns that this user may not read.
    pub(crate) unread: Vec<String>,
    /// Why nothing can be written.
    pub(crate) unfit: Option<String>,
    /// What this user is not told.
    pub(crate) untold: Vec<String>,
}

/// A foreign key that leads to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referrer {
    pub(crate) name: String,
    /// The referring table, for people and quoted.
    pub(crate) table: (String, String),
    /// Its columns, quoted, and the places of those that they refer to.
    pub(crate) columns: Vec<(String, usize)>,
    /// What it does to its rows when the row is deleted, or a column that it refers to changed: `CASCADE`, `SET NULL`.
    pub(crate) on_delete: Option<String>,
    pub(crate) on_update: Option<String>,
}

impl Facts {
    /// Asks the catalogue.
    pub(crate) async fn read(database: &Database, table: &Table) -> Result<Self, PlaceError> {
        let mut facts = match table.engine {
            Engine::MySql => mysql::facts(database, table).await?,
            Engine::Postgres => postgres::facts(database, table).await?,
            Engine::Sqlite => sqlite::facts(database, table).await?,
        };
        if table.view {
            facts.unfit = Some(format!("{} is a view; only tables are repaired", table.full_name()));
        }
        facts.referrers.retain(|key| key.on_delete.is_some() || key.on_update.is_some());
        Ok(facts)
    }

    /// One that knows only how many columns there are.
    fn of(table: &Table) -> Self {
        let no = vec![false; table.columns.len()];
        Self {
            generated: no.clone(),
            always: no.clone(),
            touched: no,
            optional: table.columns.iter().map(|column| column.nullable).collect(),
            ..Self::default()
        }
    }

    /// Columns that keep their value only if that is said, where these are changed.
    pub(super) fn kept<'a>(&'a self, new: &'a Values) -> impl Iterator<Item = usize> + 'a {
        let touched = self.touched.iter().enumerate().filter(|(_, touched)| **touched);
        touched.map(|(at, _)| at).filter(|at| new.iter().all(|(column, _)| column != at))
    }

    /// Names of what is set off.
    pub(crate) fn set_off(&self, act: Act) -> Vec<&str> {
        self.triggers.iter().filter(|(by, _)| *by == act).map(|(_, name)| &**name).collect()
    }

    /// Adds a column of a foreign key; columns of one key come one after the other.
    fn refer(
        &mut self,
        name: String,
        table: (String, String),
        column: (String, Option<usize>),
        acts: [&str; 2],
    ) {
        let acting = |rule: &str| {
            let rule = rule.to_uppercase();
            (!matches!(&*rule, "" | "NO ACTION" | "RESTRICT")).then_some(rule)
        };
        let (own, Some(to)) = column else { return };
        match self.referrers.last_mut() {
            Some(last) if last.name == name && last.table == table => last.columns.push((own, to)),
            _ => self.referrers.push(Referrer {
                name,
                table,
                columns: vec![(own, to)],
                on_delete: acting(acts[0]),
                on_update: acting(acts[1]),
            }),
        }
    }
}
