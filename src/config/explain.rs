//! The effective configuration as a commented file: every value with the place it came from.

use super::load::Loaded;

/// The effective configuration as a commented file: a configuration itself (but for secrets, which read `***`), each
/// value with the place it came from.
pub fn explain(loaded: &Loaded) -> String {
    loaded.outline.render()
}

/// Built up while the file is checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    Open { key: Option<String>, bracket: char },
    Close { bracket: char },
    Leaf { key: Option<String>, json: String, origin: String },
}

impl Outline {
    /// Begins an object; `None`: an element of a list.
    pub(crate) fn open(&mut self, key: Option<&str>) {
        self.lines.push(Line::Open { key: key.map(str::to_owned), bracket: '{' });
    }

    /// Begins a list.
    pub(crate) fn open_list(&mut self, key: &str) {
        self.lines.push(Line::Open { key: Some(key.to_owned()), bracket: '[' });
    }

    /// Ends the object.
    pub(crate) fn close(&mut self) {
        self.lines.push(Line::Close { bracket: '}' });
    }

    /// Ends the list.
    pub(crate) fn close_list(&mut self) {
        self.lines.push(Line::Close { bracket: ']' });
    }

    /// A value, already JSON, and where it came from.
    pub(crate) fn leaf(&mut self, key: &str, json: impl Into<String>, origin: impl Into<String>) {
        self.lines.push(Line::Leaf { key: Some(key.to_owned()), json: json.into(), origin: origin.into() });
    }

    /// The file.
    pub(crate) fn render(&self) -> String {
        let mut out = String::from("{\n");
        let mut depth = 1;
        for (at, line) in self.lines.iter().enumerate() {
            if matches!(line, Line::Close { .. }) {
                depth -= 1;
            }
            out.extend(std::iter::repeat_n("  ", depth));
            let last = matches!(self.lines.get(at + 1), None | Some(Line::Close { .. }));
            let comma = if last { "" } else { "," };
            let name = |key: &Option<String>| {
                key.as_deref().map_or_else(String::new, |key| format!("{}: ", super::read::json(key)))
            };
            match line {
                Line::Open { key, bracket } => {
                    out.push_str(&name(key));
                    out.push(*bracket);
                    depth += 1;
                }
                Line::Close { bracket } => {
                    out.push(*bracket);
                    out.push_str(comma);
                }
                Line::Leaf { key, json, origin } => {
                    out.push_str(&name(key));
                    out.push_str(json);
                    out.push_str(comma);
                    if !origin.is_empty() {
                        out.push_str(" // ");
                        out.push_str(origin);
                    }
                }
            }
            out.push('\n');
        }
        out.push_str("}\n");
        out
    }
}
