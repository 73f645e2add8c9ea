//! `callbackNotification`: how a receiver is reached, who we say we are, and what its answer must say.

use std::net::IpAddr;
use std::path::PathBuf;

use base64::Engine as _;
use ipnet::IpNet;

use super::{callback, line, rule};
use crate::base::secret::Secret;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader};
use crate::config::section::Section;
use crate::config::{AnswerRule, Auth, CallbackTls};

/// Headers that cupid writes itself.
const OURS: [&str; 8] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "user-agent",
];
/// Longest value of a header.
const LONGEST: usize = 4096;

/// See [`crate::config::CallbackConfig`].
pub(super) struct Access {
    pub(super) secrets: Vec<Secret<Vec<u8>>>,
    pub(super) headers: Vec<(String, Secret<String>)>,
    pub(super) auth: Option<Auth>,
    pub(super) tls: CallbackTls,
    pub(super) proxy: Option<url::Url>,
    pub(super) gzip: bool,
    pub(super) success: Option<AnswerRule>,
    pub(super) allow: Vec<IpNet>,
}

/// Every problem is reported; `None` if there was one.
pub(super) fn check(r: &mut Reader<'_>, section: &Section<'_>, url: Option<&url::Url>) -> Option<Access> {
    let secrets = secrets(r, section);
    let auth = auth(r, section);
    let headers = headers(r, section);
    let tls = tls(r, section, url);
    let proxy = if section.has("proxy") { callback::url(r, section, "proxy").map(Some) } else { Some(None) };
    let gzip = r.boolean(section, "gzip");
    let gzip = super::shown(r, "gzip", gzip, false, bool::to_string);
    let success = success(r, section);
    let allow = networks(r, section);
    Some(Access {
        secrets: secrets?,
        headers: headers?,
        auth: auth?,
        tls: tls?,
        proxy: proxy?,
        gzip,
        success: success?,
        allow: allow?,
    })
}

