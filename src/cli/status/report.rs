//! What is known of one destination, as typed values: from the state alone, so that it is the same with and without a
//! daemon.
//!
//! **What agrees.** `rows` are the source rows that were looked at, each once: those that the last complete pass has met,
//! and those that the insert feed has read since. Rows that were deleted since are still among them; the next pass leaves
//! them out. `agree` are these without the rows that an open delivery stands for, those whose delivery was handed over or
//! closed and that have not been seen to agree since, and those that cannot be compared. So a row counts as agreeing if
//! the last look at it has shown that it does.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::clock::UnixMs;
use crate::engine::AuditNote;
use crate::model::{Counts, DeliveryKind, Feed, RowId, State, Unfit};
use crate::scan::Walk;
use crate::store::{Backlog, Counted, Covered, Standing, Stands};

/// One destination of a task.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// What the numbers stand on.
    pub(super) basis: Basis,
    /// Rows looked at, each once.
    pub(super) rows: u64,
    /// Rows of these that agree.
    pub(super) agree: u64,
    /// Whether it may be fewer, because more rows cannot be compared than are kept.
    pub(super) at_most: bool,
    /// The first id that belongs to them, as text; `null`: from the smallest on.
    pub(super) from: Option<String>,
    /// Deliveries that wait for cupid, not for a person.
    pub(super) waiting: u64,
    /// When the oldest of them was found, Unix ms.
    pub(super) oldest: Option<UnixMs>,
    /// Deliveries by state: open ones, and those handed over or closed whose rows have not been seen to agree since.
    pub(super) deliveries: BTreeMap<&'static str, Group>,
    /// Of these, rows that only the copy has.
    pub(super) extra: u64,
    /// Rows that cannot be compared, by reason.
    pub(super) unfit: BTreeMap<&'static str, u64>,
    /// By feed.
    pub(super) feeds: BTreeMap<&'static str, FeedReport>,
    /// Rows that keep moving while their copy follows, as the daemon saw them last.
    pub(super) hot: Option<Group>,
    /// Why nothing is sent until the copy is back or a person says so.
    pub(super) paused: Option<String>,
    /// Of an event destination: there are no rows that agree.
    pub(super) events: Option<Events>,
    /// The audit that is under way, or the last one.
    pub(super) audit: Option<AuditNote>,
    /// No daemon goes on with it.
    pub(super) audit_cut_off: bool,
}

/// Versions of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Events {
    /// Handed over since the destination began.
    pub(super) delivered: u64,
    /// Not yet, those that wait for a person too.
    pub(super) open: u64,
    /// Bytes of their messages.
    pub(super) bytes: u64,
}

impl From<Backlog> for Events {
    fn from(backlog: Backlog) -> Self {
        Self { delivered: backlog.delivered, open: backlog.versions, bytes: backlog.bytes }
    }
}

/// What the numbers of a destination stand on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    /// Nothing was looked at.
    #[default]
    Nothing,
    /// Only what changes is looked at: there is no count of all rows.
    Changes,
    /// Not everything was looked at yet.
    SoFar,
    /// Everything was looked at.
    Whole,
}

/// Deliveries or rows that have something in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub(super) struct Group {
    /// How many.
    pub(super) count: u64,
    /// Since when the oldest of them is, Unix ms.
    pub(super) oldest: UnixMs,
}

/// One feed.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FeedReport {
    /// Looks at rows since the feed began; a row that was read twice is two.
    pub(super) looks: Counts,
    /// When it last looked, Unix ms.
    pub(super) looked_at: Option<UnixMs>,
    pub(super) caught_up: bool,
    pub(super) settled: Option<String>,
    /// What was committed before this time has settled, Unix ms.
    pub(super) settled_at: Option<UnixMs>,
    pub(super) told: bool,
    pub(super) forgets: bool,
    pub(super) uncovered: Option<u64>,
    pub(super) uncovered_more: bool,
    /// Ids of the first of them whose text is no time.
    pub(super) unreadable: Option<String>,
    pub(super) ahead_s: Option<u64>,
    /// Rows that have settled, each once.
    pub(super) rows: Option<u64>,
    /// Rows read behind them.
    pub(super) unsettled: u64,
    /// The last complete pass.
    pub(super) pass: Option<PassReport>,
    /// What the pass under way has met so far.
    pub(super) so_far: Option<Counts>,
}

/// A complete pass.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct PassReport {
    pub(super) began: UnixMs,
    pub(super) ended: UnixMs,
    /// Each row once; `null`: the insert feed has made it.
    pub(super) counts: Option<Counts>,
}

/// A slow feed as its cursor says.
#[derive(Clone, Debug)]
pub(super) struct Slow {
    pub(super) walk: Walk,
    /// `-s`.
    pub(super) start: Option<RowId>,
}

/// How many rows there are, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) basis: Basis,
    pub(super) count: u64,
    /// The first id among them.
    pub(super) from: Option<RowId>,
    /// Those of them that agreed, where that is known by itself.
    agreed: Option<u64>,
}

