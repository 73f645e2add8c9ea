//! `callbackNotification`.

use std::time::Duration;

use base64::Engine as _;

use super::{line, shown};
use crate::base::secret::Secret;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{BodyForm, CallbackConfig, ValueForm, duration};

const TIMEOUT: Duration = Duration::from_secs(10);
const LEAST_CONCURRENCY: usize = 4;

pub(super) fn check(r: &mut Reader<'_>, destination: &Section<'_>, workers: usize) -> Option<CallbackConfig> {
    if !destination.has("callbackNotification") {
        r.missing(destination, "callbackNotification");
        return None;
    }
    let section = r.below(destination, "callbackNotification")?;
    r.out.open(Some("callbackNotification"));
    let url = url(r, &section);
    let secret = secret(r, &section);
    let timeout = r.duration(&section, "timeout");
    let timeout = shown(r, "timeout", timeout, TIMEOUT, |value| json(&duration::show(*value)));
    let body = r.word(&section, "body");
    let body = match shown(r, "body", body, "full", |word| json(word)) {
        "row" => BodyForm::Row,
        "diff" => BodyForm::Diff,
        _ => BodyForm::Full,
    };
    let values = r.word(&section, "values");
    let values = match shown(r, "values", values, "text", |word| json(word)) {
        "json" => ValueForm::Json,
        _ => ValueForm::Text,
    };
    let concurrency = r.number(&section, "concurrency").map(|found| {
        let value = usize::try_from(found.value).unwrap_or(LEAST_CONCURRENCY);
        found.with(value)
    });
    let concurrency = shown(r, "concurrency", concurrency, workers.max(LEAST_CONCURRENCY), usize::to_string);
    r.out.close();
    Some(CallbackConfig { url: url?, secret: secret.ok()?, timeout, body, values, concurrency })
}

fn url(r: &mut Reader<'_>, section: &Section<'_>) -> Option<url::Url> {
    let found = r.required(section, "url")?;
    match http_url(&found.value) {
        Ok(url) => {
            let origin = line(r, found.span);
            let shown = if found.value.contains("://") { found.json } else { with_scheme(&found) };
            r.out.leaf("url", shown, origin);
            Some(url)
        }
        Err(reason) => {
            let problem = Problem::error(found.span, format!("`url` cannot be used: {reason}"));
            r.report(
                problem.help("write \"http://host:port/path\" or \"https://…\"; `http://` may be left out"),
            );
            None
        }
    }
}

/// The explanation of a URL without a scheme names the one that is used.
fn with_scheme(found: &Found<String>) -> String {
    if found.outside { found.json.clone() } else { found.json.replacen('"', "\"http://", 1) }
}

/// An absolute HTTP URL; without a scheme it is `http`.
pub(super) fn http_url(text: &str) -> Result<url::Url, String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let full = match lower.split_once("://") {
        Some(("http" | "https", _)) => text.to_owned(),
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
            return Err("only http and https are spoken".to_owned());
        }
        _ if lower.starts_with("http:") || lower.starts_with("https:") => {
            return Err("`//` is missing after the scheme".to_owned());
        }
        _ => format!("http://{text}"),
    };
    let url = url::Url::parse(&full).map_err(|e| e.to_string())?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    Ok(url)
}

pub(super) fn secret(r: &mut Reader<'_>, section: &Section<'_>) -> Result<Option<Secret<Vec<u8>>>, ()> {
    if !section.has("secret") {
        return Ok(None);
    }
    // An empty one must not quietly mean "unsigned".
    let found = r.required(section, "secret").ok_or(())?;
    let bytes = found.value.strip_prefix("whsec_").and_then(|rest| {
        let rest = rest.trim_end_matches('=');
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(rest).ok()
    });
    match bytes {
        Some(bytes) if (24..=64).contains(&bytes.len()) => {
            let origin = line(r, found.span);
            r.out.leaf("secret", found.json, origin);
            Ok(Some(Secret::new(bytes)))
        }
        _ => {
            let problem =
                Problem::error(found.span, "`secret` must be `whsec_` and the base64 of 24 to 64 bytes");
            r.report(problem.help("make one: echo whsec_$(openssl rand -base64 32)"));
            Err(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::http_url;

    #[test]
    fn urls() {
        let cases = [
            ("127.0.0.1:20000/test/callback", "http://127.0.0.1:20000/test/callback"),
            ("localhost:8080/x", "http://localhost:8080/x"),
            ("example.com/a?b=http://c", "http://example.com/a?b=http://c"),
            ("https://example.com", "https://example.com/"),
            ("HTTP://Example.com/A", "http://example.com/A"),
            ("[::1]:80/x", "http://[::1]/x"),
        ];
        for (text, url) in cases {
            assert_eq!(http_url(text).map(String::from), Ok(url.to_owned()), "{text}");
        }
        for text in
            ["ftp://example.com", "http:/example.com", "http://", "http://:80/x", "a b", "127.0.0.1:99999/x"]
        {
            assert!(http_url(text).is_err(), "{text}");
        }
    }
}
