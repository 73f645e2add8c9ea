//! How an update column writes time.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};

use crate::config::TimeLayout;
use crate::model::{Class, Column, Value, form};

/// The notation of times in an update column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::source) enum TimeForm {
    /// `YYYY-MM-DD HH:MM:SS[.ffffff]`, with this between date and time.
    Text {
        /// A blank or `T`.
        separator: char,
        /// Whether it is UTC rather than a wall clock.
        utc: bool,
    },
    /// A date: all rows of today are read at each look.
    Day,
    /// Unix time, this many to a second.
    Unix(i64),
    /// Text in a configured layout (strftime notation).
    Layout(String),
}

impl TimeForm {
    /// The form of a column, if its type tells; else by `sample`, its largest value. `None`: nothing tells yet,
    /// because the table is empty. Unix times are taken for the unit (s, ms, µs, ns) in which the largest is a time
    /// between 1973 and 5138.
    ///
    /// # Errors
    /// Why such a column cannot tell when a row was written.
    pub(super) fn decide(
        column: &Column,
        layout: Option<&TimeLayout>,
        sample: Option<&Value>,
    ) -> Result<Option<Self>, String> {
        if let (Some(layout), Class::Text | Class::Dynamic | Class::Other) = (layout, column.class)
            && !matches!(sample, Some(Value::Int(_) | Value::F64(_)))
        {
            return if sorts(&layout.strftime) {
                Ok(Some(Self::Layout(layout.strftime.clone())))
            } else {
                Err(format!(
                    "times written as {:?} do not sort as text, so column {:?} cannot be read by them; \
                     use a layout from year to second, or another column",
                    layout.written, column.name
                ))
            };
        }
        let by_sample = match (column.class, sample) {
            (Class::Date, _) => return Ok(Some(Self::Day)),
            (Class::DateTime, _) => return Ok(Some(Self::Text { separator: ' ', utc: false })),
            (Class::Instant, _) => return Ok(Some(Self::Text { separator: ' ', utc: true })),
            (Class::Int | Class::Text | Class::Dynamic, sample) => sample,
            _ => {
                return Err(format!(
                    "update column {:?} is {}; it must be a date, a time stamp, an integer Unix time or text",
                    column.name, column.declared
                ));
            }
        };
        match by_sample {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Int(n)) => Ok(Some(Self::Unix(unit(*n)))),
            Some(Value::Text(text)) => {
                let (date, rest) = text.split_at_checked(10).ok_or_else(|| not_a_time(column))?;
                if form::moment(date).is_none() {
                    return Err(not_a_time(column));
                }
                if rest.is_empty() {
                    return Ok(Some(Self::Day));
                }
                let separator = if rest.starts_with(['T', 't']) { 'T' } else { ' ' };
                let utc = rest.ends_with(['Z', 'z']) || rest.ends_with("+00") || rest.ends_with("+00:00");
                Ok(Some(Self::Text { separator, utc }))
            }
            Some(_) => Err(not_a_time(column)),
        }
    }

    /// Whether times are written in UTC, so that no wall clock matters.
    pub(in crate::source) fn is_utc(&self) -> bool {
        matches!(self, Self::Unix(_) | Self::Text { utc: true, .. })
    }

    /// A time as the column would hold it, never later than `at`.
    pub(in crate::source) fn write(&self, at: NaiveDateTime) -> Value {
        match self {
            Self::Text { separator, .. } => {
                let micros = at - TimeDelta::nanoseconds(i64::from(chrono::Timelike::nanosecond(&at) % 1000));
                let text = form::moment_text(micros);
                Value::text(if *separator == ' ' { text } else { text.replacen(' ', "T", 1) })
            }
            Self::Day => Value::text(at.format("%Y-%m-%d").to_string()),
            Self::Unix(unit) => {
                let span = at.and_utc();
                let whole = span.timestamp().saturating_mul(*unit);
                let part = i64::from(span.timestamp_subsec_nanos()) * unit / 1_000_000_000;
                Value::Int(whole.saturating_add(part))
            }
            Self::Layout(layout) => {
                let mut text = String::new();
                write!(text, "{}", at.format(layout)).expect("the layout wrote a time before");
                Value::text(text)
            }
        }
    }

    /// Reads a value of the column.
    pub(in crate::source) fn parse(&self, value: &Value) -> Option<NaiveDateTime> {
        match (self, value) {
            (Self::Unix(unit), value) => {
                let n = i64::try_from(value.as_int()?).ok()?;
                let nanos = n.rem_euclid(*unit).checked_mul(1_000_000_000 / unit)?;
                let at = DateTime::from_timestamp(n.div_euclid(*unit), u32::try_from(nanos).ok()?)?;
                Some(at.naive_utc())
            }
            (Self::Layout(layout), Value::Text(text)) => NaiveDateTime::parse_from_str(text, layout)
                .ok()
                .or_else(|| NaiveDate::parse_from_str(text, layout).ok().map(form::midnight)),
            (_, Value::Text(text)) => form::parse_moment(text),
            _ => None,
        }
    }
}

