//! `cupid check`: every problem of the file, and of the places.

use std::process::ExitCode;

use crate::config::Loaded;

/// Prints it.
pub(super) async fn check(loaded: &Loaded, _connect: bool, _samples: usize) -> ExitCode {
    print!("{}", loaded.render_warnings(super::dispatch::colours()));
    println!("{}: no problems in the file", loaded.config.path.display());
    ExitCode::SUCCESS
}
