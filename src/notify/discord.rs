//! Discord webhooks: 204, or 200.

use serde_json::json;

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::config::Robot;

/// Characters of a text; the service takes 2000.
const MOST: usize = 1900;

pub(super) struct Discord(pub(super) Robot);

impl Service for Discord {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut content = text::units(&text::escaped(&format!("{}\n{}", message.title, message.text)), MOST);
        let (mut parse, mut users) = (Vec::new(), Vec::new());
        if !message.over {
            for who in self.0.mention.iter().take(3) {
                if who == "@all" {
                    parse.push("everyone");
                    content += "\n@everyone";
                } else {
                    let id: String = who.chars().filter(char::is_ascii_digit).take(24).collect();
                    content.extend(["\n<@", id.as_str(), ">"]);
                    users.push(id);
                }
            }
        }
        // Nobody else is mentioned, whatever stands in the text.
        let body = json!({ "content": content, "allowed_mentions": { "parse": parse, "users": users } });
        Ok(Request::json(self.0.url.expose().clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        if reply.status == 429 {
            // Seconds, with a fraction.
            let after = reply.json()["retry_after"].as_f64().map(|s| s.clamp(0.0, 1e6).ceil() as u64);
            return Err(SendError::passing(reply.shown()).after(after.or(reply.after)));
        }
        reply.by_status()
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    fn limits(&self) -> Limits {
        // 30 a minute are allowed.
        limits(4, 3)
    }
}
