//! PushPlus: verdict in `code`, and 200 there only means that it was accepted.

use reqwest::Url;
use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::base::secret::Secret;

/// Characters of a title, bytes of a text.
const TITLE: usize = 100;
const MOST: usize = 15_000;
/// Wrong token, wrong group, not allowed …
const LASTING: [i64; 6] = [903, 905, 907, 908, 909, 912];
/// The account is blocked for the day.
const BLOCKED: i64 = 900;

pub(super) struct Pushplus {
    pub(super) token: Secret<String>,
    pub(super) topic: Option<String>,
    pub(super) url: Url,
}

impl Service for Pushplus {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut body = json!({
            "token": self.token.expose(),
            "title": text::units(&message.title, TITLE),
            "content": text::bytes(&message.text, MOST),
            "template": "txt",
        });
        if let Some(topic) = &self.topic {
            body["topic"] = json!(topic);
        }
        Ok(Request::json(self.url.clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        if reply.json()["code"].as_i64() == Some(BLOCKED) {
            return Err(SendError::lasting(reply.shown()).after(Some(86_400)));
        }
        reply.by_code(&["code"], 200, &LASTING)
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.token.expose()]
    }

    fn limits(&self) -> Limits {
        limits(3, 30)
    }
}
