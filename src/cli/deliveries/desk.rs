//! Who does what is asked: the daemon that holds the state, or this process if nobody does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::exit;
use super::Ends;
use crate::admin;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::engine::{Clerk, Job};
use crate::store::local::{LocalStore, holder};
use crate::store::{Acted, Record, Select, Store, StoreErrorKind, TakenIn, Verb};

/// How long a daemon may need between taking the state and listening.
const STARTS: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// The state to read; `None`: there is none yet, so nothing was found.
pub(in crate::cli) async fn view(config: &Config) -> Result<Option<LocalStore>, Ends> {
    let database = config.state.database(&config.name);
    if !database.exists() {
        return Ok(None);
    }
    let store = LocalStore::view(&database).await?;
    if store.is_new().await? {
        return Ok(None);
    }
    // A daemon that has just started may be at it.
    let began = Instant::now();
    while !store.is_lifted().await? && holder(&database).is_some() && began.elapsed() < STARTS {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Some(store))
}

/// As [`view`], where there must be something to read.
pub(super) async fn must_view(config: &Config) -> Result<LocalStore, Ends> {
    view(config).await?.ok_or_else(|| {
        let database = config.state.database(&config.name);
        Ends::new(exit::CONFIG, format!("there is no state at {} yet: nothing was found", database.display()))
    })
}

/// See the module's documentation.
pub(super) enum Desk {
    Daemon(PathBuf),
    Own { store: Arc<LocalStore>, clerk: Clerk },
}

impl Desk {
    /// Whoever holds the state, or this process.
    pub(super) async fn open(config: &Config) -> Result<Self, Ends> {
        let database = config.state.database(&config.name);
        let daemon = || Self::Daemon(admin::path_beside(&database));
        if holder(&database).is_some() {
            return Ok(daemon());
        }
        match LocalStore::open(&database).await {
            Ok(store) => {
                let store = Arc::new(store);
                let clerk = Clerk::new(store.clone(), Clock::system(), Vec::new());
                Ok(Self::Own { store, clerk })
            }
            // It has just started.
            Err(e) if e.kind == StoreErrorKind::Locked => Ok(daemon()),
            Err(e) => Err(e.into()),
        }
    }

    /// Does it, and tells how far it is from time to time.
    pub(super) async fn act(
        &self,
        verb: Verb,
        select: Select,
        author: String,
        note: Option<String>,
        mut progress: impl FnMut(&Job),
    ) -> Result<Job, Ends> {
        let mut job = match self {
            Self::Own { clerk, .. } => clerk.begin(verb, select, author, note)?,
            Self::Daemon(socket) => {
                let request =
                    json!({ "verb": "act", "act": verb, "select": select, "author": author, "note": note });
                read(&ask(socket, &request).await?["job"])?
            }
        };
        while job.ended.is_none() {
            progress(&job);
            let lost = || {
                Ends::new(
                    exit::STATE,
                    "the daemon was started again meanwhile; ask again, what is done is not done twice",
                )
            };
            let number = job.number;
            job = match self {
                Self::Own { clerk, .. } => {
                    if let Some(pause) = clerk.step().await? {
                        tokio::time::sleep(pause).await;
                    }
                    clerk.job(number).ok_or_else(lost)?
                }
                Self::Daemon(socket) => {
                    tokio::time::sleep(PAUSE).await;
                    let answer = ask(socket, &json!({ "verb": "job", "number": number })).await?;
                    if answer["job"].is_null() {
                        return Err(lost());
                    }
                    read(&answer["job"])?
                }
            };
        }
        Ok(job)
    }

    /// Lets a body be sent.
    pub(super) async fn edit(
        &self,
        number: i64,
        body: &[u8],
        author: &str,
        note: Option<&str>,
    ) -> Result<Acted, Ends> {
        match self {
            Self::Own { clerk, .. } => {
                let note = note.map(str::to_owned);
                Ok(clerk.edit(number, body.into(), author.to_owned(), note).await?)
            }
            Self::Daemon(socket) => {
                let request = json!({ "verb": "edit", "number": number, "author": author, "note": note });
                read(&ask_with(socket, request, body).await?["acted"])
            }
        }
    }

    /// Takes in a few deliveries.
    pub(super) async fn take_in(&self, records: Vec<Record>) -> Result<TakenIn, Ends> {
        match self {
            Self::Own { clerk, .. } => Ok(clerk.take_in(records).await?),
            Self::Daemon(socket) => {
                let mut lines = Vec::new();
                for record in &records {
                    serde_json::to_writer(&mut lines, record)
                        .map_err(|e| Ends::new(exit::INTERNAL, e.to_string()))?;
                    lines.push(b'\n');
                }
                read(&ask_with(socket, json!({ "verb": "import" }), &lines).await?["taken"])
            }
        }
    }

    /// Gives the state back.
    pub(super) async fn close(self) {
        if let Self::Own { store, .. } = self {
            store.close().await;
        }
    }
}

async fn ask(socket: &Path, request: &Value) -> Result<Value, Ends> {
    listening(socket).await;
    answered(admin::ask(socket, request).await)
}

async fn ask_with(socket: &Path, request: Value, payload: &[u8]) -> Result<Value, Ends> {
    listening(socket).await;
    answered(admin::ask_with(socket, request, payload).await)
}

/// Waits for a daemon that has just started.
async fn listening(socket: &Path) {
    let began = Instant::now();
    while !socket.exists() && began.elapsed() < STARTS {
        tokio::time::sleep(PAUSE).await;
    }
}

fn answered(answer: std::io::Result<Value>) -> Result<Value, Ends> {
    let answer = answer.map_err(|e| {
        Ends::new(exit::STATE, format!("the daemon cannot be asked ({e}); ask as the user that runs it"))
    })?;
    match answer["error"].as_str() {
        Some(e) => Err(Ends::new(exit::STATE, e)),
        None => Ok(answer),
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Value) -> Result<T, Ends> {
    T::deserialize(answer).map_err(|e| {
        Ends::new(exit::STATE, format!("the daemon answered something else ({e}); is it of another version?"))
    })
}
