//! A set of ids as runs, small for ids that lie close together and cheap to copy: blocks that two copies have in
//! common are held once.

use std::sync::Arc;

/// Bytes of a block above which the next id begins a new one.
const FULL: usize = 4096;

/// What a block takes beside its bytes.
const HEAD: usize = 128;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    /// Ascending, not overlapping.
    blocks: Vec<Arc<Block>>,
}

/// Runs put into a block at most when a set is made of many.
const MADE: usize = 1000;

/// Runs that lie together: each as its distance from the end of the one before and its length, in integers of
/// variable length. The last run is open, so that the next id usually costs nothing.
#[derive(Clone, Debug)]
struct Block {
    first: i128,
    bytes: Vec<u8>,
    /// End of the last run in `bytes`.
    written: i128,
    open: (i128, i128),
    /// Ids in it.
    count: u64,
}

impl Runs {
    /// Adds ids in any order.
    pub(super) fn extend(&mut self, ids: impl IntoIterator<Item = i128>) {
        for id in ids {
            self.add(id);
        }
    }

    fn add(&mut self, id: i128) {
        let at = self.blocks.partition_point(|block| block.open.1 < id);
        let Some(block) = self.blocks.get_mut(at) else { return self.push(id) };
        let mut runs: Vec<(i128, i128)> = block.runs().collect();
        let place = runs.partition_point(|run| run.1 < id);
        if runs[place].0 <= id {
            return;
        }
        runs.insert(place, (id, id));
        let halves = if block.bytes.len() > 2 * FULL { runs.len() / 2 } else { runs.len() };
        let blocks = [&runs[..halves], &runs[halves..]].into_iter().filter(|half| !half.is_empty());
        let blocks: Vec<_> = blocks.map(|half| Arc::new(Block::of(half))).collect();
        self.blocks.splice(at..=at, blocks);
    }

    /// Adds an id above all others.
    fn push(&mut self, id: i128) {
        match self.blocks.last_mut() {
            Some(block) if block.bytes.len() < FULL || block.open.1 + 1 == id => {
                Arc::make_mut(block).push(id)
            }
            _ => self.blocks.push(Arc::new(Block::of(&[(id, id)]))),
        }
    }

    /// Those of `ids` (ascending) that are not in the set.
    pub(super) fn without(&self, ids: &[i128]) -> Vec<i128> {
        let Some(lowest) = ids.first() else { return Vec::new() };
        let from = self.blocks.partition_point(|block| block.open.1 < *lowest);
        let mut runs = self.blocks[from..].iter().flat_map(|block| block.runs()).peekable();
        let unknown = |id: &&i128| {
            while runs.next_if(|run| run.1 < **id).is_some() {}
            runs.peek().is_none_or(|run| run.0 > **id)
        };
        ids.iter().filter(unknown).copied().collect()
    }

    /// Ids of this set that the other has as well, or that lie no higher than `upto`.
    pub(super) fn both(&self, other: &Self, upto: Option<i128>) -> Self {
        let mut both: Vec<(i128, i128)> = Vec::new();
        let mut theirs = other.runs().peekable();
        for (mut first, last) in self.runs() {
            if let Some(upto) = upto.filter(|upto| first <= *upto) {
                both.push((first, last.min(upto)));
                first = upto.saturating_add(1);
            }
            while first <= last && theirs.next_if(|run| run.1 < first).is_some() {}
            while let Some(run) = theirs.peek().filter(|run| first <= last && run.0 <= last) {
                both.push((first.max(run.0), last.min(run.1)));
                if run.1 > last {
                    break;
                }
                theirs.next();
            }
        }
        Self { blocks: both.chunks(MADE).map(|runs| Arc::new(Block::of(runs))).collect() }
    }

    fn runs(&self) -> impl Iterator<Item = (i128, i128)> + '_ {
        self.blocks.iter().flat_map(|block| block.runs())
    }

    /// How many of them lie behind this id.
    pub(super) fn behind(&self, id: Option<i128>) -> u64 {
        let Some(id) = id else { return self.blocks.iter().map(|block| block.count).sum() };
        let from = self.blocks.partition_point(|block| block.open.1 <= id);
        let mut blocks = self.blocks[from..].iter();
        let Some(first) = blocks.next() else { return 0 };
        let part = |(a, b): (i128, i128)| u64::try_from(b - a.max(id + 1) + 1).unwrap_or(0);
        first.runs().map(part).sum::<u64>() + blocks.map(|block| block.count).sum::<u64>()
    }

    /// Forgets all ids up to this one; perhaps not quite all, never one more.
    pub(super) fn forget(&mut self, upto: i128) {
        let gone = self.blocks.partition_point(|block| block.open.1 <= upto);
        self.blocks.drain(..gone);
    }

    /// Forgets the lowest ids; returns the highest of them.
    pub(super) fn forget_oldest(&mut self) -> Option<i128> {
        (!self.blocks.is_empty()).then(|| self.blocks.remove(0).open.1)
    }

    /// Memory used.
    pub(super) fn bytes(&self) -> usize {
        // All but the last and those that were split are full.
        self.blocks.iter().map(|block| block.bytes.capacity() + HEAD).sum()
    }
}

