//! Telegram bots: the token stands in the path, the verdict in `ok`.

use reqwest::Url;
use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::base::secret::Secret;

/// Characters of a text; the service takes 4096.
const MOST: usize = 4000;

pub(super) struct Telegram {
    token: Secret<String>,
    chat: String,
    url: Url,
}

impl Telegram {
    pub(super) fn new(token: Secret<String>, chat: String, base: Option<&Url>) -> Result<Self, SendError> {
        let base = base.map_or("https://api.telegram.org", Url::as_str).trim_end_matches('/');
        let url = Url::parse(&format!("{base}/bot{}/sendMessage", token.expose()));
        let url = url.map_err(|_| SendError::lasting("the token makes no URL".to_owned()))?;
        Ok(Self { token, chat, url })
    }
}

impl Service for Telegram {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        // Without `parse_mode` nothing in it is taken for formatting.
        let content = text::units(&format!("{}\n{}", message.title, message.text), MOST);
        Ok(Request::json(self.url.clone(), &json!({ "chat_id": self.chat, "text": content })))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        let body = reply.json();
        if reply.status == 429 {
            let after = body["parameters"]["retry_after"].as_u64().or(reply.after);
            return Err(SendError::passing(reply.shown()).after(after));
        }
        match (reply.is_success(), body["ok"].as_bool()) {
            (true, Some(true)) => Ok(format!("HTTP {}: ok", reply.status)),
            (true, _) => Err(SendError::passing(reply.shown())),
            (false, _) => reply.by_status(),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.token.expose()]
    }

    fn limits(&self) -> Limits {
        // 20 a minute are allowed in a group.
        limits(3, 4)
    }
}
