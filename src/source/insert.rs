//! The insert feed: rows in the order of their integer key.
//!
//! A key is given out when a row is inserted and seen when its transaction commits, so a smaller key may appear after
//! a larger one was read. The durable cursor is therefore *settled*: no transaction that is still open can have been
//! given a key up to it. Between it and the *frontier*, the highest key read, the feed remembers which keys it has
//! seen, reads the keys alone at each look, and fetches the rows of those it has not. When a stretch settles its rows
//! are read once more, for what was written to them meanwhile, and forgotten.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ground::Ground;
use super::{Batch, Counted, Coverage};
use crate::model::{Position, RowId};
use crate::sql::PlaceError;

mod gaps;
mod live;
mod look;
mod runs;
mod stands;

use gaps::Gaps;
use live::Live;
use look::Look;
use stands::Newest;

/// Limits of the feed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of ids remembered.
    pub(super) memory: usize,
    /// How long a transaction that the database does not show may be open.
    pub(super) settle: Duration,
}

/// Where the insert feed is.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// The key up to which nothing can appear any more; `None`: before everything.
    settled: Option<i128>,
    /// The rows up to it, each once.
    counted: Counted,
    gaps: Gaps,
    /// How far down the newest rows reach that were read; `None`: not known.
    newest: Option<Newest>,
    /// What is lost at a restart.
    live: Live,
}

/// `{"after":"123","gaps":[…],"newest":{…},"counted":{…}}`; null: before everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Text {
    after: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Newest>,
    /// Not there in what earlier versions wrote: then counting begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<CountedText>,
}

/// Rows behind an id (null: all) up to the settled one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CountedText {
    after: Option<String>,
    rows: u64,
}

impl Cursor {
    /// A first start in front of this key; `None`: before everything.
    pub(super) fn starting_at(id: Option<RowId>) -> Self {
        let settled = id.map(|id| id.0.saturating_sub(1));
        let newest = Some(Newest::default());
        let counted = Counted { after: settled.map(RowId), ..Counted::default() };
        Self { settled, counted, gaps: Gaps::default(), newest, live: Live::first(settled) }
    }

    /// Goes on behind this key without knowing what was seen there.
    fn after(settled: Option<i128>, counted: Counted, gaps: Gaps, newest: Option<Newest>) -> Self {
        Self { settled, counted, gaps, newest, live: Live::behind(settled) }
    }

    /// Goes on behind the greatest id there is: what is given out behind it is new, also if it was read before. How
    /// many of the rows counted are left, nobody knows: counting begins there.
    fn back_to(&self, greatest: Option<i128>) -> Self {
        let newest = self.newest.as_ref().map(|newest| newest.back_to(greatest));
        let counted = Counted { after: greatest.map(RowId), ..Counted::default() };
        Self::after(greatest, counted, self.gaps.clone(), newest)
    }

    /// Reads a position; `None` if it is not one of ours.
    pub(super) fn read(position: &Position) -> Option<Arc<Self>> {
        if let Some(held) = position.memory() {
            return Some(held);
        }
        let text: Text = serde_json::from_str(position.as_str()).ok()?;
        let id = |text: &Option<String>| match text {
            Some(id) => id.parse().ok().map(Some),
            None => Some(None),
        };
        let settled: Option<i128> = id(&text.after)?;
        let counted = match &text.counted {
            Some(counted) => {
                Counted { after: id(&counted.after)?.map(RowId), rows: counted.rows, ..Counted::default() }
            }
            None => Counted { after: settled.map(RowId), ..Counted::default() },
        };
        Some(Arc::new(Self::after(settled, counted, Gaps::decode(&text.gaps)?, text.newest.clone())))
    }

    /// How far it has read, for people.
    fn shown(&self) -> Option<String> {
        self.live.frontier.max(self.settled).map(|id| format!("id {id}"))
    }

    /// As it is stored and carried on.
    pub(super) fn position(self) -> Position {
        let Counted { after, rows, .. } = self.counted;
        let counted = Some(CountedText { after: after.map(|id| id.to_string()), rows });
        let after = self.settled.map(|id| id.to_string());
        let text = Text { after, gaps: self.gaps.encode(), newest: self.newest.clone(), counted };
        let text = serde_json::to_string(&text).expect("strings always serialise");
        Position::with_memory(text, Arc::new(self))
    }
}

