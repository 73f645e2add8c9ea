//! Writing rows, which only a repair does: what a table lets be written (`facts`), what a column can hold (`held`),
//! statements (`build`, `literal`) and the session they run in.

mod build;
mod facts;
mod held;
mod literal;
mod session;

pub(crate) use build::{change, count, insert, referring, remove, whole};
pub(crate) use facts::{Act, Facts};
pub(crate) use held::held;
pub(crate) use session::{Failed, FailedKind, Session};
