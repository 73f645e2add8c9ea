//! The wire shape of `PushBear`, kept for `pushbearSendKey`; the base URL can name a compatible service.

use reqwest::Url;

use super::http::{Body, Reply, Request, Service, limits};
use super::{Limits, Message, SendError};
use crate::base::secret::Secret;

pub(super) struct Pushbear {
    pub(super) key: Secret<String>,
    pub(super) url: Url,
}

impl Service for Pushbear {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("sendkey", self.key.expose())
            .append_pair("text", &message.title)
            .append_pair("desp", &message.text);
        Ok(Request { url, headers: Vec::new(), body: Body::None })
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        // Whoever stands in for it may say nothing but that it worked.
        match reply.json()["code"].as_i64() {
            Some(code) if code != 0 && reply.is_success() => Err(SendError::passing(reply.shown())),
            _ => reply.by_status(),
        }
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.key.expose()]
    }

    fn limits(&self) -> Limits {
        limits(3, 10)
    }
}
