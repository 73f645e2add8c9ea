//! Which parts of a value are secret, whether the value is any good or not. Rather too much than too little.

use std::ops::Range;

use super::keys::Kind;

/// Byte ranges of a text that must not be shown; `None` for the kind: nothing is known about it.
pub(crate) fn ranges(kind: Option<Kind>, text: &str) -> Vec<Range<usize>> {
    match kind {
        Some(_) if is_reference(text) => Vec::new(),
        None | Some(Kind::Secret | Kind::Secrets | Kind::Headers | Kind::Template) => {
            std::iter::once(0..text.len()).collect()
        }
        Some(Kind::Dsn | Kind::Smtp) => place(text),
        Some(Kind::Url) => http(text),
        Some(Kind::Hook | Kind::Short(_)) => hook(text),
        Some(_) => Vec::new(),
    }
}

/// The text with `***` in place of what is secret.
pub(crate) fn masked(kind: Kind, text: &str) -> String {
    let ranges = ranges(Some(kind), text);
    let mut out = String::new();
    let mut hidden = false;
    for (at, c) in text.char_indices() {
        let secret = ranges.iter().any(|range| range.contains(&at));
        if !secret {
            out.push(c);
        } else if !hidden {
            out.push_str("***");
        }
        hidden = secret;
    }
    out
}

/// Whether a text is nothing but one reference, which may be shown.
fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['$', '{', '}']) && !inner.contains(":-"))
}

/// A data source name, or any URL with an account.
fn place(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let start = text.find("://").map_or(0, |at| at + 3);
    let colon = text[start..].find(':').map(|at| start + at + 1);
    match (colon, text.rfind('@')) {
        (Some(colon), Some(at)) if colon <= at => ranges.push(colon..at),
        (Some(_), Some(_)) | (None, _) => {}
        (Some(colon), None) => {
            // Without an `@` it is a port, PHP's form, an address in parentheses, or something broken.
            let rest = &text[colon..];
            let port =
                rest.split(['/', ')', '?']).next().is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()));
            let fine = port || text[..colon].contains('(') || is_php(text);
            if !fine {
                ranges.push(colon..text.len());
            }
        }
    }
    parameters(text, &["password", "passwd", "pwd"], &mut ranges);
    ranges
}

/// Whether this is PHP's form: `mysql:key=value;key=value`.
fn is_php(text: &str) -> bool {
    let rest = ["mysql:", "pgsql:", "sqlite:"].iter().find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| !rest.starts_with("//"))
}

/// How the names of parameters end that are keys to something.
const KEYS: [&str; 14] = [
    "key",
    "token",
    "secret",
    "sign",
    "signature",
    "sig",
    "password",
    "passwd",
    "pwd",
    "pass",
    "auth",
    "code",
    "jwt",
    "credential",
];

/// An HTTP URL: a password, and parameters that are keys to something.
fn http(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    if let Some(at) = text[start..end].rfind('@') {
        // Without a password the account may be a key itself.
        let from = text[start..start + at].find(':').map_or(start, |colon| start + colon + 1);
        ranges.push(from..start + at);
    }
    parameters(text, &KEYS, &mut ranges);
    ranges
}

/// A URL whose path is a key to something: only scheme and host are shown. What is no URL is a key itself.
fn hook(text: &str) -> Vec<Range<usize>> {
    let Some(start) = text.find("://").map(|at| at + 3) else {
        return std::iter::once(0..text.len()).collect();
    };
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
    let mut ranges = Vec::new();
    if let Some(at) = text[start..end].rfind('@') {
        ranges.push(start..start + at);
    }
    if end < text.len() {
        ranges.push(end + 1..text.len());
    }
    ranges
}

/// The values of parameters whose name ends in one of the words.
fn parameters(text: &str, words: &[&str], ranges: &mut Vec<Range<usize>>) {
    let lower = text.to_ascii_lowercase();
    for (equals, _) in lower.match_indices('=') {
        let name = lower[..equals].trim_end();
        if words.iter().any(|word| name.ends_with(word)) {
            let from = equals + 1;
            let end = if is_php(text) { php_end(&text[from..]) } else { text[from..].find(['&', ';', '#']) };
            ranges.push(from..end.map_or(text.len(), |end| from + end));
        }
    }
}

