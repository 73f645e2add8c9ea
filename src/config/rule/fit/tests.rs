use proptest::prelude::*;

use super::*;
use crate::model::Value;

const CLASSES: [(Class, &str); 21] = [
    (Class::Bool, "bool"),
    (Class::Int, "tinyint(1)"),
    (Class::Decimal, "numeric(9,2)"),
    (Class::F32, "float"),
    (Class::F64, "double"),
    (Class::Bit, "bit(1)"),
    (Class::Text, "varchar(20)"),
    (Class::Bytes, "blob"),
    (Class::Date, "date"),
    (Class::Time, "time"),
    (Class::DateTime, "datetime"),
    (Class::Instant, "timestamptz"),
    (Class::Json, "json"),
    (Class::Uuid, "uuid"),
    (Class::Other, "inet"),
    (Class::Dynamic, "INTEGER"),
    (Class::Dynamic, "BOOLEAN"),
    (Class::Dynamic, "VARCHAR(9)"),
    (Class::Dynamic, ""),
    (Class::Dynamic, "DATETIME"),
    (Class::Dynamic, "BLOB"),
];

fn column(class: Class, declared: &str) -> Column {
    Column { name: "d".into(), class, declared: declared.into(), nullable: true }
}

fn unfit(rule: &str, column: &Column) -> Vec<(usize, String)> {
    let rule = Rule::parse(rule).unwrap_or_else(|e| panic!("{rule}: {}", e.message));
    let found = rule.unfit(&|name| (name == "d").then_some(column));
    found.into_iter().map(|problem| (problem.at, problem.message)).collect()
}

/// Values that a column of this class holds, those of a literal's text among them.
fn held(column: &Column, literal: &str) -> Vec<Value> {
    let text = literal.trim_matches('\'').to_owned();
    let int = literal.parse::<i64>().ok();
    let float = literal.parse::<f64>().ok();
    let date = text.len() >= 10 && text.starts_with("2026-");
    let mut held = Vec::new();
    match column.class {
        Class::Bool => held.extend([true, false].map(Value::Bool)),
        Class::Int => held.extend([Some(0), Some(1), int].into_iter().flatten().map(Value::Int)),
        Class::Bit => held.extend([Value::Bytes([0].into()), Value::Bytes([1].into())]),
        Class::Decimal => {
            held.extend(["0.00", "1.00"].map(Value::text).into_iter().chain(float.map(|_| Value::text(text))))
        }
        Class::F32 => {
            held.extend([Some(0.0), Some(1.0), float].into_iter().flatten().map(|x| Value::F32(x as f32)))
        }
        Class::F64 => held.extend([Some(0.0), Some(1.0), float].into_iter().flatten().map(Value::F64)),
        Class::Text | Class::Other => held.extend(["", "1", "true", &text].map(Value::text)),
        Class::Bytes => held.push(Value::Bytes(text.trim_start_matches("b'").as_bytes().into())),
        Class::Date => held.extend(["0000-00-00", "2026-01-31"].map(Value::text)),
        Class::DateTime | Class::Instant => {
            held.push(Value::text("0000-00-00 00:00:00"));
            held.extend((date && text.len() >= 19).then(|| Value::text(text)));
        }
        Class::Time => {
            held.extend(["08:00:00", &text].iter().filter(|t| !t.is_empty()).map(|t| Value::text(*t)))
        }
        Class::Json | Class::Uuid => {
            held.extend(["{}", &text].iter().filter(|t| !t.is_empty()).map(|t| Value::text(*t)))
        }
        Class::Dynamic => {
            let affinity = affinity(&column.declared);
            if affinity != Affinity::Number || !is_number(&text) {
                held.push(Value::text(text.as_str()));
            }
            if affinity != Affinity::Text {
                held.extend([Value::Int(0), Value::Int(1), Value::F64(1.5)]);
                held.extend(int.map(Value::Int).into_iter().chain(float.map(Value::F64)));
            }
            held.push(Value::Bytes(text.trim_start_matches("b'").as_bytes().into()));
        }
    }
    held.push(Value::Null);
    held
}

