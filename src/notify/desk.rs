//! What one channel is told, and when: pure, so that its promises can be tested.
//!
//! ```text
//! raised ─ 2 s ─► told ─ 10 m ─► told again ─ 30 m ─► … every day        a failure to send: all of it waits, then a digest
//!    │              └── over ─ 5 s and more ─► recovered, once            more than three at once: one digest
//!    └── over before anybody was told ─► nothing
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::bucket::Bucket;
use super::{Cause, Facts, NO_DESTINATION, Notice};
use crate::base::clock::{UnixMs, ms};
use crate::model::Event;

mod keep;

/// What comes together is one message, with the right count.
const GATHER: i64 = 2_000;
/// First pause before it is said that something lasts; each is three times as long as the one before.
const AGAIN: i64 = 600_000;
/// The longest of them.
const LONGEST: i64 = 86_400_000;
/// How long something must be over before that is said; three times as long after each relapse.
const OVER: i64 = 5_000;
/// The longest of those.
const LONGEST_OVER: i64 = 600_000;
/// What comes back within this time after its end is a relapse.
const RELAPSE: i64 = 3_600_000;
/// What ends within this time ends soon.
const SOON: i64 = 60_000;
/// Above so many at once, they become one message.
const MANY: usize = 3;
/// First pause after a message could not be sent.
const PAUSE: i64 = 10_000;
/// The longest, unless the service asks for more.
const LONGEST_PAUSE: i64 = 600_000;
/// How long a message waits that was refused for good, so that others get by.
const REFUSED: i64 = 3_600_000;
/// The longest that a service may ask for.
const LONGEST_ASKED: i64 = 86_400_000;

/// How often a channel may be used, and whether one message may be about several things.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// So many at once.
    pub burst: u32,
    /// Then one in this time.
    pub period: Duration,
    /// Whether several notices may become one message.
    pub digests: bool,
}

/// How an event ends.
enum Ends {
    /// When the engine says so.
    Said,
    /// When it has not happened for so long.
    Quiet(i64),
    /// The same, and nobody is told.
    Silent(i64),
}