/// Counts the rows of a source.
pub(super) fn rows(covered: &[Covered], sweep: Option<&Slow>) -> Rows {
    let insert = covered.iter().find(|c| c.feed == Feed::Insert);
    let counted = insert.and_then(|c| c.facts.counted.map(|counted| (counted, &c.facts)));
    if let Some(Slow { walk, start }) = sweep
        && walk.last().is_none()
        && !walk.is_inserts()
    {
        // Nothing said before is true of what is compared now.
        let counts = walk.so_far().map(|so_far| so_far.counts).unwrap_or_default();
        let basis = if covered.is_empty() { Basis::Nothing } else { Basis::SoFar };
        return Rows { basis, count: counts.rows, from: *start, agreed: Some(counts.same) };
    }
    let picture = sweep.and_then(|slow| Some((slow.walk.picture()?, slow.start)));
    let id = |text: &Option<String>| text.as_deref().and_then(|id| id.parse().ok()).map(RowId);
    match (counted, picture) {
        (Some((counted, facts)), picture) => {
            let base = picture.and_then(|(picture, start)| Some((picture, picture.base.as_ref()?, start)));
            let base = base.filter(|(_, base, _)| id(&base.after) == counted.after);
            let behind = |Counted { after, .. }: Counted| after.map(|id| RowId(id.0.saturating_add(1)));
            let (settled, from) = match base {
                Some((picture, base, start)) => {
                    ((picture.below + counted.rows).saturating_sub(base.rows), start)
                }
                None => (counted.rows, behind(counted)),
            };
            let basis = if facts.caught_up { Basis::Whole } else { Basis::SoFar };
            Rows { basis, count: settled + facts.unsettled, from, agreed: None }
        }
        (None, Some((picture, from))) => {
            Rows { basis: Basis::Whole, count: picture.counts.rows, from, agreed: None }
        }
        (None, None) if covered.is_empty() => Rows::default(),
        (None, None) => Rows { basis: Basis::Changes, ..Rows::default() },
    }
}

/// Puts together what is known. `among` is what stands against the rows counted, `standing` all there is.
pub(super) fn report(
    rows: &Rows,
    covered: &[Covered],
    slow: &[(Feed, Slow)],
    among: &Standing,
    standing: &Standing,
    hot: Option<Group>,
    paused: Option<String>,
) -> Report {
    let unfit: u64 = among.unfit.iter().map(|(_, count)| count).sum();
    let of_source = |s: &&Stands| matches!(s.kind, DeliveryKind::Missing | DeliveryKind::Differs);
    let differ: u64 = among.deliveries.iter().filter(of_source).map(|s| s.count).sum();
    let mut deliveries: BTreeMap<&'static str, Group> = BTreeMap::new();
    for s in &standing.deliveries {
        let group = deliveries.entry(s.state.as_str()).or_insert(Group { count: 0, oldest: s.oldest });
        *group = Group { count: group.count + s.count, oldest: group.oldest.min(s.oldest) };
    }
    let waits = |s: &&Stands| s.state.is_open() && s.state != State::Dead;
    let waiting = || standing.deliveries.iter().filter(waits);
    let extra = |s: &&Stands| s.kind == DeliveryKind::Extra;
    let mut feeds: BTreeMap<&'static str, FeedReport> = BTreeMap::new();
    for c in covered {
        feeds.insert(c.feed.as_str(), of_feed(c));
    }
    for (feed, slow) in slow {
        let feed = feeds.entry(feed.as_str()).or_default();
        let counts = slow.walk.picture().map(|picture| picture.counts);
        feed.pass = slow.walk.last().map(|last| PassReport { began: last.began, ended: last.ended, counts });
        feed.so_far = slow.walk.so_far().map(|so_far| so_far.counts);
    }
    Report {
        basis: rows.basis,
        rows: rows.count,
        agree: rows.agreed.unwrap_or_else(|| rows.count.saturating_sub(differ + unfit)),
        at_most: standing.unfit_more,
        from: rows.from.map(|id| id.to_string()),
        waiting: waiting().map(|s| s.count).sum(),
        oldest: waiting().map(|s| s.oldest).min(),
        deliveries,
        extra: standing.deliveries.iter().filter(extra).map(|s| s.count).sum(),
        unfit: standing.unfit.iter().map(|(why, count): &(Unfit, u64)| (why.as_str(), *count)).collect(),
        feeds,
        hot: hot.filter(|hot| hot.count > 0),
        paused,
        events: None,
        audit: None,
        audit_cut_off: false,
    }
}

fn of_feed(c: &Covered) -> FeedReport {
    let f = &c.facts;
    FeedReport {
        looks: c.looks,
        looked_at: Some(c.looked_at),
        caught_up: f.caught_up,
        settled: f.settled.clone(),
        settled_at: f.settled_at,
        told: f.told,
        forgets: f.forgets,
        uncovered: f.uncovered,
        uncovered_more: f.uncovered_more,
        unreadable: f.unreadable.clone(),
        ahead_s: f.ahead_s,
        rows: f.counted.map(|counted| counted.rows),
        unsettled: f.unsettled,
        pass: None,
        so_far: None,
    }
}
