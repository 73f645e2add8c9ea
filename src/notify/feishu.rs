//! Feishu and Lark robots: signed in the body, with key and message the other way round than DingTalk's; verdict in `code`.

use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, sign, text};
use crate::config::Robot;

/// Bytes of a text; the service takes 20 KB in the whole body, in which a character may take six times its bytes.
const MOST: usize = 3000;
/// Signature, address, keyword, bad request.
const LASTING: [i64; 4] = [19_021, 19_022, 19_024, 9_499];

pub(super) struct Feishu(pub(super) Robot);

impl Service for Feishu {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut content = text::bytes(&format!("{}\n{}", message.title, message.text), MOST);
        if !message.over {
            for who in &self.0.mention {
                let id = if who == "@all" { "all" } else { who };
                let id: String =
                    id.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).collect();
                content.extend(["\n<at user_id=\"", id.as_str(), "\"></at>"]);
            }
        }
        let mut body = json!({ "msg_type": "text", "content": { "text": content } });
        if let Some(secret) = &self.0.secret {
            let timestamp = (message.now / 1000).to_string();
            let key = format!("{timestamp}\n{}", secret.expose());
            body["sign"] = json!(sign::hmac(key.as_bytes(), b""));
            body["timestamp"] = json!(timestamp);
        }
        Ok(Request::json(self.0.url.expose().clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_code(&["code", "StatusCode"], 0, &LASTING)
    }

    fn secrets(&self) -> Vec<&str> {
        self.0.secret.iter().map(|secret| secret.expose().as_str()).collect()
    }

    fn limits(&self) -> Limits {
        // 100 a minute and 5 a second are allowed.
        limits(4, 2)
    }
}
