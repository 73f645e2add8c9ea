//! `${NAME}`, `${NAME:-default}` and `${file:/path}` inside the texts of a configuration; `$${` stands for `${`.

use std::path::Path;

use super::dsn::{absolute, parse};
use super::keys::{Kind, Scope};

/// Largest file that `${file:…}` takes.
const LARGEST: u64 = 64 * 1024;

/// Where values come from.
pub(crate) struct Outside<'e> {
    /// Looks up an environment variable.
    pub(crate) env: &'e dyn Fn(&str) -> Option<String>,
    /// Folder that relative files start from.
    pub(crate) folder: &'e Path,
    /// Only names and folders are asked for: what a database or a receiver is opened with may be missing.
    pub(crate) names_only: bool,
}

/// Stands where a reference leads nowhere; seen in names that are made of such a value.
pub(crate) const UNSET: &str = "<unset>";

/// A reference that cannot be resolved: message and help.
pub(crate) type Unresolved = (String, String);

impl Outside<'_> {
    /// A value for a key whose own has a reference that leads nowhere, if nothing will be opened with it.
    pub(crate) fn stand_in(&self, kind: Kind, key: &str, text: &str) -> Option<String> {
        if !self.names_only {
            return None;
        }
        match kind {
            Kind::Dsn => {
                // Destinations are called after their database, which most DSNs name openly.
                let partly = Self::replace(text, |reference| {
                    Ok(self.resolve(reference).unwrap_or_else(|_| UNSET.to_owned()))
                });
                let partly = partly.ok().map(|(partly, _)| partly);
                let whole = || format!("mysql://unset/{UNSET}");
                Some(partly.filter(|dsn| parse(dsn, self.folder).is_ok()).unwrap_or_else(whole))
            }
            // One that is a key for itself rather than a URL.
            Kind::Short(Scope::Serverchan | Scope::Pushplus | Scope::Pagerduty) => Some("unset".to_owned()),
            Kind::Url | Kind::Hook | Kind::Short(_) => Some("http://unset.invalid/".to_owned()),
            Kind::Smtp => Some("smtp://unset.invalid".to_owned()),
            // In the form of a key for signatures, which is a password as good as any.
            Kind::Secret | Kind::Secrets => Some(format!("whsec_{}", "A".repeat(32))),
            Kind::Template => Some("{}".to_owned()),
            Kind::Address | Kind::Addresses => Some("unset@unset.invalid".to_owned()),
            Kind::Texts => Some("unset".to_owned()),
            Kind::Headers => Some(UNSET.to_owned()),
            _ if matches!(key, "user" | "chat" | "topic") => Some(UNSET.to_owned()),
            _ => None,
        }
    }

    /// Replaces every reference; the second part says whether there was one.
    pub(crate) fn substitute(&self, text: &str) -> Result<(String, bool), Unresolved> {
        Self::replace(text, |reference| self.resolve(reference))
    }

    fn replace(
        text: &str,
        by: impl Fn(&str) -> Result<String, Unresolved>,
    ) -> Result<(String, bool), Unresolved> {
        let mut out = String::new();
        let mut found = false;
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                out.push_str(&rest[..at - 1]);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let (reference, after) = rest[at + 2..].split_once('}').ok_or_else(|| {
                (
                    "a `${` is not closed by `}`".to_owned(),
                    "write `$${` where the two characters are meant".to_owned(),
                )
            })?;
            out.push_str(&by(reference)?);
            found = true;
            rest = after;
        }
        out.push_str(rest);
        Ok((out, found))
    }

    fn resolve(&self, reference: &str) -> Result<String, Unresolved> {
        if let Some(path) = reference.strip_prefix("file:") {
            return self.file(path);
        }
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let proper = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !proper {
            return Err((
                "what stands in `${…}` is not the name of an environment variable".to_owned(),
                "write ${NAME}, ${NAME:-default} or ${file:/path}; `$${` stands for the characters `${`"
                    .to_owned(),
            ));
        }
        match ((self.env)(name), default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err((
                format!("the environment variable `{name}` is not set"),
                format!("set it, or write ${{{name}:-default}}"),
            )),
        }
    }

    fn file(&self, path: &str) -> Result<String, Unresolved> {
        let path = absolute(Path::new(path), self.folder);
        let fail = |reason: String| {
            (
                format!("the file {} cannot be used: {reason}", path.display()),
                "it must be readable for the user that cupid runs as".to_owned(),
            )
        };
        let meta = std::fs::metadata(&path).map_err(|e| fail(reason(&e)))?;
        if !meta.is_file() {
            return Err(fail("it is not a regular file".to_owned()));
        }
        if meta.len() > LARGEST {
            return Err(fail("it is larger than 64 KiB".to_owned()));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| fail(reason(&e)))?;
        let text =
            text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(text.to_owned())
    }
}

/// An operating system's error in the words of these messages.
pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn substitutions() {
        let outside = Outside { env: &env, folder: Path::new("/"), names_only: false };
        let cases = [
            ("plain $5 $$", "plain $5 $$", false),
            ("a ${HOST} b ${HOST}", "a db b db", true),
            ("${EMPTY}", "", true),
            ("${EMPTY:-x}${NONE:-}${NONE:-a:-b}", "xa:-b", true),
            ("$${HOST}", "${HOST}", false),
        ];
        for (text, out, found) in cases {
            assert_eq!(outside.substitute(text), Ok((out.to_owned(), found)), "{text}");
        }
        for (text, word) in [
            ("${NONE}", "`NONE` is not set"),
            ("${HOST", "not closed"),
            ("${}", "not the name"),
            ("${a b}", "not the name"),
            ("${file:/no/such/file}", "does not exist"),
            ("${file:/}", "not a regular file"),
        ] {
            let (message, _) = outside.substitute(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}
