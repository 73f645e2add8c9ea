//! Repair of what `cupid diff` finds: plans, `cupid repair`, and the way back.

use std::fs;

use cupid::config::Engine;
use serde_json::Value;

use crate::audit::{COLUMNS, at, nowhere, told};
use crate::support::daemon::{Ran, Site};
use crate::support::db::{Db, ENGINES};
use crate::support::pair::{Pair, TABLE};

mod caps;
mod files;
mod guards;
mod kill;
mod kinds;
mod stale;

/// Two tables and the folder of their plans.
struct Repair {
    site: Site,
    source: String,
    copy: String,
}

impl Repair {
    fn new(src: &Db, des: &Db, table: &str) -> Self {
        Self { site: nowhere(), source: at(src, table), copy: at(des, table) }
    }

    fn diff(&self, more: &[&str]) -> Ran {
        self.site.run(&[&["diff", &self.source, &self.copy, "--confirm", "0s"], more].concat())
    }

    /// Writes `plan.sql`.
    fn plan(&self, more: &[&str]) -> Ran {
        let _ = fs::remove_file(self.site.path("plan.sql"));
        let _ = fs::remove_file(self.site.path("plan.undo.sql"));
        let ran = self.diff(&[&["--plan", "plan.sql"], more].concat());
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
        ran
    }

    fn run(&self, file: &str, more: &[&str]) -> Ran {
        self.site.run(&[&["repair", file, &self.copy], more].concat())
    }

    /// Carries out `plan.sql` and returns the rows that were not written and the counts.
    fn repair(&self, more: &[&str]) -> (Vec<Value>, Value, Ran) {
        let ran = self.run("plan.sql", &[&["--json"], more].concat());
        let (rows, stats) = told(&ran);
        (rows, stats, ran)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.site.path(name)).unwrap()
    }
}

/// What was told of the rows: `result do key`.
fn results(rows: &[Value], key: &str) -> Vec<String> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut all: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                word(row, "result"),
                word(row, "do"),
                row["key"][key].as_str().unwrap_or("NULL")
            )
        })
        .collect();
    all.sort();
    all
}

/// Every column of every row, byte for byte.
async fn dump(db: &Db, table: &str, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let t = db.quote(table);
    let parts: Vec<String> = columns
        .iter()
        .map(|name| {
            let name = db.quote(name);
            match db.engine {
                Engine::MySql => format!("HEX(CAST(CONCAT({name}, '') AS BINARY))"),
                Engine::Postgres => format!("encode(convert_to({name}::text, 'UTF8'), 'hex')"),
                Engine::Sqlite => format!("typeof({name}) || ' ' || quote({name}) || ' ' || hex({name})"),
            }
        })
        .collect();
    let mut rows = db.texts(format!("SELECT {} FROM {t}", parts.join(", "))).await;
    rows.sort();
    rows
}

const WHOLE: [&str; 5] = ["id", "number", "name", "phone", "update_time"];

/// Every pair of engines: what is missing, differs and is extra is repaired, the copy then agrees, and the undo file brings
/// every byte back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_difference_is_repaired_and_taken_back_between_any_two_engines() {
    for (from, to) in ENGINES.iter().flat_map(|a| ENGINES.map(|b| (*a, b))) {
        let (Some(src), Some(des)) = (Db::new(from).await, Db::new(to).await) else { continue };
        let pair = Pair::of(src, des).await;
        pair.fill(1..=600).await;
        pair.lose(&[1, 300, 600]).await;
        pair.spoil(&[2, 599]).await;
        pair.fill_copy(5000).await;
        let before = dump(&pair.des, TABLE, &WHOLE).await;
        let r = Repair::new(&pair.src, &pair.des, TABLE);
        let more = [&["-k", "id"], &COLUMNS[..]].concat();
        let planned = r.plan(&more);
        assert_eq!(planned.code, Some(1), "{from} → {to}: {planned:?}");
        assert!(planned.stderr.contains("plan: 6 rows in plan.sql"), "{planned:?}");

        let (_, stats, dry) = r.repair(&["--dry-run", "--delete"]);
        assert_eq!(dry.code, Some(0), "{from} → {to}: {dry:?}");
        let counts = |stats: &Value| {
            ["inserted", "updated", "deleted", "already", "stale", "refused", "left"]
                .map(|name| stats[name].as_u64().unwrap())
        };
        assert_eq!(counts(&stats), [3, 2, 1, 0, 0, 0, 0]);
        assert_eq!(dump(&pair.des, TABLE, &WHOLE).await, before, "a dry run writes nothing");
        assert!(!r.site.path("plan.undo.sql").exists());

        let (rows, stats, ran) = r.repair(&[]);
        assert_eq!((ran.code, counts(&stats)), (Some(1), [3, 2, 0, 0, 0, 0, 1]), "{from} → {to}: {ran:?}");
        assert_eq!(results(&rows, "id"), ["left delete 5000"], "nobody said that it is to be deleted");
        let (_, stats, ran) = r.repair(&["--delete"]);
        assert_eq!((ran.code, counts(&stats)), (Some(0), [0, 0, 1, 5, 0, 0, 0]), "{from} → {to}: {ran:?}");
        let same = r.diff(&more);
        assert_eq!(same.code, Some(0), "{from} → {to}: {same:?}");

        let back = r.run("plan.undo.sql", &[]);
        assert_eq!(back.code, Some(0), "{from} → {to}: {back:?}");
        assert_eq!(dump(&pair.des, TABLE, &WHOLE).await, before, "{from} → {to}");
        // And the way back of the way back.
        let again = r.run("plan.undo.undo.sql", &[]);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(r.diff(&more).code, Some(0), "{from} → {to}");
    }
}
