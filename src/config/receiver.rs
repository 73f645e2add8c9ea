//! The receiver of callbacks: where it is, how we show who we are, and what its answer must say.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::AnswerRule;
use crate::base::secret::Secret;

/// The HTTP endpoint that is told.
#[derive(Clone)]
pub struct CallbackConfig {
    /// Absolute `http` or `https` URL.
    pub url: url::Url,
    /// Keys of the Standard Webhooks signature (the bytes behind `whsec_`), the newest first; each signs every
    /// message, so that a receiver may change over in its own time. None: unsigned.
    pub secrets: Vec<Secret<Vec<u8>>>,
    /// Sent with every call, by name.
    pub headers: Vec<(String, Secret<String>)>,
    /// Who we are, for `authorization`.
    pub auth: Option<Auth>,
    /// Certificates.
    pub tls: CallbackTls,
    /// Every call goes through it; the environment's proxies are never used.
    pub proxy: Option<url::Url>,
    /// Whether bodies are compressed.
    pub gzip: bool,
    /// What a 2xx must say to count as one.
    pub success: Option<AnswerRule>,
    /// Addresses that may be called although they are link-local or known to hold a cloud's metadata.
    pub allow: Vec<IpNet>,
    /// One deadline from connect to the last byte of the answer.
    pub timeout: Duration,
    /// Which body is sent.
    pub body: BodyForm,
    /// How values are written in it.
    pub values: ValueForm,
    /// Calls open at the same time.
    pub concurrency: usize,
    /// Rows in one call, as a list; `None`: one, and no list.
    pub batch: Option<usize>,
    /// The least time between the beginnings of two calls (`rate`); zero: there is no limit.
    pub period: Duration,
}

/// When calls to a receiver that fails are stopped, and tried again (`breaker`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// Only calls that ended within this time count.
    pub window: Duration,
    /// Fewer calls than this decide nothing.
    pub tries: u32,
    /// Part of them that must have failed, 0 to 1.
    pub share: f64,
    /// Pause before one call is made to see whether the receiver works again.
    pub pause: Duration,
    /// The longest such pause: each one doubles.
    pub max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { window: seconds(60), tries: 10, share: 0.7, pause: seconds(30), max: seconds(300) }
    }
}

/// What `authorization` says.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// `Bearer` and this.
    Bearer(Secret<String>),
    /// `Basic`, for this user and password.
    Basic(String, Secret<String>),
}

/// Certificates of calls, as PEM files that could be read when the configuration was.
#[derive(Clone, Debug, Default)]
pub struct CallbackTls {
    /// Authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate, its chain and its key: shown to a receiver that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl CallbackConfig {
    /// The URL without account and parameters, both of which may hold secrets: what logs and messages show.
    pub fn place(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }

    /// Whether both are the same endpoint: called at the same URL by the same way, as the same caller.
    pub fn is_same_receiver(&self, other: &Self) -> bool {
        self.url == other.url
            && self.proxy == other.proxy
            && self.auth == other.auth
            && self.tls.identity == other.tls.identity
    }
}

/// Shows the URL as [`CallbackConfig::place`] does.
impl fmt::Debug for CallbackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackConfig")
            .field("url", &self.place())
            .field("secrets", &self.secrets.len())
            .field("timeout", &self.timeout)
            .field("body", &self.body)
            .field("values", &self.values)
            .field("concurrency", &self.concurrency)
            .field("period", &self.period)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}

/// Which body a callback has (`"body"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `{"type", "srcColumn"}`.
    Full,
    /// The bare row, as cupid-go's code sent it.
    Row,
    /// `{"type", "srcColumn", "changed"}`.
    Diff,
}

/// How values are written in a callback (`"values"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// Text or null.
    Text,
    /// JSON numbers and booleans where they are exact; integers above 2^53 and decimals stay text.
    Json,
}
