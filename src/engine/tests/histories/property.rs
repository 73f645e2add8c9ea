//! The property itself: seeds, histories, and what is asked of each.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::clockwork::millis;
use super::process::Process;
use super::state::Durable;
use super::world::{Plan, SETTLE, World};
use crate::config::{Config, parse};
use crate::deliver::Call;
use crate::destination::Destination;
use crate::engine::places::Stage;
use crate::source::dice::Dice;
use crate::source::sim_source::SimSource;
use crate::store::Store;

/// Within this every difference is found, confirmed and called, once nothing happens any more: transactions that are
/// not shown settle, set clocks catch up, what is learned of lag ends at `lag`.
const SILENCE: Duration = Duration::from_secs(100);
/// Within this everything is healed once receivers heal: what was acknowledged in vain waits for ten minutes at most.
const HEALING: Duration = Duration::from_secs(700);
/// The same where the clock was set far back: what was due waits as much longer, an hour at most.
const HEALING_LATE: Duration = Duration::from_secs(4500);

/// Seeds that are run if nobody says how many.
const HISTORIES: u64 = 60;

fn config(plan: &Plan) -> Config {
    let des = (0..plan.copies).map(|i| {
        let mut callback = serde_json::json!({ "url": format!("127.0.0.1:9/{i}") });
        if let Some(batch) = plan.batch {
            callback["batch"] = batch.into();
        }
        serde_json::json!({
            "name": format!("copy{i}"), "dsn": "sqlite:/played.db", "table": format!("copy{i}"), "byColumn": "id",
            "columns": { "a": "a", "b": "b" }, "callbackNotification": callback,
        })
    });
    let text = serde_json::json!({
        "src": {
            "dsn": "sqlite:/played.db", "table": "source", "byColumn": "id", "updateColumn": "time",
            "insert": plan.insert, "insertIntervalMillisecond": plan.interval,
            "update": plan.update, "updateIntervalMillisecond": plan.interval, "updateScanSecond": 5,
        },
        "des": des.collect::<Vec<_>>(),
        "confirm": format!("{}ms", plan.confirm), "lag": "10s", "hot": "20s", "verify": "5s",
        "sweep": plan.sweep.map_or(serde_json::json!(false), |s| serde_json::json!(format!("{s}s"))),
        "retry": { "delay": "1s", "tries": 2, "then": "every 15s" },
        "breaker": if plan.breaker { serde_json::json!({ "pause": "5s", "max": "40s" }) } else { false.into() },
    });
    match parse(&text.to_string(), Path::new("/played.json"), &|_| None) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{}", report.render(false)),
    }
}

/// One history: a world, and a process that comes and goes.
struct History {
    seed: u64,
    plan: Plan,
    config: Config,
    world: World,
    process: Option<Process>,
    /// When a process that has died is started again.
    back: Duration,
    pace: Duration,
    state: PathBuf,
    runtime: Runtime,
}

impl History {
    fn new(seed: u64, folder: &Path, runtime: Runtime) -> Self {
        let plan = Plan::new(&mut Dice(seed));
        let (config, world) = (config(&plan), World::new(seed, &plan));
        let state = folder.join(format!("{seed}.db"));
        let (back, pace) = (Duration::ZERO, Duration::ZERO);
        Self { seed, plan, config, world, process: None, back, pace, state, runtime }
    }

    fn start(&mut self) -> Process {
        let (clockwork, ledger) = (self.world.clockwork.clone(), self.world.ledger_arc());
        let store: Arc<dyn Store> = Arc::new(Durable::open(
            &self.state,
            self.runtime.handle().clone(),
            clockwork.clone(),
            ledger.clone(),
        ));
        let mut source = SimSource::new(self.world.sim.clone(), SETTLE, self.plan.memory);
        let of_source = clockwork.clone();
        source.read = Box::new(move |row| {
            let cell = |i: usize| i64::try_from(row.values[i].as_int().unwrap()).unwrap();
            ledger.lock().unwrap().fetched(of_source.now(), row.id.0, Some([cell(1), cell(2)]));
        });
        let destinations =
            self.world.copies.iter().map(|copy| copy.clone() as Arc<dyn Destination>).collect();
        let stage = Stage { source: Arc::new(source), destinations };
        let receivers = self.world.receivers.iter().map(|receiver| receiver.clone() as Arc<dyn Call>);
        Process::start(self.seed, &self.config, &clockwork, store, stage, receivers.collect())
    }

