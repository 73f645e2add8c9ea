//! What is late is never reported, what is lost always is: beside a simulated canal whose journal knows which is which.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::canal::{Canal, Journal, row_of};
use crate::support::config::with;
use crate::support::daemon::{Daemon, Site};
use crate::support::pair::Pair;
use crate::support::receiver::{Call, Receiver};
use crate::support::state;
use crate::support::wait::wait_for;

mod answers;
mod lag;
mod load;
mod truncated;
mod update;
mod waiting;

/// Far beyond what is normal, also beside other tests.
const LIMIT: Duration = Duration::from_secs(90);

/// Tests that wait most of their time: all at once, each in a thread that bears its name.
#[test]
fn what_takes_its_time() {
    macro_rules! stories {
        ($($module:ident::$name:ident;)*) => {
            [$((stringify!($name), || in_its_time($module::$name()))),*]
        };
    }
    let stories: [(&str, fn()); 4] = stories! {
        lag::lag_that_jumps_is_waited_out_and_lost_rows_are_told_all_the_same;
        lag::what_a_replicator_leaves_behind_that_has_ended_is_worked_off;
        answers::an_answer_that_fixes_nothing_is_found_out_and_the_call_comes_again_as_a_new_message;
        answers::a_receiver_that_fixes_twenty_seconds_later_is_called_once;
    };
    let begin =
        |(name, story): (&str, fn())| thread::Builder::new().name(name.to_owned()).spawn(story).unwrap();
    let failed = stories.map(begin).into_iter().filter_map(|story| story.join().err()).count();
    assert_eq!(failed, 0, "of these tests failed, each as told above");
}

fn in_its_time(story: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(story);
}

/// A configuration under which `people` are told what needs them.
fn told(config: Value, people: &Receiver) -> Value {
    with(config, json!({ "pushbearSendKey": "key", "pushbearUrl": people.url() }))
}

/// How often people were told of `what`, a part of an alert's subject; that it is over does not count.
fn alerts(people: &Receiver, what: &str) -> usize {
    let subject = |call: &Call| call.path.replace('+', " ").replace("%20", " ");
    people.calls().iter().map(subject).filter(|s| s.contains(what) && !s.contains("recovered")).count()
}

/// Starts a daemon and waits until both feeds have caught up.
async fn start(site: &Site) -> Daemon {
    let mut daemon = site.start();
    let caught_up = |output: &str, feed: &str| {
        let feed = format!("feed={feed}");
        output.lines().any(|l| l.contains("caught up") && l.contains(&feed))
    };
    wait_for("both feeds have caught up", LIMIT, async || {
        let output = daemon.output();
        (caught_up(&output, "insert") && caught_up(&output, "update")).then_some(())
    })
    .await;
    assert!(daemon.running());
    daemon
}

/// Waits until all has arrived that will, all that stayed lost was called back, and all agree; then ends the daemon.
async fn end(
    daemon: &mut Daemon,
    site: &Site,
    pair: &Pair,
    canal: &Canal,
    receiver: &Receiver,
    stood: Duration,
) {
    daemon.until("the canal has copied everything", LIMIT, || canal.is_drained()).await;
    let journal = canal.journal();
    let (_, lost) = journal.lost(stood);
    daemon
        .until("everything that stayed lost is called back", LIMIT, || {
            journal.unreported(&lost, &receiver.calls()).is_empty()
        })
        .await;
    wait_for("all are seen to agree", LIMIT, async || {
        let open = "SELECT count(*) FROM delivery WHERE ended_at IS NULL";
        (state::try_number(site, open).await? == 0 && pair.differences().await.is_empty()).then_some(())
    })
    .await;
    let (status, _) = daemon.stop().await;
    assert!(status.success(), "{status}");
    let told = "SELECT count(*) FROM delivery WHERE attempts > 0 AND state <> 'healed'";
    assert_eq!(state::number(site, told).await, 0, "all that was called back is healed");
}

/// Prints what a run was like; the false calls of it.
fn describe(what: &str, journal: &Journal, calls: &[Call], stood: Duration) -> Vec<Call> {
    let lags = journal.lags(|_| true);
    let at = |per_mille: usize| {
        let lag =
            lags.get(lags.len() * per_mille / 1000).or_else(|| lags.last()).copied().unwrap_or_default();
        format!("{:.2} s", lag.as_secs_f64())
    };
    let (lost, stayed) = journal.lost(stood);
    let (wrong, excused) = journal.false_calls(calls);
    eprintln!(
        "{what}: {} changes, real lag p50 {} p99 {} max {}; {lost} lost, {} of them stayed lost; {} callbacks, \
         {} false, {excused} about rows that were mended between look and call",
        journal.changes.len(),
        at(500),
        at(990),
        at(1000),
        stayed.len(),
        calls.len(),
        wrong.len(),
    );
    let some = wrong.iter().take(2).chain(wrong.iter().skip(2).rev().take(2));
    for call in some {
        let (key, version) = row_of(call);
        let history = journal.changes.iter().filter(|c| c.key == key);
        let history: Vec<String> = history.map(|c| c.before(call.at)).collect();
        eprintln!("false: row {key} v{version}, seen from the call: {}", history.join(", "));
    }
    wrong
}
