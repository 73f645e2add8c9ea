//! PagerDuty events v2: what begins triggers, what ends resolves, 202.

use reqwest::Url;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::http::{Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::base::secret::Secret;

/// Characters of a summary; the service takes 1024.
const SUMMARY: usize = 1000;
/// Bytes of a key; the service takes 255.
const KEY: usize = 255;

pub(super) struct Pagerduty {
    pub(super) key: Secret<String>,
    pub(super) url: Url,
}

impl Service for Pagerduty {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut body = json!({
            "routing_key": self.key.expose(),
            "event_action": if message.over { "resolve" } else { "trigger" },
            "dedup_key": dedup_key(&message.key),
            "payload": {
                "summary": text::units(&message.title, SUMMARY),
                "source": message.source,
                "severity": message.severity.as_str(),
                "custom_details": message.facts,
            },
        });
        if message.over {
            body["payload"] = json!({
                "summary": text::units(&message.title, SUMMARY), "source": message.source, "severity": "info",
            });
        }
        Ok(Request::json(self.url.clone(), &body))
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_status()
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.key.expose()]
    }

    fn limits(&self) -> Limits {
        // Each cause is an incident of its own.
        Limits { digests: false, ..limits(10, 1) }
    }
}

/// A key that is too long keeps its beginning and gets a digest, so that it stays the same and unlike others.
fn dedup_key(key: &str) -> String {
    if key.len() <= KEY {
        return key.to_owned();
    }
    let digest: String = Sha256::digest(key.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("{}/{digest}", &key[..key.floor_char_boundary(KEY - 40)])
}
