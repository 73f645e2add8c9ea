//! What must survive: cursors, deliveries and their history.
//!
//! The rule the whole program rests on: a cursor and everything found on the way to it are committed in one
//! transaction ([`Store::commit_scan`]). A crash therefore repeats work, and never skips any. Claims have a number and a
//! deadline: a store shared by several nodes needs them, and gets the same trait.
//!
//! **What is found while somebody works on a delivery.** Whoever claims looks at both sides after the claim, so a look
//! knows everything that was committed before the claim, and nothing that was committed later. Therefore a claim
//! starts with a clean slate, every finding committed after it is remembered until the claim is settled, whether or
//! not it says something new, and a claimed delivery during which anything was found does not end: it goes back to
//! `suspect` and is looked at again. Making a message durable changes nothing about that.

mod coverage;
mod error;
mod events;
mod history;
pub mod local;
mod plight;
mod prune;
mod record;
mod runs;

use std::time::Duration;

use async_trait::async_trait;

use crate::base::clock::UnixMs;
use crate::model::{
    Attempt, Batched, Delivery, DeliveryId, DeliveryKind, DestinationName, Difference, Evidence, Feed,
    Finding, Key, Position, RowId, RunId, Sent, State, TaskName,
};

pub use coverage::{Counted, Covered, Facts, Pass, Seen, Standing, Stands};
pub use error::{StoreError, StoreErrorKind};
pub use events::{Backlog, Lane, Last, Told, Versions};
pub use history::{
    Act, Acted, Doing, Found, History, Line, Order, Place, Refusal, Select, TakenIn, Tally, Verb,
};
pub use plight::Plight;
pub use prune::{Prune, Pruned};
pub use record::{Done, Episode, Message, Record, Tried, shown_key, typed_key};
pub use runs::{Called, Opened, Run, RunError, RunFilter, RunResult, RunStep, Runs};

/// Where one feed of one task has arrived at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// The feed.
    pub feed: Feed,
    /// Everything before it has been looked at, and what was found is durable.
    pub position: Position,
    /// `Source::identity` of the source it was made on.
    pub identity: String,
    /// The `-s` under which it was made.
    pub start_id: Option<RowId>,
}

/// The result of one scan ticket, to become durable as one.
#[derive(Clone, Debug)]
pub struct ScanCommit {
    /// The pass that found it.
    pub run: RunId,
    /// What is kept of that pass, under that id; `None`: nothing.
    pub step: Option<Box<RunStep>>,
    /// Where the feeds now stand.
    pub cursors: Vec<Cursor>,
    /// What was found on the way.
    pub findings: Vec<Finding>,
    /// What an event destination is to be told.
    pub versions: Option<Versions>,
    /// What was seen to agree, as far as it matters.
    pub agreed: Option<Agreement>,
    /// What the feeds have covered with it.
    pub covered: Option<Covered>,
    /// What the rows showed beside the findings.
    pub seen: Option<Seen>,
    /// When the suspects that this opens are looked at, Unix ms.
    pub due: UnixMs,
    /// When, Unix ms.
    pub now: UnixMs,
}

/// What a look at one destination says of keys that are remembered there ([`Store::remembered`]): a difference that was
/// closed or handed over is no longer, and what is dead heals.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The task.
    pub task: TaskName,
    /// The destination.
    pub destination: DestinationName,
    /// When the look began, Unix ms: it says nothing about what was decided later.
    pub looked: UnixMs,
    /// Keys whose copy was seen to agree.
    pub keys: Vec<Key>,
    /// This look ends a pass over all that the copy has, which began then (Unix ms): rows that only the copy had, and
    /// that were not seen since, are gone from it.
    pub passed: Option<UnixMs>,
}

/// What became of the findings of a [`ScanCommit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Deliveries opened.
    pub opened: u64,
    /// Open or remembered deliveries that already stood for the same difference.
    pub known: u64,
    /// Open deliveries that changed because the difference did.
    pub changed: u64,
    /// Dead deliveries whose copy was seen to agree.
    pub healed: u64,
}

/// What is to be done with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Look whether a suspect is one, or whether an acknowledged message has healed the copy.
    Look,
    /// Call the receiver.
    Call,
    /// The same, only with what was never called, or not to any end.
    Fresh,
}

