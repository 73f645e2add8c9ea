//! Rules over the columns of a row, in CEL: `IsDelete == 1`.
//!
//! A rule names columns as its variables. NULL is `null`: it equals `null` only, so `IsDelete == 1` does not hold for
//! it. A rule that cannot be worked out for a row (an order between NULL or text and a number, a result that is neither
//! true nor false) says nothing about that row, which is told apart from saying no.

mod fit;
mod free;

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, ExecutionError, Program};

use crate::model::{Class, Column, Value};

/// Longest rule, in bytes.
const LONGEST: usize = 4096;

/// A checked rule. Cheap to clone.
#[derive(Clone)]
pub struct Rule {
    text: Arc<str>,
    program: Arc<Program>,
    columns: Arc<[String]>,
    /// The key it stands under.
    key: &'static str,
    /// Line and character of the file at which the text begins, if it stands there as it is.
    place: Option<(usize, usize)>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleProblem {
    /// Byte of the text.
    pub(crate) at: usize,
    /// One line for people.
    pub(crate) message: String,
}

impl Rule {
    /// Checks a rule as far as that can be done without a table.
    pub(crate) fn parse(text: &str) -> Result<Self, RuleProblem> {
        let problem = |at: usize, message: String| RuleProblem { at: text.floor_char_boundary(at), message };
        if text.len() > LONGEST {
            return Err(problem(0, format!("it has {} bytes, at most {LONGEST} are taken", text.len())));
        }
        let program = Program::compile(text).map_err(|errors| match errors.errors.first() {
            Some(first) => problem(byte(text, first.pos), one_line(&first.msg)),
            None => problem(0, "it is no expression".to_owned()),
        })?;
        let columns: Vec<String> = free::names(&program.expression().expr).into_iter().collect();
        let (text_of, columns) = (text.into(), columns.into());
        let rule =
            Self { text: text_of, program: Arc::new(program), columns, key: "deletedWhen", place: None };
        match rule.work_out(rule.columns.iter().map(|_| cel::Value::Null)) {
            Err(ExecutionError::UndeclaredReference(name)) => {
                let at = text.find(name.as_str()).unwrap_or(0);
                Err(problem(at, format!("there is no function `{name}`")))
            }
            Ok(cel::Value::Bool(_) | cel::Value::Null) | Err(_) if rule.columns.is_empty() => {
                Err(problem(0, "it names no column".to_owned()))
            }
            Ok(cel::Value::Bool(_) | cel::Value::Null) | Err(_) => Ok(rule),
            Ok(_) => Err(problem(0, "it says neither true nor false".to_owned())),
        }
    }

    /// The rule as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same rule under this key.
    #[must_use]
    pub(crate) fn of_key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// The key it stands under, for people.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The same rule, which begins at this line and character (both from 1) of the file.
    #[must_use]
    pub(crate) fn placed(self, line: usize, character: usize) -> Self {
        Self { place: Some((line, character)), ..self }
    }

    /// All that can never hold with columns of these types, each as one line with its place; `find` knows columns by
    /// the names that the rule uses.
    pub fn unfit_for<'c>(&self, find: &dyn Fn(&str) -> Option<&'c Column>) -> Vec<String> {
        self.unfit(find).into_iter().map(|problem| self.shown(&problem)).collect()
    }

    /// Says that a column it names is not there, with its place; `why` is what was found instead.
    pub fn unknown(&self, column: &str, why: &str) -> String {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let at = self.text.match_indices(column).map(|(at, _)| at).find(|at| {
            !self.text[..*at].ends_with(word) && !self.text[at + column.len()..].starts_with(word)
        });
        self.shown(&RuleProblem { at: at.unwrap_or(0), message: why.to_owned() })
    }

    fn shown(&self, problem: &RuleProblem) -> String {
        let before = self.text[..problem.at].chars().count();
        let place = match self.place {
            Some((line, character)) => format!("line {line}, character {}", character + before),
            None => format!("character {} of the rule", before + 1),
        };
        format!("\"{}\": {:?} cannot be used: {} ({place})", self.key, &*self.text, problem.message)
    }

