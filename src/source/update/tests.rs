use super::*;

fn at(text: &str) -> NaiveDateTime {
    form::parse_moment(text).unwrap()
}

fn now(utc: &str, hours: i64) -> Now {
    Now { utc: at(utc), wall: at(utc) + TimeDelta::hours(hours) }
}

const OVERLAP: TimeDelta = TimeDelta::seconds(20);

#[test]
fn windows_overlap_and_reach_to_now() {
    let cursor = Cursor::done(&now("2026-01-01 12:00:00.5", 8));
    let window = cursor.window(OVERLAP, &now("2026-01-01 12:00:05.25", 8));
    assert_eq!(window, Window { low: Some(at("2026-01-01 19:59:40")), high: at("2026-01-01 20:00:05.25") });
}

#[test]
fn an_outage_is_read_whole() {
    let cursor = Cursor::done(&now("2026-01-01 12:00:00", 0));
    let window = cursor.window(OVERLAP, &now("2026-01-03 12:00:00", 0));
    assert_eq!(window.low, Some(at("2026-01-01 11:59:40")));
    let cursor = Cursor::done(&now("2026-01-01 12:00:00", 8));
    let window = cursor.window(OVERLAP, &now("2026-01-03 12:00:00", 8));
    assert_eq!(
        window.low,
        Some(at("2026-01-01 17:59:40")),
        "a wall may have been set back and forth meanwhile"
    );
}

#[test]
fn the_hour_that_comes_twice_is_read_twice() {
    // New York, 2026-11-01 06:00 UTC: 01:59:59 is followed by 01:00:00.
    let cursor = Cursor::done(&now("2026-11-01 05:59:55", -4));
    let window = cursor.window(OVERLAP, &now("2026-11-01 06:00:05", -5));
    assert_eq!(window, Window { low: Some(at("2026-11-01 00:59:35")), high: at("2026-11-01 02:00:05") });
}

#[test]
fn the_hour_that_never_comes_is_no_gap() {
    // 2026-03-08 07:00 UTC: 01:59:59 is followed by 03:00:00.
    let cursor = Cursor::done(&now("2026-03-08 06:59:55", -5));
    let window = cursor.window(OVERLAP, &now("2026-03-08 07:00:05", -4));
    assert_eq!(window, Window { low: Some(at("2026-03-08 01:59:35")), high: at("2026-03-08 03:00:05") });
}

#[test]
fn a_clock_set_back_reads_from_where_it_is_now() {
    let cursor = Cursor::done(&now("2026-01-01 12:00:00", 0));
    let window = cursor.window(OVERLAP, &now("2026-01-01 11:50:00", 0));
    assert_eq!(window, Window { low: Some(at("2026-01-01 11:49:40")), high: at("2026-01-01 11:50:00") });
}

#[test]
fn the_beginning_has_no_lower_end() {
    assert_eq!(Cursor::beginning().window(OVERLAP, &now("2026-01-01 12:00:00", 0)).low, None);
}

#[test]
fn positions_survive_being_stored() {
    let today = now("2026-01-01 12:00:00.5", 8);
    let plain = Cursor::done(&today);
    assert_eq!(plain.position().as_str(), r#"{"end":"2026-01-01 20:00:00.5","zone":28800}"#);
    let window = plain.window(OVERLAP, &today);
    let paged = plain.paged(&window, &today, Stored::Text("2026-01-01 20:00:00".into()), 7);
    for cursor in [Cursor::beginning(), plain.clone(), paged.clone()] {
        assert_eq!(Cursor::read(&cursor.position()), Some(cursor));
    }
    assert_eq!(paged.page.as_ref().unwrap().finished(), plain);
    for text in ["", "{}", r#"{"end":"x","zone":0}"#, r#"{"after":"5"}"#] {
        assert_eq!(Cursor::read(&Position::new(text)), None, "{text}");
    }
}

#[test]
fn the_earlier_position_loses_nothing() {
    let time = TimeForm::Text { separator: ' ', utc: false };
    let today = now("2026-01-01 12:00:00", 8);
    let done = Cursor::done(&today);
    let window = done.window(OVERLAP, &today);
    let page = |time: &str, id| done.paged(&window, &today, Stored::Text(time.into()), id);
    let (one, two) = (page("2026-01-01 19:59:50", 9), page("2026-01-01 19:59:50", 10));
    let three = page("2026-01-01 19:59:51", 1);
    let all = [Cursor::beginning(), done.clone(), one, two, three];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            assert_eq!(&earlier(a, b, OVERLAP, &time), &all[i.min(j)], "{i} {j}");
        }
    }
    // A later end may still have to read more than a page of an earlier window has left.
    let later = Cursor::done(&now("2026-01-01 12:00:05", 8));
    let far = page("2026-01-01 19:59:58", 1);
    assert_eq!(earlier(&far, &later, OVERLAP, &time), later);
    // Over a change of the wall clock both begin again at the earlier end.
    let winter = Cursor::done(&now("2026-01-01 12:00:05", 7));
    assert_eq!(earlier(&three_of(&all), &winter, OVERLAP, &time), done);
}

fn three_of(all: &[Cursor]) -> Cursor {
    all[4].clone()
}