fn not_a_time(column: &Column) -> String {
    format!(
        "the largest value of update column {:?} is no time that starts as YYYY-MM-DD and no Unix time; \
         say how it is written (\"updateTimeFormate\") or use another column",
        column.name
    )
}

/// Parts of a second in which `n` is a time of our days.
fn unit(n: i64) -> i64 {
    match n.unsigned_abs() {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    }
}

/// Whether text in this layout sorts as the times it writes.
fn sorts(layout: &str) -> bool {
    let at = |y, mo, d, h, mi, s| NaiveDate::from_ymd_opt(y, mo, d).and_then(|day| day.and_hms_opt(h, mi, s));
    // Each step changes one part and sets back those below it.
    let steps = [
        at(2008, 12, 28, 23, 58, 58),
        at(2009, 1, 1, 0, 0, 0),
        at(2009, 1, 1, 0, 0, 9),
        at(2009, 1, 1, 0, 0, 10),
        at(2009, 1, 1, 0, 9, 0),
        at(2009, 1, 1, 0, 10, 0),
        at(2009, 1, 1, 9, 0, 0),
        at(2009, 1, 1, 10, 0, 0),
        at(2009, 1, 1, 13, 0, 0),
        at(2009, 1, 9, 0, 0, 0),
        at(2009, 1, 10, 0, 0, 0),
        at(2009, 2, 1, 0, 0, 0),
        at(2009, 4, 1, 0, 0, 0),
        at(2009, 9, 1, 0, 0, 0),
        at(2009, 10, 1, 0, 0, 0),
        at(2010, 1, 1, 0, 0, 0),
    ];
    let mut texts = Vec::with_capacity(steps.len());
    for step in steps.into_iter().flatten() {
        let mut text = String::new();
        if write!(text, "{}", step.format(layout)).is_err() {
            return false;
        }
        texts.push(text);
    }
    texts.is_sorted() && texts.first() < texts.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(class: Class) -> Column {
        Column { name: "u".into(), class, declared: "x".into(), nullable: true }
    }

    fn decide(class: Class, sample: Option<Value>) -> Result<Option<TimeForm>, String> {
        TimeForm::decide(&column(class), None, sample.as_ref())
    }

    #[test]
    fn types_and_samples_tell() {
        let text = |separator, utc| Ok(Some(TimeForm::Text { separator, utc }));
        assert_eq!(decide(Class::DateTime, None), text(' ', false));
        assert_eq!(decide(Class::Instant, None), text(' ', true));
        assert_eq!(decide(Class::Dynamic, Some(Value::text("2024-01-01T10:00:00Z"))), text('T', true));
        assert_eq!(decide(Class::Text, Some(Value::text("2024-01-01 10:00:00"))), text(' ', false));
        assert_eq!(decide(Class::Text, Some(Value::text("2024-01-01"))), Ok(Some(TimeForm::Day)));
        assert_eq!(decide(Class::Int, Some(Value::Int(1_700_000_000))), Ok(Some(TimeForm::Unix(1))));
        assert_eq!(decide(Class::Int, Some(Value::Int(1_700_000_000_000))), Ok(Some(TimeForm::Unix(1000))));
        assert_eq!(decide(Class::Int, None), Ok(None));
        assert!(decide(Class::Text, Some(Value::text("yesterday"))).is_err());
        assert!(decide(Class::Text, Some(Value::text("ähähähähäh"))).is_err());
        assert!(decide(Class::F64, None).is_err());
    }

    #[test]
    fn times_are_written_and_read() {
        let at = form::parse_moment("2024-02-29 12:00:01.123456789").unwrap();
        let cases = [
            (TimeForm::Text { separator: 'T', utc: false }, Value::text("2024-02-29T12:00:01.123456")),
            (TimeForm::Day, Value::text("2024-02-29")),
            (TimeForm::Unix(1), Value::Int(1_709_208_001)),
            (TimeForm::Unix(1000), Value::Int(1_709_208_001_123)),
            (TimeForm::Layout("%Y%m%d%H%M%S".to_owned()), Value::text("20240229120001")),
        ];
        for (time, value) in cases {
            assert_eq!(time.write(at), value);
            let back = time.parse(&value).unwrap();
            assert!(back <= at, "{time:?}");
            assert_eq!(time.write(back), value, "{time:?}");
        }
    }

    #[test]
    fn layouts_must_sort() {
        for good in ["%Y-%m-%d %H:%M:%S", "%Y%m%d", "%Y-%m-%dT%H:%M:%SZ", "%s"] {
            assert!(sorts(good), "{good}");
        }
        for bad in ["%d.%m.%Y", "%m/%d/%Y %H:%M", "%Y-%m-%d %I:%M:%S %p", "%y %b %d", "%H:%M", "%Q", "%Y %z"]
        {
            assert!(!sorts(bad), "{bad}");
        }
    }
}
