//! One delivery with everything that is known of it.

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::events::HELD;
use super::lines::{shown_id, shown_kind};
use crate::model::{ErrorClass, Key, RowId, State};
use crate::store::record::hex;
use crate::store::{Done, Episode, Message, Record, Tried, shown_key};

pub(super) const ONE: &str = "SELECT seq, id, task, destination, key, row_id, kind, state, due, revision, tries,
        attempts, looks, unhealed, renew, forgotten, body, sent, edited, fingerprint, run, note, found_at, seen_at,
        acked_at, ended_at, watch, evidence, differs, event,
        calling
    FROM delivery WHERE seq = ?1";
pub(super) const ATTEMPTS: &str = "SELECT number, revision, began, took_ms, outcome, status, detail, answer
    FROM attempt WHERE delivery = ?1 ORDER BY number";
pub(super) const ACTS: &str = "SELECT at, what, author, note, was, original, edited FROM act
    WHERE delivery = ?1 ORDER BY number";
pub(super) const OTHERS_OPEN: &str = "SELECT seq, state, found_at, ended_at FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL AND seq <> ?4";
pub(super) const OTHERS_PAST: &str = "SELECT seq, state, found_at, ended_at FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL AND seq <> ?4
    ORDER BY seq DESC LIMIT 20";

pub(super) async fn record(pool: &SqlitePool, number: i64) -> Result<Option<Record>, sqlx::Error> {
    let Some(row) = sqlx::query(ONE).bind(number).fetch_optional(pool).await? else { return Ok(None) };
    let mut record = decode(&row)?;
    for row in sqlx::query(ATTEMPTS).bind(number).fetch_all(pool).await? {
        let outcome: String = row.try_get("outcome")?;
        record.attempts.push(Tried {
            number: row.try_get("number")?,
            revision: row.try_get("revision")?,
            began: row.try_get("began")?,
            took_ms: row.try_get("took_ms")?,
            group: ErrorClass::parse(&outcome).map(|class| class.group().as_str().to_owned()),
            outcome,
            status: row.try_get("status")?,
            detail: row.try_get("detail")?,
            answer: row.try_get("answer")?,
        });
    }
    // The last one may be under way.
    let made = record.attempted - i64::from(row.try_get::<i64, _>("calling").unwrap_or_default() != 0);
    record.not_kept = not_kept(&record.attempts, made);
    for row in sqlx::query(ACTS).bind(number).fetch_all(pool).await? {
        record.acts.push(Done {
            at: row.try_get("at")?,
            what: row.try_get("what")?,
            author: row.try_get("author")?,
            note: row.try_get("note")?,
            was: row.try_get("was")?,
            original: row.try_get::<Option<Vec<u8>>, _>("original")?.map(Message::of),
            edited: row.try_get::<Option<Vec<u8>>, _>("edited")?.map(Message::of),
        });
    }
    let key: Vec<u8> = row.try_get("key")?;
    for sql in [OTHERS_OPEN, OTHERS_PAST] {
        let query = sqlx::query(sql).bind(&record.task).bind(&record.destination).bind(&key).bind(number);
        for row in query.fetch_all(pool).await? {
            record.others.push(Episode {
                number: row.try_get("seq")?,
                state: row.try_get("state")?,
                found_at: row.try_get("found_at")?,
                ended_at: row.try_get("ended_at")?,
            });
        }
    }
    Ok(Some(record))
}

/// What is missing of the attempts that were made.
fn not_kept(attempts: &[Tried], made: i64) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut next = 1;
    for number in attempts.iter().map(|tried| tried.number).chain([made + 1]) {
        if next < number {
            gaps.push((next, number - 1));
        }
        next = next.max(number + 1);
    }
    gaps
}

/// A row that cannot be understood is shown all the same: a number that is none counts as 0.
fn decode(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    let number = |name: &str| row.try_get::<i64, _>(name).unwrap_or_default();
    let message =
        |name: &str| Ok::<_, sqlx::Error>(row.try_get::<Option<Vec<u8>>, _>(name)?.map(Message::of));
    let json = |name: &str| row.try_get::<Option<String>, _>(name);
    let state: String = row.try_get("state")?;
    let (found_at, ended_at): (i64, Option<i64>) = (number("found_at"), row.try_get("ended_at")?);
    let row_id: String = row.try_get("row_id")?;
    Ok(Record {
        cupid: Record::VERSION,
        delivery: shown_id(row.try_get("id")?),
        number: number("seq"),
        task: row.try_get("task")?,
        destination: row.try_get("destination")?,
        key: shown_key(&Key::new(row.try_get::<Vec<u8>, _>("key")?)),
        row: (row_id != RowId::NONE.to_string()).then_some(row_id),
        kind: shown_kind(number("kind")),
        healed_after_ms: ended_at.filter(|_| state == State::Healed.as_str()).map(|at| at - found_at),
        state,
        found_at,
        seen_at: number("seen_at"),
        due: Some(number("due")).filter(|due| *due != HELD),
        event: Some(number("event")).filter(|event| *event > 0),
        acked_at: row.try_get("acked_at")?,
        ended_at,
        note: row.try_get("note")?,
        revision: number("revision"),
        tries: number("tries"),
        attempted: number("attempts"),
        looks: number("looks"),
        unhealed: number("unhealed"),
        renew: number("renew") != 0,
        forgotten: number("forgotten") != 0,
        run: shown_id(row.try_get("run")?),
        fingerprint: hex(&row.try_get::<Vec<u8>, _>("fingerprint")?),
        differs: json("differs")?.and_then(|text| serde_json::from_str(&text).ok()),
        evidence: json("evidence")?.and_then(|text| serde_json::from_str(&text).ok()),
        message: message("body")?,
        sent: row.try_get::<Option<Vec<u8>>, _>("sent")?.map(|sent| hex(&sent)),
        edited: message("edited")?,
        watch: message("watch")?,
        attempts: Vec::new(),
        not_kept: Vec::new(),
        acts: Vec::new(),
        others: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_are_not_kept_are_named() {
        let tried = |number| Tried {
            number,
            revision: 1,
            began: 0,
            took_ms: 0,
            outcome: "unknown".to_owned(),
            group: None,
            status: None,
            detail: None,
            answer: None,
        };
        let of = |numbers: &[i64], made| {
            let kept: Vec<Tried> = numbers.iter().map(|number| tried(*number)).collect();
            not_kept(&kept, made)
        };
        assert_eq!(of(&[], 0), []);
        assert_eq!(of(&[1, 2, 3], 3), []);
        assert_eq!(of(&[1, 2, 7, 8, 10], 10), [(3, 6), (9, 9)]);
        assert_eq!(of(&[], 4), [(1, 4)], "all of them are too old");
    }
}
