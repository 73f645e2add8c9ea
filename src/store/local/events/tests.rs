//! Random lives of versions against a model: order, revisions, claims and counters hold whatever happens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::*;
use crate::model::{Delivery, DeliveryId, DeliveryKind, RunId, Sent};
use crate::source::dice::Dice;
use crate::store::local::LocalStore;
use crate::store::{Act, Acted, ClaimRequest, Doing, History, Prepared, Settlement, Store, Transition, Work};

mod handled;

struct Life {
    store: LocalStore,
    path: PathBuf,
    task: TaskName,
    destination: DestinationName,
    now: UnixMs,
    /// By key: versions recorded, in order, by their only byte.
    recorded: BTreeMap<u8, Vec<u8>>,
    /// By key: what was sent: delivery, revision, version.
    sent: BTreeMap<u8, Vec<(DeliveryId, i64, u8)>>,
    claimed: Vec<Delivery>,
    /// Every claim that was handed out.
    claims: HashSet<(DeliveryId, i64)>,
    /// Replayed or edited: these may go out after newer ones.
    replayed: Vec<(u8, u8)>,
    /// Closed: these need not go out.
    closed: Vec<(u8, u8)>,
}

impl Life {
    async fn new(seed: u64) -> Self {
        let path = std::env::temp_dir().join(format!("cupid-events-{}-{seed}.db", std::process::id()));
        let store = LocalStore::open(&path).await.unwrap();
        Self {
            store,
            path,
            task: TaskName::new("t"),
            destination: DestinationName::new("d"),
            now: 1000,
            recorded: BTreeMap::new(),
            sent: BTreeMap::new(),
            claimed: Vec::new(),
            claims: HashSet::new(),
            replayed: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Reads a row of each of these keys, in the version given.
    async fn read(&mut self, read: &[(u8, u8)]) {
        let version = |&(key, version): &(u8, u8)| Version {
            key: Key::new([key]),
            row: RowId(i128::from(key)),
            kind: DeliveryKind::Differs,
            digest: [version; 16],
            body: Box::new([version]),
        };
        let list: Vec<Version> = read.iter().map(version).collect();
        let told = self.told(read).await;
        let mut new = 0;
        for ((key, version), last) in read.iter().zip(told) {
            let known = self.recorded.entry(*key).or_default();
            assert_eq!(last.map(|digest| digest[0]), known.last().copied(), "the last one of {key}");
            if known.last() != Some(version) {
                known.push(*version);
                new += 1;
            }
        }
        let (task, destination) = (self.task.clone(), self.destination.clone());
        let commit = ScanCommit {
            run: RunId(uuid::Uuid::nil()),
            step: None,
            cursors: Vec::new(),
            findings: Vec::new(),
            versions: Some(Versions { task, destination, list }),
            agreed: None,
            covered: None,
            seen: None,
            due: self.now,
            now: self.now,
        };
        let committed = self.store.commit_scan(commit).await.unwrap();
        assert_eq!((committed.opened, committed.known), (new, read.len() as u64 - new));
    }

    async fn told(&self, read: &[(u8, u8)]) -> Vec<Option<[u8; 16]>> {
        let keys: Vec<Key> = read.iter().map(|(key, _)| Key::new([*key])).collect();
        let rows: Vec<(&Key, RowId)> =
            keys.iter().map(|key| (key, RowId(i128::from(key.as_bytes()[0])))).collect();
        let told = self.store.told(&self.task, &self.destination, &rows).await.unwrap();
        told.rows.iter().map(|last| last.digest).collect()
    }

    async fn claim(&mut self, limit: usize) {
        let request = ClaimRequest {
            task: self.task.clone(),
            destination: self.destination.clone(),
            work: Work::Call,
            limit,
            turn: 0,
            now: self.now,
            lease: Duration::from_secs(60),
        };
        for d in self.store.claim(request).await.unwrap() {
            let taken = self.claimed.iter().any(|other| other.key == d.key);
            assert!(!taken, "two of one key at once: {d:?}");
            assert!(self.claims.insert((d.id, d.claim)), "two work under one claim: {d:?}");
            self.claimed.push(d);
        }
    }

    /// Sends a claimed one, and settles it so.
    async fn send(&mut self, at: usize, to: Option<State>) {
        let d = self.claimed.swap_remove(at);
        let (key, version) = (d.key.as_bytes()[0], d.body.as_ref().unwrap()[0]);
        let revision = if d.renew { d.revision + 1 } else { d.revision };
        let prepared = Prepared {
            id: d.id,
            claim: d.claim,
            revision,
            body: d.body.clone().unwrap(),
            sent: Sent { kind: d.kind, row: d.fingerprint },
            differs: None,
            batch: None,
            fingerprint: d.fingerprint,
            attempt: d.attempts + 1,
            now: self.now,
        };
        assert_eq!(self.store.prepare(vec![prepared]).await.unwrap(), [d.id]);
        let sent = self.sent.entry(key).or_default();
        if let Some((delivery, last, what)) = sent.last() {
            assert_eq!(*delivery, d.id, "a key keeps its id");
            let same = *last == revision && *what == version;
            assert!(same || *last < revision, "revision {revision} of {version} after {last} of {what}");
        }
        sent.push((d.id, revision, version));
        let Some(state) = to else { return self.claimed.push(d) };
        let (id, claim, due, now) = (d.id, d.claim, self.now, self.now);
        let to = Transition { state, tries: 0, looks: 0, unhealed: 0, renew: false, acked_at: None };
        let settlement = Settlement {
            id,
            claim,
            to,
            seen: None,
            watch: None,
            due,
            attempt: None,
            note: None,
            evidence: None,
            now,
        };
        self.store.settle(vec![settlement]).await.unwrap();
    }

    /// A person does something with one of these.
    async fn desk(&mut self, doing: Doing, states: &str, at: u64) {
        let mut connection = self.connection().await;
        let sql = format!(
            "SELECT seq, key, body FROM delivery WHERE state IN ({states}) AND claimed_until IS NULL ORDER BY state, seq"
        );
        let found: Vec<(i64, Vec<u8>, Vec<u8>)> =
            sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        if found.is_empty() {
            return;
        }
        let (seq, key, body) = &found[usize::try_from(at).unwrap() % found.len()];
        let doing = if let Doing::Edit(_) = doing { Doing::Edit(Box::from(&body[..])) } else { doing };
        let closes = doing == Doing::Close;
        let act =
            Act { doing, author: String::new(), note: None, numbers: vec![*seq], named: true, now: self.now };
        let acted = self.store.act(act).await.unwrap();
        if acted[0].1 == Acted::Done {
            if closes {
                self.closed.push((key[0], body[0]));
            } else {
                self.replayed.push((key[0], body[0]));
            }
        }
    }

    async fn connection(&self) -> sqlx::SqliteConnection {
        SqliteConnectOptions::new().filename(&self.path).connect().await.unwrap()
    }

    /// What is kept of the destination is what there is.
    async fn check(&self) {
        let backlog = self.store.backlog(&self.task, &self.destination).await.unwrap().unwrap_or_default();
        let mut connection = self.connection().await;
        let (versions, bytes): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM delivery WHERE ended_at IS NULL",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!((backlog.versions, backlog.bytes), (versions.unsigned_abs(), bytes.unsigned_abs()));
        // One of each key may go, and it is the oldest, unless others came back.
        let free: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT key, count(*) FROM delivery
             WHERE ended_at IS NULL AND state <> 'dead' AND due < 253402300799000 GROUP BY key",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let open: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT key) FROM delivery WHERE ended_at IS NULL AND state <> 'dead'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert!(free.iter().all(|(_, count)| *count == 1), "{free:?}");
        assert_eq!(free.len() as u64, open.unsigned_abs(), "none waits behind nothing");
        connection.close().await.unwrap();
    }

    /// Everything that is open goes out.
    async fn end(mut self) {
        for d in std::mem::take(&mut self.claimed) {
            self.store.release(vec![(d.id, d.claim)], UnixMs::MIN, None).await.unwrap();
        }
        loop {
            self.claim(10).await;
            if self.claimed.is_empty() {
                break;
            }
            while !self.claimed.is_empty() {
                self.send(0, Some(State::Delivered)).await;
            }
        }
        self.check().await;
        for (key, versions) in &self.recorded {
            let mut sent: Vec<(i64, u8)> =
                self.sent.get(key).into_iter().flatten().map(|(_, r, v)| (*r, *v)).collect();
            sent.dedup();
            let mut once: Vec<u8> = sent.iter().map(|(_, version)| *version).collect();
            if !self.replayed.iter().chain(&self.closed).any(|(of, _)| of == key) {
                assert_eq!(&once, versions, "each version of {key}, in order");
            }
            once.sort_unstable();
            once.dedup();
            let mut all = versions.clone();
            all.sort_unstable();
            all.dedup();
            all.retain(|version| once.contains(version) || !self.closed.contains(&(*key, *version)));
            assert_eq!(once, all, "each version of {key}");
        }
        self.store.close().await;
        for file in ["db", "lock"] {
            let _ = std::fs::remove_file(self.path.with_extension(file));
        }
    }
}

#[tokio::test]
async fn versions_of_a_key_go_one_after_the_other_whatever_happens() {
    for seed in 0..10 {
        let mut dice = Dice(seed);
        let mut life = Life::new(seed).await;
        // Half of the lives know no replays: there the order is that of reading.
        let replays = seed % 2 == 1;
        for _ in 0..60 {
            life.now += 1000;
            match dice.below(14) {
                0..=4 => {
                    let mut read = Vec::new();
                    for key in 0..3 {
                        if dice.chance(60) {
                            read.push((key, u8::try_from(dice.below(40)).unwrap()));
                        }
                    }
                    life.read(&read).await;
                }
                5..=6 => life.claim(2).await,
                7..=9 if !life.claimed.is_empty() => {
                    let at = usize::try_from(dice.below(life.claimed.len() as u64)).unwrap();
                    let to = [
                        Some(State::Delivered),
                        Some(State::Delivered),
                        Some(State::Retry),
                        Some(State::Dead),
                    ];
                    let to = dice.one(&to).filter(|_| dice.chance(90));
                    let to = to.filter(|to| replays || *to != State::Dead);
                    life.send(at, to).await;
                }
                // The process dies.
                10 => {
                    life.store.expire_claims(UnixMs::MAX).await.unwrap();
                    life.claimed.clear();
                }
                11 if replays => life.desk(Doing::Replay, "'dead', 'delivered'", dice.below(100)).await,
                12 if replays => {
                    life.desk(Doing::Edit(Box::from([])), "'main', 'retry', 'dead'", dice.below(100)).await
                }
                13 if replays => life.desk(Doing::Close, "'main', 'retry', 'dead'", dice.below(100)).await,
                _ => {}
            }
            life.check().await;
        }
        life.end().await;
    }
}

#[tokio::test]
async fn a_task_that_begins_again_tells_again() {
    let mut life = Life::new(1000).await;
    life.read(&[(1, 7), (2, 7)]).await;
    life.read(&[(1, 7)]).await;
    life.store.forget_cursors(&life.task, Some(Feed::Update)).await.unwrap();
    assert_eq!(life.told(&[(1, 7)]).await, [Some([7; 16])], "the update feed alone begins nothing anew");
    life.store.forget_cursors(&life.task, None).await.unwrap();
    assert_eq!(life.told(&[(1, 7)]).await, [None]);
    life.recorded.clear();
    life.read(&[(1, 7)]).await;
    let backlog = life.store.backlog(&life.task, &life.destination).await.unwrap().unwrap();
    assert_eq!((backlog.versions, backlog.bytes, backlog.delivered), (3, 3, 0));
    life.recorded.insert(1, vec![7, 7]);
    life.recorded.insert(2, vec![7]);
    life.end().await;
}
