//! The copier: follows the shop, and loses or spoils some of what it should carry, on purpose.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::mpsc;

use super::dice::Dice;
use super::ledger::{Ledger, Spoil};
use super::shop::Change;
use super::tables::{Databases, Row};

/// Changes of a hundred that are dropped…
const DROPPED: usize = 10;
/// …and that arrive spoiled.
const MANGLED: usize = 5;

/// Applies changes until the writer ends and all of them are done.
pub(super) async fn run(
    databases: Arc<Databases>,
    ledger: Arc<Ledger>,
    mut changes: mpsc::UnboundedReceiver<Change>,
    mut dice: Dice,
) -> Result<()> {
    while let Some(change) = changes.recv().await {
        tokio::time::sleep_until(change.due.into()).await;
        let (table, row) = (change.table, &change.row);
        if let Some((spoil, written)) = decide(&mut dice, &change) {
            if let Some(written) = &written {
                databases.write_copy(&[(table, written)]).await?;
            }
            if ledger.spoiled(table, row.id, &row.updated_at, spoil) {
                continue;
            }
            // cupid saw the row on its way and has called for it: too late to spoil it.
        }
        databases.write_copy(&[(table, row)]).await?;
        ledger.arrived(table, row.id);
    }
    Ok(())
}

/// How a change is spoiled, and what reaches the copy then; `None`: it arrives as it is.
fn decide(dice: &mut Dice, change: &Change) -> Option<(Spoil, Option<Row>)> {
    if dice.percent(DROPPED) {
        let spoil = if change.before.is_some() { Spoil::LostUpdate } else { Spoil::LostRow };
        return Some((spoil, None));
    }
    if !dice.percent(MANGLED) {
        return None;
    }
    let row = &change.row;
    let old = change.before.as_ref().map(|before| before.cents).filter(|cents| *cents != row.cents);
    Some(match (old, row.remark.as_deref()) {
        (Some(cents), _) => (Spoil::OldAmount, Some(Row { cents, ..row.clone() })),
        (None, Some("")) => (Spoil::EmptyToNull, Some(Row { remark: None, ..row.clone() })),
        _ => {
            let name = row.name.chars().take(row.name.chars().count() / 2).collect();
            (Spoil::CutName, Some(Row { name, ..row.clone() }))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_is_spoiled_differs_from_what_is_true() {
        let mut dice = Dice::new(3);
        let row = |cents, remark: &str| Row {
            id: 7,
            name: "Ada Abel".to_owned(),
            remark: Some(remark.to_owned()),
            cents,
            updated_at: "2024-02-29 12:00:00.000".to_owned(),
        };
        let mut seen = Vec::new();
        let mut kept = 0;
        for n in 0..4000 {
            let before = (n % 2 == 0).then(|| row(100, ""));
            let change = Change {
                table: 0,
                row: row(100 + n % 3, if n % 5 == 0 { "gift" } else { "" }),
                before: before.clone(),
                due: Instant::now(),
            };
            match decide(&mut dice, &change) {
                None => kept += 1,
                Some((spoil, written)) => {
                    assert_ne!(written.as_ref(), Some(&change.row));
                    assert_eq!(written.is_none(), matches!(spoil, Spoil::LostRow | Spoil::LostUpdate));
                    seen.push(spoil);
                }
            }
        }
        assert!((3300..3500).contains(&kept), "{kept}");
        for spoil in Spoil::ALL {
            assert!(seen.contains(&spoil), "{spoil:?}");
        }
    }
}
