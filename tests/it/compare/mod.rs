//! The comparison suite: what is the same, what differs, what cannot be told, for every pair of engines.
//!
//! The cases stand in tables ([`numbers`], [`texts`], [`times`], [`kinds`], [`policies`], [`keys`]); each runs on real servers through
//! the engine's own way of a row (read, look up, judge), and once more through the whole rows that are read before an
//! attempt. A case states what is right; it is never bent to what the code does.

mod bench;
mod case;
mod digests;
mod key_bench;
mod keys;
mod kinds;
mod large;
mod numbers;
mod policies;
mod several;
mod texts;
mod times;

use cupid::config::Engine;
use futures_util::future::join_all;

use crate::support::db::{Db, ENGINES};
use case::Group;

/// All ordered pairs of engines.
fn pairs() -> impl Iterator<Item = (Engine, Engine)> {
    ENGINES.into_iter().flat_map(|from| ENGINES.into_iter().map(move |to| (from, to)))
}

/// Two empty databases for a pair; `None` after a loud skip.
async fn databases((from, to): (Engine, Engine)) -> Option<(Db, Db)> {
    let (src, des) = (Db::new(from).await?, Db::new(to).await?);
    for db in [&src, &des] {
        if db.engine == Engine::Postgres {
            db.run(
                "CREATE TYPE mood AS ENUM ('sad', 'o''k'); CREATE DOMAIN short AS varchar(9); \
                 CREATE COLLATION folds (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            )
            .await;
        }
    }
    Some((src, des))
}

/// Prints what ran and fails with everything that is wrong.
fn conclude(what: &str, results: Vec<Option<(usize, Vec<String>)>>) {
    let ran: Vec<(usize, Vec<String>)> = results.into_iter().flatten().collect();
    let cases: usize = ran.iter().map(|(cases, _)| cases).sum();
    let wrong: Vec<&str> = ran.iter().flat_map(|(_, wrong)| wrong).map(String::as_str).collect();
    eprintln!("{what}: {cases} cases over {} pairs of engines, {} wrong verdicts", ran.len(), wrong.len());
    assert!(wrong.is_empty(), "{} wrong verdicts:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_on_every_pair() {
    let groups: Vec<&Group> =
        [numbers::GROUPS, texts::GROUPS, times::GROUPS, kinds::GROUPS, policies::GROUPS]
            .into_iter()
            .flatten()
            .collect();
    let groups = &groups;
    let runs = pairs().map(|pair| async move {
        let (src, des) = databases(pair).await?;
        Some(bench::run(&src, &des, groups).await)
    });
    conclude("values", join_all(runs).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn digests_on_every_pair_of_servers() {
    let groups: Vec<&Group> =
        [numbers::GROUPS, texts::GROUPS, times::GROUPS, kinds::GROUPS].into_iter().flatten().collect();
    let groups = &groups;
    let servers = pairs().filter(|(from, to)| *from != Engine::Sqlite && *to != Engine::Sqlite);
    let runs = servers.map(|pair| async move {
        let (src, des) = databases(pair).await?;
        Some(Box::pin(digests::run(&src, &des, groups)).await)
    });
    conclude("digests", join_all(runs).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_on_every_pair() {
    let runs = pairs().map(|pair| async move {
        let (src, des) = databases(pair).await?;
        Some(key_bench::run(&src, &des, keys::KEYS).await)
    });
    conclude("keys", join_all(runs).await);
}
