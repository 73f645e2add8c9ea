//! How a delivery leaves the house: the body, the signature, the call (DESIGN section 8).

mod http;
mod payload;
mod sign;

pub use http::{Call, Caller, Message};
pub use payload::{Changed, body, extra_body};
