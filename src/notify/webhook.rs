//! Any HTTP endpoint: cupid's own JSON or what a template makes of it, signed as Standard Webhooks are; 2xx.

use super::http::{Body, Reply, Request, Service, limits};
use super::{Limits, Message, SendError, sign};
use crate::config::WebhookConfig;

pub(super) struct Webhook(pub(super) WebhookConfig);

impl Service for Webhook {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let body = match &self.0.template {
            None => message.facts.to_string(),
            Some(template) => {
                let failed = |e| SendError::lasting(format!("the template cannot be used: {e}"));
                template.render(&message.facts).map_err(failed)?
            }
        };
        let id = &message.id;
        let timestamp = message.now / 1000;
        let mut headers = vec![("webhook-id", id.clone()), ("webhook-timestamp", timestamp.to_string())];
        if let Some(secret) = &self.0.secret {
            let code = sign::hmac(secret.expose(), format!("{id}.{timestamp}.{body}").as_bytes());
            headers.push(("webhook-signature", format!("v1,{code}")));
        }
        Ok(Request { url: self.0.url.expose().clone(), headers, body: Body::Json(body) })
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        reply.by_status()
    }

    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }

    fn limits(&self) -> Limits {
        Limits { digests: false, ..limits(10, 1) }
    }
}
