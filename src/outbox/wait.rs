//! How long copies usually need to follow, and so how long a suspect has to wait. No clock, no I/O.
//!
//! The wait is twice the 99th percentile of the time in which recent suspects healed by themselves, at least
//! `confirm`, at most `lag`. Two things that a percentile cannot know are watched beside it:
//!
//! * When copies have been following and suddenly none of those found together does, they have fallen behind: that is
//!   waited out, up to `lag`, until enough of them have healed for the percentile to know.
//! * When nothing heals for so long, copies have stopped following. Then waiting tells nothing, and the wait falls back
//!   to `confirm`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::clock::{UnixMs, ms};
use crate::config::Confirm;

/// Samples are kept for so long, and the last [`LEAST`] of them for longer.
const RECENT: i64 = 300_000;
/// Samples that make a percentile, however old.
const LEAST: u32 = 100;
/// Length of a slice of samples.
const SLICE: i64 = 10_000;
/// Steps of the scale of times: each is a quarter longer than the one before, from 50 ms on.
const STEPS: usize = 48;
/// Findings of one second are judged together; so many seconds are remembered.
const SECONDS: i64 = 180;
/// Suspects that must have been waited for in vain before anything is concluded from it.
const IN_VAIN: u32 = 20;
/// Suspects that must have been found together to be judged together.
const TOGETHER: u32 = 10;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Learner {
    confirm: Confirm,
    samples: VecDeque<(UnixMs, [u32; STEPS])>,
    /// What was learned before the last start, until when it counts.
    before: Option<(Duration, UnixMs)>,
    /// By the second in which they were found: suspects, and those that healed by themselves.
    found: VecDeque<(i64, u32, u32)>,
    /// Suspects that were waited for in vain since one last healed: when the first and the last of them were, and how many.
    in_vain: Option<(UnixMs, UnixMs, u32)>,
    /// Whether any healed since the last start.
    healed: bool,
}

/// What a look at a suspect says about how copies follow. It counts once what was seen is settled: a look that fails
/// half way is made again, and would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// It healed by itself.
    Healed {
        /// When it was found, Unix ms.
        found: UnixMs,
        /// When its newest version was first seen, Unix ms.
        stood: UnixMs,
        /// When it was last seen to differ, Unix ms.
        looked: UnixMs,
        /// When it was seen to agree, Unix ms.
        now: UnixMs,
    },
    /// It was waited for as long as copies usually take, in vain.
    InVain(
        /// When, Unix ms.
        UnixMs,
    ),
}

fn step(age: i64) -> usize {
    let steps = (age.max(1) as f64 / 50.0).ln() / 1.25_f64.ln();
    (steps.max(0.0).ceil() as usize).min(STEPS - 1)
}

/// The longest time of a step.
fn length(step: usize) -> i64 {
    (50.0 * 1.25_f64.powi(i32::try_from(step).unwrap_or(0))) as i64
}

impl Learner {
    /// Nothing is known but what an earlier run has learned.
    pub fn new(confirm: Confirm, learned: Option<Duration>, now: UnixMs) -> Self {
        let before = learned.map(|wait| (wait, now.saturating_add(RECENT)));
        Self {
            confirm,
            samples: VecDeque::new(),
            before,
            found: VecDeque::new(),
            in_vain: None,
            healed: false,
        }
    }

