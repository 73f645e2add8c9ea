//! Where the stages meet: supervised, named tasks in one process.
//!
//! ```text
//! manager ── tickets ──► scanner-1..N ── outcomes ──► manager ── findings + cursors ──► store
//!    └── wakes ──► callback, for each (task, destination):
//!                     watcher ── claims suspects and what was acknowledged, looks, settles ──► store
//!                     lane ── claims what is confirmed, looks, calls, settles ──► store
//!                     └── alerts ──► notifier                     janitor: retention, expired claims
//!
//! auditor ── at its times, whole tables ── findings ──► store ── wakes ──► callback
//! ```
//!
//! The manager is the only writer of cursors; scanners write nothing, the auditor none of them. A wake-up only saves waiting: stored
//! state is the only input of every step, so a lost wake-up costs delay and never data. A panic in one task is
//! counted, logged and followed by a restart; the others go on.

mod auditor;
mod callback;
mod calls;
mod clerk;
mod conditions;
mod control;
mod covered;
mod feeder;
mod guard;
#[cfg(test)]
#[path = "tests/histories/mod.rs"]
mod histories;
mod hot;
mod janitor;
mod lane;
mod look;
mod manager;
mod notes;
mod notifier;
mod pair;
mod people;
mod places;
mod progress;
mod receiver;
mod runs;
mod said;
mod scanner;
mod standing;
mod status;
mod stop;
mod strays;
mod supervisor;
mod ticket;
mod voice;
mod walks;
mod watcher;

pub use auditor::{AuditNote, Auditor};
pub use callback::Callback;
pub use calls::{LastFailure, RecentCalls};
pub use clerk::{Clerk, Job};
pub use control::{ControlHandle, Resumed};
pub use feeder::{Feeder, Tried};
pub use janitor::{Janitor, Keep, Longest};
pub use manager::{Manager, StartId};
pub use notes::{HotNote, Notes};
pub use notifier::{Line, Notifier};
pub use pair::{Judged, Looked, Pair, Sample};
pub use places::{Places, TaskPlaces};
pub use scanner::Scanner;
pub use status::{LastRead, Status, StatusBoard, TaskStatus};
pub use stop::Stop;
pub use supervisor::{Supervisor, TaskKind};
use ticket::Scanned;
pub use ticket::{Counts, Outcome, Ticket};
