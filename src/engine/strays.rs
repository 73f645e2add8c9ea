//! Deliveries whose destination is not in the configuration any more: nobody touches them, and people hear of them once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use super::{Places, StatusBoard, Stop};
use crate::model::{DestinationName, TaskName};
use crate::store::{LaneCount, Store};

/// How often is asked whether they still wait: people export and close them.
const AGAIN: Duration = Duration::from_secs(10);

/// How many open deliveries each lane has that nobody works on.
fn strays(counts: Vec<LaneCount>, is_known: impl Fn(&TaskName, &DestinationName) -> bool) -> Vec<LaneCount> {
    let mut found: BTreeMap<(String, String), LaneCount> = BTreeMap::new();
    for c in counts.into_iter().filter(|c| !is_known(&c.task, &c.destination)) {
        let key = (c.task.to_string(), c.destination.to_string());
        let (count, oldest) = (c.count, c.oldest);
        let sum = found.entry(key).or_insert(LaneCount { count: 0, ..c });
        (sum.count, sum.oldest) = (sum.count + count, sum.oldest.min(oldest));
    }
    found.into_values().collect()
}

/// Says what waits for nobody, as long as anything does.
pub(super) async fn watch(store: &Arc<dyn Store>, places: &Places, status: &StatusBoard, stop: &Stop) {
    let is_known = |task: &TaskName, destination: &DestinationName| {
        let task = places.tasks.iter().find(|known| known.config.name == *task);
        task.is_some_and(|task| task.config.destinations.iter().any(|known| known.name == *destination))
    };
    let mut found = None;
    loop {
        // Who cannot be read now says so elsewhere, and is asked again.
        match &mut found {
            None => {
                found = store.counts().await.ok().map(|counts| strays(counts, is_known));
                for LaneCount { task, destination, count, .. } in found.iter().flatten() {
                    warn!(%task, %destination, deliveries = count,
                        "deliveries wait for a destination that is not in the configuration, they are kept until it is back");
                }
            }
            Some(left) => {
                for stray in left.iter_mut() {
                    recount(store, stray).await;
                }
            }
        }
        if let Some(left) = &mut found {
            left.retain(|stray| say(status, stray));
            if left.is_empty() {
                return;
            }
        }
        tokio::select! {
            () = stop.intake.cancelled() => return,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

async fn recount(store: &Arc<dyn Store>, stray: &mut LaneCount) {
    let Ok(standing) = store.standing(&stray.task, &stray.destination, None).await else { return };
    stray.count = standing.deliveries.iter().filter(|s| s.state.is_open()).map(|s| s.count).sum();
}

/// Whether there is something to say.
fn say(status: &StatusBoard, stray: &LaneCount) -> bool {
    let LaneCount { task, destination, count, .. } = stray;
    if *count == 0 {
        info!(%task, %destination, "no delivery waits for this destination any more");
        status.waits_for_nobody(task, destination, None);
        return false;
    }
    let why = format!(
        "{count} open deliveries are for this destination, which is not in the configuration; they are kept as they \
         are, and go on when it is back under this name"
    );
    status.waits_for_nobody(task, destination, Some(&why));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;

    #[test]
    fn only_what_nobody_works_on_is_counted_by_lane() {
        let count = |task: &str, destination: &str, state, count, oldest| LaneCount {
            task: TaskName::new(task),
            destination: DestinationName::new(destination),
            state,
            count,
            oldest,
        };
        let counts = vec![
            count("a", "x", State::Main, 3, 5),
            count("a", "y", State::Main, 4, 7),
            count("a", "y", State::Slow, 5, 6),
            count("b", "x", State::Dead, 1, 9),
        ];
        let found = strays(counts, |task, destination| (task.as_str(), destination.as_str()) == ("a", "x"));
        let found: Vec<_> =
            found.iter().map(|c| (c.task.as_str(), c.destination.as_str(), c.count, c.oldest)).collect();
        assert_eq!(found, [("a", "y", 9, 6), ("b", "x", 1, 9)]);
    }
}
