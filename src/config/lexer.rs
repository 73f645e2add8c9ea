//! The coarse tokens of a file that may not be JSON, for hiding what must not be shown.

use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// With its quotes, single or double; ends at the line's end if it is not closed.
    String,
    /// `//…` or `/*…*/`.
    Comment,
    /// Anything else between punctuation and white space.
    Word,
    /// One of `{}[],:`.
    Punctuation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) range: Range<usize>,
}

/// The tokens of any text; white space is left out.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        let rest = &text[start..];
        let first = rest.chars().next()?;
        let (kind, length) = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => (TokenKind::Punctuation, 1),
            '"' | '\'' => (TokenKind::String, string(rest, first)),
            _ if rest.starts_with("//") => {
                (TokenKind::Comment, rest.find(['\n', '\r']).unwrap_or(rest.len()))
            }
            _ if rest.starts_with("/*") => {
                (TokenKind::Comment, rest[2..].find("*/").map_or(rest.len(), |end| end + 4))
            }
            _ => (TokenKind::Word, word(rest)),
        };
        at = start + length;
        Some(Token { kind, range: start..at })
    })
}

fn string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' | '\r' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn word(rest: &str) -> usize {
    let mut characters = rest.char_indices().peekable();
    characters.next();
    while let Some((at, c)) = characters.next() {
        let comment = c == '/' && matches!(characters.peek(), Some((_, '/' | '*')));
        if c.is_whitespace() || comment || "{}[],:\"'".contains(c) {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts() {
        let text = "{\"a\\\"b\": 'c', /* d */ e//f\n\"open\n]";
        let cut: Vec<(TokenKind, &str)> = tokens(text).map(|t| (t.kind, &text[t.range])).collect();
        assert_eq!(
            cut,
            [
                (TokenKind::Punctuation, "{"),
                (TokenKind::String, "\"a\\\"b\""),
                (TokenKind::Punctuation, ":"),
                (TokenKind::String, "'c'"),
                (TokenKind::Punctuation, ","),
                (TokenKind::Comment, "/* d */"),
                (TokenKind::Word, "e"),
                (TokenKind::Comment, "//f"),
                (TokenKind::String, "\"open"),
                (TokenKind::Punctuation, "]"),
            ]
        );
    }

    proptest! {
        #[test]
        fn covers_everything_but_white_space(text in "\\PC*|[\"'/*\\\\a :{}\n]{0,30}") {
            let mut last = 0;
            for token in tokens(&text) {
                prop_assert!(token.range.start < token.range.end);
                prop_assert!(text[last..token.range.start].trim().is_empty());
                last = token.range.end;
            }
            prop_assert!(text[last..].trim().is_empty());
        }
    }
}
