//! `cupid demo`: the whole loop before one's eyes, without a database server.
//!
//! ```text
//! writer ──► shop.db ─ ─ ─ ─ ─ ─ ─ ─ ─ ► cupid (the real daemon, a process of its own)
//!    │                                   │  ▲
//!    ▼                                   │  ┊ looks again
//! copier ──► copy.db ◄── receiver ◄──────┘  ┊
//! (loses some)    └ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ┘
//! ```
//!
//! Everything but the daemon lives in this process and writes down in the [`ledger`] what it did, so that people can
//! hold cupid's own counts, which come from its control socket, against what was really spoiled.

mod copier;
mod daemon;
mod dice;
mod file;
mod ledger;
mod picture;
mod play;
mod receiver;
mod shop;
mod slots;
mod summary;
mod tables;

pub(super) use daemon::end_with;
pub(super) use play::demo;
