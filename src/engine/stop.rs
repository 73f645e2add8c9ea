//! Stopping in order: intake first, then delivery, then what is left open is given up as unknown.

use tokio_util::sync::CancellationToken;

/// The tokens of one run of the engine; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// No new reads, no new claims.
    pub intake: CancellationToken,
    /// Calls that are still open are recorded as of unknown outcome.
    pub delivery: CancellationToken,
}
