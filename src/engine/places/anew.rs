//! Whether the ids of a task's source go on where its insert feed stands. If they have begun anew, nothing that is known
//! of its rows holds: everything waits until the rows are back, or a person says that it is meant.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::TaskPlaces;
use crate::model::Position;
use crate::source::Source;
use crate::sql::{PlaceError, PlaceErrorKind};

/// While everything waits, how often is asked whether it may go on.
const ASK: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(super) struct Standing {
    known: Mutex<Known>,
    asking: tokio::sync::Mutex<()>,
}

struct Known {
    /// By destination: the durable position of the insert feed.
    at: Vec<Option<Position>>,
    /// When was last asked; `None`: not since the start.
    asked: Option<Instant>,
    /// Why everything waits.
    anew: Option<PlaceError>,
    /// That was so, and what happened meanwhile has still to be looked for.
    missed: bool,
}

impl Standing {
    pub(super) fn new(destinations: usize) -> Self {
        let known = Known { at: vec![None; destinations], asked: None, anew: None, missed: false };
        Self { known: Mutex::new(known), asking: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What was answered lately; `None`: it is time to ask.
    fn answer(&self) -> Option<Result<(), PlaceError>> {
        match (&self.anew, self.asked) {
            (Some(why), Some(asked)) => (asked.elapsed() < ASK).then(|| Err(why.again())),
            (_, asked) => asked.map(|_| Ok(())),
        }
    }
}

impl TaskPlaces {
    /// The insert feed of a destination stands there.
    pub(in crate::engine) fn inserts_at(&self, destination: usize, position: &Position) {
        if let Some(at) = self.standing.known().at.get_mut(destination) {
            *at = Some(position.clone());
        }
    }

    /// Asks whether the ids go on, now: for whoever is about to act on rows that were just read.
    ///
    /// # Errors
    /// Of kind `Anew` if they do not; then everything waits.
    pub(in crate::engine) async fn stands(&self) -> Result<(), PlaceError> {
        let source = self.source().await?;
        self.ask(&source).await
    }

    /// As [`TaskPlaces::stands`], but asks only for the first time, and while everything waits.
    pub(super) async fn must_stand(&self, source: &Arc<dyn Source>) -> Result<(), PlaceError> {
        if let Some(answer) = self.standing.known().answer() {
            return answer;
        }
        let _asking = self.standing.asking.lock().await;
        if let Some(answer) = self.standing.known().answer() {
            return answer;
        }
        self.ask(source).await
    }

    async fn ask(&self, source: &Arc<dyn Source>) -> Result<(), PlaceError> {
        let at: Vec<Position> = self.standing.known().at.iter().flatten().cloned().collect();
        let answer = if at.is_empty() { Ok(()) } else { source.stands(&at).await };
        match answer {
            Ok(()) => {
                let mut known = self.standing.known();
                (known.anew, known.asked) = (None, Some(Instant::now()));
                Ok(())
            }
            Err(e) => Err(self.hold(e)),
        }
    }

    /// Lets everything wait if this says that the ids have begun anew. Returns it with the way out.
    pub(in crate::engine) fn hold(&self, e: PlaceError) -> PlaceError {
        if e.kind != PlaceErrorKind::Anew {
            return e;
        }
        let mut known = self.standing.known();
        (known.asked, known.missed) = (Some(Instant::now()), true);
        let message = format!(
            "{}; bring its rows back, or start once with `--restart {}` to begin again with what is there",
            e.message, self.config.name
        );
        known.anew.insert(PlaceError { message, ..e }).again()
    }

    /// What stood behind the names of both tables when they were looked at last; `None`: they were not yet.
    pub(in crate::engine) fn incarnation(&self, destination: usize) -> Option<String> {
        let Some(pair) = self.pairs[destination].last() else {
            return Some(
                self.source.last().filter(|_| self.is_event(destination))?.incarnation().to_string(),
            );
        };
        Some(format!("{}, {}", pair.source.incarnation(), pair.destination.incarnation()))
    }

    /// Whether everything had to wait: what happened meanwhile was not seen. `true` until [`TaskPlaces::looks_for_missed`].
    pub(in crate::engine) fn has_missed(&self) -> bool {
        self.standing.known().missed
    }

    /// Everything will be walked over.
    pub(in crate::engine) fn looks_for_missed(&self) {
        self.standing.known().missed = false;
    }
}
