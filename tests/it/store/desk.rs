//! What people see of deliveries and do with them, asked of the state of one process.

use cupid::model::{AttemptOutcome, DeliveryKind, Difference, Finding, Key, State};
use cupid::store::local::LocalStore;
use cupid::store::{
    Act, Acted, Doing, History, Order, Place, Prepared, Refusal, Select, Settlement, Store, Tally,
};

use super::bed::*;

const S: i64 = 1000;

fn of_states(states: &[State]) -> Select {
    Select { states: states.to_vec(), ..Select::default() }
}

/// Puts the delivery of a key where it is wanted, under the claim that it needs for that.
pub(super) async fn put(store: &LocalStore, key: u8, state: State, now: i64) {
    store.commit_scan(found(now, [finding(key, 1)])).await.unwrap();
    if state == State::Suspect {
        return;
    }
    let claimed = store.claim_any(request(now)).await.unwrap();
    for d in claimed {
        if d.key == Key::new([key]) {
            let note = (state == State::Dead).then(|| format!("http_5xx: no room for key {key}"));
            settle(store, Settlement { note, ..settlement(&d, state, now) }).await;
        } else {
            store.release(vec![claim_of(&d)], now, None).await.unwrap();
        }
    }
}

pub(super) async fn numbers(store: &LocalStore, select: &Select) -> Vec<i64> {
    let found = store.find(select, Order::Oldest, None, 1000).await.unwrap();
    found.places.iter().map(|place| place.number).collect()
}

pub(super) async fn the_number(store: &LocalStore, key: u8) -> i64 {
    let select = Select { key: Some(String::from_utf8(vec![key]).unwrap()), ..Select::default() };
    *numbers(store, &select).await.last().unwrap()
}

fn act(doing: Doing, numbers: &[i64], now: i64) -> Act {
    let note = Some("because".to_owned());
    Act { doing, author: "mei".to_owned(), note, numbers: numbers.to_vec(), named: true, now }
}

