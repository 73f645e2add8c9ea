use super::*;

fn at(text: &str) -> NaiveDateTime {
    form::parse_moment(text).unwrap()
}

fn now(utc: &str, hours: i64) -> Now {
    Now { utc: at(utc), wall: at(utc) + TimeDelta::hours(hours) }
}

const OVERLAP: TimeDelta = TimeDelta::seconds(20);

fn plan(cursor: &Cursor, now: Now) -> plan::Plan {
    let settled = now.utc - TimeDelta::seconds(1);
    planned(cursor, now, settled, None)
}

fn planned(cursor: &Cursor, now: Now, settled: NaiveDateTime, looked: Option<&str>) -> plan::Plan {
    let time = &TimeForm::Text { separator: ' ', utc: false };
    let looked = looked.map(at);
    plan::Plan::new(&plan::Facts {
        cursor,
        now,
        settled,
        overlap: OVERLAP,
        looked,
        forgotten: None,
        whole: true,
        time,
    })
}

fn rows(low: &str, high: &str) -> plan::Segment {
    plan::Segment { low: Some(at(low)), high: at(high), rows: true }
}

fn pairs(low: &str, high: &str) -> plan::Segment {
    plan::Segment { rows: false, ..rows(low, high) }
}

fn finished(now: &Now) -> Cursor {
    done(now)
}

fn done(now: &Now) -> Cursor {
    Cursor::done(now.utc, now.offset())
}

#[test]
fn windows_overlap_and_reach_to_now() {
    let cursor = done(&now("2026-01-01 12:00:00.5", 8));
    let plan = plan(&cursor, now("2026-01-01 12:00:05.25", 8));
    assert_eq!(plan.segments, [rows("2026-01-01 19:59:40", "2026-01-01 20:00:05.25")]);
    assert_eq!(plan.end.end.as_deref(), Some("2026-01-01 20:00:04.25"));
}

#[test]
fn behind_an_open_transaction_times_and_ids_are_read() {
    let cursor = done(&now("2026-01-01 11:00:00", 0));
    let (today, looked) = (now("2026-01-01 12:00:05", 0), Some("2026-01-01 12:00:04"));
    let held = planned(&cursor, today, at("2026-01-01 11:00:00"), looked);
    let fresh = rows("2026-01-01 11:59:44", "2026-01-01 12:00:05");
    assert_eq!(held.segments, [fresh.clone(), pairs("2026-01-01 10:59:40", "2026-01-01 11:59:44")]);
    // Another one is the oldest now: what settles is read once more.
    let moved = planned(&cursor, today, at("2026-01-01 11:30:00"), looked);
    let settles = rows("2026-01-01 10:59:40", "2026-01-01 11:29:40");
    assert_eq!(moved.segments, [fresh, settles, pairs("2026-01-01 11:29:40", "2026-01-01 11:59:44")]);
    // None is open: all of that is one window.
    let free = planned(&cursor, today, at("2026-01-01 12:00:04"), looked);
    assert_eq!(free.segments, [rows("2026-01-01 10:59:40", "2026-01-01 12:00:05")]);
    // What settled stays settled.
    let back = planned(&cursor, today, at("2026-01-01 10:00:00"), looked);
    assert_eq!(back.end.end.as_deref(), Some("2026-01-01 11:00:00"));
}

#[test]
fn an_outage_is_read_whole() {
    let low = |hours| {
        let cursor = done(&now("2026-01-01 12:00:00", hours));
        plan(&cursor, now("2026-01-03 12:00:00", hours)).segments[0].low
    };
    assert_eq!(low(0), Some(at("2026-01-01 11:59:40")));
    assert_eq!(low(8), Some(at("2026-01-01 17:59:40")), "a wall may have been set back and forth meanwhile");
}

#[test]
fn the_hour_that_comes_twice_is_read_twice() {
    // New York, 2026-11-01 06:00 UTC: 01:59:59 is followed by 01:00:00.
    let cursor = done(&now("2026-11-01 05:59:55", -4));
    let looked = Some("2026-11-01 05:59:56");
    let first = planned(&cursor, now("2026-11-01 06:00:05", -5), at("2026-11-01 06:00:04"), looked);
    assert_eq!(first.segments, [rows("2026-11-01 00:59:35", "2026-11-01 02:00:05")]);
    assert!(!first.goes_on, "what was remembered was on another wall");
    // While a transaction of before may be open, its hour is looked at as well.
    let held = Cursor { end: Some("2026-11-01 00:59:58".to_owned()), ..first.end };
    let looked = Some("2026-11-01 06:00:05");
    let next = planned(&held, now("2026-11-01 06:00:06", -5), at("2026-11-01 05:59:58"), looked);
    let fresh = rows("2026-11-01 00:59:45", "2026-11-01 01:00:06");
    let deep = pairs("2026-11-01 00:59:38", "2026-11-01 00:59:45");
    let ahead = pairs("2026-11-01 01:00:06", "2026-11-01 02:00:06");
    assert_eq!(next.segments, [fresh, deep, ahead]);
    let past = planned(&next.end, now("2026-11-01 06:01:00", -5), at("2026-11-01 06:00:59"), None);
    assert_eq!(past.end.was, None);
}

