//! From a checked configuration to a channel.

use std::time::Duration;

use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::dingtalk::Dingtalk;
use super::discord::Discord;
use super::feishu::Feishu;
use super::http::{Post, client};
use super::mail::Mail;
use super::pagerduty::Pagerduty;
use super::pushbear::Pushbear;
use super::pushplus::Pushplus;
use super::serverchan::Serverchan;
use super::slack::Slack;
use super::teams::Teams;
use super::telegram::Telegram;
use super::webhook::Webhook;
use super::wecom::Wecom;
use super::{Channel, SendError};
use crate::config::{ChannelConfig, ChannelKind};
use crate::model::ErrorClass;

impl SendError {
    /// Trying again may help. As long as nothing else is said, the service was reached and said no.
    pub(super) fn passing(text: String) -> Self {
        Self { text, after: None, lasting: false, class: ErrorClass::BodyRule }
    }

    /// The same would fail again until somebody changes something.
    pub(super) fn lasting(text: String) -> Self {
        Self { text, after: None, lasting: true, class: ErrorClass::BodyRule }
    }

    /// The same of another class.
    pub(super) fn of_class(self, class: ErrorClass) -> Self {
        Self { class, ..self }
    }

    /// The service wants to be left alone for so many seconds.
    pub(super) fn after(self, seconds: Option<u64>) -> Self {
        Self { after: seconds.map(Duration::from_secs).or(self.after), ..self }
    }
}

/// Sets a channel up; nothing is connected yet.
///
/// # Errors
/// If it cannot be set up: an address that is none, TLS roots that cannot be read.
pub fn open(config: &ChannelConfig) -> Result<Box<dyn Channel>, SendError> {
    let client = client()?;
    let or =
        |url: Option<&Url>, own: &str| url.map_or_else(|| Url::parse(own).expect("a fixed URL"), Url::clone);
    Ok(match config.kind.clone() {
        ChannelKind::Mail(smtp) => Box::new(Mail::new(&smtp)?),
        ChannelKind::Wecom(robot) => Post::new(&client, Wecom(robot)),
        ChannelKind::Dingtalk(robot) => Post::new(&client, Dingtalk(robot)),
        ChannelKind::Feishu(robot) => Post::new(&client, Feishu(robot)),
        ChannelKind::Serverchan(key, url) => {
            Post::new(&client, Serverchan::new(key, url.as_ref().map(|url| url.expose()))?)
        }
        ChannelKind::Pushplus(token, topic, url) => {
            let url = or(url.as_ref().map(|url| url.expose()), "https://www.pushplus.plus/send");
            Post::new(&client, Pushplus { token, topic, url })
        }
        ChannelKind::Slack(robot) => Post::new(&client, Slack(robot)),
        ChannelKind::Telegram(token, chat, url) => {
            Post::new(&client, Telegram::new(token, chat, url.as_ref().map(|url| url.expose()))?)
        }
        ChannelKind::Discord(robot) => Post::new(&client, Discord(robot)),
        ChannelKind::Teams(robot) => Post::new(&client, Teams(robot)),
        ChannelKind::Pagerduty(key, url) => {
            let url = or(url.as_ref().map(|url| url.expose()), "https://events.pagerduty.com/v2/enqueue");
            Post::new(&client, Pagerduty { key, url })
        }
        ChannelKind::Webhook(webhook) => Post::new(&client, Webhook(webhook)),
        ChannelKind::Pushbear(key, url) => Post::new(&client, Pushbear { key, url: url.expose().clone() }),
    })
}

/// Which channels are one and the same to the service: what they share is also how often it may be used.
pub fn place(config: &ChannelConfig) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    };
    add(config.kind.as_str());
    match &config.kind {
        ChannelKind::Mail(smtp) => add(&format!("{}:{}", smtp.host, smtp.port)),
        ChannelKind::Wecom(robot)
        | ChannelKind::Dingtalk(robot)
        | ChannelKind::Feishu(robot)
        | ChannelKind::Slack(robot)
        | ChannelKind::Discord(robot)
        | ChannelKind::Teams(robot) => add(robot.url.expose().as_str()),
        ChannelKind::Serverchan(key, _)
        | ChannelKind::Pushplus(key, ..)
        | ChannelKind::Pagerduty(key, _)
        | ChannelKind::Pushbear(key, _) => add(key.expose()),
        ChannelKind::Telegram(token, chat, _) => {
            add(token.expose());
            add(chat);
        }
        ChannelKind::Webhook(webhook) => add(webhook.url.expose().as_str()),
    }
    digest.finalize().into()
}
