//! What is sent, and under which id.

use std::fmt;

use super::batch::batch_id;
use crate::model::{DeliveryId, TaskName};

/// Identity of one message: every attempt at it carries the same one, and the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Grows with each new message of the delivery.
    pub revision: i64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.delivery, self.revision)
    }
}

/// One call to be made.
#[derive(Clone, Debug)]
pub struct Message {
    /// Task, for the header `cupid-task`.
    pub task: TaskName,
    /// Attempt, for `cupid-attempt`.
    pub attempt: u32,
    /// What it is about.
    pub of: Content,
    /// The exact bytes.
    pub body: Box<[u8]>,
}

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One row.
    One(MessageId),
    /// A list of them.
    Batch(Vec<MessageId>),
}

impl Message {
    /// `webhook-id`.
    pub fn id(&self) -> String {
        match &self.of {
            Content::One(id) => id.to_string(),
            Content::Batch(items) => format!("{:032x}", u128::from_be_bytes(batch_id(items))),
        }
    }
}
