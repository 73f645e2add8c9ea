//! The plan that `cupid diff --plan` writes while it finds.

use std::collections::BTreeMap;
use std::path::Path;

use super::show::Progress;
use crate::audit::{Rows, Tables};
use crate::base::chain::chain;
use crate::cli::exit;
use crate::cli::text::{number, plain};
use crate::cli::when::now;
use crate::repair::{FileError, Layout, Left, Place, Planner, Seen};
use crate::sql::Database;

/// Reasons that are shown.
const MOST: usize = 10;

/// A plan that is wanted or not.
pub(in crate::cli) struct Plan<'a> {
    path: Option<&'a Path>,
    /// `None` if none is wanted, or it could not be written.
    planner: Option<Planner>,
    /// Why differences are not in it.
    left: BTreeMap<String, u64>,
}

impl<'a> Plan<'a> {
    /// Begins the file, or says why not and with which code to end.
    pub(super) async fn begin(
        path: Option<&'a Path>,
        tables: &Tables,
        filtered: bool,
        copy: &Database,
    ) -> Result<Self, u8> {
        let mut plan = Self { path, planner: None, left: BTreeMap::new() };
        let Some(path) = path else { return Ok(plan) };
        let [key, compared] = tables.columns();
        let source = Place { place: tables.places()[0].to_owned(), table: tables.tables()[0].clone() };
        let layout = Layout { source, copy: tables.copy_table(), key, compared, filtered };
        match Planner::create(path, copy, &layout, now()).await {
            Ok(Ok(planner)) => plan.planner = Some(planner),
            Ok(Err(e)) => {
                eprintln!("error: {}", chain(&e));
                return Err(exit::CONFIG);
            }
            Err(e) => {
                eprintln!("error: {}", chain(&e));
                return Err(if e.kind.is_passing() { exit::UNVERIFIED } else { exit::CONFIG });
            }
        }
        Ok(plan)
    }

    /// None is wanted.
    pub(in crate::cli) fn none() -> Self {
        Self { path: None, planner: None, left: BTreeMap::new() }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.path.is_some()
    }

    /// Adds a difference. If the file cannot be written any more, that is said and the comparison goes on.
    pub(super) fn add(&mut self, rows: &Rows, progress: &mut Progress) {
        let Some(planner) = &mut self.planner else { return };
        let (source, copy) = (rows.source.as_ref(), rows.copy.as_ref());
        match planner.add(&Seen { kind: rows.of.kind, key: &rows.of.key, source, copy }) {
            Ok(None) => {}
            Ok(Some(Left(why))) => *self.left.entry(why).or_default() += 1,
            Err(e) => {
                progress.clear();
                eprintln!("error: {}; there is no plan", chain(&e));
                self.planner = None;
            }
        }
    }

    /// Ends the file and says what is in it; a code if there is none although it was wanted.
    pub(super) fn finish(self) -> Option<u8> {
        let path = self.path?;
        let ended: Option<Result<(u64, u64), FileError>> = self.planner.map(Planner::finish);
        let (entries, left) = match ended {
            Some(Ok(counts)) => counts,
            Some(Err(e)) => {
                eprintln!("error: {}; there is no plan", chain(&e));
                return Some(exit::CONFIG);
            }
            None => return Some(exit::CONFIG),
        };
        eprintln!("plan: {} rows in {}", number(entries), path.display());
        if left > 0 {
            eprintln!("note: {} differences are not in the plan:", number(left));
        }
        for (why, count) in self.left.iter().take(MOST) {
            eprintln!("  {} × {}", number(*count), plain(why));
        }
        if self.left.len() > MOST {
            eprintln!("  and others; each is in the file");
        }
        None
    }
}
