//! The life of a delivery as pure decisions (DESIGN section 4): what a look at both sides, and what an answer of the
//! receiver, make of it. The engine does what is decided here; the store keeps it.

mod breaker;
mod confirm;
mod hot;
mod lifecycle;
mod schedule;
mod storm;
mod turns;
mod wait;

pub use breaker::{Breaker, Change, Ended, Probe, Verdict, asks, verdict};
pub use confirm::{Step, Watch, Witness, first_look};
pub use hot::{Hot, LEAST, Turn, hot_limit};
pub use lifecycle::{
    AMBIGUOUS, Answered, NOT_COMPARABLE, NOT_FIXED, Next, Policy, Seen, TOO_LARGE, after_attempt,
    after_claim, after_look, after_watch, together,
};
pub use storm::{Asked, Storm};
pub use turns::{Slots, Turns};
pub use wait::{Learner, Lesson};
