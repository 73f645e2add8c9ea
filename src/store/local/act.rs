//! What people do with deliveries.

use std::collections::HashSet;

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::base::clock::UnixMs;
use crate::model::State;
use crate::store::{Act, Acted, Doing, Refusal, Verb};

/// Which deliveries an act is about: where one has ended, `?2` says whether its key is meant, that is what is open of it
/// or else the last. A key has many versions: its newest one is meant that is on its way, or else the newest; an older one
/// would take back at the receiver what the newer ones brought. Of a dead one that is named itself, the last column says
/// that.
pub(super) const TARGETS: &str = "SELECT asked, t.seq, t.state, t.claimed_until IS NOT NULL, t.ended_at IS NOT NULL,
        t.event > 0 AND t.state = 'dead' AND EXISTS (
            SELECT 1 FROM delivery AS n
            WHERE n.task = t.task AND n.destination = t.destination AND n.key = t.key AND n.event > 0
                AND n.event > t.event AND (n.state = 'delivered' OR (n.ended_at IS NULL AND n.state <> 'dead')))
    FROM (SELECT value AS asked FROM json_each(?1))
    CROSS JOIN delivery AS d ON d.seq = asked
    CROSS JOIN delivery AS t ON t.seq = CASE
        WHEN d.ended_at IS NULL OR NOT ?2 THEN d.seq
        WHEN d.event > 0 THEN coalesce(
            (SELECT w.seq FROM delivery AS w
                WHERE w.task = d.task AND w.destination = d.destination AND w.key = d.key
                    AND w.event > 0 AND w.ended_at IS NULL AND w.state <> 'dead' ORDER BY w.event DESC LIMIT 1),
            (SELECT l.seq FROM delivery AS l
                WHERE l.task = d.task AND l.destination = d.destination AND l.key = d.key AND l.event > 0
                ORDER BY l.event DESC LIMIT 1))
        ELSE coalesce(
            (SELECT o.seq FROM delivery AS o
                WHERE o.task = d.task AND o.destination = d.destination AND o.key = d.key AND o.ended_at IS NULL),
            (SELECT max(e.seq) FROM delivery AS e
                WHERE e.task = d.task AND e.destination = d.destination AND e.key = d.key AND e.ended_at IS NOT NULL)) END";

/// Before anything changes: what was is part of it.
pub(super) const RECORD: &str =
    "INSERT INTO act (delivery, number, at, what, author, note, was, original, edited)
    SELECT d.seq, 1 + coalesce((SELECT max(number) FROM act AS before WHERE before.delivery = d.seq), 0),
        ?2, ?3, ?4, ?5, d.state, CASE WHEN ?6 IS NULL THEN NULL ELSE d.body END, ?6
    FROM (SELECT value AS meant FROM json_each(?1)) CROSS JOIN delivery AS d ON d.seq = meant";

/// As if it had just been confirmed: both sides are read before it is sent, and what is sent is a new message. A version
/// that waits behind an older one goes on waiting. Only differences are remembered.
pub(super) const REPLAY: &str = "UPDATE delivery
    SET state = 'main', ended_at = NULL, forgotten = event > 0,
        due = CASE WHEN due = 253402300799000 AND ended_at IS NULL AND state <> 'dead' THEN due ELSE ?2 END,
        tries = 0, looks = 0, unhealed = 0, renew = 1,
        acked_at = NULL, note = NULL, edited = ?3, lost = min(lost, 2)
    WHERE seq IN (SELECT value FROM json_each(?1))";

/// What was found is what is remembered.
pub(super) const CLOSE: &str = "UPDATE delivery
    SET state = 'closed', due = ?2, ended_at = ?2, forgotten = event > 0, note = ?3, edited = NULL
    WHERE seq IN (SELECT value FROM json_each(?1))";

/// Whether an act makes sense for a delivery; `None`: it does.
fn obstacle(verb: Verb, state: Option<State>, claimed: bool, ended: bool) -> Option<Acted> {
    match (verb, state) {
        (Verb::Close, Some(State::Closed)) if ended => Some(Acted::Already),
        (Verb::Close, _) if ended => Some(Acted::Refused(Refusal::Ended)),
        _ if ended => None,
        _ if claimed => Some(Acted::Busy),
        (Verb::Close, _) => None,
        (_, Some(State::Suspect)) => Some(Acted::Refused(Refusal::Unconfirmed)),
        (_, Some(State::Verify)) => Some(Acted::Refused(Refusal::Acknowledged)),
        (Verb::Replay, Some(State::Main)) => Some(Acted::Already),
        _ => None,
    }
}

