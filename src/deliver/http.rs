//! The call itself: one POST under one deadline; at most 64 KiB of the answer are read.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::address::{Addresses, Blocked};
use super::batch::results;
use super::client::{self, CallerError};
use super::message::{Content, Message};
use super::sign::signatures;
use crate::base::chain::chain;
use crate::base::clock::Clock;
use crate::base::scrub::scrubbed;
use crate::config::CallbackConfig;
use crate::model::{AttemptOutcome, ErrorClass};

/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;
/// Most bytes of an answer that are kept.
const ANSWER_KEPT: usize = 4 * 1024;

/// Takes messages to one receiver.
#[async_trait]
pub trait Call: Send + Sync {
    /// Makes the call. Whatever happens is an outcome, not an error.
    async fn call(&self, message: &Message) -> Answer;
}

/// Calls one receiver by HTTP.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    addresses: Addresses,
    receiver: CallbackConfig,
    /// What must not be kept of an answer that repeats it.
    secrets: Vec<String>,
    clock: Clock,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All else holds secrets.
        f.debug_struct("Caller").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What came of it as a whole.
    pub outcome: AttemptOutcome,
    /// What came of each item of a batch, in their order; `None`: of each the same as of the whole.
    pub items: Option<Vec<AttemptOutcome>>,
    /// How long it took.
    pub took: Duration,
}

impl From<AttemptOutcome> for Answer {
    fn from(outcome: AttemptOutcome) -> Self {
        Self { outcome, items: None, took: Duration::ZERO }
    }
}

impl Caller {
    /// Prepares calls to `receiver`; nothing is connected yet.
    ///
    /// # Errors
    /// If a certificate cannot be used, or the TLS set-up of this machine cannot be read.
    pub fn new(receiver: CallbackConfig, clock: Clock) -> Result<Self, CallerError> {
        let addresses = Addresses::new(&receiver.allow);
        let client = client::client(&receiver, addresses.clone())?;
        let secrets = client::secrets(&receiver);
        Ok(Self { client, addresses, receiver, secrets, clock })
    }

    async fn post(&self, message: &Message) -> reqwest::Result<Response> {
        let id = message.id();
        let timestamp = self.clock.now() / 1000;
        let mut request = self
            .client
            .post(self.receiver.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-timestamp", timestamp)
            .header("cupid-task", header_text(message.task.as_str()))
            .header("cupid-attempt", message.attempt);
        request = match &message.of {
            Content::One(id) => {
                let delivery = id.delivery.to_string();
                request.header("cupid-delivery", delivery).header("cupid-revision", id.revision)
            }
            Content::Batch(items) => request.header("cupid-batch", items.len()),
        };
        if !self.receiver.secrets.is_empty() {
            let signatures = signatures(&self.receiver.secrets, &id, timestamp, &message.body);
            request = request.header("webhook-signature", signatures);
        }
        let packed = if self.receiver.gzip { client::gzip(&message.body).ok() } else { None };
        let body = match packed {
            Some(packed) => {
                request = request.header(CONTENT_ENCODING, "gzip");
                packed
            }
            None => message.body.to_vec(),
        };
        request.header("webhook-id", id).body(body).send().await
    }

    async fn judge(&self, message: &Message, mut response: Response) -> Answer {
        let status = response.status();
        let retry_after = retry_after(&response, self.clock.now());
        // The answer is part of the call: a receiver that hangs in its body has not taken the message.
        let mut answer = Vec::new();
        let mut is_whole = false;
        while answer.len() < ANSWER_LIMIT {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    answer.extend_from_slice(&chunk[..chunk.len().min(ANSWER_LIMIT - answer.len())]);
                }
                Ok(None) => {
                    is_whole = true;
                    break;
                }
                Err(e) => return failed(&e).into(),
            }
        }
        let said = head(&answer, &self.secrets);
        let (class, detail) = match status {
            s if s.is_success() => {
                match self.receiver.success.as_ref().map(|rule| (rule, rule.holds(&answer))) {
                    None | Some((_, Ok(true))) => match self.items(message, status, &answer, is_whole) {
                        Ok(items) => {
                            let outcome = AttemptOutcome::Accepted { status: status.as_u16(), answer: said };
                            return Answer { outcome, items, took: Duration::ZERO };
                        }
                        Err(why) => {
                            (ErrorClass::BodyRule, format!("the receiver answered {status}, and {why}"))
                        }
                    },
                    Some((rule, Ok(false))) => {
                        let detail =
                            format!("the receiver answered {status}, and `{}` does not hold", rule.as_str());
                        (ErrorClass::BodyRule, detail)
                    }
                    Some((rule, Err(why))) => {
                        let rule = rule.as_str();
                        let detail = format!(
                            "the receiver answered {status}, and its answer cannot be judged by `{rule}`: {why}"
                        );
                        (ErrorClass::BodyRule, detail)
                    }
                }
            }
            StatusCode::TOO_MANY_REQUESTS => (ErrorClass::Http429, answered(status)),
            s if s.is_redirection() => {
                (ErrorClass::Http3xx, format!("{}; redirects are not followed", answered(status)))
            }
            s if s.is_client_error() => (ErrorClass::Http4xx, answered(status)),
            s if s.is_server_error() => (ErrorClass::Http5xx, answered(status)),
            _ => (ErrorClass::Protocol, answered(status)),
        };
        AttemptOutcome::Failed { class, status: Some(status.as_u16()), detail, answer: said, retry_after }
            .into()
    }

    fn items(
        &self,
        message: &Message,
        status: StatusCode,
        answer: &[u8],
        is_whole: bool,
    ) -> Result<Option<Vec<AttemptOutcome>>, String> {
        match &message.of {
            Content::One(_) => Ok(None),
            Content::Batch(items) => results(items, status.as_u16(), answer, is_whole),
        }
    }
}

