//! Time layouts: PHP's letters as cupid's documents show them, Go's reference time as cupid-go's code wanted them,
//! or chrono's own notation.

use chrono::format::{Item, StrftimeItems};
use chrono::{NaiveDateTime, Timelike as _};

use super::TimeLayout;

const NO_ZONE: &str = "a zone or offset cannot be part of the layout; say it with `zone`";

/// Translates a layout; the error says which part of it cannot be used.
pub(crate) fn parse(written: &str) -> Result<TimeLayout, String> {
    let strftime = if written.contains('%') {
        written.to_owned()
    } else if written.chars().any(|c| c.is_ascii_digit()) {
        from_go(written)?
    } else {
        from_php(written)?
    };
    check(&strftime)?;
    Ok(TimeLayout { written: written.to_owned(), strftime })
}

/// A layout is usable when a time written with it can be read back to the second or minute, or a date to the day.
fn check(strftime: &str) -> Result<(), String> {
    let items: Vec<Item<'_>> = StrftimeItems::new(strftime).collect();
    if items.contains(&Item::Error) {
        return Err("the layout is not understood".to_owned());
    }
    let sample =
        chrono::DateTime::from_timestamp(1_709_213_696, 0).expect("a fixed time in range").naive_utc();
    let mut text = String::new();
    let written =
        std::fmt::Write::write_fmt(&mut text, format_args!("{}", sample.format_with_items(items.iter())));
    written.map_err(|_| NO_ZONE.to_owned())?;
    let minutes = sample.with_second(0).expect("zero is a second");
    let read = NaiveDateTime::parse_from_str(&text, strftime);
    let whole = read == Ok(sample) || read == Ok(minutes);
    let day = chrono::NaiveDate::parse_from_str(&text, strftime) == Ok(sample.date());
    if whole || (day && !strftime.contains("%H") && !strftime.contains("%I")) {
        Ok(())
    } else {
        Err("the layout does not name a complete date and time".to_owned())
    }
}

/// PHP's `date()` letters.
fn from_php(written: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut letters = written.chars();
    while let Some(letter) = letters.next() {
        out.push_str(match letter {
            'd' => "%d",
            'D' => "%a",
            'j' => "%-d",
            'l' => "%A",
            'N' => "%u",
            'w' => "%w",
            'W' => "%V",
            'o' => "%G",
            'F' => "%B",
            'M' => "%b",
            'm' => "%m",
            'n' => "%-m",
            'Y' => "%Y",
            'y' => "%y",
            'a' => "%P",
            'A' => "%p",
            'g' => "%-I",
            'G' => "%-H",
            'h' => "%I",
            'H' => "%H",
            'i' => "%M",
            's' => "%S",
            'u' => "%6f",
            'v' => "%3f",
            'U' => "%s",
            'e' | 'I' | 'O' | 'P' | 'p' | 'T' | 'Z' | 'c' | 'r' => {
                return Err(format!("`{letter}`: {NO_ZONE}"));
            }
            '\\' => {
                out.extend(letters.next());
                continue;
            }
            other if other.is_ascii_alphabetic() => {
                return Err(format!("`{other}` is not a letter of a PHP layout that can be read back"));
            }
            other => {
                out.push(other);
                continue;
            }
        });
    }
    Ok(out)
}

