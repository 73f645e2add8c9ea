//! What is known about a key.

/// The objects that have keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// The file itself.
    Top,
    /// An entry of `connections`.
    Connection,
    /// An entry of `tasks`.
    Task,
    /// `src`.
    Source,
    /// An entry of `des`.
    Destination,
    /// An entry of `columns`.
    Column,
    /// `callbackNotification`.
    Callback,
    /// `retry`.
    Retry,
    /// `breaker`.
    Breaker,
    /// `audit`.
    Audit,
    /// `log`.
    Log,
    /// An entry of `notify`.
    Channel,
    /// `mail` of an entry of `notify`.
    Mail,
    /// `wecom` of an entry of `notify`.
    Wecom,
    /// `dingtalk` of an entry of `notify`.
    Dingtalk,
    /// `feishu` of an entry of `notify`.
    Feishu,
    /// `serverchan` of an entry of `notify`.
    Serverchan,
    /// `pushplus` of an entry of `notify`.
    Pushplus,
    /// `slack` of an entry of `notify`.
    Slack,
    /// `telegram` of an entry of `notify`.
    Telegram,
    /// `discord` of an entry of `notify`.
    Discord,
    /// `teams` of an entry of `notify`.
    Teams,
    /// `pagerduty` of an entry of `notify`.
    Pagerduty,
    /// `webhook` of an entry of `notify`.
    Webhook,
}

impl Scope {
    /// All scopes, in the order of the reference.
    pub(crate) const ALL: [Self; 24] = [
        Self::Top,
        Self::Task,
        Self::Source,
        Self::Destination,
        Self::Column,
        Self::Callback,
        Self::Retry,
        Self::Breaker,
        Self::Audit,
        Self::Connection,
        Self::Log,
        Self::Channel,
        Self::Mail,
        Self::Wecom,
        Self::Dingtalk,
        Self::Feishu,
        Self::Serverchan,
        Self::Pushplus,
        Self::Slack,
        Self::Telegram,
        Self::Discord,
        Self::Teams,
        Self::Pagerduty,
        Self::Webhook,
    ];

    /// Where a person finds it: fits behind "in" and "under".
    pub(crate) fn place(self) -> &'static str {
        match self {
            Self::Top => "the top level of the file",
            Self::Connection => "an entry of `connections`",
            Self::Task => "an entry of `tasks`",
            Self::Source => "`src`",
            Self::Destination => "an entry of `des`",
            Self::Column => "an entry of `columns`",
            Self::Callback => "`callbackNotification`",
            Self::Retry => "`retry`",
            Self::Breaker => "`breaker`",
            Self::Audit => "`audit`",
            Self::Log => "`log`",
            Self::Channel => "an entry of `notify`",
            Self::Mail => "`mail`",
            Self::Wecom => "`wecom`",
            Self::Dingtalk => "`dingtalk`",
            Self::Feishu => "`feishu`",
            Self::Serverchan => "`serverchan`",
            Self::Pushplus => "`pushplus`",
            Self::Slack => "`slack`",
            Self::Telegram => "`telegram`",
            Self::Discord => "`discord`",
            Self::Teams => "`teams`",
            Self::Pagerduty => "`pagerduty`",
            Self::Webhook => "`webhook`",
        }
    }
}

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// Letters, digits, `.`, `_` and `-`.
    Name,
    /// A path of the file system.
    Path,
    /// `true` or `false`.
    Bool,
    /// `"on"`, `"off"`, `true` or `false`.
    Switch,
    /// A whole number within bounds; below `least`, 0 means the default (cupid-go took it so).
    Number { least: u64, most: u64 },
    /// A duration with a unit.
    Duration,
    /// A duration with a unit; `"0s"` is one.
    Pause,
    /// A duration with a unit, or `false`.
    DurationOrFalse,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// Some of a few words.
    Words(&'static [&'static str]),
    /// A number from 1 to 100, which need not be whole.
    Factor,
    /// A percentage from `"0%"` to `"100%"`.
    Percent,
    /// `"100/s"`, `"600/m"` or `"1000/h"`.
    Rate,
    /// `"every <duration>"` or `"dead"`.
    Then,
    /// A data source name; its password is secret.
    Dsn,
    /// An HTTP URL, `http://` may be left out.
    Url,
    /// An HTTP URL whose path and parameters are secret.
    Hook,
    /// A mail server URL; its password is secret.
    Smtp,
    /// A mail address.
    Address,
    /// Several mail addresses.
    Addresses,
    /// Several texts.
    Texts,
    /// Names of events and severities.
    Events,
    /// Text that must never be shown.
    Secret,
    /// One such text, or a list of them.
    Secrets,
    /// Names of HTTP headers onto such texts.
    Headers,
    /// A list of addresses or networks.
    Networks,
    /// A time layout.
    Layout,
    /// A time zone.
    Zone,
    /// `"now"`, `"beginning"` or a time.
    Start,
    /// The name of an entry of `connections`.
    Use,
    /// Column names onto column names or objects with keys of their own.
    Columns,
    /// An entry of [`Kind::Columns`].
    Column,
    /// `true`, `false` or `"end"`.
    Trim,
    /// A number, a percentage or a duration.
    Tolerance,
    /// A template, into which a token may have been written.
    Template,
    /// An object with keys of its own.
    Object(Scope),
    /// An object with keys of its own, or `false`.
    ObjectOrFalse(Scope),
    /// An object with keys of its own, or a secret text in place of its first one.
    Short(Scope),
    /// Names onto such objects.
    Map(Scope),
    /// A list of such objects.
    List(Scope),
}

