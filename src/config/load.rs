//! From the path of a file to a checked configuration.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use jsonc_parser::ast::Value;
use jsonc_parser::common::Ranged as _;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::Config;
use super::check::{self, File};
use super::env::{Outside, reason};
use super::explain::Outline;
use super::lexer::{TokenKind, tokens};
use super::mask::Masked;
use super::problem::{Problem, Report, Span};
use super::read::Reader;

/// Largest file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// A configuration that can be used, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// Warnings and notes; each prints as one line of a log.
    pub warnings: Vec<Problem>,
    pub(crate) outline: Outline,
    report: Report,
}

impl Loaded {
    /// The warnings and notes with their lines of the file, as [`Report::render`] shows errors; empty if there are none.
    pub fn render_warnings(&self, colour: bool) -> String {
        self.report.render(colour)
    }
}

/// Reads and checks a file. `env` looks up environment variables.
///
/// # Errors
/// A report of every problem: the file cannot be read, is not JSON with comments, or says something that cannot be
/// used. Nothing in the report shows a secret.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    load_as(path, env, false)
}

/// As [`load`], for those who want names and folders and open no place.
///
/// References that lead nowhere are no problem in what only a database, a receiver or a channel is opened with; what
/// is loaded there is not to be used.
///
/// # Errors
/// As [`load`].
pub fn load_names(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    load_as(path, env, true)
}

