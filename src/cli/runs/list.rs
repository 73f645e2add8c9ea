//! `cupid runs list`.

use serde_json::Value;

use super::{Refused, Shelf, words};
use crate::store::RunFilter;

pub(super) async fn list(shelf: &Shelf, filter: &RunFilter, json: bool) -> Result<(), Refused> {
    let runs = shelf.runs(filter).await?;
    if json {
        println!("{:#}", runs.iter().map(words::facts).collect::<Value>());
        return Ok(());
    }
    if runs.is_empty() {
        match shelf.store {
            Some(_) => eprintln!("no such run is kept"),
            None => eprintln!("no run is kept yet, there is no state {}", shelf.database.display()),
        }
    }
    for run in &runs {
        println!("{}", words::line(run));
    }
    if runs.len() == filter.limit {
        eprintln!("there may be more: --limit shows more than {}", filter.limit);
    }
    Ok(())
}
