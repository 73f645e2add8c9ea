//! One function per promise of `cupid::store::Store`.

use std::sync::Arc;
use std::time::Duration;

use cupid::model::{
    AttemptOutcome, Counts, DeliveryKind, Evidence, Feed, Finding, Key, RowId, State, TaskName, Unfit,
};
use cupid::store::{
    ClaimRequest, Committed, Counted, Covered, Cursor, Facts, Pass, Plight, Prepared, Prune, Pruned,
    ScanCommit, Seen, Settlement, Store, Transition, Work,
};
use futures_util::future::join_all;

use super::bed::*;

const S: i64 = 1000;
const DAY: i64 = 86_400_000;

pub async fn a_cursor_and_its_findings_become_durable_as_one(bed: &dyn Bed) {
    let store = bed.open().await;
    let mut commit = found(T0, [finding(1, 1), finding(2, 1)]);
    commit.cursors = vec![cursor("a"), Cursor { feed: Feed::Update, ..cursor("b") }];
    assert_eq!(store.commit_scan(commit).await.unwrap(), committed(2, 0, 0));
    drop(store);

    let store = bed.open().await;
    let mut cursors = store.cursors().await.unwrap();
    cursors.sort_by_key(|c| c.feed);
    assert_eq!(cursors, [cursor("a"), Cursor { feed: Feed::Update, ..cursor("b") }]);
    assert_eq!(open_states(&*store).await, [(State::Suspect, 2)]);
    // A cursor moves, whatever its other facts were; ids keep all their digits.
    let moved =
        Cursor { start_id: Some(RowId(i128::from(u64::MAX))), identity: "there".into(), ..cursor("c") };
    let commit = ScanCommit { cursors: vec![moved.clone()], ..found(T0, []) };
    store.commit_scan(commit).await.unwrap();
    assert!(store.cursors().await.unwrap().contains(&moved));
}

pub async fn cursors_can_be_forgotten_by_task_and_feed(bed: &dyn Bed) {
    let store = bed.open().await;
    let other = TaskName::new("other");
    let of_other = Cursor { task: other.clone(), ..cursor("o") };
    let update = Cursor { feed: Feed::Update, ..cursor("u") };
    let cursors = vec![cursor("i"), update.clone(), of_other.clone()];
    store.commit_scan(ScanCommit { cursors, ..found(T0, []) }).await.unwrap();
    store.forget_cursors(&task(), Some(Feed::Insert)).await.unwrap();
    let left = store.cursors().await.unwrap();
    assert!(left.len() == 2 && left.contains(&update) && left.contains(&of_other), "{left:?}");
    store.forget_cursors(&task(), None).await.unwrap();
    assert_eq!(store.cursors().await.unwrap(), [of_other]);
}

pub async fn a_key_has_at_most_one_open_delivery(bed: &dyn Bed) {
    let store = bed.open().await;
    assert_eq!(store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap(), committed(1, 0, 0));
    assert_eq!(store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap(), committed(0, 1, 0));
    let missing = Finding { kind: DeliveryKind::Missing, ..finding(1, 2) };
    assert_eq!(store.commit_scan(found(T0, [missing])).await.unwrap(), committed(0, 0, 1));
    // Also within one commit, and never across keys, destinations or tasks.
    let elsewhere = Finding { destination: destination("e"), ..finding(1, 2) };
    let of_other = Finding { task: TaskName::new("other"), ..finding(1, 2) };
    let longer = Finding { key: Key::new([1, 0]), ..finding(1, 2) };
    let empty = Finding { key: Key::new([]), ..finding(1, 2) };
    let all = [finding(1, 3), finding(1, 3), elsewhere, of_other, longer, empty];
    assert_eq!(store.commit_scan(found(T0, all)).await.unwrap(), committed(4, 1, 1));
    let got = store.claim_any(request(T0)).await.unwrap();
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(
        (got[0].kind, got[0].fingerprint),
        (DeliveryKind::Differs, [3; 16]),
        "the newest finding counts"
    );
}

pub async fn a_healed_key_that_differs_again_begins_anew_under_the_same_id(bed: &dyn Bed) {
    let store = bed.open().await;
    let first = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    end(&*store, &first, State::Healed, T0).await;
    assert_eq!(store.commit_scan(found(T0 + S, [finding(1, 1)])).await.unwrap(), committed(1, 0, 0));
    let second = claim_one(&*store, T0 + S).await;
    assert_eq!(first.id, second.id, "a receiver tells late older versions by the revision of one id");
    assert_eq!((second.state, second.found_at, second.attempts), (State::Suspect, T0 + S, 0));
}

pub async fn what_was_handed_over_is_not_said_again_unless_it_changed(bed: &dyn Bed) {
    let store = bed.open().await;
    for state in [State::Delivered, State::Closed] {
        let now = T0 + if state == State::Closed { S } else { 0 };
        let d = claimed(&*store, now, [finding(1, state as u8)]).await.remove(0);
        let p = message(&d, 1, 100 + state as u8, now);
        prepare(&*store, p.clone()).await;
        let done = Settlement {
            attempt: Some(attempt(&p, AttemptOutcome::Accepted { status: 200, answer: None })),
            ..settlement(&d, state, now)
        };
        settle(&*store, done).await;
        // What counts is what the message was about, not what was found first.
        let again = found(now, [finding(1, 100 + state as u8)]);
        assert_eq!(store.commit_scan(again).await.unwrap(), committed(0, 1, 0), "{state:?}");
        assert!(open_states(&*store).await.is_empty());
    }
    assert_eq!(store.commit_scan(found(T0, [finding(1, 9)])).await.unwrap(), committed(1, 0, 0));
}