fn holds_for_some(rule: &str, column: &Column, literal: &str) -> bool {
    let rule = Rule::parse(rule).unwrap();
    held(column, literal).iter().any(|value| rule.holds([(value, column.class)].into_iter()) == Some(true))
}

/// The rule that a message says to write.
fn advised(message: &str) -> Option<&str> {
    message.split_once("write `")?.1.split_once('`').map(|(rule, _)| rule)
}

const LITERALS: [&str; 20] = [
    "true",
    "false",
    "0",
    "1",
    "2",
    "-7",
    "1.5",
    "1.0",
    "''",
    "'1'",
    "'0'",
    "'yes'",
    "'gone'",
    "'true'",
    "b'1'",
    "null",
    "'2026-01-31'",
    "'2026-01-31 08:00:00'",
    "'1.5'",
    "'0000-00-00 00:00:00'",
];

/// Every class of column against every kind of literal: what is let pass can hold, what is refused never does, and
/// what is advised instead is let pass.
#[test]
fn what_can_never_hold_is_refused_and_nothing_else() {
    let (mut pairs, mut refused) = (0, 0);
    for (class, declared) in CLASSES {
        let column = column(class, declared);
        for literal in LITERALS {
            let rule = format!("d == {literal}");
            let problems = unfit(&rule, &column);
            let can = holds_for_some(&rule, &column, literal);
            // A bit string of one is none of seven; whether a number fits is not looked at.
            let by_value = matches!(class, Class::Bit | Class::Date);
            assert!(
                problems.is_empty() == can || (by_value && problems.is_empty()),
                "{rule} over {declared}: can hold: {can}, {problems:?}"
            );
            pairs += 1;
            for (at, message) in problems {
                refused += 1;
                assert_eq!(at, 5, "{rule}: {message}");
                assert!(message.contains("never equal") && message.contains("never true"), "{message}");
                if let Some(advised) = advised(&message) {
                    assert_eq!(unfit(advised, &column), [], "{rule} over {declared}: {message}");
                } else {
                    assert!(message.contains("; compare it with"), "{message}");
                }
            }
            let not = format!("d != {literal}");
            assert_eq!(unfit(&not, &column).is_empty(), unfit(&rule, &column).is_empty(), "{not}");
            let list = format!("d in [{literal}, null]");
            assert_eq!(unfit(&list, &column).is_empty(), unfit(&rule, &column).is_empty(), "{list}");
        }
    }
    println!("{pairs} pairs of a column and a literal, {refused} refused");
    assert!(refused > 100);
}

#[test]
fn messages_say_what_to_write() {
    for (class, declared, rule, at, write) in [
        (Class::Int, "tinyint(1)", "d == true", 5, "write `d == 1`"),
        (Class::Int, "int", "d != false", 5, "write `d != 0`"),
        (Class::Int, "int", "'1' == d", 0, "write `d == 1`"),
        (Class::Int, "int", "d in [1, '2']", 9, "write `d == 2`"),
        (Class::Int, "int", "d == 'gone'", 5, "compare it with a number"),
        (Class::Int, "int", "d == 1.5", 5, "compare it with a whole number"),
        (Class::Int, "int", "d", 0, "write a comparison, such as `d == 1`"),
        (Class::Int, "int", "!d", 1, "write a comparison, such as `d == 1`"),
        (Class::Int, "int", "d == 1 && d", 10, "write a comparison"),
        (Class::Int, "int", "d > '1'", 4, "have no order"),
        (Class::Int, "int", "d > null", 4, "have no order"),
        (Class::Int, "int", "d.startsWith('1')", 0, "is no text"),
        (Class::Int, "int", "d + 1", 2, "write a comparison"),
        (Class::Text, "text", "d == 1", 5, "write `d == '1'`"),
        (Class::Text, "text", "d", 0, "such as `d == '1'`"),
        (Class::Text, "text", "d * 2 == 4", 0, "is no number"),
        (Class::Bool, "bool", "d == 1", 5, "write `d == true`"),
        (Class::Bool, "bool", "d == 'f'", 5, "write `d == false`"),
        (Class::Bool, "bool", "d > 0", 4, "have no order"),
        (Class::DateTime, "datetime", "d != ''", 5, "write `d != null`"),
        (Class::DateTime, "datetime", "d", 0, "such as `d != null`"),
        (Class::DateTime, "datetime", "d == '2026-01-31'", 5, "such as '2026-01-31 08:00:00'"),
        (Class::Dynamic, "INTEGER", "d == true", 5, "write `d == 1`"),
        (Class::Dynamic, "INTEGER", "d == '1'", 5, "write `d == 1`"),
        (Class::Dynamic, "TEXT", "d == 1", 5, "write `d == '1'`"),
        (Class::Bytes, "bytea", "d == 'x'", 5, "write `d == b'x'`"),
        (Class::Text, "text", "d == 'ä' || d == 1", 18, "write `d == '1'`"),
    ] {
        let found = unfit(rule, &column(class, declared));
        let [(place, message)] = found.as_slice() else { panic!("{rule} over {declared}: {found:?}") };
        assert_eq!(*place, at, "{rule}: {message}");
        assert!(message.contains(write), "{rule} over {declared}: {message}");
    }
}

