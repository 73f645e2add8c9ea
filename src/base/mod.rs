//! What is true of any daemon: nothing here knows a table, a row or a callback.

pub mod clock;
pub mod secret;
