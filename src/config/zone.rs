//! Time zones and start times as the file writes them.

use chrono::{NaiveDate, NaiveDateTime};
use chrono_tz::Tz;

use super::Start;

/// Reads a zone: an IANA name, `UTC`, or a whole-hour offset such as `+08:00`.
pub(crate) fn parse_zone(text: &str) -> Result<Tz, String> {
    if matches!(text, "Z" | "utc" | "UTC") {
        return Ok(Tz::UTC);
    }
    if let Some(offset) = text.strip_prefix(['+', '-']) {
        let hours = match offset.split_once(':').map_or((offset, "00"), |(h, m)| (h, m)) {
            (hours, "00") if hours.len() <= 2 => hours.parse::<u8>().ok(),
            _ => None,
        };
        // The names of these zones count westwards: +08:00 is Etc/GMT-8.
        let sign = if text.starts_with('+') { '-' } else { '+' };
        return hours
            .and_then(|hours| match hours {
                0 => Some(Tz::UTC),
                _ => format!("Etc/GMT{sign}{hours}").parse().ok(),
            })
            .ok_or_else(|| format!("`{text}` is not an offset of whole hours from -12:00 to +14:00"));
    }
    text.parse::<Tz>()
        .or_else(|_| {
            chrono_tz::TZ_VARIANTS
                .iter()
                .copied()
                .find(|zone| zone.name().eq_ignore_ascii_case(text))
                .ok_or(())
        })
        .map_err(|()| format!("`{text}` is not a time zone"))
}

/// Every zone name, for naming the nearest.
pub(crate) fn zone_names() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// Reads `now`, `beginning` or a time.
pub(crate) fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "now" => return Ok(Start::Now),
        "beginning" => return Ok(Start::Beginning),
        _ => {}
    }
    let layouts = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];
    layouts
        .iter()
        .find_map(|layout| NaiveDateTime::parse_from_str(text, layout).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0)))
        .map(Start::At)
        .ok_or_else(|| format!("`{text}` is neither \"now\" nor \"beginning\" nor a time"))
}

/// The notation [`parse_start`] reads.
pub(crate) fn show_start(start: &Start) -> String {
    match start {
        Start::Now => "now".to_owned(),
        Start::Beginning => "beginning".to_owned(),
        Start::At(time) => time.format("%Y-%m-%d %H:%M:%S%.f").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Offset as _, TimeZone as _};

    #[test]
    fn zones() {
        let noon = NaiveDate::from_ymd_opt(2024, 7, 1).unwrap().and_hms_opt(12, 0, 0).unwrap();
        for (text, hours) in [
            ("+08:00", 8),
            ("-5:00", -5),
            ("+00:00", 0),
            ("+14", 14),
            ("UTC", 0),
            ("Asia/Shanghai", 8),
            ("asia/tokyo", 9),
        ] {
            let zone = parse_zone(text).unwrap();
            let offset = zone.offset_from_utc_datetime(&noon).fix().local_minus_utc();
            assert_eq!(offset, hours * 3600, "{text}");
        }
        for text in ["+05:30", "+15:00", "-13:00", "Mars/Olympus", "", "+", "+ab"] {
            assert!(parse_zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn starts() {
        assert_eq!(parse_start("now"), Ok(Start::Now));
        assert_eq!(parse_start("beginning"), Ok(Start::Beginning));
        for text in ["2024-02-29", "2024-02-29 10:11", "2024-02-29 10:11:12", "2024-02-29T10:11:12.5"] {
            let start = parse_start(text).unwrap();
            assert_eq!(parse_start(&show_start(&start)), Ok(start));
        }
        for text in ["2024-02-30", "yesterday", "", "2024-02-29 25:00"] {
            assert!(parse_start(text).is_err(), "{text}");
        }
    }
}
