//! The command line: what people type, and what they are told.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where the program speaks to people")]

mod args;
mod audit;
mod check;
mod deliveries;
mod demo;
mod diff;
mod dispatch;
mod notify;
mod queue;
mod repair;
mod resume;
mod run;
mod runs;
mod signature;
mod status;
mod stop;
mod text;
mod when;

pub use dispatch::main;

/// Exit codes of DESIGN section 12.
pub(crate) mod exit {
    /// Differences were found, or rows are left that could not be repaired.
    pub(crate) const DIFFERENCES: u8 = 1;
    /// Somebody could not be told.
    pub(crate) const FAILED: u8 = 1;
    /// Usage or configuration.
    pub(crate) const CONFIG: u8 = 2;
    /// Not everything could be compared or repaired.
    pub(crate) const UNVERIFIED: u8 = 3;
    /// Ended by a signal.
    pub(crate) const INTERRUPTED: u8 = 4;
    /// State locked, corrupt or newer.
    pub(crate) const STATE: u8 = 5;
    /// A bug.
    pub(crate) const INTERNAL: u8 = 70;
}
