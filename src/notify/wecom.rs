//! WeCom group robots. They answer 200 whatever happens; `errcode` says what did.

use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::config::Robot;

/// Bytes of a text; the service refuses 2048.
const MOST: usize = 2000;
/// Bad key, bad type, too long, and a robot that is gone.
const LASTING: [i64; 4] = [93_000, 40_008, 40_058, 93_008];

pub(super) struct Wecom(pub(super) Robot);

impl Service for Wecom {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let body = format!("{}\n{}", message.title, message.text);
        let mut content = json!({ "content": text::bytes(&body, MOST) });
        if !message.over && !self.0.mention.is_empty() {
            let (mobiles, users): (Vec<&String>, Vec<&String>) =
                self.0.mention.iter().partition(|who| is_mobile(who));
            content["mentioned_list"] = json!(users);
            content["mentioned_mobile_list"] = json!(mobiles);
        }
        Ok(Request::json(self.0.url.expose().clone(), &json!({ "msgtype": "text", "text": content })))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_code(&["errcode"], 0, &LASTING)
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    fn limits(&self) -> Limits {
        // 20 a minute are allowed.
        limits(3, 4)
    }
}

/// Whether it is a mobile number rather than a user id.
pub(super) fn is_mobile(who: &str) -> bool {
    let digits = who.strip_prefix('+').unwrap_or(who).replace('-', "");
    digits.len() >= 11 && digits.bytes().all(|b| b.is_ascii_digit())
}
