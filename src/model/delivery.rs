//! Deliveries, their states and attempts (DESIGN section 4).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DeliveryId, DestinationName, ErrorGroup, Key, RowId, RunId, TaskName};

/// Why a delivery exists; the number is the `type` of the callback body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// Type 1: the row is missing at the destination.
    Missing,
    /// Type 2: the row is there and differs.
    Differs,
    /// Type 3: the row is at the destination only.
    Extra,
    /// Several rows carry the key: never called back, waits in `dead` for a person.
    Ambiguous,
}

impl DeliveryKind {
    /// The number in the state and, for 1 to 3, in the callback body.
    pub fn number(self) -> i64 {
        match self {
            Self::Missing => 1,
            Self::Differs => 2,
            Self::Extra => 3,
            Self::Ambiguous => 9,
        }
    }

    /// The inverse of [`DeliveryKind::number`].
    pub fn from_number(n: i64) -> Option<Self> {
        Some(match n {
            1 => Self::Missing,
            2 => Self::Differs,
            3 => Self::Extra,
            9 => Self::Ambiguous,
            _ => return None,
        })
    }

    /// The verdict word of logs and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Differs => "differs",
            Self::Extra => "extra",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Where a delivery is. The first six are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Found, not yet confirmed: the source may still be moving.
    Suspect,
    /// Ready for its first attempt.
    Main,
    /// Failed, waits for one of its quick tries.
    Retry,
    /// Quick tries used up; tried again every ten minutes for ever.
    Slow,
    /// Answered 2xx; the copy is looked at until it agrees.
    Verify,
    /// Waits for a person.
    Dead,
    /// Ended: the copy was seen to agree.
    Healed,
    /// Ended: handed over, nobody looks again (`"verify": false`, event destinations).
    Delivered,
    /// Ended by a person.
    Closed,
}

impl State {
    /// Every state, open ones first.
    pub const ALL: [Self; 9] = [
        Self::Suspect,
        Self::Main,
        Self::Retry,
        Self::Slow,
        Self::Verify,
        Self::Dead,
        Self::Healed,
        Self::Delivered,
        Self::Closed,
    ];

    /// The word used in the state, in logs and in the UI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspect => "suspect",
            Self::Main => "main",
            Self::Retry => "retry",
            Self::Slow => "slow",
            Self::Verify => "verify",
            Self::Dead => "dead",
            Self::Healed => "healed",
            Self::Delivered => "delivered",
            Self::Closed => "closed",
        }
    }

    /// The inverse of [`State::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Whether the delivery still needs an act.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Healed | Self::Delivered | Self::Closed)
    }
}

/// What a message said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its type.
    pub kind: DeliveryKind,
    /// Digest of the whole source row.
    pub row: [u8; 16],
}

impl Sent {
    /// Stands for the digest of a row that nobody has read: the message was written by a person.
    pub const UNREAD: [u8; 16] = [0; 16];

    /// Whether the message was made without reading the row.
    pub fn is_unread(&self) -> bool {
        self.row == Self::UNREAD
    }
}

/// The durable unit: one key at one destination that needs an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Identity on the wire (`cupid-delivery`).
    pub id: DeliveryId,
    /// Task it belongs to.
    pub task: TaskName,
    /// Destination that disagrees.
    pub destination: DestinationName,
    /// The row by the canonical value of `byColumn`.
    pub key: Key,
    /// The row by the source's integer key.
    pub row: RowId,
    /// The run that opened it.
    pub run: RunId,
    /// What is wrong.
    pub kind: DeliveryKind,
    /// Where it waits.
    pub state: State,
    /// Grows with each new message of this key; 0 until the first attempt is prepared.
    pub revision: i64,
    /// Attempts that failed since the delivery last started afresh; decides the lane.
    pub tries: u32,
    /// Attempts in all, for `cupid-attempt` and the history.
    pub attempts: u32,
    /// Bytes of the current revision, once prepared.
    pub body: Option<Box<[u8]>>,
    /// What the body says; anything else to say needs a new revision.
    pub sent: Option<Sent>,
    /// A body written by a person, to be sent next as it is.
    pub edited: Option<Box<[u8]>>,
    /// Digest of the difference last found.
    pub fingerprint: [u8; 16],
    /// The next attempt is a new message even if the row to send is the same.
    pub renew: bool,
    /// How often the copy was looked at since the last 2xx.
    pub looks: u32,
    /// How many acknowledged attempts did not heal the copy.
    pub unhealed: u32,
    /// When it was found, Unix ms.
    pub found_at: i64,
    /// When the message that was prepared last was acknowledged, Unix ms; `None`: it was not.
    pub acked_at: Option<i64>,
    /// What confirming knows of it; opaque to the store.
    pub watch: Option<Box<[u8]>>,
    /// Whether the rows that carry its key were kept and told: it was put aside as ambiguous.
    pub shown: bool,
    /// The batch that its message was sent in last.
    pub batch: Option<Batched>,
    /// Which of its claims this is. What is written under an earlier one has no effect.
    pub claim: i64,
}

