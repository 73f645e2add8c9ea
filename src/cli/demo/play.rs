//! The whole play: sets the stage, lets everybody act, waits until all agree, and tells what happened.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::daemon::{Daemon, Said};
use super::dice::Dice;
use super::ledger::Ledger;
use super::picture::{Screen, View};
use super::receiver::Receiver;
use super::shop::Shop;
use super::tables::Databases;
use super::{copier, file, summary};
use crate::base::clock::Clock;
use crate::base::signal::Requests;
use crate::cli::exit;
use crate::config;

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(200);
/// How long the end waits for every row to agree.
const LAST_WAIT: Duration = Duration::from_secs(20);
/// Where chance begins. With this number even a short demo drops, spoils and refuses about as much as it says.
const SEED: u64 = 73;

/// Runs for `length`, or until it is interrupted.
pub(in crate::cli) async fn demo(length: Option<Duration>) -> ExitCode {
    match play(length).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(exit::DIFFERENCES),
        // Whoever watched has left, as in `cupid demo | head`: the end, and no fault.
        Err(e) if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("error: the demo cannot go on: {e:#}");
            ExitCode::from(exit::INTERNAL)
        }
    }
}

/// What everybody shares.
struct Stage {
    config: PathBuf,
    databases: Arc<Databases>,
    ledger: Arc<Ledger>,
    daemon: Daemon,
    screen: Screen,
    last: Said,
}

/// Whether every row agreed in the end.
async fn play(length: Option<Duration>) -> Result<bool> {
    let mut requests = Requests::listen()?;
    let mut screen = Screen::new();
    screen.intro(length)?;
    let folder = folder()?;
    let databases = Arc::new(Databases::create(&folder).await.context("the databases cannot be made")?);
    let mut shop = Shop::new(Clock::system(), SEED);
    shop.fill(&databases).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let config = folder.join("config.json");
    std::fs::write(&config, file::text(listener.local_addr()?))?;
    let loaded =
        config::load(&config, &|_| None).map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let state = loaded.config.state.database(&loaded.config.name);

    let ledger = Arc::new(Ledger::default());
    let receiver = Receiver::new(databases.clone(), ledger.clone(), Dice::new(SEED + 1)).run(listener);
    let daemon = tokio::select! {
        daemon = Daemon::start(&config, &state) => daemon?,
        _ = requests.next() => {
            screen.say("stopped before it had begun")?;
            return Ok(true);
        }
    };
    let (stop, (changes, copied)) = (CancellationToken::new(), mpsc::unbounded_channel());
    let writer = shop.run(databases.clone(), ledger.clone(), changes, stop.clone());
    let copier = copier::run(databases.clone(), ledger.clone(), copied, Dice::new(SEED + 2));
    let work = async {
        tokio::try_join!(writer, copier)?;
        // Both are done after the stop; the show goes on until all agree.
        std::future::pending::<Result<()>>().await
    };
    let mut stage = Stage { config, databases, ledger, daemon, screen, last: Said::default() };
    let view = tokio::select! {
        view = stage.show(length, &mut requests, stop) => view?,
        failed = work => return failed.map(|()| false),
        failed = receiver => return failed.map(|()| false),
    };
    stage.end(view).await
}

impl Stage {
    /// Draws until the end has come and all agree, or nobody wants to wait any longer.
    async fn show(
        &mut self,
        length: Option<Duration>,
        requests: &mut Requests,
        stop: CancellationToken,
    ) -> Result<View> {
        let began = Instant::now();
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopped: Option<Instant> = None;
        loop {
            let interrupted = tokio::select! {
                biased;
                _ = requests.next() => true,
                _ = frames.tick() => false,
            };
            let over = length.is_some_and(|length| began.elapsed() >= length);
            // A second Ctrl-C does not wait.
            let impatient = interrupted && stopped.is_some();
            if stopped.is_none() && (interrupted || over) {
                stopped = Some(Instant::now());
                stop.cancel();
            }
            self.daemon.must_run()?;
            let quiet = self.ledger.is_quiet();
            let view = self.view(began.elapsed(), stopped.is_some()).await?;
            self.screen.draw(&view)?;
            let done = quiet && view.agreement.is_full() && view.said.open == 0;
            if stopped.is_some_and(|at| done || impatient || at.elapsed() >= LAST_WAIT) {
                return Ok(view);
            }
        }
    }

    async fn view(&mut self, elapsed: Duration, ending: bool) -> Result<View> {
        // A daemon too busy to answer keeps its last numbers.
        self.last = self.daemon.said().await.unwrap_or(self.last);
        Ok(View {
            elapsed,
            ending,
            agreement: self.databases.agreement().await?,
            counts: self.ledger.counts(),
            said: self.last,
            stories: self.ledger.stories(),
        })
    }

    /// Stops the daemon, counts once more, and tells.
    async fn end(mut self, mut view: View) -> Result<bool> {
        let clean = self.daemon.stop().await?;
        view.agreement = self.databases.agreement().await?;
        self.databases.close().await;
        let paint = self.screen.paint;
        self.screen.say(&summary::result(&view, &self.ledger, paint))?;
        self.screen.say(&summary::way_on(&self.config, paint))?;
        anyhow::ensure!(clean, "cupid did not end well; see its log");
        Ok(view.agreement.is_full())
    }
}

/// A new folder below the system's temporary folder, for this user only.
fn folder() -> Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let below = std::env::temp_dir();
    let below = std::path::absolute(&below).unwrap_or(below);
    let mut number = 0;
    loop {
        let word = if number == 0 { String::new() } else { format!("-{number}") };
        let folder = below.join(format!("cupid-demo-{}{word}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(e) => return Err(e).with_context(|| unwritable(&below)),
        }
    }
}

fn unwritable(below: &Path) -> String {
    format!("no folder can be made in {}; set TMPDIR to one that can be written", below.display())
}
