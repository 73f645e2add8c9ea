//! A table by URL: a DSN with one more parameter, `table`.

use std::path::Path;

use super::{DsnError, decode, parse};
use crate::config::Dsn;

/// A table at a place, as it is named on the command line.
#[derive(Clone, Debug)]
pub struct TableUrl {
    /// Where.
    pub dsn: Dsn,
    /// The table as written.
    pub table: String,
    /// Parts that have no effect here.
    pub notes: Vec<String>,
}

impl TableUrl {
    /// Reads `mysql://user:password@host/database?table=name`, or any other DSN with `table=name` behind a `?`; relative
    /// SQLite files are looked for in the current folder.
    ///
    /// # Errors
    /// What is wrong and what to write instead, without any part of the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = |e: DsnError| match e.help {
            Some(help) => format!("{}; {help}", e.message),
            None => e.message,
        };
        let (before, query) = text.rsplit_once('?').unwrap_or((text, ""));
        let is_table = |pair: &&str| pair.starts_with("table=");
        let Some(table) = query.split('&').find(is_table) else {
            return Err("the URL does not name a table; put it behind: …?table=user".to_owned());
        };
        let rest: Vec<&str> = query.split('&').filter(|pair| !is_table(pair)).collect();
        let rest = rest.join("&");
        let dsn = if rest.is_empty() { before.to_owned() } else { format!("{before}?{rest}") };
        let table = decode(&table["table=".len()..], true, "name of the table").map_err(words)?;
        if table.is_empty() {
            return Err("the URL names no table; put it behind: …?table=user".to_owned());
        }
        let parsed = parse(&dsn, Path::new("")).map_err(words)?;
        Ok(Self { dsn: parsed.dsn, table, notes: parsed.notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Engine;

    #[test]
    fn the_table_is_taken_out_wherever_it_stands() {
        for (url, engine, database, table) in [
            ("mysql://u:p@h/shop?table=user", Engine::MySql, "shop", "user"),
            (
                "postgres://u:p@h/crm?sslmode=disable&table=sales.user%20x",
                Engine::Postgres,
                "crm",
                "sales.user x",
            ),
            ("sqlite:/tmp/a.db?table=t", Engine::Sqlite, "/tmp/a.db", "t"),
            ("u:p@tcp(h:3306)/shop?table=user&parseTime=true", Engine::MySql, "shop", "user"),
        ] {
            let read = TableUrl::parse(url).unwrap();
            assert_eq!(
                (read.dsn.engine, &*read.dsn.database, &*read.table),
                (engine, database, table),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in
            ["mysql://u:hidden@h/shop", "mysql://u:hidden@h/?table=t", "oracle://u:hidden@h/x?table=t", ""]
        {
            let said = TableUrl::parse(url).unwrap_err();
            assert!(!said.contains("hidden"), "{said}");
        }
        assert!(TableUrl::parse("mysql://u:p@h/shop").unwrap_err().contains("?table=user"));
    }
}