/// A message's part in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batched {
    /// Digest of the ids of all its items, in their order.
    pub id: [u8; 16],
    /// Place among them, from 0.
    pub place: u32,
    /// Number of the item's attempt when the batch was made: part of its bytes.
    pub attempt: u32,
}

#[cfg(test)]
impl Delivery {
    /// One that has just been found, for tests to change.
    pub(crate) fn sample() -> Self {
        Self {
            id: DeliveryId(uuid::Uuid::nil()),
            task: TaskName::new("t"),
            destination: DestinationName::new("d"),
            key: Key::new([1_u8]),
            row: RowId(1),
            run: RunId(uuid::Uuid::nil()),
            kind: DeliveryKind::Differs,
            state: State::Suspect,
            revision: 0,
            tries: 0,
            attempts: 0,
            body: None,
            sent: None,
            edited: None,
            fingerprint: [1; 16],
            renew: true,
            looks: 0,
            unhealed: 0,
            found_at: 1000,
            acked_at: None,
            watch: None,
            shown: false,
            batch: None,
            claim: 1,
        }
    }
}

/// One try of a delivery, for the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first attempt of the delivery.
    pub number: u32,
    /// Revision that was sent.
    pub revision: i64,
    /// When the call began, Unix ms.
    pub began: i64,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: AttemptOutcome,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Answered 2xx, and with `success` what the rule wants.
    Accepted {
        /// HTTP status.
        status: u16,
        /// The beginning of the answer, for the history; `None`: it was empty.
        answer: Option<Box<str>>,
    },
    /// Answered something else, or not at all.
    Failed {
        /// The small closed set used for counting.
        class: ErrorClass,
        /// HTTP status if there was an answer.
        status: Option<u16>,
        /// One line for people: what was met; never the body sent.
        detail: String,
        /// The beginning of the answer, for the history; `None`: there was none, or it was empty.
        answer: Option<Box<str>>,
        /// How long the receiver asks us to stay away (`retry-after`), as it says.
        retry_after: Option<Duration>,
    },
    /// We stopped or crashed while the call was open; spends no try.
    Unknown,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Name could not be resolved.
    Dns,
    /// Refused or unreachable.
    Connect,
    /// TLS handshake or certificate.
    Tls,
    /// The deadline ran out.
    Timeout,
    /// Connection broken after it was made.
    Reset,
    /// A redirect; not followed.
    Http3xx,
    /// The receiver refused the request.
    Http4xx,
    /// Too many requests.
    Http429,
    /// The receiver failed.
    Http5xx,
    /// Answered 2xx, and the answer does not say what `success` wants.
    BodyRule,
    /// Any other answer that is not HTTP as we know it.
    Protocol,
    /// The receiver's name leads to an address that is not called (link-local, a cloud's metadata).
    BlockedAddress,
    /// The request could not be built.
    InvalidRequest,
}

impl ErrorClass {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Http3xx,
        Self::Http4xx,
        Self::Http429,
        Self::Http5xx,
        Self::BodyRule,
        Self::Protocol,
        Self::BlockedAddress,
        Self::InvalidRequest,
    ];

    /// The inverse of [`ErrorClass::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Where it belongs.
    pub fn group(self) -> ErrorGroup {
        match self {
            Self::Dns | Self::Connect | Self::Tls | Self::Timeout | Self::Reset => ErrorGroup::Connection,
            Self::InvalidRequest => ErrorGroup::Data,
            Self::Http3xx | Self::Http429 | Self::Http5xx | Self::Protocol | Self::BlockedAddress => {
                ErrorGroup::System
            }
            Self::Http4xx | Self::BodyRule => ErrorGroup::Business,
        }
    }

    /// The word used in the state, in logs and as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Http3xx => "http_3xx",
            Self::Http4xx => "http_4xx",
            Self::Http429 => "http_429",
            Self::Http5xx => "http_5xx",
            Self::BodyRule => "body_rule",
            Self::Protocol => "protocol",
            Self::BlockedAddress => "blocked_address",
            Self::InvalidRequest => "invalid_request",
        }
    }
}
