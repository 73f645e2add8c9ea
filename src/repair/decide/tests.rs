use super::*;
use crate::config::Engine;
use crate::model::{Class, Column};
use crate::repair::entry::Entry;
use crate::repair::text;
use crate::repair::value::{decode, encode};
use crate::sql::catalog::Detail;
use crate::sql::statement::Read;
use proptest::prelude::*;

fn table(engine: Engine) -> Table {
    let column =
        |name: &str, class| Column { name: name.into(), class, declared: "x".into(), nullable: true };
    let columns = vec![
        column("id", Class::Int),
        column("a--b", Class::Text),
        column("d", Class::Decimal),
        column("x", Class::Bytes),
    ];
    let detail = || Detail { read: Read::Text, as_text: false, utf8: true, key: "?".to_owned() };
    Table {
        engine,
        schema: Some("s".to_owned()),
        name: "t".to_owned(),
        view: false,
        details: columns.iter().map(|_| detail()).collect(),
        columns,
        primary_key: vec![0],
        indexes: Vec::new(),
        identity: "server s.t".to_owned(),
        incarnation: String::new(),
        untold: Vec::new(),
    }
}

fn facts(table: &Table) -> Facts {
    let no = vec![false; table.columns.len()];
    Facts { generated: no.clone(), always: no.clone(), touched: no.clone(), optional: no, ..Facts::default() }
}

fn update(old: &str, new: &str) -> Entry {
    Entry {
        act: Act::Update,
        key: vec![(0, Value::Int(1))],
        old: vec![(1, Value::text("a")), (2, Value::text(old))],
        new: vec![(2, Value::text(new))],
        follows: Fields::new(),
    }
}

fn row(a: &str, d: &str) -> Vec<Value> {
    vec![Value::Int(1), Value::text(a), Value::text(d), Value::Null]
}

#[test]
fn a_row_is_written_only_while_it_is_as_before() {
    let table = table(Engine::Postgres);
    let rules = Rules::new(&table, false);
    let entry = update("1", "2");
    let of = |row: Option<&[Value]>| decide(&table, &rules, &entry, row);
    assert_eq!(of(Some(&row("a", "1"))), Decision::Write);
    assert_eq!(of(Some(&row("a", "2.0"))), Decision::Already, "however it is spelt");
    assert_eq!(of(Some(&row("b", "2"))), Decision::Already);
    for changed in [row("b", "1"), row("A", "1"), row("a", "1.0"), row("a", "3")] {
        assert!(matches!(of(Some(&changed)), Decision::Stale(_)), "{changed:?}");
    }
    assert!(matches!(of(None), Decision::Stale(_)));
    // What is taken back is taken back to the letter.
    let exact = Rules::new(&table, true);
    assert_eq!(decide(&table, &exact, &update("1", "2"), Some(&row("a", "1"))), Decision::Write);
    assert!(matches!(decide(&table, &exact, &update("1", "2"), Some(&row("a", "2.0"))), Decision::Stale(_)));
}

#[test]
fn rows_that_come_and_go() {
    let table = table(Engine::MySql);
    let rules = Rules::new(&table, false);
    let insert = Entry { act: Act::Insert, old: Fields::new(), ..update("", "2") };
    assert_eq!(decide(&table, &rules, &insert, None), Decision::Write);
    assert_eq!(decide(&table, &rules, &insert, Some(&row("z", "2.00"))), Decision::Already);
    assert!(matches!(decide(&table, &rules, &insert, Some(&row("z", "3"))), Decision::Stale(_)));
    let delete = Entry { act: Act::Delete, new: Fields::new(), ..update("1", "") };
    assert_eq!(decide(&table, &rules, &delete, None), Decision::Already);
    assert_eq!(decide(&table, &rules, &delete, Some(&row("a", "1"))), Decision::Write);
    assert!(matches!(decide(&table, &rules, &delete, Some(&row("a", "2"))), Decision::Stale(_)));
}

#[test]
fn what_is_not_done_at_all() {
    let table = table(Engine::Postgres);
    let why = |facts: &Facts, entry: &Entry, triggers| barred(&table, facts, entry, triggers);
    let (plain, entry) = (facts(&table), update("1", "2"));
    assert_eq!(why(&plain, &entry, false), None);
    let mut generated = plain.clone();
    generated.generated[2] = true;
    assert!(why(&generated, &entry, true).unwrap().contains("computed"));
    let mut always = plain.clone();
    always.always[2] = true;
    assert!(why(&always, &entry, true).is_some());
    let watched =
        Facts { triggers: vec![(Act::Update, "w".to_owned()), (Act::Delete, "d".to_owned())], ..plain };
    let said = why(&watched, &entry, false).unwrap();
    assert!(said.contains("an update would set off w,"), "{said}");
    assert_eq!(why(&watched, &entry, true), None);
    assert_eq!(why(&watched, &Entry { act: Act::Insert, ..entry }, false), None);
}

/// Every value, text with all that could end a comment, a string or a line.
fn value() -> impl Strategy<Value = Value> {
    let odd = prop::sample::select(vec![
        "--",
        "'",
        "\"",
        "\\",
        "\n",
        "\r",
        "\0",
        "\u{2028}",
        "*/",
        ";",
        "-- cupid: ",
        "\u{feff}",
        "é",
        "x",
        "$1",
    ]);
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::uint),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        prop::collection::vec(odd, 0..6).prop_map(|parts| Value::text(parts.concat())),
        any::<String>().prop_map(Value::text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    let some = prop::collection::vec(prop::option::of(value()), 3);
    some.prop_map(|values| {
        values.into_iter().enumerate().filter_map(|(at, value)| Some((at + 1, value?))).collect()
    })
}

proptest! {
    #[test]
    fn a_value_is_read_as_it_was_written(value in value()) {
        let line = encode(&value).unwrap().to_string();
        prop_assert!(!line.contains(['\n', '\r']));
        let read = decode(&serde_json::from_str(&line).unwrap()).unwrap();
        prop_assert!(is_same(&read, &value), "{value:?} {read:?}");
    }

    /// Whatever is in a row: its lines are as many as they are, begin as they should, and say what was written.
    #[test]
    fn an_entry_is_read_as_it_was_written(
        key in value(), old in fields(), new in fields(), follows in fields(),
        act in prop::sample::select(Act::ALL.to_vec()), undo in any::<bool>(),
        engine in prop::sample::select(vec![Engine::MySql, Engine::Postgres, Engine::Sqlite]),
    ) {
        prop_assume!(act != Act::Update || !new.is_empty());
        let table = table(engine);
        let entry = Entry { act, key: vec![(0, key)], old, new, follows };
        let lines = text::entry(&table, &facts(&table), &entry, undo).unwrap();
        let one_line = lines.iter().all(|line| !line.contains(['\n', '\r', '\0']));
        prop_assert!(one_line);
        let read = Entry::decode(&table, lines[0].strip_prefix(text::ENTRY).unwrap()).unwrap();
        // NaN is not equal to itself, its text is.
        prop_assert_eq!(format!("{read:?}"), format!("{entry:?}"));
        prop_assert_eq!(text::entry(&table, &facts(&table), &read, undo).unwrap(), lines);
    }
}
