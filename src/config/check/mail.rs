//! Mail channels.

use super::line;
use crate::base::secret::Secret;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader};
use crate::config::section::Section;
use crate::config::{SmtpConfig, SmtpSecurity};

/// Server, sender and receivers.
pub(super) fn check(r: &mut Reader<'_>, section: &Section<'_>) -> Option<SmtpConfig> {
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
