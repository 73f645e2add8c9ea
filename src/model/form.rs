//! Lexical normal forms of numbers, times and UUIDs: two texts that mean the same become the same text.
//!
//! Nothing here goes through a float or a calendar that could lose or refuse a value: digits are moved, not
//! computed with. What does not look as expected is answered with `None` and stays as it was.

use chrono::{Duration, NaiveDate, NaiveDateTime};

/// Exponents up to this size are written out with zeros; beyond, as `digits e exponent`.
const PLAIN: i64 = 80;

/// The normal form of a number written as `[+-]digits[.digits][e[+-]digits]`.
///
/// No leading or trailing zeros, no exponent unless the number is enormous, no `-0`. Exact for any length. `NaN` and
/// infinities keep one spelling.
pub fn number(text: &str) -> Option<String> {
    if let Some(word) = not_finite(text) {
        return Some(word.to_owned());
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    if fraction.is_empty() && exponent == 0 {
        let digits = whole.trim_start_matches('0');
        return Some(match (negative, digits) {
            (_, "") => "0".to_owned(),
            (true, digits) => format!("-{digits}"),
            (false, digits) => digits.to_owned(),
        });
    }
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let dropped = all.len() - all.trim_end_matches('0').len();
    // The number is 0.digits × 10^point.
    let behind = i64::try_from(fraction.len()).ok()? - i64::try_from(dropped).ok()?;
    let point = i64::try_from(digits.len()).ok()? - behind + i64::from(exponent);
    let count = i64::try_from(digits.len()).ok()?;
    let sign = if negative { "-" } else { "" };
    let zeros = |n: i64| "0".repeat(usize::try_from(n).unwrap_or_default());
    Some(if !(-PLAIN..=count + PLAIN).contains(&point) {
        format!("{sign}{digits}e{}", point - count)
    } else if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{sign}{digits}{}", zeros(point - count))
    } else {
        let (whole, fraction) = digits.split_at(usize::try_from(point).ok()?);
        format!("{sign}{whole}.{fraction}")
    })
}

fn not_finite(text: &str) -> Option<&'static str> {
    let (negative, word) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if word.eq_ignore_ascii_case("nan") && !negative {
        Some("NaN")
    } else if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
        Some(if negative { "-Infinity" } else { "Infinity" })
    } else {
        None
    }
}

