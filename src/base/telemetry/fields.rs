//! The fields of a text line: `name=value`, the value as a JSON string if a reader could not tell where it ends. So a
//! line can be taken apart again, by people and by programs.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// Writes the message as it is, then the fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer, first: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    writer: Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &str) -> fmt::Result {
        if !self.first {
            self.writer.write_char(' ')?;
        }
        self.first = false;
        if name == "message" {
            return self.writer.write_str(&without_controls(value));
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.writer.has_ansi_escapes() {
            write!(self.writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?;
        } else {
            write!(self.writer, "{name}=")?;
        }
        if is_plain(value) {
            self.writer.write_str(value)
        } else {
            let quoted = serde_json::Value::from(value).to_string();
            self.writer.write_str(&without_controls(&quoted))
        }
    }

    fn add(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.write(field.name(), value);
        }
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && !value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '=' || c == '"')
}

/// Control characters as JSON escapes: nothing that comes from outside steers a terminal or begins a new line.
fn without_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            write!(out, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::layer;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a text layer makes of what is logged, without time and severity.
    fn logged(log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::registry().with(layer(false, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.split_once(" WARN ").unwrap().1.to_owned()
    }

    #[test]
    fn only_what_needs_quotes_gets_them() {
        let line = logged(|| {
            tracing::warn!(task = %"main", state = "retry", count = 3, next_s = 1.5, none = None::<u8>, on = true,
                error = %"no answer; look \"there\"", note = "a=b", empty = "", path = "/配置/x", "a callback failed");
        });
        assert_eq!(
            line,
            "a callback failed task=main state=retry count=3 next_s=1.5 on=true error=\"no answer; look \\\"there\\\"\" \
             note=\"a=b\" empty=\"\" path=/配置/x\n"
        );
    }

    /// The fields of a line behind its message, as a program would read them.
    fn read(line: &str) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let mut rest = line.trim_end_matches('\n');
        while let Some((name, after)) = rest.split_once('=') {
            let value = if after.starts_with('"') {
                let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
                let value = values.next().unwrap().unwrap();
                rest = &after[values.byte_offset()..];
                value
            } else {
                let end = after.find(' ').unwrap_or(after.len());
                rest = &after[end..];
                after[..end].to_owned()
            };
            fields.push((name.trim().to_owned(), value));
        }
        fields
    }

    proptest! {
        #[test]
        fn a_line_can_be_taken_apart(one in any::<String>(), two in "[ =\"a\\\\\n\u{1b}\u{9b}]{0,8}") {
            let line = logged(|| tracing::warn!(one, two = %two, "message"));
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert!(!line.trim_end_matches('\n').contains(char::is_control));
            let fields = read(line.strip_prefix("message ").unwrap());
            prop_assert_eq!(fields, [("one".to_owned(), one), ("two".to_owned(), two)]);
        }
    }
}
