//! Whole tables against each other: `cupid diff`.

use cupid::config::Engine;
use serde_json::{Value, json};

use crate::support::daemon::{Ran, Site};
use crate::support::db::Db;
use crate::support::pair::{Pair, TABLE};

mod config;
mod daemon;
mod digest;
mod keys;
mod live;

/// All but the time of the last change, which is another one on both sides.
pub const COLUMNS: [&str; 2] = ["--columns", "number,name,phone"];

/// A folder to run in; no configuration is needed.
pub fn nowhere() -> Site {
    Site::new(&json!({}))
}

/// The URL of a table.
pub fn at(db: &Db, table: &str) -> String {
    let url = db.url();
    let glue = if url.contains('?') { '&' } else { '?' };
    format!("{url}{glue}table={table}")
}

fn diff(site: &Site, source: &str, copy: &str, more: &[&str]) -> Ran {
    site.run(&[&["diff", source, copy], more].concat())
}

/// The objects for rows, and the one with the counts.
pub fn told(ran: &Ran) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {ran:?}")))
        .collect();
    let stats = lines.pop().unwrap_or_else(|| panic!("{ran:?}"));
    (lines, stats["stats"].clone())
}

/// Kind and key of each row, sorted.
fn kinds(rows: &[Value], key: &str) -> Vec<(String, String)> {
    let of = |row: &Value| {
        (row["kind"].as_str().unwrap().to_owned(), row["key"][key].as_str().unwrap().to_owned())
    };
    let mut kinds: Vec<_> = rows.iter().map(of).collect();
    kinds.sort();
    kinds
}

