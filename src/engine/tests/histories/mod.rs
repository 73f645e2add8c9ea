//! The promise, as one property over random histories: whatever happens in whatever order, **every row that stays
//! different is reported, none that is equal is, and nothing is lost by a crash**.
//!
//! The real manager, scanners, watchers, lanes and janitor work over the real state file, in virtual time, on a played
//! world: a database in which transactions begin, write, commit and roll back; replicators that are late, lose changes,
//! stop, go on and mend; receivers that heal, lie, fail or heal late; clocks that disagree and are set; outages; and
//! crashes between any two durable steps. A ledger writes down what is true and knows nothing of cupid.
//!
//! `CUPID_HISTORIES=5000 cargo test --lib stays_different` runs more of them, `CUPID_SEED=17` one, with what happened.

mod clockwork;
mod copy;
mod ledger;
mod process;
mod property;
mod receiver;
mod state;
mod world;
