//! The file with its secrets made unreadable, so that any line of it may be shown.
//!
//! Every hidden character becomes one `*` (in comments a blank): columns stay where they are.

use std::ops::Range;

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged as _;

use super::keys::{self, Kind, Scope};
use super::lexer::{self, TokenKind};
use super::problem::Span;
use super::secrets;

/// A masked file; knows where the bytes of the original have gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masked {
    text: String,
    /// (original start, masked start) of each piece, ascending.
    pieces: Vec<(usize, usize)>,
}

impl Masked {
    /// Masks a file that was parsed.
    pub(crate) fn parsed(text: &str, root: &Value<'_>) -> Self {
        let mut secrets = Vec::new();
        value(text, root, Some(Kind::Object(Scope::Top)), &mut secrets);
        Self::new(text, secrets)
    }

    /// Masks a file that could not be parsed: with a quote or colon missing, nobody can say what is a secret, so
    /// only known keys, punctuation and the words of JSON stay.
    pub(crate) fn unparsed(text: &str) -> Self {
        let mut secrets = Vec::new();
        for token in lexer::tokens(text) {
            let range = match token.kind {
                TokenKind::String => inside(text, token.range),
                TokenKind::Word => token.range,
                TokenKind::Comment | TokenKind::Punctuation => continue,
            };
            let word = &text[range.clone()];
            if !matches!(word, "true" | "false" | "null") && keys::find_anywhere(word).is_none() {
                secrets.push(range);
            }
        }
        Self::new(text, secrets)
    }

    fn new(text: &str, secrets: Vec<Range<usize>>) -> Self {
        let mut hidden: Vec<(Range<usize>, char)> = comments(text).map(|range| (range, ' ')).collect();
        hidden.extend(secrets.into_iter().map(|range| (range, '*')));
        hidden.sort_by_key(|(range, _)| range.start);
        let mut hidden = hidden.into_iter().peekable();
        let mut masked = Self { text: String::with_capacity(text.len()), pieces: vec![(0, 0)] };
        for (at, c) in text.char_indices() {
            while hidden.next_if(|(range, _)| range.end <= at).is_some() {}
            let fill = hidden.peek().filter(|(range, _)| range.contains(&at) && !matches!(c, '\n' | '\r'));
            masked.text.push(fill.map_or(c, |(_, fill)| *fill));
            if fill.is_some() && c.len_utf8() > 1 {
                masked.pieces.push((at + c.len_utf8(), masked.text.len()));
            }
        }
        masked
    }

    /// The masked file.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A range of the original as a range of the masked file.
    pub(crate) fn range(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start);
        start..self.offset(span.end).max(start)
    }

    fn offset(&self, at: usize) -> usize {
        let piece = self.pieces.partition_point(|(original, _)| *original <= at) - 1;
        let (original, masked) = self.pieces[piece];
        let next = self.pieces.get(piece + 1).map_or(self.text.len(), |(_, masked)| *masked);
        self.text.floor_char_boundary((masked + at - original).min(next))
    }
}

/// Comments are hidden too: people comment out old passwords.
fn comments(text: &str) -> impl Iterator<Item = Range<usize>> {
    lexer::tokens(text).filter(|token| token.kind == TokenKind::Comment).map(|token| token.range)
}

fn inside(text: &str, range: Range<usize>) -> Range<usize> {
    let literal = &text[range.clone()];
    let quote = literal.chars().next().unwrap_or('"');
    let closed = literal.len() > 1 && literal.ends_with(quote);
    range.start + 1..(range.end - usize::from(closed)).max(range.start + 1)
}

