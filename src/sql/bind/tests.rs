use super::*;

fn column(class: Class, declared: &str) -> Column {
    Column { name: "k".into(), class, declared: declared.into(), nullable: true }
}

fn first(engine: Engine, class: Class, value: Value) -> Option<Value> {
    key(engine, &column(class, ""), &value).0[0].clone()
}

#[test]
fn a_key_takes_the_form_of_its_column() {
    use Engine::{MySql, Postgres, Sqlite};
    let text = Value::text;
    let cases = [
        (MySql, Class::Int, text("5"), Some(Value::Int(5))),
        (MySql, Class::Int, text("5.00"), Some(Value::Int(5))),
        (MySql, Class::Int, text("5.5"), None),
        (MySql, Class::Int, text("abc"), None),
        (MySql, Class::Int, text(""), None),
        (MySql, Class::Int, Value::UInt(u64::MAX), Some(Value::UInt(u64::MAX))),
        (Postgres, Class::Int, Value::UInt(u64::MAX), None),
        (Sqlite, Class::Dynamic, Value::UInt(u64::MAX), Some(text("18446744073709551615"))),
        (MySql, Class::Decimal, Value::Int(7), Some(text("7"))),
        (MySql, Class::Decimal, text("NaN"), None),
        (Postgres, Class::Decimal, text("NaN"), Some(text("NaN"))),
        (MySql, Class::F32, text("0.1"), Some(Value::F64(f64::from(0.1_f32)))),
        (Postgres, Class::Text, text("a\0b"), None),
        (MySql, Class::Text, text("a\0b"), Some(text("a\0b"))),
        (MySql, Class::Text, Value::Int(5), Some(text("5"))),
        (Postgres, Class::Date, text("2024-02-30"), None),
        (MySql, Class::Date, text("0000-00-00"), Some(text("0000-00-00"))),
        (Postgres, Class::Date, text("2024-02-29 00:00:00"), Some(text("2024-02-29"))),
        (Postgres, Class::Date, text("2024-02-29 10:00:00"), None),
        (Postgres, Class::Instant, text("infinity"), Some(text("infinity"))),
        (MySql, Class::Instant, text("2024-01-01 08:00:00+08"), Some(text("2024-01-01 00:00:00"))),
        (Postgres, Class::Uuid, text("nonsense"), None),
        (Postgres, Class::Bool, Value::Int(1), Some(Value::Bool(true))),
        (Postgres, Class::Bool, Value::Int(2), None),
        (MySql, Class::Bit, Value::Bytes([1, 0].into()), Some(Value::Int(256))),
    ];
    for (engine, class, value, wanted) in cases {
        assert_eq!(first(engine, class, value.clone()), wanted, "{engine} {class:?} {value:?}");
    }
}

#[test]
fn a_uuid_fits_sixteen_bytes() {
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    let bytes = key(Engine::MySql, &column(Class::Bytes, "binary(16)"), &Value::text(id)).0[0].clone();
    let Some(Value::Bytes(bytes)) = bytes else { panic!("{bytes:?}") };
    assert_eq!(bytes.len(), 16);
    assert_eq!(first(Engine::Postgres, Class::Uuid, Value::Bytes(bytes)), Some(Value::text(id)));
}

#[test]
fn null_is_never_looked_up() {
    for class in [Class::Int, Class::Text, Class::Dynamic, Class::Bool] {
        assert_eq!(key(Engine::Sqlite, &column(class, ""), &Value::Null), Forms::default());
    }
}

#[test]
fn lists_are_filled_with_their_lightest_key() {
    let (a, b) = (Value::Int(1), Value::Int(2));
    let params = params(Engine::MySql, Class::Int, &[&a, &b], 4);
    assert_eq!(params, [Param::Int(1), Param::Int(2), Param::Int(1), Param::Int(1)]);
    let heavy = Value::text("long");
    let params = super::params(Engine::MySql, Class::Text, &[&heavy, &Value::text("b")], 3);
    assert_eq!(params, [Param::text("long"), Param::text("b"), Param::text("b")]);
    let params = super::params(Engine::Postgres, Class::Int, &[&a, &b], 10);
    assert_eq!(params, [Param::Ints(vec![1, 2])]);
}

#[test]
fn lists_have_bounds() {
    let singly = |keys: Vec<Value>| keys.into_iter().map(|key| vec![key]).collect::<Vec<_>>();
    let sizes = |groups: &[Vec<Value>]| lists(groups).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(&singly((0..2500).map(Value::Int).collect())), [1000, 1000, 500]);
    assert_eq!(sizes(&singly(vec![Value::text("x".repeat(HEAVIEST / 2)); 3])), [2, 1]);
    // A single one too heavy for a list is asked for alone; forms of one key stay together.
    assert_eq!(sizes(&singly(vec![Value::text("x".repeat(HEAVIEST * 2)), Value::Int(1)])), [1, 1]);
    assert_eq!(sizes(&[vec![Value::Int(1); 600], vec![Value::Int(2); 600]]), [1, 1]);
}
