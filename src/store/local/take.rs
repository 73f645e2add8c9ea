//! Deliveries of another state, taken into this one.

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Row, Sqlite};

use crate::model::{DeliveryKind, RowId, State};
use crate::store::record::unhex;
use crate::store::{Message, Record, TakenIn, typed_key};

/// A record as the table holds it.
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

/// Whether it is there, something is open for its key, and when the newest delivery of its key was found.
pub(super) const OF_KEY: &str = "SELECT
    coalesce(sum(id = ?4 AND found_at = ?5), 0), coalesce(sum(ended_at IS NULL), 0), max(found_at),
    coalesce(max(revision), 0), coalesce(max(claims), 0)
    FROM (SELECT id, found_at, ended_at, revision, claims FROM delivery
            WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL
          UNION ALL
          SELECT id, found_at, ended_at, revision, claims FROM delivery
            WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL)";

/// What a key has had already: numbers that only grow go on from there.
#[derive(Clone, Copy)]
struct Least {
    revision: i64,
    claims: i64,
}

enum Fate {
    Take(Least),
    Known,
    Older,
}

async fn fate<'c, E>(executor: E, record: &Record, row: &Raw) -> Result<Fate, sqlx::Error>
where
    E: sqlx::Executor<'c, Database = Sqlite>,
{
    let found = sqlx::query(OF_KEY)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .bind(&row.id)
        .bind(record.found_at)
        .fetch_one(executor)
        .await?;
    let (same, open): (i64, i64) = (found.try_get(0)?, found.try_get(1)?);
    let newest: Option<i64> = found.try_get(2)?;
    Ok(if same > 0 {
        Fate::Known
    } else if open > 0 || newest.is_some_and(|newest| newest > record.found_at) {
        Fate::Older
    } else {
        Fate::Take(Least { revision: found.try_get(3)?, claims: found.try_get(4)? })
    })
}

pub(super) async fn would_take(pool: &SqlitePool, records: &[Record]) -> Result<TakenIn, sqlx::Error> {
    let mut all = TakenIn::default();
    for record in records {
        let Ok(row) = encode(record) else { continue };
        match fate(pool, record, &row).await? {
            Fate::Take(_) => all.taken += 1,
            Fate::Known => all.known += 1,
            Fate::Older => all.older += 1,
        }
    }
    Ok(all)
}

/// What was remembered of the key is now that.
const FORGET: &str = "UPDATE delivery SET forgotten = 1
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL AND forgotten = 0
        AND state IN ('delivered', 'closed')";

const INSERT: &str = "INSERT INTO delivery (id, task, destination, key, row_id, kind, state, due, revision, tries,
        attempts, looks, unhealed, renew, forgotten, body, sent, edited, fingerprint, run, note, found_at, seen_at,
        acked_at, ended_at, watch, evidence, differs, claims)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, max(?9, ?10, coalesce((SELECT value FROM mark WHERE name = 'revision'), 0)),
        ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30)";

pub(super) async fn take_in(
    connection: &mut SqliteConnection,
    records: &[Record],
) -> Result<TakenIn, sqlx::Error> {
    let mut all = TakenIn::default();
    for record in records {
        // Whoever asks has looked whether they can be taken in.
        let Ok(row) = encode(record) else { continue };
        match fate(&mut *connection, record, &row).await? {
            Fate::Take(least) => {
                take(connection, record, &row, least).await?;
                all.taken += 1;
            }
            Fate::Known => all.known += 1,
            Fate::Older => all.older += 1,
        }
    }
    Ok(all)
}

async fn take(
    connection: &mut SqliteConnection,
    record: &Record,
    row: &Raw,
    least: Least,
) -> Result<(), sqlx::Error> {
    sqlx::query(FORGET)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .execute(&mut *connection)
        .await?;
    // Bytes that went out under a revision of that state do not go out under another one of this.
    let renew = record.renew || least.revision > record.revision;

    let seq = sqlx::query(INSERT)
        .bind(&row.id)
        .bind(&record.task)
        .bind(&record.destination)
        .bind(&row.key)
        .bind(&row.row_id)
        .bind(row.kind)
        .bind(row.state.as_str())
        .bind(record.due)
        .bind(record.revision)
        .bind(least.revision)
        .bind(record.tries)
        .bind(record.attempted)
        .bind(record.looks)
        .bind(record.unhealed)
        .bind(renew)
        .bind(record.forgotten)
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
        .bind(least.claims)
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
