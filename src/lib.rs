//! cupid: the second line of defence for copied tables.
//!
//! ```text
//!             cursor moves only together with what was found: one transaction
//!   ┌────────────────────────────┐     ┌──────────────────────────────────────┐
//!   │                            ▼     │                                      ▼
//! source ──► scan ──► (look the keys up at each destination) ──► diff ──► outbox ──► deliver ──► history
//! ```
//!
//! Modules stand in floors; each imports lower floors only, modules of one floor do not know each other
//! (`tests/it/tidy.rs` holds that). They are listed here in floor order.

// Floor 0: nouns without I/O; what is true of any daemon.
pub mod base;
pub mod model;

// Floor 1: the file as written becomes a checked configuration.
pub mod config;

// Floor 2: databases; what "equal" means.
pub mod diff;
pub mod sql;

// Floor 3: seams.
pub mod destination;
pub mod source;
pub mod store;

// Floor 4: stages; they never import each other.
pub mod audit;
pub mod deliver;
pub mod notify;
pub mod outbox;
pub mod repair;
pub mod scan;

// Floor 5: where stages meet.
pub mod engine;

// Floor 6: the way in.
pub mod admin;

// Floor 7: the wiring.
pub mod app;

// Floor 8: what people type.
pub mod cli;
