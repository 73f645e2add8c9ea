//! Whether a receiver as a whole is worth calling. No clock, no I/O: times are those of a clock that nobody sets.
//!
//! A receiver is *down* by what it does not manage: no connection, no answer in time, 5xx, 429. That it refuses a row (4xx,
//! `success`) says something about the row, and about the receiver only if it refuses everything, as one does that was
//! deployed under another path or with another token: then no row should spend its tries on it either. One delivery that is
//! made again and again says nothing about a receiver, so failures must be of several.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::BreakerConfig;
use crate::model::{AttemptOutcome, DeliveryId, ErrorClass};

/// Parts of the window that are counted together.
const PARTS: u64 = 12;
/// Failures must be of so many deliveries.
const SEVERAL: usize = 10;
/// Failing deliveries that are told apart.
const KNOWN: usize = 16;
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
    Open {
        until: Duration,
        pause: Duration,
        /// It answers, and refuses everything.
        refuses: bool,
        /// The lane that may try.
        probing: Option<usize>,
    },
    Ramp {
        pause: Duration,
        capacity: usize,
        good: usize,
        bad: usize,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    works: u64,
    refuses: u64,
    down: u64,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: Option<BreakerConfig>,
    concurrency: usize,
    phase: Phase,
    epoch: u64,
    parts: [Part; PARTS as usize],
    failing: VecDeque<(DeliveryId, Duration)>,
}

impl Breaker {
    /// A closed one. `None`: it never opens. `concurrency`: calls open at the same time while all is well.
    pub fn new(config: Option<BreakerConfig>, concurrency: usize) -> Self {
        let parts = [Part::default(); PARTS as usize];
        let concurrency = concurrency.max(1);
        Self { config, concurrency, phase: Phase::Closed, epoch: 0, parts, failing: VecDeque::new() }
    }

    /// How many calls may be open at the same time now, beside the one that is a probe.
    pub fn capacity(&self) -> usize {
        match self.phase {
            Phase::Closed => self.concurrency,
            Phase::Open { .. } => 0,
            Phase::Ramp { capacity, .. } => capacity,
        }
    }

    /// Whether nothing may be sent but a probe.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
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
        if let Phase::Open { probing, .. } = self.phase { probing } else { None }
    }

    /// Asks for that call. Only while it is open.
    pub fn probe(&mut self, lane: usize, now: Duration) -> Probe {
        let Phase::Open { until, probing, .. } = &mut self.phase else { return Probe::At(now) };
        match probing {
            Some(other) if *other != lane => Probe::Taken,
            None if now < *until => Probe::At(*until),
            _ => {
                *probing = Some(lane);
                Probe::Now
            }
        }
    }

    /// The lane has nothing to call, or could not.
    pub fn unprobe(&mut self, lane: usize) {
        if let Phase::Open { probing, .. } = &mut self.phase
            && *probing == Some(lane)
        {
            *probing = None;
        }
    }

    /// Goes on where an earlier process stopped: open, and to be probed at once.
    pub fn reopen(&mut self, pause: Duration, now: Duration) {
        if let (Some(config), Phase::Closed) = (&self.config, self.phase) {
            let pause = pause.clamp(config.pause.min(config.max), config.max);
            self.enter(Phase::Open { until: now, pause, refuses: false, probing: None });
        }
    }

    /// Takes in how a call ended that was begun in `epoch`, about these deliveries. `asked`: see [`asks`].
    pub fn record(
        &mut self,
        epoch: u64,
        of: &[DeliveryId],
        verdict: Verdict,
        asked: Option<Duration>,
        now: Duration,
    ) -> Option<Change> {
        let config = self.config?;
        if epoch != self.epoch {
            return None;
        }
        let asked = asked.map(|asked| asked.clamp(LEAST.min(config.max), config.max));
        match &mut self.phase {
            Phase::Closed => self.count(&config, of, verdict, asked, now),
            Phase::Open { pause, refuses, .. } => match verdict {
                Verdict::Works => Some(self.ramp()),
                Verdict::Refuses if !*refuses => Some(self.ramp()),
                // It answers: there is nothing to spare.
                Verdict::Refuses => Some(self.open(config.pause, true, now, None)),
                Verdict::Down => {
                    let pause = asked.unwrap_or_default().max(pause.saturating_mul(2).min(config.max));
                    Some(self.open(pause, false, now, None))
                }
            },
            Phase::Ramp { pause, capacity, good, bad } => {
                if verdict == Verdict::Down {
                    *bad += 1;
                    // One of few is too many, and one of many may be the row's own.
                    let goes_on = asked.is_none() && *bad <= *capacity / 4;
                    let pause = asked.unwrap_or_else(|| pause.saturating_mul(2).min(config.max));
                    return (!goes_on).then(|| self.open(pause, false, now, None));
                }
                *good += 1;
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
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
        self.parts = [Part::default(); PARTS as usize];
        self.failing.clear();
    }

    fn ramp(&mut self) -> Change {
        let Phase::Open { pause, .. } = self.phase else { return Change::Ramping };
        self.enter(Phase::Ramp { pause, capacity: 1, good: 0, bad: 0 });
        Change::Ramping
    }

    fn open(&mut self, pause: Duration, refuses: bool, now: Duration, first: Option<(u64, u64)>) -> Change {
        self.enter(Phase::Open { until: now.saturating_add(pause), pause, refuses, probing: None });
        first.map_or(Change::StillOpen { pause }, |(failed, of)| Change::Opened { pause, failed, of })
    }

    fn count(
        &mut self,
        config: &BreakerConfig,
        of: &[DeliveryId],
        verdict: Verdict,
        asked: Option<Duration>,
        now: Duration,
    ) -> Option<Change> {
        if let Some(pause) = asked {
            self.open(pause, false, now, None);
            return Some(Change::Asked { pause });
        }
        let length = (config.window.as_nanos() / u128::from(PARTS)).max(1);
        let number = u64::try_from(now.as_nanos() / length).unwrap_or(u64::MAX);
        let part = &mut self.parts[(number % PARTS) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        match verdict {
            Verdict::Works => {
                part.works += 1;
                return None;
            }
            Verdict::Refuses => part.refuses += 1,
            Verdict::Down => part.down += 1,
        }
        for id in of.iter().take(KNOWN) {
            self.failing.retain(|(known, at)| known != id && now.saturating_sub(*at) < config.window);
            self.failing.push_back((*id, now));
        }
        while self.failing.len() > KNOWN {
            self.failing.pop_front();
        }
        let current = self.parts.iter().filter(|part| part.number + PARTS > number);
        let (works, refuses, down) =
            current.fold((0, 0, 0), |(w, r, d), p| (w + p.works, r + p.refuses, d + p.down));
        let (failed, all) = (refuses + down, works + refuses + down);
        let least = usize::try_from(config.tries).unwrap_or(SEVERAL).min(SEVERAL);
        if all < u64::from(config.tries) || self.failing.len() < least {
            return None;
        }
        if down as f64 >= config.share * all as f64 {
            return Some(self.open(config.pause, false, now, Some((down, all))));
        }
        (works == 0).then(|| self.open(config.pause, refuses > down, now, Some((failed, all))))
    }
}

#[cfg(test)]
mod tests;
