//! cupid from the outside: the real binary, real servers and a receiver that records everything.
//!
//! `tests/run` gives these tests what they need. Without servers a test says `SKIPPED:` and passes, unless
//! `CUPID_TEST_NO_SKIP=1`.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing it did not expect")]
#![expect(clippy::print_stderr, reason = "what a test measured belongs in its output")]
#![expect(unreachable_pub, reason = "one binary; `pub` separates what helpers offer from what they hide")]

mod alerts;
mod audit;
mod bad_input;
mod blocked;
mod bounds;
mod calls;
mod canal;
mod cli;
mod compare;
mod coverage;
mod deletes;
mod delivery;
mod demo;
mod desk;
mod docs;
mod events;
mod fairness;
mod heavy;
mod histories;
mod late;
mod lifecycle;
mod matrix;
mod memory;
mod receiver;
mod repair;
mod rows;
mod runs;
mod servers;
mod sql;
mod store;
mod storm;
mod support;
mod sweep;
mod tidy;
mod uncovered;
