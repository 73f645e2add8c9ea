//! What was sent in one call is looked at whole or not at all: else it could not go out again as it was.

use std::collections::HashSet;

use crate::engine::pair::{Looked, Pair};
use crate::model::{Batched, Delivery};
use crate::sql::PlaceError;

/// Reads both sides for all of `claimed` that there is room for, and for all of the batch that comes first.
pub(super) async fn read(pair: &Pair, claimed: &[Delivery]) -> Result<Vec<Option<Looked>>, PlaceError> {
    let wanted: Vec<_> = claimed.iter().map(|d| (d.row, &d.key)).collect();
    let mut looked = pair.look(&wanted).await?;
    let Some(first) = claimed.first().and_then(|d| d.batch) else { return Ok(looked) };
    let of_first: Vec<usize> = (0..claimed.len())
        .filter(|at| claimed[*at].batch.is_some_and(|batch| batch.id == first.id))
        .collect();
    loop {
        let rest: Vec<usize> = of_first.iter().copied().filter(|at| looked[*at].is_none()).collect();
        if rest.is_empty() {
            return Ok(looked);
        }
        let more: Vec<_> = rest.iter().map(|at| wanted[*at]).collect();
        for (at, more) in rest.into_iter().zip(pair.look(&more).await?) {
            looked[at] = more;
        }
    }
}

/// Which members of batches are left for the next time.
#[derive(Debug)]
pub(super) struct Whole {
    /// Batches of which a member could not be read.
    torn: HashSet<[u8; 16]>,
    /// The batch that goes.
    begun: Option<[u8; 16]>,
}

impl Whole {
    /// Of what is to be looked at: its batch, and whether it could be read.
    pub(super) fn of(all: impl Iterator<Item = (Option<Batched>, bool)>) -> Self {
        let torn = all.filter(|(_, read)| !read).filter_map(|(batch, _)| batch).map(|batch| batch.id);
        Self { torn: torn.collect(), begun: None }
    }

    /// Whether the next one goes. `room`: there is room for something new; members of a batch follow each other.
    pub(super) fn goes(&mut self, batch: Option<Batched>, room: bool) -> bool {
        let Some(Batched { id, .. }) = batch else {
            self.begun = None;
            return room;
        };
        if self.begun != Some(id) {
            self.begun = (room && !self.torn.contains(&id)).then_some(id);
        }
        self.begun == Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_whole_or_not_at_all() {
        let of = |id: u8| Some(Batched { id: [id; 16], place: 0, attempt: 1 });
        let all = [(of(1), true), (of(1), true), (of(2), true), (of(2), false), (None, true), (of(3), true)];
        let mut whole = Whole::of(all.into_iter());
        assert!(whole.goes(of(1), true));
        assert!(whole.goes(of(1), false), "it has begun");
        assert!(!whole.goes(of(2), true) && !whole.goes(of(2), true), "one of them could not be read");
        assert!(whole.goes(None, true));
        assert!(!whole.goes(of(3), false), "there is no room");
        assert!(!whole.goes(None, false));
    }
}
