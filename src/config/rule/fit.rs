//! What of a rule no value of its columns can ever make true, told from the types of the columns alone.
//!
//! CEL calls values of two types unequal and cannot order them. So a number compared with `true` gives no error, it
//! just never holds, and nobody would know. Types are those of the catalogue; what may hold anything is let pass.

use std::ops::BitOr;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators as op};

use super::{Rule, RuleProblem};
use crate::model::{Class, Column, form};

impl Rule {
    /// All that can never hold or never be worked out, with columns of these types; columns that `find` does not know
    /// may hold anything.
    pub(crate) fn unfit<'c>(&self, find: &dyn Fn(&str) -> Option<&'c Column>) -> Vec<RuleProblem> {
        let mut fit = Fit { rule: self, find, problems: Vec::new() };
        fit.truth(self.program.expression());
        fit.problems
    }
}

/// The types that a value may have; NULL is possible everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kinds(u8);

const NULL: Kinds = Kinds(0);
const BOOL: Kinds = Kinds(1);
const NUMBER: Kinds = Kinds(2);
const TEXT: Kinds = Kinds(4);
const BYTES: Kinds = Kinds(8);
const ANY: Kinds = Kinds(255);

impl BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Kinds {
    fn meets(self, other: Self) -> bool {
        self == NULL || other == NULL || self.0 & other.0 != 0
    }

    fn name(self) -> &'static str {
        match self {
            BOOL => "true or false",
            NUMBER => "a number",
            TEXT => "a text",
            BYTES => "bytes",
            NULL => "null",
            _ => "a number or a text",
        }
    }
}

/// What SQLite makes of a value that is written into a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Affinity {
    Text,
    Number,
    None,
}

/// By the rules of SQLite over the declared type.
fn affinity(declared: &str) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        Affinity::Number
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if has("BLOB") || declared.is_empty() || declared == "ANY" {
        Affinity::None
    } else {
        Affinity::Number
    }
}

/// What the values of a column are in a rule.
fn kinds(column: &Column) -> Kinds {
    match column.class {
        Class::Bool => BOOL,
        Class::Int | Class::Decimal | Class::F32 | Class::F64 | Class::Bit => NUMBER,
        Class::Bytes => BYTES,
        Class::Dynamic if affinity(&column.declared) == Affinity::Text => TEXT | BYTES,
        Class::Dynamic => NUMBER | TEXT | BYTES,
        Class::Text
        | Class::Date
        | Class::Time
        | Class::DateTime
        | Class::Instant
        | Class::Json
        | Class::Uuid
        | Class::Other => TEXT,
    }
}

/// Whether a column may hold the very value of a literal of a kind that it may hold.
fn may_hold(column: &Column, literal: &LiteralValue) -> bool {
    match (column.class, literal) {
        (Class::Int | Class::Bit, LiteralValue::Double(x)) => x.inner().fract() == 0.0,
        (Class::Dynamic, LiteralValue::String(text)) => {
            affinity(&column.declared) != Affinity::Number || !is_number(text.inner())
        }
        (Class::Date, LiteralValue::String(text)) => is_moment(text.inner(), 10),
        (Class::DateTime | Class::Instant, LiteralValue::String(text)) => is_moment(text.inner(), 19),
        (Class::Time | Class::Uuid | Class::Json, LiteralValue::String(text)) => !text.inner().is_empty(),
        _ => true,
    }
}

fn is_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && form::number(text).is_some()
}

/// Zero dates and infinity are moments too.
fn is_moment(text: &str, least: usize) -> bool {
    let digits = |part: Option<&str>| part.is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit()));
    let date = text.len() >= least
        && digits(text.get(..4))
        && text.get(4..5) == Some("-")
        && digits(text.get(5..7))
        && text.get(7..8) == Some("-")
        && digits(text.get(8..10));
    date || text.trim_start_matches('-') == "infinity"
}

struct Fit<'r, 'f, 'c> {
    rule: &'r Rule,
    find: &'f dyn Fn(&str) -> Option<&'c Column>,
    problems: Vec<RuleProblem>,
}

impl<'c> Fit<'_, '_, 'c> {
    fn note(&mut self, at: &IdedExpr, message: String) {
        let text = &*self.rule.text;
        let start = self.rule.program.source_info().offset_for(at.id).map_or(0, |(start, _)| start as usize);
        let mut start = text.floor_char_boundary(start);
        // The minus is not part of the literal for the parser.
        if matches!(&at.expr, Expr::Literal(_)) && text[..start].ends_with('-') {
            start -= 1;
        }
        self.problems.push(RuleProblem { at: start, message });
    }

