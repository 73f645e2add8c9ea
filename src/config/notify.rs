//! Who is told when people are needed, and how.

use super::{Lang, Template};
use crate::base::secret::Secret;
use crate::model::{Event, Topic};

/// Who is told when people are needed.
#[derive(Clone, Debug, Default)]
pub struct NotifyConfig {
    /// The channels of the top level, that of `pushbearSendKey` included. A task may have its own instead.
    pub channels: Vec<ChannelConfig>,
    /// Called every minute while all is well.
    pub heartbeat: Option<Secret<url::Url>>,
}

/// One way to tell people.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Name, unique among those of the top level or of the task.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// What it is told.
    pub on: Vec<Topic>,
    /// In which language.
    pub language: Lang,
    /// Which of its neighbours is told what it could not be told.
    pub fallback: Option<String>,
}

impl ChannelConfig {
    /// Whether it is told of an event.
    pub fn wants(&self, event: Event) -> bool {
        self.on.iter().any(|topic| topic.covers(event))
    }
}

/// The kinds of channels with what each needs.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// Mail.
    Mail(SmtpConfig),
    /// WeCom group robot.
    Wecom(Robot),
    /// DingTalk group robot.
    Dingtalk(Robot),
    /// Feishu or Lark robot.
    Feishu(Robot),
    /// ServerChan: its key, and another server.
    Serverchan(Secret<String>, Option<Secret<url::Url>>),
    /// PushPlus: its token, a group, and another server.
    Pushplus(Secret<String>, Option<String>, Option<Secret<url::Url>>),
    /// Slack incoming webhook.
    Slack(Robot),
    /// Telegram bot: its token, the chat, and another server.
    Telegram(Secret<String>, String, Option<Secret<url::Url>>),
    /// Discord webhook.
    Discord(Robot),
    /// Teams workflow.
    Teams(Robot),
    /// PagerDuty events v2: the routing key, and another server.
    Pagerduty(Secret<String>, Option<Secret<url::Url>>),
    /// Any HTTP endpoint.
    Webhook(WebhookConfig),
    /// `pushbearSendKey`, and the base URL it is sent to.
    Pushbear(Secret<String>, Secret<url::Url>),
}

impl ChannelKind {
    /// The key it is written under.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Mail(_) => "mail",
            Self::Wecom(_) => "wecom",
            Self::Dingtalk(_) => "dingtalk",
            Self::Feishu(_) => "feishu",
            Self::Serverchan(..) => "serverchan",
            Self::Pushplus(..) => "pushplus",
            Self::Slack(_) => "slack",
            Self::Telegram(..) => "telegram",
            Self::Discord(_) => "discord",
            Self::Teams(_) => "teams",
            Self::Pagerduty(..) => "pagerduty",
            Self::Webhook(_) => "webhook",
            Self::Pushbear(..) => "pushbear",
        }
    }
}

/// What the robots of group chats have in common.
#[derive(Clone, Debug)]
pub struct Robot {
    /// Where messages are posted; its path or query is a key.
    pub url: Secret<url::Url>,
    /// Signs messages, where the service knows that.
    pub secret: Option<Secret<String>>,
    /// User ids, mobile numbers or `@all`.
    pub mention: Vec<String>,
}

/// Any HTTP endpoint.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Where messages are posted.
    pub url: Secret<url::Url>,
    /// Key of the Standard Webhooks signature (the bytes behind `whsec_`); `None`: unsigned.
    pub secret: Option<Secret<Vec<u8>>>,
    /// The body; `None`: everything there is to say.
    pub template: Option<Template>,
}

/// A mail channel.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Server name.
    pub host: String,
    /// Server port.
    pub port: u16,
    /// Encryption.
    pub security: SmtpSecurity,
    /// Account, if the server wants one.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret<String>>,
    /// Sender address.
    pub from: String,
    /// Receivers' addresses, at least one.
    pub to: Vec<String>,
}

/// How a mail connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// Not at all (`smtp://`).
    None,
    /// STARTTLS, required (`smtp+starttls://`).
    StartTls,
    /// TLS from the first byte (`smtps://`).
    Tls,
}
