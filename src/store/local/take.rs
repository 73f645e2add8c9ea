//! Deliveries of another state, taken into this one.

use std::collections::HashMap;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Row, Sqlite};

use super::events::HELD;
use crate::base::clock::UnixMs;
use crate::model::{DeliveryKind, RowId, State};
use crate::store::record::unhex;
use crate::store::{Message, Record, TakenIn, typed_key};

/// A record as the table holds it.
#[derive(Debug)]
struct Raw {
    id: Vec<u8>,
    key: Vec<u8>,
    row_id: String,
    kind: i64,
    state: State,
    run: Vec<u8>,
    fingerprint: Vec<u8>,
    sent: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    edited: Option<Vec<u8>>,
    watch: Option<Vec<u8>>,
}

fn encode(record: &Record) -> Result<Raw, String> {
    let uuid = |text: &str, what: &str| {
        uuid::Uuid::try_parse(text)
            .map(|id| id.as_bytes().to_vec())
            .map_err(|_| format!("`{what}` is {text:?}, and should be a UUID"))
    };
    let bytes = |message: &Option<Message>, what: &str| {
        let bytes = message.as_ref().map(|m| m.bytes().ok_or_else(|| format!("`{what}` is not base64")));
        bytes.transpose()
    };
    let digest = |text: &str, what: &str, length: usize| {
        unhex(text)
            .filter(|bytes| bytes.len() == length)
            .ok_or_else(|| format!("`{what}` should be {} hexadecimal digits", 2 * length))
    };
    let kinds = [DeliveryKind::Missing, DeliveryKind::Differs, DeliveryKind::Extra, DeliveryKind::Ambiguous];
    let kind = kinds.into_iter().find(|kind| kind.as_str() == record.kind);
    let kind = kind.ok_or_else(|| {
        format!("`kind` is {:?}, and should be missing, differs, extra or ambiguous", record.kind)
    })?;
    let state = State::parse(&record.state).ok_or_else(|| {
        let known: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        format!("`state` is {:?}, and should be one of {}", record.state, known.join(", "))
    })?;
    if state.is_open() == record.ended_at.is_some() {
        return Err(format!(
            "`state` is {state:?}, and `ended_at` says something else",
            state = state.as_str()
        ));
    }
    let row_id = match &record.row {
        None => RowId::NONE.to_string(),
        Some(row) => row
            .parse::<i128>()
            .map_err(|_| format!("`row` is {row:?}, and should be a whole number"))?
            .to_string(),
    };
    Ok(Raw {
        id: uuid(&record.delivery, "delivery")?,
        key: typed_key(&record.key).as_bytes().to_vec(),
        row_id,
        kind: kind.number(),
        state,
        run: uuid(&record.run, "run")?,
        fingerprint: digest(&record.fingerprint, "fingerprint", 16)?,
        sent: record.sent.as_deref().map(|sent| digest(sent, "sent", 17)).transpose()?,
        body: bytes(&record.message, "message")?,
        edited: bytes(&record.edited, "edited")?,
        watch: bytes(&record.watch, "watch")?,
    })
}

/// Why a record cannot be taken in; `None`: it can.
pub fn problem(record: &Record) -> Option<String> {
    if record.cupid != Record::VERSION {
        return Some(format!("`cupid` is {}, this version reads {}", record.cupid, Record::VERSION));
    }
    encode(record).err()
}

/// Whether it is there, whether it would wait behind something, when the newest of its key was found, and what its
/// numbers go on from.
pub(super) const OF_KEY: &str = "SELECT
    coalesce(sum(id = ?4 AND found_at = ?5), 0) > 0, coalesce(sum(ended_at IS NULL), 0) > 0, max(found_at),
    max(coalesce(max(revision), 0), coalesce((SELECT value FROM mark WHERE name = 'revision'), 0)),
    coalesce(max(claims), 0), NULL
    FROM (SELECT id, found_at, ended_at, revision, claims FROM delivery
            WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL
          UNION ALL
          SELECT id, found_at, ended_at, revision, claims FROM delivery
            WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL)";