pub async fn what_is_seen_to_agree_is_no_longer_remembered(bed: &dyn Bed) {
    let mut store = bed.open().await;
    for (key, state) in [(1, State::Delivered), (2, State::Closed), (3, State::Dead), (4, State::Dead)] {
        let d = claimed(&*store, T0, [finding(key, 1)]).await.remove(0);
        end(&*store, &d, state, T0).await;
    }
    let keys = [1, 2, 3, 4, 5].map(|key| Key::new([key]));
    let known = async |store: &dyn Store| {
        let keys: Vec<&Key> = keys.iter().collect();
        let mut known = store.remembered(&task(), &destination("d"), &keys).await.unwrap();
        known.sort_by(|(a, _), (b, _)| a.cmp(b));
        known.into_iter().map(|(key, _)| key.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(known(&*store).await, [1, 2, 3, 4]);
    // A look that began before it was decided says nothing about it.
    assert_eq!(store.commit_scan(agreed(T0 - 1, [1, 2, 3])).await.unwrap(), committed(0, 0, 0));
    assert_eq!(known(&*store).await, [1, 2, 3, 4]);
    let healed = store.commit_scan(agreed(T0 + S, [1, 2, 3, 5])).await.unwrap();
    assert_eq!(healed, Committed { healed: 1, ..committed(0, 0, 0) });
    drop(store);
    store = bed.open().await;
    assert_eq!(known(&*store).await, [4]);
    let again = found(T0 + 2 * S, [1, 2, 3, 4].map(|key| finding(key, 1)));
    assert_eq!(store.commit_scan(again).await.unwrap(), committed(3, 1, 0), "told anew");
}

pub async fn what_only_the_copy_had_is_gone_when_a_pass_has_not_seen_it(bed: &dyn Bed) {
    let store = bed.open().await;
    let extra = |key| Finding { kind: DeliveryKind::Extra, row: RowId::NONE, ..finding(key, 1) };
    let all = [extra(1), extra(2), extra(3), extra(4), finding(5, 1)];
    let states = [State::Closed, State::Closed, State::Dead, State::Dead, State::Closed];
    for (d, state) in claimed(&*store, T0, all).await.iter().zip(states) {
        end(&*store, d, state, T0).await;
    }
    let step = |now, findings: Vec<Finding>, passed: Option<i64>| {
        let mut commit = ScanCommit { now, ..agreed(now, []) };
        commit.findings = findings;
        commit.cursors = vec![Cursor { feed: Feed::Extra, ..cursor("x") }];
        commit.agreed.as_mut().unwrap().passed = passed;
        commit
    };
    // Two of them are still there.
    let seen = store.commit_scan(step(T0 + 2 * S, vec![extra(1), extra(3)], None)).await.unwrap();
    assert_eq!(seen, committed(0, 2, 0));
    let end = store.commit_scan(step(T0 + 3 * S, Vec::new(), Some(T0 + S))).await.unwrap();
    assert_eq!(end, Committed { healed: 1, ..committed(0, 0, 0) });
    assert_eq!(open_states(&*store).await, [(State::Dead, 1)]);
    let all = vec![extra(1), extra(2), extra(3), extra(4), finding(5, 1)];
    assert_eq!(store.commit_scan(step(T0 + 4 * S, all, None)).await.unwrap(), committed(2, 3, 0));
}

pub async fn what_is_remembered_outlives_retention(bed: &dyn Bed) {
    let store = bed.open().await;
    for (key, state) in [(1, State::Delivered), (2, State::Closed), (3, State::Healed), (4, State::Closed)] {
        let d = claimed(&*store, T0, [finding(key, 1)]).await.remove(0);
        prepare(&*store, message(&d, 1, 1, T0)).await;
        end(&*store, &d, state, T0).await;
    }
    // It differs in another way since: the older one is no longer what is remembered.
    let d = claimed(&*store, T0, [finding(4, 2)]).await.remove(0);
    end(&*store, &d, State::Closed, T0 + DAY).await;
    assert_eq!(
        store.prune(Prune::before(T0 + 1, 1000)).await.unwrap().deliveries,
        2,
        "what healed, and what is superseded"
    );
    let again = found(T0 + 40 * DAY, [finding(1, 1), finding(2, 1), finding(4, 2)]);
    assert_eq!(store.commit_scan(again).await.unwrap(), committed(0, 3, 0));
    assert_eq!(store.prune(Prune::before(T0 + 100 * DAY, 1000)).await.unwrap().deliveries, 0);
    store.commit_scan(agreed(T0 + 100 * DAY, [1])).await.unwrap();
    assert_eq!(store.prune(Prune::before(T0 + 100 * DAY, 1000)).await.unwrap().deliveries, 1, "it agreed");
    assert_eq!(
        store.prune(Prune::before(T0 + 131 * DAY, 1000)).await.unwrap().deliveries,
        2,
        "nobody has seen them for long"
    );
}

pub async fn a_lane_without_memory_costs_nothing(bed: &dyn Bed) {
    let store = bed.open().await;
    let remembers = async || store.remembers(&task(), &destination("d")).await.unwrap();
    assert!(!remembers().await);
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    assert!(!remembers().await);
    end(&*store, &d, State::Closed, T0).await;
    assert!(remembers().await);
    assert!(!store.remembers(&task(), &destination("e")).await.unwrap());
    store.commit_scan(agreed(T0 + S, [1])).await.unwrap();
    assert!(!remembers().await);
    // What is known is not asked for: it goes on when nothing can be read.
    store.close().await;
    assert!(!remembers().await);
}

pub async fn evidence_is_kept_and_told_once(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    assert!(!d.shown && store.evidence(d.id).await.unwrap().is_none());
    let row = [("number", &cupid::model::Value::text("n1")), ("name", &cupid::model::Value::Null)];
    let copy = cupid::model::Listed::new([row, row].into_iter());
    let evidence = cupid::model::Evidence { copy, ..Default::default() };
    let dead = Settlement { evidence: Some(Box::new(evidence.clone())), ..settlement(&d, State::Dead, T0) };
    settle(&*store, dead).await;
    assert_eq!(store.evidence(d.id).await.unwrap(), Some(evidence));
    let keys = [Key::new([1])];
    let keys: Vec<&Key> = keys.iter().collect();
    let known = store.remembered(&task(), &destination("d"), &keys).await.unwrap();
    assert_eq!(known, [(Key::new([1]), DeliveryKind::Ambiguous)]);
    store.commit_scan(found(T0 + S, [finding(1, 2)])).await.unwrap();
    assert!(claim_one(&*store, T0 + S).await.shown);
}

pub async fn a_dead_delivery_comes_back_for_another_difference_only(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    let mut dead = settlement(&d, State::Dead, T0);
    dead.to = Transition { tries: 4, unhealed: 4, looks: 3, ..dead.to };
    dead.note = Some("tries used up".to_owned());
    settle(&*store, dead).await;
    assert_eq!(store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap(), committed(0, 1, 0));
    assert_eq!(open_states(&*store).await, [(State::Dead, 1)]);
    assert!(store.claim_any(request(i64::MAX)).await.unwrap().is_empty(), "a person decides");

    assert_eq!(store.commit_scan(found(T0 + S, [finding(1, 2)])).await.unwrap(), committed(0, 0, 1));
    assert!(store.claim_any(request(T0)).await.unwrap().is_empty(), "due when it was found");
    let again = claim_one(&*store, T0 + S).await;
    assert_eq!(again.id, d.id);
    assert_eq!((again.state, again.tries, again.unhealed, again.looks), (State::Suspect, 0, 0, 0), "afresh");
}

pub async fn several_rows_for_a_key_are_confirmed_like_anything_else(bed: &dyn Bed) {
    let store = bed.open().await;
    let several = |difference| Finding { kind: DeliveryKind::Ambiguous, ..finding(1, difference) };
    store.commit_scan(found(T0, [several(1)])).await.unwrap();
    let d = claim_one(&*store, T0).await;
    assert_eq!((d.kind, d.state), (DeliveryKind::Ambiguous, State::Suspect));
    end(&*store, &d, State::Dead, T0).await;
    store.commit_scan(found(T0, [several(1)])).await.unwrap();
    assert!(store.claim_any(request(i64::MAX)).await.unwrap().is_empty(), "a person decides");
    // One of them was removed, the other one differs.
    store.commit_scan(found(T0, [finding(1, 3)])).await.unwrap();
    let d = claim_one(&*store, T0).await;
    assert_eq!((d.kind, d.state), (DeliveryKind::Differs, State::Suspect));
}

pub async fn a_key_that_moved_to_another_row_is_looked_at_there(bed: &dyn Bed) {
    let store = bed.open().await;
    // Deleted and inserted again with the same values: the same difference, in another row of the source.
    let moved = |row| Finding { row: RowId(row), ..finding(1, 1) };
    store.commit_scan(found(T0, [moved(5)])).await.unwrap();
    store.commit_scan(found(T0, [moved(9)])).await.unwrap();
    let d = claim_one(&*store, T0).await;
    assert_eq!(d.row, RowId(9), "where the row is now");
    // While somebody looks at row 9 and sees that it is gone.
    store.commit_scan(found(T0, [moved(11)])).await.unwrap();
    end(&*store, &d, State::Healed, T0).await;
    assert_eq!(claim_one(&*store, T0).await.row, RowId(11));
}

pub async fn claims_are_exclusive_in_order_and_only_of_what_is_due(bed: &dyn Bed) {
    let store = bed.open().await;
    for (key, at) in [(1, T0 + 2 * S), (2, T0 + S), (3, T0 + S), (4, T0 + 9 * S)] {
        store.commit_scan(found(at, [finding(key, 1)])).await.unwrap();
    }
    let elsewhere = Finding { destination: destination("e"), ..finding(5, 1) };
    store.commit_scan(found(T0, [elsewhere])).await.unwrap();
    let keys = |list: &[cupid::model::Delivery]| list.iter().map(|d| d.key.as_bytes()[0]).collect::<Vec<_>>();
    let two = store.claim_any(ClaimRequest { limit: 2, ..request(T0 + 3 * S) }).await.unwrap();
    assert_eq!(keys(&two), [2, 3], "oldest due first, then in the order found");
    assert_eq!(keys(&store.claim_any(request(T0 + 3 * S)).await.unwrap()), [1]);
    assert!(store.claim_any(request(T0 + 3 * S)).await.unwrap().is_empty());
    assert!(store.claim_any(ClaimRequest { limit: 0, ..request(i64::MAX) }).await.unwrap().is_empty());
    // Many lanes at once never get the same one.
    store.commit_scan(found(T0, (10..110).map(|key| finding(key, 1)))).await.unwrap();
    let claims = (0..20).map(|_| store.claim_any(ClaimRequest { limit: 7, ..request(T0 + 3 * S) }));
    let mut all: Vec<u8> = join_all(claims).await.into_iter().flat_map(|c| keys(&c.unwrap())).collect();
    all.sort_unstable();
    assert_eq!(all, (10..110).collect::<Vec<_>>());
}

pub async fn a_claim_ends_with_the_message_that_fills_it(bed: &dyn Bed) {
    const MIB: usize = 1 << 20;
    let store = bed.open().await;
    let sizes = [9 * MIB, 1, 6 * MIB, 2 * MIB, 20 * MIB, 1, 1];
    let all = claimed(&*store, T0, (1..=sizes.len()).map(|key| finding(u8::try_from(key).unwrap(), 1))).await;
    for (d, size) in all.iter().zip(sizes) {
        let p = Prepared { body: vec![b'x'; size].into(), ..message(d, 1, 1, T0) };
        prepare(&*store, p.clone()).await;
        let mut failed = settlement(d, State::Retry, T0 + i64::from(d.key.as_bytes()[0]));
        failed.attempt = Some(attempt(&p, refused()));
        settle(&*store, failed).await;
    }
    // Oldest first, and none is passed over because it is large.
    let later = T0 + S;
    for keys in [&[1, 2, 3, 4][..], &[5], &[6, 7], &[]] {
        let got = store.claim(ClaimRequest { work: Work::Call, ..request(later) }).await.unwrap();
        let got: Vec<u8> = got.iter().map(|d| d.key.as_bytes()[0]).collect();
        assert_eq!(got, keys);
    }
    store.expire_claims(i64::MAX).await.unwrap();
    let two = ClaimRequest { work: Work::Call, limit: 2, ..request(later) };
    assert_eq!(store.claim(two).await.unwrap().len(), 2);
}

pub async fn next_due_sees_what_waits_and_nothing_else(bed: &dyn Bed) {
    let store = bed.open().await;
    let next = async || store.next_any().await.unwrap();
    assert_eq!(next().await, None);
    store.commit_scan(found(T0 + S, [finding(1, 1)])).await.unwrap();
    store.commit_scan(found(T0, [finding(2, 1)])).await.unwrap();
    assert_eq!(next().await, Some(T0));
    let two = claim_one(&*store, T0).await;
    assert_eq!(next().await, Some(T0 + S), "claimed ones do not wait");
    end(&*store, &two, State::Healed, T0).await;
    let one = claim_one(&*store, T0 + S).await;
    end(&*store, &one, State::Dead, T0).await;
    assert_eq!(next().await, None, "nor do ended and dead ones");
}

pub async fn a_difference_found_between_claim_and_prepare_is_not_lost(bed: &dyn Bed) {
    for end_state in [State::Delivered, State::Healed] {
        let store = bed.open().await;
        let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
        // The look read the old version, the message says the old version; this is the new one.
        assert_eq!(store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap(), committed(0, 0, 1));
        prepare(&*store, message(&d, 1, 1, T0)).await;
        end(&*store, &d, end_state, T0 + S).await;
        let again = claim_one(&*store, T0 + S).await;
        assert_eq!((again.id, again.state), (d.id, State::Suspect), "{end_state:?}");
        end(&*store, &again, State::Healed, T0 + S).await;
        assert!(open_states(&*store).await.is_empty(), "nothing was found after the second claim");
    }
}

pub async fn a_difference_found_between_prepare_and_settle_is_not_lost(bed: &dyn Bed) {
    for end_state in [State::Delivered, State::Healed] {
        let store = bed.open().await;
        let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
        prepare(&*store, message(&d, 1, 1, T0)).await;
        store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap();
        end(&*store, &d, end_state, T0 + S).await;
        let again = claim_one(&*store, T0 + S).await;
        assert_eq!((again.id, again.state), (d.id, State::Suspect), "{end_state:?}");
        end(&*store, &again, State::Healed, T0 + S).await;
    }
}

pub async fn the_same_difference_found_again_after_the_look_is_not_lost(bed: &dyn Bed) {
    let store = bed.open().await;
    // The look sees the copy agree; the copy is lost again, exactly as before; a scan finds that; then the look's
    // result becomes durable.
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    prepare(&*store, message(&d, 1, 1, T0)).await;
    end(&*store, &d, State::Verify, T0).await;
    let d = claim_one(&*store, T0).await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    let healed = settlement(&d, State::Healed, T0 + S);
    let healed = Settlement { to: Transition { renew: false, ..healed.to }, ..healed };
    settle(&*store, healed).await;
    assert_eq!(open_states(&*store).await, [(State::Suspect, 1)]);
    let again = claim_one(&*store, T0 + S).await;
    assert_eq!((again.id, again.renew), (d.id, true), "a receiver knows the old message already");
}

pub async fn a_difference_found_before_the_claim_does_not_bring_it_back(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap();
    store.release(vec![claim_of(&d)], T0, None).await.unwrap();
    // Whoever looks now looks after the second finding.
    let d = claim_one(&*store, T0).await;
    assert_eq!(d.fingerprint, [2; 16]);
    end(&*store, &d, State::Healed, T0).await;
    assert!(open_states(&*store).await.is_empty());
}

pub async fn dead_is_not_where_a_newer_difference_ends(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap();
    end(&*store, &d, State::Dead, T0).await;
    let again = claim_one(&*store, T0).await;
    assert_eq!((again.state, again.tries), (State::Suspect, 0));
    // The same difference, seen again while the last try was made, is what the tries were used up on.
    prepare(&*store, message(&again, 1, 2, T0)).await;
    store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap();
    end(&*store, &again, State::Dead, T0).await;
    assert_eq!(open_states(&*store).await, [(State::Dead, 1)]);
}

pub async fn dead_remembers_what_was_seen_last(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    // The look saw something else than the scan: two rows where there had been one.
    settle(&*store, Settlement { seen: Some([2; 16]), ..settlement(&d, State::Dead, T0) }).await;
    assert_eq!(store.commit_scan(found(T0, [finding(1, 2)])).await.unwrap(), committed(0, 1, 0));
    assert_eq!(open_states(&*store).await, [(State::Dead, 1)]);
    // Back to the first difference: one that can be called back.
    assert_eq!(store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap(), committed(0, 0, 1));
    assert_eq!(open_states(&*store).await, [(State::Suspect, 1)]);
}

pub async fn what_stays_open_keeps_its_pace_when_a_difference_arrives(bed: &dyn Bed) {
    let store = bed.open().await;
    for state in [State::Retry, State::Slow] {
        let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
        store.commit_scan(found(T0, [finding(1, state as u8 + 10)])).await.unwrap();
        let due = T0 + 600 * S;
        let mut later = Settlement { due, ..settlement(&d, state, T0) };
        later.to.tries = 3;
        settle(&*store, later).await;
        assert!(
            store.claim_any(request(due - 1)).await.unwrap().is_empty(),
            "a receiver that fails is not hammered"
        );
        // What is found while it waits does not change that either; it will be looked at before anything is sent.
        store.commit_scan(found(T0 + S, [finding(1, state as u8 + 20)])).await.unwrap();
        assert!(store.claim_any(request(due - 1)).await.unwrap().is_empty());
        let again = claim_one(&*store, due).await;
        assert_eq!((again.state, again.tries), (state, 3));
        end(&*store, &again, State::Healed, due).await;
    }
}

/// Nobody is called by a look, and a source that has moved on is not to wait for it.
pub async fn what_waits_to_be_seen_healed_is_looked_at_when_a_difference_arrives(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    settle(&*store, Settlement { due: T0 + 30 * S, ..settlement(&d, State::Verify, T0) }).await;
    store.commit_scan(found(T0 + S, [finding(1, 1)])).await.unwrap();
    assert!(store.claim_any(request(T0 + S)).await.unwrap().is_empty(), "nothing new");
    store.commit_scan(found(T0 + S, [finding(1, 2)])).await.unwrap();
    assert_eq!(claim_one(&*store, T0 + S).await.state, State::Verify);
}

pub async fn a_message_that_is_under_way_is_not_yet_acknowledged(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    prepare(&*store, message(&d, 1, 1, T0)).await;
    let mut acknowledged = settlement(&d, State::Verify, T0);
    acknowledged.to.acked_at = Some(T0);
    acknowledged.to.renew = false;
    settle(&*store, acknowledged).await;
    let d = claim_one(&*store, T0).await;
    assert_eq!((d.state, d.acked_at), (State::Verify, Some(T0)));
    // The source moved on: a newer message is prepared, and the process dies before its answer.
    prepare(&*store, message(&d, 2, 2, T0)).await;
    drop(store);
    let store = bed.open().await;
    let d = claim_one(&*store, T0).await;
    assert_eq!((d.state, d.acked_at), (State::Main, None), "nobody has acknowledged this message");
    assert_eq!((d.revision, d.renew), (2, false));
}

pub async fn a_crash_between_prepare_and_settle_keeps_id_bytes_and_tries(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1), finding(2, 1)]).await.remove(0);
    let p = Prepared { body: Box::from(*b"exactly these"), ..message(&d, 7, 1, T0) };
    prepare(&*store, p.clone()).await;
    drop(store);

    let store = bed.open().await;
    let got = store.claim_any(request(T0)).await.unwrap();
    assert_eq!(got.len(), 2, "also the one that was only claimed");
    let again = got.iter().find(|g| g.id == d.id).unwrap();
    assert_eq!(
        (again.revision, again.body.as_deref(), again.sent),
        (1, Some(&b"exactly these"[..]), Some(p.sent))
    );
    assert_eq!((again.tries, again.attempts, again.renew), (0, 1, false));
    // The call that nobody knows the end of is in the history.
    assert_eq!(store.totals().await.unwrap().attempts, 1);
}