/// Where a value of PHP's form ends: at a semicolon; two of them stand for one inside it.
fn php_end(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find(';').map(|at| from + at) {
        if !text[at + 1..].starts_with(';') {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn masks() {
        let cases = [
            (Kind::Dsn, "user:pw@tcp(h:3306)/db", "user:***@tcp(h:3306)/db"),
            (Kind::Dsn, "user:p@:/w@tcp(h:3306)/db", "user:***@tcp(h:3306)/db"),
            (Kind::Dsn, "user@tcp(h:3306)/db", "user@tcp(h:3306)/db"),
            (Kind::Dsn, "tcp(h:3306)/db", "tcp(h:3306)/db"),
            (Kind::Dsn, "root:broken(h)/db", "root:***"),
            (
                Kind::Dsn,
                "mysql://u:p@w@h:1/db?password=x&tls=true",
                "mysql://u:***@h:1/db?password=***&tls=true",
            ),
            (Kind::Dsn, "postgres://h:5432/db", "postgres://h:5432/db"),
            (Kind::Dsn, "postgres://u:pw#h/db", "postgres://u:***"),
            (
                Kind::Dsn,
                "mysql:host=h;dbname=d;password=x;charset=utf8",
                "mysql:host=h;dbname=d;password=***;charset=utf8",
            ),
            (
                Kind::Dsn,
                "mysql:host = h;password = s3cret ;charset=utf8",
                "mysql:host = h;password =***;charset=utf8",
            ),
            (Kind::Dsn, "mysql:host=h;PWD\t=\ts3cret", "mysql:host=h;PWD\t=***"),
            (Kind::Dsn, "mysql:host=h;password=a;;b;charset=utf8", "mysql:host=h;password=***;charset=utf8"),
            (Kind::Dsn, "mysql:host=h;password=a&b#c;charset=utf8", "mysql:host=h;password=***;charset=utf8"),
            (Kind::Dsn, "sqlite:/a:b", "sqlite:/a:b"),
            (Kind::Dsn, "${SHOP_DSN}", "${SHOP_DSN}"),
            (Kind::Dsn, "${file:/run/secrets/dsn}", "${file:/run/secrets/dsn}"),
            (Kind::Dsn, "u:${PW}@tcp(h)/d", "u:***@tcp(h)/d"),
            (Kind::Smtp, "smtps://a:b@mail:465", "smtps://a:***@mail:465"),
            (Kind::Url, "127.0.0.1:20000/test/callback", "127.0.0.1:20000/test/callback"),
            (Kind::Url, "http://a:b@h/x:y?z=1", "http://a:***@h/x:y?z=1"),
            (Kind::Url, "https://key@h/x", "https://***@h/x"),
            (Kind::Url, "https://h/x?api-version=1&sig=abc&a=b", "https://h/x?api-version=1&sig=***&a=b"),
            (Kind::Url, "https://h/x?access_token=t&a=b", "https://h/x?access_token=***&a=b"),
            (Kind::Hook, "https://h.example/services/T0/B0/x?key=y", "https://h.example/***"),
            (Kind::Hook, "http://u:p@h/x", "http://***@h/***"),
            (Kind::Hook, "http://127.0.0.1:80", "http://127.0.0.1:80"),
            (Kind::Hook, "h.example/x", "***"),
            (Kind::Hook, "${HOOK}", "${HOOK}"),
            (Kind::Secret, "abc", "***"),
            (Kind::Secret, "${X}", "${X}"),
            (Kind::Secret, "${X:-abc}", "***"),
            (Kind::Text, "abc", "abc"),
            (Kind::Template, "{ \"token\": \"s3cret\", \"text\": {{ title }} }", "***"),
            (Kind::Template, "${TEMPLATE}", "${TEMPLATE}"),
        ];
        for (kind, text, shown) in cases {
            assert_eq!(masked(kind, text), shown);
        }
    }

    proptest! {
        #[test]
        fn ranges_are_on_characters(text in "\\PC{0,30}|[a:/@?=&;#${}]{0,20}") {
            for kind in [Kind::Dsn, Kind::Url, Kind::Hook, Kind::Secret] {
                for range in ranges(Some(kind), &text) {
                    prop_assert!(text.get(range).is_some());
                }
            }
        }
    }
}
