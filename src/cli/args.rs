//! What can be typed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use super::exit;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  cupid demo                             see it at work, nothing else is needed
  cupid -c config.json -s 1 --dry-run    look and report, send nothing: the first step
  cupid check -c config.json --connect   is everything as the configuration says?
  cupid -c config.json -s 1              run, the insert feed starts at id 1 (or where it stopped)
  cupid stop -c config.json              end the daemon of this configuration and wait for it

Exit codes: 0 done, 1 rows differ at the end of a demo, 2 usage or configuration, 5 state locked, damaged or newer, 70 internal error.";

const DEMO: &str = "\
Examples:
  cupid demo             until Ctrl-C
  cupid demo --for 20s   for twenty seconds

Exit codes: 0 every row agrees in the end, 1 some do not, 70 the demo could not go on.";

const CHECK: &str = "\
Example:
  cupid check -c config.json --connect

Exit codes: 0 no problem (sample rows may differ), 2 a problem in the file, with a folder or, with --connect, at a \
database; one that cannot be reached is a problem too, although the daemon would wait for it.";

const DIFF: &str = "\
Examples:
  cupid diff 'mysql://me:secret@db1/shop?table=user' 'postgres://me:secret@db2/crm?table=user' -k number
  cupid diff 'sqlite:shop.db?table=user' 'sqlite:crm.db?table=user' --rows
  cupid diff SOURCE COPY -k id=user_id --columns 'name=full_name,phone' --json > differences.jsonl
  cupid diff SOURCE COPY --plan plan.sql         then read it, and: cupid repair plan.sql COPY

Exit codes: 0 no difference, 1 differences, 2 usage, or a table or column is not there, 3 not everything could be compared, \
4 interrupted.";

const REPAIR: &str = "\
Examples:
  cupid repair plan.sql 'postgres://me:secret@db2/crm?table=user' --dry-run   what would be done
  cupid repair plan.sql 'postgres://me:secret@db2/crm?table=user'             do it; the way back is in plan.undo.sql
  cupid repair plan.undo.sql 'postgres://me:secret@db2/crm?table=user'        take it back

Exit codes: 0 every row is as the plan wants it, 1 some were left (each is listed with the reason), 2 usage, a file that cannot \
be used, a table that is not the plan's, or too many rows, 3 the database failed before the end, 4 interrupted. Whatever ends \
it, what is written is in the undo file, and the same command again goes on.";

const AUDIT: &str = "\
Examples:
  cupid audit -c config.json
  cupid audit -c config.json --task users --rows
  cupid audit -c config.json --json > differences.jsonl

Exit codes: 0 all agree, 1 differences, 2 a problem in the file, or no such task or destination, 3 not everything could be \
compared, 4 interrupted.";

const SIGNATURE: &str = "\
Example:
  CUPID_SECRET=whsec_… cupid verify-signature --id 01J…-1 --timestamp 1760000000 --signature 'v1,…' body.json

Exit codes: 0 valid, 1 not valid, 2 no secret, or the body cannot be read.";

const RUNS: &str = "\
Examples:
  cupid runs list -c config.json --result failed --since 1d
  cupid runs show -c config.json 0199c0de
  cupid runs log -c config.json 0199c0de
  cupid runs export -c config.json --format operation-log > operations.jsonl";

const NOTIFY_TEST: &str = "\
Example:
  cupid notify test -c config.json --channel ops

Exit codes: 0 every channel took it, 1 one did not, 2 a problem in the file, or no such channel.";

/// Finds every row on which a copy disagrees with its source, calls your webhook, and stays at it until the copy
/// agrees.
///
/// Without a command the daemon runs in the foreground until it is told to stop (TERM, INT or QUIT).
#[derive(Debug, Parser)]
#[command(name = "cupid", version, after_help = EXAMPLES, max_term_width = 100)]
pub(super) struct Args {
    /// Configuration file (JSON with comments); relative paths are fine
    #[arg(short = 'c', long = "configPath", visible_alias = "config", value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,

