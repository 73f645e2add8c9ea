//! What is spelt differently per engine: quoted names and placeholders.

use std::fmt::Write as _;

use crate::config::Engine;

/// A name (column, table, schema) quoted so that any spelling is safe: `order`, `a.b`, Chinese, quotes.
pub(crate) fn quote(engine: Engine, name: &str) -> String {
    let mark = match engine {
        // SQLite takes a name in double quotes that it does not know for a text.
        Engine::MySql | Engine::Sqlite => '`',
        Engine::Postgres => '"',
    };
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push(mark);
    for c in name.chars() {
        if c == mark {
            quoted.push(mark);
        }
        quoted.push(c);
    }
    quoted.push(mark);
    quoted
}

/// Numbers the placeholders of one statement.
#[derive(Debug)]
pub(crate) struct Placeholders {
    engine: Engine,
    used: usize,
}

impl Placeholders {
    /// Starts with the first.
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, used: 0 }
    }

    /// Writes the next placeholder.
    pub(crate) fn next(&mut self, sql: &mut String) {
        self.used += 1;
        match self.engine {
            Engine::Postgres => write!(sql, "${}", self.used).expect("writing to a String cannot fail"),
            Engine::MySql | Engine::Sqlite => sql.push('?'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(quote(Engine::MySql, "order"), "`order`");
        assert_eq!(quote(Engine::MySql, "a`b\"c"), "`a``b\"c`");
        assert_eq!(quote(Engine::Postgres, "a`b\"c"), "\"a`b\"\"c\"");
        assert_eq!(quote(Engine::Sqlite, "用户"), "`用户`");
    }
}