/// The same of a version: a key has many, and they have the id that the key has here.
pub(super) const VERSIONS_OF_KEY: &str = "SELECT
    coalesce(sum(found_at = ?5 AND fingerprint = ?6), 0) > 0,
    coalesce(sum(ended_at IS NULL AND state <> 'dead'), 0) > 0, max(found_at),
    max(coalesce(max(revision), 0), coalesce((SELECT value FROM mark WHERE name = 'revision'), 0)),
    coalesce(max(claims), 0),
    (SELECT last.id FROM delivery AS last
     WHERE last.task = ?1 AND last.destination = ?2 AND last.key = ?3 AND last.event > 0 ORDER BY last.event DESC LIMIT 1)
    FROM delivery WHERE task = ?1 AND destination = ?2 AND key = ?3 AND event > 0 AND ?4 IS NOT NULL";

/// What a state knows of the key of a record.
#[derive(Clone, Debug, Default)]
struct Known {
    /// This very one.
    same: bool,
    /// Something is open: of versions one that this would wait behind.
    open: bool,
    /// When the newest was found.
    newest: Option<UnixMs>,
    /// Numbers that only grow go on from these.
    revision: i64,
    claims: i64,
    /// Of versions the id of the key.
    id: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Take,
    Known,
    Older,
}

impl Known {
    fn fate(&self, record: &Record) -> Fate {
        if self.same {
            Fate::Known
        } else if (self.open && record.event.is_none()) || self.newest.is_some_and(|at| at > record.found_at)
        {
            Fate::Older
        } else {
            Fate::Take
        }
    }
}

impl TakenIn {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Take => self.taken += 1,
            Fate::Known => self.known += 1,
            Fate::Older => self.older += 1,
        }
    }
}

async fn known<'c, E>(executor: E, record: &Record, row: &Raw) -> Result<Known, sqlx::Error>
where
    E: sqlx::Executor<'c, Database = Sqlite>,
{
    let found = sqlx::query(if record.event.is_some() { VERSIONS_OF_KEY } else { OF_KEY })
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .bind(&row.id)
        .bind(record.found_at)
        .bind(&row.fingerprint)
        .fetch_one(executor)
        .await?;
    Ok(Known {
        same: found.try_get(0)?,
        open: found.try_get(1)?,
        newest: found.try_get(2)?,
        revision: found.try_get(3)?,
        claims: found.try_get(4)?,
        id: found.try_get(5)?,
    })
}

/// What would become of a file if it were taken in, line by line.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// By task, destination and key: what would have been taken in before.
    taken: HashMap<(String, String, Vec<u8>), Vec<Ahead>>,
}

#[derive(Debug)]
struct Ahead {
    id: Vec<u8>,
    found_at: UnixMs,
    fingerprint: Vec<u8>,
    open: bool,
}

impl Rehearsal {
    /// What would become of these where there is no state yet.
    pub fn afresh(&mut self, records: &[Record]) -> TakenIn {
        let mut all = TakenIn::default();
        for record in records {
            let Ok(row) = encode(record) else { continue };
            all.count(self.next(record, row, Known::default()));
        }
        all
    }

    fn next(&mut self, record: &Record, row: Raw, mut known: Known) -> Fate {
        let key = (record.task.clone(), record.destination.clone(), row.key);
        let before = self.taken.entry(key).or_default();
        let version = record.event.is_some();
        for one in &*before {
            let same = if version { one.fingerprint == row.fingerprint } else { one.id == row.id };
            known.same |= same && one.found_at == record.found_at;
            known.open |= one.open;
            known.newest = known.newest.max(Some(one.found_at));
        }
        let fate = known.fate(record);
        if fate == Fate::Take {
            let (id, fingerprint, open) = (row.id, row.fingerprint, row.state.is_open());
            before.push(Ahead { id, found_at: record.found_at, fingerprint, open });
        }
        fate
    }
}

pub(super) async fn would_take(
    pool: &SqlitePool,
    records: &[Record],
    rehearsal: &mut Rehearsal,
) -> Result<TakenIn, sqlx::Error> {
    let mut all = TakenIn::default();
    for record in records {
        let Ok(row) = encode(record) else { continue };
        let known = known(pool, record, &row).await?;
        all.count(rehearsal.next(record, row, known));
    }
    Ok(all)
}

/// What was remembered of the key is now that.
const FORGET: &str = "UPDATE delivery SET forgotten = 1
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL AND forgotten = 0
        AND state IN ('delivered', 'closed')";

const INSERT: &str = "INSERT INTO delivery (id, task, destination, key, row_id, kind, state, due, revision, tries,
        attempts, looks, unhealed, renew, forgotten, body, sent, edited, fingerprint, run, note, found_at, seen_at,
        acked_at, ended_at, watch, evidence, differs, claims, event)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
        ?25, ?26, ?27, ?28, ?29, ?30)";

