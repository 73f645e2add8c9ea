//! `cupid deliveries`: single deliveries, for people. What is read comes from the state, beside a daemon or without one;
//! what changes something goes through the daemon if there is one.

use std::process::ExitCode;

use crate::config::Config;

mod act;
mod args;
mod desk;
mod edit;
mod export;
mod import;
mod list;
mod pick;
mod show;
mod who;

pub(super) use args::DeliveriesCommand;
pub(super) use desk::view;
pub(super) use list::is_parked;

/// How a command ends early: with words for people, or with none if they were said already.
pub(super) struct Ends {
    pub(super) code: u8,
    pub(super) words: String,
}

impl Ends {
    fn new(code: u8, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

impl From<crate::store::StoreError> for Ends {
    fn from(e: crate::store::StoreError) -> Self {
        Self::new(super::exit::STATE, e.to_string())
    }
}

/// Does what was typed; `given` is the configuration as it can be typed again.
pub(super) async fn deliveries(config: &Config, given: &str, command: DeliveriesCommand) -> ExitCode {
    let done = match command {
        DeliveriesCommand::List(list) => list::list(config, given, list).await,
        DeliveriesCommand::Show { delivery, json } => show::show(config, &delivery, json).await,
        DeliveriesCommand::Replay(bulk) => act::act(config, given, crate::store::Verb::Replay, bulk).await,
        DeliveriesCommand::Close(bulk) => act::act(config, given, crate::store::Verb::Close, bulk).await,
        DeliveriesCommand::Edit(edit) => edit::edit(config, edit).await,
        DeliveriesCommand::Export(export) => export::export(config, export).await,
        DeliveriesCommand::Import(import) => import::import(config, given, import).await,
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Ends { code, words }) => {
            eprintln!("error: {words}");
            ExitCode::from(code)
        }
    }
}