pub async fn an_expired_claim_can_do_no_more_harm(bed: &dyn Bed) {
    let store = bed.open().await;
    let late = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    let p = message(&late, 1, 1, T0);
    prepare(&*store, p.clone()).await;
    assert_eq!(store.expire_claims(i64::MAX - 1).await.unwrap(), 1);

    let accepted = |state| Settlement {
        attempt: Some(attempt(&p, AttemptOutcome::Accepted { status: 200, answer: None })),
        ..settlement(&late, state, T0)
    };
    settle(&*store, accepted(State::Delivered)).await;
    assert_eq!(open_states(&*store).await, [(State::Suspect, 1)], "nobody has claimed it");
    let now = claim_one(&*store, T0).await;
    // Whatever the late one does: the claim that counts is the other one.
    assert!(store.prepare(vec![message(&late, 5, 5, T0)]).await.unwrap().is_empty(), "must not be sent");
    assert_eq!(store.prepare(vec![message(&now, 6, 6, T0)]).await.unwrap(), [now.id]);
    settle(&*store, accepted(State::Delivered)).await;
    store.release(vec![claim_of(&late)], T0, None).await.unwrap();
    assert!(store.claim_any(request(T0)).await.unwrap().is_empty(), "still claimed");
    end(&*store, &now, State::Healed, T0).await;
    settle(&*store, accepted(State::Retry)).await;
    assert!(open_states(&*store).await.is_empty(), "what has ended does not come back by itself");
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.healed, totals.attempts), (1, 1), "the answer is in the history");
    // Nor does the late one stand in the way of another delivery of the key.
    store.commit_scan(found(T0, [finding(1, 3)])).await.unwrap();
    settle(&*store, accepted(State::Retry)).await;
    assert_eq!(open_states(&*store).await, [(State::Suspect, 1)]);
    assert_eq!(store.totals().await.unwrap().attempts, 1, "it was no attempt of this one");
}

