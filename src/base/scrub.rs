//! Takes secrets out of what others say: whoever is called may repeat what he was sent.

use base64::Engine as _;
use url::Url;

/// Shorter ones are parts of everything.
const LEAST: usize = 4;

/// A text without these. What is cut off a text must be cut off after this, or a piece of a secret may stay.
pub fn scrubbed(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    // The longest first: a short one may be a part of it.
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= LEAST).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

/// What may be a key in a URL: its account and the values of its parameters, as they are written, meant and sent.
pub fn of_url(url: &Url) -> Vec<String> {
    let values = url.query().into_iter().flat_map(|query| query.split('&'));
    let values = values.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let account = [url.username(), url.password().unwrap_or_default()];
    let mut found: Vec<String> = values.chain(account).flat_map(spellings).collect();
    let [user, password] = account.map(meant);
    found.push(basic(&user, &password));
    found
}

/// A user and a password as `Basic` sends them.
pub fn basic(user: &str, password: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
}

/// A part of a URL with its escapes and without them.
pub fn spellings(text: &str) -> [String; 2] {
    [text.to_owned(), meant(text)]
}

fn meant(text: &str) -> String {
    let single = text.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
    let mut parsed = url::form_urlencoded::parse(single.as_bytes());
    parsed.next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_taken_out() {
        let url = Url::parse("https://u:canary-p%40s+s@h/x?key=canary%2Fa%3Db&canary-bare").unwrap();
        let secrets = of_url(&url);
        let said = format!(
            "canary-p%40s+s canary-p@s+s {} canary%2Fa%3Db canary/a=b canary-bare",
            basic("u", "canary-p@s+s")
        );
        assert_eq!(scrubbed(&said, &secrets), "*** *** *** *** *** ***");
        assert_eq!(scrubbed("a u x", &secrets), "a u x");
    }
}
