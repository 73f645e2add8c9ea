//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// How long a condition may take to come true unless a test says otherwise: far beyond what is normal, so that only
/// something broken runs into it.
pub const LIMIT: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `condition` gives a value; panics with `what` after `limit`.
pub async fn wait_for<T>(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} in vain until {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks until `condition` holds; panics with `what` after `limit`.
pub async fn wait_until(what: &str, limit: Duration, condition: impl FnMut() -> bool) {
    wait_until_or(limit, condition, || what.to_owned()).await;
}

/// [`wait_until`] whose message is made when it is needed and can show what there was instead.
pub async fn wait_until_or(limit: Duration, mut condition: impl FnMut() -> bool, what: impl Fn() -> String) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < limit, "waited {limit:?} in vain until {}", what());
        tokio::time::sleep(PAUSE).await;
    }
}
