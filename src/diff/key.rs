//! Whether two key values mean the same row.

use super::form::Form;
use crate::model::{Column, Key, Value};

/// Makes keys of one pair of `byColumn`s comparable.
///
/// The bytes of a [`Key`] are stored: a form must never change for a pair of classes.
#[derive(Clone, Copy, Debug)]
pub struct KeyForm(Form);

impl KeyForm {
    /// The form of keys for a source's and a destination's key column.
    pub fn new(source: &Column, destination: &Column) -> Self {
        Self(Form::between(source, destination))
    }

    /// The canonical key of a value of either side; `None` for NULL, which no row can be found by.
    pub fn key(&self, value: &Value) -> Option<Key> {
        self.0.canonical(value).map(|bytes| Key::new(bytes.into_owned()))
    }
}