fn ends(event: Event) -> Ends {
    match event {
        // What was acknowledged and not fixed happens again every ten minutes, as long as it is so.
        Event::NotFixed => Ends::Quiet(1_800_000),
        Event::Restarted => Ends::Silent(3_600_000),
        // Each is said once; they stay dead until the rows that are too many are gone.
        Event::Ambiguous => Ends::Silent(LONGEST),
        _ => Ends::Said,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Case {
    since: UnixMs,
    count: u64,
    last: UnixMs,
    facts: Facts,
    /// When it ended; then it waits until that can be believed.
    over: Option<UnixMs>,
    /// When its end was said; then it is only remembered.
    closed: Option<UnixMs>,
    /// When it is said (again).
    due: UnixMs,
    told: u32,
    told_count: u64,
    relapses: u32,
    /// Its message was refused: not before this.
    held: UnixMs,
    /// A message about it and others was refused: it is told alone, as nobody knows about which of them.
    alone: bool,
}

impl Case {
    fn new(count: u64, facts: Facts, now: UnixMs) -> Self {
        Self {
            since: facts.since.unwrap_or(now).min(now),
            count,
            last: now,
            facts,
            over: None,
            closed: None,
            due: now + GATHER,
            told: 0,
            told_count: 0,
            relapses: 0,
            held: UnixMs::MIN,
            alone: false,
        }
    }

    /// When something is to be done about it.
    fn next(&self, event: Event) -> UnixMs {
        if let Some(closed) = self.closed {
            return closed + RELAPSE;
        }
        let next = match (self.over, ends(event)) {
            (Some(over), _) => over + growing(OVER, self.relapses, LONGEST_OVER),
            (None, Ends::Quiet(quiet) | Ends::Silent(quiet)) if self.told > 0 => {
                let over = self.last + quiet;
                if self.count > self.told_count { self.due.min(over) } else { over }
            }
            (None, _) => self.due,
        };
        next.max(self.held)
    }

    fn notice(&self, cause: &Cause) -> Notice {
        Notice {
            cause: cause.clone(),
            since: self.since,
            until: self.over,
            count: self.count,
            told: self.told,
            facts: self.facts.clone(),
            waiting: None,
        }
    }
}

/// `first`, three times as long with each step, at most `longest`.
fn growing(first: i64, steps: u32, longest: i64) -> i64 {
    first.saturating_mul(3_i64.saturating_pow(steps)).min(longest)
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Desk {
    cases: BTreeMap<Cause, Case>,
    bucket: Bucket,
    digests: bool,
    /// What is being sent.
    sending: BTreeSet<Cause>,
    failures: u32,
    /// Nothing is sent before this.
    blocked: UnixMs,
    /// Whether there is something to keep.
    changed: bool,
}

impl Desk {
    /// A desk that knows of nothing.
    pub fn new(limits: Limits) -> Self {
        Self::sharing(limits, Bucket::new(limits))
    }

    /// The same, which keeps to the limits together with others.
    pub fn sharing(limits: Limits, bucket: Bucket) -> Self {
        Self {
            cases: BTreeMap::new(),
            bucket,
            digests: limits.digests,
            sending: BTreeSet::new(),
            failures: 0,
            blocked: UnixMs::MIN,
            changed: false,
        }
    }

    /// Something happened `count` times, or still is so (0).
    pub fn raise(&mut self, cause: &Cause, count: u64, facts: &Facts, now: UnixMs) {
        self.changed = true;
        let Some(case) = self.cases.get_mut(cause) else {
            self.cases.insert(cause.clone(), Case::new(count, facts.clone(), now));
            return;
        };
        if case.closed.is_some() {
            let relapses = case.relapses + 1;
            *case = Case { relapses, ..Case::new(count, facts.clone(), now) };
            return;
        }
        if case.over.take().is_some() {
            case.relapses += 1;
        }
        case.count = case.count.saturating_add(count);
        case.last = now;
        case.facts.learn(facts);
    }

    /// It is over.
    pub fn clear(&mut self, cause: &Cause, now: UnixMs) {
        let Some(case) = self.cases.get_mut(cause).filter(|case| case.over.is_none()) else { return };
        self.changed = true;
        if case.told == 0 && !self.sending.contains(cause) {
            // Who was not told that it began is not told that it ended.
            self.cases.remove(cause);
        } else {
            case.over = Some(now);
        }
    }

    /// What is about something that is not configured any more is left: nobody looks at it, and nobody would see its end.
    pub fn leave(&mut self, is_configured: impl Fn(&Cause) -> bool, now: UnixMs) {
        // That it is not configured may be just what it is about.
        let is_stray = |case: &Case| case.facts.error.as_deref() == Some(NO_DESTINATION);
        let open = self.cases.iter().filter(|(_, case)| case.closed.is_none() && !is_stray(case));
        let left: Vec<Cause> =
            open.map(|(cause, _)| cause).filter(|cause| !is_configured(cause)).cloned().collect();
        for cause in left {
            if let Some(case) = self.cases.get_mut(&cause) {
                case.facts.left = true;
            }
            self.clear(&cause, now);
        }
    }

    /// Whether this is known and not over.
    pub fn holds(&self, cause: &Cause) -> bool {
        self.cases.get(cause).is_some_and(|case| case.closed.is_none())
    }

    /// Everything that is known and not over.
    pub fn open(&self) -> impl Iterator<Item = &Cause> {
        self.cases.iter().filter(|(_, case)| case.closed.is_none()).map(|(cause, _)| cause)
    }

    /// How often something that is known and not over has happened.
    pub fn count(&self, cause: &Cause) -> Option<u64> {
        let case = self.cases.get(cause).filter(|case| case.closed.is_none() && case.over.is_none())?;
        Some(case.count)
    }

    /// Whether something will be believed to be over because it has not happened for long.
    pub fn ends_soon(&self, cause: &Cause, now: UnixMs) -> bool {
        let Some(case) = self.cases.get(cause).filter(|case| case.closed.is_none()) else { return false };
        matches!(ends(cause.event), Ends::Quiet(quiet) if case.over.is_none() && now + SOON >= case.last + quiet)
    }

    /// When [`Desk::take`] may have something; `None`: not before something else happens.
    pub fn next(&self) -> Option<UnixMs> {
        if !self.sending.is_empty() {
            return None;
        }
        let first = self.cases.iter().map(|(cause, case)| case.next(cause.event)).min()?;
        Some(first.max(self.blocked).max(self.bucket.next()))
    }

    /// What is to be sent now, as one message. What became of it must be said by [`Desk::answered`].
    pub fn take(&mut self, now: UnixMs) -> Option<Vec<Notice>> {
        self.forget(now);
        if !self.sending.is_empty() || now < self.blocked {
            return None;
        }
        let ready: Vec<(UnixMs, &Cause)> = self
            .cases
            .iter()
            .filter(|(cause, case)| case.closed.is_none() && case.next(cause.event) <= now)
            .map(|(cause, case)| (case.next(cause.event), cause))
            .collect();
        let first = ready.iter().min()?.1;
        if !self.bucket.take(now) {
            return None;
        }
        let joint: Vec<&Cause> =
            ready.iter().map(|(_, cause)| *cause).filter(|cause| !self.cases[*cause].alone).collect();
        let together = self.digests
            && !self.cases[first].alone
            && (joint.len() > MANY || (self.failures > 0 && joint.len() > 1));
        let chosen: Vec<Cause> =
            if together { joint.into_iter().cloned().collect() } else { vec![first.clone()] };
        let notices = chosen.iter().map(|cause| self.cases[cause].notice(cause)).collect();
        self.sending = chosen.into_iter().collect();
        Some(notices)
    }

    /// What is over without a word, or was so long ago that nobody remembers, is forgotten.
    fn forget(&mut self, now: UnixMs) {
        for (cause, case) in &mut self.cases {
            if let (Ends::Quiet(quiet), None, true) = (ends(cause.event), case.over, case.told > 0)
                && now >= case.last + quiet
            {
                case.over = Some(case.last);
            }
        }
        self.cases.retain(|cause, case| {
            let silent =
                matches!(ends(cause.event), Ends::Silent(quiet) if case.told > 0 && now >= case.last + quiet);
            let remembered = case.closed.is_none_or(|closed| now < closed + RELAPSE);
            self.sending.contains(cause) || (!silent && remembered)
        });
    }

    /// People were told.
    pub fn answered(&mut self, notices: &[Notice], now: UnixMs) {
        self.failures = 0;
        self.changed = true;
        self.sending.clear();
        for notice in notices {
            let Some(case) = self.cases.get_mut(&notice.cause) else { continue };
            (case.held, case.alone) = (UnixMs::MIN, false);
            if notice.until.is_some() {
                // It may have come back meanwhile; then it is told as new.
                match case.over {
                    Some(_) => case.closed = Some(now),
                    None => {
                        let count = case.count.saturating_sub(notice.count);
                        *case = Case { relapses: case.relapses, ..Case::new(count, case.facts.clone(), now) };
                    }
                }
            } else {
                case.told += 1;
                case.told_count = notice.count;
                case.due = now + growing(AGAIN, case.told - 1, LONGEST);
            }
        }
    }

    /// What was being sent when the notifier ended is sent again.
    pub fn reset(&mut self, now: UnixMs) {
        if !self.sending.is_empty() {
            self.failed(false, None, now);
        }
    }

    /// People could not be told. `lasting`: this message would be refused again, others may pass; `asked`: how long the
    /// service wants to be left alone.
    pub fn failed(&mut self, lasting: bool, asked: Option<Duration>, now: UnixMs) {
        let several = self.sending.len() > 1;
        for cause in self.sending.iter().filter(|_| lasting) {
            let Some(case) = self.cases.get_mut(cause) else { continue };
            if several {
                case.alone = true;
            } else {
                case.held = now + REFUSED;
            }
        }
        let own = growing(PAUSE, self.failures, LONGEST_PAUSE);
        let asked = asked.map_or(0, ms).min(LONGEST_ASKED);
        self.blocked = now + own.max(asked);
        self.failures += 1;
        let untold = |cause: &Cause, case: &Case| {
            self.sending.contains(cause) && case.told == 0 && case.over.is_some()
        };
        self.cases.retain(|cause, case| !untold(cause, case));
        self.sending.clear();
    }
}

#[cfg(test)]
mod tests;
