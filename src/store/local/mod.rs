//! The state of one process: an SQLite database and a lock file in the state folder.

mod act;
mod check;
mod claim;
mod counts;
mod coverage;
mod desk;
mod events;
mod find;
mod history;
mod lines;
mod lock;
mod memory;
mod open;
mod outbox;
mod plight;
mod rows;
mod runs;
mod scan;
mod schema;
mod shares;
mod standing;
mod take;
#[cfg(test)]
mod tests;
mod told;
mod writer;
mod wrote;

pub use lock::{Holder, Lock, holder};
pub use open::{LocalStore, make_folder};
pub use take::{Rehearsal, problem};
