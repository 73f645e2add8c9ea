//! How a delivery leaves the house: the body, the signature, the call (DESIGN section 8).

mod address;
mod client;
mod http;
mod payload;
mod sign;

pub use client::CallerError;
pub use http::{Call, Caller, Message};
pub use payload::{Changed, body, extra_body};
pub use sign::signature;