    /// Goes on for so long, or until a promise is broken.
    fn go_on(&mut self, time: Duration) {
        let end = self.world.clockwork.now() + time;
        loop {
            self.world.step();
            let now = self.world.clockwork.now();
            if self.process.is_none() && self.back <= now {
                self.process = Some(self.start());
            }
            self.world.set_clock();
            if let Some(process) = &mut self.process {
                process.pace = self.pace;
                while process.turn() {}
            }
            if self.world.clockwork.take_crash() {
                self.process = None;
                let away = millis(self.world.draw(&[0, 100, 100, 3000, 40_000]));
                self.back = now + away;
                self.world.ledger().note(now, None, format!("the process dies, and is away for {away:?}"));
            }
            if now >= end || self.world.ledger().broken.is_some() {
                return;
            }
            let back = self.process.is_none().then_some(self.back);
            let process = self.process.as_ref().and_then(Process::next);
            let next = [self.world.next(), process, back].into_iter().flatten().min().unwrap_or(end);
            self.world.pass(next.clamp(now + millis(1), end.max(now + millis(1))));
        }
    }

    fn run(&mut self) {
        let chaos = self.world.draw(&[8_000, 20_000, 40_000]);
        self.go_on(millis(chaos));
        self.world.quiet();
        self.pace = Duration::from_secs(2);
        self.go_on(SILENCE);
        // While a receiver fails as a whole, what waits for it is not called.
        if !self.world.set_far && !self.plan.breaker {
            self.world.ledger().judge_silence(self.plan.copies);
        }
        self.world.all_heal();
        self.pace = Duration::from_secs(60);
        self.go_on(if self.world.set_far { HEALING_LATE } else { HEALING });
        self.world.ledger().judge_end(self.plan.copies);
        self.check();
    }

    fn check(&self) {
        let broken = self.world.ledger().broken.clone();
        let Some((row, why)) = broken else { return };
        let all = number("CUPID_SEED").is_some() && std::env::var_os("CUPID_ALL").is_some();
        let trace = self.world.ledger().trace(row.filter(|_| !all));
        println!("{trace}\n{:#?}", self.plan);
        panic!("{why}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Where states lie: in memory, if the machine has such a place, for no power fails here.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = root.join(format!("cupid-histories-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn every_row_that_stays_different_is_reported_and_none_that_is_equal() {
    let seeds = match number("CUPID_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CUPID_HISTORIES").unwrap_or(HISTORIES),
    };
    let folder = folder();
    let (next, sums) = (AtomicU64::new(seeds.start), Mutex::new([0; 4]));
    // The disk's threads work for one history while another one thinks.
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let sum = catch_unwind(AssertUnwindSafe(|| history(seed, &folder)));
            let sum = sum.unwrap_or_else(|panic| {
                // One is enough.
                next.store(seeds.end, Ordering::Relaxed);
                resume_unwind(panic)
            });
            sums.lock().unwrap().iter_mut().zip(sum).for_each(|(all, one)| *all += one);
        }
    };
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let _ = std::fs::remove_dir_all(&folder);
    let [histories, rows, calls, accepted] = *sums.lock().unwrap();
    println!("{histories} histories, {rows} rows, {calls} calls, {accepted} of them acknowledged");
    if let Some(Err(panic)) = results.into_iter().find(Result::is_err) {
        resume_unwind(panic);
    }
}

/// Runs one; returns what it has seen.
fn history(seed: u64, folder: &Path) -> [usize; 4] {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    let _here = handle.enter();
    let mut history = History::new(seed, folder, runtime);
    let outcome = catch_unwind(AssertUnwindSafe(|| history.run()));
    if let Err(panic) = outcome {
        println!("seed {seed}: CUPID_SEED={seed} cargo test --lib stays_different -- --nocapture");
        resume_unwind(panic);
    }
    let ledger = history.world.ledger();
    let accepted = ledger.calls.iter().filter(|call| call.accepted.is_some()).count();
    [1, ledger.rows().len(), ledger.calls.len(), accepted]
}