pub(super) async fn acted(store: &LocalStore, doing: Doing, number: i64, now: i64) -> Acted {
    let answers = store.act(act(doing, &[number], now)).await.unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].0, number);
    answers[0].1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_go_page_by_page_in_the_order_of_finding() {
    let bed = Local::new();
    let store = bed.store().await;
    // Over states, destinations, kinds and moments, several found at one moment.
    let mut all = Vec::new();
    for (n, key) in (b'a'..=b'z').enumerate() {
        let kind = if key % 3 == 0 { DeliveryKind::Missing } else { DeliveryKind::Differs };
        let name = if key % 2 == 0 { "d" } else { "e" };
        let one = Finding { kind, destination: destination(name), ..finding(key, 1) };
        let now = T0 + i64::try_from(n / 4).unwrap() * S;
        store.commit_scan(found(now, [one])).await.unwrap();
        all.push(now);
    }
    for d in store.claim_any(request(T0 + 100 * S)).await.unwrap() {
        let state = [State::Dead, State::Retry, State::Healed, State::Closed]
            [usize::from(d.key.as_bytes()[0] / 2 % 4)];
        end(&store, &d, state, T0 + 100 * S).await;
    }
    for order in [Order::Oldest, Order::Newest] {
        for limit in [1, 3, 7, 100] {
            let (mut seen, mut after) = (Vec::<Place>::new(), None);
            loop {
                let found = store.find(&Select::default(), order, after, limit).await.unwrap();
                assert!(found.places.len() <= limit);
                seen.extend(&found.places);
                after = found.next;
                if after.is_none() {
                    break;
                }
            }
            let mut expected: Vec<Place> =
                (1..).zip(&all).map(|(number, found_at)| Place { found_at: *found_at, number }).collect();
            if order == Order::Newest {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{order:?} by {limit}");
        }
    }
    let count = async |select: Select| numbers(&store, &select).await.len();
    assert_eq!(count(of_states(&[State::Dead, State::Closed])).await, 6);
    assert_eq!(count(Select { destination: Some("e".to_owned()), ..Select::default() }).await, 13);
    assert_eq!(count(Select { task: Some("other".to_owned()), ..Select::default() }).await, 0);
    let between = Select { since: Some(T0 + S), until: Some(T0 + 2 * S), ..Select::default() };
    assert_eq!(count(between.clone()).await, 8);
    assert_eq!(count(Select { key: Some("f".to_owned()), ..between.clone() }).await, 1);
    assert_eq!(count(Select { key: Some("a".to_owned()), ..between.clone() }).await, 0);
    assert_eq!(
        count(Select { numbers: vec![5, 6, 6, 99], states: vec![State::Suspect], ..between }).await,
        1
    );
    let of_key = |key: &str| Select { numbers: vec![5, 6], key: Some(key.to_owned()), ..Select::default() };
    assert_eq!((count(of_key("e")).await, count(of_key("z")).await), (1, 0), "numbers are filtered as well");
    // What is counted is what is listed.
    for select in [
        Select::default(),
        of_states(&[State::Dead]),
        Select { key: Some("f".to_owned()), ..Select::default() },
    ] {
        let tally = store.tally(&select).await.unwrap();
        assert_eq!(
            tally.iter().map(|t| t.count).sum::<u64>(),
            count(select.clone()).await as u64,
            "{select:?}"
        );
    }
    let dead = store.tally(&of_states(&[State::Dead])).await.unwrap();
    let lines = store.lines(&numbers(&store, &of_states(&[State::Dead])).await).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].oldest, lines.iter().map(|line| line.found_at).min().unwrap());
    assert!(
        matches!(&dead[0], Tally { task, destination, state, .. } if task == "t" && destination == "d" && state == "dead")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_found_in_notes_errors_and_answers() {
    let bed = Local::new();
    let store = bed.store().await;
    for key in b'a'..=b'e' {
        put(&store, key, State::Dead, T0).await;
    }
    store.commit_scan(found(T0, [finding(b'f', 1)])).await.unwrap();
    let d = claim_one(&store, T0).await;
    let p = message(&d, 1, 1, T0);
    prepare(&store, p.clone()).await;
    settle(&store, Settlement { attempt: Some(attempt(&p, refused())), ..settlement(&d, State::Retry, T0) })
        .await;
    let by = async |text: &str| {
        numbers(&store, &Select { text: Some(text.to_owned()), ..Select::default() }).await.len()
    };
    assert_eq!(by("NO ROOM").await, 5);
    assert_eq!(by("for key 99").await, 1, "in either case, anywhere");
    assert_eq!((by("later, please").await, by("busy").await, by("http_5xx").await), (1, 1, 6));
    assert_eq!((by("%").await, by("_5xx: no").await, by("h__p").await), (0, 5, 0), "no letter is special");
    let nowhere = Select { text: Some("nowhere".to_owned()), ..Select::default() };
    let found = store.find(&nowhere, Order::Newest, None, 10).await.unwrap();
    assert_eq!(found.searched, 6, "says how far it looked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_keeps_the_delivery_and_takes_a_new_message() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, [finding(b'k', 1)])).await.unwrap();
    let d = claim_one(&store, T0).await;
    let p = message(&d, 1, 1, T0);
    prepare(&store, p.clone()).await;
    let dead = Settlement { attempt: Some(attempt(&p, refused())), ..settlement(&d, State::Dead, T0) };
    settle(&store, dead).await;
    let number = the_number(&store, b'k').await;

    assert_eq!(acted(&store, Doing::Replay, number, T0 + S).await, Acted::Done);
    assert_eq!(acted(&store, Doing::Replay, number, T0 + S).await, Acted::Already, "a second click");
    let again = claim_one(&store, T0 + S).await;
    assert_eq!((again.id, again.state, again.tries, again.renew), (d.id, State::Main, 0, true));
    assert_eq!((again.attempts, again.revision), (1, 1), "the history goes on");
    assert_eq!(acted(&store, Doing::Replay, number, T0 + S).await, Acted::Busy, "somebody works on it");
    let p = message(&again, 1, 1, T0 + S);
    assert_eq!(p.revision, 2);
    prepare(&store, p.clone()).await;
    let accepted = AttemptOutcome::Accepted { status: 204, answer: None };
    let to =
        Settlement { attempt: Some(attempt(&p, accepted)), ..settlement(&again, State::Healed, T0 + 2 * S) };
    settle(&store, to).await;

    let record = store.record(number).await.unwrap().unwrap();
    assert_eq!(record.attempts.iter().map(|a| (a.number, a.revision)).collect::<Vec<_>>(), [(1, 1), (2, 2)]);
    assert_eq!(record.attempts[0].group.as_deref(), Some("system"));
    assert_eq!(
        (record.acts.len(), record.acts[0].was.as_str(), record.acts[0].author.as_str()),
        (1, "dead", "mei")
    );
    assert_eq!((record.acts[0].what.as_str(), record.acts[0].note.as_deref()), ("replay", Some("because")));
    assert_eq!(record.healed_after_ms, Some(2 * S));
    // From an end it is the same delivery too.
    assert_eq!(acted(&store, Doing::Replay, number, T0 + 3 * S).await, Acted::Done);
    let once_more = claim_one(&store, T0 + 3 * S).await;
    assert_eq!((once_more.id, once_more.revision, once_more.attempts), (d.id, 2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_on_what_has_ended_is_one_on_its_key() {
    let bed = Local::new();
    let store = bed.store().await;
    put(&store, b'k', State::Healed, T0).await;
    put(&store, b'k', State::Healed, T0 + S).await;
    let all = numbers(&store, &Select::default()).await;
    assert_eq!(all.len(), 2);
    // The last one comes back, once, whichever is named.
    let answers = store.act(act(Doing::Replay, &all, T0 + 2 * S)).await.unwrap();
    assert_eq!(answers.iter().map(|(_, acted)| *acted).collect::<Vec<_>>(), [Acted::Done, Acted::Already]);
    let open = numbers(&store, &of_states(&[State::Main])).await;
    assert_eq!(open, [all[1]]);
    assert_eq!(acted(&store, Doing::Replay, all[0], T0 + 2 * S).await, Acted::Already, "it is open");
    assert_eq!(acted(&store, Doing::Close, all[0], T0 + 2 * S).await, Acted::Refused(Refusal::Ended));
    assert_eq!(acted(&store, Doing::Close, 4711, T0).await, Acted::Refused(Refusal::Unknown));
    let record = store.record(all[1]).await.unwrap().unwrap();
    assert_eq!(record.others.iter().map(|other| other.number).collect::<Vec<_>>(), [all[0]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_foretold_of_an_act_is_what_it_does() {
    let bed = Local::new();
    let store = bed.store().await;
    for (key, state) in
        [(b'a', State::Dead), (b'b', State::Verify), (b'c', State::Suspect), (b'd', State::Main)]
    {
        put(&store, key, state, T0).await;
    }
    for n in 0..3 {
        put(&store, b'e', State::Healed, T0 + n * S).await;
    }
    let all = numbers(&store, &Select::default()).await;
    let mut foretold = Vec::new();
    let mut taken = std::collections::HashSet::new();
    // Piece by piece, as a long list is.
    for piece in all.chunks(2) {
        foretold.extend(store.would_act(&act(Doing::Replay, piece, T0 + 9 * S), &mut taken).await.unwrap());
    }
    let mut done = Vec::new();
    for piece in all.chunks(2) {
        done.extend(store.act(act(Doing::Replay, piece, T0 + 9 * S)).await.unwrap());
    }
    assert_eq!(foretold, done);
    assert_eq!(done.iter().filter(|(_, acted)| *acted == Acted::Done).count(), 2, "a and one of e: {done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_is_remembered_by_its_difference() {
    let bed = Local::new();
    let store = bed.store().await;
    put(&store, b'k', State::Retry, T0).await;
    assert!(!store.remembers(&task(), &destination("d")).await.unwrap());
    let number = the_number(&store, b'k').await;
    assert_eq!(acted(&store, Doing::Close, number, T0 + S).await, Acted::Done);
    assert_eq!(acted(&store, Doing::Close, number, T0 + S).await, Acted::Already);
    assert!(store.remembers(&task(), &destination("d")).await.unwrap(), "also for those who asked before");
    assert_eq!(store.commit_scan(found(T0 + 2 * S, [finding(b'k', 1)])).await.unwrap(), committed(0, 1, 0));
    assert!(store.claim_any(request(T0 + 9 * S)).await.unwrap().is_empty());
    let line = store.lines(&[number]).await.unwrap().remove(0);
    assert_eq!((line.state.as_str(), line.note.as_deref()), ("closed", Some("closed by mei: because")));
    // Another difference is another matter.
    assert_eq!(store.commit_scan(found(T0 + 3 * S, [finding(b'k', 2)])).await.unwrap(), committed(1, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_body_is_handed_out_once_and_stays_in_the_history() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, [finding(b'k', 1)])).await.unwrap();
    let d = claim_one(&store, T0).await;
    let differs = Some(vec![Difference { column: "name".to_owned(), src: Some("a".to_owned()), des: None }]);
    let p = Prepared { body: Box::from(*b"original"), differs: differs.clone(), ..message(&d, 1, 1, T0) };
    prepare(&store, p.clone()).await;
    end(&store, &d, State::Dead, T0).await;
    let number = the_number(&store, b'k').await;
    let record = store.record(number).await.unwrap().unwrap();
    assert_eq!(record.differs, differs);

    let body: Box<[u8]> = Box::from(*b"mended");
    assert_eq!(acted(&store, Doing::Edit(body.clone()), number, T0 + S).await, Acted::Done);
    // Over a crash.
    drop(store);
    let store = bed.store().await;
    let d = claim_one(&store, T0 + S).await;
    assert_eq!((d.edited.as_deref(), d.body.as_deref()), (Some(&body[..]), Some(&b"original"[..])));
    let p = Prepared { body, ..message(&d, 1, 1, T0 + S) };
    prepare(&store, p).await;
    end(&store, &d, State::Retry, T0 + S).await;
    let d = claim_one(&store, T0 + S).await;
    assert_eq!((d.edited.as_deref(), d.body.as_deref()), (None, Some(&b"mended"[..])), "once");
    let act = &store.record(number).await.unwrap().unwrap().acts[0];
    let bytes = |message: &Option<cupid::store::Message>| message.as_ref().unwrap().bytes().unwrap();
    assert_eq!((bytes(&act.original), bytes(&act.edited)), (b"original".to_vec(), b"mended".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_found_by_the_beginning_of_its_id() {
    let bed = Local::new();
    let store = bed.store().await;
    put(&store, b'k', State::Healed, T0).await;
    put(&store, b'k', State::Dead, T0 + S).await;
    put(&store, b'l', State::Healed, T0).await;
    let number = the_number(&store, b'k').await;
    let id = store.lines(&[number]).await.unwrap().remove(0).id;
    let by = async |digits: &str| store.beginning_with(digits).await.unwrap();
    assert_eq!(by(&id.replace('-', "")).await, [(id.clone(), number)], "what is open of it");
    assert_eq!(by(&id[..1]).await.len(), 2);
    assert!(by("ffff").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_read_are_shown_and_can_be_closed() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, (1..=4).map(|key| finding(key, 1)))).await.unwrap();
    super::local::plant(
        &bed.path(),
        "UPDATE delivery SET state = 'unheard of' WHERE key = x'01';
         UPDATE delivery SET id = x'00' WHERE key = x'02';
         UPDATE delivery SET kind = 77 WHERE key = x'03';
         UPDATE delivery SET attempts = 'many', tries = -1 WHERE key = x'04'",
    )
    .await;
    assert!(store.claim_any(request(T0)).await.unwrap().is_empty(), "all of them are put aside");
    let all = numbers(&store, &of_states(&[State::Dead])).await;
    assert_eq!(all.len(), 4);
    let lines = store.lines(&all).await.unwrap();
    let why: Vec<&str> = lines.iter().map(|line| line.note.as_deref().unwrap()).collect();
    assert!(why.iter().all(|why| why.starts_with("undecodable: ")), "{why:?}");
    for number in &all {
        assert_eq!(store.record(*number).await.unwrap().unwrap().state, "dead");
    }
    let answers = store.act(act(Doing::Close, &all, T0)).await.unwrap();
    assert!(answers.iter().all(|(_, acted)| *acted == Acted::Done), "{answers:?}");
}
