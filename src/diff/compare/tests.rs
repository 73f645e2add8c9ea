use proptest::prelude::*;

use super::*;
use crate::diff::KeyForm;
use crate::model::Class;

fn column(class: Class) -> Column {
    declared(class, "")
}

fn declared(class: Class, declared: &str) -> Column {
    Column { name: "c".into(), class, declared: declared.into(), nullable: true }
}

fn rule(a: (usize, &Column), b: (usize, &Column)) -> ColumnRule {
    ColumnRule::new(a, b, &ColumnPolicy::default()).unwrap()
}

fn text(s: &str) -> Value {
    Value::text(s)
}

fn agree(a: (&Column, &Value), b: (&Column, &Value)) -> bool {
    let there = rule((0, a.0), (0, b.0)).agrees(std::slice::from_ref(a.1), std::slice::from_ref(b.1));
    let back = rule((0, b.0), (0, a.0)).agrees(std::slice::from_ref(b.1), std::slice::from_ref(a.1));
    assert_eq!(there, back, "symmetric: {a:?} {b:?}");
    there
}

#[test]
fn the_same_in_other_words() {
    use Class::{
        Bit, Bool, Bytes, Date, DateTime, Decimal, Dynamic, F32, F64, Instant, Int, Json, Text, Time, Uuid,
    };
    let uuid = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8";
    let uuid_bytes: [u8; 16] = *uuid::Uuid::try_parse(uuid).unwrap().as_bytes();
    let cases = [
        (Decimal, text("3000.0"), Decimal, text("3000.00")),
        (Decimal, text("0.00"), Decimal, text("-0.0")),
        (Int, Value::Int(5), Decimal, text("5.00")),
        (Int, Value::UInt(u64::MAX), Decimal, text("18446744073709551615.000")),
        (Int, Value::Int(5), Text, text("5")),
        (F64, Value::F64(0.1), Decimal, text("0.100")),
        (F64, Value::F64(-0.0), F64, Value::F64(0.0)),
        (F64, Value::F64(f64::NAN), Decimal, text("NaN")),
        (F32, Value::F32(0.1), F64, Value::F64(0.1)),
        (F32, Value::F32(0.1), F64, Value::F64(f64::from(0.1_f32))),
        (Bool, Value::Bool(true), Int, Value::Int(1)),
        (Bool, Value::Bool(false), Text, text("F")),
        (Bool, Value::Bool(true), Bit, Value::Bytes([1].into())),
        (Bool, Value::Bool(true), Dynamic, Value::Int(1)),
        (Bit, Value::Bytes([0, 5].into()), Bit, text("0101")),
        (Bit, Value::Bytes([5].into()), Int, Value::Int(5)),
        (DateTime, text("2009-01-01 00:00:00"), DateTime, text("2009-01-01 00:00:00.000")),
        (DateTime, text("2009-01-01 00:00:00"), Dynamic, text("2009-01-01T00:00:00")),
        (Date, text("2009-01-01"), DateTime, text("2009-01-01 00:00:00")),
        (Instant, text("2009-01-01 00:00:00.5+00"), Instant, text("2009-01-01 00:00:00.500000")),
        (Instant, text("2009-01-01 08:00:00+08"), Instant, text("2009-01-01 00:00:00+00")),
        (Time, text("01:02:03.000"), Time, text("01:02:03")),
        (Json, text(r#"{"a":1,"b":[1.0]}"#), Json, text(r#"{ "b": [1], "a": 1 }"#)),
        (Uuid, text(&uuid.to_lowercase()), Text, text(uuid)),
        (Uuid, text(&uuid.to_lowercase()), Bytes, Value::Bytes(uuid_bytes.into())),
        (Text, text("a"), Bytes, Value::Bytes((*b"a").into())),
        (Decimal, text("1.50"), Dynamic, Value::F64(1.5)),
        (Decimal, text("1.50"), Dynamic, text("1.5")),
        (Dynamic, Value::Int(5), Dynamic, text("5")),
        (Dynamic, Value::F64(5.0), Dynamic, Value::Int(5)),
    ];
    for (a, x, b, y) in cases {
        assert!(agree((&column(a), &x), (&column(b), &y)), "{a:?} {x:?} {b:?} {y:?}");
    }
    let (written, moment) = (text("2009-01-01 00:00:00.000"), text("2009-01-01 00:00:00"));
    let (a, b) = (declared(Class::Dynamic, "DATETIME"), declared(Class::Dynamic, "TEXT"));
    assert!(agree((&a, &written), (&b, &moment)));
}

#[test]
fn not_the_same() {
    use Class::{Bool, Bytes, Date, DateTime, Decimal, Dynamic, F64, Instant, Int, Json, Text};
    let cases = [
        (Text, Value::Null, Text, text("")),
        (Text, Value::Null, Text, text("NULL")),
        (Int, Value::Null, Int, Value::Int(0)),
        (Bool, Value::Null, Bool, Value::Bool(false)),
        (Json, Value::Null, Json, text("null")),
        (Dynamic, Value::Null, Dynamic, text("")),
        (Text, text("a"), Text, text("a ")),
        (Text, text("a"), Text, text("A")),
        (Text, text("é"), Text, text("e\u{301}")),
        (Text, text("1.0"), Text, text("1")),
        (Int, Value::Int(9_007_199_254_740_993), F64, Value::F64(9_007_199_254_740_992.0)),
        (Decimal, text("0.12345678901234567890123456789"), Decimal, text("0.12345678901234567890123456788")),
        (Bool, Value::Bool(true), Int, Value::Int(2)),
        (DateTime, text("0000-00-00 00:00:00"), DateTime, Value::Null),
        (DateTime, text("2009-01-01 00:00:00.000001"), DateTime, text("2009-01-01 00:00:00")),
        (Date, text("2009-01-01"), DateTime, text("2009-01-01 00:00:01")),
        (Instant, text("infinity"), Instant, text("2009-01-01 00:00:00")),
        (Json, text("1"), Json, text("\"1\"")),
        (Bytes, Value::Bytes([0].into()), Bytes, Value::Bytes([0, 0].into())),
        (Dynamic, text("05"), Dynamic, text("x5")),
    ];
    for (a, x, b, y) in cases {
        assert!(!agree((&column(a), &x), (&column(b), &y)), "{a:?} {x:?} {b:?} {y:?}");
    }
}

#[test]
fn a_verdict_names_the_pairs() {
    let int = column(Class::Int);
    let rules = [rule((0, &int), (1, &int)), rule((1, &int), (2, &int))];
    let (key, one, two) = (Value::Int(9), Value::Int(1), Value::Int(2));
    let source = [one.clone(), two.clone()];
    assert_eq!(compare(&rules, &source, &[key.clone(), one.clone(), two]), Verdict::Same);
    assert_eq!(compare(&rules, &source, &[key, one, Value::Null]), Verdict::Differs(vec![1]));
}

#[test]
fn keys_meet_across_types() {
    let form = |a: &Column, b: &Column| KeyForm::new(a, b);
    let (int, txt, dec) = (column(Class::Int), column(Class::Text), column(Class::Decimal));
    assert_eq!(form(&int, &txt).key(&Value::Int(7)), form(&int, &txt).key(&text("7")));
    assert_eq!(form(&int, &dec).key(&Value::Int(7)), form(&int, &dec).key(&text("7.00")));
    assert_ne!(form(&txt, &txt).key(&text("a")), form(&txt, &txt).key(&text("A")));
    assert_ne!(form(&txt, &txt).key(&text("a")), form(&txt, &txt).key(&text("a ")));
    assert_eq!(form(&int, &int).key(&Value::Null), None);
    assert_eq!(form(&int, &dec).key(&text("abc")).unwrap().as_bytes(), b"abc");
    // Stored: these bytes must stay.
    assert_eq!(form(&int, &int).key(&Value::UInt(u64::MAX)).unwrap().as_bytes(), b"18446744073709551615");
    assert_eq!(form(&dec, &dec).key(&text("-1.50")).unwrap().as_bytes(), b"-1.5");
}

fn any_class() -> impl Strategy<Value = Class> {
    use Class::{
        Bit, Bool, Bytes, Date, DateTime, Decimal, Dynamic, F32, F64, Instant, Int, Json, Other, Text, Time,
        Uuid,
    };
    proptest::sample::select(vec![
        Bool, Int, Decimal, F32, F64, Text, Bytes, Bit, Date, Time, DateTime, Instant, Json, Uuid, Dynamic,
        Other,
    ])
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::uint),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        "\\PC{0,8}".prop_map(Value::text),
        "-?[0-9]{1,4}(\\.[0-9]{0,3})?".prop_map(Value::text),
        "[12][0-9]{3}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:[0-5][0-9])?".prop_map(Value::text),
        proptest::collection::vec(any::<u8>(), 0..17).prop_map(|b| Value::Bytes(b.into())),
    ]
}

