//! The daemon, put together as `app` does it, and its loops in virtual time. What the loops do is the engine's; here is
//! only when they do it.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::clockwork::{Clockwork, millis};
use crate::base::clock::{Clock, ClockSteps, UnixMs};
use crate::config::{CallbackConfig, Config};
use crate::deliver::Call;
use crate::engine::callback::Callback;
use crate::engine::lane::{Lane, Parcel, Refill};
use crate::engine::manager::Manager;
use crate::engine::places::{Places, Stage};
use crate::engine::receiver::Admitted;
use crate::engine::scanner::Scanner;
use crate::engine::watcher::{Kept, Watcher};
use crate::engine::{Janitor, Longest, Outcome, StatusBoard, Stop, Ticket};
use crate::notify::Alerts;
use crate::scan::Begin;
use crate::source::dice::Dice;
use crate::store::Store;

/// Reads at the same time.
const SCANNERS: usize = 2;
/// Calls at the same time, to one receiver.
const CALLS: usize = 4;
const JANITOR: Duration = Duration::from_secs(30);
const KEEP: Duration = Duration::from_secs(5);

type Inbox = Arc<Mutex<VecDeque<Outcome>>>;
type Task = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What has ended.
enum Done {
    Managed(Box<Manager>),
    Read,
    /// What is kept of the wait.
    Recalled(usize, Kept),
    Watched(usize, Duration, Kept),
    Refilled(usize, Refill),
    Called(usize),
    GivenBack,
    Swept(ClockSteps, UnixMs),
}

/// When a loop goes round again, if it is not on its way.
#[derive(Default)]
struct Beat {
    due: Duration,
    busy: bool,
}

impl Beat {
    fn is_due(&self, now: Duration, woken: bool) -> bool {
        !self.busy && (woken || self.due <= now)
    }

    fn next(&self) -> Option<Duration> {
        (!self.busy).then_some(self.due)
    }
}

/// The two loops of one copy.
struct Loops {
    watcher: Watcher,
    watch: Beat,
    steps: ClockSteps,
    since: UnixMs,
    /// What is kept of the wait; `None`: nothing was recalled yet.
    kept: Option<Kept>,
    kept_at: Duration,
    lane: Lane,
    refill: Beat,
    ready: VecDeque<(Duration, Parcel)>,
    /// When it may be let in.
    turn: Duration,
    calls: usize,
}

/// See the module's documentation.
pub(super) struct Process {
    clock: Clock,
    dice: Dice,
    tasks: Vec<Task>,
    manager: Option<Box<Manager>>,
    manage: Duration,
    /// Least pause between two looks of the manager, and what else happens all the time: for when nothing does.
    pub(super) pace: Duration,
    tickets: mpsc::Receiver<Ticket>,
    inbox: Inbox,
    scanner: Arc<Scanner>,
    reading: usize,
    loops: Vec<Loops>,
    janitor: Janitor,
    sweep: Beat,
    swept: Option<(ClockSteps, Option<UnixMs>)>,
    stop: Stop,
}

impl Process {
    pub(super) fn start(
        seed: u64,
        config: &Config,
        clockwork: &Clockwork,
        store: Arc<dyn Store>,
        stage: Stage,
        receivers: Vec<Arc<dyn Call>>,
    ) -> Self {
        let clock = clockwork.clock.clone();
        let cursors = store.cursors().now_or_never().expect("reading takes no time").unwrap();
        let places = Arc::new(Places::staged(config, &cursors, vec![stage]));
        let alerts = Alerts::default();
        let status = StatusBoard::new(clock.clone());
        let mut receivers = receivers.into_iter();
        let next = |_: &CallbackConfig| Ok::<_, Infallible>(receivers.next().expect("one for each copy"));
        let Ok(callback) = Callback::with(&store, &places, &clock, &alerts, &status, next);
        let begins = config.tasks.iter().map(|task| (task.name.clone(), Begin::Resume(None)));
        let begins = Arc::new(tokio::sync::Mutex::new(begins.collect::<HashMap<_, _>>()));
        let (give, tickets) = mpsc::channel(SCANNERS);
        let (outcomes, none) = mpsc::channel(1);
        let none = Arc::new(tokio::sync::Mutex::new(none));
        let mut manager = Box::new(Manager::new(
            store.clone(),
            places.clone(),
            clock.clone(),
            begins,
            give,
            none,
            &callback,
            status.clone(),
        ));
        let (_, no_tickets) = mpsc::channel(1);
        let no_tickets = Arc::new(tokio::sync::Mutex::new(no_tickets));
        let scanner = Arc::new(Scanner::new(places, no_tickets, outcomes, clock.clone(), store.clone()));
        let loops = callback.watchers.into_iter().zip(callback.lanes).map(|(watcher, lane)| Loops {
            watcher,
            watch: Beat::default(),
            steps: ClockSteps::new(&clock),
            since: UnixMs::MIN,
            kept: None,
            kept_at: clock.elapsed(),
            lane,
            refill: Beat::default(),
            ready: VecDeque::new(),
            turn: Duration::ZERO,
            calls: 0,
        });
        let loading: Task = Box::pin(async move {
            manager.load().await.unwrap();
            Done::Managed(manager)
        });
        let longest = Longest::of(config.tasks.iter().flat_map(|task| &task.destinations));
        let keep = Duration::from_secs(30 * 86_400);
        Self {
            dice: Dice(seed ^ 0xd1e ^ crate::base::clock::ms(clock.elapsed()).unsigned_abs()),
            tasks: vec![loading],
            manager: None,
            manage: Duration::ZERO,
            pace: Duration::ZERO,
            tickets,
            inbox: Inbox::default(),
            scanner,
            reading: 0,
            loops: loops.collect(),
            janitor: Janitor::new(store, clock.clone(), keep, longest, status),
            sweep: Beat::default(),
            swept: Some((ClockSteps::new(&clock), None)),
            stop: Stop::default(),
            clock,
        }
    }

