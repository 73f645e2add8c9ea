//! The insert feed: rows in the order of their integer key.

use serde::{Deserialize, Serialize};

use crate::model::{Position, RowId};

/// `{"after":"123"}`; null: before everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    after: Option<String>,
}

impl Cursor {
    /// Behind this key.
    pub(super) fn after(id: RowId) -> Self {
        Self { after: Some(id.to_string()) }
    }

    /// Reads a position; `None` if it is not one of ours.
    pub(super) fn read(position: &Position) -> Option<Self> {
        let cursor: Self = serde_json::from_str(position.as_str()).ok()?;
        let valid = cursor.after.is_none() || cursor.id().is_some();
        valid.then_some(cursor)
    }

    /// The key, if there is one to start behind.
    pub(super) fn id(&self) -> Option<RowId> {
        self.after.as_ref()?.parse().ok().map(RowId)
    }

    /// As it is stored.
    pub(super) fn position(&self) -> Position {
        Position::new(serde_json::to_string(self).expect("strings always serialise"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_being_stored() {
        let cursor = Cursor::after(RowId(i128::from(u64::MAX)));
        assert_eq!(cursor.position().as_str(), r#"{"after":"18446744073709551615"}"#);
        assert_eq!(Cursor::read(&cursor.position()), Some(cursor));
        assert_eq!(Cursor::default().position().as_str(), r#"{"after":null}"#);
        assert_eq!(Cursor::read(&Cursor::default().position()), Some(Cursor::default()));
        for text in ["", "5", r#"{"after":"x"}"#] {
            assert_eq!(Cursor::read(&Position::new(text)), None, "{text}");
        }
    }
}
