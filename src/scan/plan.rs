//! Which lanes are looked at next, and which of them together.

use crate::base::clock::UnixMs;
use crate::model::Position;

/// One destination's place in one feed, as far as planning goes.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Where it stands; `None`: it has never started.
    pub position: Option<Position>,
    /// Whether its last read reached the end of what there was.
    pub at_tip: bool,
    /// When it wants to be looked at again, Unix ms.
    pub due: UnixMs,
    /// A ticket for it is out.
    pub busy: bool,
    /// Rows behind its position must not be read again for it (event destinations): it shares a read only with those
    /// that stand where it does.
    pub alone: bool,
}

/// One read of a feed, for one or more lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Where to read from; `None`: find out where to start.
    pub from: Option<Position>,
    /// Which lanes it serves, by index.
    pub lanes: Vec<usize>,
}

/// Plans the looks of one feed that are due now. `earlier` names the position that lies further back.
///
/// Lanes at the tip differ only by when they were last read, so they are read together from the earliest of their
/// positions: looking twice at a row is harmless. They never wait for each other's work: once one of them is due, those
/// that would be before `soon` are looked at as well, so that they stay together, with one memory.
pub fn plan(
    lanes: &[Lane],
    now: UnixMs,
    soon: UnixMs,
    earlier: impl Fn(&Position, &Position) -> Position,
) -> Vec<Look> {
    let at = |lane: &Lane, when: UnixMs| !lane.busy && lane.due <= when;
    let together = lanes.iter().any(|lane| lane.at_tip && at(lane, now));
    let due = |lane: &Lane| at(lane, now) || (lane.at_tip && together && at(lane, soon));
    let mut looks: Vec<Look> = Vec::new();
    let mut tip: Option<usize> = None;
    let due_now = || lanes.iter().enumerate().filter(|(_, lane)| due(lane));
    for (index, lane) in due_now().filter(|(_, lane)| !lane.alone) {
        let together = if lane.at_tip {
            tip
        } else {
            looks.iter().enumerate().position(|(i, look)| Some(i) != tip && look.from == lane.position)
        };
        match together.map(|i| &mut looks[i]) {
            Some(look) => {
                if let (Some(a), Some(b)) = (&look.from, &lane.position) {
                    look.from = Some(earlier(a, b));
                }
                look.lanes.push(index);
            }
            None => {
                if lane.at_tip {
                    tip = Some(looks.len());
                }
                looks.push(Look { from: lane.position.clone(), lanes: vec![index] });
            }
        }
    }
    // By now it is known from where the others are read.
    for (index, lane) in due_now().filter(|(_, lane)| lane.alone) {
        match looks.iter_mut().find(|look| look.from == lane.position) {
            Some(look) => look.lanes.push(index),
            None => looks.push(Look { from: lane.position.clone(), lanes: vec![index] }),
        }
    }
    looks
}

