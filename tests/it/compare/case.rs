//! How a case is written down, and how it becomes SQL.

use cupid::config::Engine;

use crate::support::db::Db;

/// A column type in the words of each engine; [`NONE`] where an engine has nothing like it.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub mysql: &'static str,
    pub postgres: &'static str,
    pub sqlite: &'static str,
}

/// The engine has no such type: its pairs leave the case out.
pub const NONE: &str = "-";

pub const fn ty(mysql: &'static str, postgres: &'static str, sqlite: &'static str) -> Type {
    Type { mysql, postgres, sqlite }
}

impl Type {
    /// The type on an engine, if it has it.
    pub fn on(self, engine: Engine) -> Option<&'static str> {
        let name = match engine {
            Engine::MySql => self.mysql,
            Engine::Postgres => self.postgres,
            Engine::Sqlite => self.sqlite,
        };
        (name != NONE).then_some(name)
    }
}

/// A value as it is inserted.
#[derive(Clone, Copy, Debug)]
pub enum Lit {
    /// NULL.
    Null,
    /// What the table makes of it: the column is not named.
    Own,
    /// Bare: a number, a keyword, an expression.
    N(&'static str),
    /// A text in quotes.
    T(&'static str),
    /// Bytes, in hexadecimal digits.
    B(&'static str),
    /// An expression for each engine.
    E(&'static str, &'static str, &'static str),
}

impl Lit {
    pub fn sql(self, db: &Db) -> String {
        match (self, db.engine) {
            (Self::Null | Self::Own, _) => "NULL".to_owned(),
            (Self::N(bare), _) => bare.to_owned(),
            (Self::T(text), _) => db.literal(Some(text)),
            (Self::B(hex), Engine::Postgres) => format!("'\\x{hex}'"),
            (Self::B(hex), _) => format!("x'{hex}'"),
            (Self::E(mysql, ..), Engine::MySql) => mysql.to_owned(),
            (Self::E(_, postgres, _), Engine::Postgres) => postgres.to_owned(),
            (Self::E(_, _, sqlite), Engine::Sqlite) => sqlite.to_owned(),
        }
    }
}

/// What is expected of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    Same,
    Differs,
}

/// Two columns, and values of both with the verdict they must get. Every group runs in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// What the group is about.
    pub about: &'static str,
    pub source: Type,
    pub copy: Type,
    /// Members of the column's entry in `columns`, as JSON; empty: none.
    pub policy: &'static str,
    pub rows: &'static [(Lit, Lit, Is)],
}

pub const fn group(about: &'static str, source: Type, copy: Type, rows: &'static [(Lit, Lit, Is)]) -> Group {
    Group { about, source, copy, policy: "", rows }
}

/// What is expected of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Same,
    Differs,
    Missing,
    Ambiguous(usize),
    NotComparable,
}

/// Two key columns: keys of the source, each with the keys of the copy's rows that may be meant, and the verdict.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// What the keys are about.
    pub about: &'static str,
    pub source: Type,
    pub copy: Type,
    pub rows: &'static [(Lit, &'static [Lit], Found)],
}

pub const fn keys(
    about: &'static str,
    source: Type,
    copy: Type,
    rows: &'static [(Lit, &'static [Lit], Found)],
) -> Keys {
    Keys { about, source, copy, rows }
}
