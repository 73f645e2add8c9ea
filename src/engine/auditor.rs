//! Audits at certain times: all rows of a copy against the source, as fast as that goes, one copy after the other.
//!
//! An audit has connections of its own and compares by itself (`audit`). What it believes to be different is read and
//! compared once more as whatever a feed reads, and so becomes a suspect like everything else that is found. Rows that only
//! the copy has are counted; they are called back by the walk that looks for them, which knows when it must not. Rows below
//! `-s` are counted as well, and left alone.

mod note;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::callback::{Callback, Wakes};
use super::runs::failure;
use super::status::StatusBoard;
use super::{Counts, Places, Stop, TaskPlaces};
use crate::audit::{Event, Pace, Tables, Tally, Wanted, audit};
use crate::base::chain::chain;
use crate::base::clock::{Clock, UnixMs};
use crate::config::{AuditConfig, DestinationConfig, Schedule};
use crate::model::{DatabaseClass, DeliveryKind, DestinationName, Feed, RowId, TaskName, Value};
use crate::notify::{Alert, Alerts, Cause, What};
use crate::outbox::first_look;
use crate::sql::{Database, Limits, PlaceError, PlaceErrorKind};
use crate::store::{Run, RunResult, RunStep, ScanCommit, Store, StoreError};
pub use note::AuditNote;

/// Keys that are read and compared once more at a time.
const LIST: usize = 500;
/// A list that is not full waits so long for more.
const GATHER: Duration = Duration::from_secs(1);
/// Nobody looks at the clock less often.
const LOOK: Duration = Duration::from_secs(30);
/// An audit that did not come to its end is tried again after this time, in milliseconds, if it is not due before.
const AGAIN: i64 = 300_000;
/// How often is written down how far one is.
const KEEP: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Clone)]
pub struct Auditor {
    store: Arc<dyn Store>,
    places: Arc<Places>,
    clock: Clock,
    wakes: Wakes,
    alerts: Alerts,
    status: StatusBoard,
}

impl std::fmt::Debug for Auditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auditor").finish_non_exhaustive()
    }
}

/// A copy that is audited.
struct Job {
    task: usize,
    destination: usize,
    when: AuditConfig,
    /// The next time, Unix ms.
    due: UnixMs,
}

impl Auditor {
    /// An auditor of all copies that have a schedule.
    pub fn new(
        store: Arc<dyn Store>,
        places: Arc<Places>,
        clock: Clock,
        callback: &Callback,
        alerts: Alerts,
        status: StatusBoard,
    ) -> Self {
        Self { store, places, clock, wakes: callback.wakes(), alerts, status }
    }

