//! What a plan says of itself: which tables, when, by which key.

use serde::{Deserialize, Serialize};

use crate::sql::catalog::Table;

/// The version of the format, which grows whenever a line would be written otherwise; a file of another one is not touched.
pub(super) const VERSION: u32 = 1;

/// The head of a plan or undo file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub(super) version: u32,
    /// This file.
    pub id: String,
    /// The file that this one takes back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub undoes: Option<String>,
    /// When it was made, in UTC.
    pub made: String,
    /// What the rows should be as; an undo file has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<Place>,
    /// What is repaired.
    pub copy: Place,
    /// The copy itself, whatever address it was reached by.
    pub(super) identity: String,
    /// Names of the key's columns at the copy.
    pub(super) key: Vec<String>,
    /// Names of the compared ones.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(super) compared: Vec<String>,
    /// All columns of the copy with their types.
    pub(super) columns: Vec<(String, String)>,
}

/// A table at a place, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Where, as a DSN is shown.
    pub place: String,
    /// With its schema.
    pub table: String,
}

impl Header {
    /// Of a file over this copy.
    pub(super) fn new(made: String, copy: (&str, &Table), key: &[usize]) -> Self {
        let (place, table) = copy;
        let name = |at: &usize| table.columns[*at].name.to_string();
        Self {
            version: VERSION,
            id: uuid::Uuid::now_v7().to_string(),
            undoes: None,
            made,
            source: None,
            copy: Place { place: place.to_owned(), table: table.full_name() },
            identity: table.identity.clone(),
            key: key.iter().map(name).collect(),
            compared: Vec::new(),
            columns: columns(table),
        }
    }

    /// Of the file that takes this one back.
    pub(super) fn undo(&self, made: String) -> Self {
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            undoes: Some(self.id.clone()),
            made,
            source: None,
            ..self.clone()
        }
    }

    /// Whether this table is the one that the file is about, as it was then.
    pub(super) fn fits(&self, place: &str, table: &Table) -> Result<(), String> {
        if self.identity != table.identity {
            return Err(format!(
                "the file is for {} at {}; the URL leads to {} at {place}, which is not the same table (one that was made \
                 anew is not either); give the URL of that copy, or make a new plan for this one with cupid diff --plan",
                self.copy.table,
                self.copy.place,
                table.full_name()
            ));
        }
        let now = columns(table);
        if let Some((name, was)) = self.columns.iter().find(|column| !now.contains(column)) {
            let is = now.iter().find(|(known, _)| known == name);
            let is = is.map_or_else(|| "is not there any more".to_owned(), |(_, is)| format!("is {is} now"));
            return Err(format!(
                "column {name} of {} was {was} when the file was made and {is}; make a new plan with cupid diff --plan",
                table.full_name()
            ));
        }
        if let Some((name, _)) = now.iter().find(|column| !self.columns.contains(column)) {
            return Err(format!(
                "{} has a column {name} that was not there when the file was made; make a new plan with cupid diff --plan",
                table.full_name()
            ));
        }
        Ok(())
    }
}

fn columns(table: &Table) -> Vec<(String, String)> {
    table.columns.iter().map(|column| (column.name.to_string(), column.declared.to_string())).collect()
}
