//! Whether a receiver as a whole is worth calling. No clock, no I/O: times are those of a clock that nobody sets.
//!
//! A receiver is *down* by what it does not manage: no connection, no answer in time, 5xx, 429. That it refuses a row (4xx,
//! `success`) says something about the row, and about the receiver only if it refuses everything, as one does that was
//! deployed under another path or with another token: then no row should spend its tries on it either. One delivery that is
//! made again and again says nothing about a receiver, so failures must be of several.
//!
//! What has failed before most likely fails again for a reason of its own, so that says little about the receiver, however
//! many such rows there are: only when a great many of them fail and nothing works is the receiver left alone, and then
//! whatever is *fresh* (has not failed before) may try it at once. Only two that are fresh make sure that it is down.

use std::time::Duration;

use crate::config::BreakerConfig;
use crate::model::{AttemptOutcome, DeliveryId, ErrorClass};
use window::Window;

mod window;

/// Failures must be of so many deliveries.
const SEVERAL: usize = 10;
/// So many failures of what has failed before weigh as much as one of what is fresh.
const WEIGHT: u64 = 10;
/// So many calls with what is fresh make sure that a receiver is down.
const SURE: u32 = 2;
/// A receiver that asks for less time than this is asked again after it.
const LEAST: Duration = Duration::from_secs(1);

/// What one call says of its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It took the message.
    Works,
    /// It is there, and does not want this one.
    Refuses,
    /// It is not there, or cannot.
    Down,
}

/// What an attempt says of its receiver; `None`: nothing.
pub fn verdict(outcome: &AttemptOutcome) -> Option<Verdict> {
    match outcome {
        AttemptOutcome::Accepted { .. } => Some(Verdict::Works),
        // Gone for good is a matter of its own.
        AttemptOutcome::Unknown | AttemptOutcome::Failed { status: Some(410), .. } => None,
        AttemptOutcome::Failed { class, .. } => match class {
            ErrorClass::Dns
            | ErrorClass::Connect
            | ErrorClass::Tls
            | ErrorClass::Timeout
            | ErrorClass::Reset
            | ErrorClass::Http429
            | ErrorClass::Http5xx
            | ErrorClass::Protocol => Some(Verdict::Down),
            ErrorClass::Http3xx | ErrorClass::Http4xx | ErrorClass::BodyRule => Some(Verdict::Refuses),
            ErrorClass::BlockedAddress | ErrorClass::InvalidRequest => None,
        },
    }
}

