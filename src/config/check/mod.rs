//! From the parsed file to the checked configuration: walks everything, so that one run tells every problem.

mod audit;
mod breaker;
mod callback;
mod channel;
mod column;
mod destination;
mod event;
mod file;
mod mail;
mod notify;
mod place;
mod policy;
mod process;
mod receiver;
mod retry;
mod rule;
mod source;

pub(crate) use file::{File, check};
use file::{line, shown};
