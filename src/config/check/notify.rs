//! `notify` and the `pushbear…` keys.

use super::line;
use super::place::origin;
use crate::base::secret::Secret;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{NotifyConfig, SmtpConfig, SmtpSecurity};

const PUSHBEAR: &str = "https://pushbear.ftqq.com/sub";

pub(super) fn check(r: &mut Reader<'_>, top: &Section<'_>, sources: &[Section<'_>]) -> NotifyConfig {
    let mut smtp: Option<SmtpConfig> = None;
    if top.has("notify") {
        r.out.open(Some("notify"));
        for (name, at, section) in r.entries(top, "notify") {
            r.out.open(Some(name));
            let found = channel(r, &section);
            r.out.close();
            if smtp.is_some() && section.has("smtp") {
                let problem = Problem::error(at, "a second mail channel is not available in this version");
                r.report(problem.help("add its addresses to `to` of the first"));
            }
            smtp = smtp.or(found);
        }
        r.out.close();
    }
    NotifyConfig { smtp, pushbear: pushbear(r, top, sources) }
}

fn pushbear(
    r: &mut Reader<'_>,
    top: &Section<'_>,
    sources: &[Section<'_>],
) -> Option<(Secret<String>, url::Url)> {
    let mut chosen: Option<Found<String>> = None;
    for section in std::iter::once(top).chain(sources) {
        let Some(found) = r.text(section, "pushbearSendKey") else { continue };
        match &chosen {
            Some(first) if first.value != found.value => {
                let problem = Problem::warning(found.span, "a second `pushbearSendKey` is not used");
                r.report(
                    problem.other(first.span, "this one is used").help("one key serves the whole process"),
                );
            }
            Some(_) => {}
            None => chosen = Some(found),
        }
    }
    let url = match r.text(top, "pushbearUrl") {
        None => Some((url::Url::parse(PUSHBEAR).expect("a fixed URL"), json(PUSHBEAR), "default".to_owned())),
        Some(found) => match super::callback::http_url(&found.value) {
            Ok(url) => Some((url, found.json, line(r, found.span))),
            Err(reason) => {
                r.report(Problem::error(found.span, format!("`pushbearUrl` cannot be used: {reason}")));
                None
            }
        },
    };
    let key = chosen?;
    let (url, url_json, url_origin) = url?;
    let key_line = r.line(key.span);
    r.out.leaf("pushbearSendKey", key.json, origin("", key_line));
    r.out.leaf("pushbearUrl", url_json, url_origin);
    Some((Secret::new(key.value), url))
}

fn channel(r: &mut Reader<'_>, section: &Section<'_>) -> Option<SmtpConfig> {
    let server = r.required(section, "smtp").and_then(|found| {
        let origin = line(r, found.span);
        r.out.leaf("smtp", found.json.as_str(), origin);
        server(&found.value)
            .map_err(|reason| {
                let problem = Problem::error(found.span, format!("`smtp` cannot be used: {reason}"));
                r.report(
                    problem
                        .help("write smtps://user:password@mail.example.com, smtp+starttls://… or smtp://…"),
                );
            })
            .ok()
    });
    let from = r.required(section, "from").and_then(|found| {
        let origin = line(r, found.span);
        r.out.leaf("from", found.json.as_str(), origin);
        address(r, found)
    });
    let to = receivers(r, section);
    let (host, port, security, user, password) = server?;
    Some(SmtpConfig { host, port, security, user, password, from: from?, to: to? })
}

fn receivers(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Vec<String>> {
    let Some(at) = section.key_span("to") else {
        r.missing(section, "to");
        return None;
    };
    let found = r.texts(section, "to")?;
    if found.is_empty() {
        r.report(Problem::error(at, "`to` names nobody").help("name at least one address"));
        return None;
    }
    let all: Vec<&str> = found.iter().map(|found| found.json.as_str()).collect();
    let (all, origin) = (format!("[{}]", all.join(", ")), line(r, at));
    r.out.leaf("to", all, origin);
    let checked: Vec<Option<String>> = found.into_iter().map(|found| address(r, found)).collect();
    checked.into_iter().collect()
}

/// A bare address, or one with a name: `Ops <ops@example.com>`.
fn address(r: &mut Reader<'_>, found: Found<String>) -> Option<String> {
    let bare = match found.value.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((_, bare)) => bare,
        None => &found.value,
    };
    let good = bare.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !bare.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;".contains(c));
    if good {
        return Some(found.value);
    }
    r.report(
        Problem::error(found.span, "this is not a mail address").help("write it as \"ops@example.com\""),
    );
    None
}

type Server = (String, u16, SmtpSecurity, Option<String>, Option<Secret<String>>);

fn server(text: &str) -> Result<Server, String> {
    let (scheme, rest) = text.split_once("://").ok_or("the scheme is missing")?;
    let (security, port) = match scheme {
        "smtp" => (SmtpSecurity::None, 25),
        "smtp+starttls" => (SmtpSecurity::StartTls, 587),
        "smtps" => (SmtpSecurity::Tls, 465),
        _ => return Err("the scheme is not known".to_owned()),
    };
    let (account, address) = match rest.rsplit_once('@') {
        Some((account, address)) => (Some(account), address),
        None => (None, rest),
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    let (host, port) = crate::config::dsn::host_and_port(address, port).map_err(|e| e.message)?;
    if address.is_empty() || address.starts_with(':') {
        return Err("it names no host".to_owned());
    }
    let decode =
        |text: &str, part: &str| crate::config::dsn::decode(text, false, part).map_err(|e| e.message);
    let (user, password) = match account.map(|account| account.split_once(':').unwrap_or((account, ""))) {
        None => (None, None),
        Some((user, "")) => (Some(decode(user, "user")?), None),
        Some((user, password)) => {
            (Some(decode(user, "user")?), Some(Secret::new(decode(password, "password")?)))
        }
    };
    Ok((host, port, security, user, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let (host, port, security, user, password) =
            server("smtps://a%40b.c:p:%2F@mail.example.com").unwrap();
        assert_eq!((host.as_str(), port, security), ("mail.example.com", 465, SmtpSecurity::Tls));
        assert_eq!(user.as_deref(), Some("a@b.c"));
        assert_eq!(password.unwrap().expose(), "p:/");
        let (host, port, security, user, _) = server("smtp+starttls://[::1]:2525/").unwrap();
        assert_eq!((host.as_str(), port, security, user), ("::1", 2525, SmtpSecurity::StartTls, None));
        for text in ["mail.example.com", "http://x", "smtp://", "smtp://:25", "smtp://h:0", "smtp://a:%zz@h"]
        {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
