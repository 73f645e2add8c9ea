//! `cupid notify test`: does a message arrive?

use std::process::ExitCode;

use futures_util::future::join_all;

use super::exit;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::Line;
use crate::notify::Writer;

/// Sends a test message to each channel, or to the one named, and says what was answered.
pub(super) async fn test(config: &Config, channel: Option<&str>) -> ExitCode {
    let lines = match Line::all(config) {
        Ok(lines) => lines,
        Err((name, e)) => {
            eprintln!("error: the channel `{name}` cannot be used: {e}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let names: Vec<&str> = lines.iter().map(Line::name).collect();
    let meant: Vec<&Line> =
        lines.iter().filter(|line| channel.is_none_or(|name| name == line.name())).collect();
    if meant.is_empty() {
        match channel {
            Some(name) if !names.is_empty() => {
                eprintln!("error: there is no channel `{name}`; there are: {}", names.join(", "));
            }
            _ => eprintln!("error: the configuration has no channel; add one to `notify`"),
        }
        return ExitCode::from(exit::CONFIG);
    }
    let writer = Writer::new(&config.path, &config.name, Clock::system());
    let results = join_all(meant.iter().map(|line| line.test(&writer))).await;
    let mut failed = false;
    for (line, result) in meant.iter().zip(results) {
        let (word, said) = match result {
            Ok(said) => ("ok", said),
            Err(e) => {
                failed = true;
                ("failed", e.to_string())
            }
        };
        println!("{word:<6} {} ({}): {said}", line.name(), line.kind());
    }
    if failed { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS }
}