/// Which deliveries to hand out.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Task of the lane.
    pub task: TaskName,
    /// Destination of the lane.
    pub destination: DestinationName,
    /// For what: decides which states are handed out.
    pub work: Work,
    /// At most so many; whoever shares a batch with one that is handed out comes along.
    pub limit: usize,
    /// Counts the claims of a lane: those that are too small for everything that waits take turns.
    pub turn: u64,
    /// Only what is due at this time, Unix ms.
    pub now: UnixMs,
    /// How long the claim holds without being settled.
    pub lease: Duration,
}

/// What a claimed delivery becomes.
///
/// If something was found since the claim, it does not end, and if what was found is
/// another difference, it does not become `dead` either: it goes to `suspect` instead and is due at once. Where else it
/// was sent to, it is looked at again before anything is called, so it goes there.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which one.
    pub id: DeliveryId,
    /// [`Delivery::claim`] under which this was decided. Once that is over, only the attempt is recorded.
    pub claim: i64,
    /// Its state and counters from now on.
    pub to: Transition,
    /// Digest of the difference, if a look that saw one led here.
    pub seen: Option<[u8; 16]>,
    /// What confirming knows of it from now on; `None`: what it knew.
    pub watch: Option<Box<[u8]>>,
    /// When it is due again, Unix ms; of no meaning for ended ones.
    pub due: UnixMs,
    /// The attempt that led here, for the history.
    pub attempt: Option<Attempt>,
    /// One line for people: why it is where it is.
    pub note: Option<String>,
    /// The rows that carry its key, if that is why; `None`: what was kept of them.
    pub evidence: Option<Box<Evidence>>,
    /// When, Unix ms.
    pub now: UnixMs,
}

/// The part of a delivery that an attempt or a look changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// New state.
    pub state: State,
    /// Failed attempts since it last started afresh.
    pub tries: u32,
    /// Looks since the last 2xx.
    pub looks: u32,
    /// Acknowledged attempts that did not heal the copy.
    pub unhealed: u32,
    /// The next attempt is a new message even if the row to send is the same.
    pub renew: bool,
    /// When the last attempt was acknowledged, Unix ms.
    pub acked_at: Option<UnixMs>,
}

/// A message that is about to be sent: durable before its first byte leaves.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Which delivery.
    pub id: DeliveryId,
    /// [`Delivery::claim`] under which it is sent.
    pub claim: i64,
    /// Revision of the message.
    pub revision: i64,
    /// Its bytes.
    pub body: Box<[u8]>,
    /// What they say.
    pub sent: Sent,
    /// The columns that they are about, if the copy has the row; `None`: it has not, or nobody looked.
    pub differs: Option<Vec<Difference>>,
    /// Digest of the difference as just read.
    pub fingerprint: [u8; 16],
    /// The batch it is sent in, if it is.
    pub batch: Option<Batched>,
    /// Number of this attempt.
    pub attempt: u32,
    /// When, Unix ms.
    pub now: UnixMs,
}

/// Open deliveries of one lane, by state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneCount {
    /// Task of the lane.
    pub task: TaskName,
    /// Destination of the lane.
    pub destination: DestinationName,
    /// State counted.
    pub state: State,
    /// How many.
    pub count: u64,
    /// When the oldest of them was found, Unix ms.
    pub oldest: UnixMs,
}

/// The durable state.
#[async_trait]
pub trait Store: Send + Sync {
    /// Every saved cursor.
    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError>;

    /// Forgets the cursors of a task (one feed, or all) and what they covered, so that it starts again.
    async fn forget_cursors(&self, task: &TaskName, feed: Option<Feed>) -> Result<(), StoreError>;

    /// Makes findings and cursors durable as one.
    async fn commit_scan(&self, commit: ScanCommit) -> Result<Committed, StoreError>;

    /// Keeps runs as they are now.
    async fn keep_runs(&self, runs: Vec<Run>) -> Result<(), StoreError>;

    /// Nobody works any more on what is kept as running.
    async fn cut_off_runs(&self) -> Result<(), StoreError>;

    /// Hands out due deliveries of one lane: no more than hold about 16 MiB of messages and keys, but at least one. What is
    /// to be looked at comes oldest due first. What is to be called is a mixture, if not all of it fits: what became due
    /// last and was never called, what is tried again, and what waits longest.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Delivery>, StoreError>;

    /// Makes messages durable that are about to be sent; from then on they count as not acknowledged. Returns whose
    /// claim still held: the other messages must not be sent.
    async fn prepare(&self, messages: Vec<Prepared>) -> Result<Vec<DeliveryId>, StoreError>;

    /// Records what became of claimed deliveries. May be repeated by a caller that got no answer.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError>;

