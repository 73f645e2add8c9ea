use std::path::Path;

use super::*;
use crate::notify::{Cause, Facts, Waiting};

fn notice(event: Event) -> Notice {
    Notice {
        cause: Cause::at(event, &TaskName::new("users"), &DestinationName::new("crm @all <b>\r\nBcc: x")),
        since: 1_790_000_000_000,
        until: None,
        count: 10_000,
        told: 0,
        facts: Facts {
            error: Some("http_5xx (503)".to_owned()),
            extent: Some((190, 200)),
            since: None,
            left: false,
        },
        waiting: Some(Waiting { count: 9_000, oldest: 1_789_999_000_000 }),
    }
}

fn writer() -> Writer {
    Writer::new(Path::new("/etc/my shop/c.json"), "shop", Clock::manual(1_790_000_180_000))
}

#[test]
fn a_message_says_what_is_needed_in_both_languages() {
    for (lang, words) in [
        (Lang::En, ["callbacks fail", "Task: users", "How many: 10000", "Waiting now: 9000", "3 min"]),
        (Lang::Zh, ["回调失败", "任务：users", "次数：10000", "正在等待：9000", "3 分钟"]),
    ] {
        let message = writer().write(lang, &[notice(Event::Failing)]);
        let all = format!("{}\n{}", message.title, message.text);
        for word in words.into_iter().chain(["http_5xx (503)", "cupid queue -c '/etc/my shop/c.json'"]) {
            assert!(all.contains(word), "{word}:\n{all}");
        }
        // Names have no power: neither a header of a mail, nor a mention, nor a tag.
        assert!(!message.title.contains(['\r', '\n', '<', '>']) && !all.contains("@all"), "{all}");
        assert!(all.len() < 1500, "short:\n{all}");
    }
}

#[test]
fn every_event_has_words() {
    for lang in [Lang::En, Lang::Zh] {
        let mut titles = std::collections::BTreeSet::new();
        for event in Event::ALL {
            for until in [None, Some(1_790_000_060_000)] {
                let message = writer().write(lang, &[Notice { until, ..notice(event) }]);
                assert_eq!(message.over, until.is_some());
                assert_eq!(message.facts["event"], event.as_str());
                titles.insert(message.title);
            }
        }
        assert_eq!(titles.len(), Event::ALL.len() * 2, "{titles:?}");
    }
}

/// Whoever was woken sees with one command what it is about.
#[test]
fn the_next_command_leads_to_what_is_told() {
    for (event, command) in [
        (Event::Dead, "cupid deliveries list -c '/etc/my shop/c.json' --task"),
        (Event::NotFixed, "--text 'not fixed'"),
        (Event::Lag, "cupid status -c"),
    ] {
        let message = writer().write(Lang::En, &[notice(event)]);
        assert!(message.text.contains(command), "{}", message.text);
    }
}

/// Two files may both have a task `main`, and tell the same people.
#[test]
fn two_daemons_are_told_apart() {
    let other = Writer::new(Path::new("/etc/my shop/c.json"), "crm", Clock::manual(1_790_000_180_000));
    for notices in [vec![notice(Event::Dead)], vec![notice(Event::Dead), notice(Event::Lag)]] {
        let (one, two) = (writer().write(Lang::En, &notices), other.write(Lang::En, &notices));
        assert_ne!(one.key, two.key);
        assert!(one.text.contains("Instance: shop") && one.source.starts_with("shop"), "{}", one.text);
        assert!(two.text.contains("Instance: crm") && two.source.starts_with("crm"), "{}", two.text);
    }
    assert_ne!(writer().test(Lang::En).key, other.test(Lang::En).key);
}

#[test]
fn what_waits_for_nobody_has_words_of_its_own() {
    let facts = Facts { error: Some(NO_DESTINATION.to_owned()), ..Facts::default() };
    for (until, says) in [(None, "export and close"), (Some(1_790_000_060_000), "No delivery waits for it")] {
        let message =
            writer().write(Lang::En, &[Notice { facts: facts.clone(), until, ..notice(Event::Blocked) }]);
        assert!(message.text.contains(says), "{}", message.text);
        assert!(message.text.contains("cupid queue -c '/etc/my shop/c.json'"), "{}", message.text);
        assert!(
            !message.title.contains("blocked") && !message.text.contains("Nothing is called back"),
            "{}",
            message.text
        );
    }
}

#[test]
fn a_digest_is_short() {
    let all: Vec<Notice> = (0..500).map(|_| notice(Event::Unreachable)).collect();
    let message = writer().write(Lang::En, &all);
    assert_eq!(message.title, "[cupid] 500 alerts");
    assert!(message.text.contains("and 480 more"), "{}", message.text);
    assert_eq!(message.text.lines().count(), 23);
}

#[test]
fn a_storm_says_how_to_go_on() {
    let message = writer().write(Lang::En, &[notice(Event::Emptied)]);
    assert!(message.text.contains("cupid resume -c '/etc/my shop/c.json' --task users"), "{}", message.text);
    assert!(message.text.contains("190 of 200 rows"), "{}", message.text);
}

#[test]
fn a_message_keeps_its_id_while_it_is_tried() {
    let id = |n: Notice| writer().write(Lang::En, &[n]).id;
    let first = notice(Event::Failing);
    let grown = Notice { count: 20_000, waiting: None, ..first.clone() };
    assert_eq!(id(first.clone()), id(grown));
    let others = [
        Notice { told: 1, ..first.clone() },
        Notice { until: Some(1_790_000_060_000), ..first.clone() },
        Notice { since: first.since + 1, ..first.clone() },
        notice(Event::Dead),
    ];
    for other in others {
        assert_ne!(id(first.clone()), id(other));
    }
}