#[test]
fn the_hour_that_never_comes_is_no_gap() {
    // 2026-03-08 07:00 UTC: 01:59:59 is followed by 03:00:00.
    let cursor = done(&now("2026-03-08 06:59:55", -5));
    let first = planned(&cursor, now("2026-03-08 07:00:05", -4), at("2026-03-08 06:59:58"), None);
    assert_eq!(first.segments, [rows("2026-03-08 01:59:35", "2026-03-08 03:00:05")]);
    // The settled end lies before the change: so does the next window's beginning, on the wall of then.
    let next = planned(&first.end, now("2026-03-08 07:00:06", -4), at("2026-03-08 07:00:05"), None);
    assert_eq!(next.segments, [rows("2026-03-08 01:59:38", "2026-03-08 03:00:06")]);
}

#[test]
fn a_clock_set_back_reads_from_where_it_is_now() {
    let cursor = done(&now("2026-01-01 12:00:00", 0));
    let plan = plan(&cursor, now("2026-01-01 11:50:00", 0));
    assert_eq!(plan.segments, [rows("2026-01-01 11:49:40", "2026-01-01 11:50:00")]);
}

#[test]
fn the_beginning_has_no_lower_end() {
    assert_eq!(plan(&Cursor::beginning(), now("2026-01-01 12:00:00", 0)).segments[0].low, None);
}

fn page(cursor: &Cursor, now: &Now, time: &str, id: i128) -> Cursor {
    let page = Page {
        high: form::moment_text(now.wall),
        now: form::moment_text(now.wall),
        zone: now.offset().num_seconds(),
        time: Stored::Text(time.into()),
        id: id.to_string(),
    };
    Cursor { page: Some(page), ..cursor.clone() }
}

#[test]
fn positions_survive_being_stored() {
    let today = now("2026-01-01 12:00:00.5", 8);
    let plain = done(&today);
    assert_eq!(plain.text(), r#"{"end":"2026-01-01 20:00:00.5","zone":28800}"#);
    let paged = page(&plain, &today, "2026-01-01 20:00:00", 7);
    let was = Some(Was { low: 0, high: 3600, until: "2026-01-01 12:00:00".to_owned() });
    let set = Cursor { was, ..plain.clone() };
    for cursor in [Cursor::beginning(), plain.clone(), paged.clone(), set] {
        assert_eq!(Cursor::read(&Position::new(cursor.text())), Some(cursor));
    }
    assert_eq!(paged.page.as_ref().unwrap().finished(None), plain);
    for text in ["", "{}", r#"{"end":"x","zone":0}"#, r#"{"after":"5"}"#] {
        assert_eq!(Cursor::read(&Position::new(text)), None, "{text}");
    }
}

#[test]
fn the_earlier_position_loses_nothing() {
    let time = TimeForm::Text { separator: ' ', utc: false };
    let today = now("2026-01-01 12:00:00", 8);
    let done = Cursor::done(today.utc, today.offset());
    let page = |time: &str, id| page(&done, &today, time, id);
    let (one, two) = (page("2026-01-01 19:59:50", 9), page("2026-01-01 19:59:50", 10));
    let three = page("2026-01-01 19:59:51", 1);
    let all = [Cursor::beginning(), done.clone(), one, two, three];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(&earlier(a, b, OVERLAP, &time), &all[i.min(j)], "{i} {j}");
        }
    }
    // A later end may still have to read more than a page of an earlier window has left; but what it has settled, the
    // other has not.
    let later = finished(&now("2026-01-01 12:00:05", 8));
    let far = page("2026-01-01 19:59:58", 1);
    assert_eq!(earlier(&far, &later, OVERLAP, &time), done);
    // Of two pages the window of the earlier one settles no more than that of the other.
    let near = Cursor { page: page("2026-01-01 19:59:51", 1).page, ..later.clone() };
    let newer = Page { now: "2026-01-01 20:00:05".to_owned(), ..near.page.clone().unwrap() };
    let newer = Cursor { page: Some(newer), ..later };
    assert_eq!(earlier(&far, &newer, OVERLAP, &time).page, near.page);
    // Over a change of the wall clock both begin again at the earlier end.
    let winter = finished(&now("2026-01-01 12:00:05", 7));
    assert_eq!(earlier(&three_of(&all), &winter, OVERLAP, &time), done);
}

fn three_of(all: &[Cursor]) -> Cursor {
    all[4].clone()
}
