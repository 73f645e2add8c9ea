//! Compares whole tables: which rows are missing at the copy, which differ, which only the copy has.
//!
//! ```text
//! walk: keys of one side, some thousand rows apart ──► chunk: both sides' rows between two of them ──► join
//!                                                                                                       │ candidates
//!              what still stands is told ◄── second look, by key, at both sides ◄───────────────────────┘
//! ```
//!
//! A table is cut by the keys of its source, so that both sides are read in stretches of about half a second each, several
//! at once, both sides at the same time. Where both sides order keys alike, the copy is read by the same stretch, and what
//! only it has is found on the way. Where nobody knows that (text under a collation), the copy is asked for the
//! source's keys, and a second pass walks the copy and asks the source.
//!
//! Where both servers can write rows alike, they may digest a stretch instead, and its rows are read only if that
//! differs; the faster way is chosen by measuring.
//!
//! A wrong guess about an order can cost time and never makes a wrong verdict: whatever seems to disagree is looked up by
//! its key at both sides before it is told, and a row that has changed meanwhile is looked up again.

mod digest;
mod join;
mod order;
mod resolve;
mod row;
mod run;
mod second;
mod side;
mod size;
mod strategy;

pub use resolve::{Mapping, Tables, Wanted};
pub use row::{Difference, Rows, Tally};
pub use run::{Event, Pace, audit};
pub use strategy::{Chosen, Strategy};
