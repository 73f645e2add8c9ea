//! The nouns of the field, without any I/O: what a row, a key, a finding and a delivery are.
//!
//! Everything above speaks in these types; none of them knows a database, a file or a socket.

mod alert;
mod column;
mod counts;
mod delivery;
mod evidence;
mod failure;
mod finding;
pub mod form;
mod id;
mod row;
mod value;

pub use alert::{Event, Severity, Topic};
pub use column::{Class, Column};
pub use counts::{Counts, Unfit};
pub use delivery::{Attempt, AttemptOutcome, Batched, Delivery, DeliveryKind, ErrorClass, Sent, State};
pub use evidence::{Difference, Evidence, Listed};
pub use failure::{DatabaseClass, ErrorGroup};
pub use finding::{Finding, Verdict, Version};
pub use id::{DeliveryId, DestinationName, Feed, Position, RowId, RunId, TaskName};
pub use row::{Key, Row, SourceRow, row_size};
pub use value::{Value, real_text};