pub async fn released_claims_come_back_unchanged(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1), finding(2, 1)]).await;
    store.release(d.iter().map(claim_of).collect(), T0 + S, Some("the copy is down".into())).await.unwrap();
    assert!(store.claim_any(request(T0 + S - 1)).await.unwrap().is_empty());
    let again = store.claim_any(request(T0 + S)).await.unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!((again[0].id, again[0].state, again[0].tries), (d[0].id, State::Suspect, 0));
    // Never earlier than it was due.
    store.release(vec![claim_of(&again[0])], T0, None).await.unwrap();
    assert!(store.claim_any(request(T0 + S - 1)).await.unwrap().is_empty());
    // A message that was made durable and never left is not an attempt.
    let d = claim_one(&*store, T0 + S).await;
    prepare(&*store, message(&d, 1, 1, T0 + S)).await;
    store.release(vec![claim_of(&d)], T0 + S, None).await.unwrap();
    drop(store);
    let store = bed.open().await;
    assert_eq!(store.totals().await.unwrap().attempts, 0);
}

pub async fn leases_run_out_when_they_are_over(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    let over = T0 + i64::try_from(LEASE.as_millis()).unwrap();
    assert_eq!(store.expire_claims(over - 1).await.unwrap(), 0);
    assert!(store.claim_any(request(over)).await.unwrap().is_empty());
    assert_eq!(store.expire_claims(over).await.unwrap(), 1);
    assert_eq!(claim_one(&*store, over).await.id, d.id);
    // A lease without end, too, ends with the process.
    store.commit_scan(found(T0, [finding(2, 1)])).await.unwrap();
    let endless = ClaimRequest { lease: Duration::MAX, ..request(over) };
    assert_eq!(store.claim_any(endless).await.unwrap().len(), 1);
    assert_eq!(store.expire_claims(i64::MAX).await.unwrap(), 2);
}