/// A position no further ahead than either: behind the settled key, only what both have seen counts as seen. Nothing
/// does if one of them has just been read from its text, or is in the middle of a look.
pub(super) fn earlier(a: &Position, b: &Position) -> Position {
    if a == b {
        return a.clone();
    }
    match (Cursor::read(a), Cursor::read(b)) {
        (Some(x), Some(y)) => {
            // The count belongs to where it was made; of two made there, the one that reaches back further.
            let place = |c: &Cursor| (c.settled, c.counted.after, c.counted.rows);
            let (first, other) = if place(&x) <= place(&y) { (&x, &y) } else { (&y, &x) };
            let gaps = x.gaps.both(&y.gaps);
            let cursor = Cursor::after(first.settled, first.counted, gaps, first.newest.clone());
            let live = first.live.both(&other.live, other.settled).unwrap_or(cursor.live);
            Cursor { live, ..cursor }.position()
        }
        // One that cannot be read is refused when it is read from.
        (None, _) => a.clone(),
        (_, None) => b.clone(),
    }
}

/// The rows behind a position; `None`: it is none of this feed.
pub(super) async fn read(
    ground: &dyn Ground,
    bounds: Bounds,
    from: &Position,
    limit: usize,
) -> Result<Option<Batch>, PlaceError> {
    let Some(cursor) = Cursor::read(from) else { return Ok(None) };
    let (rows, next, more) = Look::step(ground, bounds, &cursor, limit).await?;
    let coverage = Coverage {
        from: cursor.shown(),
        to: next.shown(),
        settled: next.settled.map(|id| format!("id {id}")),
        told: next.live.told,
        forgets: next.live.forgotten.is_some(),
        behind: next.live.age(ground.elapsed()),
        counted: Some(Counted { upto: next.settled.map(RowId), ..next.counted }),
        unsettled: next.live.seen.behind(next.settled),
        ..Coverage::default()
    };
    Ok(Some(Batch { rows, next: next.position(), more, coverage }))
}

/// Whether the ids still go on where the furthest of some positions stands.
pub(super) async fn stands(ground: &dyn Ground, at: &[Position]) -> Result<(), PlaceError> {
    let cursors = at.iter().filter_map(Cursor::read);
    match cursors.max_by_key(|cursor| cursor.settled) {
        Some(cursor) => stands::look(ground, &cursor, ground.largest().await?).await.map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_being_stored() {
        let counted = Counted { after: Some(RowId(-4)), rows: 7, upto: None };
        let cursor = Cursor::after(Some(i128::from(u64::MAX)), counted, Gaps::default(), None);
        let position = cursor.position();
        let text = r#"{"after":"18446744073709551615","counted":{"after":"-4","rows":7}}"#;
        assert_eq!(position.as_str(), text);
        let read = Cursor::read(&Position::new(position.as_str())).unwrap();
        assert_eq!((read.settled, read.counted), (Some(i128::from(u64::MAX)), counted));
        let begin = |id| Cursor::starting_at(id).position().as_str().to_owned();
        assert_eq!(begin(None), r#"{"after":null,"newest":{},"counted":{"after":null,"rows":0}}"#);
        assert_eq!(begin(Some(RowId(1))), r#"{"after":"0","newest":{},"counted":{"after":"0","rows":0}}"#);
        let gaps = r#"{"after":"9","gaps":["3+4@1700000000"],"newest":{"behind":"3","then":"7","rows":2},"counted":{"after":null,"rows":5}}"#;
        let read = Cursor::read(&Position::new(gaps)).unwrap();
        assert_eq!(Cursor::clone(&read).position().as_str(), gaps);
        for text in ["", "5", r#"{"after":"x"}"#, r#"{"after":"1","gaps":["?"]}"#] {
            assert!(Cursor::read(&Position::new(text)).is_none(), "{text}");
        }
        // What earlier versions wrote.
        let old = Cursor::read(&Position::new(r#"{"after":"7","seen":"AgI"}"#)).unwrap();
        assert_eq!(
            (old.settled, old.counted),
            (Some(7), Counted { after: Some(RowId(7)), ..Counted::default() })
        );
    }

    #[test]
    fn the_earlier_of_two_positions_forgets_rather_than_skips() {
        let counted = |rows| Counted { rows, ..Counted::default() };
        let at = |id: i128| {
            Cursor::after(Some(id), counted(id.unsigned_abs() as u64), Gaps::default(), None).position()
        };
        assert_eq!(earlier(&at(5), &at(7)).as_str(), at(5).as_str());
        assert_eq!(earlier(&at(7), &at(5)).as_str(), at(5).as_str());
        let begin = Cursor::starting_at(None).position();
        assert_eq!(earlier(&at(7), &begin).as_str(), begin.as_str());
        let one = at(5);
        assert_eq!(earlier(&one, &one.clone()), one);
    }
}
