//! How much one repair may change. Looked at before the first row is written.

use crate::sql::catalog::Table;
use crate::sql::write::count;
use crate::sql::{Database, PlaceError};

/// Plans of so few rows are never too large a share of a table.
const FEW: u64 = 100;

/// Bounds of a repair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caps {
    /// Rows at most.
    pub rows: u64,
    /// Share of the copy's rows at most, 0 to 1.
    pub ratio: f64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { rows: 10_000, ratio: 0.05 }
    }
}

impl Caps {
    /// Why a repair of so many rows would be too large; `None`: it is not.
    pub(super) async fn exceeded(
        &self,
        database: &Database,
        table: &Table,
        rows: u64,
    ) -> Result<Option<String>, PlaceError> {
        if rows > self.rows {
            return Ok(Some(format!(
                "{rows} rows would be written and at most {} may be; look at the plan, and if it is meant, give --max-rows {rows}",
                self.rows
            )));
        }
        if rows <= FEW || self.ratio >= 1.0 {
            return Ok(None);
        }
        // So many rows make the share small enough; nobody needs to know how many more there are.
        let enough = (rows as f64 / self.ratio.max(1e-9)).ceil() as u64;
        let there = database.fetch(&count(table, enough), &[]).await?;
        let there =
            there.first().and_then(|row| row[0].as_int()).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        Ok(self.too_large(rows, there, enough))
    }

    fn too_large(&self, rows: u64, there: u64, enough: u64) -> Option<String> {
        (there < enough).then(|| {
            format!(
                "{rows} rows would be written, the copy has {there}, and at most {}% of them may be; look at the plan, and if it \
                 is meant, give a larger --max-ratio (100% lets everything pass)",
                (self.ratio * 100.0).round()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_the_rows_that_there_are() {
        let caps = Caps::default();
        assert_eq!(caps.too_large(200, 4000, 4000), None);
        let said = caps.too_large(200, 3999, 4000).unwrap();
        assert!(said.contains("200 rows") && said.contains("3999") && said.contains("5%"), "{said}");
    }
}