pub async fn what_nobody_comes_to_an_end_with_is_put_aside(bed: &dyn Bed) {
    let store = bed.open().await;
    let lease = i64::try_from(LEASE.as_millis()).unwrap();
    store.commit_scan(found(T0, (1..=3).map(|key| finding(key, 1)))).await.unwrap();
    let mut now = T0;
    for round in 0..3 {
        let got = store.claim_any(request(now)).await.unwrap();
        let keys: Vec<u8> = got.iter().map(|d| d.key.as_bytes()[0]).collect();
        if round == 0 {
            assert_eq!(keys, [1, 2, 3]);
        } else {
            assert_eq!(keys, [1], "alone, so that it takes nobody along");
        }
        now += lease;
        assert_eq!(store.expire_claims(now).await.unwrap(), got.len() as u64);
    }
    assert_eq!(open_states(&*store).await, [(State::Dead, 1), (State::Suspect, 2)]);
    // The others were only beside it; and what ends with the process says nothing.
    for key in [2, 3] {
        let d = claim_one(&*store, now).await;
        assert_eq!(d.key, Key::new([key]));
        for _ in 0..3 {
            store.expire_claims(i64::MAX).await.unwrap();
            assert_eq!(claim_one(&*store, now).await.key, Key::new([key]));
        }
        store.expire_claims(i64::MAX).await.unwrap();
        let d = claim_one(&*store, now).await;
        end(&*store, &d, State::Healed, now).await;
    }
    assert_eq!(open_states(&*store).await, [(State::Dead, 1)]);
}

pub async fn revisions_of_a_key_only_grow(bed: &dyn Bed) {
    let store = bed.open().await;
    let mut last = 0;
    // The clock is set back in the middle: what ended last seems to have ended first.
    for (round, ended) in [T0, T0 + DAY, T0 - 40 * DAY].into_iter().enumerate() {
        let d = claimed(&*store, T0, [finding(1, u8::try_from(round).unwrap())]).await.remove(0);
        assert!(d.revision >= last);
        let p = message(&d, 1, 1, T0);
        assert!(p.revision > last);
        last = p.revision;
        prepare(&*store, p).await;
        end(&*store, &d, State::Healed, ended).await;
    }
    assert_eq!(store.prune(Prune::before(T0, 1000)).await.unwrap().deliveries, 1, "the newest one");
    let d = claimed(&*store, T0, [finding(1, 9)]).await.remove(0);
    assert!(d.revision >= last, "{} after {last}", d.revision);
    prepare(&*store, message(&d, 1, 1, T0)).await;
    end(&*store, &d, State::Healed, T0).await;
    // Even if nothing is left: a receiver may remember for longer than the state.
    assert_eq!(store.prune(Prune::before(i64::MAX, 1000)).await.unwrap().deliveries, 3);
    let d = claimed(&*store, T0, [finding(1, 1)]).await.remove(0);
    assert!(d.revision > last, "{} after {last}", d.revision);
}

pub async fn attempts_are_numbered_through(bed: &dyn Bed) {
    let store = bed.open().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    for number in 1..=4 {
        let d = claim_one(&*store, T0).await;
        let p = message(&d, 1, 1, T0);
        assert_eq!(p.attempt, number);
        prepare(&*store, p.clone()).await;
        if number == 2 {
            store.expire_claims(i64::MAX).await.unwrap();
            continue;
        }
        let failed = Settlement { attempt: Some(attempt(&p, refused())), ..settlement(&d, State::Retry, T0) };
        settle(&*store, failed.clone()).await;
        // A caller that got no answer says it again.
        settle(&*store, failed).await;
    }
    assert_eq!(store.totals().await.unwrap().attempts, 4);
}

pub async fn retention_deletes_only_what_ended_long_ago(bed: &dyn Bed) {
    let store = bed.open().await;
    let mut commit = found(T0, (1..=9).map(|key| finding(key, 1)));
    commit.cursors = vec![cursor("stays")];
    store.commit_scan(commit).await.unwrap();
    let all = store.claim_any(request(T0)).await.unwrap();
    for d in &all {
        let p = message(d, 1, 1, T0);
        prepare(&*store, p.clone()).await;
        let (state, now) = match d.key.as_bytes()[0] {
            1..=5 => (State::Healed, T0),
            6 => (State::Healed, T0 + DAY),
            7 => (State::Dead, T0),
            _ => (State::Retry, T0),
        };
        let done = Settlement { attempt: Some(attempt(&p, refused())), ..settlement(d, state, now) };
        settle(&*store, done).await;
    }
    assert_eq!(store.totals().await.unwrap().attempts, 9);
    assert_eq!(
        store.prune(Prune::before(T0, 1000)).await.unwrap().deliveries,
        0,
        "ended at this time, not before"
    );
    assert_eq!(store.prune(Prune::before(T0 + 1, 3)).await.unwrap().deliveries, 3, "in small steps");
    assert_eq!(store.prune(Prune::before(T0 + 1, 1000)).await.unwrap().deliveries, 2);
    assert_eq!(store.totals().await.unwrap().healed, 1);
    assert_eq!(open_states(&*store).await, [(State::Dead, 1), (State::Retry, 2)]);
    // Attempts go by their own age: a delivery that is tried for ever must not fill the disk.
    assert_eq!(store.totals().await.unwrap().attempts, 0);
    assert_eq!(store.cursors().await.unwrap().len(), 1);
}

