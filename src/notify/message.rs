//! From notices to a message: fixed words, configured names, numbers and classes of errors. Nothing else can stand in it.

use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::text::{inert, line};
use super::words::{EN, Words, ZH};
use super::{NO_DESTINATION, Notice};
use crate::base::clock::{Clock, UnixMs};
use crate::base::shell::typed;
use crate::config::Lang;
use crate::model::{DestinationName, Event, Severity, TaskName};

/// Most notices that a digest lists.
const LISTED: usize = 20;

/// What a channel sends.
#[derive(Clone, Debug)]
pub struct Message {
    /// One line.
    pub title: String,
    /// The lines below it; no markup.
    pub text: String,
    /// The most urgent of what it is about.
    pub severity: Severity,
    /// Whether all it is about is over.
    pub over: bool,
    /// The same for everything about the same cause of the same instance.
    pub key: String,
    /// The instance, and the machine it runs on.
    pub source: String,
    /// The same for every try to send it, and for no other message.
    pub id: String,
    /// All of it, for machines.
    pub facts: Value,
    /// When it was written, Unix ms.
    pub now: UnixMs,
}

/// Writes the messages of a daemon.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The configuration as it can be typed into a shell.
    file: String,
    /// Name of the instance.
    name: String,
    /// Name of the machine; empty if it has none.
    host: String,
    clock: Clock,
}

fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

impl Writer {
    /// A writer for the daemon of a configuration file, which has this name.
    pub fn new(file: &std::path::Path, name: &str, clock: Clock) -> Self {
        Self { file: typed(&file.display().to_string()), name: line(name), host: host(), clock }
    }

    /// Several daemons may tell the same people of tasks of the same name.
    fn source(&self) -> String {
        if self.host.is_empty() { self.name.clone() } else { format!("{} @ {}", self.name, self.host) }
    }

    /// The test message.
    pub fn test(&self, lang: Lang) -> Message {
        let words = words(lang);
        let now = self.clock.now();
        let key = format!("cupid/{}/test", self.name);
        let facts = json!({
            "title": words.test_title, "text": words.test_text, "event": "test", "severity": "info",
            "recovered": false, "task": null, "destination": null, "since": iso(now), "until": null, "count": 1,
            "waiting": null, "oldest": null, "error": null, "command": self.status(), "key": key, "instance": self.source(),
        });
        Message {
            title: words.test_title.to_owned(),
            text: words.test_text.to_owned(),
            severity: Severity::Info,
            over: false,
            key,
            source: self.source(),
            id: format!("alert_{}", uuid::Uuid::now_v7().simple()),
            facts,
            now,
        }
    }

    /// One message about one or more notices.
    pub fn write(&self, lang: Lang, notices: &[Notice]) -> Message {
        let words = words(lang);
        let now = self.clock.now();
        let severity = notices.iter().map(Notice::severity).max().unwrap_or(Severity::Info);
        let over = notices.iter().all(|n| n.until.is_some());
        let (title, text) = match notices {
            [one] => (format!("[cupid] {}", headline(words, one)), self.one(words, one, now)),
            all => (digest_title(words, all), self.digest(words, all)),
        };
        let first = notices.first();
        let key = first.map(|n| n.cause.key(&self.name)).unwrap_or_default();
        let facts = first.map_or(Value::Null, |n| self.facts(n, &title, &text));
        let id = self.id(notices);
        Message { title, text, severity, over, key, source: self.source(), id, facts, now }
    }

    /// Counts may have grown since it was tried last, but it is the same message.
    fn id(&self, notices: &[Notice]) -> String {
        let mut digest = Sha256::new();
        digest.update(self.file.as_bytes());
        for n in notices {
            digest.update(format!(
                "\0{}\0{}\0{}\0{}",
                n.cause.key(&self.name),
                n.since,
                n.told,
                n.until.is_some()
            ));
        }
        let hex: String = digest.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        format!("alert_{hex}")
    }

    fn one(&self, words: &Words, n: &Notice, now: UnixMs) -> String {
        let mut lines = Vec::new();
        let mut say = |label: &str, value: String| lines.push(format!("{label}{}{value}", words.colon));
        say(words.instance, name(&self.source()));
        if let Some(task) = &n.cause.task {
            say(words.task, name(task.as_str()));
        }
        if let Some(destination) = &n.cause.destination {
            say(words.destination, name(destination.as_str()));
        }
        let lasted = n.until.unwrap_or(now).saturating_sub(n.since).max(0).unsigned_abs() / 1000;
        say(words.since, format!("{} ({})", local(n.since), (words.length)(lasted)));
        if let Some(until) = n.until {
            say(words.until, local(until));
        }
        if is_counted(n.cause.event) {
            say(words.count, n.count.to_string());
        }
        if let Some(waiting) = n.waiting.filter(|waiting| waiting.count > 0) {
            let oldest = local(waiting.oldest);
            say(words.waiting, format!("{} ({} {oldest})", waiting.count, words.oldest));
        }
        if let Some(error) = &n.facts.error {
            let label = if n.cause.event == Event::Restarted { words.part } else { words.error };
            say(label, name(error));
        }
        if let (Some((part, whole)), None) = (n.facts.extent, n.until) {
            lines.push((words.extent)(n.cause.event, part, whole));
        }
        lines.push(match (n.until, n.facts.left) {
            (None, _) if is_stray(n) => words.stray_means.to_owned(),
            (Some(_), false) if is_stray(n) => words.stray_over.to_owned(),
            (None, _) => (words.means)(n.cause.event).to_owned(),
            (Some(_), false) => (words.over)(n.cause.event).to_owned(),
            (Some(_), true) => words.left_means.to_owned(),
        });
        lines.push(format!("{}{}{}", words.next, words.colon, self.command(n)));
        lines.join("\n")
    }

