//! What is sent is as fresh as it can be (invariant 3).

use std::time::Duration;

use super::{FRESH, Lane};
use crate::engine::feeder;
use crate::engine::look::{Sorted, look};
use crate::engine::pair::Pair;
use crate::model::Delivery;
use crate::sql::PlaceError;

/// How often a single row that takes long to read, and is another one after that, is read before it is sent.
const LOOKS: usize = 3;

impl Lane {
    /// Reads both sides of all that are claimed, and decides. An error says also when to try again.
    pub(super) async fn look(&self, claimed: Vec<Delivery>) -> Result<Sorted, (String, Duration)> {
        if self.places.is_event(self.destination) {
            return Ok(feeder::ready(claimed, &self.policy, self.clock.now()));
        }
        match self.look_until_fresh(claimed).await {
            Ok(sorted) => {
                self.status.place_works(&self.guard.task, "deliveries", &self.guard.destination);
                Ok(sorted)
            }
            Err(e) => Err(self.places.failed(&self.status, "deliveries", self.destination, &e)),
        }
    }

    /// Several rows that were read too slowly are given back by who sends them, and fewer are read the next time. Of a
    /// single one the source is asked at last whether it still is what the message says. What is another one each time
    /// goes out as it was read last.
    async fn look_until_fresh(&self, claimed: Vec<Delivery>) -> Result<Sorted, PlaceError> {
        let pair = self.places.pair(self.destination).await?;
        self.places.recheck(self.destination, FRESH).await?;
        let single = if let [single] = &claimed[..] { Some(single.clone()) } else { None };
        let mut began = self.clock.elapsed();
        let mut sorted = self.look_once(&pair, claimed).await?;
        let Some(single) = single else { return Ok(sorted) };
        for _ in 1..LOOKS {
            let Some(ready) = sorted.ready.first().filter(|_| !self.is_fresh(began)) else { break };
            if pair.still_says((single.row, &single.key), ready.prepared.sent).await? {
                break;
            }
            began = self.clock.elapsed();
            sorted = self.look_once(&pair, vec![single.clone()]).await?;
        }
        Ok(sorted)
    }

    async fn look_once(&self, pair: &Pair, claimed: Vec<Delivery>) -> Result<Sorted, PlaceError> {
        let sorted = look(pair, claimed, &self.policy, self.receiving(), || self.clock.now()).await?;
        // Of a source whose ids have begun anew, no row is gone and none is another.
        self.places.stands().await?;
        Ok(sorted)
    }
}
