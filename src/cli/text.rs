//! Numbers, times and tables as people read them.

use chrono::{Local, TimeZone as _};

use crate::base::clock::UnixMs;

/// Digits in groups of three.
pub(super) fn number(n: u64) -> String {
    grouped(&n.to_string())
}

/// The same of digits with or without a sign.
pub(super) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// How long ago that was.
pub(super) fn age(since: UnixMs, now: UnixMs) -> String {
    span(now.saturating_sub(since).max(0) / 1000)
}

/// So many seconds.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A time in the zone of whoever asks.
pub(super) fn time(at: UnixMs) -> String {
    let time = Local.timestamp_millis_opt(at).single();
    time.map_or_else(|| at.to_string(), |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Somebody else's words on one line, without anything that a terminal would act on.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() || is_direction(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that turn the direction of what follows.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many characters, with a sign that there were more.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(std::iter::once('…')).collect(),
        None => text.to_owned(),
    }
}

/// Columns a text takes on a terminal: characters of East Asia take two.
fn width(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
            | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
            | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
    };
    text.chars().map(|c| if wide(c) { 2 } else { 1 }).sum()
}

/// Rows under a head, each column as wide as it must be; columns whose head begins with `>` are for numbers.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let names: Vec<&str> = head.iter().map(|name| name.trim_start_matches('>')).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| width(name)).collect();
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut out = String::new();
        for ((cell, widest), name) in cells.zip(&widths).zip(head) {
            let pad = " ".repeat(widest.saturating_sub(width(cell)));
            let (before, after) = if name.starts_with('>') { (&*pad, "") } else { ("", &*pad) };
            out.extend([before, cell, after, "  "]);
        }
        out.trim_end().to_owned()
    };
    let head = line(&mut names.iter().copied());
    let rows = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    std::iter::once(head).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ages_are_easy_to_read() {
        let numbers: Vec<String> = [0, 7, 999, 1000, 12_345, 1_204_560].into_iter().map(number).collect();
        assert_eq!(numbers, ["0", "7", "999", "1 000", "12 345", "1 204 560"]);
        assert_eq!((grouped("-1234"), grouped("-123")), ("-1 234".to_owned(), "-123".to_owned()));
        let ages: Vec<String> = [0, 59, 60, 3599, 3600, 172_799, 172_800].into_iter().map(span).collect();
        assert_eq!(ages, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 d"]);
        assert_eq!(age(5000, 1000), "0 s", "a clock that was set back");
    }

    #[test]
    fn what_others_wrote_cannot_act_on_a_terminal() {
        assert_eq!(plain("a\nb\u{1b}[31mred\u{202e}x"), "a b\\u{1b}[31mred\\u{202e}x");
        assert_eq!(plain("韩梅梅 ok"), "韩梅梅 ok");
    }

    #[test]
    fn a_table_is_aligned_whatever_the_script() {
        let rows = vec![
            vec!["7".to_owned(), "韩梅".to_owned(), "x".to_owned()],
            vec!["12".to_owned(), "Lucy L".to_owned(), String::new()],
        ];
        assert_eq!(table(&[">NO", "KEY", "WHY"], &rows), ["NO  KEY     WHY", " 7  韩梅    x", "12  Lucy L"]);
        assert_eq!((short("abcdef", 4), short("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
    }
}