impl Block {
    fn of(runs: &[(i128, i128)]) -> Self {
        let first = runs[0].0;
        let mut block = Self { first, bytes: Vec::new(), written: first, open: runs[0], count: 0 };
        block.count = runs.iter().map(|(a, b)| u64::try_from(b - a + 1).unwrap_or(u64::MAX)).sum();
        for run in &runs[1..] {
            if block.open.1 + 1 == run.0 {
                block.open.1 = run.1;
            } else {
                block.close();
                block.open = *run;
            }
        }
        block
    }

    fn push(&mut self, id: i128) {
        if self.open.1 + 1 == id {
            self.open.1 = id;
        } else {
            self.close();
            self.open = (id, id);
        }
        self.count += 1;
    }

    fn close(&mut self) {
        write_number(&mut self.bytes, (self.open.0 - self.written).unsigned_abs());
        write_number(&mut self.bytes, (self.open.1 - self.open.0).unsigned_abs());
        self.written = self.open.1;
    }

    fn runs(&self) -> impl Iterator<Item = (i128, i128)> + '_ {
        let (mut bytes, mut end) = (self.bytes.as_slice(), self.first);
        let closed = std::iter::from_fn(move || {
            if bytes.is_empty() {
                return None;
            }
            let first = end + read_number(&mut bytes);
            end = first + read_number(&mut bytes);
            Some((first, end))
        });
        closed.chain(std::iter::once(self.open))
    }
}

fn write_number(bytes: &mut Vec<u8>, mut n: u128) {
    while n >= 0x80 {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn read_number(bytes: &mut &[u8]) -> i128 {
    let mut n = 0_i128;
    let mut shift = 0;
    while let Some((first, rest)) = bytes.split_first() {
        *bytes = rest;
        n |= i128::from(first & 0x7f) << shift;
        shift += 7;
        if first & 0x80 == 0 {
            break;
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn dense_ids_take_next_to_nothing() {
        let mut runs = Runs::default();
        runs.extend(1..=1_000_000);
        assert!(runs.bytes() < 1000, "{}", runs.bytes());
        // Ids of a snowflake generator, four of a machine in each millisecond.
        let mut sparse = Runs::default();
        sparse.extend((0..100_000_i128).map(|n| (1 << 62) + ((n / 4) << 22) + n % 4));
        assert!(sparse.bytes() < 400_000, "{}", sparse.bytes());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut runs = Runs::default();
        runs.extend((0..100_000).map(|n| n * 1000));
        let before = runs.bytes();
        let gone = runs.forget_oldest().unwrap();
        assert!(runs.bytes() < before);
        assert_eq!(runs.without(&[gone, gone + 1000]), [gone]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_a_set(
            steps in proptest::collection::vec((0_u8..10, -1_i128 << 63..1_i128 << 64, 1_i128..100, 1_i128..4), 1..30),
        ) {
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for (what, start, many, step) in steps {
                let start = if what < 5 { start % 3000 } else { start };
                if what == 9 {
                    runs.forget(start);
                    // Whole blocks go: what is left of them both agree to forget.
                    let all: Vec<i128> = model.iter().copied().collect();
                    for id in runs.without(&all) {
                        model.remove(&id);
                    }
                    continue;
                }
                let ids: Vec<i128> = (0..many).map(|n| start + n * step).collect();
                let copy = runs.clone();
                let unknown = runs.without(&ids);
                prop_assert_eq!(&unknown, &ids.iter().filter(|id| !model.contains(*id)).copied().collect::<Vec<_>>());
                runs.extend(ids.iter().copied());
                prop_assert_eq!(copy.without(&ids), unknown, "a copy stays as it was");
                model.extend(ids);
            }
            let all: Vec<i128> = model.iter().copied().collect();
            prop_assert_eq!(runs.without(&all), [0; 0]);
            let next: Vec<i128> = model.iter().map(|id| id + 1).collect();
            let unknown: Vec<i128> = next.iter().copied().filter(|id| !model.contains(id)).collect();
            prop_assert_eq!(runs.without(&next), unknown);
            for cut in all.iter().flat_map(|id| [id - 1, *id]).chain([5]) {
                prop_assert_eq!(runs.behind(Some(cut)), model.range(cut + 1..).count() as u64);
            }
            prop_assert_eq!(runs.behind(None), all.len() as u64);
        }

        #[test]
        fn both_have_what_each_has(
            a in proptest::collection::btree_set(0_i128..400, 0..300),
            b in proptest::collection::btree_set(0_i128..400, 0..300),
            distance in 1_i128..3,
            upto in proptest::option::of(-5_i128..900),
        ) {
            let (mut x, mut y) = (Runs::default(), Runs::default());
            x.extend(a.iter().map(|id| id * distance));
            y.extend(b.iter().map(|id| id * distance));
            let has = |id: &i128| a.contains(id) && (b.contains(id) || Some(id * distance) <= upto);
            let both = x.both(&y, upto);
            let all: Vec<i128> = (0..400).map(|id| id * distance).collect();
            let wanted: Vec<i128> = (0..400).filter(|id| !has(id)).map(|id| id * distance).collect();
            prop_assert_eq!(both.without(&all), wanted);
        }

        #[test]
        fn what_is_forgotten_lies_below(ids in proptest::collection::btree_set(0_i128..100_000, 1..3000), cut in 0_i128..100_000) {
            let mut runs = Runs::default();
            runs.extend(ids.iter().copied());
            runs.forget(cut);
            let kept: Vec<i128> = ids.range(cut + 1..).copied().collect();
            prop_assert_eq!(runs.without(&kept), [0; 0]);
        }
    }
}
