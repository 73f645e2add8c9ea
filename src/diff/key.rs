//! Whether two key values mean the same row.

use std::borrow::Cow;

use super::class::{class, is_sixteen_bytes};
use super::form::Form;
use super::spell;
use crate::model::{Class, Column, Key, Value};

/// Makes keys of one pair of `byColumn`s comparable.
///
/// The bytes of a [`Key`] are stored: a form must never change for a pair of classes.
#[derive(Clone, Copy, Debug)]
pub struct KeyForm {
    form: Form,
    /// The source has bit strings, the destination numbers or bit strings.
    bits: bool,
    /// Neither side can write one key in several ways.
    back: bool,
    /// The destination has UUIDs in a column that is not made for them: nobody knows how they are spelt.
    spelt: bool,
}

impl KeyForm {
    /// The form of keys for a source's and a destination's key column.
    pub fn new(source: &Column, destination: &Column) -> Self {
        let bits = class(source) == Class::Bit && class(destination) != Class::Text;
        let form = Form::between(source, destination);
        let back = [source, destination].into_iter().all(|column| writes_one_way(form, column));
        let spelt = form == Form::Uuid && class(destination) != Class::Uuid && !is_sixteen_bytes(destination);
        Self { form, bits, back: back && same_kind(source, destination), spelt }
    }

    /// A source's key as the destination is asked for it: what only the source's type tells is told by the value.
    pub fn asked<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        let number = || u64::from_str_radix(&spell::bits(value)?, 2).ok();
        match self.bits.then(number).flatten() {
            Some(number) => Cow::Owned(Value::uint(number)),
            None => Cow::Borrowed(value),
        }
    }

    /// The further ways in which the destination may spell a source's key; asked for beside [`KeyForm::asked`].
    pub fn further(&self, value: &Value) -> Vec<Value> {
        let id = || uuid::Uuid::try_parse(&spell::uuid(value)?).ok();
        let Some(id) = self.spelt.then(id).flatten() else { return Vec::new() };
        let (hyphenated, simple) = (id.as_hyphenated().to_string(), id.as_simple().to_string());
        let upper = [hyphenated.to_uppercase(), simple.to_uppercase()];
        let texts = [hyphenated, simple].into_iter().chain(upper).map(Value::text);
        let spelt = texts.chain([Value::Bytes(id.as_bytes().as_slice().into())]);
        spelt.filter(|one| one != value).collect()
    }

    /// Whether there are any.
    pub fn is_spelt(&self) -> bool {
        self.spelt
    }

    /// The canonical key of a value of either side; `None` for NULL, which no row can be found by.
    pub fn key(&self, value: &Value) -> Option<Key> {
        self.form.canonical(value).map(|bytes| Key::new(bytes.into_owned()))
    }

    /// Whether a key found on either side finds its row on the other for certain, as it is written there. Where a side
    /// may write one key in several ways (a UUID in a text column), only the side with a type of its own can be asked.
    pub fn goes_back(&self) -> bool {
        self.back
    }

    /// The values that a key was made of, as far as finding rows goes; right where [`KeyForm::goes_back`].
    pub fn values(&self, key: &Key) -> Vec<Value> {
        let bytes = Value::Bytes(key.as_bytes().into());
        match (std::str::from_utf8(key.as_bytes()), self.form) {
            (Ok(text), Form::Plain) => vec![Value::text(text), bytes],
            (Ok(text), _) => vec![Value::text(text)],
            (Err(_), _) => vec![bytes],
        }
    }
}

fn writes_one_way(form: Form, column: &Column) -> bool {
    let typed = column.class != Class::Dynamic;
    match (form, class(column)) {
        (Form::Plain, _) => true,
        (Form::Number, Class::Int | Class::Decimal | Class::F64) => true,
        (Form::Single, Class::F32) => true,
        (Form::Truth, Class::Bool | Class::Int) => typed,
        (Form::Moment, Class::Date | Class::DateTime | Class::Instant) => typed,
        (Form::Clock, Class::Time) => typed,
        (Form::Uuid, Class::Uuid) => typed,
        (Form::Uuid, _) => is_sixteen_bytes(column),
        (Form::Address, Class::Other) => true,
        _ => false,
    }
}

/// What has no class of its own is written as its own type writes it.
fn same_kind(a: &Column, b: &Column) -> bool {
    let other = a.class == Class::Other || b.class == Class::Other;
    !other || (a.class == b.class && a.declared == b.declared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(class: Class, declared: &str) -> Column {
        Column { name: "k".into(), class, declared: declared.into(), nullable: false }
    }

    #[test]
    fn keys_that_can_be_written_in_several_ways_do_not_go_back() {
        let goes = |a: &Column, b: &Column| {
            assert_eq!(KeyForm::new(a, b).goes_back(), KeyForm::new(b, a).goes_back());
            KeyForm::new(a, b).goes_back()
        };
        let (int, text) = (column(Class::Int, "bigint"), column(Class::Text, "varchar(40)"));
        let (uuid, time) = (column(Class::Uuid, "uuid"), column(Class::DateTime, "datetime"));
        let (sqlite_int, sqlite_text) = (column(Class::Dynamic, "INTEGER"), column(Class::Dynamic, "TEXT"));
        for (a, b) in [
            (&int, &int),
            (&int, &sqlite_int),
            (&text, &text),
            (&text, &sqlite_text),
            (&uuid, &uuid),
            (&uuid, &column(Class::Bytes, "binary(16)")),
            (&time, &column(Class::Instant, "timestamptz")),
            (&int, &column(Class::Decimal, "decimal(20,0)")),
        ] {
            assert!(goes(a, b), "{} {}", a.declared, b.declared);
        }
        for (a, b) in [
            (&int, &text),
            (&uuid, &text),
            (&time, &text),
            (&time, &column(Class::Dynamic, "DATETIME")),
            (&int, &column(Class::Dynamic, "")),
            (&column(Class::Json, "json"), &column(Class::Json, "json")),
            (&column(Class::Other, "interval"), &text),
        ] {
            assert!(!goes(a, b), "{} {}", a.declared, b.declared);
        }
    }

    #[test]
    fn what_a_key_was_made_of_makes_it_again() {
        let text = KeyForm::new(&column(Class::Text, "text"), &column(Class::Text, "text"));
        let int = KeyForm::new(&column(Class::Int, "int"), &column(Class::Decimal, "decimal(9,2)"));
        let uuid = KeyForm::new(&column(Class::Uuid, "uuid"), &column(Class::Bytes, "binary(16)"));
        let id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        for (form, value) in [
            (text, Value::text("Ä b")),
            (text, Value::Bytes([0xff, 0].into())),
            (int, Value::Int(-7)),
            (int, Value::text("7.50")),
            (uuid, Value::text(id)),
            (uuid, Value::Bytes(uuid::Uuid::try_parse(id).unwrap().as_bytes().as_slice().into())),
        ] {
            let key = form.key(&value).unwrap();
            for again in form.values(&key) {
                assert_eq!(form.key(&again).as_ref(), Some(&key), "{value:?}");
            }
        }
    }
}
