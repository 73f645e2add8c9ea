//! `cupid deliveries import`: what `export` wrote, taken in again.

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use super::super::exit;
use super::super::text::number;
use super::Ends;
use super::args::Import;
use super::desk::{self, Desk};
use super::list::is_parked;
use crate::config::Config;
use crate::store::local::{Rehearsal, problem};
use crate::store::{Record, TakenIn};

/// Deliveries, and bytes, that are taken in at once.
const PIECE: usize = 200;
const BYTES: usize = 4 << 20;
/// Longest line.
const LINE: usize = 20 << 20;
/// Lines that are said to be wrong one by one.
const SAID: u64 = 20;

/// Reads a file and takes in what it holds.
pub(super) async fn import(config: &Config, given: &str, import: Import) -> Result<u8, Ends> {
    let mut input = open(&import.file)?;
    let mut intake = Intake { config, dry: import.dry_run, ..Intake::new(config) };
    let end = if import.dry_run {
        End::View(desk::view(config).await?)
    } else {
        End::Desk(Desk::open(config).await?)
    };
    let done = intake.all(&mut *input, &end).await;
    if let End::Desk(desk) = end {
        desk.close().await;
    }
    let shown = intake.summary(given);
    if intake.lines > 0 || done.is_ok() {
        println!("{}", shown.join("\n"));
    }
    done?;
    Ok(if intake.wrong > 0 { exit::FAILED } else { 0 })
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, Ends> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path)
        .map_err(|e| Ends::new(exit::CONFIG, format!("{} cannot be read: {e}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

/// Where deliveries go.
enum End {
    /// Nowhere: is only looked at.
    View(Option<crate::store::local::LocalStore>),
    /// Into the state.
    Desk(Desk),
}

/// How far an import is.
struct Intake<'c> {
    config: &'c Config,
    dry: bool,
    lines: u64,
    wrong: u64,
    parked: u64,
    /// In a dry run: what was in the file before.
    rehearsal: Rehearsal,
    taken: TakenIn,
}

impl<'c> Intake<'c> {
    fn new(config: &'c Config) -> Self {
        let (lines, wrong, parked) = (0, 0, 0);
        let (rehearsal, taken) = (Rehearsal::default(), TakenIn::default());
        Self { config, dry: false, lines, wrong, parked, rehearsal, taken }
    }

    async fn all(&mut self, input: &mut dyn BufRead, end: &End) -> Result<(), Ends> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        loop {
            let mut line = Vec::new();
            let read = input.take(LINE as u64 + 1).read_until(b'\n', &mut line);
            let read = read.map_err(|e| Ends::new(exit::CONFIG, format!("the input cannot be read: {e}")))?;
            if read == 0 {
                break;
            }
            self.lines += 1;
            if read > LINE {
                let words = format!("line {} has more than {LINE} bytes; it is no delivery", self.lines);
                return Err(Ends::new(exit::CONFIG, words));
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match record(&line) {
                Ok(record) => {
                    bytes += read;
                    piece.push(record);
                }
                Err(why) => self.complain(&why),
            }
            if piece.len() >= PIECE || bytes >= BYTES {
                self.piece(std::mem::take(&mut piece), end).await?;
                bytes = 0;
            }
        }
        if piece.is_empty() { Ok(()) } else { self.piece(piece, end).await }
    }

    fn complain(&mut self, why: &str) {
        self.wrong += 1;
        if self.wrong <= SAID {
            eprintln!("line {}: {why}", self.lines);
        }
    }

    async fn piece(&mut self, records: Vec<Record>, end: &End) -> Result<(), Ends> {
        let parked = |r: &&Record| r.ended_at.is_none() && is_parked(self.config, &r.task, &r.destination);
        self.parked += records.iter().filter(parked).count() as u64;
        let taken = match end {
            End::Desk(desk) => desk.take_in(records).await?,
            End::View(Some(store)) => store.would_take(&records, &mut self.rehearsal).await?,
            End::View(None) => self.rehearsal.afresh(&records),
        };
        self.taken.add(taken);
        Ok(())
    }

    fn summary(&self, given: &str) -> Vec<String> {
        let TakenIn { taken, known, older } = self.taken;
        let mut out =
            vec![format!("{}: {}", if self.dry { "would be taken in" } else { "taken in" }, number(taken))];
        if known > 0 {
            out.push(format!("were there already: {}", number(known)));
        }
        if older > 0 {
            out.push(format!(
                "left out, this state knows something newer of the same row: {}",
                number(older)
            ));
        }
        if self.parked > 0 {
            out.push(format!("parked, their destinations are not in {given}: {}", number(self.parked)));
        }
        if self.wrong > 0 {
            out.push(format!("lines that are no deliveries, left out: {}", number(self.wrong)));
        }
        out
    }
}

fn record(line: &[u8]) -> Result<Record, String> {
    let record: Record =
        serde_json::from_slice(line).map_err(|e| format!("not a delivery as `export` writes it: {e}"))?;
    match problem(&record) {
        Some(why) => Err(why),
        None => Ok(record),
    }
}