pub async fn what_passes_without_a_call_is_kept_for_a_shorter_time(bed: &dyn Bed) {
    let store = bed.open().await;
    store.commit_scan(found(T0, (1..=6).map(|key| finding(key, 1)))).await.unwrap();
    for d in &store.claim_any(request(T0)).await.unwrap() {
        let p = message(d, 1, 1, T0);
        let called = d.key.as_bytes()[0] == 6;
        if called {
            prepare(&*store, p.clone()).await;
        }
        let attempt = called.then(|| attempt(&p, refused()));
        settle(&*store, Settlement { attempt, ..settlement(d, State::Healed, T0) }).await;
    }
    let prune = Prune { passing: T0 + 1, ..Prune::before(T0 - DAY, 3) };
    assert_eq!(store.prune(prune).await.unwrap(), Pruned { deliveries: 3, more: true });
    assert_eq!(store.prune(prune).await.unwrap(), Pruned { deliveries: 2, more: false });
    assert_eq!(store.totals().await.unwrap().healed, 1, "what was called back stays");
}

/// The oldest go first, and what is not finished stays.
pub async fn no_more_are_kept_than_is_wished(bed: &dyn Bed) {
    let store = bed.open().await;
    store.commit_scan(found(T0, (1..=8).map(|key| finding(key, 1)))).await.unwrap();
    assert_eq!(store.kept_from(None, 1).await.unwrap(), None, "nothing has ended");
    for (at, d) in (T0..).zip(store.claim_any(request(T0)).await.unwrap()) {
        let p = message(&d, 1, 1, at);
        prepare(&*store, p.clone()).await;
        let state = if at < T0 + 6 { State::Healed } else { State::Slow };
        let attempt = Some(attempt(&p, refused()));
        settle(&*store, Settlement { attempt, ..settlement(&d, state, at) }).await;
    }
    assert_eq!(store.kept_from(None, 7).await.unwrap(), None);
    let beyond = store.kept_from(None, 2).await.unwrap().unwrap();
    assert_eq!(beyond, T0 + 4);
    let prune = Prune { beyond, ..Prune::before(T0 - DAY, 100) };
    assert_eq!(store.prune(prune).await.unwrap(), Pruned { deliveries: 4, more: false });
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.healed, totals.attempts), (2, 4), "with their attempts, and those of what is open");
    assert_eq!(open_states(&*store).await, [(State::Slow, 2)]);
}

/// What is tried for ever must not fill the disk: the first attempts stay, and the last ones. And the rest of them is
/// deleted however few deliveries end.
pub async fn attempts_of_what_is_tried_for_ever_are_bounded(bed: &dyn Bed) {
    let store = bed.open().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    for at in 1..=100 {
        let d = claim_one(&*store, T0 + at).await;
        let p = message(&d, 1, 1, T0 + at);
        prepare(&*store, p.clone()).await;
        let failed =
            Settlement { attempt: Some(attempt(&p, refused())), ..settlement(&d, State::Slow, T0 + at) };
        settle(&*store, failed).await;
    }
    assert_eq!(store.totals().await.unwrap().attempts, 60);
    assert!(store.prune(Prune::before(T0 + 98, 20)).await.unwrap().more);
    assert!(store.prune(Prune::before(T0 + 98, 1000)).await.unwrap() == Pruned::default());
    assert_eq!(store.totals().await.unwrap().attempts, 3);
}

pub async fn counts_and_totals_say_what_is_there(bed: &dyn Bed) {
    let store = bed.open().await;
    for (key, at) in [(1, T0 + 5), (2, T0 + 3), (3, T0 + 4), (4, T0 + 6)] {
        let elsewhere = Finding { destination: destination("e"), ..finding(key, 1) };
        store.commit_scan(found(at, [finding(key, 1), elsewhere])).await.unwrap();
    }
    let got = store.claim_any(request(T0 + S)).await.unwrap();
    end(&*store, &got[0], State::Healed, T0 + 13).await;
    end(&*store, &got[1], State::Delivered, T0 + S).await;
    end(&*store, &got[2], State::Slow, T0 + S).await;
    let counts = store.counts().await.unwrap();
    let all: Vec<_> = counts.iter().map(|c| (c.destination.as_str(), c.state, c.count, c.oldest)).collect();
    assert_eq!(
        all,
        [("d", State::Slow, 1, T0 + 5), ("d", State::Suspect, 1, T0 + 6), ("e", State::Suspect, 4, T0 + 3)]
    );
    let totals = store.totals().await.unwrap();
    assert_eq!((totals.healed, totals.delivered, totals.attempts), (1, 1, 0));
    assert_eq!(totals.median_heal_ms, Some(10));
}

pub async fn plights_are_counted_as_far_as_is_asked(bed: &dyn Bed) {
    let store = bed.open().await;
    let got = claimed(&*store, T0, (1..=9).map(|key| finding(key, 1))).await;
    let become_ = async |n: usize, state, tries, evidence: Option<Evidence>| {
        let mut s = settlement(&got[n], state, T0);
        (s.to.tries, s.evidence) = (tries, evidence.map(Box::new));
        settle(&*store, s).await;
    };
    become_(0, State::Slow, 4, None).await;
    become_(1, State::Slow, 5, None).await;
    // Acknowledged three times, and not fixed.
    become_(2, State::Slow, 0, None).await;
    become_(3, State::Retry, 1, None).await;
    become_(4, State::Main, 0, None).await;
    become_(5, State::Dead, 4, None).await;
    become_(6, State::Dead, 0, Some(Evidence::default())).await;
    become_(7, State::Healed, 4, None).await;
    let count = async |plight, most| {
        let (task, destination) = (task(), destination("d"));
        store.in_plight(&task, &destination, plight, most).await.unwrap()
    };
    for (plight, all) in [(Plight::Failing, 2), (Plight::Refused, 3), (Plight::Dead, 1)] {
        assert_eq!(count(plight, u64::MAX).await, all, "{plight:?}");
        assert_eq!(count(plight, 1).await, 1, "{plight:?}");
        let elsewhere = store.in_plight(&task(), &destination("e"), plight, 1).await.unwrap();
        assert_eq!(elsewhere, 0, "{plight:?}");
    }
}

pub async fn nothing_is_done_after_close(bed: &dyn Bed) {
    let store = bed.open().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    store.close().await;
    assert!(store.commit_scan(found(T0, [finding(2, 1)])).await.is_err());
    assert!(store.claim_any(request(T0)).await.is_err());
    assert!(store.counts().await.is_err());
    store.close().await;
    // Closed is closed: the next one need not wait until the first one is dropped.
    let next = bed.open().await;
    assert_eq!(open_states(&*next).await, [(State::Suspect, 1)]);
}

