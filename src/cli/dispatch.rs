//! From the words typed to the command that does them.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use super::args::{self, Args, Command};
use super::{check, demo, exit, run, status, stop};
use crate::config::{self, Loaded};

/// The whole program.
pub fn main() -> ExitCode {
    let args = Args::parse();
    quiet_panics();
    // One TLS stack for databases, receivers and mail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: the runtime cannot start: {e}");
            return ExitCode::from(exit::INTERNAL);
        }
    };
    let code = runtime.block_on(dispatch(args));
    // A look-up that hangs in the resolver must not hold up the end.
    runtime.shutdown_background();
    code
}

async fn dispatch(args: Args) -> ExitCode {
    if let Some(Command::Schema) = args.command {
        println!("{:#}", config::schema());
        return ExitCode::SUCCESS;
    }
    if let Some(Command::Demo { length }) = args.command {
        return demo::demo(length).await;
    }
    if args.parent.is_some_and(|parent| !demo::end_with(parent)) {
        return ExitCode::SUCCESS;
    }
    let Some(path) = args.config.clone() else {
        return args::help();
    };
    let loaded = match load(&path) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match args.command {
        None => run::run(loaded, &args).await,
        Some(Command::Check { connect, samples }) => check::check(&loaded, connect.then_some(samples)).await,
        Some(Command::Explain) => {
            print!("{}", config::explain(&loaded));
            ExitCode::SUCCESS
        }
        Some(Command::Status { json }) => status::status(&loaded.config, json).await,
        Some(Command::Stop { wait }) => stop::stop(&loaded.config, wait).await,
        Some(Command::Schema | Command::Demo { .. }) => ExitCode::SUCCESS,
    }
}

/// Loads the configuration, or prints every problem in it.
fn load(path: &Path) -> Result<Loaded, ExitCode> {
    config::load(path, &|name| std::env::var(name).ok()).map_err(|report| {
        eprint!("{}", report.render(colours()));
        ExitCode::from(exit::CONFIG)
    })
}

pub(super) fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A bug is one line in the log, not a stack trace on the terminal.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "internal error, please report it");
        } else {
            eprintln!("error: internal error at {place}, please report it");
        }
    }));
}
