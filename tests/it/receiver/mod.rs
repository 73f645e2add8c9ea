//! Receivers that do everything receivers do: what must come of it, checked from their own journals.

mod answers;
mod batch;
mod breaker;
mod pace;
mod removed;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::daemon::Site;
use crate::support::db::Db;
use crate::support::pair::{Pair, repair};
use crate::support::receiver::{Answer, Call, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

/// What holds of every journal: one id is one text, revisions of a delivery never go back, attempts are counted.
fn check(calls: &[Call]) {
    let (mut texts, mut revisions, mut attempts) = (HashMap::new(), HashMap::new(), HashMap::new());
    for call in calls {
        let id = call.id().to_owned();
        assert_eq!(texts.entry(id.clone()).or_insert_with(|| call.body.clone()), &call.body, "{id}");
        let (delivery, revision) = id.rsplit_once('-').expect("a delivery and a revision");
        assert_eq!((delivery, revision), (call.header("cupid-delivery"), call.header("cupid-revision")));
        let (delivery, revision) = (delivery.to_owned(), revision.parse::<i64>().unwrap());
        let newest = revisions.entry(delivery.clone()).or_insert(revision);
        assert!(revision >= *newest, "{id} after revision {newest}");
        *newest = revision;
        let last = attempts.insert(delivery, call.attempt()).unwrap_or(0);
        assert!(call.attempt() > last, "attempt {} of {id} after {last}", call.attempt());
    }
}

/// Refuses everything until it is told to work; then it repairs.
struct Moody {
    receiver: Receiver,
    works: Arc<AtomicBool>,
    /// Calls open when each call arrived, itself among them, in order of arrival.
    open: Arc<std::sync::Mutex<Vec<usize>>>,
}

impl Moody {
    async fn new(des: &Db, refusal: Answer, takes: Duration) -> Self {
        let works = Arc::new(AtomicBool::new(false));
        let open: Arc<std::sync::Mutex<Vec<usize>>> = Arc::default();
        let now = Arc::new(AtomicUsize::new(0));
        let (des, mood, seen) = (des.clone(), works.clone(), open.clone());
        let receiver = Receiver::with(move |call| {
            let (des, refusal, now) = (des.clone(), refusal.clone(), now.clone());
            let works = mood.load(Ordering::SeqCst);
            seen.lock().unwrap().push(now.fetch_add(1, Ordering::SeqCst) + 1);
            async move {
                tokio::time::sleep(takes).await;
                if works {
                    repair(&des, &call).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                if works { Answer::Status(200) } else { refusal }
            }
        })
        .await;
        Self { receiver, works, open }
    }

    fn recovers(&self) {
        self.works.store(true, Ordering::SeqCst);
    }
}

/// A breaker that does in seconds what it does in minutes.
fn quick() -> Value {
    json!({ "pause": "1s", "max": "2s" })
}

async fn until(site: &Site, what: &str, sql: &str, wanted: i64) {
    wait_for(what, 2 * LIMIT, async || (state::try_number(site, sql).await? == wanted).then_some(())).await;
}

async fn until_healed(site: &Site, rows: i64) {
    let healed = "SELECT count(*) FROM delivery WHERE state = 'healed'";
    until(site, "every row is seen to agree", healed, rows).await;
}

async fn until_delivered(site: &Site, rows: i64) {
    let delivered = "SELECT count(*) FROM delivery WHERE state = 'delivered'";
    until(site, "every row is delivered", delivered, rows).await;
}

/// Rows that the copy does not have, more than one statement of the helper holds.
async fn many(pair: &Pair, count: i64) {
    pair.fill_source(1..=count).await;
}
