//! Random sequences of calls against a model that fits on a page: whatever happens in whatever order, with crashes in
//! between, nothing open is lost, claims are exclusive, revisions only grow, and what has ended stays ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cupid::model::{AttemptOutcome, Delivery, DeliveryId, DeliveryKind, Finding, State};
use cupid::store::{ClaimRequest, Committed, Prepared, ScanCommit, Settlement, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::bed::*;

const CASES: u32 = 48;
const STEPS: usize = 60;
const SHORT: i64 = 50;

#[derive(Clone, Debug)]
enum Op {
    /// Keys with their differences; 9 is "several rows".
    Commit(Vec<(u8, u8)>),
    Claim {
        limit: usize,
        short: bool,
    },
    /// These act on the claim with this index among all that were ever handed out, also on long expired ones.
    Prepare {
        claim: usize,
        difference: u8,
        renew: bool,
    },
    Settle {
        claim: usize,
        to: State,
        pause: i64,
        seen: Option<u8>,
    },
    Release {
        claim: usize,
        pause: i64,
    },
    Wait(i64),
    Expire,
    Prune,
    /// Dropped in the middle of everything, and opened again.
    Crash,
    Stop,
}

fn op() -> impl Strategy<Value = Op> {
    let claim = || 0..1000_usize;
    prop_oneof![
        5 => prop::collection::vec((0..4_u8, prop_oneof![6 => 1..4_u8, 1 => Just(9)]), 1..4).prop_map(Op::Commit),
        5 => (1..4_usize, any::<bool>()).prop_map(|(limit, short)| Op::Claim { limit, short }),
        4 => (claim(), 1..4_u8, any::<bool>())
            .prop_map(|(claim, difference, renew)| Op::Prepare { claim, difference, renew }),
        6 => (claim(), prop::sample::select(&State::ALL[..]), 0..100_i64, prop::option::of(1..4_u8))
            .prop_map(|(claim, to, pause, seen)| Op::Settle { claim, to, pause, seen }),
        2 => (claim(), 0..100_i64).prop_map(|(claim, pause)| Op::Release { claim, pause }),
        3 => (1..80_i64).prop_map(Op::Wait),
        1 => Just(Op::Expire),
        1 => Just(Op::Prune),
        1 => Just(Op::Crash),
        1 => Just(Op::Stop),
    ]
}

/// An open delivery.
#[derive(Clone, Debug)]
struct Open {
    seq: u64,
    id: Option<DeliveryId>,
    state: State,
    due: i64,
    fingerprint: u8,
    revision: i64,
    attempts: u32,
    /// Number of the claim and its deadline.
    claim: Option<(usize, i64)>,
    /// The difference found last since the claim.
    found: Option<u8>,
    calling: bool,
    /// Claims in a row that ran out.
    lost: u32,
}

#[derive(Default)]
struct Model {
    open: BTreeMap<u8, Open>,
    /// Of each key: how the last delivery that is kept ended.
    ended: BTreeMap<u8, Vec<(u64, i64, State, u8)>>,
    /// Greatest revision ever prepared, by key.
    revision: BTreeMap<u8, i64>,
    attempts: u64,
    next: u64,
    position: Option<String>,
}

impl Model {
    fn commit(&mut self, findings: &[(u8, u8)], now: i64) -> Committed {
        let mut counts = Committed::default();
        for &(key, f) in findings {
            let Some(d) = self.open.get_mut(&key) else {
                let last = self.ended.get(&key).and_then(|all| all.iter().max_by_key(|e| e.0));
                if last.is_some_and(|(_, _, s, of)| matches!(s, State::Delivered | State::Closed) && *of == f)
                {
                    counts.known += 1;
                    continue;
                }
                self.next += 1;
                let d = Open {
                    seq: self.next,
                    id: None,
                    state: State::Suspect,
                    due: now,
                    fingerprint: f,
                    revision: 0,
                    attempts: 0,
                    claim: None,
                    found: None,
                    calling: false,
                    lost: 0,
                };
                self.open.insert(key, d);
                counts.opened += 1;
                continue;
            };
            let known = d.found.unwrap_or(d.fingerprint) == f;
            *(if known { &mut counts.known } else { &mut counts.changed }) += 1;
            if d.claim.is_some() {
                d.found = Some(f);
            } else if !known {
                d.fingerprint = f;
                if d.state == State::Dead {
                    (d.state, d.due) = (State::Suspect, now);
                } else if d.state == State::Verify {
                    d.due = now;
                }
            }
        }
        counts
    }

    fn claim(&mut self, limit: usize, now: i64, until: i64, first: usize) -> Vec<u8> {
        let due = |d: &Open| d.claim.is_none() && d.state != State::Dead && d.due <= now;
        let mut keys: Vec<u8> = self.open.iter().filter(|(_, d)| due(d)).map(|(key, _)| *key).collect();
        let calls = |d: &Open| !matches!(d.state, State::Suspect | State::Verify);
        keys.sort_by_key(|key| (calls(&self.open[key]), self.open[key].due, self.open[key].seq));
        // A claim, of which there is one for each kind of work, ends with a delivery whose claim was lost.
        for kind in [false, true] {
            let of_kind: Vec<u8> =
                keys.iter().copied().filter(|key| calls(&self.open[key]) == kind).collect();
            if let Some(last) = of_kind.iter().position(|key| self.open[key].lost > 0) {
                keys.retain(|key| !of_kind[last + 1..].contains(key));
            }
        }
        keys.truncate(limit);
        for (n, key) in keys.iter().enumerate() {
            self.open.get_mut(key).unwrap().claim = Some((first + n, until));
        }
        keys
    }

    /// The delivery that claim number `n` still holds.
    fn held(&mut self, key: u8, n: usize) -> Option<&mut Open> {
        self.open.get_mut(&key).filter(|d| d.claim.is_some_and(|(held, _)| held == n))
    }

    fn settle(&mut self, key: u8, n: usize, s: &Settlement) {
        let Some(d) = self.held(key, n) else { return };
        let seen = s.seen.map_or(d.fingerprint, |f| f[0]);
        let ends = !s.to.state.is_open();
        let back = d.found.is_some_and(|f| ends || (s.to.state == State::Dead && f != seen));
        d.fingerprint = d.found.take().unwrap_or(seen);
        (d.claim, d.calling, d.lost) = (None, false, 0);
        (d.state, d.due) = if back { (State::Suspect, s.now) } else { (s.to.state, s.due) };
        if ends && !back {
            let d = self.open.remove(&key).unwrap();
            self.ended.entry(key).or_default().push((d.seq, s.now, d.state, d.fingerprint));
        }
    }

    fn expire(&mut self, now: i64) -> u64 {
        let mut count = 0;
        for d in self.open.values_mut().filter(|d| d.claim.is_some_and(|(_, until)| until <= now)) {
            self.attempts += u64::from(d.calling);
            d.give_back();
            if now < i64::MAX {
                d.lost += 1;
                if d.lost >= 3 {
                    (d.state, d.due) = (State::Dead, now);
                }
            }
            count += 1;
        }
        count
    }

    fn counts(&self) -> Vec<(State, u64)> {
        let mut counts = BTreeMap::new();
        for d in self.open.values() {
            counts.entry(d.state.as_str()).or_insert((d.state, 0)).1 += 1;
        }
        counts.into_values().collect()
    }
}

impl Open {
    fn give_back(&mut self) {
        (self.claim, self.calling) = (None, false);
        // What was found meanwhile is what is known when the next claim begins.
        if let Some(found) = self.found.take() {
            self.fingerprint = found;
        }
    }
}

/// The store under test, the model, and every claim ever handed out.
struct Pair {
    bed: Local,
    /// `None` only between a crash and the next start.
    store: Option<Arc<dyn Store>>,
    model: Model,
    handed: Vec<Delivery>,
    prepared: BTreeMap<usize, Prepared>,
    now: i64,
}

impl Pair {
    async fn apply(&mut self, op: Op) {
        match op {
            Op::Commit(findings) => {
                self.now += 1;
                let position = self.now.to_string();
                let kind = |f| if f == 9 { DeliveryKind::Ambiguous } else { DeliveryKind::Differs };
                let all = findings.iter().map(|&(key, f)| Finding { kind: kind(f), ..finding(key, f) });
                let commit = ScanCommit { cursors: vec![cursor(&position)], ..found(self.now, all) };
                let expected = self.model.commit(&findings, self.now);
                self.model.position = Some(position);
                assert_eq!(self.store().commit_scan(commit).await.unwrap(), expected);
            }
            Op::Claim { limit, short } => {
                let lease = if short { Duration::from_millis(SHORT.unsigned_abs()) } else { LEASE };
                let until = self.now + i64::try_from(lease.as_millis()).unwrap();
                let keys = self.model.claim(limit, self.now, until, self.handed.len());
                let got =
                    self.store().claim_any(ClaimRequest { limit, lease, ..request(self.now) }).await.unwrap();
                assert_eq!(got.iter().map(|d| d.key.as_bytes()[0]).collect::<Vec<_>>(), keys);
                for d in got {
                    let open = self.model.open.get_mut(&d.key.as_bytes()[0]).unwrap();
                    assert_eq!(*open.id.get_or_insert(d.id), d.id, "one delivery, one id");
                    assert_eq!((d.state, d.attempts), (open.state, open.attempts));
                    assert_eq!(d.fingerprint, [open.fingerprint; 16]);
                    let known = *self.model.revision.get(&d.key.as_bytes()[0]).unwrap_or(&0);
                    assert!(d.revision >= known, "{} after {known}", d.revision);
                    open.revision = d.revision;
                    self.handed.push(d);
                }
            }
            Op::Prepare { claim, difference, renew } => {
                let Some((n, d)) = self.pick(claim) else { return };
                let key = d.key.as_bytes()[0];
                let mut p = message(&d, difference, difference, self.now);
                let held = self.model.held(key, n);
                if let Some(open) = &held {
                    p.attempt = open.attempts + 1;
                    p.revision = if renew || open.revision == 0 { open.revision + 1 } else { open.revision };
                }
                let expected: Vec<_> = held.iter().map(|_| d.id).collect();
                if let Some(open) = held {
                    (open.attempts, open.revision, open.fingerprint) = (p.attempt, p.revision, difference);
                    open.calling = true;
                    if open.state == State::Verify {
                        open.state = State::Main;
                    }
                    let last = self.model.revision.entry(key).or_default();
                    assert!(p.revision >= *last);
                    *last = p.revision;
                    self.prepared.insert(n, p.clone());
                }
                assert_eq!(self.store().prepare(vec![p]).await.unwrap(), expected);
            }
            Op::Settle { claim, to, pause, seen } => {
                let Some((n, d)) = self.pick(claim) else { return };
                let key = d.key.as_bytes()[0];
                let mut s = settlement(&d, to, self.now);
                (s.due, s.seen) = (self.now + pause, seen.map(|f| [f; 16]));
                if let Some(p) = self.prepared.get(&n) {
                    s.attempt = Some(attempt(p, AttemptOutcome::Accepted { status: 200, answer: None }));
                    // One that ran out is already counted.
                    self.model.attempts += u64::from(self.model.held(key, n).is_some_and(|o| o.calling));
                }
                self.model.settle(key, n, &s);
                self.store().settle(vec![s]).await.unwrap();
            }
            Op::Release { claim, pause } => {
                let Some((n, d)) = self.pick(claim) else { return };
                let due = self.now + pause;
                if let Some(open) = self.model.held(d.key.as_bytes()[0], n) {
                    open.due = open.due.max(due);
                    open.lost = 0;
                    // What was not sent is no attempt.
                    open.attempts -= u32::from(open.calling);
                    open.give_back();
                    self.prepared.remove(&n);
                }
                self.store().release(vec![claim_of(&d)], due, None).await.unwrap();
            }
            Op::Wait(by) => self.now += by,
            Op::Expire => {
                let expected = self.model.expire(self.now);
                assert_eq!(self.store().expire_claims(self.now).await.unwrap(), expected);
            }
            Op::Prune => {
                // Attempts are left out of this model: their times are those of the calls.
                let before = T0;
                assert_eq!(
                    self.store().prune(cupid::store::Prune::before(before, 1000)).await.unwrap().deliveries,
                    0
                );
                let gone: u64 = self.model.ended.values().map(|all| all.len() as u64).sum();
                assert_eq!(
                    self.store().prune(cupid::store::Prune::before(i64::MAX, 1000)).await.unwrap().deliveries,
                    gone
                );
                self.model.ended.clear();
                self.model.attempts = 0;
                // Late answers about what is deleted leave nothing behind.
                self.prepared.clear();
            }
            Op::Crash => self.reopen(false).await,
            Op::Stop => self.reopen(true).await,
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    fn pick(&self, claim: usize) -> Option<(usize, Delivery)> {
        // Mostly one of the last few: those that may still hold.
        let n = self.handed.len().checked_sub(1 + claim % self.handed.len().clamp(1, 6))?;
        Some((n, self.handed[n].clone()))
    }

    async fn reopen(&mut self, stop: bool) {
        if stop {
            self.store().close().await;
        }
        self.store = None;
        self.store = Some(self.bed.open().await);
        self.model.expire(i64::MAX);
    }

    async fn compare(&self) {
        assert_eq!(open_states(&*self.store()).await, self.model.counts());
        let waits = self.model.open.values().filter(|d| d.claim.is_none() && d.state != State::Dead);
        let due = waits.map(|d| d.due).min();
        assert_eq!(self.store().next_any().await.unwrap(), due);
        let saved = self.store().cursors().await.unwrap().first().map(|c| c.position.as_str().to_owned());
        assert_eq!(saved, self.model.position);
        let ended = |state| self.model.ended.values().flatten().filter(|e| e.2 == state).count() as u64;
        let totals = self.store().totals().await.unwrap();
        assert_eq!((totals.healed, totals.delivered), (ended(State::Healed), ended(State::Delivered)));
        assert_eq!(totals.attempts, self.model.attempts);
    }

    /// Everything open can still be reached: nothing was lost.
    async fn drain(&mut self) {
        self.reopen(false).await;
        self.now += 1000;
        let dead = self.model.open.values().filter(|d| d.state == State::Dead).count();
        let claimable = self.model.open.len() - dead;
        let mut claimed = 0;
        loop {
            match self.store().claim_any(request(self.now)).await.unwrap().len() {
                0 => break,
                some => claimed += some,
            }
        }
        assert_eq!(claimed, claimable);
    }
}

#[test]
fn any_sequence_of_calls_and_crashes_does_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 200,
        rng_seed: RngSeed::Fixed(20_251_121),
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(op(), 1..STEPS), |ops| {
            runtime.block_on(async {
                let bed = Local::new();
                let store = Some(bed.open().await);
                let (model, handed, prepared) = (Model::default(), Vec::new(), BTreeMap::new());
                let mut pair = Pair { bed, store, model, handed, prepared, now: T0 };
                for op in ops {
                    pair.apply(op).await;
                    pair.compare().await;
                }
                pair.drain().await;
            });
            Ok(())
        })
        .unwrap();
}
