//! Times as people type and read them.

use std::time::Duration;

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone, Utc};

use crate::base::clock::{Clock, UnixMs, ms};
use crate::config;

/// A moment: how long ago (`2h`, `7d`), a time of here, or one with its zone. Unix ms.
pub(super) fn moment(text: &str) -> Result<UnixMs, String> {
    at(text, Clock::system().now())
}

/// Now, in UTC.
pub(super) fn now() -> String {
    utc(Clock::system().now()).to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn at(text: &str, now: UnixMs) -> Result<UnixMs, String> {
    if let Ok(ago) = config::parse_duration(text) {
        return Ok(now.saturating_sub(ms(ago)));
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_millis());
    }
    let here = text.replace('T', " ");
    let forms = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(&here, form).ok());
    let day = || Some(NaiveDate::parse_from_str(&here, "%Y-%m-%d").ok()?.and_time(NaiveTime::MIN));
    let hour = || {
        let time =
            ["%H:%M:%S", "%H:%M"].iter().find_map(|form| NaiveTime::parse_from_str(text, form).ok())?;
        let today = Local.timestamp_millis_opt(now).single()?.date_naive().and_time(time);
        // At night the evening before is meant.
        let later = Local.from_local_datetime(&today).earliest()?.timestamp_millis() > now;
        if later { today.checked_sub_days(chrono::Days::new(1)) } else { Some(today) }
    };
    let time = time.or_else(day).or_else(hour).and_then(|time| Local.from_local_datetime(&time).earliest());
    time.map(|time| time.timestamp_millis()).ok_or_else(|| {
        "write how long ago (30m, 2h, 7d), a local time (2026-11-30, \"2026-11-30 21:00\", 21:00) or one with its zone \
         (2026-11-30T21:00:00Z)"
            .to_owned()
    })
}

/// The time in UTC, to the millisecond, as the log writes it.
pub(super) fn iso(at: UnixMs) -> String {
    utc(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The day in UTC, as the names of log files have it.
pub(super) fn day(at: UnixMs) -> String {
    utc(at).format("%Y-%m-%d").to_string()
}

fn utc(at: UnixMs) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(at).unwrap_or_default()
}

/// How long something took.
pub(super) fn length(from: UnixMs, to: UnixMs) -> String {
    let took = Duration::from_millis(to.saturating_sub(from).max(0).unsigned_abs());
    match took.as_secs() {
        0 => format!("{} ms", took.as_millis()),
        s @ 1..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s @ 7200..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_taken_in_every_form_that_the_help_names() {
        let now = 1_764_500_000_000;
        assert_eq!(at("2h", now), Ok(now - 7_200_000));
        assert_eq!(at("7d", now), Ok(now - 7 * 86_400_000));
        assert_eq!(at("2026-11-30T21:00:00Z", now), Ok(1_796_072_400_000));
        assert_eq!(at("2026-11-30T21:00:00+08:00", now), Ok(1_796_072_400_000 - 8 * 3_600_000));
        let here = at("2026-11-30 21:00", now).unwrap();
        assert_eq!(at("2026-11-30T21:00:00", now), Ok(here));
        assert_eq!(crate::cli::text::time(here), "2026-11-30 21:00:00");
        assert!(
            (0..=90_000_000).contains(&(now - at("12:30", now).unwrap())),
            "the last time that it was half past twelve"
        );
        assert_eq!(at("2026-11-30", now), Ok(here - 21 * 3_600_000));
        for text in ["", "soon", "2", "2026-13-01", "25:00"] {
            assert!(at(text, now).unwrap_err().contains("7d"), "{text}");
        }
    }

    #[test]
    fn lengths_are_easy_to_read() {
        let lengths =
            [0, 999, 1000, 119_999, 120_000, 7_200_000, 172_800_000].map(|took| length(5, 5 + took));
        assert_eq!(lengths, ["0 ms", "999 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!(length(5, 0), "0 ms", "a clock that was set back");
    }
}