/// What becomes of each, and which ones it is done with. `taken` has those that it was done with before: several
/// deliveries of one key are one act.
pub(super) async fn weigh(
    connection: &mut SqliteConnection,
    act: &Act,
    taken: &mut HashSet<i64>,
) -> Result<(Vec<(i64, Acted)>, Vec<i64>), sqlx::Error> {
    let verb = act.doing.verb();
    let rows = sqlx::query(TARGETS)
        .bind(list(&act.numbers))
        .bind(verb != Verb::Close)
        .fetch_all(&mut *connection)
        .await?;
    let (mut answers, mut meant) = (Vec::with_capacity(act.numbers.len()), Vec::new());
    let mut asked = HashSet::new();
    for row in rows {
        let (number, seq): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if !asked.insert(number) {
            continue;
        }
        let (claimed, ended, superseded) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let acted = match obstacle(verb, State::parse(row.try_get(2)?), claimed, ended) {
            Some(obstacle) => obstacle,
            None if superseded && verb == Verb::Replay && !act.named => Acted::Refused(Refusal::Superseded),
            None if !taken.insert(seq) => Acted::Already,
            None => {
                meant.push(seq);
                Acted::Done
            }
        };
        answers.push((number, acted));
    }
    let unknown = act.numbers.iter().filter(|number| !asked.contains(number));
    answers.extend(unknown.map(|number| (*number, Acted::Refused(Refusal::Unknown))));
    Ok((answers, meant))
}

pub(super) async fn act(
    connection: &mut SqliteConnection,
    act: &Act,
) -> Result<Vec<(i64, Acted)>, sqlx::Error> {
    let (answers, meant) = weigh(connection, act, &mut HashSet::new()).await?;
    if !meant.is_empty() {
        apply(connection, act, &list(&meant), act.now).await?;
    }
    Ok(answers)
}

fn list(numbers: &[i64]) -> String {
    serde_json::Value::from(numbers).to_string()
}

async fn apply(
    connection: &mut SqliteConnection,
    act: &Act,
    meant: &str,
    now: UnixMs,
) -> Result<(), sqlx::Error> {
    let edited = match &act.doing {
        Doing::Edit(body) => Some(&**body),
        Doing::Replay | Doing::Close => None,
    };
    sqlx::query(RECORD)
        .bind(meant)
        .bind(now)
        .bind(act.doing.verb().as_str())
        .bind(&act.author)
        .bind(act.note.as_deref())
        .bind(edited)
        .execute(&mut *connection)
        .await?;
    let query = match act.doing {
        Doing::Close => {
            let why = act.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            sqlx::query(CLOSE).bind(meant).bind(now).bind(format!("closed by {}{why}", act.author))
        }
        Doing::Replay | Doing::Edit(_) => sqlx::query(REPLAY).bind(meant).bind(now).bind(edited),
    };
    query.execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_somebodys_hands_is_left_alone() {
        for verb in [Verb::Replay, Verb::Close, Verb::Edit] {
            for state in State::ALL.into_iter().filter(|state| state.is_open()) {
                assert_eq!(obstacle(verb, Some(state), true, false), Some(Acted::Busy), "{verb:?} {state:?}");
            }
        }
    }

    #[test]
    fn each_verb_knows_where_it_makes_sense() {
        let of = |verb, state: State| match obstacle(verb, Some(state), false, !state.is_open()) {
            None => "yes",
            Some(Acted::Already) => "already",
            Some(_) => "no",
        };
        let row = |verb| State::ALL.map(|state| of(verb, state));
        //         suspect main retry slow verify dead healed delivered closed
        let replay = ["no", "already", "yes", "yes", "no", "yes", "yes", "yes", "yes"];
        let close = ["yes", "yes", "yes", "yes", "yes", "yes", "no", "no", "already"];
        let edit = ["no", "yes", "yes", "yes", "no", "yes", "yes", "yes", "yes"];
        assert_eq!(row(Verb::Replay), replay);
        assert_eq!(row(Verb::Close), close);
        assert_eq!(row(Verb::Edit), edit);
        // A state that this version does not know can be closed and sent again.
        assert_eq!(obstacle(Verb::Replay, None, false, false), None);
    }
}