    /// Does what can be done now; returns whether that was anything.
    pub(super) fn turn(&mut self) -> bool {
        let now = self.clock.elapsed();
        let before = self.tasks.len();
        self.manage(now);
        for at in 0..self.loops.len() {
            self.watch(at, now);
            self.call(at, now);
        }
        self.sweep(now);
        let begun = self.tasks.len() > before;
        self.poll() || begun
    }

    /// When something is due, as far as that is not known to the clockwork.
    pub(super) fn next(&self) -> Option<Duration> {
        let loops = self.loops.iter().flat_map(|l| {
            let refill = l.refill.next().filter(|_| l.ready.is_empty() && l.calls < CALLS);
            let turn = (!l.ready.is_empty() && l.calls < CALLS).then_some(l.turn);
            [l.watch.next(), refill, turn]
        });
        let manage = self.manager.is_some().then_some(self.manage);
        loops.chain([manage, self.sweep.next()]).flatten().min()
    }

    fn poll(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut at, mut any) = (0, false);
        while let Some(task) = self.tasks.get_mut(at) {
            match task.as_mut().poll(&mut cx) {
                Poll::Pending => at += 1,
                Poll::Ready(done) => {
                    drop(self.tasks.swap_remove(at));
                    self.done(done);
                    any = true;
                }
            }
        }
        any
    }

    fn done(&mut self, done: Done) {
        let now = self.clock.elapsed();
        match done {
            Done::Managed(manager) => {
                self.manager = Some(manager);
                self.manage = self.manage.min(now);
            }
            Done::Read => self.reading -= 1,
            Done::Recalled(at, kept) => {
                let l = &mut self.loops[at];
                l.since = kept.since;
                (l.kept, l.watch.busy) = (Some(kept), false);
            }
            Done::Watched(at, pause, kept) => {
                let l = &mut self.loops[at];
                l.kept = Some(kept);
                (l.watch.busy, l.watch.due) = (false, now + pause.min(KEEP.max(self.pace)));
            }
            Done::Refilled(at, refill) => {
                let l = &mut self.loops[at];
                l.refill.busy = false;
                match refill {
                    Refill::Nothing(pause) => l.refill.due = now + pause,
                    Refill::Ready(read_at, _, ready) => {
                        l.ready.extend(ready.into_iter().map(|r| (read_at, r)));
                        l.refill.due = now;
                    }
                }
            }
            Done::Called(at) => {
                self.loops[at].calls -= 1;
                self.loops[at].refill.due = now;
            }
            Done::GivenBack => {}
            Done::Swept(steps, set) => {
                self.swept = Some((steps, Some(set)));
                (self.sweep.busy, self.sweep.due) = (false, now + JANITOR.max(self.pace));
            }
        }
    }

    /// As `Manager::run` and `Scanner::run`.
    fn manage(&mut self, now: Duration) {
        let Some(mut manager) = self.manager.take() else { return };
        if let Some(outcome) = self.inbox.lock().unwrap().pop_front() {
            self.tasks.push(Box::pin(async move {
                manager.finish(outcome).await;
                Done::Managed(manager)
            }));
            self.manage = now;
            return;
        }
        if self.manage <= now {
            self.manage = now + manager.step().pause.max(self.pace);
        }
        self.manager = Some(manager);
        while self.reading < SCANNERS
            && let Ok(mut ticket) = self.tickets.try_recv()
        {
            ticket.limit = self.dice.one(&[1, 3, 1000]);
            self.reading += 1;
            let (scanner, inbox) = (self.scanner.clone(), self.inbox.clone());
            self.tasks.push(Box::pin(async move {
                let (ticket, read) = scanner.read(ticket).await;
                let mut comparing: FuturesUnordered<_> = scanner.spread(ticket, read).into_iter().collect();
                while let Some(mut outcome) = comparing.next().await {
                    if let Ok(scanned) = &mut outcome.result {
                        // Real time must not matter.
                        (scanned.took, scanned.read.took) = (millis(2), millis(2));
                    }
                    inbox.lock().unwrap().push_back(outcome);
                }
                Done::Read
            }));
            // There is room for the next.
            self.manage = now;
        }
    }

    /// As `Watcher::run`.
    fn watch(&mut self, at: usize, now: Duration) {
        let l = &mut self.loops[at];
        if l.watch.busy {
            return;
        }
        let watcher = l.watcher.clone();
        let Some(mut kept) = l.kept.clone() else {
            l.watch.busy = true;
            return self.tasks.push(Box::pin(async move { Done::Recalled(at, watcher.recall().await) }));
        };
        let woken = watcher.wake.notified().now_or_never().is_some();
        if !l.watch.is_due(now, woken) {
            return;
        }
        l.watch.busy = true;
        l.since = l.steps.last(&self.clock).max(l.since);
        let (since, keeps) = (l.since, now.saturating_sub(l.kept_at) >= KEEP);
        if keeps {
            l.kept_at = now;
        }
        self.tasks.push(Box::pin(async move {
            let pause = watcher.step(since).await.unwrap();
            if keeps {
                watcher.keep(&mut kept).await;
            }
            Done::Watched(at, pause, kept)
        }));
    }

    /// As `Lane::run`.
    fn call(&mut self, at: usize, now: Duration) {
        let l = &mut self.loops[at];
        let mut stale = false;
        while l.calls < CALLS && !l.ready.is_empty() && !stale {
            match l.lane.receiver.admit(l.lane.seat) {
                Admitted::Now(pass)
                    if l.ready.front().is_some_and(|(read_at, _)| l.lane.is_fresh(*read_at)) =>
                {
                    let (_, next) = l.ready.pop_front().unwrap();
                    let (lane, stop) = (l.lane.clone(), self.stop.clone());
                    l.calls += 1;
                    self.tasks.push(Box::pin(async move {
                        let settlements = lane.attempt(next, pass, &stop).await;
                        lane.settle(settlements, &stop).await;
                        Done::Called(at)
                    }));
                }
                Admitted::Later(pause) => {
                    l.turn = now + pause;
                    break;
                }
                Admitted::Now(_) | Admitted::Shut => stale = true,
            }
        }
        if stale {
            let claims: Vec<_> = l.ready.drain(..).flat_map(|(_, parcel)| parcel.claims()).collect();
            let lane = l.lane.clone();
            lane.receiver.rest(lane.seat);
            self.tasks.push(Box::pin(async move {
                lane.give_back_due(claims, UnixMs::MIN, None).await;
                Done::GivenBack
            }));
        }
        if l.refill.busy || !l.ready.is_empty() || l.calls >= CALLS {
            return;
        }
        let woken = l.lane.wake.notified().now_or_never().is_some();
        if l.refill.is_due(now, woken) {
            l.refill.busy = true;
            let (lane, limit) = (l.lane.clone(), self.dice.one(&[1, 3, 100]));
            self.tasks.push(Box::pin(async move { Done::Refilled(at, lane.step(limit).await.unwrap()) }));
        }
    }

    /// As `Janitor::run`.
    fn sweep(&mut self, now: Duration) {
        if !self.sweep.is_due(now, false) {
            return;
        }
        let Some((mut steps, before)) = self.swept.take() else { return };
        self.sweep.busy = true;
        let (janitor, clock) = (self.janitor.clone(), self.clock.clone());
        self.tasks.push(Box::pin(async move {
            let since = steps.last(&clock);
            if before != Some(since) {
                janitor.catch_up().await.unwrap();
            }
            janitor.step().await.unwrap();
            Done::Swept(steps, since)
        }));
    }
}