    /// The columns it names, as written.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Whether the rule holds for a row, given the values of [`Rule::columns`] and what those hold; `None`: that cannot
    /// be worked out.
    pub fn holds<'v>(&self, values: impl Iterator<Item = (&'v Value, Class)> + Clone) -> Option<bool> {
        if values.clone().any(|(value, _)| matches!(value, Value::TooLarge(_))) {
            return None;
        }
        self.holds_for(values.map(|(value, class)| cel_value(value, class)))
    }

    /// As [`Rule::holds`], for values in the form of CEL.
    pub(super) fn holds_for(&self, values: impl Iterator<Item = cel::Value>) -> Option<bool> {
        match self.work_out(values) {
            Ok(cel::Value::Bool(truth)) => Some(truth),
            Ok(cel::Value::Null) => Some(false),
            _ => None,
        }
    }

    /// What the rule gives for a row if that is neither true nor false nor NULL: then it is no rule.
    pub fn gives_else<'v>(&self, values: impl Iterator<Item = (&'v Value, Class)>) -> Option<String> {
        match self.work_out(values.map(|(value, class)| cel_value(value, class))) {
            Ok(cel::Value::Bool(_) | cel::Value::Null) | Err(_) => None,
            Ok(other) => Some(other.type_of().to_string()),
        }
    }

    /// Says that the rule is none, as it gives this.
    pub fn is_none(&self, gives: &str) -> String {
        let column = self.columns.first().map_or("IsDelete", String::as_str);
        format!(
            "\"{}\": {:?} gives {gives} and not true or false; write a comparison, such as {column} == 1",
            self.key, &*self.text
        )
    }

    fn work_out(&self, values: impl Iterator<Item = cel::Value>) -> Result<cel::Value, ExecutionError> {
        // To make one takes ten times as long as to work out a rule.
        static SHARED: LazyLock<Context<'static, 'static>> = LazyLock::new(Context::default);
        let mut context = SHARED.new_inner_scope();
        for (name, value) in self.columns.iter().zip(values) {
            context.add_variable_from_value(name.as_str(), value);
        }
        self.program.execute(&context)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

/// Numbers as numbers, bits too; what has no form in CEL (dates, JSON, UUIDs …) as the database's text.
fn cel_value(value: &Value, class: Class) -> cel::Value {
    match value {
        Value::Null | Value::TooLarge(_) => cel::Value::Null,
        Value::Bool(truth) => cel::Value::Bool(*truth),
        Value::Int(n) => cel::Value::Int(*n),
        Value::UInt(n) => cel::Value::UInt(*n),
        // By its shortest text, as people write it.
        Value::F32(x) => cel::Value::Float(x.to_string().parse().unwrap_or_else(|_| f64::from(*x))),
        Value::F64(x) => cel::Value::Float(*x),
        Value::Bytes(bytes) if class == Class::Bit && bytes.len() <= 8 => {
            let n = bytes.iter().fold(0_u64, |n, byte| (n << 8) | u64::from(*byte));
            i64::try_from(n).map_or(cel::Value::UInt(n), cel::Value::Int)
        }
        Value::Bytes(bytes) => cel::Value::Bytes(Arc::new(bytes.to_vec())),
        Value::Text(text) if class == Class::Bit => match u64::from_str_radix(text, 2) {
            Ok(n) => i64::try_from(n).map_or(cel::Value::UInt(n), cel::Value::Int),
            Err(_) => cel::Value::String(Arc::new(text.to_string())),
        },
        Value::Text(text) if class == Class::Decimal => match (text.parse(), text.parse()) {
            (Ok(n), _) => cel::Value::Int(n),
            (_, Ok(x)) => cel::Value::Float(x),
            _ => cel::Value::String(Arc::new(text.to_string())),
        },
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
    }
}

/// The byte that a line and a column mean.
fn byte(text: &str, (line, column): (isize, isize)) -> usize {
    let start: usize =
        text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
    let column = usize::try_from(column - 1).unwrap_or(0);
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(rule: &str, value: Value, class: Class) -> Option<bool> {
        Rule::parse(rule).unwrap().holds([(&value, class)].into_iter())
    }

    #[test]
    fn names_that_a_macro_binds_are_no_columns() {
        for (rule, columns) in [
            ("['paid', 'sent'].exists(s, s == status)", vec!["status"]),
            ("['paid', 'sent'].all(s, s != status)", vec!["status"]),
            ("['paid'].map(s, s + status).exists_one(t, t == name)", vec!["name", "status"]),
            ("['paid'].filter(s, s == status).size() > 0", vec!["status"]),
            // Outside of it the name is a column again.
            ("['paid'].exists(s, s == status) && s == 1", vec!["s", "status"]),
            ("s.exists(s, s == 1)", vec!["s"]),
        ] {
            assert_eq!(Rule::parse(rule).unwrap().columns(), columns, "{rule}");
        }
        let rule = "['paid', 'sent'].exists(s, s == status)";
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(holds(rule, text("sent"), Class::Text), Some(true));
        assert_eq!(holds(rule, text("new"), Class::Text), Some(false));
    }

    #[test]
    fn null_equals_null_only() {
        for (rule, wanted) in [
            ("d == 1", Some(false)),
            ("d != 1", Some(true)),
            ("d == null", Some(true)),
            ("d != null", Some(false)),
            ("d != null && d > 0", Some(false)),
            ("d", Some(false)),
            ("d > 0", None),
        ] {
            assert_eq!(holds(rule, Value::Null, Class::Int), wanted, "{rule}");
        }
    }

    #[test]
    fn values_have_the_types_of_their_columns() {
        for (rule, value, class, wanted) in [
            ("d == 1", Value::Int(1), Class::Int, Some(true)),
            ("d == 1", Value::Int(0), Class::Int, Some(false)),
            ("d == 1", Value::UInt(u64::MAX), Class::Int, Some(false)),
            ("d == 1", Value::F64(1.0), Class::F64, Some(true)),
            ("d == 1", Value::text("1"), Class::Decimal, Some(true)),
            ("d == 1.5", Value::text("1.50"), Class::Decimal, Some(true)),
            ("d == 1", Value::Bytes([1].into()), Class::Bit, Some(true)),
            ("d == 1", Value::text("1"), Class::Bit, Some(true)),
            ("d == 0.1", Value::F32(0.1), Class::F32, Some(true)),
            ("d", Value::Bool(true), Class::Bool, Some(true)),
            ("d == 'gone'", Value::text("gone"), Class::Text, Some(true)),
            ("d == 1", Value::text("1"), Class::Text, Some(false)),
            ("d in ['gone', 'void']", Value::text("void"), Class::Text, Some(true)),
            ("d != null", Value::text("2026-01-01 00:00:00"), Class::DateTime, Some(true)),
            ("d.startsWith('2026')", Value::text("2026-01-01"), Class::Date, Some(true)),
            ("d > 1", Value::text("x"), Class::Text, None),
            ("d", Value::Int(1), Class::Int, None),
            ("1 / d == 1", Value::Int(0), Class::Int, None),
        ] {
            assert_eq!(holds(rule, value.clone(), class), wanted, "{rule} with {value:?}");
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for (rule, at) in
            [("", 0), ("d ==", 4), ("d == = 1", 5), ("d == 1 &&\n  )", 12), ("gone(d)", 0), ("1 == 1", 0)]
        {
            let problem = Rule::parse(rule).unwrap_err();
            assert_eq!(problem.at, at, "{rule:?}: {}", problem.message);
        }
        assert!(Rule::parse("d + 'x'").is_ok() || Rule::parse("size('x') + 1").is_err());
        assert!(Rule::parse(&format!("d == '{}'", "x".repeat(5000))).is_err());
    }

    #[test]
    fn columns_are_its_variables() {
        assert_eq!(Rule::parse("IsDelete == 1 || state == 'x'").unwrap().columns(), ["IsDelete", "state"]);
    }
}
