//! Repairs a copy: from the differences of a comparison to a plan that people can read, and from a plan to a copy that
//! agrees, with a file beside it that takes everything back.
//!
//! ```text
//! difference ──► planner ──► plan file ──► (people) ──► apply ──► the copy
//!                                                         │
//!                                                         └──► undo file: a plan in reverse, durable before each commit
//! ```
//!
//! A row is written only if it still is what the plan saw: it is locked, compared with the old values, written by its
//! key, read back and compared with the new ones, all in one transaction, with a mark of its own to return to. Whatever
//! does not go that way is left as it is and told with the reason. Nothing here knows a source: what it should hold
//! stands in the plan.

mod apply;
mod decide;
mod entry;
mod file;
mod header;
mod limits;
mod one;
mod planner;
mod rows;
mod text;
mod undo;
mod value;

pub use apply::{Event, Failure, Options, Stop, apply};
pub use file::{File, FileError};
pub use header::{Header, Place};
pub use limits::Caps;
pub(crate) use planner::Layout;
pub use planner::{Left, Planner, Seen};
pub use rows::{Outcome, Report, Tally, Told};