/// Every pair of engines: each kind of difference is found once, with the values of both sides, and the exit code says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_difference_is_found_between_any_two_engines() {
    for (from, to) in
        crate::support::db::ENGINES.iter().flat_map(|a| crate::support::db::ENGINES.map(|b| (*a, b)))
    {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        let pair = Pair::of(src, des).await;
        pair.fill(1..=3000).await;
        let site = nowhere();
        let (source, copy) = (at(&pair.src, TABLE), at(&pair.des, TABLE));
        let same = diff(&site, &source, &copy, &[&["-k", "id"], &COLUMNS[..]].concat());
        assert_eq!(same.code, Some(0), "{from} → {to}: {same:?}");
        assert!(same.stdout.contains("3 000 agree, no difference"), "{same:?}");

        pair.lose(&[1, 1500, 3000]).await;
        pair.spoil(&[2, 2999]).await;
        pair.fill_copy(5000).await;
        let ran =
            diff(&site, &source, &copy, &[&["-k", "id", "--json", "--confirm", "0s"], &COLUMNS[..]].concat());
        let (rows, stats) = told(&ran);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let wanted = [
            ("differs", "2"),
            ("differs", "2999"),
            ("extra", "5000"),
            ("missing", "1"),
            ("missing", "1500"),
            ("missing", "3000"),
        ];
        assert_eq!(
            kinds(&rows, "id"),
            wanted.map(|(kind, id)| (kind.to_owned(), id.to_owned())),
            "{from} → {to}"
        );
        let spoilt = rows.iter().find(|row| row["key"]["id"] == "2").unwrap();
        assert_eq!(spoilt["columns"], json!({ "name": { "src": "name 2", "des": "spoilt" } }));
        assert_eq!(
            (&stats["same"], &stats["missing"], &stats["differs"], &stats["extra"], &stats["rows_source"]),
            (&json!(2995), &json!(3), &json!(2), &json!(1), &json!(3000))
        );
        let lines =
            diff(&site, &source, &copy, &[&["-k", "id", "--rows", "--confirm", "0s"], &COLUMNS[..]].concat());
        for line in ["- id=1500\n", "+ id=5000\n", "~ id=2  name: \"name 2\" → \"spoilt\"\n"] {
            assert!(lines.stdout.contains(line), "{line:?} in {lines:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_call_is_said_without_secrets() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    let site = nowhere();
    let (source, copy) = (at(&pair.src, TABLE), at(&pair.des, TABLE));
    let says = |words: &[&str], code: i32, text: &str| {
        let ran = site.run(&[&["diff"], words].concat());
        assert!(ran.code == Some(code) && ran.stderr.contains(text), "{text:?} in {ran:?}");
        assert!(!ran.all().contains("canary"), "{ran:?}");
    };
    says(&[&source, "mysql://u:canary@127.0.0.1:1/shop"], 2, "COPY: the URL does not name a table");
    says(&[&source, "mysql://u:canary@127.0.0.1:1/shop?table=t"], 3, "127.0.0.1:1");
    says(&[&source, &at(&pair.des, "usr")], 2, "did you mean \"user\"?");
    says(&[&source, &copy, "-k", "nmber"], 2, "did you mean \"number\"?");
    says(&[&source, &copy, "--columns", "name=nam"], 2, "did you mean \"name\"?");
    pair.src.run("CREATE TABLE heap (a INTEGER)").await;
    says(&[&at(&pair.src, "heap"), &copy], 2, "name the columns that tell its rows apart with -k");
    // Empty tables agree.
    assert_eq!(diff(&site, &source, &copy, &[]).code, Some(0));
    // One side only.
    pair.fill_source(1..=10).await;
    let (rows, _) = told(&diff(&site, &source, &copy, &["--json", "--confirm", "0s"]));
    assert_eq!(rows.len(), 10);
    let (rows, _) = told(&diff(&site, &copy, &source, &["--json", "--confirm", "0s"]));
    assert!(rows.len() == 10 && rows.iter().all(|row| row["kind"] == "extra"));
}

/// Columns by other names, some left out, and only a part of the rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_and_rows_can_be_chosen() {
    let (src, des) = (Db::new(Engine::Sqlite).await.unwrap(), Db::new(Engine::Sqlite).await.unwrap());
    src.run("CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT, phone TEXT, city TEXT)").await;
    des.run("CREATE TABLE b (user_id INTEGER PRIMARY KEY, full_name TEXT, phone TEXT, note TEXT)").await;
    src.run("INSERT INTO a VALUES (1, 'x', '1', 'A'), (2, 'y', '2', 'B'), (3, 'z', '3', 'B'), (NULL, 'w', '4', 'C')").await;
    des.run(
        "INSERT INTO b VALUES (1, 'x', '1', ''), (2, 'other', '2', ''), (3, 'z', '0', ''), (4, 'w', '4', '')",
    )
    .await;
    let site = nowhere();
    let (a, b) = (at(&src, "a"), at(&des, "b"));
    let found = |more: &[&str]| {
        let ran = diff(&site, &a, &b, &[&["-k", "id=user_id", "--json", "--confirm", "0s"], more].concat());
        let (rows, _) = told(&ran);
        (kinds(&rows, "id").into_iter().map(|(kind, id)| format!("{kind} {id}")).collect::<Vec<_>>(), ran)
    };
    let (rows, ran) = found(&[]);
    assert_eq!(rows, ["differs 3"], "phone is all that both have by the same name");
    for note in ["only the source has name, city", "only the copy has full_name, note"] {
        assert!(ran.stderr.contains(note), "{ran:?}");
    }
    assert_eq!(found(&["--columns", "name=full_name,phone"]).0, ["differs 2", "differs 3"]);
    assert_eq!(found(&["--ignore-columns", "phone"]).0, Vec::<String>::new());
    assert_eq!(
        found(&["--columns", "name=full_name", "-w", "id < 3", "--where-copy", "user_id < 3"]).0,
        ["differs 2"]
    );
}

/// A code says what was found; when nobody has read it to the end it must not say that nothing was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_before_the_end_is_not_told_that_all_agree() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=9).await;
    pair.spoil(&[1, 2, 3]).await;
    let site = nowhere();
    let (source, copy) = (at(&pair.src, TABLE), at(&pair.des, TABLE));
    let mut child = std::process::Command::new(crate::support::daemon::program())
        .args(["diff", &source, &copy, "-k", "id", "--rows", "--confirm", "1s"])
        .current_dir(site.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(4), "{said}");
    assert!(said.contains("standard output cannot be written"), "{said}");
}