/// The normal form of a date, or of a date with a time: `YYYY-MM-DD HH:MM:SS[.fraction]`, with ` BC` behind it where a
/// database writes so. Years have four to six digits.
///
/// The fraction is without trailing zeros, a missing time is midnight, a zone at the end (`Z`, `+08`, `+05:30`) is
/// turned to UTC. Impossible days (`0000-00-00`) are kept as they are; `infinity` answers `None`.
pub fn moment(text: &str) -> Option<String> {
    let (text, era) = text.strip_suffix(" BC").map_or((text, ""), |text| (text, " BC"));
    let year = text.find('-').filter(|digits| (4..=6).contains(digits))?;
    let date = text.get(..year + 6)?;
    if !text.as_bytes()[..year].iter().all(u8::is_ascii_digit) || !shaped(&date[year..], "-00-00") {
        return None;
    }
    let rest = &text[date.len()..];
    if rest.is_empty() {
        return Some(format!("{date} 00:00:00{era}"));
    }
    let rest = rest.strip_prefix(' ').or_else(|| rest.strip_prefix(['T', 't']))?;
    let (clock, zone) = match rest.find(['+', '-', 'Z', 'z', ' ']) {
        Some(at) => (&rest[..at], rest[at..].trim_start_matches(' ')),
        None => (rest, ""),
    };
    let plain = format!("{date} {}{era}", clock_time(clock)?);
    match offset_seconds(zone)? {
        0 => Some(plain),
        offset => {
            let local = NaiveDateTime::parse_from_str(&plain, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            let utc = local.checked_sub_signed(Duration::seconds(offset))?;
            Some(moment_text(utc))
        }
    }
}

/// Writes a date and time in the form of [`moment`].
pub fn moment_text(at: NaiveDateTime) -> String {
    let text = at.format("%Y-%m-%d %H:%M:%S%.9f").to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a date with or without a time as [`moment`] does; `None` for days that no calendar has.
pub fn parse_moment(text: &str) -> Option<NaiveDateTime> {
    let plain = moment(text)?;
    NaiveDateTime::parse_from_str(&plain, "%Y-%m-%d %H:%M:%S%.f").ok()
}

/// The normal form of a time of day: `[-]H…H:MM:SS[.fraction]` without trailing zeros of the fraction.
pub fn clock_time(text: &str) -> Option<String> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (clock, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next().unwrap_or("00"));
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let hours_fit = (2..=4).contains(&hours.len()) && hours.bytes().all(|b| b.is_ascii_digit());
    if parts.next().is_some() || !hours_fit || !two(minutes) || !two(seconds) {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours = if hours.len() > 2 { hours.trim_start_matches('0') } else { hours };
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{hours:0>2}:{minutes}:{seconds}{dot}{fraction}"))
}

/// The 32 lower-case hexadecimal digits of a UUID, however it is written (dashes, braces, case, `urn:uuid:`).
pub fn uuid(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.as_simple().to_string())
}

/// Midnight of a day, for bounds made of a date.
pub fn midnight(day: NaiveDate) -> NaiveDateTime {
    day.and_time(chrono::NaiveTime::MIN)
}

fn shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(t, s)| if s == b'0' { t.is_ascii_digit() } else { t == s })
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => return (zone.len() <= 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return zone.eq_ignore_ascii_case("utc").then_some(0),
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |two| two.parse::<i64>().ok());
    Some(sign * (part(0)? * 3600 + part(2)? * 60 + part(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        let cases = [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("+5", "5"),
            ("3000.00", "3000"),
            ("3000.0", "3000"),
            ("1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.050", "-0.05"),
            ("1e3", "1000"),
            ("1.5e-07", "0.00000015"),
            ("12.5E1", "125"),
            ("100e-2", "1"),
            ("18446744073709551615", "18446744073709551615"),
            ("1e1000", "1e1000"),
            ("10e999", "1e1000"),
            ("1.0e-1000", "1e-1000"),
            ("nan", "NaN"),
            ("-inf", "-Infinity"),
        ];
        for (text, wanted) in cases {
            assert_eq!(number(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", " 1", "1 ", "abc", "1.2.3", "--1", "e5", ".", "1e", "0x10", "1_000", "٣"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn moments() {
        let cases = [
            ("2009-01-01 00:00:00", "2009-01-01 00:00:00"),
            ("2009-01-01T00:00:00.000", "2009-01-01 00:00:00"),
            ("2009-01-01", "2009-01-01 00:00:00"),
            ("2009-01-01 10:20", "2009-01-01 10:20:00"),
            ("2009-01-01 10:20:30.120000", "2009-01-01 10:20:30.12"),
            ("2009-01-01 10:20:30+00", "2009-01-01 10:20:30"),
            ("2009-01-01T10:20:30Z", "2009-01-01 10:20:30"),
            ("2009-01-01 00:20:30.5+08:00", "2008-12-31 16:20:30.5"),
            ("2009-01-01 00:20:30 -05:30", "2009-01-01 05:50:30"),
            ("0000-00-00 00:00:00.000", "0000-00-00 00:00:00"),
            ("0044-03-15 BC", "0044-03-15 00:00:00 BC"),
            ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00 BC"),
            ("12000-01-01", "12000-01-01 00:00:00"),
        ];
        for (text, wanted) in cases {
            assert_eq!(moment(text).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "infinity", "2009-1-1", "2009-01-01x", "044-03-15", "1234567-01-01", "2009-01-01 1"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
        assert_eq!(clock_time("-838:59:59.000").as_deref(), Some("-838:59:59"));
        assert_eq!(clock_time("24:00:00").as_deref(), Some("24:00:00"));
    }

    proptest! {
        #[test]
        fn number_is_idempotent_and_keeps_the_value(mantissa in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..12) {
            let written = format!("{mantissa}e-{scale}");
            let normal = number(&written).unwrap();
            let again = number(&normal).unwrap();
            prop_assert_eq!(&again, &normal);
            let exact: f64 = written.parse().unwrap();
            prop_assert_eq!(normal.parse::<f64>().unwrap() + 0.0, exact + 0.0);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = (number(&text), moment(&text), clock_time(&text), uuid(&text), parse_moment(&text));
        }
    }
}
