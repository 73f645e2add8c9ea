//! The daemon in the foreground: from the configuration to the exit code.

use std::process::ExitCode;

use tracing::{Level, error, info, warn};

use super::args::Args;
use super::exit;
use crate::app::{App, BuildError, Options};
use crate::base::chain::chain;
use crate::base::clock::Clock;
use crate::base::sdnotify;
use crate::base::signal::{Request, Requests};
use crate::base::telemetry::{self, Guards, Settings};
use crate::config::{self, Config, Loaded, LogFormat, LogLevel, Severity};
use crate::model::{Event, RowId, TaskName};
use crate::notify::{Alerts, Cause, What};
use crate::store::StoreErrorKind;
use crate::store::local::make_folder;

/// Runs until a signal, then drains.
pub(super) async fn run(loaded: Loaded, args: &Args) -> ExitCode {
    let mut config = loaded.config.clone();
    if args.dry_run {
        config.tasks.iter_mut().for_each(|task| task.callbacks = false);
    }
    if config.log.dir.as_ref().is_some_and(|dir| dir.starts_with(&config.state.dir)) {
        // The log would make it for everybody to read. What is wrong with it, the store says.
        let _ = make_folder(&config.state.dir);
    }
    let _guards = match log(&config) {
        Ok(guards) => guards,
        Err(code) => return code,
    };
    greet(&config, &loaded);
    let mut requests = match Requests::listen() {
        Ok(requests) => requests,
        Err(e) => {
            error!(error = %e, "signals cannot be received");
            return ExitCode::from(exit::INTERNAL);
        }
    };
    let path = config.path.clone();
    let mut reloads = Reloads::default();
    let given = super::dispatch::typed(args.config.as_deref().unwrap_or(&path));
    let options = Options {
        start_id: args.start_id.map(RowId),
        task: args.task.as_deref().map(TaskName::new),
        restart: args.restart.iter().map(|name| TaskName::new(name.as_str())).collect(),
        strict: args.strict,
    };
    let building = App::build(config, options, Clock::system());
    let app = tokio::select! {
        app = building => app,
        () = stop_requested(&mut requests, &path, &mut reloads) => {
            info!("stopped before it had started");
            return ExitCode::SUCCESS;
        }
    };
    let mut running = match app {
        Ok(app) => {
            reloads.tell_by(app.alerts());
            app.spawn()
        }
        Err(e) => return refuse(&e, &given),
    };
    let address = std::env::var("NOTIFY_SOCKET").ok();
    tell_systemd(address.as_deref(), "READY=1");
    info!("started");

    tokio::select! {
        () = running.watch() => {}
        () = stop_requested(&mut requests, &path, &mut reloads) => {}
    }
    info!("stopping");
    tell_systemd(address.as_deref(), "STOPPING=1");
    tokio::select! {
        clean = running.drain() => {
            info!(clean, "stopped");
            ExitCode::SUCCESS
        }
        () = stop_requested(&mut requests, &path, &mut reloads) => {
            warn!("stopped at once by a second signal, open calls come again");
            ExitCode::SUCCESS
        }
    }
}

/// What came of looking at the file again, which may be asked for before there is anybody to tell.
#[derive(Default)]
struct Reloads {
    refused: bool,
    alerts: Option<Alerts>,
}

impl Reloads {
    fn tell_by(&mut self, alerts: Alerts) {
        if self.refused {
            alerts.raise_process(&What::Reload);
        }
        self.alerts = Some(alerts);
    }

    fn looked(&mut self, is_valid: bool) {
        self.refused = !is_valid;
        match &self.alerts {
            Some(alerts) if is_valid => alerts.clear(Cause::process(Event::Reload)),
            Some(alerts) => alerts.raise_process(&What::Reload),
            None => {}
        }
    }
}

async fn stop_requested(requests: &mut Requests, path: &std::path::Path, reloads: &mut Reloads) {
    loop {
        match requests.next().await {
            Request::Stop => return,
            Request::Reload => reloads.looked(reload(path)),
        }
    }
}

