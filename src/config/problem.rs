//! Problems of a configuration, and the report that shows them all in the file's own lines.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::mask::Masked;

/// Bytes of the file that a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl From<jsonc_parser::common::Range> for Span {
    fn from(range: jsonc_parser::common::Range) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, and may not do what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to say about a configuration. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What was found and what is wrong with it.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// Line of the file, from 1; 0 if the problem is the file as a whole.
    pub line: usize,
    /// Character of the line, from 1.
    pub column: usize,
    /// File as given, for [`fmt::Display`].
    file: String,
    span: Option<Span>,
    label: Option<String>,
    other: Option<(Span, String)>,
}

impl Problem {
    fn new(severity: Severity, span: Option<Span>, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            help: None,
            line: 0,
            column: 0,
            file: String::new(),
            span,
            label: None,
            other: None,
        }
    }

    pub(crate) fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span.into(), message)
    }

    pub(crate) fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span.into(), message)
    }

    pub(crate) fn note(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, span.into(), message)
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A few words behind the caret.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// A second place in the file.
    pub(crate) fn other(self, span: Span, label: impl Into<String>) -> Self {
        Self { other: Some((span, label.into())), ..self }
    }

    /// Where in the file, for sorting.
    pub(crate) fn start(&self) -> usize {
        self.span.map_or(0, |span| span.start)
    }

    pub(crate) fn locate(&mut self, file: &str, text: &str) {
        file.clone_into(&mut self.file);
        if let Some(span) = self.span {
            (self.line, self.column) = line_and_column(text, span.start);
        }
    }
}

/// `file:line:column: severity: message (help)`, for one line of a log.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}: {}", self.severity.word(), self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Line and character, both from 1.
pub(crate) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// All problems of a configuration, with the file they are shown in. Secrets in that file are masked already.
#[derive(Clone, Debug)]
pub struct Report {
    problems: Vec<Problem>,
    file: String,
    source: Masked,
}

impl Report {
    /// Sorts the problems by severity and place.
    pub(crate) fn new(mut problems: Vec<Problem>, file: &str, text: &str, source: Masked) -> Self {
        problems.sort_by_key(|problem| (problem.severity, problem.start()));
        for problem in &mut problems {
            problem.locate(file, text);
        }
        Self { problems, file: file.to_owned(), source }
    }

    /// The problems, errors first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every problem with its line of the file, a caret and a help line; ends with a newline unless empty.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in &self.problems {
            // Hidden comments leave blanks at the ends of lines.
            for line in renderer.render(&[self.group(problem)]).lines() {
                out.push_str(line.trim_end());
                out.push('\n');
            }
            out.push('\n');
        }
        if !out.is_empty() {
            out.pop();
        }
        out
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let title = level.primary_title(problem.message.as_str());
        let group = match problem.span {
            None => title.element(annotate_snippets::Origin::path(self.file.as_str())),
            Some(span) => {
                let mut primary = AnnotationKind::Primary.span(self.source.range(span));
                if let Some(label) = &problem.label {
                    primary = primary.label(label.as_str());
                }
                let mut snippet =
                    Snippet::source(self.source.text()).path(self.file.as_str()).annotation(primary);
                if let Some((span, label)) = &problem.other {
                    let context = AnnotationKind::Context.span(self.source.range(*span));
                    snippet = snippet.annotation(context.label(label.as_str()));
                }
                title.element(snippet)
            }
        };
        match &problem.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Report {}

/// A byte range as a span.
impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}