    /// Suspects were found.
    pub fn found(&mut self, count: usize, now: UnixMs) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let second = now.div_euclid(1000);
        match self.found.back_mut() {
            Some((last, found, _)) if *last >= second => *found = found.saturating_add(count),
            _ => self.found.push_back((second, count, 0)),
        }
        while self.found.front().is_some_and(|(first, ..)| *first < second - SECONDS) {
            self.found.pop_front();
        }
    }

    /// Takes in what looks have taught.
    pub fn learn(&mut self, lessons: &[Lesson]) {
        for lesson in lessons {
            match *lesson {
                Lesson::Healed { found, stood, looked, now } => self.healed(found, stood, looked, now),
                Lesson::InVain(now) => self.in_vain(now),
            }
        }
    }

    /// A suspect healed by itself: it was found at `found`, its newest version was first seen at `stood`, and the look
    /// before this one, at `looked`, still saw a difference.
    fn healed(&mut self, found: UnixMs, stood: UnixMs, looked: UnixMs, now: UnixMs) {
        (self.in_vain, self.healed) = (None, true);
        let second = found.div_euclid(1000);
        // Those of one second are counted together, those found while its count went on as well.
        let at = self.found.partition_point(|(start, ..)| *start <= second);
        if let Some((_, _, healed)) = at.checked_sub(1).and_then(|at| self.found.get_mut(at)) {
            *healed = healed.saturating_add(1);
        }
        let (least, most) = (looked.saturating_sub(stood).max(0), now.saturating_sub(stood).max(0));
        // A look that came late says when it came, not when the copy did.
        if most > 350 && most > least.saturating_mul(5) / 2 {
            return;
        }
        let slice = now - now.rem_euclid(SLICE);
        if self.samples.back().is_none_or(|(start, _)| *start < slice) {
            self.samples.push_back((slice, [0; STEPS]));
        }
        if let Some((_, counts)) = self.samples.back_mut() {
            counts[step(least.midpoint(most))] += 1;
        }
        self.let_go(now);
    }

    /// A suspect was waited for as long as copies usually take, in vain.
    fn in_vain(&mut self, now: UnixMs) {
        let (_, last, count) = self.in_vain.get_or_insert((now, now, 0));
        (*last, *count) = (now, count.saturating_add(1));
    }

    /// How long a suspect must stand still that was found at `found`.
    pub fn wait(&self, found: UnixMs, now: UnixMs) -> Duration {
        if self.confirm.floor.is_zero() || self.stopped().is_some() {
            return self.confirm.floor;
        }
        if self.fell_behind(found, now) { self.most() } else { self.usual(now) }
    }

    /// The wait as it is shown, and kept for the next start.
    pub fn usual(&self, now: UnixMs) -> Duration {
        if self.confirm.floor.is_zero() || self.stopped().is_some() {
            return self.confirm.floor;
        }
        let before = self.before.filter(|(_, until)| now < *until).map_or(Duration::ZERO, |(wait, _)| wait);
        let learned = Duration::from_millis(self.percentile().saturating_mul(2).unsigned_abs());
        learned.max(before).min(self.most()).max(self.confirm.floor)
    }

    /// Since when (Unix ms) copies that followed do not any more, and how many were waited for in vain since: none healed of those that were waited for all through `lag`. What was
    /// lost at once, and is over, says nothing about what comes now.
    pub fn stopped(&self) -> Option<(UnixMs, u32)> {
        let followed = !self.samples.is_empty() || self.before.is_some();
        let (first, last, count) = self.in_vain.filter(|_| followed)?;
        (count >= IN_VAIN && last.saturating_sub(first) >= ms(self.confirm.lag)).then_some((first, count))
    }

    /// Whether copies were seen to follow since the last start, and not to stop since.
    pub fn follows(&self) -> bool {
        self.healed && self.stopped().is_none()
    }

    fn most(&self) -> Duration {
        self.confirm.lag.max(self.confirm.floor)
    }

    /// 99th percentile of the samples; 0 without any.
    fn percentile(&self) -> i64 {
        let mut counts = [0_u64; STEPS];
        for (_, slice) in &self.samples {
            counts.iter_mut().zip(slice).for_each(|(sum, n)| *sum += u64::from(*n));
        }
        let total: u64 = counts.iter().sum();
        let mut left = total / 100;
        for (step, count) in counts.iter().enumerate().rev() {
            if *count > left {
                return length(step);
            }
            left -= count;
        }
        0
    }

    fn let_go(&mut self, now: UnixMs) {
        let size = |counts: &[u32; STEPS]| counts.iter().sum::<u32>();
        let mut total: u32 = self.samples.iter().map(|(_, counts)| size(counts)).sum();
        while let Some((start, counts)) = self.samples.front() {
            let left = total.saturating_sub(size(counts));
            if now - start < RECENT || left < LEAST {
                return;
            }
            total = left;
            self.samples.pop_front();
        }
    }

    /// Whether those found at the same time, and those found last, heal much less than suspects did before: the copy
    /// has fallen behind, and it is not yet known how far.
    fn fell_behind(&self, found: UnixMs, now: UnixMs) -> bool {
        if self.confirm.floor.is_zero() {
            return false;
        }
        let usual = self.percentile().max(ms(self.confirm.floor) / 2);
        let share = |from: UnixMs, to: UnixMs| {
            let inside = self.found.iter().filter(|(s, ..)| (from..to).contains(&(*s * 1000)));
            inside
                .fold((0_u32, 0_u32), |(all, ok), (_, a, o)| (all.saturating_add(*a), ok.saturating_add(*o)))
        };
        let before = share(UnixMs::MIN, found.min(now - usual) - 5000);
        let is_bad = |(all, ok): (u32, u32)| {
            // Less than a third of the share that healed before.
            all >= TOGETHER && u64::from(ok) * u64::from(before.0) * 3 < u64::from(before.1) * u64::from(all)
        };
        // That a third and more healed is what "followed" means.
        let followed = before.0 >= IN_VAIN && before.1 >= before.0 / 3;
        let mine = share(found - 1500, found + 500);
        // The last that have had their time, as many as can be judged together.
        let mut newest = (0_u32, 0_u32);
        let tested = self.found.iter().rev().filter(|(second, ..)| second * 1000 <= now - usual);
        for (_, all, ok) in tested.take_while(|(second, ..)| second * 1000 > now - usual - 10_000) {
            newest = (newest.0.saturating_add(*all), newest.1.saturating_add(*ok));
            if newest.0 >= TOGETHER {
                break;
            }
        }
        followed && is_bad(mine) && (is_bad(newest) || newest.0 < TOGETHER)
    }
}

#[cfg(test)]
#[path = "wait/tests.rs"]
mod tests;
