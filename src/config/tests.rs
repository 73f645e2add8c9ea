use std::path::Path;
use std::time::Duration;

use super::*;

fn no_env(_: &str) -> Option<String> {
    None
}

#[test]
fn the_example_is_the_legacy_file() {
    let loaded =
        parse(include_str!("../../config.example.json"), Path::new("/etc/cupid/config.json"), &no_env)
            .unwrap_or_else(|report| panic!("{report}"));
    let config = &loaded.config;
    assert_eq!(config.tasks.len(), 1);
    let task = &config.tasks[0];
    assert_eq!(task.name.as_str(), "main");
    assert_eq!(task.source.dsn.place(), "mysql 127.0.0.1:3306/db");
    assert_eq!(task.source.insert, Some(Duration::from_secs(2)));
    let update = task.source.update.as_ref().unwrap();
    assert_eq!((update.column.as_str(), update.window), ("update_time", Duration::from_secs(5)));
    let destination = &task.destinations[0];
    assert_eq!(destination.name.as_str(), "db2.user");
    assert_eq!(destination.callback.url.as_str(), "http://127.0.0.1:20000/test/callback");
    println!("{}\n{}", explain(&loaded), loaded.render_warnings(false));
}
