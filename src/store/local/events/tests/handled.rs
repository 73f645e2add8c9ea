//! What people do with versions, and what is taken in from another state, keeps the order of each key.

use super::*;
use crate::store::local::Rehearsal;
use crate::store::{Act, Acted, Doing, History, Order, Record, Refusal, Select, TakenIn};

impl Life {
    /// The numbers of the versions of key 1, by their only byte.
    async fn numbers(&self) -> BTreeMap<u8, i64> {
        let mut connection = self.connection().await;
        let all: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, body FROM delivery WHERE key = x'01' ORDER BY event")
                .fetch_all(&mut connection)
                .await
                .unwrap();
        connection.close().await.unwrap();
        all.into_iter().map(|(seq, body)| (body[0], seq)).collect()
    }

    async fn act(&self, doing: Doing, version: u8, named: bool) -> Acted {
        let number = self.numbers().await[&version];
        let (author, now) = ("mei".to_owned(), self.now);
        let act = Act { doing, author, note: None, numbers: vec![number], named, now };
        let would = self.store.would_act(&act, &mut HashSet::new()).await.unwrap();
        let acted = self.store.act(act).await.unwrap();
        assert_eq!(acted, would, "what was foretold");
        self.check().await;
        acted[0].1
    }

    /// Reads key 1 in these versions, one after the other.
    async fn versions(&mut self, versions: &[u8]) {
        for version in versions {
            self.now += 1000;
            self.read(&[(1, *version)]).await;
        }
    }

    /// Lets the receiver take, or refuse for good, what is next.
    async fn next(&mut self, to: State) -> u8 {
        self.claim(1).await;
        let version = self.claimed[0].body.as_ref().unwrap()[0];
        self.send(0, Some(to)).await;
        version
    }

    async fn line(&self, version: u8) -> crate::store::Line {
        self.store.lines(&[self.numbers().await[&version]]).await.unwrap().remove(0)
    }

    async fn export(&self, states: &[State]) -> Vec<Record> {
        let select = Select { states: states.to_vec(), ..Select::default() };
        let mut records = Vec::new();
        for place in self.store.find(&select, Order::Oldest, None, 100).await.unwrap().places {
            let record = self.store.record(place.number).await.unwrap().unwrap();
            // Through the file.
            records.push(serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap());
        }
        records
    }

    async fn import(&mut self, records: &[Record]) -> TakenIn {
        let mut rehearsal = Rehearsal::default();
        let mut would = TakenIn::default();
        // In pieces, as a long file is.
        for record in records {
            let one = std::slice::from_ref(record);
            would.add(self.store.would_take(one, &mut rehearsal).await.unwrap());
        }
        let taken = self.store.take_in(records.to_vec()).await.unwrap();
        assert_eq!(taken, would, "what was foretold");
        self.check().await;
        taken
    }

    async fn begin(&self) -> u64 {
        self.store.begin_events(&self.task, &self.destination, self.now).await.unwrap()
    }

    async fn leave(self) {
        self.store.close().await;
        for file in ["db", "lock"] {
            let _ = std::fs::remove_file(self.path.with_extension(file));
        }
    }
}

fn taken(taken: u64, known: u64, older: u64) -> TakenIn {
    TakenIn { taken, known, older }
}