    fn column(&self, of: &IdedExpr) -> Option<&'c Column> {
        match &of.expr {
            Expr::Ident(name) => (self.find)(name),
            _ => None,
        }
    }

    /// What stands where true or false is needed.
    fn truth(&mut self, of: &IdedExpr) {
        let kinds = self.kinds(of);
        if kinds == NULL || kinds.meets(BOOL) {
            return;
        }
        let (what, write) = match self.column(of) {
            Some(column) => {
                let name = &column.name;
                let value = if kinds == NUMBER || kinds != TEXT { "1" } else { "'1'" };
                let value = if is_time(column.class) { "!= null".to_owned() } else { format!("== {value}") };
                (named(column), format!("`{name} {value}`"))
            }
            None => (kinds.name().to_owned(), "a comparison".to_owned()),
        };
        self.note(of, format!("{what} is not true or false; write a comparison, such as {write}"));
    }

    /// The kinds of what an expression gives; notes what can never hold inside it.
    fn kinds(&mut self, of: &IdedExpr) -> Kinds {
        match &of.expr {
            Expr::Literal(literal) => literal_kinds(literal),
            Expr::Ident(_) => self.column(of).map_or(ANY, kinds),
            Expr::Call(call) => self.call(call),
            _ => ANY,
        }
    }

    fn call(&mut self, call: &CallExpr) -> Kinds {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, None, parts) => {
                parts.iter().for_each(|part| self.truth(part));
                BOOL
            }
            (op::CONDITIONAL, None, [condition, then, otherwise]) => {
                self.truth(condition);
                self.kinds(then) | self.kinds(otherwise)
            }
            (name @ (op::EQUALS | op::NOT_EQUALS), None, [a, b]) => {
                self.equal(name == op::EQUALS, a, b);
                BOOL
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, None, [a, b]) => {
                self.ordered(a, b);
                BOOL
            }
            (op::IN, None, [a, list]) => {
                if let Expr::List(list) = &list.expr {
                    list.elements.iter().for_each(|element| self.equal(true, a, element));
                } else {
                    self.kinds(list);
                }
                BOOL
            }
            (op::ADD, None, [a, b]) => {
                let (x, y) = (self.kinds(a), self.kinds(b));
                if !x.meets(y) {
                    let other = self.described(a);
                    self.cannot(b, &format!("cannot be added to {other}"));
                }
                if x == y { x } else { ANY }
            }
            (op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO | op::NEGATE, None, parts) => {
                for part in parts {
                    if !self.kinds(part).meets(NUMBER) {
                        self.cannot(part, "is no number");
                    }
                }
                NUMBER
            }
            ("startsWith" | "endsWith" | "contains", Some(text), args) => {
                if !self.kinds(text).meets(TEXT) {
                    self.cannot(text, "is no text");
                }
                self.inside(args);
                BOOL
            }
            (name, target, args) => {
                self.inside(target.into_iter().chain(args));
                match name {
                    "size" | "int" | "uint" | "double" => NUMBER,
                    "string" => TEXT,
                    "bytes" => BYTES,
                    "bool" => BOOL,
                    _ => ANY,
                }
            }
        }
    }

    /// Looks into parts that may be of any kind.
    fn inside<'e>(&mut self, parts: impl IntoIterator<Item = &'e IdedExpr>) {
        for part in parts {
            self.kinds(part);
        }
    }

    fn cannot(&mut self, part: &IdedExpr, why: &str) {
        let what = self.described(part);
        self.note(
            part,
            format!("{what} {why}, so this cannot be worked out for any row; compare it instead"),
        );
    }

    fn described(&mut self, part: &IdedExpr) -> String {
        match self.column(part) {
            Some(column) => named(column),
            None => self.kinds(part).name().to_owned(),
        }
    }

    fn equal(&mut self, wanted: bool, a: &IdedExpr, b: &IdedExpr) {
        let (x, y) = (self.kinds(a), self.kinds(b));
        let (column, other) = if self.column(a).is_some() { (a, b) } else { (b, a) };
        let literal = match &other.expr {
            Expr::Literal(literal) => Some(literal),
            _ => None,
        };
        let found = self.column(column);
        let held = found.zip(literal).is_none_or(|(found, literal)| may_hold(found, literal));
        if x.meets(y) && held {
            return;
        }
        let result = if wanted { "never true" } else { "true for every row" };
        let what = self.described(column);
        let against = match literal {
            Some(literal) => written(literal),
            None => self.described(other),
        };
        let write = match found.zip(literal) {
            Some((found, literal)) => instead(found, literal, wanted),
            None => "compare what is of one type".to_owned(),
        };
        self.note(other, format!("{what} is never equal to {against}, so this is {result}; {write}"));
    }

    fn ordered(&mut self, a: &IdedExpr, b: &IdedExpr) {
        let (x, y) = (self.kinds(a), self.kinds(b));
        if x != NULL && y != NULL && x.meets(y) {
            return;
        }
        let (column, other) = if self.column(a).is_some() { (a, b) } else { (b, a) };
        let (what, against) = (self.described(column), self.described(other));
        let kinds = self.kinds(column).name();
        self.note(
            other,
            format!(
                "{what} and {against} have no order, so this cannot be worked out for any row; compare with {kinds}, \
                 or use == or !="
            ),
        );
    }
}

