//! What can be typed behind `cupid deliveries`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::base::clock::UnixMs;
use crate::cli::when;
use crate::model::State;
use crate::store::Place;

const LIST: &str = "\
Examples:
  cupid deliveries list -c config.json --state dead
  cupid deliveries list -c config.json --task users --key 42 --state all
  cupid deliveries list -c config.json --text timeout --since 2h --json";

const SHOW: &str = "\
Example:
  cupid deliveries show -c config.json 48213";

const REPLAY: &str = "\
Examples:
  cupid deliveries replay -c config.json 48213
  cupid deliveries replay -c config.json --state dead --task users --dry-run
  cupid deliveries replay -c config.json --state dead --task users --yes --note 'the receiver is repaired'

Exit codes: 0 done, 1 with some it could not be done, 2 usage or configuration, 5 state.";

const CLOSE: &str = "\
Examples:
  cupid deliveries close -c config.json 48213 --note 'test row'
  cupid deliveries close -c config.json --destination old.users --state open --dry-run

Exit codes: 0 done, 1 with some it could not be done, 2 usage or configuration, 5 state.";

const EDIT: &str = "\
Example:
  cupid deliveries edit -c config.json 48213 --body fixed.json --note 'phone number mended by hand'";

const EXPORT: &str = "\
Examples:
  cupid deliveries export -c config.json 48213
  cupid deliveries export -c config.json --state dead > dead.jsonl";

const IMPORT: &str = "\
Example:
  cupid deliveries import -c config.json dead.jsonl --dry-run";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum DeliveriesCommand {
    /// List deliveries, those found last first
    ///
    /// Without --state what is open: suspect, main, retry, slow, verify and dead.
    #[command(after_help = LIST)]
    List(List),
    /// Show everything that is known of one delivery
    ///
    /// What differed, where it is, each attempt with its answer, what people did, and the message.
    #[command(after_help = SHOW)]
    Show {
        /// Its number, its id, or the beginning of its id
        #[arg(value_name = "DELIVERY")]
        delivery: String,
        /// As one JSON document, as `export` writes it
        #[arg(long)]
        json: bool,
    },
    /// Send deliveries again: the same delivery, as a new message
    ///
    /// Both sides are read again first: a copy that agrees by then is not called back. From dead, from waiting and from
    /// any end. What is named neither by number nor by --state are the dead ones.
    #[command(after_help = REPLAY)]
    Replay(Bulk),
    /// End deliveries: their differences need not be told
    ///
    /// The same difference of the same row is not told again while it stands; another one is. What is named neither by
    /// number nor by --state are the dead ones.
    #[command(after_help = CLOSE)]
    Close(Bulk),
    /// Send a body of your own, once, without looking at either side first
    ///
    /// If the copy still differs afterwards, the next message has the source's row again. The message before, the author
    /// and the note stay in the history.
    #[command(after_help = EDIT)]
    Edit(Edit),
    /// Write deliveries as JSON, one a line, with everything that is known of them
    ///
    /// Without --state what is open; a delivery that is named is written whatever its state.
    #[command(after_help = EXPORT)]
    Export(Export),
    /// Take exported deliveries in again, also into a fresh state
    ///
    /// What is there already is not doubled, so a file may be taken in twice.
    #[command(after_help = IMPORT)]
    Import(Import),
}

/// Which deliveries.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct Filter {
    /// These: by number, id, or the beginning of an id
    #[arg(value_name = "DELIVERY")]
    pub(super) deliveries: Vec<String>,
    /// The same, for scripts (may be given several times)
    #[arg(long, value_name = "DELIVERY")]
    pub(super) id: Vec<String>,
    /// Of this task
    #[arg(long, value_name = "NAME")]
    pub(super) task: Option<String>,
    /// Of this destination
    #[arg(long, value_name = "NAME")]
    pub(super) destination: Option<String>,
    /// In these states: suspect, main, retry, slow, verify, dead, healed, delivered, closed; open, ended, all
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = states)]
    pub(super) state: Vec<States>,
    /// With this key (the value of `byColumn`)
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(super) key: Option<String>,
    /// Found since: so long ago (2h, 30m, 1d), or a time (2026-11-30 15:30, 15:30)
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    pub(super) since: Option<UnixMs>,
    /// Found until, in the same words
    #[arg(long, value_name = "TIME", value_parser = when::moment)]
    pub(super) until: Option<UnixMs>,
    /// With this text in the note, an error or an answer
    #[arg(long, value_name = "TEXT")]
    pub(super) text: Option<String>,
}

/// Some states under one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct States(pub(super) Vec<State>);

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) limit: u32,
    /// Go on behind this place, as the list before said
    #[arg(long, value_name = "PLACE", value_parser = place)]
    pub(super) after: Option<Place>,
    /// Those found first, first
    #[arg(long)]
    pub(super) oldest: bool,
    /// As one JSON document
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Bulk {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// At most so many, those found first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_NAMED as i64))]
    pub(super) limit: Option<u32>,
    /// Only count what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
    /// Who, for the history; default: who is logged in
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,
}

/// Deliveries that can be named in one go.
pub(super) const MOST_NAMED: u32 = 4000;

#[derive(Debug, Args)]
pub(in crate::cli) struct Edit {
    /// Its number, its id, or the beginning of its id
    #[arg(value_name = "DELIVERY")]
    pub(super) delivery: String,
    /// File with the body; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) body: PathBuf,
    /// Send it although it is not JSON
    #[arg(long)]
    pub(super) raw: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
    /// Who, for the history; default: who is logged in
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub(super) filter: Filter,
    /// At most so many, those found first
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,
    /// Only count what would be written
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// File that `export` wrote; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Only count what would be taken in
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn states(word: &str) -> Result<States, String> {
    let some = |open| State::ALL.into_iter().filter(|state| state.is_open() == open).collect();
    Ok(States(match word {
        "open" => some(true),
        "ended" => some(false),
        "all" => State::ALL.to_vec(),
        word => match State::parse(word) {
            Some(state) => vec![state],
            None => {
                let known: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
                return Err(format!("the states are {}; open, ended, all", known.join(", ")));
            }
        },
    }))
}

fn place(text: &str) -> Result<Place, String> {
    let parsed = text.split_once('-').and_then(|(found_at, number)| {
        Some(Place { found_at: found_at.parse().ok()?, number: number.parse().ok()? })
    });
    parsed.ok_or_else(|| "a place is what the list before ended with".to_owned())
}

/// The inverse of [`place`].
pub(super) fn show_place(place: Place) -> String {
    format!("{}-{}", place.found_at, place.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_places_are_read() {
        assert_eq!(states("dead"), Ok(States(vec![State::Dead])));
        assert_eq!((states("open").unwrap().0.len(), states("ended").unwrap().0.len()), (6, 3));
        assert!(states("gone").unwrap_err().contains("suspect, main"));
        let there = Place { found_at: 1_700_000_000_000, number: 42 };
        assert_eq!(place(&show_place(there)), Ok(there));
        assert!(place("x").is_err());
    }
}
