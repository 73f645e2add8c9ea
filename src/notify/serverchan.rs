//! ServerChan: the key says which server it belongs to; verdict in `code`.

use reqwest::Url;

use super::http::{Body, Reply, Request, Service, limits};
use super::{Limits, Message, SendError, text};
use crate::base::secret::Secret;

/// Characters of a title.
const TITLE: usize = 32;
/// Bytes of a text.
const MOST: usize = 30_000;

pub(super) struct Serverchan {
    key: Secret<String>,
    url: Url,
}

impl Serverchan {
    pub(super) fn new(key: Secret<String>, base: Option<&Url>) -> Result<Self, SendError> {
        let own = match user(key.expose()) {
            Some(user) => format!("https://{user}.push.ft07.com/send/"),
            None => "https://sctapi.ftqq.com/".to_owned(),
        };
        let base = base.map_or(own, |url| format!("{}/", url.as_str().trim_end_matches('/')));
        let url = Url::parse(&format!("{base}{}.send", key.expose()));
        Ok(Self { url: url.map_err(|_| SendError::lasting("the key makes no URL".to_owned()))?, key })
    }
}

/// Keys of the newer kind name their user: `sctp<digits>t…`.
fn user(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("sctp")?;
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit())?];
    (!digits.is_empty() && rest[digits.len()..].starts_with('t')).then_some(digits)
}

impl Service for Serverchan {
    fn request(&self, message: &Message) -> Result<Request, SendError> {
        let lines: Vec<String> =
            std::iter::once(&*message.title).chain(message.text.lines()).map(text::escaped).collect();
        let body = Body::Form(vec![
            ("title", text::units(&message.title, TITLE)),
            ("desp", text::bytes(&lines.join("\n\n"), MOST)),
        ]);
        Ok(Request { url: self.url.clone(), headers: Vec::new(), body })
    }

    fn judge(&self, reply: &Reply) -> Result<String, SendError> {
        // A bad key is answered with 400 or with 40001.
        reply.by_code(&["code", "errno"], 0, &[40_001])
    }

    fn secrets(&self) -> Vec<&str> {
        vec![self.key.expose()]
    }

    fn limits(&self) -> Limits {
        // A few a day may be all there are.
        limits(3, 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_says_where() {
        let url = |key: &str| Serverchan::new(Secret::new(key.to_owned()), None).unwrap().url.to_string();
        assert_eq!(url("sctp123tabc"), "https://123.push.ft07.com/send/sctp123tabc.send");
        assert_eq!(url("SCT1abc"), "https://sctapi.ftqq.com/SCT1abc.send");
        assert_eq!(url("sctptabc"), "https://sctapi.ftqq.com/sctptabc.send");
        let relay = Url::parse("http://127.0.0.1:1/relay/").unwrap();
        let own = Serverchan::new(Secret::new("SCT1".to_owned()), Some(&relay)).unwrap();
        assert_eq!(own.url.as_str(), "http://127.0.0.1:1/relay/SCT1.send");
    }
}