/// For how long an answer asks everybody to stay away, and not only the row it is about.
pub fn asks(outcome: &AttemptOutcome) -> Option<Duration> {
    match outcome {
        AttemptOutcome::Failed { status: Some(429 | 503), retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The deliveries it was about.
    pub of: &'a [DeliveryId],
    /// Whether one of them had not failed before.
    pub fresh: bool,
    /// What it says of the receiver.
    pub verdict: Verdict,
    /// See [`asks`].
    pub asked: Option<Duration>,
}

/// What has become of the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing is sent any more but one call after this pause.
    Opened {
        /// Until that call.
        pause: Duration,
        /// Calls that failed.
        failed: u64,
        /// Of so many.
        of: u64,
    },
    /// The receiver asked to be left alone; the same as opened.
    Asked {
        /// Until one call is made.
        pause: Duration,
    },
    /// That one call failed as well.
    StillOpen {
        /// Until the next one.
        pause: Duration,
    },
    /// It worked: calls are let in, few at first.
    Ramping,
    /// All is as it was.
    Closed,
}

/// Whether one call may be made to see whether the receiver works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Yes, by the lane that asked.
    Now,
    /// Yes, by the lane that asked, but only with what is fresh; with whatever there is not before.
    Fresh(
        /// Time of the clock.
        Duration,
    ),
    /// Not before.
    At(
        /// Time of the clock.
        Duration,
    ),
    /// Another lane is at it.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open(Open),
    Ramp {
        pause: Duration,
        capacity: usize,
        good: usize,
        /// Failures of what was fresh, and how many of them in a row.
        bad: usize,
        row: u32,
        /// Failures in a row of what had failed before.
        again: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    until: Duration,
    pause: Duration,
    /// It answers, and refuses everything.
    refuses: bool,
    /// The lane that may try.
    probing: Option<usize>,
    /// Calls with what was fresh that failed; see [`SURE`].
    strikes: u32,
    /// The last call that failed was with what had failed before.
    stale: bool,
}

impl Open {
    fn is_unsure(&self) -> bool {
        self.strikes < SURE || self.stale
    }
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: Option<BreakerConfig>,
    concurrency: usize,
    phase: Phase,
    epoch: u64,
    window: Window,
}

impl Breaker {
    /// A closed one. `None`: it never opens. `concurrency`: calls open at the same time while all is well.
    pub fn new(config: Option<BreakerConfig>, concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self { config, concurrency, phase: Phase::Closed, epoch: 0, window: Window::default() }
    }

    /// How many calls may be open at the same time now, beside the one that is a probe.
    pub fn capacity(&self) -> usize {
        match self.phase {
            Phase::Closed => self.concurrency,
            Phase::Open(_) => 0,
            Phase::Ramp { capacity, .. } => capacity,
        }
    }

    /// Whether nothing may be sent but a probe.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Whether calls are made as ever.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Changes whenever what was begun before no longer says anything.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The lane that may make the one call while it is open.
    pub fn prober(&self) -> Option<usize> {
        if let Phase::Open(open) = self.phase { open.probing } else { None }
    }

    /// Asks for that call. Only while it is open.
    pub fn probe(&mut self, lane: usize, now: Duration) -> Probe {
        let Phase::Open(open) = &mut self.phase else { return Probe::At(now) };
        let probe = match open.probing {
            Some(other) if other != lane => return Probe::Taken,
            _ if now >= open.until => Probe::Now,
            _ if open.is_unsure() => Probe::Fresh(open.until),
            _ => return Probe::At(open.until),
        };
        open.probing = Some(lane);
        probe
    }

    /// The lane has nothing to call, or could not.
    pub fn unprobe(&mut self, lane: usize) {
        if let Phase::Open(open) = &mut self.phase
            && open.probing == Some(lane)
        {
            open.probing = None;
        }
    }

    /// Goes on where an earlier process stopped: open, and to be probed at once.
    pub fn reopen(&mut self, pause: Duration, now: Duration) {
        if let (Some(config), Phase::Closed) = (&self.config, self.phase) {
            let pause = pause.clamp(config.pause.min(config.max), config.max);
            let open = Open { until: now, pause, refuses: false, probing: None, strikes: SURE, stale: false };
            self.enter(Phase::Open(open));
        }
    }

    /// Takes in a call that was begun in `epoch`.
    pub fn record(&mut self, epoch: u64, call: &Ended<'_>, now: Duration) -> Option<Change> {
        let config = self.config?;
        if epoch != self.epoch {
            return None;
        }
        let asked = call.asked.map(|asked| asked.clamp(LEAST.min(config.max), config.max));
        match self.phase {
            Phase::Closed => match asked {
                Some(pause) => {
                    self.open(pause, false, SURE, now);
                    Some(Change::Asked { pause })
                }
                None => self.count(&config, call, now),
            },
            Phase::Open(open) => match call.verdict {
                Verdict::Works => Some(self.ramp(&config, &open)),
                Verdict::Refuses if !open.refuses => Some(self.ramp(&config, &open)),
                _ => Some(self.probed(&config, open, call, asked, now)),
            },
            Phase::Ramp { .. } => self.ramped(&config, call, asked, now),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
        self.window = Window::default();
    }

    fn open(&mut self, pause: Duration, refuses: bool, strikes: u32, now: Duration) {
        let until = now.saturating_add(pause);
        self.enter(Phase::Open(Open { until, pause, refuses, probing: None, strikes, stale: false }));
    }

    fn ramp(&mut self, config: &BreakerConfig, open: &Open) -> Change {
        let pause = if open.strikes < SURE { config.pause } else { open.pause };
        self.enter(Phase::Ramp { pause, capacity: 1, good: 0, bad: 0, row: 0, again: 0 });
        Change::Ramping
    }

    /// The one call failed as well.
    fn probed(
        &mut self,
        config: &BreakerConfig,
        before: Open,
        call: &Ended<'_>,
        asked: Option<Duration>,
        now: Duration,
    ) -> Change {
        let doubled = before.pause.saturating_mul(2).min(config.max);
        let refuses = call.verdict == Verdict::Refuses;
        let pause = match asked {
            Some(asked) => asked.max(doubled),
            // It answers: there is nothing to spare.
            None if refuses => config.pause,
            // What is known of it begins here.
            None if call.fresh && before.strikes < SURE => config.pause,
            // Nobody waited for this one.
            None if now < before.until => before.pause,
            None => doubled,
        };
        let strikes = if asked.is_some() { SURE } else { before.strikes + u32::from(call.fresh) };
        let stale = asked.is_none() && !call.fresh;
        let until = now.saturating_add(pause);
        self.enter(Phase::Open(Open { until, pause, refuses, probing: None, strikes, stale }));
        Change::StillOpen { pause }
    }

    /// One of the few calls that are let in has ended.
    fn ramped(
        &mut self,
        config: &BreakerConfig,
        call: &Ended<'_>,
        asked: Option<Duration>,
        now: Duration,
    ) -> Option<Change> {
        let Phase::Ramp { pause, capacity, good, bad, row, again } = &mut self.phase else { return None };
        if call.verdict == Verdict::Down {
            if let Some(pause) = asked {
                self.open(pause, false, SURE, now);
                return Some(Change::StillOpen { pause });
            }
            if !call.fresh {
                *again += 1;
                let (pause, vain) = (*pause, *again >= WEIGHT * u64::from(config.tries));
                return vain.then(|| {
                    self.open(pause, false, 0, now);
                    Change::StillOpen { pause }
                });
            }
            (*bad, *row) = (*bad + 1, *row + 1);
            // One of few, and some of many, may be the rows' own.
            if *row < SURE || *bad <= *capacity / 4 {
                return None;
            }
            let pause = pause.saturating_mul(2).min(config.max);
            self.open(pause, false, SURE, now);
            return Some(Change::StillOpen { pause });
        }
        (*good, *row, *again) = (*good + 1, 0, 0);
        if *good < *capacity {
            return None;
        }
        (*capacity, *good, *bad) = (*capacity * 2, 0, 0);
        if *capacity <= self.concurrency {
            return None;
        }
        self.enter(Phase::Closed);
        Some(Change::Closed)
    }

    fn count(&mut self, config: &BreakerConfig, call: &Ended<'_>, now: Duration) -> Option<Change> {
        let told = self.window.count(call, config.window, now);
        if call.verdict == Verdict::Works {
            return None;
        }
        let least = usize::try_from(config.tries).unwrap_or(SEVERAL).min(SEVERAL);
        let tries = u64::from(config.tries);
        let (failed, pause) = (told.refuses + told.down, config.pause);
        let all = told.works + failed;
        if all >= tries && self.window.failing() >= least {
            let down = told.down as f64 >= config.share * all as f64;
            if down || told.works == 0 {
                self.open(pause, !down && told.refuses > told.down, SURE, now);
                return Some(Change::Opened {
                    pause,
                    failed: if down { told.down } else { failed },
                    of: all,
                });
            }
        }
        let nothing_works = told.works == 0 && failed * WEIGHT + told.again >= tries * WEIGHT;
        (nothing_works && self.window.all_failing() >= least).then(|| {
            self.open(pause, call.verdict == Verdict::Refuses, 0, now);
            let failed = failed + told.again;
            Change::Opened { pause, failed, of: failed }
        })
    }
}

#[cfg(test)]
mod tests;
