//! `cupid runs export`: a line for each run, however many deliveries it has opened.

use serde_json::{Value, json};

use super::{Format, Refused, Shelf, Which, words};
use crate::model::RunId;
use crate::store::{Opened, Run, RunResult, Runs};

/// Runs read at once.
const PAGE: usize = 500;

pub(super) async fn export(shelf: &Shelf, which: &Which, format: Format) -> Result<(), Refused> {
    let mut filter = which.filter(true, PAGE);
    let wanted = filter.result.take();
    loop {
        // What is left out must not end the pages.
        let page = match &shelf.store {
            Some(store) => store.runs(&filter).await?,
            None => Vec::new(),
        };
        let Some(last) = page.last().map(|run| run.id) else { return Ok(()) };
        for run in page.into_iter().map(|run| shelf.judged(run)) {
            if run.result != RunResult::Running && wanted.is_none_or(|wanted| wanted == run.result) {
                write(shelf, &run, format).await?;
            }
        }
        filter.page = Some(last);
    }
}

async fn write(shelf: &Shelf, run: &Run, format: Format) -> Result<(), Refused> {
    let (before, after, text): (String, String, fn(&Opened) -> String) = match format {
        Format::Jsonl => {
            let facts = words::facts(run).to_string();
            let facts = facts.strip_suffix('}').unwrap_or(&facts).to_owned();
            (format!("{facts},\"deliveries\":["), "]}".to_owned(), |d| d.id.to_string())
        }
        Format::OperationLog => {
            let result = i32::from(run.result == RunResult::Ok);
            let id = json!(run.id.to_string());
            let after =
                format!("],\"start_at\":{},\"end_at\":{},\"result\":{result}}}", run.started, run.ended);
            (format!("{{\"id\":{id},\"data\":["), after, words::delivery)
        }
    };
    print!("{before}");
    if run.opened > 0 {
        deliveries(shelf, run.id, text).await?;
    }
    println!("{after}");
    Ok(())
}

/// They may be a million: they are written as they are read.
async fn deliveries(shelf: &Shelf, run: RunId, text: fn(&Opened) -> String) -> Result<(), Refused> {
    let Some(store) = &shelf.store else { return Ok(()) };
    let mut after = 0;
    let mut comma = "";
    loop {
        let page = store.opened_by(run, after).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        for delivery in &page {
            print!("{comma}{}", Value::from(text(delivery)));
            comma = ",";
        }
    }
}
