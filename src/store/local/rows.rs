//! One statement for many rows. The driver works in a thread of its own, and each call to it costs two switches between
//! threads: several times what SQLite needs for the row itself.

use std::iter::{repeat_n, successors};

/// Most rows in one statement.
const MOST: usize = 64;

/// A statement over a table `v` of parameters, in a text for each power of two, so that any number of rows needs few
/// texts and each of them stays prepared. What is missing to a power of two is filled up with the last row: a
/// statement must do the same when a row is given twice.
#[derive(Debug)]
pub(super) struct ForRows {
    texts: Vec<(usize, String)>,
}

impl ForRows {
    /// `columns` are those of `v`, `statement` what is to be done with it.
    pub(super) fn new(columns: &[&str], statement: &str) -> Self {
        let sizes = successors(Some(1), |n| (*n < MOST).then_some(n * 2));
        Self { texts: sizes.map(|n| (n, text(columns, statement, n))).collect() }
    }

    /// Splits `rows` into pieces, each with its text and filled up for it.
    pub(super) fn pieces<'a, T>(
        &'static self,
        rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'a T>)> {
        rows.chunks(MOST).map(|piece| {
            let (n, text) =
                self.texts.iter().find(|(n, _)| *n >= piece.len()).expect("a text for each piece");
            let last = piece.last().expect("a piece has rows");
            (text.as_str(), piece.iter().chain(repeat_n(last, n - piece.len())))
        })
    }

    /// The text for `MOST` rows.
    #[cfg(test)]
    pub(super) fn longest(&self) -> &str {
        &self.texts[self.texts.len() - 1].1
    }
}

fn text(columns: &[&str], statement: &str, rows: usize) -> String {
    let row = format!("({})", repeat_n("?", columns.len()).collect::<Vec<_>>().join(", "));
    let rows = repeat_n(row, rows).collect::<Vec<_>>().join(", ");
    format!("WITH v ({}) AS (VALUES {rows}) {statement}", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn every_row_is_in_one_piece_and_every_parameter_has_a_value() {
        static R: LazyLock<ForRows> = LazyLock::new(|| ForRows::new(&["a", "b"], "SELECT a, b FROM v"));
        assert_eq!(R.texts[1].1, "WITH v (a, b) AS (VALUES (?, ?), (?, ?)) SELECT a, b FROM v");
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let mut got = Vec::new();
            for (text, piece) in R.pieces(&rows) {
                let piece: Vec<usize> = piece.copied().collect();
                assert_eq!(text.matches('?').count(), 2 * piece.len());
                got.extend(piece);
            }
            got.dedup();
            assert_eq!(got, rows);
        }
    }
}
