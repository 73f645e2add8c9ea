//! The call itself: one POST under one deadline. Redirects are not followed, proxies of the environment not used, and
//! at most 64 KiB of the answer are read.

use std::error::Error as _;
use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, redirect};

use super::sign::signature;
use crate::base::chain::chain;
use crate::base::clock::Clock;
use crate::config::CallbackConfig;
use crate::model::{AttemptOutcome, DeliveryId, ErrorClass, TaskName};

/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Takes messages to one receiver.
#[async_trait]
pub trait Call: Send + Sync {
    /// Makes the call. Whatever happens is an outcome, not an error.
    async fn call(&self, message: &Message) -> (AttemptOutcome, Duration);
}

/// Calls one receiver by HTTP.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Client,
    receiver: CallbackConfig,
    clock: Clock,
}

/// One message to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// Task, for the header `cupid-task`.
    pub task: TaskName,
    /// Delivery, for `cupid-delivery` and `webhook-id`.
    pub delivery: DeliveryId,
    /// Revision, for `cupid-revision` and `webhook-id`.
    pub revision: i64,
    /// Attempt, for `cupid-attempt`.
    pub attempt: u32,
    /// The exact bytes.
    pub body: Box<[u8]>,
}

impl Caller {
    /// Prepares calls to `receiver`; nothing is connected yet.
    ///
    /// # Errors
    /// If the TLS set-up of this machine cannot be read.
    pub fn new(receiver: CallbackConfig, clock: Clock) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("cupid/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(receiver.concurrency)
            .pool_idle_timeout(Duration::from_secs(30))
            .timeout(receiver.timeout)
            .build()?;
        Ok(Self { client, receiver, clock })
    }

    async fn post(&self, message: &Message) -> reqwest::Result<Response> {
        let id = format!("{}-{}", message.delivery, message.revision);
        let timestamp = self.clock.now() / 1000;
        let mut request = self
            .client
            .post(self.receiver.url.clone())
            .header("content-type", "application/json")
            .header("webhook-timestamp", timestamp)
            .header("cupid-task", header_text(message.task.as_str()))
            .header("cupid-delivery", message.delivery.to_string())
            .header("cupid-revision", message.revision)
            .header("cupid-attempt", message.attempt);
        if let Some(secret) = &self.receiver.secret {
            request = request
                .header("webhook-signature", signature(secret.expose(), &id, timestamp, &message.body));
        }
        request.header("webhook-id", id).body(message.body.to_vec()).send().await
    }

    async fn judge(&self, mut response: Response) -> AttemptOutcome {
        let status = response.status();
        // The answer is part of the call: a receiver that hangs in its body has not taken the message.
        let mut read = 0;
        while read < ANSWER_LIMIT {
            match response.chunk().await {
                Ok(Some(chunk)) => read += chunk.len(),
                Ok(None) => break,
                Err(e) => return failed(&e),
            }
        }
        if status.is_success() {
            return AttemptOutcome::Accepted { status: status.as_u16() };
        }
        let class = match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorClass::Http429,
            s if s.is_redirection() => ErrorClass::Http3xx,
            s if s.is_client_error() => ErrorClass::Http4xx,
            s if s.is_server_error() => ErrorClass::Http5xx,
            _ => ErrorClass::Protocol,
        };
        let detail = format!("the receiver answered {status}");
        AttemptOutcome::Failed { class, status: Some(status.as_u16()), detail }
    }
}

#[async_trait]
impl Call for Caller {
    async fn call(&self, message: &Message) -> (AttemptOutcome, Duration) {
        let began = Instant::now();
        let outcome = match self.post(message).await {
            Ok(response) => self.judge(response).await,
            Err(e) => failed(&e),
        };
        (outcome, began.elapsed())
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
    AttemptOutcome::Failed { class, status: None, detail }
}

fn classify(error: &reqwest::Error) -> ErrorClass {
    if error.is_timeout() {
        return ErrorClass::Timeout;
    }
    if error.is_builder() {
        return ErrorClass::InvalidRequest;
    }
    let mut cause = error.source();
    while let Some(e) = cause {
        if e.is::<rustls::Error>() {
            return ErrorClass::Tls;
        }
        // hyper-util says which step failed only in words.
        if e.to_string().starts_with("dns error") {
            return ErrorClass::Dns;
        }
        if let Some(io) = e.downcast_ref::<io::Error>() {
            if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                return ErrorClass::Tls;
            }
            if io.kind() == io::ErrorKind::TimedOut {
                return ErrorClass::Timeout;
            }
        }
        cause = e.source();
    }
    if error.is_connect() {
        ErrorClass::Connect
    } else if error.is_request() || error.is_body() {
        ErrorClass::Reset
    } else {
        ErrorClass::Protocol
    }
}