#[tokio::test]
async fn versions_are_taken_into_a_fresh_state_in_their_order() {
    let (mut old, mut fresh) = (Life::new(2000).await, Life::new(2001).await);
    old.versions(&[1, 2, 3]).await;
    let records = old.export(&[]).await;
    assert_eq!(records.iter().map(|r| r.due.is_some()).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(records.iter().map(|r| r.event).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
    assert_eq!(fresh.import(&records).await, taken(3, 0, 0));
    assert_eq!(fresh.import(&records).await, taken(0, 3, 0), "once");
    assert_eq!(old.import(&records).await, taken(0, 3, 0));
    assert_eq!(fresh.begin().await, 0, "what was taken in before the first start is not what a copy left");
    assert_eq!(fresh.begin().await, 0);
    fresh.now = old.now + 1000;
    fresh.recorded.insert(1, vec![1, 2, 3]);
    fresh.versions(&[3, 4]).await;
    fresh.end().await;
    old.leave().await;
}

#[tokio::test]
async fn where_there_is_no_state_yet_a_file_is_foretold_all_the_same() {
    let mut old = Life::new(2002).await;
    old.versions(&[1, 2]).await;
    let records = old.export(&[]).await;
    let twice: Vec<Record> = records.iter().chain(&records).cloned().collect();
    assert_eq!(Rehearsal::default().afresh(&twice), taken(2, 2, 0));
    old.leave().await;
}

#[tokio::test]
async fn a_version_that_waited_goes_where_it_waits_behind_nothing() {
    let (mut old, mut fresh) = (Life::new(2003).await, Life::new(2004).await);
    old.versions(&[1, 2]).await;
    let records = old.export(&[]).await;
    assert_eq!(fresh.import(&records[1..]).await, taken(1, 0, 0));
    fresh.now = old.now;
    assert_eq!(fresh.next(State::Delivered).await, 2);
    // The older one would come too late.
    assert_eq!(fresh.import(&records).await, taken(0, 1, 1));
    old.leave().await;
    fresh.leave().await;
}

#[tokio::test]
async fn dead_letters_taken_in_before_the_first_start_stay_dead() {
    let (mut old, mut fresh) = (Life::new(2005).await, Life::new(2006).await);
    old.versions(&[1]).await;
    assert_eq!(old.next(State::Dead).await, 1);
    assert_eq!(fresh.import(&old.export(&[State::Dead]).await).await, taken(1, 0, 0));
    assert_eq!(fresh.begin().await, 0);
    assert_eq!(fresh.line(1).await.state, "dead");
    fresh.now = old.now;
    assert_eq!(fresh.act(Doing::Replay, 1, false).await, Acted::Done);
    assert_eq!(fresh.next(State::Delivered).await, 1);
    old.leave().await;
    fresh.leave().await;
}

#[tokio::test]
async fn what_is_taken_in_comes_behind_what_waits_and_keeps_the_id_of_the_key() {
    let (mut old, mut here) = (Life::new(2007).await, Life::new(2008).await);
    old.versions(&[5, 6]).await;
    here.now += 500;
    here.versions(&[1]).await;
    assert_eq!(here.import(&old.export(&[]).await).await, taken(1, 0, 1), "5 is no newer than what is here");
    here.recorded.insert(1, vec![1, 6]);
    here.now = old.now;
    assert_eq!(here.line(6).await.id, here.line(1).await.id);
    here.end().await;
    old.leave().await;
}

#[tokio::test]
async fn an_edited_version_keeps_its_turn() {
    let mut life = Life::new(2010).await;
    life.versions(&[1, 2, 3]).await;
    assert_eq!(life.act(Doing::Edit(Box::from([2])), 2, true).await, Acted::Done);
    let line = life.line(2).await;
    assert_eq!((line.due, line.edited), (None, true), "behind an older one, as before");
    life.claim(10).await;
    assert_eq!(life.claimed.len(), 1);
    let next = life.store.next_due(&life.task, &life.destination, Work::Call).await.unwrap();
    assert_eq!(next, None, "the others wait for that one");
    assert_eq!(life.act(Doing::Edit(Box::from([1])), 1, true).await, Acted::Busy);
    assert_eq!(life.act(Doing::Close, 2, true).await, Acted::Done);
    life.recorded.insert(1, vec![1, 3]);
    life.end().await;
}

#[tokio::test]
async fn what_an_edit_makes_longer_weighs_more() {
    let mut life = Life::new(2011).await;
    life.versions(&[1]).await;
    life.claim(1).await;
    life.claimed[0].body = Some(Box::from([1, 1, 1]));
    life.send(0, None).await;
    life.check().await;
    life.send(0, Some(State::Delivered)).await;
    life.check().await;
    life.leave().await;
}

#[tokio::test]
async fn what_has_ended_is_replayed_in_its_newest_version() {
    let mut life = Life::new(2012).await;
    life.versions(&[1, 2, 3]).await;
    assert_eq!(life.next(State::Dead).await, 1);
    assert_eq!(life.next(State::Delivered).await, 2);
    assert_eq!(life.act(Doing::Replay, 2, false).await, Acted::Already, "3 waits to be sent");
    assert_eq!(life.next(State::Delivered).await, 3);
    assert_eq!(life.act(Doing::Replay, 2, true).await, Acted::Done);
    assert_eq!((life.line(1).await.state, life.line(3).await.state), ("dead".into(), "main".into()));
    life.now += 1000;
    assert_eq!(life.next(State::Delivered).await, 3);
    life.leave().await;
}

#[tokio::test]
async fn a_dead_version_does_not_go_out_after_a_newer_one_unless_it_is_named() {
    let mut life = Life::new(2013).await;
    life.versions(&[1, 2]).await;
    assert_eq!(life.next(State::Dead).await, 1);
    let refused = Acted::Refused(Refusal::Superseded);
    assert_eq!(life.act(Doing::Replay, 1, false).await, refused, "2 waits");
    assert_eq!(life.next(State::Delivered).await, 2);
    assert_eq!(life.act(Doing::Replay, 1, false).await, refused, "2 was delivered");
    assert_eq!(life.act(Doing::Replay, 1, true).await, Acted::Done);
    // A newer one that is dead itself is in nobody's way.
    life.versions(&[3, 4]).await;
    assert_eq!(life.next(State::Delivered).await, 1);
    assert_eq!(life.next(State::Dead).await, 3);
    assert_eq!(life.next(State::Dead).await, 4);
    assert_eq!(life.act(Doing::Replay, 3, false).await, Acted::Done);
    assert_eq!(life.act(Doing::Replay, 4, false).await, Acted::Done, "behind it");
    life.now += 1000;
    assert_eq!(life.next(State::Delivered).await, 3);
    assert_eq!(life.next(State::Delivered).await, 4);
    life.leave().await;
}

#[tokio::test]
async fn the_end_of_one_that_waits_lets_no_other_go() {
    let mut life = Life::new(2014).await;
    life.versions(&[1, 2, 3]).await;
    assert_eq!(life.next(State::Dead).await, 1);
    assert_eq!(life.act(Doing::Replay, 1, true).await, Acted::Done);
    assert_eq!((life.line(1).await.due, life.line(3).await.due), (None, None), "2 has its turn");
    assert_eq!(life.act(Doing::Close, 3, true).await, Acted::Done);
    assert_eq!(life.line(1).await.due, None, "and keeps it");
    life.leave().await;
}

#[tokio::test]
async fn an_event_destination_remembers_nothing() {
    let mut life = Life::new(2015).await;
    life.versions(&[1, 2]).await;
    assert_eq!(life.next(State::Delivered).await, 1);
    assert_eq!(life.next(State::Delivered).await, 2);
    assert_eq!(life.act(Doing::Replay, 2, true).await, Acted::Done);
    assert_eq!(life.act(Doing::Close, 2, true).await, Acted::Done);
    assert!(!life.store.remembers(&life.task, &life.destination).await.unwrap());
    let standing = life.store.standing(&life.task, &life.destination, None).await.unwrap();
    assert_eq!(standing.deliveries.iter().map(|s| s.count).sum::<u64>(), 0);
    life.leave().await;
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_no_attempt() {
    let mut life = Life::new(2016).await;
    life.versions(&[1]).await;
    life.claim(1).await;
    life.send(0, None).await;
    let d = life.claimed.pop().unwrap();
    life.store.release(vec![(d.id, d.claim)], life.now, None).await.unwrap();
    life.claim(1).await;
    assert_eq!(life.claimed[0].attempts, 0);
    life.leave().await;
}

#[tokio::test]
async fn what_was_an_event_destination_is_pruned_like_a_copy_and_may_become_one_again() {
    let mut life = Life::new(2017).await;
    assert_eq!(life.begin().await, 0);
    life.versions(&[1, 2]).await;
    assert_eq!(life.next(State::Delivered).await, 1);
    let all = crate::store::Prune::before(life.now + 1000, 10);
    assert_eq!(life.store.prune(all).await.unwrap().deliveries, 0, "its feeds may read it again");
    life.store.end_events(&life.task, &life.destination).await.unwrap();
    assert!(life.store.backlog(&life.task, &life.destination).await.unwrap().is_none());
    assert_eq!(life.store.prune(all).await.unwrap().deliveries, 1, "nobody reads versions any more");
    // What is open goes on, and is counted when it is one again.
    assert_eq!(life.begin().await, 0);
    life.check().await;
    assert_eq!(life.told(&[(1, 2)]).await, [None], "it begins as a new one");
    assert_eq!(life.next(State::Delivered).await, 2);
    life.check().await;
    life.leave().await;
}
