//! `notify`, `heartbeat`, `language` and the `pushbear…` keys.

use super::place::origin;
use super::{channel, line, mail, process};
use crate::base::secret::Secret;
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, Span};
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{ChannelConfig, ChannelKind, Lang, NotifyConfig};
use crate::model::{Severity, Topic};

const PUSHBEAR: &str = "https://pushbear.ftqq.com/sub";
const ALL: [Topic; 1] = [Topic::From(Severity::Info)];

/// What stands at the top level, and the language of those who name none.
pub(super) fn check(r: &mut Reader<'_>, top: &Section<'_>, sources: &[Section<'_>]) -> (NotifyConfig, Lang) {
    let language = match language(r, top) {
        Some((language, origin)) => {
            r.out.leaf("language", word(language), origin);
            language
        }
        None => Lang::En,
    };
    let mut channels = channels(r, top, language);
    let heartbeat = r.text(top, "heartbeat").and_then(|found| {
        let origin = line(r, found.span);
        r.out.leaf("heartbeat", found.json.as_str(), origin);
        channel::url(r, &found)
    });
    if let Some((key, url)) = pushbear(r, top, sources) {
        let kind = ChannelKind::Pushbear(key, Secret::new(url));
        // No name that can be written: nobody else is called so.
        channels.push(ChannelConfig {
            name: "pushbearSendKey".to_owned(),
            kind,
            on: ALL.to_vec(),
            language,
            fallback: None,
        });
    }
    (NotifyConfig { channels, heartbeat }, language)
}

/// What stands on a task; `None`: nothing.
pub(super) fn of_task(r: &mut Reader<'_>, task: &Section<'_>, language: Lang) -> Option<Vec<ChannelConfig>> {
    use crate::config::keys::Scope;
    (task.scope == Scope::Task && task.has("notify")).then(|| channels(r, task, language))
}

fn language(r: &mut Reader<'_>, section: &Section<'_>) -> Option<(Lang, String)> {
    let found = r.word(section, "language")?;
    let language = if found.value == "zh" { Lang::Zh } else { Lang::En };
    Some((language, line(r, found.span)))
}

fn word(language: Lang) -> &'static str {
    match language {
        Lang::En => "\"en\"",
        Lang::Zh => "\"zh\"",
    }
}

fn channels(r: &mut Reader<'_>, section: &Section<'_>, language: Lang) -> Vec<ChannelConfig> {
    if !section.has("notify") {
        return Vec::new();
    }
    r.out.open(Some("notify"));
    let entries = r.entries(section, "notify");
    let names: Vec<&str> = entries.iter().map(|(name, ..)| *name).collect();
    let mut channels = Vec::new();
    for (name, at, entry) in &entries {
        r.out.open(Some(name));
        if !process::is_name(name) {
            let problem =
                Problem::error(*at, "a channel's name has characters that cannot be used, or too many");
            r.report(problem.help("1 to 64 letters, digits, `.`, `_` and `-`"));
        }
        channels.extend(one(r, name, *at, entry, language, &names));
        r.out.close();
    }
    r.out.close();
    rings(r, section, &channels);
    channels
}

fn one(
    r: &mut Reader<'_>,
    name: &str,
    at: Span,
    entry: &Section<'_>,
    language: Lang,
    names: &[&str],
) -> Option<ChannelConfig> {
    let kind = kind(r, at, entry);
    let on = on(r, entry);
    let own = self::language(r, entry);
    if let Some((language, origin)) = &own {
        r.out.leaf("language", word(*language), origin.as_str());
    }
    let fallback = r.text(entry, "fallback").and_then(|found| fallback(r, name, found, names));
    let language = own.map_or(language, |(own, _)| own);
    Some(ChannelConfig { name: name.to_owned(), kind: kind?, on: on?, language, fallback })
}

fn kind(r: &mut Reader<'_>, at: Span, entry: &Section<'_>) -> Option<ChannelKind> {
    let mut given: Vec<&'static str> = channel::KINDS.into_iter().filter(|kind| entry.has(kind)).collect();
    if entry.has("smtp") {
        given.push("smtp");
    }
    let flat = ["from", "to"].into_iter().find_map(|key| entry.key_span(key));
    match given[..] {
        [] if flat.is_some() => {
            r.missing(entry, "smtp");
            None
        }
        [] => {
            let problem = Problem::error(at, "this entry of `notify` says no way to tell people");
            r.report(problem.help(format!("add one of: {}", channel::KINDS.join(", "))));
            None
        }
        ["smtp"] => mail::check(r, entry).map(ChannelKind::Mail),
        [kind] => {
            if let Some(at) = flat {
                let problem = Problem::error(at, format!("this does not belong beside `{kind}`"));
                r.report(problem.help("`from` and `to` belong into `mail`"));
            }
            channel::check(r, entry, kind)
        }
        [first, second, ..] => {
            let span = entry.key_span(second).unwrap_or(at);
            let mut problem = Problem::error(span, format!("`{second}` stands beside `{first}`"));
            if let Some(other) = entry.key_span(first) {
                problem = problem.other(other, "one way to tell people");
            }
            r.report(problem.help("each entry of `notify` is one way: make two entries"));
            None
        }
    }
}