/// Go's reference time, longest token first.
const GO: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Monday", "%A"),
    ("2006", "%Y"),
    ("002", "%j"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("_2", "%e"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

fn from_go(written: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = written;
    'next: while let Some(first) = rest.chars().next() {
        if rest.starts_with("MST") || rest.starts_with("Z07") || rest.starts_with("-07") {
            return Err(NO_ZONE.to_owned());
        }
        if let Some((fraction, after)) = go_fraction(rest) {
            out.push_str(&fraction);
            rest = after;
            continue;
        }
        for (token, translated) in GO {
            if let Some(after) = rest.strip_prefix(token) {
                out.push_str(translated);
                rest = after;
                continue 'next;
            }
        }
        if first.is_ascii_digit() {
            return Err(format!("`{first}` is not part of Go's reference time (Mon Jan 2 15:04:05 2006)"));
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    Ok(out)
}

/// `.000`, `,000` (fixed) or `.999` (as many as there are), not followed by another digit.
fn go_fraction(rest: &str) -> Option<(String, &str)> {
    let mark = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let after = &rest[1..];
    let digit = after.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = after.len() - after.trim_start_matches(digit).len();
    let rest = &after[digits..];
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let code = match (mark, digit, digits) {
        ('.', '0', 3 | 6 | 9) => format!("%.{digits}f"),
        (',', '0', 3 | 6 | 9) => format!(",%{digits}f"),
        ('.', ..) => "%.f".to_owned(),
        _ => return None,
    };
    Some((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn translations() {
        let cases = [
            ("Y-m-d H:i:s", "%Y-%m-%d %H:%M:%S"),
            ("Y/n/j G:i:s", "%Y/%-m/%-d %-H:%M:%S"),
            ("Y-m-d H:i:s.u", "%Y-%m-%d %H:%M:%S.%6f"),
            ("Y-m-d H:i:s.v", "%Y-%m-%d %H:%M:%S.%3f"),
            ("Y-m-d\\TH:i:s", "%Y-%m-%dT%H:%M:%S"),
            ("d.m.y h:i:s A", "%d.%m.%y %I:%M:%S %p"),
            ("M j, Y g:i:s a", "%b %-d, %Y %-I:%M:%S %P"),
            ("l, d F Y H:i:s", "%A, %d %B %Y %H:%M:%S"),
            ("YmdHis", "%Y%m%d%H%M%S"),
            ("U", "%s"),
            ("Y-m-d", "%Y-%m-%d"),
            ("2006-01-02 15:04:05", "%Y-%m-%d %H:%M:%S"),
            ("2006-1-2 15:04:05", "%Y-%-m-%-d %H:%M:%S"),
            ("2006-01-02T15:04:05.000", "%Y-%m-%dT%H:%M:%S%.3f"),
            ("2006-01-02 15:04:05.000000", "%Y-%m-%d %H:%M:%S%.6f"),
            ("2006-01-02 15:04:05.999999", "%Y-%m-%d %H:%M:%S%.f"),
            ("2006-01-02 15:04:05,000", "%Y-%m-%d %H:%M:%S,%3f"),
            ("Jan _2 2006 3:04:05 PM", "%b %e %Y %-I:%M:%S %p"),
            ("20060102150405", "%Y%m%d%H%M%S"),
            ("02.01.2006 15:04:05", "%d.%m.%Y %H:%M:%S"),
            ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S"),
        ];
        for (written, strftime) in cases {
            assert_eq!(parse(written).map(|l| l.strftime), Ok(strftime.to_owned()), "{written}");
        }
    }

    #[test]
    fn refusals() {
        let cases = [
            ("", "complete"),
            ("H:i:s", "complete"),
            ("Y-m-d H:i", ""),
            ("c", "zone"),
            ("Y-m-d H:i:sP", "zone"),
            ("2006-01-02T15:04:05Z07:00", "zone"),
            ("2006-01-02 15:04:05 MST", "zone"),
            ("yyyy-MM-dd HH:mm:ss", ""),
            ("Y-m-d H:i:s t", "`t`"),
            ("2016-01-02 15:04:05", "reference time"),
            ("2007-08-09", "reference time"),
            ("%Q", "not understood"),
            ("%Y-%m-%d %H:%M:%S %z", "zone"),
        ];
        for (written, word) in cases {
            match parse(written) {
                Ok(layout) => assert!(word.is_empty(), "{written} became {}", layout.strftime),
                Err(error) => assert!(error.contains(word), "{written}: {error}"),
            }
        }
    }

    proptest! {
        #[test]
        fn never_panics(written in "\\PC*|[YmdHisujnGyv0-9:. %-]{0,24}") {
            let _ = parse(&written);
        }
    }
}
