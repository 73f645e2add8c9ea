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
    /// The form of a column, if its type tells; else by `sample`, its largest value, and `now` (Unix time). `None`: nothing
    /// tells yet, because the table is empty or no row has a time. Unix times are taken for the unit (s, ms, µs, ns) in
    /// which the largest is nearest to now, unless the layout says which.
    ///
    /// # Errors
    /// Why such a column cannot tell when a row was written.
    pub(super) fn decide(
        column: &Column,
        layout: Option<&TimeLayout>,
        sample: Option<&Value>,
        now: i64,
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
        if let (Class::Int, Some(unit)) = (column.class, layout.and_then(written_unit)) {
            return Ok(Some(Self::Unix(unit)));
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
            Some(Value::Int(n)) => Ok(unit(column, *n, now)?.map(Self::Unix)),
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
        match self {
            Self::Unix(_) | Self::Text { utc: true, .. } => true,
            Self::Layout(layout) => layout.starts_with("%s") || layout.ends_with('Z'),
            Self::Text { .. } | Self::Day => false,
        }
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

/// Parts of a second in which `n` is a time near `now` (Unix time); `None`: too small to be any time but of the seventies,
/// such as the 0 of rows that were never changed.
fn unit(column: &Column, n: i64, now: i64) -> Result<Option<i64>, String> {
    const NOT_YET: i64 = 100_000_000;
    const LIFETIME: i64 = 45 * 366 * 86_400;
    if n < NOT_YET {
        return Ok(None);
    }
    let distance = |unit: &i64| (n / unit - now).abs();
    let nearest = [1, 1_000, 1_000_000, 1_000_000_000].into_iter().min_by_key(distance);
    match nearest.filter(|unit| distance(unit) < LIFETIME) {
        Some(unit) => Ok(Some(unit)),
        None => Err(format!(
            "the largest value of update column {:?} is {n}, which is no Unix time of our days in seconds, milli-, micro- or \
             nanoseconds; correct that row, or say the unit: \"updateTimeFormate\": \"U\" for seconds, \"Uv\" for \
             milliseconds",
            column.name
        )),
    }
}

/// The unit that a layout gives an integer column; `None`: it gives none.
fn written_unit(layout: &TimeLayout) -> Option<i64> {
    match layout.strftime.as_str() {
        "%s" => Some(1),
        "%s%3f" => Some(1_000),
        "%s%6f" => Some(1_000_000),
        _ => None,
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

    /// In 2025.
    const NOW: i64 = 1_750_000_000;

    fn column(class: Class) -> Column {
        Column { name: "u".into(), class, declared: "x".into(), nullable: true }
    }

    fn decide(class: Class, sample: Option<Value>) -> Result<Option<TimeForm>, String> {
        TimeForm::decide(&column(class), None, sample.as_ref(), NOW)
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
        assert_eq!(decide(Class::Int, Some(Value::Int(0))), Ok(None), "no row has been changed yet");
        assert_eq!(decide(Class::Int, Some(Value::Int(800_000_000))), Ok(Some(TimeForm::Unix(1))));
        for sentinel in [253_402_300_799, 253_402_300_799_000, i64::MAX, 4_200_000_000] {
            assert!(decide(Class::Int, Some(Value::Int(sentinel))).is_err(), "{sentinel}");
        }
        assert!(decide(Class::Text, Some(Value::text("yesterday"))).is_err());
        assert!(decide(Class::Text, Some(Value::text("ähähähähäh"))).is_err());
        assert!(decide(Class::F64, None).is_err());
    }

    #[test]
    fn a_layout_tells_the_unit_and_what_is_utc() {
        let layout =
            |strftime: &str| TimeLayout { written: strftime.to_owned(), strftime: strftime.to_owned() };
        let by = |class, l: &str, sample: &Value| {
            TimeForm::decide(&column(class), Some(&layout(l)), Some(sample), NOW)
        };
        let sentinel = Value::Int(253_402_300_799);
        assert_eq!(by(Class::Int, "%s", &sentinel), Ok(Some(TimeForm::Unix(1))));
        assert_eq!(by(Class::Int, "%s%3f", &sentinel), Ok(Some(TimeForm::Unix(1000))));
        for (l, utc) in [("%s", true), ("%Y-%m-%dT%H:%M:%SZ", true), ("%Y-%m-%d %H:%M:%S", false)] {
            let form = by(Class::Text, l, &Value::text("1750000000")).unwrap().unwrap();
            assert_eq!(form.is_utc(), utc, "{l}");
        }
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
