//! From the words typed to the command that does them.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use super::args::{self, Args, Command, NotifyCommand};
use super::{
    audit, check, deliveries, demo, diff, exit, notify, queue, repair, resume, run, runs, signature, status,
    stop,
};
use crate::config::{self, Config, Loaded};

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
    // Whose code is an answer has given none when nobody listens any more.
    let answers = matches!(args.command, Some(Command::Diff(_) | Command::Audit(_) | Command::Repair(_)));
    let code = catch_unwind(AssertUnwindSafe(|| runtime.block_on(dispatch(args)))).unwrap_or_else(|panic| {
        match panic.downcast_ref::<String>().map(|words| (is_output(words), is_closed_pipe(words))) {
            Some((_, true)) if !answers => ExitCode::SUCCESS,
            Some((true, _)) => {
                // Nobody may be there to read this either.
                let _ = writeln!(
                    std::io::stderr(),
                    "interrupted: standard output cannot be written any more; the rest was not done"
                );
                ExitCode::from(exit::INTERRUPTED)
            }
            _ => ExitCode::from(exit::INTERNAL),
        }
    });
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
    if let Some(Command::Diff(asked)) = &args.command {
        return Box::pin(diff::diff(asked)).await;
    }
    if let Some(Command::Repair(asked)) = &args.command {
        return Box::pin(repair::repair(asked)).await;
    }
    if args.parent.is_some_and(|parent| !demo::end_with(parent)) {
        return ExitCode::SUCCESS;
    }
    if let (Some(Command::VerifySignature(received)), None) = (&args.command, &args.config) {
        return verify_signature(received, None);
    }
    let Some(path) = args.config.clone() else {
        return args::help();
    };
    let opens_nothing = matches!(
        args.command,
        Some(
            Command::Status { .. }
                | Command::Stop { .. }
                | Command::Queue { .. }
                | Command::Deliveries(_)
                | Command::Runs(_)
                | Command::Resume { .. }
        )
    );
    let loaded = match load(&path, opens_nothing) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match args.command {
        None => run::run(loaded, &args).await,
        Some(Command::Check { connect, samples }) => {
            check::check(&loaded, &path, connect.then_some(samples)).await
        }
        Some(Command::Audit(asked)) => Box::pin(audit::audit(&loaded.config, &asked)).await,
        Some(Command::Explain) => {
            print!("{}", config::explain(&loaded));
            ExitCode::SUCCESS
        }
        Some(Command::Status { json }) => status::status(&loaded.config, json).await,
        Some(Command::Queue { json }) => queue::queue(&loaded.config, &typed(&path), json).await,
        Some(Command::Deliveries(command)) => {
            deliveries::deliveries(&loaded.config, &typed(&path), command).await
        }
        Some(Command::Runs(command)) => runs::runs(&loaded.config, command).await,
        Some(Command::Stop { wait }) => stop::stop(&loaded.config, wait).await,
        Some(Command::Resume { task, destination }) => {
            resume::resume(&loaded.config, task.as_deref(), destination.as_deref()).await
        }
        Some(Command::VerifySignature(received)) => verify_signature(&received, Some(&loaded.config)),
        Some(Command::Notify(NotifyCommand::Test { channel })) => {
            notify::test(&loaded.config, channel.as_deref()).await
        }
        Some(Command::Schema | Command::Demo { .. } | Command::Diff(_) | Command::Repair(_)) => {
            ExitCode::SUCCESS
        }
    }
}

fn verify_signature(received: &signature::Received, config: Option<&Config>) -> ExitCode {
    match signature::keys(config) {
        Ok(keys) => signature::verify(received, &keys),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(exit::CONFIG)
        }
    }
}

/// Loads the configuration, or prints every problem in it. Whoever opens no place needs none of the secrets, which
/// may well be known to the daemon only.
fn load(path: &Path, opens_nothing: bool) -> Result<Loaded, ExitCode> {
    let load = if opens_nothing { config::load_names } else { config::load };
    load(path, &|name| std::env::var(name).ok()).map_err(|report| {
        eprint!("{}", report.render(colours()));
        ExitCode::from(exit::CONFIG)
    })
}

/// A path as it can be typed into a shell.
pub(super) fn typed(path: &Path) -> String {
    crate::base::shell::typed(&path.display().to_string())
}

pub(super) fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// The panic of `println!` when the other end of the pipe is gone, as in `cupid schema | head`: no bug of ours.
fn is_closed_pipe(words: &str) -> bool {
    is_output(words) && words.contains("Broken pipe")
}

/// Any trouble with what is printed, a full disk for instance.
fn is_output(words: &str) -> bool {
    words.starts_with("failed printing to stdout")
}

/// A bug is one line in the log, not a stack trace on the terminal.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref::<String>().is_some_and(|words| is_output(words)) {
            return;
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "internal error, please report it");
        } else {
            eprintln!("error: internal error at {place}, please report it");
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_typed_again() {
        for (path, shown) in [
            ("../etc/shop-1.json", "../etc/shop-1.json"),
            ("配置.json", "配置.json"),
            ("my shop.json", "'my shop.json'"),
            ("it's.json", r"'it'\''s.json'"),
        ] {
            assert_eq!(typed(Path::new(path)), shown);
        }
    }
}
