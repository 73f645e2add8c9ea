//! Durations with units, as the file and Go DSNs write them: `1.5s`, `500ms`, `10s`, `5m`, `2h`, `30d`, `1h30m`.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(crate) const EXAMPLES: &str = "\"500ms\", \"10s\", \"5m\", \"2h\" or \"30d\"";

/// Longest duration taken: a hundred years.
const LONGEST_NANOS: u128 = 100 * 366 * 86_400 * 1_000_000_000;

/// Reads a duration; the error says what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("the duration is empty".to_owned());
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let scale = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" if number_end > 0 => return Err("the unit is missing".to_owned()),
            _ if number_end == 0 => return Err("a number is expected before the unit".to_owned()),
            _ => return Err(format!("`{unit}` is not a unit")),
        };
        nanos = scaled(number, scale)
            .and_then(|part| nanos.checked_add(part))
            .filter(|sum| *sum <= LONGEST_NANOS)
            .ok_or_else(|| format!("`{number}` is not a number that can be used here"))?;
        rest = after;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).expect("a hundred years of seconds fit");
    let below = u32::try_from(nanos % 1_000_000_000).expect("less than a second of nanoseconds fits");
    Ok(Duration::new(seconds, below))
}

/// `number` times `scale`, exactly; digits below a nanosecond are dropped.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut sum = whole.checked_mul(scale)?;
    let mut digit_scale = scale;
    for digit in fraction.chars() {
        digit_scale /= 10;
        sum += u128::from(digit.to_digit(10)?) * digit_scale;
    }
    Some(sum)
}

/// The shortest notation that reads back as the same duration.
pub(crate) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units =
        [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];
    for (unit, scale) in units {
        if nanos > 0 && nanos.is_multiple_of(scale) {
            return format!("{}{unit}", nanos / scale);
        }
    }
    if nanos == 0 {
        "0s".to_owned()
    } else if nanos > 1_000_000_000 && nanos.is_multiple_of(100_000_000) && nanos < 60_000_000_000 {
        format!("{}.{}s", nanos / 1_000_000_000, nanos % 1_000_000_000 / 100_000_000)
    } else if nanos.is_multiple_of(1_000_000) {
        format!("{}ms", nanos / 1_000_000)
    } else {
        format!("{nanos}ns")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readings() {
        let cases = [
            ("1.5s", 1_500),
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("30d", 2_592_000_000),
            ("1h30m", 5_400_000),
            (" 2s ", 2_000),
            (".5s", 500),
            ("0", 0),
            ("0s", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, word) in [
            ("", "empty"),
            ("10", "unit is missing"),
            ("s", "number"),
            ("10x", "`x`"),
            ("1..2s", "number"),
            ("-1s", "number"),
            ("10 s", "unit is missing"),
            ("99999999999999999999999999999999999999999d", "number"),
            ("200000000000000000d", "number"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn shown_reads_back(millis in 0_u64..10_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn never_panics(text in "\\PC*|[0-9.]{0,45}[a-z]{0,3}") {
            let _ = parse(&text);
        }
    }
}
