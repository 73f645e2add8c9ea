//! `cupid deliveries edit`.

use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::exit;
use super::args::Edit;
use super::desk::{self, Desk};
use super::{Ends, pick, who};
use crate::admin::PAYLOAD_LIMIT;
use crate::config::Config;
use crate::store::{Acted, Store};

/// Largest body: what a claim may hold.
const LARGEST: usize = 16 << 20;
/// How long is waited for a call that is open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets a body be sent.
pub(super) async fn edit(config: &Config, edit: Edit) -> Result<u8, Ends> {
    let body = read(&edit.body)?;
    check(&body, &edit.body, edit.raw)?;
    let store = desk::must_view(config).await?;
    let number = pick::number(&store, &edit.delivery).await?;
    store.close().await;
    let author = who::author(edit.author);
    let desk = Desk::open(config).await?;
    let began = Instant::now();
    let acted = loop {
        let acted = desk.edit(number, &body, &author, edit.note.as_deref()).await;
        if !matches!(acted, Ok(Acted::Busy)) || began.elapsed() >= PATIENCE {
            break acted;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    desk.close().await;
    let refused =
        |why: &str| Err(Ends::new(exit::FAILED, format!("delivery {number} was not changed: {why}")));
    match acted? {
        Acted::Done | Acted::Already => {
            println!("{} bytes are sent next, as they are, for delivery {number}", body.len());
            Ok(0)
        }
        Acted::Busy => refused("it is being called or looked at; ask again in a moment"),
        Acted::Refused(why) => refused(why.words()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Ends> {
    let failed =
        |e: std::io::Error| Ends::new(exit::CONFIG, format!("{} cannot be read: {e}", path.display()));
    if path != Path::new("-") {
        return std::fs::read(path).map_err(failed);
    }
    let mut body = Vec::new();
    std::io::stdin().take(LARGEST as u64 + 1).read_to_end(&mut body).map_err(failed)?;
    Ok(body)
}

fn check(body: &[u8], path: &Path, raw: bool) -> Result<(), Ends> {
    const { assert!(LARGEST <= PAYLOAD_LIMIT, "a body can be handed to the daemon") };
    if body.len() > LARGEST {
        let words = format!("the body has more than {LARGEST} bytes, which is the most that can be sent");
        return Err(Ends::new(exit::CONFIG, words));
    }
    if raw {
        return Ok(());
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(body).map(drop).map_err(|e| {
        let words = format!("{} is not JSON: {e}; mend it, or send it as it is with --raw", path.display());
        Ends::new(exit::CONFIG, words)
    })
}
