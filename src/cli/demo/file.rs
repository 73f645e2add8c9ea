//! The configuration that the daemon of the demo runs with, written for people who go on from it.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::tables::{TABLES, Table};

/// Milliseconds between two looks.
const INTERVAL: u32 = 500;

/// Folder of the log, beside the file.
pub(super) const LOG: &str = "log";

/// The file; paths in it are relative to its folder.
pub(super) fn text(receiver: SocketAddr) -> String {
    let mut tasks = String::new();
    for table in &TABLES {
        task(&mut tasks, table, receiver);
    }
    format!(
        r#"// Written by `cupid demo`: the rows of the shop are true, and the copy has to agree with them.
// `cupid explain -c config.json` prints what every setting comes to, `cupid schema` all keys there are.
{{
  "name": "demo",
  "logDir": "{LOG}",

  "connections": {{
    "shop": {{ "dsn": "sqlite:shop.db" }},
    "copy": {{ "dsn": "sqlite:copy.db" }},
  }},

  // A callback that fails is made again after this time.
  "retry": {{ "delay": "1s" }},

  "tasks": {{
{tasks}  }},
}}
"#
    )
}

fn task(out: &mut String, table: &Table, receiver: SocketAddr) {
    let [(id, copy_id), columns @ .., (updated, _)] = table.columns;
    let mapped: Vec<String> =
        columns.iter().chain(&table.columns[4..]).map(|(s, c)| format!(r#""{s}": "{c}""#)).collect();
    write!(
        out,
        r#"    "{name}": {{
      "src": {{
        "use": "shop",
        "table": "{name}",
        "byColumn": "{id}",
        "insertIntervalMillisecond": {INTERVAL},
        "updateColumn": "{updated}",
        "updateIntervalMillisecond": {INTERVAL},
      }},
      "des": [{{
        "use": "copy",
        "table": "{copy}",
        "byColumn": "{copy_id}",
        "columns": {{ {mapped} }},
        // The receiver of the demo; it ends with the demo.
        "callbackNotification": {{ "url": "http://{receiver}/{name}" }},
      }}],
    }},
"#,
        name = table.name,
        copy = table.copy,
        mapped = mapped.join(", "),
    )
    .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn it_is_a_configuration_without_problems() {
        let text = text(([127, 0, 0, 1], 20_000).into());
        let loaded = crate::config::parse(&text, Path::new("/srv/demo/config.json"), &|_| None).unwrap();
        assert_eq!(loaded.render_warnings(false), "");
        let config = loaded.config;
        assert_eq!((config.name.as_str(), config.tasks.len()), ("demo", TABLES.len()));
        assert_eq!(config.state.database(&config.name), Path::new("/srv/demo/cupid-demo.db"));
        assert!(config.tasks.iter().all(|t| t.source.insert.is_some() && t.source.update.is_some()));
        assert!(
            config.tasks.iter().all(|t| t.destinations[0].copy.as_ref().unwrap().columns.len() == 4),
            "{:?}",
            config.tasks
        );
    }
}
