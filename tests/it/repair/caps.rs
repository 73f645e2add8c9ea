//! How much one repair may change.

use cupid::config::Engine;

use super::{COLUMNS, Repair, dump};
use crate::support::pair::{Pair, TABLE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_refused_before_the_first_row() {
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill(1..=1000).await;
    pair.spoil(&(1..=150).collect::<Vec<_>>()).await;
    let before = dump(&pair.des, TABLE, &super::WHOLE).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
    for (more, says) in [
        (&[][..], "150 rows would be written, the copy has 1000, and at most 5% of them may be"),
        (&["--max-rows", "149"][..], "--max-rows 150"),
        (&["--max-ratio", "0.14"][..], "--max-ratio"),
        (&["--max-ratio", "0.14", "--dry-run"][..], "--max-ratio"),
    ] {
        let ran = r.run("plan.sql", more);
        assert!(ran.code == Some(2) && ran.stderr.contains(says), "{says:?} in {ran:?}");
        assert!(!r.site.path("plan.undo.sql").exists());
    }
    assert_eq!(dump(&pair.des, TABLE, &super::WHOLE).await, before);
    let ran = r.run("plan.sql", &["--max-ratio", "15%"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("150 rows planned: 150 updated"), "{ran:?}");

    // An empty copy has no rows to have a share of.
    let pair = Pair::new(Engine::Sqlite).await.unwrap();
    pair.fill_source(1..=101).await;
    let r = Repair::new(&pair.src, &pair.des, TABLE);
    r.plan(&[&["-k", "id"], &COLUMNS[..]].concat());
    assert_eq!(r.run("plan.sql", &["--max-ratio", "99%"]).code, Some(2));
    assert_eq!(r.run("plan.sql", &["--max-ratio", "100%"]).code, Some(0));
}
