//! Rows by verdict.

use super::Verdict;

/// Rows looked at, by verdict. Each look counts: who adds up several feeds, or several looks of one, counts looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Rows read from the source.
    pub rows: u64,
    /// The copy agrees.
    pub same: u64,
    /// Not at the destination.
    pub missing: u64,
    /// There, with other values.
    pub differs: u64,
    /// Several rows for the key.
    pub ambiguous: u64,
    /// At the destination only.
    pub extra: u64,
    /// All that cannot be compared: key NULL or not expressible at the destination, `deletedWhen` not worked out.
    pub not_comparable: u64,
    /// Of these, the key is NULL.
    pub null_key: u64,
    /// Of these, `deletedWhen` cannot be worked out.
    pub undecided: u64,
    /// A row or its key too large to be compared.
    pub too_large: u64,
}

/// Why no delivery stands for a row that nobody can call equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unfit {
    /// The key is NULL.
    NullKey,
    /// The key cannot be expressed at the destination.
    Inexpressible,
    /// `deletedWhen` cannot be worked out.
    Undecided,
    /// A row or its key is too large to be compared.
    TooLarge,
    /// Several rows carry the key; one delivery stands for all of them.
    Ambiguous,
}

impl Unfit {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::NullKey, Self::Inexpressible, Self::Undecided, Self::TooLarge, Self::Ambiguous];

    /// The word in the state and in `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NullKey => "null_key",
            Self::Inexpressible => "inexpressible",
            Self::Undecided => "undecided",
            Self::TooLarge => "too_large",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// The inverse of [`Unfit::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == word)
    }
}

impl Counts {
    /// Counts one row.
    pub fn see(&mut self, verdict: &Verdict) {
        self.rows += 1;
        self.count(verdict);
    }

    /// Counts a verdict over a row that is counted already.
    pub fn count(&mut self, verdict: &Verdict) {
        *match verdict {
            Verdict::Same => &mut self.same,
            Verdict::Missing => &mut self.missing,
            Verdict::Differs(_) => &mut self.differs,
            Verdict::Ambiguous(_) => &mut self.ambiguous,
            Verdict::TooLarge => &mut self.too_large,
            Verdict::Extra => &mut self.extra,
            Verdict::NotComparable => &mut self.not_comparable,
        } += 1;
    }

    /// Says why a row that is counted as not comparable is not.
    pub fn because(&mut self, why: Unfit) {
        match why {
            Unfit::NullKey => self.null_key += 1,
            Unfit::Undecided => self.undecided += 1,
            Unfit::Inexpressible | Unfit::TooLarge | Unfit::Ambiguous => {}
        }
    }

    /// Adds what another look saw.
    pub fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.rows, other.rows),
            (&mut self.same, other.same),
            (&mut self.missing, other.missing),
            (&mut self.differs, other.differs),
            (&mut self.ambiguous, other.ambiguous),
            (&mut self.extra, other.extra),
            (&mut self.not_comparable, other.not_comparable),
            (&mut self.null_key, other.null_key),
            (&mut self.undecided, other.undecided),
            (&mut self.too_large, other.too_large),
        ];
        pairs.into_iter().for_each(|(mine, more)| *mine += more);
    }
}