fn secrets(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<Secret<Vec<u8>>>> {
    let Some(at) = section.key_span("secret") else { return Some(Vec::new()) };
    let found = r.one_or_more(section, "secret")?;
    if found.is_empty() {
        r.report(Problem::error(at, "`secret` is an empty list").help("leave it out to send unsigned"));
        return None;
    }
    let keys: Vec<Option<Secret<Vec<u8>>>> = found.iter().map(|found| secret(r, found)).collect();
    let all: Vec<&str> = found.iter().map(|found| found.json.as_str()).collect();
    let (all, origin) = (all.join(", "), line(r, at));
    r.out.leaf("secret", if found.len() == 1 { all } else { format!("[{all}]") }, origin);
    keys.into_iter().collect()
}

/// The one secret of a channel.
pub(super) fn one_secret(r: &mut Reader<'_>, section: &Section<'_>) -> Result<Option<Secret<Vec<u8>>>, ()> {
    if !section.has("secret") {
        return Ok(None);
    }
    let found = r.required(section, "secret").ok_or(())?;
    let origin = line(r, found.span);
    let key = secret(r, &found).ok_or(())?;
    r.out.leaf("secret", found.json, origin);
    Ok(Some(key))
}

/// An empty one must not quietly mean "unsigned".
fn secret(r: &mut Reader<'_>, found: &Found<String>) -> Option<Secret<Vec<u8>>> {
    if found.value.trim().is_empty() {
        r.report(Problem::error(found.span, "`secret` is empty"));
        return None;
    }
    let bytes = found.value.strip_prefix("whsec_").and_then(|rest| {
        base64::engine::general_purpose::STANDARD_NO_PAD.decode(rest.trim_end_matches('=')).ok()
    });
    match bytes {
        Some(bytes) if (24..=64).contains(&bytes.len()) => Some(Secret::new(bytes)),
        _ => {
            let problem =
                Problem::error(found.span, "`secret` must be `whsec_` and the base64 of 24 to 64 bytes");
            r.report(problem.help("make one: echo whsec_$(openssl rand -base64 32)"));
            None
        }
    }
}

fn auth(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<Auth>> {
    let mut one = |name: &str| {
        if !section.has(name) {
            return Some(None);
        }
        let found = r.required(section, name)?;
        let origin = line(r, found.span);
        r.out.leaf(name, found.json.as_str(), origin);
        if found.value.chars().any(char::is_control) {
            let problem = Problem::error(found.span, format!("`{name}` has a control character in it"));
            r.report(problem.help("a line break at the end of a file is no part of a secret: remove it"));
            return None;
        }
        Some(Some(found))
    };
    let (bearer, basic) = (one("bearer"), one("basic"));
    match (bearer?, basic?) {
        (Some(_), Some(basic)) => {
            let problem = Problem::error(basic.span, "`bearer` and `basic` are both given");
            r.report(problem.help("keep one of them: a call has one `authorization`"));
            None
        }
        (Some(bearer), None) => Some(Some(Auth::Bearer(Secret::new(bearer.value)))),
        (None, Some(basic)) => match basic.value.split_once(':') {
            Some((user, password)) => {
                Some(Some(Auth::Basic(user.to_owned(), Secret::new(password.to_owned()))))
            }
            None => {
                let problem = Problem::error(basic.span, "`basic` has no colon");
                r.report(problem.help("write \"user:password\", for example \"${USER}:${PASSWORD}\""));
                None
            }
        },
        (None, None) => Some(None),
    }
}

fn headers(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<(String, Secret<String>)>> {
    let Some(at) = section.key_span("headers") else { return Some(Vec::new()) };
    let (mut headers, mut good) = (Vec::new(), true);
    for (name, at, found) in r.named_texts(section, "headers")? {
        let lower = name.to_ascii_lowercase();
        let proper = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        let wrong = if !proper {
            Some((at, "this is no name of a header", "write letters, digits and `-`"))
        } else if OURS.contains(&lower.as_str())
            || lower.starts_with("webhook-")
            || lower.starts_with("cupid-")
        {
            Some((
                at,
                "cupid writes this header itself",
                "use `bearer` or `basic` for `authorization`; remove others",
            ))
        } else if found.value.len() > LONGEST || found.value.chars().any(char::is_control) {
            Some((
                found.span,
                "a header's value has no control characters and at most 4096 bytes",
                "shorten it",
            ))
        } else {
            None
        };
        match wrong {
            Some((at, message, help)) => {
                r.report(Problem::error(at, message).help(help));
                good = false;
            }
            None => headers.push((lower, Secret::new(found.value))),
        }
    }
    let names: Vec<String> = headers.iter().map(|(name, _)| format!("\"{name}\": \"***\"")).collect();
    let origin = line(r, at);
    r.out.leaf("headers", format!("{{{}}}", names.join(", ")), origin);
    good.then_some(headers)
}

fn tls(r: &mut Reader<'_>, section: &Section<'_>, url: Option<&url::Url>) -> Option<CallbackTls> {
    let (ca, cert, key) = (pem(r, section, "ca"), pem(r, section, "cert"), pem(r, section, "certKey"));
    let plain = url.is_some_and(|url| url.scheme() == "http");
    if let Some(at) = ["ca", "cert", "certKey"].iter().find_map(|name| section.key_span(name))
        && plain
    {
        let problem = Problem::warning(at, "certificates are of no use with an `http://` URL");
        r.report(problem.help("write `https://` if the call is to be encrypted"));
    }
    let (given, missing) = if section.has("cert") { ("cert", "certKey") } else { ("certKey", "cert") };
    if section.has(given) && !section.has(missing) {
        let at = section.key_span(given).unwrap_or(section.at);
        let problem = Problem::error(at, format!("`{given}` is given and `{missing}` is not"));
        r.report(problem.help("give both files; they may be the same one"));
        return None;
    }
    let identity = cert?.zip(key?);
    let ca = ca?;
    Some(CallbackTls { ca, identity })
}

/// A file that can be read now, so that a wrong path is told at once and not at the first call.
fn pem(r: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<Option<PathBuf>> {
    let Some(found) = r.text(section, name) else { return Some(None) };
    let origin = line(r, found.span);
    r.out.leaf(name, found.json.as_str(), origin);
    let path = r.outside.folder.join(&found.value);
    if r.outside.names_only {
        return Some(Some(path));
    }
    let problem = match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("-----BEGIN ") => return Some(Some(path)),
        Ok(_) => format!("`{name}` is no PEM file"),
        Err(e) => format!("`{name}` cannot be read: {e}"),
    };
    r.report(
        Problem::error(found.span, problem)
            .help("name a PEM file; its path starts at the configuration's folder"),
    );
    None
}

fn success(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<AnswerRule>> {
    let Some(found) = r.text(section, "success") else { return Some(None) };
    match AnswerRule::parse(&found.value) {
        Ok(rule) => {
            let origin = line(r, found.span);
            r.out.leaf("success", found.json, origin);
            Some(Some(rule))
        }
        Err(problem) => {
            let help = "write a CEL rule over the members of the JSON answer, for example \"code == 0\"";
            rule::report(r, "success", &found, &problem, help);
            None
        }
    }
}

fn networks(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<IpNet>> {
    let Some(at) = section.key_span("allow") else { return Some(Vec::new()) };
    let found = r.texts(section, "allow")?;
    let all: Vec<&str> = found.iter().map(|found| found.json.as_str()).collect();
    let (all, origin) = (format!("[{}]", all.join(", ")), line(r, at));
    r.out.leaf("allow", all, origin);
    let mut read = |found: &Found<String>| {
        let text = found.value.trim();
        let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if net.is_none() {
            let problem = Problem::error(found.span, "this is neither an address nor a network");
            r.report(problem.help("write it as \"169.254.10.7\" or \"169.254.10.0/24\""));
        }
        net
    };
    found.iter().map(&mut read).collect::<Vec<_>>().into_iter().collect()
}
