//! One entry of `notify`: the one key that says what kind it is, and what that needs.

use url::Url;

use super::{callback, line, mail, receiver};
use crate::base::secret::Secret;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader};
use crate::config::section::{Section, Short};
use crate::config::{ChannelKind, Robot, Template, WebhookConfig};

/// The keys one of which says what a channel is.
pub(super) const KINDS: [&str; 12] = [
    "mail",
    "wecom",
    "dingtalk",
    "feishu",
    "serverchan",
    "pushplus",
    "slack",
    "telegram",
    "discord",
    "teams",
    "pagerduty",
    "webhook",
];

/// What a kind's key holds: an object, or a text in place of its first key.
struct Held<'a> {
    name: &'static str,
    short: Option<Found<String>>,
    section: Option<Section<'a>>,
}

impl Held<'_> {
    /// The first key.
    fn first(&mut self, r: &mut Reader<'_>, key: &str) -> Option<Found<String>> {
        match (self.short.take(), self.section) {
            (Some(found), _) => {
                let origin = line(r, found.span);
                r.out.leaf(self.name, found.json.as_str(), origin);
                Some(found)
            }
            (None, Some(section)) => {
                let found = r.required(&section, key)?;
                let origin = line(r, found.span);
                r.out.leaf(key, found.json.as_str(), origin);
                Some(found)
            }
            (None, None) => None,
        }
    }

    fn text(&self, r: &mut Reader<'_>, key: &str) -> Option<Found<String>> {
        let found = r.text(&self.section?, key)?;
        let origin = line(r, found.span);
        r.out.leaf(key, found.json.as_str(), origin);
        Some(found)
    }

    fn texts(&self, r: &mut Reader<'_>, key: &str) -> Vec<String> {
        let Some(section) = self.section.filter(|section| section.has(key)) else { return Vec::new() };
        let found = r.texts(&section, key).unwrap_or_default();
        let all: Vec<&str> = found.iter().map(|one| one.json.as_str()).collect();
        if let (Some(at), json) = (section.key_span(key), format!("[{}]", all.join(", "))) {
            let origin = line(r, at);
            r.out.leaf(key, json, origin);
        }
        found.into_iter().map(|one| one.value).collect()
    }

    /// `Err`: there is one and it is no URL.
    fn other_server(&self, r: &mut Reader<'_>) -> Result<Option<Secret<Url>>, ()> {
        match self.text(r, "url") {
            Some(found) => url(r, &found).map(Some).ok_or(()),
            None => Ok(None),
        }
    }
}

/// Checks what a channel is; the section is known to hold exactly this key.
pub(super) fn check(r: &mut Reader<'_>, section: &Section<'_>, name: &'static str) -> Option<ChannelKind> {
    if matches!(name, "mail" | "telegram") {
        let below = r.below(section, name)?;
        r.out.open(Some(name));
        let kind = match name {
            "mail" => mail::check(r, &below).map(ChannelKind::Mail),
            _ => kind(r, Held { name, short: None, section: Some(below) }),
        };
        r.out.close();
        return kind;
    }
    let held = match r.short(section, name)? {
        Short::Text(found) => return kind(r, Held { name, short: Some(found), section: None }),
        Short::Section(below) => Held { name, short: None, section: Some(below) },
    };
    r.out.open(Some(name));
    let kind = kind(r, held);
    r.out.close();
    kind
}

fn kind(r: &mut Reader<'_>, mut held: Held<'_>) -> Option<ChannelKind> {
    match held.name {
        "serverchan" => {
            let key = held.first(r, "key");
            let url = held.other_server(r);
            Some(ChannelKind::Serverchan(part(r, key?, "key")?, url.ok()?))
        }
        "pushplus" => {
            let token = held.first(r, "token");
            let topic = held.text(r, "topic").map(|found| found.value);
            let url = held.other_server(r);
            Some(ChannelKind::Pushplus(Secret::new(token?.value), topic, url.ok()?))
        }
        "telegram" => {
            let token = held.first(r, "token");
            let chat = held.first(r, "chat");
            let url = held.other_server(r);
            Some(ChannelKind::Telegram(part(r, token?, "token")?, chat?.value, url.ok()?))
        }
        "pagerduty" => {
            let key = held.first(r, "key");
            let url = held.other_server(r);
            Some(ChannelKind::Pagerduty(Secret::new(key?.value), url.ok()?))
        }
        "webhook" => webhook(r, held),
        name => {
            let url = held.first(r, "url").and_then(|found| url(r, &found));
            let signs = matches!(name, "dingtalk" | "feishu");
            let secret =
                signs.then(|| held.text(r, "secret")).flatten().map(|found| Secret::new(found.value));
            let mention = if name == "teams" { Vec::new() } else { held.texts(r, "mention") };
            let robot = Robot { url: url?, secret, mention };
            Some(match name {
                "wecom" => ChannelKind::Wecom(robot),
                "dingtalk" => ChannelKind::Dingtalk(robot),
                "feishu" => ChannelKind::Feishu(robot),
                "slack" => ChannelKind::Slack(robot),
                "discord" => ChannelKind::Discord(robot),
                _ => ChannelKind::Teams(robot),
            })
        }
    }
}

fn webhook(r: &mut Reader<'_>, mut held: Held<'_>) -> Option<ChannelKind> {
    let url = held.first(r, "url").and_then(|found| url(r, &found));
    let secret = held.section.map_or(Ok(None), |section| receiver::one_secret(r, &section));
    let template = held.text(r, "template").map(|found| {
        Template::parse(&found.value).map_err(|reason| {
            let reason = if found.outside { "it gives no JSON".to_owned() } else { reason };
            let problem = Problem::error(found.span, format!("`template` cannot be used: {reason}"));
            r.report(
                problem.help("for example \"{ \\\"text\\\": {{ title }} }\": values bring their own quotes"),
            );
        })
    });
    let template = template.transpose();
    Some(ChannelKind::Webhook(WebhookConfig { url: url?, secret: secret.ok()?, template: template.ok()? }))
}

/// A secret that becomes a part of a URL's path.
fn part(r: &mut Reader<'_>, found: Found<String>, key: &str) -> Option<Secret<String>> {
    let good = found.value.chars().all(|c| c.is_ascii_alphanumeric() || "-_:.".contains(c));
    if !good {
        let problem = Problem::error(found.span, format!("`{key}` has characters that no such key has"));
        r.report(problem.help("it has letters, digits, `-`, `_`, `:` and `.` only; not the whole URL"));
        return None;
    }
    Some(Secret::new(found.value))
}

/// A URL that is a secret.
pub(super) fn url(r: &mut Reader<'_>, found: &Found<String>) -> Option<Secret<Url>> {
    match callback::http_url(&found.value) {
        Ok(url) if found.value.contains("://") => Some(Secret::new(url)),
        Ok(_) => {
            r.report(Problem::error(found.span, "the URL has no scheme").help("write \"https://…\""));
            None
        }
        Err(reason) => {
            let problem = Problem::error(found.span, format!("the URL cannot be used: {reason}"));
            r.report(problem.help("write \"https://…\", as the service shows it"));
            None
        }
    }
}
