//! Slack incoming webhooks: 200 and the word `ok`.

use serde_json::{Value, json};

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::config::Robot;

/// Characters of a title and of a text.
const TITLE: usize = 140;
const MOST: usize = 2900;

pub(super) struct Slack(pub(super) Robot);

/// The three characters that mean something everywhere in Slack.
fn safe(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn section(kind: &str, text: &str) -> Value {
    let mut inner = json!({ "type": kind, "text": text });
    if kind == "plain_text" {
        inner["emoji"] = json!(false);
    }
    json!({ "type": "section", "text": inner })
}

impl Service for Slack {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        // Plain text, so that nothing in it is taken for formatting.
        let mut blocks = vec![
            section("plain_text", &safe(&text::units(&message.title, TITLE))),
            section("plain_text", &text::units(&safe(&message.text), MOST)),
        ];
        if !message.over && !self.0.mention.is_empty() {
            let who: Vec<String> = self.0.mention.iter().map(|who| mention(who)).collect();
            blocks.push(section("mrkdwn", &who.join(" ")));
        }
        let body = json!({ "text": safe(&message.title), "blocks": blocks });
        Ok(Request::json(self.0.url.expose().clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        match reply.status {
            200 if reply.body.trim_ascii() == b"ok" => Ok(reply.shown()),
            200 => Err(SendError::passing(reply.shown())),
            _ => reply.by_status(),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    fn limits(&self) -> Limits {
        // One a second is allowed.
        limits(3, 2)
    }
}

fn mention(who: &str) -> String {
    let id: String = who.chars().filter(char::is_ascii_alphanumeric).collect();
    if who == "@all" { "<!channel>".to_owned() } else { format!("<@{id}>") }
}