    /// Gives claims back (see [`Delivery::claim`]) unchanged, due again at `due` but not earlier than before; `note`
    /// says why, if it is worth keeping. A message that was prepared has not been sent.
    async fn release(
        &self,
        claims: Vec<(DeliveryId, i64)>,
        due: UnixMs,
        note: Option<String>,
    ) -> Result<(), StoreError>;

    /// Gives back claims whose lease is over at `now`, and with `i64::MAX` all of them, as those of a process that is
    /// gone. Attempts that were open are recorded as unknown. Returns how many.
    async fn expire_claims(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// When the next delivery of a lane is due for this work, Unix ms; `None`: none waits.
    async fn next_due(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        work: Work,
    ) -> Result<Option<UnixMs>, StoreError>;

    /// Whether anything is remembered at a destination: differences that were closed or handed over and are not told
    /// again, or dead ones. Costs nothing where the answer was no and nothing has changed.
    async fn remembers(&self, task: &TaskName, destination: &DestinationName) -> Result<bool, StoreError>;

    /// Those of `keys` that are remembered at a destination, and as what.
    async fn remembered(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        keys: &[&Key],
    ) -> Result<Vec<(Key, DeliveryKind)>, StoreError>;

    /// The rows that carry the key of a delivery, as they were when it was put aside as ambiguous; `None`: it was not.
    async fn evidence(&self, id: DeliveryId) -> Result<Option<Evidence>, StoreError>;

    /// What is kept of a destination under a name; `None`: nothing.
    async fn recall(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
    ) -> Result<Option<String>, StoreError>;

    /// Keeps something of a destination under a name; `None`: no longer.
    async fn remember(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        name: &str,
        value: Option<String>,
    ) -> Result<(), StoreError>;

    /// Open deliveries by lane and state.
    async fn counts(&self) -> Result<Vec<LaneCount>, StoreError>;

    /// How many deliveries of a destination are in a plight, counted up to `most`: 1 asks whether there is any, and costs
    /// nothing however many there are.
    async fn in_plight(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        plight: Plight,
        most: u64,
    ) -> Result<u64, StoreError>;

    /// What each feed has covered at each destination.
    async fn coverage(&self) -> Result<Vec<Covered>, StoreError>;

    /// What stands against rows of a destination, from the row `from` on; `None`: all of them.
    async fn standing(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        from: Option<RowId>,
    ) -> Result<Standing, StoreError>;

    /// Ended deliveries by state, and all attempts made: totals for summaries.
    async fn totals(&self) -> Result<Totals, StoreError>;

    /// Lets deliveries that wait for this work be due no later than `latest`, Unix ms, about a thousand at a time: to be
    /// asked until there are none. Returns how many were.
    async fn bring_forward(&self, work: Work, latest: UnixMs) -> Result<u64, StoreError>;

    /// Deletes what need not be kept any more, no more than a limit of each kind at a time.
    async fn prune(&self, what: Prune) -> Result<Pruned, StoreError>;

    /// As [`Store::prune`], of the deliveries of one destination; those of event destinations are deleted only so.
    async fn prune_lane(&self, lane: Lane, limit: usize) -> Result<Pruned, StoreError>;

    /// When the first of the newest so many ended, of copies together, or of one event destination; `None`: there are no more.
    async fn kept_from(&self, of: Option<&Lane>, most: u64) -> Result<Option<UnixMs>, StoreError>;

    /// Makes a destination one that is told versions. If it never was: it begins without cursors, and what was open while
    /// it was a copy is closed. Returns how many deliveries that were.
    async fn begin_events(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        now: UnixMs,
    ) -> Result<u64, StoreError>;

    /// What an event destination was told of these rows.
    async fn told(
        &self,
        task: &TaskName,
        destination: &DestinationName,
        rows: &[(&Key, RowId)],
    ) -> Result<Told, StoreError>;

    /// What waits at an event destination; `None`: it never was one.
    async fn backlog(
        &self,
        task: &TaskName,
        destination: &DestinationName,
    ) -> Result<Option<Backlog>, StoreError>;

    /// Checkpoints and closes. Later calls fail.
    async fn close(&self);
}

/// Totals over everything still kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Deliveries seen to agree.
    pub healed: u64,
    /// Deliveries handed over without looking again.
    pub delivered: u64,
    /// Attempts made.
    pub attempts: u64,
    /// Median time from found to healed, in milliseconds; `None` while nothing healed.
    pub median_heal_ms: Option<i64>,
}
