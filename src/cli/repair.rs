//! `cupid repair`: carries out a plan, or takes one back.

mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit;
use super::when::now;
use crate::base::chain::chain;
use crate::base::signal::Requests;
use crate::config::TableUrl;
use crate::repair::{Caps, Failure, File, Options, Report, Stop, apply};
use show::Show;

/// A plan and where it is carried out.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The plan of cupid diff --plan, or the undo file of a repair
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The copy: URL of its database, with the table, as for cupid diff
    #[arg(value_name = "COPY")]
    copy: String,
    /// Look at everything and count, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Also delete the rows that only the copy has
    #[arg(long)]
    delete: bool,
    /// Write although triggers of the copy are set off by it
    #[arg(long)]
    allow_triggers: bool,
    /// Refuse to begin if more rows would be written
    #[arg(long, value_name = "N", default_value_t = Caps::default().rows)]
    max_rows: u64,
    /// Refuse to begin if more than this share of the copy's rows would be written; plans of up to 100 rows may
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    max_ratio: f64,
    /// Where the way back is written; FILE with .undo.sql without it
    #[arg(long, value_name = "FILE")]
    undo: Option<PathBuf>,
    /// One JSON object per row that was not written, the last one with the counts
    #[arg(long)]
    json: bool,
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let (digits, whole) = text.strip_suffix('%').map_or((text, 1.0), |digits| (digits, 100.0));
    let share = digits.trim().parse::<f64>().ok().map(|share| share / whole);
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a share of the copy's rows, such as 5% or 0.05, at most 100%".to_owned())
}

/// Repairs, and tells.
pub(super) async fn repair(asked: &Asked) -> ExitCode {
    let mut file = match File::open(&asked.file) {
        Ok(file) => file,
        Err(e) => return failed(chain(&e), exit::CONFIG),
    };
    let copy = match TableUrl::parse(&asked.copy) {
        Ok(copy) => copy,
        Err(problem) => return failed(format!("COPY: {problem}"), exit::CONFIG),
    };
    for note in &copy.notes {
        eprintln!("note: {note}");
    }
    let Ok(mut requests) = Requests::listen() else {
        return failed("signals cannot be received", exit::INTERNAL);
    };
    let options = Options {
        dry_run: asked.dry_run,
        delete: asked.delete,
        triggers: asked.allow_triggers,
        caps: Caps { rows: asked.max_rows, ratio: asked.max_ratio },
        undo: asked.undo.clone().unwrap_or_else(|| way_back(&asked.file)),
        made: now(),
    };
    let (stop, mut show) = (Stop::default(), Show::new(asked.json, asked.dry_run, file.is_undo()));
    let result = {
        let mut tell = |event| show.event(event);
        let work = apply(&mut file, (&copy.dsn, &copy.table), &options, &stop, &mut tell);
        let mut work = std::pin::pin!(work);
        // The first signal ends it behind the transaction that it is in, the second one at once.
        tokio::select! {
            result = &mut work => Some(result),
            _ = requests.next() => {
                stop.ask();
                tokio::select! {
                    result = &mut work => Some(result),
                    _ = requests.next() => None,
                }
            }
        }
    };
    match result {
        Some(Ok(report)) => {
            show.end(&report);
            ExitCode::from(code(&report))
        }
        Some(Err(e)) => {
            show.clear();
            let code = match &e {
                Failure::Place(e) if !e.kind.is_passing() && show.nothing_done() => exit::CONFIG,
                Failure::File(_) if show.nothing_done() => exit::CONFIG,
                Failure::Place(_) | Failure::File(_) => exit::UNVERIFIED,
                Failure::Unfit(_) => exit::CONFIG,
            };
            if code == exit::UNVERIFIED {
                eprintln!("not everything was repaired; what is written is in {}", options.undo.display());
            }
            failed(chain(&e), code)
        }
        None => {
            show.clear();
            eprintln!(
                "interrupted: the last transaction may not have been carried out; what is written is in {}",
                options.undo.display()
            );
            ExitCode::from(exit::INTERRUPTED)
        }
    }
}

fn failed(message: impl std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(code)
}

fn code(report: &Report) -> u8 {
    if report.stopped {
        exit::INTERRUPTED
    } else if report.tally.open() > 0 {
        exit::DIFFERENCES
    } else {
        0
    }
}

/// `plan.sql` is taken back by `plan.undo.sql`.
fn way_back(file: &Path) -> PathBuf {
    file.with_extension("undo.sql")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        for (text, wanted) in
            [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0", 0.0), (" 7 %", 0.07)]
        {
            assert_eq!(share(text), Ok(wanted), "{text}");
        }
        for text in ["", "%", "101%", "5", "-1%", "nan", "a"] {
            assert!(share(text).unwrap_err().contains("5%"), "{text}");
        }
    }

    #[test]
    fn the_way_back_stands_beside_the_plan() {
        assert_eq!(way_back(Path::new("/a/plan.sql")), Path::new("/a/plan.undo.sql"));
        assert_eq!(way_back(Path::new("plan.undo.sql")), Path::new("plan.undo.undo.sql"));
    }
}
