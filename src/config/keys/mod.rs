//! The one table of all keys. The parser's messages, the JSON Schema and the reference are made from it, so none of
//! them can know a key the others do not know.

mod callback;
mod channel;
mod key;
mod later;
mod place;
mod policy;
mod process;
mod table;

pub(crate) use key::{Key, Kind, REQUIRED, Scope, Status, TO_COMPARE};
pub(crate) use table::{all, find, find_anywhere, usable};
