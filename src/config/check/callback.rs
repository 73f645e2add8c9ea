//! `callbackNotification`.

use std::time::Duration;

use super::{line, receiver, shown};
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{BodyForm, CallbackConfig, DestinationConfig, ValueForm, duration};

const TIMEOUT: Duration = Duration::from_secs(10);
const LEAST_CONCURRENCY: usize = 4;

pub(super) fn check(r: &mut Reader<'_>, destination: &Section<'_>, workers: usize) -> Option<CallbackConfig> {
    if !destination.has("callbackNotification") {
        r.missing(destination, "callbackNotification");
        return None;
    }
    let section = r.below(destination, "callbackNotification")?;
    r.out.open(Some("callbackNotification"));
    let url = url(r, &section, "url");
    let access = receiver::check(r, &section, url.as_ref());
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
    let batch = r.number(&section, "batch").and_then(|found| {
        let origin = line(r, found.span);
        r.out.leaf("batch", found.json.as_str(), origin);
        usize::try_from(found.value).ok()
    });
    let rate = r.rate(&section, "rate");
    if let Some(found) = &rate {
        let origin = line(r, found.span);
        r.out.leaf("rate", found.json.as_str(), origin);
    }
    r.out.close();
    let access = access?;
    Some(CallbackConfig {
        url: url?,
        secrets: access.secrets,
        headers: access.headers,
        auth: access.auth,
        tls: access.tls,
        proxy: access.proxy,
        gzip: access.gzip,
        success: access.success,
        allow: access.allow,
        timeout,
        body,
        values,
        concurrency,
        batch,
        period: rate.map_or(Duration::ZERO, |found| found.value),
    })
}

/// Tells of destinations that call the same endpoint and say other things about it.
pub(super) fn shared(r: &mut Reader<'_>, all: &[(&Section<'_>, &DestinationConfig)]) {
    let at = |section: &Section<'_>| section.key_span("callbackNotification").unwrap_or(section.at);
    for (i, (section, config)) in all.iter().enumerate() {
        let first = all[..i].iter().find(|(_, other)| other.callback.is_same_receiver(&config.callback));
        let Some((first, other)) = first else { continue };
        let (a, b) = (&config.callback, &other.callback);
        let what = if (a.concurrency, a.period) != (b.concurrency, b.period) {
            ("`concurrency` and `rate`", "the smaller ones hold for both together")
        } else if config.breaker != other.breaker {
            ("`breaker`", "the first one that is not false holds for both")
        } else {
            continue;
        };
        let problem = Problem::warning(
            at(section),
            format!("the same endpoint is called by another destination with other settings: {}", what.0),
        );
        r.report(problem.other(at(first), "this one").help(what.1));
    }
}

pub(super) fn url(r: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<url::Url> {
    let found = r.required(section, name)?;
    match http_url(&found.value) {
        Ok(url) => {
            let origin = line(r, found.span);
            let shown = if found.value.contains("://") { found.json } else { with_scheme(&found) };
            r.out.leaf(name, shown, origin);
            Some(url)
        }
        Err(reason) => {
            let problem = Problem::error(found.span, format!("`{name}` cannot be used: {reason}"));
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
