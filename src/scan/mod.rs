//! When to look, and how much at a time: pure decisions about feeds.
//!
//! Each (task, feed, destination) is a *lane* with a cursor of its own. Lanes that have caught up share one read of
//! the source; one that is behind, or whose destination cannot be reached, is read for separately until it has
//! caught up.
//!
//! Slow feeds go over everything in passes ([`Walk`]) and rest most of the time.

mod agreed;
mod pace;
mod plan;
mod start;
mod walk;

pub use agreed::Agreed;
pub use pace::{Pace, ReadCost};
pub use plan::{Lane, Look, apart, plan};
pub use start::{Begin, begin};
pub use walk::{Base, Passed, Picture, Share, Walk, rest_until};