/// Among how many different positions the memory for what was read has to be divided.
pub fn apart(lanes: &[Lane]) -> usize {
    let mut different: Vec<&Position> = Vec::new();
    for position in lanes.iter().filter_map(|lane| lane.position.as_ref()) {
        if position.has_memory() && !different.contains(&position) {
            different.push(position);
        }
    }
    different.len().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lane(position: Option<u32>, at_tip: bool, due: UnixMs, busy: bool) -> Lane {
        let position = position.map(|p| Position::new(format!("{p:05}")));
        Lane { position, at_tip, due, busy, alone: false }
    }

    fn looks(lanes: &[Lane], now: UnixMs) -> Vec<(Option<String>, Vec<usize>)> {
        let earlier =
            |a: &Position, b: &Position| if a.as_str() <= b.as_str() { a.clone() } else { b.clone() };
        plan(lanes, now, now + 5, earlier)
            .into_iter()
            .map(|l| (l.from.map(|p| p.as_str().trim_start_matches('0').to_owned()), l.lanes))
            .collect()
    }

    #[test]
    fn destinations_at_the_tip_share_one_read_from_the_earliest() {
        let lanes =
            [lane(Some(9), true, 0, false), lane(Some(7), true, 0, false), lane(Some(8), true, 0, false)];
        assert_eq!(looks(&lanes, 0), [(Some("7".to_owned()), vec![0, 1, 2])]);
    }

    #[test]
    fn one_that_must_not_go_back_shares_only_the_read_it_would_make_itself() {
        let alone = |position, due| Lane { alone: true, ..lane(Some(position), true, due, false) };
        let lanes = [alone(9, 0), lane(Some(9), true, 0, false), alone(9, 0)];
        assert_eq!(looks(&lanes, 0), [(Some("9".to_owned()), vec![1, 0, 2])]);
        // The others are read from where the earliest of them stands.
        let lanes = [alone(9, 0), lane(Some(9), true, 0, false), lane(Some(7), true, 0, false)];
        let apart = [(Some("7".to_owned()), vec![1, 2]), (Some("9".to_owned()), vec![0])];
        assert_eq!(looks(&lanes, 0), apart);
        assert_eq!(looks(&[alone(9, 0), alone(7, 0)], 0).len(), 2);
    }

    #[test]
    fn one_that_is_behind_is_read_for_separately() {
        let lanes =
            [lane(Some(9), true, 0, false), lane(Some(2), false, 0, false), lane(Some(9), true, 0, false)];
        assert_eq!(looks(&lanes, 0), [(Some("9".to_owned()), vec![0, 2]), (Some("2".to_owned()), vec![1])]);
    }

    #[test]
    fn those_at_the_tip_stay_together() {
        let lanes =
            [lane(Some(9), true, 10, false), lane(Some(7), true, 15, false), lane(Some(8), true, 16, false)];
        assert_eq!(looks(&lanes, 9), []);
        assert_eq!(looks(&lanes, 10), [(Some("7".to_owned()), vec![0, 1])]);
        let lanes = [lane(Some(9), false, 10, false), lane(Some(9), true, 11, false)];
        assert_eq!(looks(&lanes, 10), [(Some("9".to_owned()), vec![0])]);
    }

    #[test]
    fn memory_is_divided_among_those_that_are_apart() {
        let held = |text: &str| Position::with_memory(text, std::sync::Arc::new(()));
        let at =
            |position: &Position| Lane { position: Some(position.clone()), ..lane(None, true, 0, false) };
        let (a, b) = (held("a"), held("a"));
        let lanes = [at(&a), at(&a), at(&b), lane(Some(3), true, 0, false), lane(None, true, 0, false)];
        assert_eq!(apart(&lanes), 2);
        assert_eq!(apart(&lanes[..2]), 1);
        assert_eq!(apart(&lanes[3..]), 1);
    }

    #[test]
    fn equal_positions_share_wherever_they_are() {
        let lanes =
            [lane(None, false, 0, false), lane(None, false, 0, false), lane(Some(5), false, 0, false)];
        assert_eq!(looks(&lanes, 0), [(None, vec![0, 1]), (Some("5".to_owned()), vec![2])]);
    }

    #[test]
    fn busy_or_not_yet_due_lanes_wait() {
        let lanes = [lane(Some(1), true, 11, false), lane(Some(1), true, 0, true)];
        assert_eq!(looks(&lanes, 10), []);
    }

    proptest! {
        /// Every due lane is served once, never from behind… that is, never from a place past its own.
        #[test]
        fn each_due_lane_is_served_once_and_skips_nothing(
            lanes in proptest::collection::vec((0_u32..50, any::<bool>(), 0_i64..20, any::<bool>()), 0..12),
        ) {
            let lanes: Vec<Lane> = lanes.into_iter().map(|(p, t, d, b)| lane(Some(p), t, d, b)).collect();
            let earlier = |a: &Position, b: &Position| if a.as_str() <= b.as_str() { a.clone() } else { b.clone() };
            let looks = plan(&lanes, 10, 10, earlier);
            let mut served: Vec<usize> = looks.iter().flat_map(|l| l.lanes.clone()).collect();
            served.sort_unstable();
            let due: Vec<usize> = (0..lanes.len()).filter(|i| !lanes[*i].busy && lanes[*i].due <= 10).collect();
            prop_assert_eq!(served, due);
            for look in &looks {
                for index in &look.lanes {
                    prop_assert!(look.from.as_ref().unwrap().as_str() <= lanes[*index].position.as_ref().unwrap().as_str());
                }
            }
        }
    }
}
