//! Who gets how much of a claim. What has just been confirmed does not wait behind a backlog, what is tried again does not
//! wait for ever behind what is new, and neither does what waits longest.

/// A part of what is to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Never called: what became due last.
    Newest = 0,
    /// Tried again: what became due first.
    Again = 1,
    /// Never called: what became due first.
    Oldest = 2,
}

/// At most so many of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) part: Part,
    pub(super) most: usize,
}

/// Half for the newest, a quarter each for the others; what a part does not need goes to the others, in this order. What is
/// too little to be divided is given by turns.
pub(super) fn shares(limit: usize, turn: u64) -> Vec<Share> {
    use Part::{Again, Newest, Oldest};
    let share = |part, most| Share { part, most };
    let all = |parts: [Part; 3]| parts.map(|part| share(part, limit)).to_vec();
    match (limit, turn % 4) {
        (0, _) => Vec::new(),
        (1, 0 | 2) => all([Newest, Again, Oldest]),
        (1, 1) => all([Again, Newest, Oldest]),
        (1, _) => all([Oldest, Again, Newest]),
        (2 | 3, turn) => {
            let other = if turn % 2 == 0 { Again } else { Oldest };
            let mut shares = vec![share(other, 1), share(Newest, limit - 1)];
            shares.extend(all([Again, Oldest, Newest]));
            shares
        }
        _ => {
            let (half, quarter) = (limit.div_ceil(2), limit / 4);
            let mut shares =
                vec![share(Newest, half), share(Again, quarter), share(Oldest, limit - half - quarter)];
            shares.extend(all([Again, Oldest, Newest]));
            shares
        }
    }
}

/// The same without what is tried again.
pub(super) fn fresh_shares(limit: usize, turn: u64) -> Vec<Share> {
    let mut shares = shares(limit, turn);
    shares.retain(|share| share.part != Part::Again);
    shares
}

/// One after the other from the parts, so that whatever there is no time for is something of each.
pub(super) fn mixed<T>(parts: [Vec<T>; 3]) -> Vec<T> {
    let mut out = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    let [newest, again, oldest] = parts;
    let (mut newest, mut again, mut oldest) = (newest.into_iter(), again.into_iter(), oldest.into_iter());
    loop {
        let before = out.len();
        out.extend(newest.next());
        out.extend(again.next());
        out.extend(newest.next());
        out.extend(oldest.next());
        if out.len() == before {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What would be handed out of so many newest or oldest, and so many tried again.
    fn hand_out(limit: usize, turn: u64, mut fresh: usize, mut again: usize) -> [usize; 3] {
        let mut got = [0; 3];
        for Share { part, most } in shares(limit, turn) {
            let there = if part == Part::Again { &mut again } else { &mut fresh };
            let some = most.min(limit - got.iter().sum::<usize>()).min(*there);
            *there -= some;
            got[part as usize] += some;
        }
        got
    }

    #[test]
    fn nobody_waits_for_somebody_else() {
        assert_eq!(hand_out(100, 0, 1_000_000, 1_000_000), [50, 25, 25]);
        assert_eq!(hand_out(100, 0, 3, 1_000_000), [3, 97, 0]);
        assert_eq!(hand_out(100, 0, 1_000_000, 0), [50, 0, 50]);
        assert_eq!(hand_out(100, 0, 0, 5), [0, 5, 0]);
        for limit in 1..4 {
            let mut got = [0; 3];
            for turn in 0..4 {
                let some = hand_out(limit, turn, 1000, 1000);
                (0..3).for_each(|i| got[i] += some[i]);
            }
            assert!(got.iter().all(|n| *n > 0) && got[0] * 2 >= limit * 4, "{limit}: {got:?}");
        }
        assert_eq!(mixed([vec![1, 2, 3, 4], vec![10, 11], vec![20]]), [1, 10, 2, 20, 3, 11, 4]);
    }

    #[test]
    fn what_is_tried_again_can_be_left_out() {
        for (limit, turn) in (0..20).flat_map(|limit| (0..4).map(move |turn| (limit, turn))) {
            let shares = fresh_shares(limit, turn);
            assert!(shares.iter().all(|share| share.part != Part::Again));
            let most = shares.iter().map(|share| share.most).sum::<usize>();
            assert!(most >= limit, "{limit} at turn {turn}: what one part does not need goes to the other");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_left_while_there_is_room(
            limit in 0..2000_usize, turn in 0..8_u64, fresh in 0..3000_usize, again in 0..3000_usize,
        ) {
            let got = hand_out(limit, turn, fresh, again);
            prop_assert_eq!(got.iter().sum::<usize>(), limit.min(fresh + again));
        }
    }
}
