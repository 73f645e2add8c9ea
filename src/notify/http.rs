//! The services that take one HTTP call for a message: what each wants and what its answers mean is its own matter
//! ([`Service`]), the call is the same for all. No redirects, no proxies of the environment, one deadline.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use super::{Channel, DEADLINE, Limits, Message, SendError};
use crate::base::chain::chain;
use crate::base::scrub::{self, scrubbed};
use crate::model::ErrorClass;

/// Most bytes of an answer that are read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Most characters of an answer that are shown.
const SHOWN: usize = 220;

/// What is sent.
pub(super) struct Request {
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// How it is sent.
pub(super) enum Body {
    /// GET.
    None,
    /// POST of JSON.
    Json(String),
    /// POST of a form.
    Form(Vec<(&'static str, String)>),
}

impl Request {
    pub(super) fn json(url: Url, body: &Value) -> Self {
        Self { url, headers: Vec::new(), body: Body::Json(body.to_string()) }
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// `Retry-After`, in seconds.
    pub(super) after: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and body on one line. Whole: what is shown of it is cut once no key is left in it ([`fit`]).
    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match text.trim() {
            "" => format!("HTTP {}", self.status),
            text => format!("HTTP {}: {text}", self.status),
        }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it is if it is no yes.
    fn class(&self) -> ErrorClass {
        match self.status {
            200..300 => ErrorClass::BodyRule,
            300..400 => ErrorClass::Http3xx,
            429 => ErrorClass::Http429,
            400..500 => ErrorClass::Http4xx,
            500..600 => ErrorClass::Http5xx,
            _ => ErrorClass::Protocol,
        }
    }

    /// By status alone.
    pub(super) fn by_status(&self) -> Result<String, SendError> {
        match self.status {
            200..300 => Ok(self.shown()),
            429 => Err(SendError::passing(self.shown()).after(self.after)),
            408 | 500..600 => Err(SendError::passing(self.shown()).after(self.after)),
            _ => Err(SendError::lasting(self.shown())),
        }
    }

    /// By a number in the body; services of this kind answer 200 whatever happens. `lasting`: numbers that mean that
    /// the same would fail again.
    pub(super) fn by_code(&self, keys: &[&str], good: i64, lasting: &[i64]) -> Result<String, SendError> {
        if !self.is_success() {
            return self.by_status();
        }
        let body = self.json();
        let code = keys.iter().find_map(|key| body[*key].as_i64());
        match code {
            Some(code) if code == good => Ok(self.shown()),
            Some(code) if lasting.contains(&code) => Err(SendError::lasting(self.shown())),
            Some(_) => Err(SendError::passing(self.shown())),
            None => Err(SendError::passing(format!("this is not its answer to a message: {}", self.shown()))),
        }
    }
}

/// What is special about a service.
pub(super) trait Service: Send + Sync {
    /// The call for a message.
    fn request(&self, message: &Message) -> Result<Request, SendError>;

    /// What its answer means: what to show, or why people were not told.
    fn judge(&self, reply: &Reply) -> Result<String, SendError>;

    /// What must not be shown, whoever says it.
    fn secrets(&self) -> Vec<&str>;

    /// How often it may be called.
    fn limits(&self) -> Limits;
}

/// A service as a channel.
pub(super) struct Post<S> {
    client: Client,
    service: S,
}

/// The client of all of them.
pub(super) fn client() -> Result<Client, SendError> {
    Client::builder()
        .user_agent(concat!("cupid/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .timeout(DEADLINE)
        .build()
        .map_err(|e| SendError::lasting(chain(&e.without_url()).to_string()))
}

impl<S> Post<S> {
    pub(super) fn new(client: &Client, service: S) -> Box<Self> {
        Box::new(Self { client: client.clone(), service })
    }
}

#[async_trait]
impl<S: Service> Channel for Post<S> {
    fn limits(&self) -> Limits {
        self.service.limits()
    }

    async fn send(&self, message: &Message) -> Result<String, SendError> {
        let result = async {
            let request = self.service.request(message);
            let request = request.map_err(|e| e.of_class(ErrorClass::InvalidRequest))?;
            let mut secrets = parts(&request.url);
            secrets.extend(self.service.secrets().into_iter().map(str::to_owned));
            let reply = call(&self.client, request).await;
            let judge = |reply: Reply| self.service.judge(&reply).map_err(|e| e.of_class(reply.class()));
            let judged = reply.and_then(judge);
            Ok::<_, SendError>((judged, secrets))
        };
        let (judged, secrets) = result.await?;
        match judged {
            Ok(said) => Ok(fit(&said, &secrets)),
            Err(e) => Err(SendError { text: fit(&e.text, &secrets), ..e }),
        }
    }
}

async fn call(client: &Client, request: Request) -> Result<Reply, SendError> {
    let mut call = match request.body {
        Body::None => client.get(request.url),
        Body::Json(body) => client.post(request.url).header("content-type", "application/json").body(body),
        Body::Form(fields) => {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let kind = "application/x-www-form-urlencoded";
            client.post(request.url).header("content-type", kind).body(body)
        }
    };
    for (name, value) in request.headers {
        call = call.header(name, value);
    }
    // The URL is a secret, so no error may carry it.
    let failed = |e: reqwest::Error| {
        let class = unreached(&e);
        SendError::passing(chain(&e.without_url()).to_string()).of_class(class)
    };
    let mut answer = call.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    let after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let mut body = Vec::new();
    while body.len() < ANSWER_LIMIT
        && let Some(chunk) = answer.chunk().await.map_err(failed)?
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(ANSWER_LIMIT);
    Ok(Reply { status, after, body })
}

/// Why no answer came.
fn unreached(error: &reqwest::Error) -> ErrorClass {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let is = |what: fn(&(dyn std::error::Error + 'static)) -> bool| causes.clone().any(what);
    let tls = |e: &(dyn std::error::Error + 'static)| {
        let inner = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        e.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>())
    };
    match () {
        () if error.is_timeout() => ErrorClass::Timeout,
        () if error.is_builder() => ErrorClass::InvalidRequest,
        () if is(tls) => ErrorClass::Tls,
        // Which step failed is said only in words.
        () if is(|e| e.to_string().starts_with("dns error")) => ErrorClass::Dns,
        () if error.is_connect() => ErrorClass::Connect,
        () => ErrorClass::Reset,
    }
}

/// Calls a URL that is a secret.
pub(super) async fn get(client: &Client, url: &Url) -> Result<String, SendError> {
    let request = Request { url: url.clone(), headers: Vec::new(), body: Body::None };
    let judge = |reply: Reply| reply.by_status().map_err(|e| e.of_class(reply.class()));
    let judged = call(client, request).await.and_then(judge);
    judged.map_err(|e| SendError { text: fit(&e.text, &parts(url)), ..e })
}

/// The parts of a URL that may be keys; here, its path as well.
fn parts(url: &Url) -> Vec<String> {
    let segments = url.path_segments().into_iter().flatten().filter(|s| s.len() >= 8);
    segments.flat_map(scrub::spellings).chain(scrub::of_url(url)).collect()
}

/// What may be shown of a text: without these, and not long.
fn fit(text: &str, secrets: &[String]) -> String {
    let text = scrubbed(text, secrets);
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN - 1).chain(['…']).collect() }
}

/// So many at once, then one in so many seconds.
pub(super) fn limits(burst: u32, seconds: u64) -> Limits {
    Limits { burst, period: Duration::from_secs(seconds), digests: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_key_is_shown_wherever_an_answer_is_cut() {
        let url =
            Url::parse("https://u:canary-p%40ss@h.example/hook/canary-path?key=canary%2Fquery&canary-bare")
                .unwrap();
        let secrets = parts(&url);
        let said =
            "u said canary-p@ss, canary-p%40ss, canary-path, canary/query, canary%2Fquery and canary-bare";
        for before in 0..400 {
            let body = format!("{}{said}", "x".repeat(before)).into_bytes();
            let shown = fit(&Reply { status: 400, after: None, body }.shown(), &secrets);
            assert!(!shown.contains("can"), "{before}: {shown}");
            assert!(shown.chars().count() <= SHOWN);
        }
    }
}
