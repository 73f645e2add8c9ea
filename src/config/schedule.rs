//! When something is done that is done again and again at certain times.

use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Local, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

use super::duration;

/// What a schedule looks like, for messages.
pub(crate) const EXAMPLES: &str = "\"daily 03:00\", \"sunday 03:00\" or \"every 6h\"";

/// Shortest pause between two times.
const SHORTEST: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// So long after it began last.
    Every(Duration),
    /// At this minute of the day, on that day of the week only, if there is one.
    At(Option<Weekday>, u32),
}

impl Schedule {
    /// Reads one; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if word.eq_ignore_ascii_case("every") {
            let every = duration::parse(rest)?;
            if every < SHORTEST {
                return Err("there must be ten seconds at least between two times".to_owned());
            }
            return Ok(Self::Every(every));
        }
        let day = if word.eq_ignore_ascii_case("daily") {
            None
        } else {
            Some(
                word.parse::<Weekday>()
                    .map_err(|_| format!("`{word}` is no word that a schedule begins with"))?,
            )
        };
        let minute = minute(rest).ok_or_else(|| format!("`{rest}` is no time of the day as 03:00"))?;
        Ok(Self::At(day, minute))
    }

    /// As it is written.
    pub(crate) fn show(self) -> String {
        match self {
            Self::Every(every) => format!("every {}", duration::show(every)),
            Self::At(day, minute) => {
                let day = day.map_or_else(|| "daily".to_owned(), |day| long(day).to_owned());
                format!("{day} {:02}:{:02}", minute / 60, minute % 60)
            }
        }
    }

    /// The first time behind `last`, in Unix ms, on the clocks of a zone; `None`: of the machine. A time that the clocks
    /// leave out comes with the first one that they show again, and one that they show twice comes once.
    pub fn next(self, last: i64, zone: Option<Tz>) -> i64 {
        let Some(last) = DateTime::<Utc>::from_timestamp_millis(last) else { return i64::MAX };
        let next = match (self, zone) {
            (Self::Every(every), _) => {
                TimeDelta::from_std(every).ok().and_then(|every| last.checked_add_signed(every))
            }
            (Self::At(day, minute), Some(zone)) => at(day, minute, last, &zone),
            (Self::At(day, minute), None) => at(day, minute, last, &Local),
        };
        next.map_or(i64::MAX, |next| next.timestamp_millis())
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: u32| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| digits && *number < below)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60).filter(|_| minute.len() == 2)?)
}

fn long(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

fn at<Z: TimeZone>(
    day: Option<Weekday>,
    minute: u32,
    last: DateTime<Utc>,
    zone: &Z,
) -> Option<DateTime<Utc>> {
    let today: NaiveDate = last.with_timezone(zone).date_naive();
    let days = (0..9).filter_map(|ahead| today.checked_add_days(Days::new(ahead)));
    let meant = days.filter(|date| day.is_none_or(|day| date.weekday() == day));
    let mut times = meant.filter_map(|date| first(date.and_hms_opt(minute / 60, minute % 60, 0)?, zone));
    times.find(|time| *time > last)
}

/// When the clocks show that time first, or the next one that they show.
fn first<Z: TimeZone>(wall: NaiveDateTime, zone: &Z) -> Option<DateTime<Utc>> {
    let mut walls = (0..=180).map(|later| wall + TimeDelta::minutes(later));
    walls.find_map(|wall| zone.from_local_datetime(&wall).earliest()).map(|time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn what_is_written_is_read_and_shown() {
        for (text, shown) in [
            ("daily 03:00", "daily 03:00"),
            (" Daily  3:05 ", "daily 03:05"),
            ("sun 23:59", "sunday 23:59"),
            ("Monday 00:00", "monday 00:00"),
            ("every 6h", "every 6h"),
            ("every 90s", "every 90s"),
        ] {
            assert_eq!(Schedule::parse(text).unwrap().show(), shown, "{text}");
        }
        for text in
            ["", "daily", "daily 3", "daily 24:00", "daily 03:0", "noday 03:00", "every", "every 5s", "03:00"]
        {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_next_time_is_on_the_clocks_of_the_zone() {
        let zone = Some(Tz::Europe__Berlin);
        for (schedule, last, next) in [
            ("daily 03:00", "2026-11-30T01:59:59Z", "2026-11-30T02:00:00Z"),
            ("daily 03:00", "2026-11-30T02:00:00Z", "2026-12-01T02:00:00Z"),
            ("sunday 03:00", "2026-11-30T12:00:00Z", "2026-12-06T02:00:00Z"),
            ("every 6h", "2026-11-30T12:00:00Z", "2026-11-30T18:00:00Z"),
            // Left out in spring, there twice in autumn.
            ("daily 02:30", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("daily 02:30", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("daily 02:30", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(
                Schedule::parse(schedule).unwrap().next(ms(last), zone),
                ms(next),
                "{schedule} {last}"
            );
        }
    }

    proptest! {
        /// Whatever the zone and the time: the next one lies ahead, by nine days at most.
        #[test]
        fn the_next_time_lies_ahead(last in 0_i64..4_000_000_000_000, minute in 0_u32..1440, weekly: bool, zone in 0_usize..chrono_tz::TZ_VARIANTS.len()) {
            let day = weekly.then_some(Weekday::Wed);
            let next = Schedule::At(day, minute).next(last, Some(chrono_tz::TZ_VARIANTS[zone]));
            prop_assert!(next > last && next <= last + 9 * 86_400_000, "{last} {next}");
        }
    }
}
