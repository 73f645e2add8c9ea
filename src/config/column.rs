//! What one pair of compared columns is allowed to differ in.

use std::fmt;
use std::time::Duration;

use super::duration;

/// A source column, the destination column that must agree with it, and what is let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnConfig {
    /// Column of the source.
    pub source: String,
    /// Column of the destination.
    pub copy: String,
    /// What is let pass; nothing by default.
    pub policy: ColumnPolicy,
}

/// Every loosening of one pair of columns. The default is none: values agree exactly or differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnPolicy {
    /// Blanks (spaces) at the ends of text that do not count.
    pub trim: Trim,
    /// Text is the same in upper and lower case.
    pub ignore_case: bool,
    /// By how much numbers or times may differ.
    pub tolerance: Option<Tolerance>,
    /// Empty text is NULL.
    pub empty_is_null: bool,
    /// Zone of the wall-clock side, where the other side holds instants; `None`: UTC.
    pub zone: Option<chrono_tz::Tz>,
    /// Shown, but not compared.
    pub ignore: bool,
}

/// Which blanks do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trim {
    /// All do.
    #[default]
    None,
    /// Those at the end.
    End,
    /// Those at both ends.
    Both,
}

/// By how much two values may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Numbers: by at most this (a decimal in the form of [`crate::model::form::number`]).
    Absolute(String),
    /// Numbers: by at most this many hundredths of the larger one.
    Percent(String),
    /// Times: by at most this.
    Time(Duration),
}

impl ColumnPolicy {
    /// Whether anything is let pass.
    pub fn is_loose(&self) -> bool {
        *self != Self::default()
    }
}

/// What is let pass, in the words of the file: `trim, ignoreCase`.
impl fmt::Display for ColumnPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = Vec::new();
        match self.trim {
            Trim::None => {}
            Trim::End => words.push("trim end".to_owned()),
            Trim::Both => words.push("trim".to_owned()),
        }
        if self.ignore_case {
            words.push("ignoreCase".to_owned());
        }
        if let Some(tolerance) = &self.tolerance {
            words.push(format!("tolerance {tolerance}"));
        }
        if self.empty_is_null {
            words.push("emptyIsNull".to_owned());
        }
        if let Some(zone) = self.zone {
            words.push(format!("zone {zone}"));
        }
        if self.ignore {
            words.push("ignore".to_owned());
        }
        f.write_str(&words.join(", "))
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(number) => f.write_str(number),
            Self::Percent(number) => write!(f, "{number}%"),
            Self::Time(time) => f.write_str(&duration::show(*time)),
        }
    }
}
