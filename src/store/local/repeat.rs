//! One statement for many rows, in few round trips. The driver works in a thread of its own and each call to it costs
//! two switches between threads, several times what SQLite needs for the statement itself.

use std::fmt::Write as _;

/// Most repetitions in one text.
const MOST: usize = 32;

/// A statement and its repetitions, each with parameters of its own: all powers of two, so that any number of rows
/// needs few texts, and each text stays prepared.
#[derive(Debug)]
pub(super) struct Repeated {
    texts: Vec<(usize, String)>,
}

impl Repeated {
    /// `sql`, one or several statements with the parameters ?1 to ?`parameters`.
    pub(super) fn new(sql: &str, parameters: usize) -> Self {
        let sizes = std::iter::successors(Some(MOST), |n| (*n > 1).then_some(n / 2));
        Self { texts: sizes.map(|n| (n, repeat(sql, parameters, n))).collect() }
    }

    /// Splits `rows` into pieces, each with the text for it.
    pub(super) fn pieces<'a, T>(
        &'static self,
        mut rows: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        std::iter::from_fn(move || {
            let (n, text) = self.texts.iter().find(|(n, _)| *n <= rows.len())?;
            let (piece, rest) = rows.split_at(*n);
            rows = rest;
            Some((text.as_str(), piece))
        })
    }
}

fn repeat(sql: &str, parameters: usize, times: usize) -> String {
    let mut text = String::with_capacity((sql.len() + 16) * times);
    for time in 0..times {
        let mut parts = sql.split('?');
        text.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, rest) = part.split_at(digits);
            let number: usize = number.parse().expect("parameters are numbered");
            debug_assert!(number <= parameters, "?{number} of {parameters}");
            let _ = write!(text, "?{}{rest}", number + time * parameters);
        }
        text.push(';');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn parameters_are_numbered_on() {
        assert_eq!(repeat("UPDATE t SET a = ?2 WHERE b = ?1", 2, 1), "UPDATE t SET a = ?2 WHERE b = ?1;");
        assert_eq!(repeat("a ?1 b ?12", 12, 2), "a ?1 b ?12;a ?13 b ?24;");
    }

    #[test]
    fn every_row_is_in_one_piece() {
        static R: LazyLock<Repeated> = LazyLock::new(|| Repeated::new("?1", 1));
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let pieces: Vec<_> = R.pieces(&rows).collect();
            assert!(pieces.iter().all(|(text, piece)| text.matches('?').count() == piece.len()));
            assert!(pieces.iter().flat_map(|(_, piece)| piece.iter()).eq(&rows));
            assert!(pieces.len() <= count / MOST + 5);
        }
    }
}