/// Collects what must be hidden in a value of a kind; `None`: nothing is known about it.
fn value(text: &str, node: &Value<'_>, kind: Option<Kind>, ranges: &mut Vec<Range<usize>>) {
    match node {
        Value::Object(object) => {
            for property in &object.properties {
                let name = property.name.as_str();
                let below = match kind {
                    Some(Kind::Object(scope) | Kind::ObjectOrFalse(scope) | Kind::Short(scope)) => {
                        keys::find(scope, name).or_else(|| keys::find_anywhere(name)).map(|key| key.kind)
                    }
                    Some(Kind::Map(scope)) => Some(Kind::Object(scope)),
                    Some(Kind::Columns) => Some(Kind::Object(Scope::Column)),
                    Some(Kind::Headers) => Some(Kind::Headers),
                    _ => keys::find_anywhere(name).map(|key| key.kind),
                };
                value(text, &property.value, below, ranges);
            }
        }
        Value::Array(array) => {
            let below = match kind {
                Some(Kind::List(scope)) => Some(Kind::Object(scope)),
                other => other,
            };
            for element in &array.elements {
                value(text, element, below, ranges);
            }
        }
        Value::StringLit(literal) => {
            let whole = inside(text, literal.start()..literal.end());
            let raw = &text[whole.clone()];
            let parts = secrets::ranges(kind, raw);
            // An escape may hide the characters that tell a password's bounds.
            if raw.contains('\\') && kind.is_none_or(|kind| kind.is_secret() || kind.holds_secret()) {
                ranges.push(whole);
            } else {
                ranges.extend(parts.into_iter().map(|part| whole.start + part.start..whole.start + part.end));
            }
        }
        Value::NumberLit(_) if kind.is_none_or(Kind::is_secret) => ranges.push(node.start()..node.end()),
        Value::NumberLit(_) | Value::BooleanLit(_) | Value::NullKeyword(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        let parsed = crate::config::load::parse_json(text).unwrap();
        Masked::parsed(text, parsed.as_ref().unwrap()).text().to_owned()
    }

    #[test]
    fn hides_what_is_secret_and_nothing_else() {
        let cases = [
            (
                r#"{"src":{"dsn":"u:pä@tcp(h)/d","password":"x"}}"#,
                r#"{"src":{"dsn":"u:**@tcp(h)/d","password":"*"}}"#,
            ),
            (r#"{"logDir":"/tmp","passwrod":"abc"}"#, r#"{"logDir":"/tmp","passwrod":"***"}"#),
            (r#"{"a":{"b":["c",{"dsn":"x:y@z/d"}]}}"#, r#"{"a":{"b":["*",{"dsn":"x:*@z/d"}]}}"#),
            (r#"{"password":1234} // old: 5"#, r#"{"password":****}          "#),
            (
                r#"{"des":[{"columns":{"password":"password"}}]}"#,
                r#"{"des":[{"columns":{"password":"password"}}]}"#,
            ),
            (
                r#"{"des":[{"columns":{"password":{"column":"password"},"user":{"password":"x"}}}]}"#,
                r#"{"des":[{"columns":{"password":{"column":"password"},"user":{"password":"*"}}}]}"#,
            ),
            (r#"{"src":{"dsn":"u:p\u0040tcp"}}"#, r#"{"src":{"dsn":"************"}}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn hides_nearly_everything_when_it_cannot_tell() {
        let text = "{\"password: \"hunter2\", // x\n \"dsn\": hunter3, 'secret': 'hunter4\n";
        assert!(!Masked::unparsed(text).text().contains("unter"), "{}", Masked::unparsed(text).text());
        assert!(Masked::unparsed(text).text().contains("\"dsn\": *******"));
    }

    proptest! {
        #[test]
        fn ranges_stay_inside(text in "\\PC{0,40}", a in 0_usize..60, b in 0_usize..60) {
            let masked = Masked::unparsed(&text);
            let end = a.max(b).min(text.len());
            let range = masked.range(Span { start: a.min(b).min(text.len()), end });
            prop_assert!(masked.text().get(range).is_some());
            prop_assert_eq!(masked.text().chars().count(), text.chars().count());
        }
    }
}
