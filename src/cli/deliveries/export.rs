//! `cupid deliveries export`: deliveries as JSON, one a line.

use std::io::Write as _;

use super::args::Export;
use super::{Ends, act, desk, list, pick};
use crate::config::Config;
use crate::store::{History, Order};

/// Deliveries read in one piece.
const PIECE: usize = 500;

/// Writes them to standard output.
pub(super) async fn export(config: &Config, export: Export) -> Result<u8, Ends> {
    let Export { filter, limit, dry_run } = export;
    let Some(store) = desk::view(config).await? else {
        eprintln!("nothing was found yet");
        return Ok(0);
    };
    let select = pick::select(&store, filter, &list::open_states()).await?;
    if dry_run {
        let tally = store.tally(&select).await?;
        let total: u64 = tally.iter().map(|t| t.count).sum();
        let total = limit.map_or(total, |limit| total.min(limit));
        if total > 0 {
            println!("{}", act::counts(config, None, &tally).join("\n"));
        }
        println!("{total} would be written");
        return Ok(0);
    }
    let (mut after, mut written) = (None, 0_u64);
    let mut out = std::io::BufWriter::new(std::io::stdout());
    loop {
        let found = store.find(&select, Order::Oldest, after, PIECE).await?;
        for place in &found.places {
            if limit.is_some_and(|limit| written >= limit) {
                break;
            }
            // One that was deleted meanwhile was kept for as long as it should be.
            let Some(record) = store.record(place.number).await? else { continue };
            let line = serde_json::to_string(&record)
                .map_err(|e| Ends::new(super::super::exit::INTERNAL, e.to_string()))?;
            if writeln!(out, "{line}").is_err() {
                // Whoever read has left.
                return Ok(0);
            }
            written += 1;
        }
        after = found.next;
        if after.is_none() || limit.is_some_and(|limit| written >= limit) {
            break;
        }
    }
    out.flush()
        .map_err(|e| Ends::new(super::super::exit::FAILED, format!("the output cannot be written: {e}")))?;
    eprintln!("{written} written");
    Ok(0)
}