    /// Id at which the insert feed starts if there is no progress saved under the same value
    #[arg(
        short = 's',
        long = "startId",
        visible_alias = "start-id",
        value_name = "ID",
        allow_negative_numbers = true,
        value_parser = start_id
    )]
    pub(super) start_id: Option<i128>,

    /// The task that a different -s is for, if there are several
    #[arg(long, value_name = "NAME")]
    pub(super) task: Option<String>,

    /// Leave the saved progress of this task behind and begin again (may be given several times)
    #[arg(long, value_name = "TASK")]
    pub(super) restart: Vec<String>,

    /// Do everything but send: differences are found, kept, counted and logged
    #[arg(long)]
    pub(super) dry_run: bool,

    /// End with code 2 if any database, table, column or right is not as needed, instead of starting the other tasks
    #[arg(long)]
    pub(super) strict: bool,

    /// End when the process that started this one, and has this number, ends
    #[arg(long, value_name = "PID", hide = true)]
    pub(super) parent: Option<i32>,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// See cupid at work: a shop, a copy that loses things, and the real daemon between them
    ///
    /// Makes two SQLite databases in a temporary folder, changes one all the time, lets a careless copier spoil some
    /// of the changes on their way to the other, and starts the real daemon, which finds and calls back each spoiled
    /// row until it is repaired. Needs no database server and no configuration; says in the end which one it wrote.
    #[command(after_help = DEMO)]
    Demo {
        /// How long, with a unit (20s, 1m30s; plain numbers are seconds). Without it: until Ctrl-C
        #[arg(long = "for", value_name = "TIME", value_parser = length)]
        length: Option<Duration>,
    },
    /// Report every problem of the configuration, and of the databases with --connect
    ///
    /// Tells whether the file can be used and its folders (`state`, `logDir`) be written. Nothing is written and nobody
    /// is called.
    #[command(after_help = CHECK)]
    Check {
        /// Also look at the databases: reachability, rights, tables, columns, keys, indexes, character set, time zone,
        /// and compare sample rows
        #[arg(long)]
        connect: bool,
        /// Rows compared per destination with --connect
        #[arg(long, value_name = "N", default_value_t = 1000)]
        samples: usize,
    },
    /// Compare all rows of the configuration's copies with their sources, once and now
    ///
    /// Writes nothing and calls nobody; a daemon may run meanwhile. Columns, keys, policies and `deletedWhen` are those of
    /// the configuration; rows that only a copy has are told in any case.
    #[command(after_help = AUDIT)]
    Audit(super::audit::Asked),
    /// Compare two tables of any two databases, without a configuration
    ///
    /// Reads both sides in stretches, several at once, and looks at each row that seems to disagree a second time, at both
    /// sides, before it is shown: a table that is being written to, and a copy that follows with a delay, can be compared.
    #[command(after_help = DIFF)]
    Diff(super::diff::Asked),
    /// Make a copy agree: carry out the plan that cupid diff --plan wrote, or take one back with its undo file
    ///
    /// Writes a row only if it still is what the plan saw: each is locked, compared with the old values, written by its key,
    /// read back and compared with the new ones. Rows that have changed meanwhile are left as they are and listed.
    #[command(after_help = REPAIR)]
    Repair(super::repair::Asked),
    /// Print the effective configuration with the origin of each value, secrets masked
    #[command(after_help = "Example:\n  cupid explain -c config.json")]
    Explain,
    /// Tell whether a callback that arrived was signed by cupid, for those who write receivers
    ///
    /// The secret is that of the configuration, or the variable `CUPID_SECRET`.
    #[command(after_help = SIGNATURE)]
    VerifySignature(super::signature::Received),
    /// Print the JSON Schema of the configuration
    #[command(after_help = "Example:\n  cupid schema > cupid.schema.json")]
    Schema,
    /// Show what the daemon of this configuration does and what waits
    #[command(after_help = "Example:\n  cupid status -c config.json --json")]
    Status {
        /// As one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show how much waits for each receiver, in which state, since when and why
    #[command(after_help = "Example:\n  cupid queue -c config.json")]
    Queue {
        /// As one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Look at single deliveries, send them again, close them, or keep them in a file
    #[command(subcommand)]
    Deliveries(super::deliveries::DeliveriesCommand),
    /// Let go on what waits for a person: it is meant, or the receiver is there again
    ///
    /// cupid pauses a destination when very many differences are confirmed at once and rows that agreed before are
    /// missing; it goes on by itself when they are back. It calls a receiver that answered 410 no more, and stops looking
    /// for rows that only the copy has when the source seems to have lost most of its own; this lets one such pass go on.
    #[command(after_help = "Example:\n  cupid resume -c config.json --task users")]
    Resume {
        /// Only this task
        #[arg(long, value_name = "NAME")]
        task: Option<String>,
        /// Only this destination
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
    },
    /// The operation log: what each feed did, when, from where to where, and how it ended
    #[command(subcommand, after_help = RUNS)]
    Runs(super::runs::RunsCommand),
    /// Work with the channels of `notify`
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// End the daemon of this configuration (TERM) and wait until it is gone
    #[command(after_help = "Example:\n  cupid stop -c config.json")]
    Stop {
        /// Seconds to wait
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        wait: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send a test message to each channel and show what was answered
    #[command(after_help = NOTIFY_TEST)]
    Test {
        /// Only this channel; `TASK/NAME` for a task's own
        #[arg(long, value_name = "NAME")]
        channel: Option<String>,
    },
}

/// Where the insert feed starts.
fn start_id(text: &str) -> Result<i128, String> {
    let wanted = "-s wants the id at which the insert feed starts, a whole number such as 1";
    text.parse().map_err(|_| wanted.to_owned())
}

/// A duration with units, or seconds.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    config::parse_duration(text).map_err(|problem| format!("{problem}; write for example 20s or 1m30s"))
}

/// A configuration is needed and none was named.
pub(super) fn help() -> ExitCode {
    eprintln!("error: no configuration given, name one with -c FILE\n");
    eprintln!("{}", Args::command().render_help());
    ExitCode::from(exit::CONFIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_valid() {
        Args::command().debug_assert();
    }

    #[test]
    fn both_spellings() {
        for words in [
            ["cupid", "-c", "f.json", "-s", "-5"],
            ["cupid", "--configPath", "f.json", "--startId", "-5"],
            ["cupid", "--config", "f.json", "--start-id", "-5"],
        ] {
            let args = Args::parse_from(words);
            assert_eq!(args.config.as_deref(), Some(std::path::Path::new("f.json")));
            assert_eq!(args.start_id, Some(-5));
        }
        let args = Args::parse_from(["cupid", "check", "--connect", "-c", "f.json"]);
        assert!(matches!(args.command, Some(Command::Check { connect: true, .. })));
        assert!(args.config.is_some());
    }

    #[test]
    fn lengths_of_the_demo() {
        let of = |words: &[&str]| match Args::try_parse_from(words).map(|a| a.command) {
            Ok(Some(Command::Demo { length })) => Ok(length.map(|l| l.as_millis())),
            other => Err(format!("{other:?}")),
        };
        assert_eq!(of(&["cupid", "demo"]), Ok(None));
        assert_eq!(of(&["cupid", "demo", "--for", "20"]), Ok(Some(20_000)));
        assert_eq!(of(&["cupid", "demo", "--for", "1m0.5s"]), Ok(Some(60_500)));
        assert!(of(&["cupid", "demo", "--for", "soon"]).unwrap_err().contains("20s"));
    }
}