    fn digest(&self, words: &Words, notices: &[Notice]) -> String {
        let mut lines: Vec<String> = notices
            .iter()
            .take(LISTED)
            .map(|n| {
                let count = if is_counted(n.cause.event) { format!(" ×{}", n.count) } else { String::new() };
                let error = n.facts.error.as_deref().map(|e| format!(", {}", name(e))).unwrap_or_default();
                format!(
                    "- {}{count}{error}, {} {}",
                    headline(words, n),
                    words.since.to_lowercase(),
                    local(n.since)
                )
            })
            .collect();
        if notices.len() > LISTED {
            lines.push((words.more)(notices.len() - LISTED));
        }
        lines.push(format!("{}{}{}", words.instance, words.colon, name(&self.source())));
        lines.push(format!("{}{}{}", words.next, words.colon, self.status()));
        lines.join("\n")
    }

    fn facts(&self, n: &Notice, title: &str, text: &str) -> Value {
        json!({
            "title": title,
            "text": text,
            "event": n.cause.event.as_str(),
            "severity": n.cause.event.severity().as_str(),
            "recovered": n.until.is_some(),
            "task": n.cause.task.as_ref().map(TaskName::as_str),
            "destination": n.cause.destination.as_ref().map(DestinationName::as_str),
            "since": iso(n.since),
            "until": n.until.map(iso),
            "count": n.count,
            "waiting": n.waiting.map(|w| w.count),
            "oldest": n.waiting.filter(|w| w.count > 0).map(|w| iso(w.oldest)),
            "error": n.facts.error,
            "command": self.command(n),
            "key": n.cause.key(&self.name),
            "instance": self.source(),
        })
    }

    fn status(&self) -> String {
        format!("cupid status -c {}", self.file)
    }

    fn command(&self, n: &Notice) -> String {
        let (cause, over) = (&n.cause, n.until.is_some());
        match (cause.event, &cause.task, &cause.destination) {
            (Event::Emptied | Event::Gone, Some(task), Some(destination)) if !over => format!(
                "cupid resume -c {} --task {} --destination {}",
                self.file,
                typed(&line(task.as_str())),
                typed(&line(destination.as_str()))
            ),
            (Event::Dead | Event::Ambiguous | Event::NotFixed, Some(task), Some(destination)) if !over => {
                let (task, destination) = (typed(&line(task.as_str())), typed(&line(destination.as_str())));
                let which =
                    if cause.event == Event::NotFixed { "--text 'not fixed'" } else { "--state dead" };
                format!(
                    "cupid deliveries list -c {} --task {task} --destination {destination} {which}",
                    self.file
                )
            }
            (Event::Audit, Some(task), Some(destination)) if !over => format!(
                "cupid audit -c {} --task {} --destination {} --rows",
                self.file,
                typed(&line(task.as_str())),
                typed(&line(destination.as_str()))
            ),
            (Event::Failing, ..) if !over => format!("cupid queue -c {}", self.file),
            (Event::Blocked, ..) if is_stray(n) => format!("cupid queue -c {}", self.file),
            (Event::Reload, ..) if !over => format!("cupid check -c {}", self.file),
            (Event::Blocked, ..) if !over => format!("cupid check -c {} --connect", self.file),
            _ => self.status(),
        }
    }
}

/// Whether deliveries wait for a destination that is not in the configuration.
fn is_stray(n: &Notice) -> bool {
    n.cause.event == Event::Blocked && n.facts.error.as_deref() == Some(NO_DESTINATION)
}

/// Whether it makes sense to say how often it happened.
fn is_counted(event: Event) -> bool {
    matches!(
        event,
        Event::Failing
            | Event::Dead
            | Event::NotFixed
            | Event::Ambiguous
            | Event::Hot
            | Event::Audit
            | Event::Restarted
    )
}

fn headline(words: &Words, n: &Notice) -> String {
    let recovered = match (n.until, n.facts.left) {
        (None, _) => "",
        (Some(_), false) => words.recovered,
        (Some(_), true) => words.left,
    };
    let still = if n.until.is_none() && n.told > 0 { words.still } else { "" };
    let whom = match (&n.cause.task, &n.cause.destination) {
        (Some(task), Some(destination)) => {
            format!("{} → {}{}", name(task.as_str()), name(destination.as_str()), words.colon)
        }
        (Some(task), None) => format!("{}{}", name(task.as_str()), words.colon),
        _ => String::new(),
    };
    format!("{recovered}{whom}{}{still}", if is_stray(n) { words.stray } else { (words.what)(n.cause.event) })
}

fn digest_title(words: &Words, notices: &[Notice]) -> String {
    let over = notices.iter().filter(|n| n.until.is_some()).count();
    format!("[cupid] {}", (words.several)(notices.len() - over, over))
}

/// What the machine is called.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    line(name.trim())
}

/// A configured name, on one line and without power over whoever shows it.
fn name(text: &str) -> String {
    inert(&line(text))
}

fn at(ms: UnixMs) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

fn local(ms: UnixMs) -> String {
    at(ms).with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

fn iso(ms: UnixMs) -> String {
    at(ms).to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