fn on(r: &mut Reader<'_>, entry: &Section<'_>) -> Option<Vec<Topic>> {
    let Some(at) = entry.key_span("on") else { return Some(ALL.to_vec()) };
    let found = r.texts(entry, "on")?;
    let shown: Vec<&str> = found.iter().map(|found| found.json.as_str()).collect();
    let (shown, origin) = (format!("[{}]", shown.join(", ")), line(r, at));
    r.out.leaf("on", shown, origin);
    let topics: Vec<Option<Topic>> = found
        .into_iter()
        .map(|found| {
            let topic = Topic::parse(&found.value);
            if topic.is_none() {
                let problem = Problem::error(found.span, format!("there is no event {}", found.quoted()));
                r.report(match nearest(&found.value, Topic::words()) {
                    Some(word) => problem.help(format!("did you mean \"{word}\"?")),
                    None => {
                        problem.help(format!("known are {}", Topic::words().collect::<Vec<_>>().join(", ")))
                    }
                });
            }
            topic
        })
        .collect();
    topics.into_iter().collect()
}

fn fallback(r: &mut Reader<'_>, name: &str, found: Found<String>, names: &[&str]) -> Option<String> {
    let origin = line(r, found.span);
    r.out.leaf("fallback", found.json.as_str(), origin);
    if found.value == name {
        r.report(Problem::error(found.span, "`fallback` names the channel itself").help("name another one"));
        return None;
    }
    if names.contains(&found.value.as_str()) {
        return Some(found.value);
    }
    let message = format!("there is no channel {} beside this one", found.quoted());
    let problem = Problem::error(found.span, message);
    r.report(match nearest(&found.value, names.iter().copied()) {
        Some(other) => problem.help(format!("did you mean \"{other}\"?")),
        None => problem.help("`fallback` names another entry of the same `notify`"),
    });
    None
}

/// Whoever tells nobody anything and is nobody's fallback is a mistake.
fn rings(r: &mut Reader<'_>, section: &Section<'_>, channels: &[ChannelConfig]) {
    for channel in channels.iter().filter(|channel| channel.on.is_empty()) {
        if !channels.iter().any(|other| other.fallback.as_deref() == Some(channel.name.as_str())) {
            let at = section.key_span("notify").unwrap_or(section.at);
            let problem = Problem::warning(at, format!("the channel `{}` is told nothing", channel.name));
            r.report(problem.help("`\"on\": []` is for a channel that another one names as its `fallback`"));
        }
    }
}

fn pushbear(
    r: &mut Reader<'_>,
    top: &Section<'_>,
    sources: &[Section<'_>],
) -> Option<(Secret<String>, url::Url)> {
    let mut chosen: Option<Found<String>> = None;
    for section in std::iter::once(top).chain(sources) {
        let Some(found) = r.text(section, "pushbearSendKey") else { continue };
        match &chosen {
            Some(first) if first.value != found.value => {
                let problem = Problem::warning(found.span, "a second `pushbearSendKey` is not used");
                r.report(
                    problem.other(first.span, "this one is used").help("one key serves the whole process"),
                );
            }
            Some(_) => {}
            None => chosen = Some(found),
        }
    }
    let url = match r.text(top, "pushbearUrl") {
        None => {
            if let Some(key) = &chosen {
                let problem =
                    Problem::warning(key.span, "PushBear has been shut down: nobody will hear of anything");
                r.report(problem.help(
                    "use `notify`, for example with `serverchan` or `wecom`; or name a compatible server as `pushbearUrl`",
                ));
            }
            Some((url::Url::parse(PUSHBEAR).expect("a fixed URL"), json(PUSHBEAR), "default".to_owned()))
        }
        Some(found) => match super::callback::http_url(&found.value) {
            Ok(url) => Some((url, found.json, line(r, found.span))),
            Err(reason) => {
                r.report(Problem::error(found.span, format!("`pushbearUrl` cannot be used: {reason}")));
                None
            }
        },
    };
    let key = chosen?;
    let (url, url_json, url_origin) = url?;
    let key_line = r.line(key.span);
    r.out.leaf("pushbearSendKey", key.json, origin("", key_line));
    r.out.leaf("pushbearUrl", url_json, url_origin);
    Some((Secret::new(key.value), url))
}
