//! What people see of single deliveries, and what they do with them.
//!
//! Everything here goes in pieces of a bounded size, in the order in which deliveries were found ([`Place`]), so that a
//! million of them hold up nobody. Nothing here touches a delivery that somebody works on just now: between claim and
//! settlement it belongs to whoever holds the claim, and a second call for the same key must not begin.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::record::Record;
use crate::base::clock::UnixMs;
use crate::model::State;

/// Which deliveries are meant. What is empty or `None` leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Select {
    /// These, by number.
    pub numbers: Vec<i64>,
    /// Of this task.
    pub task: Option<String>,
    /// Of this destination.
    pub destination: Option<String>,
    /// In one of these states.
    pub states: Vec<State>,
    /// With this key: its canonical text, or `0x` and the hexadecimal digits of its bytes.
    pub key: Option<String>,
    /// Found at this time or later, Unix ms.
    pub since: Option<UnixMs>,
    /// Found at this time or before, Unix ms.
    pub until: Option<UnixMs>,
    /// With this text in the note, the last error or an answer; ASCII letters in either case.
    pub text: Option<String>,
    /// The numbers were typed by a person, one by one.
    pub named: bool,
}

/// Where a list stands: the delivery it ended with. Deliveries are in the order in which they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// When it was found, Unix ms.
    pub found_at: UnixMs,
    /// Its number.
    pub number: i64,
}

/// Which end comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What was found first.
    Oldest,
    /// What was found last.
    Newest,
}

/// One delivery in a list. What cannot be read is shown as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number in this state; never changes.
    pub number: i64,
    /// Its identity on the wire.
    pub id: String,
    /// The task.
    pub task: String,
    /// The destination.
    pub destination: String,
    /// The key, for people.
    pub key: String,
    /// What is wrong, in a word.
    pub kind: String,
    /// Where it waits, or how it ended.
    pub state: String,
    /// Whether somebody works on it now.
    pub claimed: bool,
    /// Whether a body written by a person waits to be sent.
    pub edited: bool,
    /// Messages made.
    pub revision: i64,
    /// Attempts in all.
    pub attempts: i64,
    /// When it was found, Unix ms.
    pub found_at: UnixMs,
    /// When it is due, Unix ms; of no meaning for dead and ended ones. `None`: when an older version of its key is through.
    pub due: Option<UnixMs>,
    /// When it ended, Unix ms.
    pub ended_at: Option<UnixMs>,
    /// Why it is where it is.
    pub note: Option<String>,
}

/// A piece of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Where the deliveries stand, in order.
    pub places: Vec<Place>,
    /// Where to go on; `None`: there are no more.
    pub next: Option<Place>,
    /// Deliveries whose words were looked through, where a text was wanted.
    pub searched: u64,
}

/// Deliveries of one lane in one state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The task.
    pub task: String,
    /// The destination.
    pub destination: String,
    /// The state.
    pub state: String,
    /// How many.
    pub count: u64,
    /// When the oldest was found, Unix ms.
    pub oldest: UnixMs,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Send again, as a new message; from `dead`, from waiting and from any end.
    Replay,
    /// End it: a person says that it need not be told.
    Close,
    /// Send this body next, once, without looking at either side first.
    Edit(
        /// The body, byte for byte.
        Box<[u8]>,
    ),
}

/// [`Doing`] without what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// [`Doing::Replay`].
    Replay,
    /// [`Doing::Close`].
    Close,
    /// [`Doing::Edit`].
    Edit,
}

impl Verb {
    /// The word of the command line and of the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Close => "close",
            Self::Edit => "edit",
        }
    }
}

impl Doing {
    /// Which verb it is.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Replay => Verb::Replay,
            Self::Close => Verb::Close,
            Self::Edit(_) => Verb::Edit,
        }
    }
}

/// Something a person does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub doing: Doing,
    /// Who.
    pub author: String,
    /// Why.
    pub note: Option<String>,
    /// With which deliveries.
    pub numbers: Vec<i64>,
    /// Whether a person named each of them: then an old version may go out after a newer one.
    pub named: bool,
    /// When, Unix ms.
    pub now: UnixMs,
}

/// What became of an act for one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acted {
    /// Done.
    Done,
    /// It is already as the act would make it.
    Already,
    /// Somebody works on it just now: ask again in a moment.
    Busy,
    /// It cannot be done.
    Refused(Refusal),
}

/// Why an act cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such delivery.
    Unknown,
    /// It is a suspect: nothing has been sent, and perhaps nothing needs to be.
    Unconfirmed,
    /// It was acknowledged a moment ago, and the copy is being looked at.
    Acknowledged,
    /// It has ended.
    Ended,
    /// It is a version of a row of which a newer one was delivered or is going to be.
    Superseded,
}

impl Refusal {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "not there any more",
            Self::Unconfirmed => "not confirmed yet: a suspect is called back by itself once it is",
            Self::Acknowledged => "acknowledged just now: the copy is being looked at",
            Self::Ended => "ended already",
            Self::Superseded => {
                "a newer version of the same key was delivered or waits for that: close them, or name them by number"
            }
        }
    }
}

/// What became of deliveries that were taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenIn {
    /// Taken in.
    pub taken: u64,
    /// Were there already.
    pub known: u64,
    /// Left out: this state knows something newer of the same key.
    pub older: u64,
}

impl TakenIn {
    /// Adds another piece.
    pub fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.known += other.known;
        self.older += other.older;
    }
}

/// The deliveries one by one, for people.
#[async_trait]
pub trait History: Send + Sync {
    /// The next deliveries that are meant, at most `limit`. Where a text is wanted, no more than 20 000 are looked
    /// through in one go, so a piece may hold less than there is.
    async fn find(
        &self,
        select: &Select,
        order: Order,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found, StoreError>;

    /// Those with these numbers, in that order; what is not there any more is left out.
    async fn lines(&self, numbers: &[i64]) -> Result<Vec<Line>, StoreError>;

    /// How many are meant, by lane and state.
    async fn tally(&self, select: &Select) -> Result<Vec<Tally>, StoreError>;

    /// The deliveries whose id begins with these hexadecimal digits: of each id the open one or else the last; at most
    /// three ids.
    async fn beginning_with(&self, digits: &str) -> Result<Vec<(String, i64)>, StoreError>;

    /// Everything that is known of one; `None`: there is none.
    async fn record(&self, number: i64) -> Result<Option<Record>, StoreError>;

    /// Does something with at most a few hundred deliveries, in one transaction, and says what became of each.
    ///
    /// An act on an ended delivery is one on its key: on the open delivery of that key, or else on the last one. Of
    /// versions it is the newest one that is open and not dead, or else the newest one.
    async fn act(&self, act: Act) -> Result<Vec<(i64, Acted)>, StoreError>;

    /// Takes in deliveries of another state, in one transaction. One that is there already is not doubled, and a key keeps
    /// what is newest of it; versions come behind those that are there, in the order in which they are given.
    async fn take_in(&self, records: Vec<Record>) -> Result<TakenIn, StoreError>;
}
