//! How a delivery leaves the house: the body, the signature, the call (DESIGN section 8).

mod address;
mod batch;
mod client;
mod http;
mod message;
mod payload;
mod sign;

pub use batch::{HEAVIEST, batch_body, batch_id};
pub use client::CallerError;
pub use http::{Answer, Call, Caller};
pub use message::{Content, Message, MessageId};
pub use payload::{Changed, body, extra_body};
pub use sign::signature;
