//! Starting, stopping, starting again: what is kept, what is refused, and where a start begins.

use std::collections::BTreeMap;
use std::time::Duration;

use cupid::config::Engine;
use serde_json::json;

use crate::support::config::with;
use crate::support::daemon::Site;
use crate::support::pair::{Pair, id_of, ids_of};
use crate::support::receiver::{Answer, Receiver};
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for, wait_until};

/// What supervisord's `stopwaitsecs=2` allows.
const STOP_LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_is_quick_and_the_next_start_goes_on() {
    let Some(pair) = Pair::new(Engine::MySql).await else { return };
    let rows = 1500;
    pair.fill_source(1..=rows).await;
    let working = Receiver::with(async |_| Answer::After(Duration::from_millis(20), 200)).await;
    let hanging = Receiver::with(async |_| Answer::Hang).await;
    let mut config = with(pair.inserts(&working.url()), json!({ "verify": false }));
    config["des"].as_array_mut().unwrap().push(pair.copy(&hanging.url()));
    let site = Site::new(&config);

    let mut stops = 0;
    let mut daemon = site.start();
    for count in [50, 200, 400] {
        daemon.until("calls are being made", LIMIT, || working.count() >= count && hanging.open() > 0).await;
        let (status, took) = daemon.stop().await;
        assert!(status.success(), "{status}\n{}", daemon.output());
        assert!(took < STOP_LIMIT, "{took:?}\n{}", daemon.output());
        stops += 1;
        daemon = site.start();
    }
    let expected: Vec<i64> = (1..=rows).collect();
    daemon
        .until("every row is called back", Duration::from_secs(120), || {
            let mut ids = ids_of(&working.calls());
            ids.dedup();
            ids == expected
        })
        .await;
    // A call that was open at a stop may come again, as the same message; nothing else comes twice.
    let mut by_row: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for call in working.calls() {
        by_row.entry(id_of(&call)).or_default().push(call.id().to_owned());
    }
    let twice: Vec<_> = by_row.values().filter(|ids| ids.len() > 1).collect();
    eprintln!("{stops} stops, {} calls came again", twice.len());
    assert!(twice.iter().all(|ids| ids.iter().all(|id| *id == ids[0])), "{twice:?}");
    assert!(twice.len() <= stops * 100, "only what was open: {}", twice.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_daemon_on_the_same_state_is_refused() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    let mut first = site.start();
    pair.fill_source(1..=1).await;
    first.until("the first works", LIMIT, || receiver.count() == 1).await;

    let second = site.run(&["-c", "{c}"]);
    assert_eq!(second.code, Some(5), "{second:?}");
    assert!(second.all().contains(&first.pid().to_string()), "names who holds it: {second:?}");
    let next = format!("cupid stop -c {}", site.config.display());
    assert!(second.all().contains(&next), "names the next step: {second:?}");

    pair.fill_source(2..=2).await;
    first.until("the first goes on", LIMIT, || receiver.count() == 2).await;
    // `cupid stop` ends it and waits for that.
    let stopped = site.run(&["stop", "-c", "{c}"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(!first.running(), "stop waits for the end");
    // A lock left behind by a killed daemon stops nobody.
    let mut third = site.start();
    pair.fill_source(3..=3).await;
    third.until("the third works", LIMIT, || ids_of(&receiver.calls()).contains(&3)).await;
    third.kill();
    let mut fourth = site.start();
    pair.fill_source(4..=4).await;
    fourth.until("the fourth works", LIMIT, || ids_of(&receiver.calls()).contains(&4)).await;
}

/// Secrets are the daemon's: whoever asks it or stops it from another shell does not have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_stop_need_no_secret() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let mut config = with(pair.inserts(&receiver.url()), json!({ "verify": false }));
    config["src"]["dsn"] = "${CUPID_TEST_DSN}".into();
    config["des"][0]["callbackNotification"]["secret"] = "${CUPID_TEST_KEY}".into();
    let mut site = Site::new(&config);
    site.env("CUPID_TEST_DSN", pair.src.url())
        .env("CUPID_TEST_KEY", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz");
    let mut daemon = site.start();
    pair.fill_source(1..=1).await;
    daemon.until("it works", LIMIT, || receiver.count() == 1).await;

    site.forget_env();
    let said = site.run(&["status", "-c", "{c}"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = [&format!("process {}", daemon.pid()), " rows"];
    assert!(expected.iter().all(|word| said.stdout.contains(*word)), "{said:?}");
    let check = site.run(&["check", "-c", "{c}"]);
    assert!(check.code == Some(2) && check.all().contains("CUPID_TEST_KEY"), "{check:?}");
    let stopped = site.run(&["stop", "-c", "{c}"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(!daemon.running());
}

/// DESIGN section 7: saved progress wins while `-s` is what it was saved under; another `-s` starts there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_id_and_saved_progress() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=100).await;
    let receiver = pair.repairer().await;
    let mut site = Site::new(&pair.inserts(&receiver.url()));
    let mut next = 101;
    // Starts with these words, and says which old rows were called back before a row that is certainly called back.
    let mut round = async |words: &[&str]| {
        site.set_args(words);
        let called = receiver.count();
        pair.fill_source(next..=next).await;
        let mut daemon = site.start();
        daemon
            .until("the new row is called back", LIMIT, || {
                receiver.calls()[called..].iter().any(|c| id_of(c) == next)
            })
            .await;
        let (status, _) = daemon.stop().await;
        assert!(status.success(), "{status}");
        let mut old = ids_of(&receiver.calls()[called..]);
        old.retain(|id| *id != next);
        next += 1;
        old
    };

    pair.lose(&[49, 50, 51]).await;
    assert_eq!(round(&["-s", "50"]).await, [50, 51], "the first start begins at -s, inclusive");
    pair.lose(&[60]).await;
    assert_eq!(round(&["-s", "50"]).await, [0_i64; 0], "the same -s again: saved progress wins");
    assert_eq!(round(&[]).await, [0_i64; 0], "no -s: saved progress wins");
    assert_eq!(round(&["--startId", "10"]).await, [49, 60], "another -s starts there");
    pair.lose(&[70]).await;
    assert_eq!(round(&["-s", "10"]).await, [0_i64; 0], "and is saved in turn");
    assert_eq!(round(&["-s", "1"]).await, [70]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_start_id_the_insert_feed_begins_at_the_smallest() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(-3..=20).await;
    pair.lose(&[-3, 1, 20]).await;
    let receiver = pair.repairer().await;
    let site = Site::new(&pair.inserts(&receiver.url()));
    let mut daemon = site.start();
    daemon.until("all are called back", LIMIT, || receiver.count() >= 3).await;
    assert_eq!(ids_of(&receiver.calls()), [-3, 1, 20]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_several_tasks_another_start_id_needs_the_task() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=9).await;
    let receiver = pair.repairer().await;
    let legacy = pair.inserts(&receiver.url());
    let task = json!({ "src": legacy["src"], "des": legacy["des"] });
    let mut site = Site::new(&json!({ "workerNumber": 4, "tasks": { "one": task, "two": task } }));
    site.args(&["-s", "1"]);
    let mut daemon = site.start();
    wait_for("both tasks have progress", LIMIT, async || {
        (state::try_number(&site, "SELECT count(DISTINCT task) FROM cursor").await? == 2).then_some(())
    })
    .await;
    daemon.stop().await;

    let refused = site.run(&["-c", "{c}", "-s", "5"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.all().contains("--task"), "{refused:?}");

    pair.lose(&[4, 5, 6]).await;
    site.set_args(&["-s", "5", "--task", "two"]);
    let mut daemon = site.start();
    pair.fill_source(10..=10).await;
    daemon
        .until("all are called back", LIMIT, || {
            [5, 6, 10].iter().all(|id| ids_of(&receiver.calls()).contains(id))
        })
        .await;
    daemon.stop().await;
    let mut of_two: Vec<i64> =
        receiver.calls().iter().filter(|c| c.header("cupid-task") == "two").map(id_of).collect();
    of_two.sort_unstable();
    assert!(of_two.starts_with(&[5, 6]), "{of_two:?}");
    assert!(!ids_of(&receiver.calls()).contains(&4));
}

/// The unit's folders win over places below the temporary folder, so progress survives a stop, a start and a boot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_units_folders_keep_progress() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=20).await;
    let receiver = pair.repairer().await;
    let mut config = pair.inserts(&receiver.url());
    let tmp = std::env::temp_dir().display().to_string();
    config["src"]["cacheFilePath"] = tmp.clone().into();
    config["logDir"] = tmp.clone().into();
    let mut site = Site::new(&config);
    let (states, logs) = (site.path("var-lib"), site.path("var-log"));
    for folder in [&states, &logs] {
        std::fs::create_dir(folder).unwrap();
    }
    site.env("STATE_DIRECTORY", states.display().to_string())
        .env("LOGS_DIRECTORY", logs.display().to_string());
    site.args(&["-s", "1"]);

    pair.lose(&[3]).await;
    let mut daemon = site.start();
    daemon.until("the lost row is called back", LIMIT, || receiver.count() >= 1).await;
    let (status, _) = daemon.stop().await;
    assert!(status.success());
    assert!(state::file(&site).starts_with(&states), "{:?}", state::file(&site));
    assert!(std::fs::read_dir(&logs).unwrap().next().is_some(), "the log is in its folder");
    let notes = daemon.output();
    assert!(notes.contains(&states.display().to_string()), "a log line says where: {notes}");

    pair.lose(&[4]).await;
    let mut daemon = site.start();
    pair.fill_source(21..=21).await;
    daemon.until("the new row is called back", LIMIT, || ids_of(&receiver.calls()).contains(&21)).await;
    assert_eq!(ids_of(&receiver.calls()), [3, 21], "went on behind the old rows");

    // And somebody is told who lets the state lie in a temporary folder.
    let site = Site::new(&config);
    let checked = site.run(&["check", "-c", "{c}"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.all().contains("temporary"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_of_the_same_name_in_two_folders_do_not_share_state() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill(1..=5).await;
    pair.lose(&[2]).await;
    let receiver = Receiver::answering(200).await;
    let shared = Site::new(&json!({}));
    let config = with(
        pair.inserts(&receiver.url()),
        json!({ "verify": false, "state": shared.path("").display().to_string() }),
    );
    let (one, two) = (Site::new(&config), Site::new(&config));
    let mut daemons = [one.start(), two.start()];
    for daemon in &mut daemons {
        daemon.until("each tells the difference", LIMIT, || receiver.count() >= 2).await;
    }
    for daemon in &mut daemons {
        assert!(daemon.running(), "{}", daemon.output());
    }
    assert_eq!(state::files(&shared, "db").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_finds_and_sends_nothing() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=3).await;
    let receiver = Receiver::answering(200).await;
    let mut site = Site::new(&pair.inserts(&receiver.url()));
    site.args(&["--dry-run"]);
    let mut daemon = site.start();
    wait_for("the differences are found", LIMIT, async || {
        (state::try_number(&site, "SELECT count(*) FROM delivery").await? == 3).then_some(())
    })
    .await;
    assert!(daemon.running());
    daemon.stop().await;
    assert_eq!((receiver.count(), receiver.connections()), (0, 0));
}

/// A second signal does not wait for open calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    pair.fill_source(1..=3).await;
    let receiver = Receiver::with(async |_| Answer::Hang).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "stop": "8s" })));
    for signal in ["TERM", "INT", "QUIT"] {
        let called = receiver.count();
        let mut daemon = site.start();
        daemon.until("a call is open", LIMIT, || receiver.count() > called && receiver.open() > 0).await;
        let began = std::time::Instant::now();
        daemon.signal(signal);
        daemon.wait_output("stopping").await;
        // Until it counts: what comes at the heels of the first one is taken for its echo.
        wait_until("it ends", LIMIT, || {
            let running = daemon.running();
            if running {
                daemon.signal(signal);
            }
            !running
        })
        .await;
        assert!(began.elapsed() < STOP_LIMIT, "{signal}: {:?}\n{}", began.elapsed(), daemon.output());
    }
}

/// HUP looks at the file and says what it found; the daemon goes on either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hup_checks_the_file_and_the_daemon_goes_on() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let site = Site::new(&with(pair.inserts(&receiver.url()), json!({ "verify": false })));
    let mut daemon = site.start();
    for id in 1..=2 {
        pair.fill_source(id..=id).await;
        daemon.until("it works", LIMIT, || ids_of(&receiver.calls()).contains(&id)).await;
        let lines = daemon.output().lines().count();
        daemon.signal("HUP");
        daemon
            .until("the look is logged", LIMIT, || {
                std::fs::read_to_string(site.path("output")).unwrap().lines().count() > lines
            })
            .await;
        std::fs::write(&site.config, "{ \"src\": nonsense }").unwrap();
    }
    daemon.wait_output("ERROR").await;
    pair.fill_source(3..=3).await;
    daemon.until("it goes on", LIMIT, || ids_of(&receiver.calls()).contains(&3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_is_told_when_it_is_ready_and_when_it_stops() {
    let pair = Pair::new(Engine::Sqlite).await.expect("SQLite is always there");
    let receiver = Receiver::answering(200).await;
    let mut site = Site::new(&pair.inserts(&receiver.url()));
    let address = site.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    site.env("NOTIFY_SOCKET", address.display().to_string());
    let mut daemon = site.start();
    let told = async |word: &str| {
        let mut buffer = [0; 1000];
        loop {
            let n = tokio::task::block_in_place(|| socket.recv(&mut buffer)).expect("systemd is told");
            if String::from_utf8_lossy(&buffer[..n]).lines().any(|l| l == word) {
                return;
            }
        }
    };
    told("READY=1").await;
    daemon.signal("TERM");
    told("STOPPING=1").await;
    assert!(daemon.wait().await.success());
}
