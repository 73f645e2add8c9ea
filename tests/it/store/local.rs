//! What only the state in files can meet: other processes, damage, a disk that does not write, a process that is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cupid::model::State;
use cupid::store::local::{Holder, LocalStore, holder};
use cupid::store::{ScanCommit, Store, StoreErrorKind};
use futures_util::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::bed::*;
use crate::support::wait::{LIMIT, wait_for};

/// Somebody else at the file, as `sqlite3` on the command line is.
async fn other(path: &Path) -> SqliteConnection {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(true).disable_statement_logging();
    options.busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
}

pub(super) async fn plant(path: &Path, sql: &'static str) {
    let mut connection = other(path).await;
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

async fn refused_as(path: &Path) -> (StoreErrorKind, String) {
    let e = LocalStore::open(path).await.unwrap_err();
    (e.kind, e.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_new_enough() {
    let bed = Local::new();
    drop(bed.store().await);
    let version: String =
        sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut other(&bed.path()).await).await.unwrap();
    eprintln!("SQLite {version}");
    let parts: Vec<u32> = version.split('.').map(|p| p.parse().unwrap()).collect();
    assert!(parts.as_slice() >= &[3, 51, 3][..], "{version}");
}

/// Many calls share a transaction. `how` is what SQLite does to the one that cannot be applied.
async fn a_call_that_fails_harms_only_itself(how: &str) {
    let bed = Local::new();
    let store = bed.store().await;
    let trigger = format!(
        "CREATE TRIGGER planted BEFORE INSERT ON delivery WHEN NEW.key = x'0D' BEGIN SELECT RAISE({how}, 'planted'); END"
    );
    other(&bed.path()).await.execute(AssertSqlSafe(trigger)).await.unwrap();
    for round in 0..3 {
        let commits = (10..20_u8).map(|key| {
            // The bad finding comes last: what was written before it in the same call must go, too.
            let findings = [finding(key + 100, round), finding(key, round)];
            let cursors = vec![cursor(&format!("{key}-{round}"))];
            store.commit_scan(ScanCommit { cursors, ..found(T0, findings) })
        });
        let results = join_all(commits).await;
        for (key, result) in (10..).zip(results) {
            assert_eq!(result.is_err(), key == 13, "{how}, round {round}, key {key}: {result:?}");
        }
        let cursors = store.cursors().await.unwrap();
        assert!(!cursors[0].position.as_str().starts_with("13"), "{cursors:?}");
        assert_eq!(open_states(&store).await, [(State::Suspect, 18)], "{how}, round {round}");
    }
    plant(&bed.path(), "DROP TRIGGER planted").await;
    let opened = store.commit_scan(found(T0, [finding(13, 1)])).await.unwrap();
    assert_eq!(opened, committed(1, 0, 0), "works again by itself");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_refused_harms_only_itself() {
    a_call_that_fails_harms_only_itself("ABORT").await;
    a_call_that_fails_harms_only_itself("FAIL").await;
}

/// A full disk makes SQLite roll back the whole transaction by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_by_sqlite_itself_does_not_end_all_writing() {
    a_call_that_fails_harms_only_itself("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_who_is_gone_had_claimed_comes_back() {
    let bed = Local::new();
    let store = Arc::new(bed.store().await);
    store.commit_scan(found(T0, (1..=9).map(|key| finding(key, 1)))).await.unwrap();
    let mut blocker = other(&bed.path()).await;
    blocker.execute("BEGIN IMMEDIATE").await.unwrap();
    // One is being applied, one waits in the queue; nobody waits for either any more.
    for _ in 0..2 {
        let claim = store.claim_any(request(T0));
        assert!(tokio::time::timeout(Duration::from_millis(50), claim).await.is_err(), "is held up");
    }
    blocker.execute("ROLLBACK").await.unwrap();
    let all = wait_for("the claims have come back", LIMIT, async || {
        let got = store.claim_any(request(T0)).await.unwrap();
        (!got.is_empty()).then_some(got)
    })
    .await;
    assert_eq!(all.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_could_not_be_given_back_come_back_when_the_disk_does() {
    let bed = Local::new();
    let store = bed.store().await;
    let d = claimed(&store, T0, [finding(1, 1), finding(2, 1)]).await;
    plant(
        &bed.path(),
        "CREATE TRIGGER planted BEFORE UPDATE OF claimed_until ON delivery WHEN NEW.claimed_until IS NULL
         BEGIN SELECT RAISE(ROLLBACK, 'full'); END",
    )
    .await;
    assert!(store.release(d.iter().map(claim_of).collect(), T0, None).await.is_err());
    store.commit_scan(found(T0, [finding(3, 1)])).await.unwrap();
    plant(&bed.path(), "DROP TRIGGER planted").await;
    store.commit_scan(found(T0, [finding(4, 1)])).await.unwrap();
    assert_eq!(store.claim_any(request(T0)).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let bed = Local::new();
    let (path, pid) = (bed.path(), i32::try_from(std::process::id()).unwrap());
    assert_eq!(holder(&path), None);
    assert!(!path.with_extension("lock").exists(), "asking makes nothing");
    let store = bed.store().await;
    assert_eq!(holder(&path), Some(Holder { pid: Some(pid) }));
    let (kind, message) = refused_as(&path).await;
    assert_eq!(kind, StoreErrorKind::Locked);
    assert!(message.contains(&format!("process {pid}")) && message.contains("stop it first"), "{message}");
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    store.close().await;
    assert_eq!(holder(&path), None);
    // A process that was killed leaves its number, not its lock.
    fs::write(path.with_extension("lock"), "999999999\n").unwrap();
    assert_eq!(holder(&path), None);
    let store = bed.store().await;
    assert_eq!(holder(&path), Some(Holder { pid: Some(pid) }));
    drop(store);
    // A lock file that is locked and says nothing.
    let silent = fs::File::create(path.with_extension("lock")).unwrap();
    silent.lock().unwrap();
    assert_eq!(holder(&path), Some(Holder { pid: None }));
    assert!(refused_as(&path).await.1.contains("another process"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_the_holder_does_not_stop_a_start() {
    let bed = Local::new();
    let path = bed.path();
    // More often than any command does.
    let asking = async {
        loop {
            holder(&path);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let starting = async {
        for _ in 0..20 {
            let store = LocalStore::open(&path).await;
            store.unwrap().close().await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = starting => {}
    }
    // And one that is caught in the middle of it.
    let asked = fs::File::open(path.with_extension("lock")).unwrap();
    asked.lock_shared().unwrap();
    let start = LocalStore::open(&path);
    let ended = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.unlock().unwrap();
    };
    assert!(tokio::join!(start, ended).0.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_reads_beside_an_owner_and_writes_nothing() {
    let bed = Local::new();
    let path = bed.path();
    let e = LocalStore::view(&path).await.unwrap_err();
    assert_eq!(e.kind, StoreErrorKind::Unwritable);
    assert!(e.to_string().contains(&path.display().to_string()), "{e}");
    assert!(!path.exists());

    let store = bed.store().await;
    let view = LocalStore::view(&path).await.unwrap();
    for key in 1..=3 {
        store.commit_scan(found(T0, [finding(key, 1)])).await.unwrap();
        assert_eq!(open_states(&view).await, [(State::Suspect, u64::from(key))], "what is committed is seen");
    }
    assert!(view.commit_scan(found(T0, [finding(9, 1)])).await.is_err());
    assert!(view.claim_any(request(T0)).await.is_err());
    assert_eq!(store.claim_any(request(T0)).await.unwrap().len(), 3);
    store.close().await;
    assert_eq!(open_states(&view).await, [(State::Suspect, 3)], "also when the owner has gone");
    drop(view);
    let view = LocalStore::view(&path).await.unwrap();
    assert_eq!(open_states(&view).await, [(State::Suspect, 3)], "also without one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_does_not_end_does_not_hold_up_the_stop() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    let mut reader = other(&bed.path()).await;
    reader.execute("BEGIN").await.unwrap();
    reader.fetch_one("SELECT count(*) FROM delivery").await.unwrap();
    store.commit_scan(found(T0, [finding(2, 1)])).await.unwrap();
    let began = Instant::now();
    store.close().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let store = bed.store().await;
    assert_eq!(open_states(&store).await, [(State::Suspect, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stop_all_is_in_one_file_for_its_owner_only() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for file in [bed.path(), beside(&bed.path(), "-wal"), bed.path().with_extension("lock")] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    store.close().await;
    assert!(!beside(&bed.path(), "-wal").exists());
    let copy = bed.path().with_file_name("elsewhere.db");
    fs::copy(bed.path(), &copy).unwrap();
    assert_eq!(open_states(&LocalStore::open(&copy).await.unwrap()).await, [(State::Suspect, 1)]);
}

/// What `kill -9` or a power cut leaves: the database and a log, perhaps with a last piece that is torn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_left_behind_is_read_up_to_its_last_whole_commit() {
    let bed = Local::new();
    let store = bed.store().await;
    let wal = beside(&bed.path(), "-wal");
    let mut lengths = Vec::new();
    for key in 1..=10 {
        let cursors = vec![cursor(&key.to_string())];
        store.commit_scan(ScanCommit { cursors, ..found(T0, [finding(key, 1)]) }).await.unwrap();
        lengths.push(fs::metadata(&wal).unwrap().len());
    }
    assert_eq!(store.claim_any(request(T0)).await.unwrap().len(), 10);
    let (main, log) = (fs::read(bed.path()).unwrap(), fs::read(&wal).unwrap());
    let cuts = [
        (log.len() as u64, 10),
        (lengths[9], 10),
        (lengths[9] - 1, 9),
        (lengths[4] + 1000, 5),
        (lengths[0], 1),
    ];
    for (n, (length, commits)) in cuts.into_iter().enumerate() {
        let left = bed.path().with_file_name(format!("left-{n}.db"));
        fs::write(&left, &main).unwrap();
        fs::write(beside(&left, "-wal"), &log[..usize::try_from(length).unwrap()]).unwrap();
        let left = LocalStore::open(&left).await.unwrap();
        assert_eq!(left.cursors().await.unwrap()[0].position.as_str(), commits.to_string());
        assert_eq!(left.claim_any(request(T0)).await.unwrap().len(), commits, "claims of the dead are void");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_not_ours_are_refused_and_left_alone() {
    let bed = Local::new();
    let path = bed.path();
    let store = bed.store().await;
    store.commit_scan(found(T0, (0..200).map(|key| finding(key, 1)))).await.unwrap();
    store.close().await;
    let whole = fs::read(&path).unwrap();
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let foreign = {
        let path = path.with_file_name("foreign.db");
        plant(&path, "PRAGMA journal_mode = DELETE; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
            .await;
        fs::read(path).unwrap()
    };
    let numbered = {
        let path = path.with_file_name("numbered.db");
        plant(&path, "CREATE TABLE cursor (a); PRAGMA user_version = 1; PRAGMA application_id = 7").await;
        fs::read(path).unwrap()
    };
    let cases = [
        ("text", b"{ \"not\": \"a database\" }".to_vec(), StoreErrorKind::Corrupt),
        ("five bytes", b"SQLit".to_vec(), StoreErrorKind::Corrupt),
        ("only a header", whole[..100].to_vec(), StoreErrorKind::Corrupt),
        ("cut off", whole[..whole.len() / 2].to_vec(), StoreErrorKind::Corrupt),
        ("overwritten", patched(100, &[0xa5; 9000]), StoreErrorKind::Corrupt),
        ("of something else", foreign, StoreErrorKind::Corrupt),
        ("of something else with our number", numbered, StoreErrorKind::Corrupt),
        ("of a newer version", patched(60, &9999_u32.to_be_bytes()), StoreErrorKind::Newer),
    ];
    for (what, bytes, expected) in cases {
        fs::write(&path, &bytes).unwrap();
        let (kind, message) = refused_as(&path).await;
        assert_eq!(kind, expected, "{what}: {message}");
        assert!(message.contains(&path.display().to_string()), "{what}: {message}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: left as it was");
        assert_eq!(holder(&path), None, "{what}: the lock is given back");
        if expected == StoreErrorKind::Newer {
            assert_eq!(LocalStore::view(&path).await.unwrap_err().kind, expected, "{what}, to look at");
        }
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&path, suffix));
        }
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(open_states(&bed.store().await).await, [(State::Suspect, 200)], "a restored backup works");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_file_is_a_beginning() {
    let bed = Local::new();
    fs::write(bed.path(), "").unwrap();
    let store = bed.store().await;
    store.commit_scan(found(T0, [finding(1, 1)])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_are_made_or_named() {
    let bed = Local::new();
    let deep = bed.path().with_file_name("a/b/c/state.db");
    LocalStore::open(&deep).await.unwrap().close().await;
    assert!(deep.exists());
    // Rows of other people's tables lie there. A folder that was there is its owner's business.
    let mode = |folder: &Path| fs::metadata(folder).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(deep.parent().unwrap()), 0o700);
    let given = bed.path().with_file_name("given");
    fs::create_dir(&given).unwrap();
    fs::set_permissions(&given, fs::Permissions::from_mode(0o750)).unwrap();
    LocalStore::open(&given.join("state.db")).await.unwrap().close().await;
    assert_eq!(mode(&given), 0o750);
    // Not even root can make a folder below a file, or a file where a folder is.
    let below = deep.join("d/state.db");
    let (kind, message) = refused_as(&below).await;
    assert_eq!(kind, StoreErrorKind::Unwritable);
    assert!(message.contains(&below.parent().unwrap().display().to_string()), "{message}");
    assert_eq!(holder(&below), None);
    let folder = bed.path().with_file_name("folder.db");
    fs::create_dir(&folder).unwrap();
    assert!(refused_as(&folder).await.1.contains("folder.db"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_read_do_not_hold_up_the_others() {
    let bed = Local::new();
    let store = bed.store().await;
    store.commit_scan(found(T0, (1..=20).map(|key| finding(key, 1)))).await.unwrap();
    plant(
        &bed.path(),
        "UPDATE delivery SET state = 'unheard of' WHERE key = x'01';
         UPDATE delivery SET id = x'00' WHERE key = x'02';
         UPDATE delivery SET kind = 77 WHERE key = x'03';
         UPDATE delivery SET fingerprint = x'00' WHERE key = x'04';
         UPDATE delivery SET sent = x'' WHERE key = x'05';
         UPDATE delivery SET row_id = 'one' WHERE key = x'06';
         UPDATE delivery SET tries = -1 WHERE key = x'07';
         UPDATE delivery SET attempts = 'many' WHERE key = x'08';
         UPDATE delivery SET due = due - 0.5 WHERE key = x'09'",
    )
    .await;
    let got = store.claim_any(request(T0)).await.unwrap();
    let keys: Vec<u8> = got.iter().map(|d| d.key.as_bytes()[0]).collect();
    assert_eq!(keys, (9..=20).collect::<Vec<_>>());
    assert_eq!(open_states(&store).await, [(State::Dead, 8), (State::Suspect, 12)], "shown, not hidden");
    let note: String = sqlx::query_scalar("SELECT note FROM delivery WHERE key = x'03'")
        .fetch_one(&mut other(&bed.path()).await)
        .await
        .unwrap();
    assert!(note.contains("kind"), "{note}");
    assert!(store.claim_any(request(T0)).await.unwrap().is_empty());
    // A finding still lands on them.
    store.commit_scan(found(T0, [finding(4, 2)])).await.unwrap();
    assert_eq!(claim_one(&store, T0).await.fingerprint, [2; 16]);
}