/// Looks at the file again and says what a restart would meet; the running configuration stays. Returns whether it is
/// valid.
fn reload(path: &std::path::Path) -> bool {
    match config::load(path, &|name| std::env::var(name).ok()) {
        Ok(_) => {
            info!("the configuration file is valid, restart to use it");
            true
        }
        Err(report) => {
            for problem in report.problems() {
                error!(problem = %problem, "the configuration file has a problem, the running one stays");
            }
            false
        }
    }
}

fn tell_systemd(address: Option<&str>, message: &str) {
    if let Err(e) = sdnotify::notify(address, message) {
        warn!(error = %e, "systemd cannot be told");
    }
}

/// What the daily files of the log are called, before the date.
pub(super) fn log_name(config: &Config) -> String {
    format!("cupid-{}", config.name)
}

fn log(config: &Config) -> Result<Guards, ExitCode> {
    let settings = Settings {
        dir: config.log.dir.clone(),
        name: log_name(config),
        level: match config.log.level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        },
        json: config.log.format == LogFormat::Json,
        days: config.log.days,
    };
    telemetry::start(&settings).map_err(|e| {
        let dir = settings.dir.as_deref().unwrap_or_else(|| std::path::Path::new("."));
        eprintln!(
            "error: `logDir` {} cannot be written: {}\n  = help: give the user that runs cupid the right to write \
             there, name another folder, or leave `logDir` out to log to standard output only",
            dir.display(),
            chain(&e)
        );
        ExitCode::from(exit::CONFIG)
    })
}

fn greet(config: &Config, loaded: &Loaded) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        config = %config.path.display(),
        state = %config.state.database(&config.name).display(),
        chosen_by = config.state.origin,
        "cupid starts"
    );
    for note in config.state.note.iter().chain(&config.log.note) {
        info!(note, "a folder was chosen for you");
    }
    for problem in &loaded.warnings {
        match problem.severity {
            Severity::Error | Severity::Warning => warn!(problem = %problem, "remark on the configuration"),
            Severity::Note => info!(problem = %problem, "remark on the configuration"),
        }
    }
    for task in &config.tasks {
        let (insert, update) = (task.source.insert.is_some(), task.source.update.is_some());
        info!(task = %task.name, source = %task.source.dsn.place(), table = task.source.table, insert, update,
            destinations = task.destinations.len(), callbacks = task.callbacks, "task");
        if !insert {
            warn!(task = %task.name, "the insert feed is off: rows that were there before the start and are not \
                 written again are not looked at");
        }
        if !task.callbacks {
            warn!(task = %task.name, "nothing is sent: differences are found, kept and counted only");
        }
    }
}

/// Says why nothing runs, and what to type next; `given` is the file as typed.
fn refuse(e: &BuildError, given: &str) -> ExitCode {
    match e {
        BuildError::Places(problems) => {
            for (task, problem) in problems {
                error!(%task, error = %chain(problem), "the task cannot start");
            }
            let next = format!("cupid check -c {given} --connect");
            error!(next, "nothing was started, the next command looks at everything at once");
            ExitCode::from(exit::CONFIG)
        }
        BuildError::State(state) => {
            let next = (state.kind == StoreErrorKind::Locked).then(|| format!("cupid stop -c {given}"));
            error!(error = %chain(state), next, "the state cannot be used");
            let code = match state.kind {
                StoreErrorKind::Locked | StoreErrorKind::Corrupt | StoreErrorKind::Newer => exit::STATE,
                StoreErrorKind::Unwritable => exit::CONFIG,
                StoreErrorKind::Other => exit::INTERNAL,
            };
            ExitCode::from(code)
        }
        BuildError::Http(_) => {
            error!(error = %chain(e), "cupid cannot start");
            ExitCode::from(exit::INTERNAL)
        }
        BuildError::StartId(_) | BuildError::NoSuchTask(..) | BuildError::Notify(..) => {
            error!(error = %chain(e), "cupid cannot start");
            ExitCode::from(exit::CONFIG)
        }
    }
}