    /// Works until the stop.
    pub async fn run(self, stop: Stop) {
        let mut jobs = None;
        loop {
            let pause = match &mut jobs {
                None => match self.jobs().await {
                    Ok(found) => {
                        jobs = Some(found);
                        continue;
                    }
                    Err(e) => {
                        self.status.store_failed(&e);
                        GATHER
                    }
                },
                Some(all) => {
                    let now = self.clock.now();
                    match all.iter_mut().min_by_key(|job| job.due) {
                        None => return stop.intake.cancelled().await,
                        Some(job) if job.due <= now => {
                            tokio::select! {
                                // What was begun and did not end begins again with the next start.
                                () = stop.intake.cancelled() => return,
                                next = self.audit(job) => job.due = next,
                            }
                            continue;
                        }
                        Some(job) => {
                            Duration::from_millis(job.due.saturating_sub(now).unsigned_abs()).min(LOOK)
                        }
                    }
                }
            };
            tokio::select! {
                () = stop.intake.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// What is audited, and when next.
    async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let mut jobs = Vec::new();
        for (task, places) in self.places.tasks.iter().enumerate() {
            for (destination, config) in places.config.destinations.iter().enumerate() {
                let Some(when) = config.audit else { continue };
                let note = AuditNote::of(&*self.store, &places.config.name, &config.name).await?;
                let due = match note {
                    // It was cut off.
                    Some(note) if note.ended.is_none() => UnixMs::MIN,
                    Some(note) => self.next(&when, &note),
                    None => match when.schedule {
                        Schedule::Every(_) => UnixMs::MIN,
                        // Who names a time means no other.
                        Schedule::At(..) => when.schedule.next(self.clock.now(), when.zone),
                    },
                };
                jobs.push(Job { task, destination, when, due });
            }
        }
        Ok(jobs)
    }

    fn next(&self, when: &AuditConfig, last: &AuditNote) -> UnixMs {
        // A clock that was set back must not keep it from happening.
        let next = when.schedule.next(last.began.min(self.clock.now()), when.zone);
        let again = last.error.as_ref().and(last.ended).map(|ended| ended.saturating_add(AGAIN));
        again.map_or(next, |again| again.min(next))
    }

    /// Audits a copy. Returns when to do so again.
    async fn audit(&self, job: &Job) -> UnixMs {
        let places = self.places.tasks[job.task].clone();
        let config = &places.config.destinations[job.destination];
        let (task, destination) = (&places.config.name, &config.name);
        let began = self.clock.now();
        let mut run = Run::begin(task.clone(), destination.clone(), Feed::Audit, began);
        let mut note = AuditNote { began, ..AuditNote::default() };
        // Of one that is cut off the next start says so.
        self.keep(&places, config, &note, &run).await;
        info!(%task, %destination, run = %run.id, "audit begins");
        let result = Box::pin(self.compare(&places, (job.task, job.destination), &mut note, &mut run)).await;
        let now = self.clock.now();
        (note.ended, run.ended) = (Some(now), now.max(began));
        let took_s = now.saturating_sub(began) / 1000;
        let cause = Cause::at(crate::model::Event::Audit, task, destination);
        let tell = |class: Option<&'static str>, count: u64| {
            let what = What::Audit { class };
            let (task, destination) = (task.clone(), destination.clone());
            self.alerts.raise(&Alert { what, task, destination, count });
        };
        match result {
            Ok(tally) => {
                note.take(&tally);
                run.counts = counts(&tally);
                run.result = RunResult::Ok;
                self.status.run_works(task, Feed::Audit, destination, run.id);
                info!(%task, %destination, rows = tally.rows_source, same = tally.same, missing = tally.missing,
                    differs = tally.differs, extra = tally.extra, ambiguous = tally.ambiguous,
                    unverified = note.unverified, took_s, run = %run.id, "audit complete");
                match (tally.is_partial(), tally.differences()) {
                    (false, 0) => self.alerts.clear(cause),
                    (partial, found) => tell(partial.then_some("incomplete"), found),
                }
            }
            Err(e) => {
                warn!(%task, %destination, error = %e, took_s, run = %run.id, "audit did not come to its end");
                let error = failure(task, &e, now);
                self.status.run_failed(task, Feed::Audit, destination, &e, run.id);
                tell(Some(e.class.as_str()), note.found);
                note.error = Some(e.to_string());
                run.result = RunResult::Failed;
                (run.errors, run.first_error, run.last_error) = (1, Some(error.clone()), Some(error));
            }
        }
        self.keep(&places, config, &note, &run).await;
        self.next(&job.when, &note)
    }

    /// Writes down how far it is.
    async fn keep(&self, places: &TaskPlaces, config: &DestinationConfig, note: &AuditNote, run: &Run) {
        let kept = async {
            self.store.keep_runs(vec![run.clone()]).await?;
            note.keep(&*self.store, &places.config.name, &config.name).await
        };
        if let Err(e) = kept.await {
            self.status.store_failed(&e);
        }
    }

    async fn compare(
        &self,
        places: &TaskPlaces,
        (task, destination): (usize, usize),
        note: &mut AuditNote,
        run: &mut Run,
    ) -> Result<Tally, PlaceError> {
        let config = &places.config.destinations[destination];
        // If anything is not as it should be, this says so; nothing is believed of a source whose ids have begun anew.
        places.pair(destination).await?;
        let Some(copy) = &config.copy else { return Ok(Tally::default()) };
        let limits = || Limits { connections: 3, ..Limits::default() };
        let source = &places.config.source;
        let databases = [&source.dsn, &copy.dsn].map(|dsn| Arc::new(Database::connect(dsn, limits())));
        let result = async {
            let wanted = Wanted::of(source, copy, config.delete);
            let tables = Box::pin(Tables::resolve(databases.clone(), &wanted)).await?.with_rows();
            let pace = Pace { parallel: 1, ..Pace::of(config.confirm.floor) };
            let (sender, events) = mpsc::channel(LIST);
            let walk = async {
                let tally = Box::pin(audit(&tables, &pace, &sender)).await;
                drop(sender);
                tally
            };
            let take = self.take(places, (task, destination), events, note, run);
            tokio::try_join!(walk, take).map(|(tally, ())| tally)
        }
        .await;
        for database in &databases {
            database.close().await;
        }
        result
    }

    /// Takes in what is found, until there is nothing more to come.
    async fn take(
        &self,
        places: &TaskPlaces,
        at: (usize, usize),
        mut events: mpsc::Receiver<Event>,
        note: &mut AuditNote,
        run: &mut Run,
    ) -> Result<(), PlaceError> {
        let mut keys: Vec<Value> = Vec::new();
        let mut kept = self.clock.elapsed();
        loop {
            let event = tokio::time::timeout(GATHER, events.recv()).await;
            match &event {
                Ok(Some(Event::Rows(rows))) => {
                    note.found += 1;
                    // Rows that only the copy has are found by their own walk.
                    if rows.of.kind != DeliveryKind::Extra {
                        keys.extend(rows.key.first().cloned());
                    }
                }
                Ok(Some(Event::Read(rows))) => note.read += rows,
                _ => {}
            }
            let ends = matches!(event, Ok(None));
            if keys.len() >= LIST || !keys.is_empty() && (event.is_err() || ends) {
                self.find(places, at, std::mem::take(&mut keys), run).await?;
            }
            if ends {
                return Ok(());
            }
            let now = self.clock.elapsed();
            if now.saturating_sub(kept) >= KEEP {
                kept = now;
                run.ended = self.clock.now().max(run.started);
                self.keep(places, &places.config.destinations[at.1], note, run).await;
            }
        }
    }

    /// Where the destination begins (`-s`); `None`: with the smallest id.
    async fn start(
        &self,
        (task, destination): (&TaskName, &DestinationName),
    ) -> Result<Option<RowId>, PlaceError> {
        let cursors =
            self.store.cursors().await.map_err(|e| unwritten(&e, "where it begins is not known"))?;
        let own = cursors.iter().filter(|c| c.task == *task && c.destination == *destination);
        Ok(own.filter(|c| matches!(c.feed, Feed::Insert | Feed::Sweep)).find_map(|c| c.start_id))
    }

    /// Reads and compares some keys as a feed does, and makes what is found durable.
    async fn find(
        &self,
        places: &TaskPlaces,
        (task, destination): (usize, usize),
        keys: Vec<Value>,
        run: &mut Run,
    ) -> Result<(), PlaceError> {
        let pair = places.pair(destination).await?;
        let config = &places.config.destinations[destination];
        let names = (&places.config.name, &config.name);
        let start = self.start(names).await?;
        let mut asked = keys;
        while !asked.is_empty() {
            let found = pair.source.lookup(&asked).await?;
            asked = found.rest.iter().map(|at| asked[*at].clone()).collect();
            // Rows below `-s` are nobody's, as for the sweep.
            let meant = found.rows.into_iter().filter(|row| start.is_none_or(|start| row.id >= start));
            let rows: Vec<_> = meant.collect();
            let compared = pair.compare(names.0, names.1, &rows, || self.clock.now()).await?;
            if compared.findings.is_empty() {
                continue;
            }
            // Of a source whose ids have begun anew, no row is another.
            places.stands().await?;
            let now = self.clock.now();
            let suspects = &self.wakes[task][destination];
            let waits = || suspects.waits.lock().unwrap_or_else(PoisonError::into_inner);
            let due = first_look(compared.findings.len(), waits().usual(now), now);
            run.ended = now.max(run.started);
            let step = RunStep { run: run.clone(), quiet: None, before: None };
            let commit = ScanCommit {
                run: run.id,
                step: Some(Box::new(step)),
                cursors: Vec::new(),
                findings: compared.findings,
                versions: None,
                agreed: None,
                covered: None,
                seen: None,
                due,
                now,
            };
            match self.store.commit_scan(commit).await {
                Ok(committed) => {
                    self.status.store_works();
                    waits().found(usize::try_from(committed.opened).unwrap_or(usize::MAX), now);
                    suspects.wake.notify_one();
                    *run = run.with(committed);
                }
                // What cannot be written down is found by the next one, which comes the sooner for it.
                Err(e) => {
                    self.status.store_failed(&e);
                    return Err(unwritten(&e, "what was found cannot be written down"));
                }
            }
        }
        Ok(())
    }
}

fn unwritten(e: &StoreError, what: &str) -> PlaceError {
    let message = format!("{what}: {}", chain(e));
    let error = PlaceError::new(PlaceErrorKind::Other, "the state of cupid", message);
    error.of_class(DatabaseClass::Internal)
}

fn counts(tally: &Tally) -> Counts {
    Counts {
        rows: tally.rows_source,
        same: tally.same,
        missing: tally.missing,
        differs: tally.differs,
        extra: tally.extra,
        ambiguous: tally.ambiguous,
        ..Counts::default()
    }
}