const NEXT_EVENT: &str = "INSERT INTO mark (name, value) VALUES ('event', 1)
    ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value";

/// The destination may not have begun yet: what is taken in is not what it was before that.
const COUNT_VERSION: &str =
    "INSERT INTO event_lane (task, destination, waiting, bytes, delivered, after, begun) VALUES (?1, ?2, ?3, ?4, 0, 0, 0)
     ON CONFLICT DO UPDATE SET waiting = waiting + ?3, bytes = bytes + ?4";

pub(super) async fn take_in(
    connection: &mut SqliteConnection,
    records: &[Record],
) -> Result<TakenIn, sqlx::Error> {
    let mut all = TakenIn::default();
    for record in records {
        // Whoever asks has looked whether they can be taken in.
        let Ok(row) = encode(record) else { continue };
        let known = known(&mut *connection, record, &row).await?;
        let fate = known.fate(record);
        if fate == Fate::Take {
            take(connection, record, &row, known).await?;
        }
        all.count(fate);
    }
    Ok(all)
}

/// The next place in the order of versions; what is open counts as waiting.
async fn next_event(
    connection: &mut SqliteConnection,
    record: &Record,
    row: &Raw,
) -> Result<i64, sqlx::Error> {
    let waits = row.state.is_open();
    let bytes = row.body.as_ref().filter(|_| waits).map_or(0, Vec::len);
    sqlx::query(COUNT_VERSION)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(waits)
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(NEXT_EVENT).fetch_one(connection).await
}

async fn take(
    connection: &mut SqliteConnection,
    record: &Record,
    row: &Raw,
    known: Known,
) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .execute(&mut *connection)
        .await?;
    let event = match record.event {
        Some(_) => next_event(connection, record, row).await?,
        None => 0,
    };
    let goes = row.state.is_open() && row.state != State::Dead;
    let due = if event > 0 && goes && known.open { HELD } else { record.due.unwrap_or(record.found_at) };
    // The receiver knows the key's versions by the id that they have here.
    let id = known.id.as_ref().unwrap_or(&row.id);
    // Bytes that went out under a revision of that state do not go out under another one of this.
    let renew = record.renew || known.revision > record.revision || *id != row.id;

    let seq = sqlx::query(INSERT)
        .bind(id)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .bind(&row.row_id)
        .bind(row.kind)
        .bind(row.state.as_str())
        .bind(due)
        .bind(record.revision.max(known.revision))
        .bind(record.tries)
        .bind(record.attempted)
        .bind(record.looks)
        .bind(record.unhealed)
        .bind(renew)
        .bind(record.forgotten || event > 0)
        .bind(row.body.as_deref())
        .bind(row.sent.as_deref())
        .bind(row.edited.as_deref())
        .bind(row.fingerprint.as_slice())
        .bind(row.run.as_slice())
        .bind(record.note.as_deref())
        .bind(record.found_at)
        .bind(record.seen_at)
        .bind(record.acked_at)
        .bind(record.ended_at)
        .bind(row.watch.as_deref())
        .bind(record.evidence.as_ref().and_then(|e| serde_json::to_string(e).ok()))
        .bind(record.differs.as_ref().and_then(|d| serde_json::to_string(d).ok()))
        .bind(known.claims)
        .bind(event)
        .execute(&mut *connection)
        .await?
        .last_insert_rowid();
    for tried in &record.attempts {
        sqlx::query(
            "INSERT OR REPLACE INTO attempt
                 (delivery, number, revision, began, took_ms, outcome, status, detail, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(seq)
        .bind(tried.number)
        .bind(tried.revision)
        .bind(tried.began)
        .bind(tried.took_ms)
        .bind(&tried.outcome)
        .bind(tried.status)
        .bind(tried.detail.as_deref())
        .bind(tried.answer.as_deref())
        .execute(&mut *connection)
        .await?;
    }
    for (number, done) in (1_i64..).zip(&record.acts) {
        let bytes = |message: &Option<Message>| message.as_ref().and_then(Message::bytes);
        sqlx::query(
            "INSERT INTO act (delivery, number, at, what, author, note, was, original, edited)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )
        .bind(seq)
        .bind(number)
        .bind(done.at)
        .bind(&done.what)
        .bind(&done.author)
        .bind(done.note.as_deref())
        .bind(&done.was)
        .bind(bytes(&done.original))
        .bind(bytes(&done.edited))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
