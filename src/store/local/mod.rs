//! The state of one process: an SQLite database and a lock file in the state folder.

mod check;
mod coverage;
mod history;
mod lock;
mod memory;
mod open;
mod outbox;
mod plight;
mod rows;
mod scan;
mod schema;
mod standing;
#[cfg(test)]
mod tests;
mod writer;

pub use lock::{Holder, Lock, holder};
pub use open::{LocalStore, make_folder};