pub async fn many_callers_at_once_get_their_own_answers(bed: &dyn Bed) {
    let store = bed.open().await;
    let all = claimed(&*store, T0, (0..200).map(|key| finding(key, 1))).await;
    let work = all.into_iter().map(|d| {
        let store: Arc<dyn Store> = store.clone();
        async move {
            let key = d.key.as_bytes()[0];
            let p = message(&d, key, key, T0);
            assert_eq!(store.prepare(vec![p.clone()]).await.unwrap(), [d.id]);
            let done =
                Settlement { attempt: Some(attempt(&p, refused())), ..settlement(&d, State::Retry, T0) };
            store.settle(vec![done]).await.unwrap();
            let one = Finding { destination: destination("e"), ..finding(key, 1) };
            assert_eq!(store.commit_scan(found(T0, [one])).await.unwrap(), committed(1, 0, 0));
        }
    });
    join_all(work).await;
    let again = store.claim_any(request(T0)).await.unwrap();
    assert_eq!(again.len(), 200);
    for d in again {
        assert_eq!((d.body.as_deref(), d.attempts), (Some(d.key.as_bytes()), 1));
    }
}

pub async fn what_is_looked_at_and_what_is_called_are_claimed_separately(bed: &dyn Bed) {
    let store = bed.open().await;
    let looks = State::ALL.map(|state| matches!(state, State::Suspect | State::Verify));
    for (n, state) in State::ALL.into_iter().enumerate().filter(|(_, state)| state.is_open()) {
        let d = claimed(&*store, T0, [finding(u8::try_from(n).unwrap(), 1)]).await.remove(0);
        end(&*store, &d, state, T0 + S).await;
    }
    let due = async |work| store.next_due(&task(), &destination("d"), work).await.unwrap();
    assert_eq!((due(Work::Look).await, due(Work::Call).await), (Some(T0 + S), Some(T0 + S)));
    for work in [Work::Look, Work::Call] {
        let got = store.claim(ClaimRequest { work, ..request(T0 + S) }).await.unwrap();
        let states: Vec<State> = got.iter().map(|d| d.state).collect();
        let expected: Vec<State> = State::ALL
            .into_iter()
            .zip(looks)
            .filter(|(state, looks)| {
                state.is_open() && *state != State::Dead && *looks == (work == Work::Look)
            })
            .map(|(state, _)| state)
            .collect();
        assert_eq!(states, expected);
        assert_eq!(due(work).await, None);
    }
}

pub async fn what_confirming_knows_is_kept(bed: &dyn Bed) {
    let store = bed.open().await;
    let d = claimed(&*store, T0, [finding(1, 7)]).await.remove(0);
    assert_eq!(d.watch.as_deref(), Some([7].as_slice()), "from the finding that opened it");
    settle(&*store, Settlement { watch: Some(Box::from([8])), ..settlement(&d, State::Suspect, T0) }).await;
    // Found again with another difference: what is known already stays.
    store.commit_scan(found(T0, [finding(1, 9)])).await.unwrap();
    let d = claim_one(&*store, T0).await;
    assert_eq!(d.watch.as_deref(), Some([8].as_slice()));
    settle(&*store, settlement(&d, State::Dead, T0)).await;
    store.commit_scan(ScanCommit { due: T0 + S, ..found(T0, [finding(1, 5)]) }).await.unwrap();
    assert!(store.claim_any(request(T0)).await.unwrap().is_empty(), "not before it is due");
    assert_eq!(claim_one(&*store, T0 + S).await.watch.as_deref(), Some([5].as_slice()), "confirmed anew");
}

pub async fn notes_of_destinations_are_kept(bed: &dyn Bed) {
    let store = bed.open().await;
    let (d, e) = (destination("d"), destination("e"));
    assert_eq!(store.recall(&task(), &d, "wait").await.unwrap(), None);
    for value in ["5", "7"] {
        store.remember(&task(), &d, "wait", Some(value.to_owned())).await.unwrap();
        store.remember(&task(), &d, "other", Some(value.to_owned())).await.unwrap();
    }
    store.remember(&task(), &d, "other", None).await.unwrap();
    drop(store);
    let store = bed.open().await;
    assert_eq!(store.recall(&task(), &d, "wait").await.unwrap().as_deref(), Some("7"));
    assert_eq!(store.recall(&task(), &d, "other").await.unwrap(), None);
    assert_eq!(store.recall(&task(), &e, "wait").await.unwrap(), None);
}

pub async fn nothing_waits_longer_than_it_may(bed: &dyn Bed) {
    let store = bed.open().await;
    let got = claimed(&*store, T0, [finding(1, 1), finding(2, 1), finding(3, 1)]).await;
    for (d, due) in got.iter().zip([T0 + S, T0 + DAY, T0 + 2 * DAY]) {
        settle(&*store, Settlement { due, ..settlement(d, State::Retry, T0) }).await;
    }
    assert_eq!(store.bring_forward(Work::Look, T0).await.unwrap(), 0, "none of them waits for a look");
    assert_eq!(store.bring_forward(Work::Call, T0 + 2 * S).await.unwrap(), 2);
    assert_eq!(store.claim_any(request(T0 + S)).await.unwrap().len(), 1, "others stay as they are");
    let got = store.claim_any(request(T0 + 2 * S)).await.unwrap();
    assert_eq!(got.len(), 2);
    assert_eq!(store.bring_forward(Work::Call, T0 + 2 * S).await.unwrap(), 0);
    for (d, state) in got.iter().zip([State::Suspect, State::Verify]) {
        settle(&*store, Settlement { due: T0 + DAY, ..settlement(d, state, T0) }).await;
    }
    assert_eq!(store.bring_forward(Work::Call, T0).await.unwrap(), 1, "the first alone waits for a call");
    assert_eq!(store.bring_forward(Work::Look, T0 + 3 * S).await.unwrap(), 2);
}

fn covered(looks: Counts, facts: Facts) -> Covered {
    Covered { task: task(), destination: destination("d"), feed: Feed::Insert, looks, looked_at: T0, facts }
}

/// A look that showed this, and nothing else.
fn showed(now: i64, seen: Seen) -> ScanCommit {
    let covered = Some(covered(Counts::default(), Facts::default()));
    ScanCommit { covered, seen: Some(Seen { at: now, ..seen }), ..found(now, []) }
}

/// What stands against rows from `from` on, by word, sorted.
async fn stands(store: &dyn Store, from: Option<i128>) -> Vec<(&'static str, u64)> {
    let standing = store.standing(&task(), &destination("d"), from.map(RowId)).await.unwrap();
    assert!(!standing.unfit_more);
    let deliveries = standing.deliveries.iter().map(|s| (s.state.as_str(), s.count));
    let mut all: Vec<_> =
        deliveries.chain(standing.unfit.iter().map(|(why, n)| (why.as_str(), *n))).collect();
    all.sort_unstable();
    all
}

