//! Teams workflows: an adaptive card, 202.

use serde_json::{Value, json};

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::config::Robot;

/// Bytes of a text; the service takes about 28 KB in all.
const MOST: usize = 6000;

pub(super) struct Teams(pub(super) Robot);

impl Service for Teams {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let block = |line: &str| json!({ "type": "TextBlock", "wrap": true, "text": text::escaped(line) });
        let mut title = block(&message.title);
        title["weight"] = json!("Bolder");
        let shown = text::bytes(&message.text, MOST);
        let lines: Vec<Value> = std::iter::once(title).chain(shown.lines().map(block)).collect();
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": lines,
        });
        let body = json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
            }],
        });
        Ok(Request::json(self.0.url.expose().clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_status()
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    fn limits(&self) -> Limits {
        // 4 a second are allowed.
        limits(3, 2)
    }
}
