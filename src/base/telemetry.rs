//! The log: one line per event on standard output, and the same in a daily file. Set up once, by the binary.
//!
//! Both writers drop lines rather than hold up work when a disk or a pipe is stuck.

mod fields;

use std::io::IsTerminal;
use std::path::PathBuf;

use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Where and how is logged.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the daily file; `None`: standard output only.
    pub dir: Option<PathBuf>,
    /// The file is called `<name>.<date>.log`.
    pub name: String,
    /// Least severity written.
    pub level: Level,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Daily files kept.
    pub days: usize,
}

/// Keeps the writers alive; what is still in their queues is written when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Guards(#[expect(dead_code, reason = "held for its drop")] Vec<WorkerGuard>);

fn layer<W>(json: bool, ansi: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_target(false).with_ansi(ansi);
    if json { layer.json().flatten_event(true).boxed() } else { layer.fmt_fields(fields::Fields).boxed() }
}

/// Lines on their way. The library's own bound is 128 000, for which it sets 4 MiB aside.
fn queue() -> NonBlockingBuilder {
    NonBlockingBuilder::default().buffered_lines_limit(10_000)
}

/// Starts logging.
///
/// # Errors
/// If the folder cannot be made or written.
pub fn start(settings: &Settings) -> Result<Guards, std::io::Error> {
    let mut guards = Vec::new();
    let (out, guard) = queue().finish(std::io::stdout());
    guards.push(guard);
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut layers = vec![layer(settings.json, colours, out)];
    if let Some(dir) = &settings.dir {
        std::fs::create_dir_all(dir)?;
        let file = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(&settings.name)
            .filename_suffix("log")
            .max_log_files(settings.days.max(1))
            .build(dir)
            .map_err(std::io::Error::other)?;
        let (file, guard) = queue().finish(file);
        guards.push(guard);
        layers.push(layer(settings.json, false, file));
    }
    let filter = Targets::new().with_target("cupid", settings.level).with_default(Level::WARN);
    tracing_subscriber::registry().with(layers.with_filter(filter)).init();
    Ok(Guards(guards))
}