impl Kind {
    /// What is expected, for messages.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text | Self::Template | Self::Secret => "a text in double quotes".to_owned(),
            Self::Name => "a name of letters, digits, `.`, `_` and `-`, in double quotes".to_owned(),
            Self::Secrets => "a text in double quotes, or a list of them, the newest first".to_owned(),
            Self::Headers => {
                "an object of header names, for example {\"x-api-key\": \"${API_KEY}\"}".to_owned()
            }
            Self::Networks => "a list of addresses or networks, for example [\"169.254.10.0/24\"]".to_owned(),
            Self::Path => "a path in double quotes".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Switch => "\"on\" or \"off\"".to_owned(),
            Self::Number { least, most } => format!("a whole number from {least} to {most}, without quotes"),
            Self::Duration | Self::Pause => {
                format!("a duration such as {}", crate::config::duration::EXAMPLES)
            }
            Self::DurationOrFalse => {
                format!("false, or a duration such as {}", crate::config::duration::EXAMPLES)
            }
            Self::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => quoted.concat(),
                }
            }
            Self::Words(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("a list of some of {}", quoted.join(", "))
            }
            Self::Factor => "a number from 1 to 100, without quotes".to_owned(),
            Self::Percent => "a percentage from \"0%\" to \"100%\"".to_owned(),
            Self::Rate => {
                "calls in a second, minute or hour, such as \"100/s\", \"600/m\" or \"1000/h\"".to_owned()
            }
            Self::Then => "\"dead\", or \"every\" and a duration, for example \"every 10m\"".to_owned(),
            Self::Dsn => "a data source name in double quotes".to_owned(),
            Self::Url => {
                "a URL in double quotes, for example \"http://127.0.0.1:20000/test/callback\"".to_owned()
            }
            Self::Hook => "an http or https URL in double quotes".to_owned(),
            Self::Smtp => "a URL such as \"smtps://user:password@mail.example.com\"".to_owned(),
            Self::Address => "a mail address in double quotes".to_owned(),
            Self::Addresses => "a list of mail addresses, for example [\"ops@example.com\"]".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Events => {
                format!("a list of {}", crate::model::Topic::words().collect::<Vec<_>>().join(", "))
            }
            Self::Layout => "a time layout such as \"Y-m-d H:i:s\" or \"2006-01-02 15:04:05\"".to_owned(),
            Self::Zone => "a time zone such as \"Asia/Shanghai\", \"UTC\" or \"+08:00\"".to_owned(),
            Self::Start => "\"now\", \"beginning\" or a time such as \"2024-01-31 08:00:00\"".to_owned(),
            Self::Use => "the name of an entry of `connections`, in double quotes".to_owned(),
            Self::Column => {
                "the destination's column in double quotes, or an object such as {\"trim\": true}".to_owned()
            }
            Self::Trim => "true, false or \"end\"".to_owned(),
            Self::Tolerance => {
                "a number above zero, a percentage such as \"0.1%\" or a duration such as \"1s\"".to_owned()
            }
            Self::Columns => "an object of column names, for example {\"number\": \"number\"}".to_owned(),
            Self::Short(_) => "a text in double quotes, or an object in braces".to_owned(),
            Self::Object(_) => "an object in braces".to_owned(),
            Self::ObjectOrFalse(_) => "false, or an object in braces".to_owned(),
            Self::Map(_) => "an object in braces: a name, then its settings".to_owned(),
            Self::List(_) => "a list of objects in brackets".to_owned(),
        }
    }

    /// Whether no part of the value may be shown.
    pub(crate) fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::Secrets | Self::Headers | Self::Template)
    }

    /// Whether a part of the value may be a password.
    pub(crate) fn holds_secret(self) -> bool {
        matches!(self, Self::Dsn | Self::Smtp | Self::Url | Self::Hook | Self::Short(_))
    }
}

/// Whether a key does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It does.
    Active,
    /// It is read and passed over; the text says why.
    Unneeded(&'static str),
    /// It will.
    Later,
}

/// A key, with everything that is known about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As written in the file.
    pub(crate) name: &'static str,
    /// Where it may stand.
    pub(crate) scopes: &'static [Scope],
    /// What it takes.
    pub(crate) kind: Kind,
    /// The default, as written in the file; `required` or empty (nothing) otherwise.
    pub(crate) default: &'static str,
    /// `cupid-go` or `PHP cupid` for the keys of a legacy file, else the version it came with.
    pub(crate) since: &'static str,
    /// Whether it does something.
    pub(crate) status: Status,
    /// Meaning, in English.
    pub(crate) en: &'static str,
    /// Meaning, in Chinese.
    pub(crate) zh: &'static str,
}

/// The default of a key that must be given.
pub(crate) const REQUIRED: &str = "required";

/// The default of a key that a copy must have, and an event destination must not.
pub(crate) const TO_COMPARE: &str = "required to compare";

impl Key {
    /// A key of the legacy file.
    pub(super) const fn legacy(
        name: &'static str,
        scopes: &'static [Scope],
        kind: Kind,
        default: &'static str,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { name, scopes, kind, default, since: "cupid-go", status: Status::Active, en, zh }
    }

    /// A key that only the PHP edition knew.
    pub(super) const fn php(
        name: &'static str,
        scopes: &'static [Scope],
        kind: Kind,
        default: &'static str,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { since: "PHP cupid", ..Self::legacy(name, scopes, kind, default, en, zh) }
    }

    /// A key of this program.
    pub(super) const fn new(
        name: &'static str,
        scopes: &'static [Scope],
        kind: Kind,
        default: &'static str,
        en: &'static str,
        zh: &'static str,
    ) -> Self {
        Self { since: "0.1", ..Self::legacy(name, scopes, kind, default, en, zh) }
    }

    /// Whether the key may stand there.
    pub(crate) fn is_in(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
