//! Whether two key values mean the same row.

use std::borrow::Cow;

use super::class::class;
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
}

impl KeyForm {
    /// The form of keys for a source's and a destination's key column.
    pub fn new(source: &Column, destination: &Column) -> Self {
        let bits = class(source) == Class::Bit && class(destination) != Class::Text;
        Self { form: Form::between(source, destination), bits }
    }

    /// A source's key as the destination is asked for it: what only the source's type tells is told by the value.
    pub fn asked<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        let number = || u64::from_str_radix(&spell::bits(value)?, 2).ok();
        match self.bits.then(number).flatten() {
            Some(number) => Cow::Owned(Value::uint(number)),
            None => Cow::Borrowed(value),
        }
    }

    /// The canonical key of a value of either side; `None` for NULL, which no row can be found by.
    pub fn key(&self, value: &Value) -> Option<Key> {
        self.form.canonical(value).map(|bytes| Key::new(bytes.into_owned()))
    }
}