proptest! {
    #[test]
    fn symmetric_and_reflexive(a in any_class(), b in any_class(), x in any_value(), y in any_value()) {
        let (a, b) = (column(a), column(b));
        agree((&a, &x), (&b, &y));
        prop_assert!(agree((&a, &x), (&b, &x)));
    }

    #[test]
    fn what_agrees_has_the_same_mark(a in any_class(), b in any_class(), x in any_value(), y in any_value()) {
        prop_assume!(!matches!((&x, &y), (Value::F32(_) | Value::F64(_), _) | (_, Value::F32(_) | Value::F64(_))));
        let (a, b) = (column(a), column(b));
        let rule = rule((0, &a), (0, &b));
        let (x, y) = ([x], [y]);
        if rule.agrees(&x, &y) {
            prop_assert_eq!(rule.source_mark(&x), rule.destination_mark(&y));
        }
    }

    #[test]
    fn null_agrees_with_nothing_else(a in any_class(), b in any_class(), x in any_value()) {
        let (a, b) = (column(a), column(b));
        prop_assert!(!agree((&a, &x), (&b, &Value::Null)));
        prop_assert!(agree((&a, &Value::Null), (&b, &Value::Null)));
        prop_assert_eq!(KeyForm::new(&a, &b).key(&Value::Null), None);
    }

    #[test]
    fn keys_agree_exactly_when_values_do(a in any_class(), b in any_class(), x in any_value(), y in any_value()) {
        // A float has several spellings that lose nothing, a key only one.
        prop_assume!(!matches!((&x, &y), (Value::F32(_) | Value::F64(_), _) | (_, Value::F32(_) | Value::F64(_))));
        prop_assume!(a != Class::F32 && b != Class::F32);
        let (a, b) = (column(a), column(b));
        let form = KeyForm::new(&a, &b);
        prop_assert_eq!(form.key(&x) == form.key(&y), agree((&a, &x), (&b, &y)));
    }
}