fn load_as(path: &Path, env: &dyn Fn(&str) -> Option<String>, names_only: bool) -> Result<Loaded, Report> {
    let shown = path.display().to_string();
    let fail = |message: String, help: &str| {
        Report::new(vec![Problem::error(None, message).help(help)], &shown, "", Masked::default())
    };
    let bytes = read(path).map_err(|e| {
        let help = match e.kind() {
            std::io::ErrorKind::NotFound => {
                "check the path given with -c; `cupid demo` shows a configuration at work"
            }
            std::io::ErrorKind::PermissionDenied => {
                "the file must be readable for the user that cupid runs as"
            }
            _ => "name a configuration file with -c",
        };
        fail(format!("cannot read the configuration: {}", reason(&e)), help)
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => parse_as(&text, path, env, names_only),
        Err(e) => {
            let at = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(fail(
                format!("the configuration is not UTF-8 text, first on line {line}"),
                "save it as UTF-8",
            ))
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Checks the text of a file that is called `path`; as [`load`] without reading that file.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    parse_as(text, path, env, false)
}

fn parse_as(
    text: &str,
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    names_only: bool,
) -> Result<Loaded, Report> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shown = path.display().to_string();
    let root = match parse_json(text) {
        Ok(root) => root,
        Err(e) => {
            let problem = syntax(&e, text);
            return Err(Report::new(vec![problem], &shown, text, Masked::unparsed(text)));
        }
    };
    let Some(Value::Object(object)) = &root else {
        let problem = match &root {
            None => Problem::error(None, "the configuration is empty"),
            Some(value) => Problem::error(
                Span { start: value.start(), end: value.start() + 1 },
                "the configuration must be an object in braces",
            ),
        };
        let problem = problem.help("begin with `{ \"src\": { … }, \"des\": [ { … } ] }`");
        return Err(Report::new(vec![problem], &shown, text, Masked::unparsed(text)));
    };
    let masked = root.as_ref().map(|root| Masked::parsed(text, root)).unwrap_or_default();
    let path = absolute_file(path);
    let folder = path.parent().unwrap_or_else(|| Path::new("/")).to_owned();
    let mut reader = Reader::new(text, Outside { env, folder: &folder, names_only });
    let config = check::check(&mut reader, object, &File { path: &path, folder: &folder });
    let broken = reader.is_broken();
    let (problems, outline) = reader.into_parts();
    let report = Report::new(problems, &shown, text, masked);
    match config {
        Some(config) if !broken => {
            let warnings = report.problems().to_vec();
            Ok(Loaded { config, warnings, outline, report })
        }
        _ => {
            debug_assert!(broken, "a configuration that cannot be used has a problem that says why");
            Err(report)
        }
    }
}

/// JSON with comments and trailing commas, strict otherwise.
pub(crate) fn parse_json(text: &str) -> Result<Option<Value<'_>>, ParseError> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    parse_to_ast(text, &CollectOptions::default(), &options).map(|result| result.value)
}

fn syntax(error: &ParseError, text: &str) -> Problem {
    if let Some(problem) = unclosed(error, text) {
        return problem;
    }
    let range = error.range();
    let start = text.floor_char_boundary(range.start);
    let first = text[start..].chars().next().map_or(0, char::len_utf8);
    let end = text.floor_char_boundary(range.end).max(start + first);
    let words = error.kind().to_string();
    let mut letters = words.chars();
    let words: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
    let help = match error.kind() {
        ParseErrorKind::ExpectedComma => "put a comma after the value before it",
        ParseErrorKind::SingleQuotedStringsNotAllowed => "use double quotes",
        ParseErrorKind::ExpectedStringObjectProperty | ParseErrorKind::UnexpectedWord => {
            "put keys and texts in double quotes; without quotes only numbers, true and false can stand"
        }
        ParseErrorKind::ExpectedColonAfterObjectKey => "put a colon between the key and its value",
        ParseErrorKind::String(_) => {
            "end the text with a double quote on the same line; write a backslash as \\\\"
        }
        ParseErrorKind::UnexpectedToken => "a comma, a colon or a double quote may be missing before it",
        _ => "the file is JSON; comments (// and /* */) and trailing commas are allowed",
    };
    Problem::error(Span { start, end }, format!("the file is not valid JSON: {words}")).help(help)
}

/// The bracket that is not closed, if that is what is wrong: the parser knows only where the outermost one begins.
fn unclosed(error: &ParseError, text: &str) -> Option<Problem> {
    if !matches!(error.kind(), ParseErrorKind::UnterminatedObject | ParseErrorKind::UnterminatedArray) {
        return None;
    }
    let indent = |at: usize| {
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let blanks = text[line..].find(|c: char| !c.is_whitespace() || c == '\n').unwrap_or(0);
        (blanks, line + blanks == at)
    };
    let (mut open, mut suspect): (Vec<usize>, Option<usize>) = (Vec::new(), None);
    for token in tokens(text).filter(|token| token.kind == TokenKind::Punctuation) {
        let at = token.range.start;
        match &text[token.range] {
            "{" | "[" => open.push(at),
            "}" | "]" => {
                let opener = open.pop()?;
                let ((blanks, leads), (wanted, _)) = (indent(at), indent(opener));
                // A line that is set further out than what it closes was meant for another bracket.
                if leads && blanks < wanted && suspect.is_none() {
                    suspect = Some(opener);
                }
            }
            _ => {}
        }
    }
    let innermost = *open.last()?;
    let start = suspect.unwrap_or(innermost);
    let (bracket, closing) = if text[start..].starts_with('{') { ("{", "}") } else { ("[", "]") };
    let end = text.trim_end().len();
    let count =
        if open.len() > 1 { format!("; {} brackets are open there", open.len()) } else { String::new() };
    let problem = Problem::error(
        Span { start, end: start + 1 },
        format!("the file is not valid JSON: this `{bracket}` is not closed by `{closing}`"),
    );
    let problem = problem.other(Span { start: end.saturating_sub(1), end }, "the file ends here");
    Some(problem.help(format!("put the `{closing}` where it belongs{count}")))
}

/// Absolute path with the folder resolved. The last part is kept: a file mounted as a changing symbolic link
/// (Kubernetes does so) stays the same file.
fn absolute_file(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => {
            folder.canonicalize().unwrap_or_else(|_| super::dsn::absolute(folder, Path::new("/"))).join(name)
        }
        _ => path,
    }
}