fn is_time(class: Class) -> bool {
    matches!(class, Class::Date | Class::DateTime | Class::Instant | Class::Time)
}

fn named(column: &Column) -> String {
    let declared = if column.declared.is_empty() { "without a type" } else { &*column.declared };
    format!("{:?} ({declared})", column.name)
}

fn literal_kinds(literal: &LiteralValue) -> Kinds {
    match literal {
        LiteralValue::Boolean(_) => BOOL,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => NUMBER,
        LiteralValue::String(_) => TEXT,
        LiteralValue::Bytes(_) => BYTES,
        LiteralValue::Null => NULL,
    }
}

fn written(literal: &LiteralValue) -> String {
    match literal {
        LiteralValue::Boolean(b) => b.inner().to_string(),
        LiteralValue::Int(n) => n.inner().to_string(),
        LiteralValue::UInt(n) => format!("{}u", n.inner()),
        LiteralValue::Double(x) => x.inner().to_string(),
        LiteralValue::String(text) => format!("the text {:?}", text.inner()),
        LiteralValue::Bytes(_) => "bytes".to_owned(),
        LiteralValue::Null => "null".to_owned(),
    }
}

/// What to write in place of a comparison of a column with a literal.
fn instead(column: &Column, literal: &LiteralValue, wanted: bool) -> String {
    let sign = if wanted { "==" } else { "!=" };
    let write = |value: &str| format!("write `{} {sign} {value}`", column.name);
    let truth = match literal {
        LiteralValue::Boolean(b) => Some(*b.inner()),
        LiteralValue::Int(n) => [false, true].get(usize::try_from(*n.inner()).unwrap_or(2)).copied(),
        LiteralValue::UInt(_) | LiteralValue::Double(_) | LiteralValue::Bytes(_) | LiteralValue::Null => None,
        LiteralValue::String(text) => match text.inner().to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
            "0" | "f" | "false" | "n" | "no" | "off" | "" => Some(false),
            _ => None,
        },
    };
    let bit = |truth: bool| if truth { "1" } else { "0" };
    let whole = matches!(column.class, Class::Int | Class::Bit);
    let fits = |text: &str| if whole { text.parse::<i64>().is_ok() } else { is_number(text) };
    match (kinds(column), literal) {
        _ if is_time(column.class) => match truth {
            Some(true) => format!("write `{} {} null`", column.name, if wanted { "!=" } else { "==" }),
            Some(false) => write("null"),
            None => format!(
                "compare it with null, or with a text as the database writes it, such as {}",
                match column.class {
                    Class::Date => "'2026-01-31'",
                    Class::Time => "'08:00:00'",
                    _ => "'2026-01-31 08:00:00'",
                }
            ),
        },
        (BOOL, _) => truth
            .map_or_else(|| "compare it with true or false".to_owned(), |truth| write(&truth.to_string())),
        (NUMBER, LiteralValue::String(text)) if fits(text.inner()) => write(text.inner()),
        (NUMBER, LiteralValue::Double(_)) => "compare it with a whole number".to_owned(),
        (NUMBER, _) => truth.map_or_else(|| "compare it with a number".to_owned(), |truth| write(bit(truth))),
        (BYTES, LiteralValue::String(text)) if text.inner().bytes().all(|b| b.is_ascii_alphanumeric()) => {
            write(&format!("b'{}'", text.inner()))
        }
        (BYTES, _) => "compare it with bytes, such as b'1'".to_owned(),
        (TEXT, LiteralValue::Int(n)) => write(&format!("'{}'", n.inner())),
        (TEXT, LiteralValue::Boolean(b)) => write(&format!("'{}'", b.inner())),
        (_, LiteralValue::String(text)) if column.class == Class::Dynamic => write(text.inner()),
        (_, LiteralValue::Int(n)) => write(&format!("'{}'", n.inner())),
        (_, LiteralValue::Boolean(b)) if affinity(&column.declared) == Affinity::Text => {
            write(&format!("'{}'", b.inner()))
        }
        (_, LiteralValue::Boolean(b)) => write(bit(*b.inner())),
        _ => "compare it with null, or with a text as the database writes it".to_owned(),
    }
}

#[cfg(test)]
#[path = "fit/tests.rs"]
mod tests;
