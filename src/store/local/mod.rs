//! The state of one process: an SQLite database and a lock file in the state folder.

mod check;
mod claim;
mod coverage;
mod history;
mod lock;
mod memory;
mod open;
mod outbox;
mod rows;
mod scan;
mod schema;
mod shares;
mod standing;
#[cfg(test)]
mod tests;
mod writer;

pub use lock::{Holder, Lock, holder};
pub use open::{LocalStore, make_folder};