fn answered(status: StatusCode) -> String {
    format!("the receiver answered {status}")
}

/// What is kept of an answer: a text of one piece without secrets, cut at a character.
fn head(answer: &[u8], secrets: &[String]) -> Option<Box<str>> {
    let text = scrubbed(&String::from_utf8_lossy(answer), secrets);
    let text = text[..text.floor_char_boundary(ANSWER_KEPT)].trim();
    (!text.is_empty()).then(|| text.into())
}

/// Seconds or a date, as far as it can be read; what lies in the past says nothing.
fn retry_after(response: &Response, now: i64) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match value.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let at = chrono::DateTime::parse_from_rfc2822(value).ok()?.timestamp();
            u64::try_from(at.checked_sub(now / 1000)?).ok()?
        }
    };
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

fn refused(class: ErrorClass, detail: String) -> AttemptOutcome {
    AttemptOutcome::Failed { class, status: None, detail, answer: None, retry_after: None }
}

#[async_trait]
impl Call for Caller {
    async fn call(&self, message: &Message) -> Answer {
        let began = Instant::now();
        let answer = match self.addresses.vet_host(&self.receiver.url) {
            Err(e) => refused(ErrorClass::BlockedAddress, e.to_string()).into(),
            Ok(()) => match self.post(message).await {
                Ok(response) => self.judge(message, response).await,
                Err(e) => failed(&e).into(),
            },
        };
        Answer { took: began.elapsed(), ..answer }
    }
}

/// Header values are ASCII; anything else in a task's name is percent-encoded, as receivers can decode it.
fn header_text(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

fn failed(error: &reqwest::Error) -> AttemptOutcome {
    let class = classify(error);
    // The URL may carry a key in its query; people know their receiver by task and destination.
    let mut detail = String::new();
    let mut cause = error.source();
    while let Some(e) = cause {
        detail = if e.source().is_none() { e.to_string() } else { detail };
        cause = e.source();
    }
    if detail.is_empty() || error.is_timeout() {
        detail = match class {
            ErrorClass::Timeout => "no complete answer within the deadline".to_owned(),
            _ => chain(error).to_string(),
        };
    }
    refused(class, detail)
}

/// Errors of TLS come wrapped, some more than once.
fn is_tls(mut io: &io::Error) -> bool {
    loop {
        let Some(inner) = io.get_ref() else { return false };
        if inner.is::<rustls::Error>() {
            return true;
        }
        let Some(deeper) = inner.downcast_ref::<io::Error>() else { return false };
        io = deeper;
    }
}

fn classify(error: &reqwest::Error) -> ErrorClass {
    if error.is_timeout() {
        return ErrorClass::Timeout;
    }
    if error.is_builder() {
        return ErrorClass::InvalidRequest;
    }
    let mut cause = error.source();
    let mut dns = false;
    while let Some(e) = cause {
        if e.is::<Blocked>() {
            return ErrorClass::BlockedAddress;
        }
        if e.is::<rustls::Error>() {
            return ErrorClass::Tls;
        }
        // hyper-util says which step failed only in words.
        dns |= e.to_string().starts_with("dns error");
        if let Some(io) = e.downcast_ref::<io::Error>() {
            if is_tls(io) {
                return ErrorClass::Tls;
            }
            if io.kind() == io::ErrorKind::TimedOut {
                return ErrorClass::Timeout;
            }
        }
        cause = e.source();
    }
    if dns {
        ErrorClass::Dns
    } else if error.is_connect() {
        ErrorClass::Connect
    } else if error.is_request() || error.is_body() || error.is_decode() {
        // An answer that breaks off counts as one that cannot be decoded.
        ErrorClass::Reset
    } else {
        ErrorClass::Protocol
    }
}