pub async fn what_was_covered_is_kept_with_the_cursor(bed: &dyn Bed) {
    let store = bed.open().await;
    let looks = Counts { rows: 5, same: 2, missing: 1, not_comparable: 2, null_key: 1, ..Counts::default() };
    let counted = Some(Counted { after: None, upto: Some(RowId(i128::from(u64::MAX))), rows: 4 });
    let facts = Facts {
        caught_up: true,
        settled: Some("id 7".into()),
        settled_at: Some(T0),
        told: true,
        uncovered: Some(3),
        ahead_s: Some(9),
        counted,
        unsettled: 1,
        ..Facts::default()
    };
    let commit = |covered| ScanCommit { cursors: vec![cursor("a")], covered: Some(covered), ..found(T0, []) };
    store.commit_scan(commit(covered(looks, facts.clone()))).await.unwrap();
    // Looks add up; the rest is as it is now, except what is asked for now and then only.
    let later = Facts { uncovered: None, ahead_s: None, unsettled: 0, ..facts.clone() };
    store.commit_scan(commit(covered(looks, later))).await.unwrap();
    drop(store);

    let store = bed.open().await;
    let mut twice = looks;
    twice.add(looks);
    let expected = covered(twice, Facts { unsettled: 0, ..facts });
    assert_eq!(store.coverage().await.unwrap(), [expected]);
    store.forget_cursors(&task(), Some(Feed::Update)).await.unwrap();
    assert_eq!(store.coverage().await.unwrap().len(), 1, "of another feed");
    store.forget_cursors(&task(), Some(Feed::Insert)).await.unwrap();
    assert_eq!(store.coverage().await.unwrap(), []);
}

pub async fn rows_that_cannot_be_compared_are_kept_until_they_can(bed: &dyn Bed) {
    let store = bed.open().await;
    let unfit = vec![
        (RowId(-5), None, Unfit::NullKey),
        (RowId(3), None, Unfit::NullKey),
        (RowId(i128::from(u64::MAX)), Some(Key::new([9])), Unfit::TooLarge),
    ];
    store.commit_scan(showed(T0, Seen { unfit: unfit.clone(), ..Seen::default() })).await.unwrap();
    // Seen again it is the same row.
    store.commit_scan(showed(T0 + 1, Seen { unfit, ..Seen::default() })).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("null_key", 2), ("too_large", 1)]);
    assert_eq!(stands(&*store, Some(0)).await, [("null_key", 1), ("too_large", 1)]);
    let agreed = |ids: &[i128]| Seen { agreed: ids.iter().copied().map(RowId).collect(), ..Seen::default() };
    store.commit_scan(showed(T0, agreed(&[3, 4]))).await.unwrap();
    assert_eq!(stands(&*store, Some(0)).await.len(), 2, "rows that were read before say nothing");
    store.commit_scan(showed(T0 + 2, agreed(&[3, 4]))).await.unwrap();
    assert_eq!(stands(&*store, Some(0)).await, [("too_large", 1)]);

    // Several rows of one key: until their delivery heals. One that is counted by its delivery is not counted twice.
    let several = |row| (RowId(row), Some(Key::new([1])), Unfit::Ambiguous);
    let seen = Seen { unfit: vec![several(1), several(2)], ..Seen::default() };
    let ambiguous = Finding { kind: DeliveryKind::Ambiguous, ..finding(1, 1) };
    let commit = ScanCommit { findings: vec![ambiguous], ..showed(T0 + 3, seen) };
    store.commit_scan(commit).await.unwrap();
    assert_eq!(stands(&*store, Some(0)).await, [("ambiguous", 2), ("suspect", 1), ("too_large", 1)]);
    let d = claim_one(&*store, T0 + 3).await;
    end(&*store, &d, State::Healed, T0 + 4).await;
    assert_eq!(stands(&*store, Some(0)).await, [("too_large", 1)]);
    store.forget_cursors(&task(), None).await.unwrap();
    assert_eq!(stands(&*store, None).await, []);
}

pub async fn what_was_handed_over_stands_until_it_is_seen_to_agree(bed: &dyn Bed) {
    let store = bed.open().await;
    for (n, d) in claimed(&*store, T0, [finding(1, 1), finding(2, 1), finding(3, 1)]).await.iter().enumerate()
    {
        let state = [State::Delivered, State::Closed, State::Dead][n];
        end(&*store, d, state, T0 + 10).await;
    }
    let all = [("closed", 1), ("dead", 1), ("delivered", 1)];
    assert_eq!(stands(&*store, None).await, all);
    assert_eq!(stands(&*store, Some(2)).await, [("closed", 1), ("dead", 1)]);
    store.commit_scan(agreed(T0 + 5, 1..=3)).await.unwrap();
    assert_eq!(stands(&*store, None).await, all, "what was read before a delivery ended says nothing of it");
    assert_eq!(store.commit_scan(found(T0 + 8, [finding(2, 1)])).await.unwrap(), committed(0, 1, 0));
    assert_eq!(stands(&*store, None).await, all);
    store.commit_scan(agreed(T0 + 20, 1..=3)).await.unwrap();
    assert_eq!(stands(&*store, None).await, []);
    // One that has a delivery of its own is counted by that alone.
    store.commit_scan(found(T0 + 40, [finding(1, 2), finding(2, 1)])).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("suspect", 2)]);
}

pub async fn a_complete_pass_leaves_out_what_it_has_not_met(bed: &dyn Bed) {
    let store = bed.open().await;
    for d in claimed(&*store, T0, [finding(1, 1), finding(2, 1)]).await {
        end(&*store, &d, State::Closed, T0 + 10).await;
    }
    let unfit = vec![(RowId(5), None, Unfit::NullKey), (RowId(6), None, Unfit::NullKey)];
    store.commit_scan(showed(T0, Seen { unfit, ..Seen::default() })).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("closed", 2), ("null_key", 2)]);
    // Later, a pass from row 2 on meets one of each kind; two are gone, and row 1 was none of its business.
    let later = T0 + 100 * S;
    let met = Seen { unfit: vec![(RowId(5), None, Unfit::NullKey)], ..Seen::default() };
    store.commit_scan(showed(later, met)).await.unwrap();
    let pass = |from| {
        let passed = Some(Pass { began: later, from });
        showed(later + S, Seen { passed, ..Seen::default() })
    };
    store.commit_scan(pass(Some(RowId(2)))).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("closed", 1), ("null_key", 1)]);
    let cursors = vec![Cursor { feed: Feed::Sweep, ..cursor("s") }];
    store.commit_scan(ScanCommit { cursors, ..found(later + 2 * S, [finding(1, 1)]) }).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("closed", 1), ("null_key", 1)]);
    store.commit_scan(pass(None)).await.unwrap();
    assert_eq!(stands(&*store, None).await, [("closed", 1), ("null_key", 1)], "it was met");
}