#[test]
fn what_works_is_let_pass() {
    for (class, rule) in [
        (Class::Int, "d == 1 || d == 2u || d == 3.0 || d > 1.5"),
        (Class::Int, "d != null && d > 0"),
        (Class::Int, "d % 2 == 1 && d * 2 - 1 > 0"),
        (Class::Int, "other == true || d == 1"),
        (Class::Int, "size('x') == d"),
        (Class::Int, "string(d) == '1'"),
        (Class::Int, "(d == 1 ? 1 : 0) == 1"),
        (Class::Text, "d in ['a', 'b']"),
        (Class::Text, "size(d) > 3 && !d.contains('y')"),
        (Class::Bool, "d"),
        (Class::Bool, "!d || d == false"),
        (Class::DateTime, "d != null && d < '2026'"),
        (Class::DateTime, "d == '0000-00-00 00:00:00'"),
        (Class::Date, "d.startsWith('2026')"),
        (Class::Json, "d.contains('gone')"),
    ] {
        assert_eq!(unfit(rule, &column(class, "x")), [], "{rule} over {class:?}");
    }
}

#[test]
fn places_are_those_of_the_file() {
    let column = column(Class::Int, "int");
    let find = |name: &str| (name == "d").then_some(&column);
    let rule = Rule::parse("x == 'ä' || d == true").unwrap();
    let shown = rule.unfit_for(&find).remove(0);
    assert!(shown.ends_with("(character 18 of the rule)"), "{shown}");
    let shown = rule.placed(7, 21).unfit_for(&find).remove(0);
    assert!(shown.ends_with("(line 7, character 38)"), "{shown}");
}

proptest! {
    /// Whatever is compared how often: each mistake is found once, at its place.
    #[test]
    fn each_mistake_is_found(
        (class, declared) in prop::sample::select(CLASSES.to_vec()),
        parts in prop::collection::vec((any::<bool>(), prop::sample::select(LITERALS.to_vec())), 1..8),
    ) {
        let column = column(class, declared);
        let (mut rule, mut wanted) = (String::new(), Vec::new());
        for (equal, literal) in parts {
            if !rule.is_empty() {
                rule.push_str(if equal { " || " } else { " && " });
            }
            let part = format!("d {} {literal}", if equal { "==" } else { "!=" });
            wanted.extend(unfit(&part, &column).iter().map(|(at, _)| at + rule.len()));
            rule.push_str(&part);
        }
        let mut found: Vec<usize> = unfit(&rule, &column).iter().map(|(at, _)| *at).collect();
        found.sort_unstable();
        prop_assert_eq!(found, wanted, "{}", rule);
    }
}
