//! DingTalk group robots: signed in the URL, verdict in `errcode`.

use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::wecom::is_mobile;
use super::{Limits, Message, SendError, sign, text};
use crate::config::Robot;

/// Bytes of a text; the service takes 20 000 in the whole body, in which a character may take six times its bytes.
const MOST: usize = 3000;
/// Keyword, signature, time or address; size; a robot that is gone.
const LASTING: [i64; 4] = [310_000, 460_101, 300_001, 400_102];

pub(super) struct Dingtalk(pub(super) Robot);

impl Service for Dingtalk {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut url = self.0.url.expose().clone();
        if let Some(secret) = &self.0.secret {
            let secret = secret.expose();
            let timestamp = message.now.to_string();
            let code = sign::hmac(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
            url.query_pairs_mut().append_pair("timestamp", &timestamp).append_pair("sign", &code);
        }
        let mut content = format!("{}\n{}", message.title, message.text);
        let mut body = json!({ "msgtype": "text" });
        if !message.over && !self.0.mention.is_empty() {
            let all = self.0.mention.iter().any(|who| who == "@all");
            let others = self.0.mention.iter().filter(|who| *who != "@all");
            let (mobiles, users): (Vec<&String>, Vec<&String>) = others.partition(|who| is_mobile(who));
            body["at"] = json!({ "isAtAll": all, "atMobiles": mobiles, "atUserIds": users });
        }
        content = text::bytes(&content, MOST);
        body["text"] = json!({ "content": content });
        Ok(Request::json(url, &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_code(&["errcode"], 0, &LASTING)
    }

    fn secrets(&self) -> Vec<&str> {
        self.0.secret.iter().map(|secret| secret.expose().as_str()).collect()
    }

    fn limits(&self) -> Limits {
        // 20 a minute are allowed; above that the robot is muted for ten minutes.
        limits(3, 4)
    }
}
