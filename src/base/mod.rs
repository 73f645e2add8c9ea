//! What is true of any daemon: nothing here knows a table, a row or a callback.

pub mod chain;
pub mod clock;
pub mod folder;
pub mod resources;
pub mod scrub;
pub mod sdnotify;
pub mod secret;
pub mod shell;
pub mod signal;
pub mod telemetry;
