//! Texts for others: short enough, on one line, and without power over whoever shows them.

/// One line, at most 120 characters.
pub(super) fn line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(121).collect();
    if plain.chars().count() > 120 { plain.chars().take(119).chain(['…']).collect() } else { plain }
}

/// Nobody is mentioned and no tag is opened by it.
pub(super) fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match c {
            '<' => out.push('‹'),
            '>' => out.push('›'),
            '@' => {
                out.push('@');
                let rest = text[at + 1..].to_ascii_lowercase();
                if ["all", "everyone", "here", "channel", "所有人"].iter().any(|word| rest.starts_with(word))
                {
                    out.push('\u{200b}');
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Markdown shows it as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]#|~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// At most so many bytes, whole characters.
pub(super) fn bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(most.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..cut])
}

/// At most so many characters as services count them, which is in UTF-16.
pub(super) fn units(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let fits = text.chars().take_while(|c| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    });
    fits.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_power() {
        assert_eq!(
            inert("<at user_id=\"all\"> @all @Everyone a@b.c"),
            "‹at user_id=\"all\"› @\u{200b}all @\u{200b}Everyone a@b.c"
        );
        assert_eq!(line("a\r\nBcc: x\u{1b}[31m"), "a  Bcc: x [31m");
        assert_eq!(escaped("a_b *c*"), "a\\_b \\*c\\*");
    }

    proptest! {
        #[test]
        fn limits_hold(text in "\\PC{0,80}", most in 4_usize..60) {
            prop_assert!(bytes(&text, most).len() <= most);
            prop_assert!(units(&text, most).encode_utf16().count() <= most);
            prop_assert!(line(&text).chars().count() <= 120);
        }
    }
}
