//! Lists of deliveries, a page at a time.
//!
//! What is open and what has ended have an index each, by task, destination, state and kind, and within these by the
//! time of finding. So a page of a million is put together from the beginnings of a few ranges ([`Range`]), which are
//! looked for one by one: nothing here reads a whole table. Only a text has to be looked for in the deliveries
//! themselves, and then in no more than [`SEARCHED`] at a time.

use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::model::State;
use crate::store::{Found, Order, Place, Select, Tally, typed_key};

/// Most deliveries whose words are looked through for one piece.
const SEARCHED: u64 = 20_000;
/// So many of them at a time.
const SOME: usize = 1000;
/// Before everything and behind everything.
const EVER: (i64, i64) = (i64::MIN, i64::MAX);

pub(super) const NEXT_OPEN: &str =
    "SELECT task, destination, state, kind FROM delivery INDEXED BY delivery_state
    WHERE ended_at IS NULL AND (task, destination, state, kind) > (?1, ?2, ?3, ?4)
    ORDER BY task, destination, state, kind LIMIT 1";
pub(super) const NEXT_PAST: &str =
    "SELECT task, destination, state, kind FROM delivery INDEXED BY delivery_past
    WHERE ended_at IS NOT NULL AND (task, destination, state, kind) > (?1, ?2, ?3, ?4)
    ORDER BY task, destination, state, kind LIMIT 1";

/// `?5` to `?6` are the times, `?7` and `?8` the place behind which to begin, `?9` how many.
macro_rules! page {
    ($index:literal, $ended:literal, $beyond:literal, $order:literal) => {
        concat!(
            "SELECT found_at, seq FROM delivery INDEXED BY ",
            $index,
            " WHERE task = ?1 AND destination = ?2 AND state = ?3 AND kind = ?4 AND ended_at ",
            $ended,
            " AND found_at BETWEEN ?5 AND ?6 AND (found_at <> ?7 OR seq ",
            $beyond,
            " ?8) ORDER BY found_at ",
            $order,
            ", seq ",
            $order,
            " LIMIT ?9"
        )
    };
}

pub(super) const OPEN_OLDEST: &str = page!("delivery_state", "IS NULL", ">", "ASC");
pub(super) const OPEN_NEWEST: &str = page!("delivery_state", "IS NULL", "<", "DESC");
pub(super) const PAST_OLDEST: &str = page!("delivery_past", "IS NOT NULL", ">", "ASC");
pub(super) const PAST_NEWEST: &str = page!("delivery_past", "IS NOT NULL", "<", "DESC");

macro_rules! count {
    ($index:literal, $ended:literal) => {
        concat!(
            "SELECT count(*), min(found_at) FROM delivery INDEXED BY ",
            $index,
            " WHERE task = ?1 AND destination = ?2 AND state = ?3 AND kind = ?4 AND ended_at ",
            $ended,
            " AND found_at BETWEEN ?5 AND ?6"
        )
    };
}

pub(super) const COUNT_OPEN: &str = count!("delivery_state", "IS NULL");
pub(super) const COUNT_PAST: &str = count!("delivery_past", "IS NOT NULL");

pub(super) const BY_NUMBER: &str = "SELECT d.task, d.destination, d.state, d.found_at, d.seq, d.key
    FROM (SELECT DISTINCT value AS asked FROM json_each(?1)) CROSS JOIN delivery AS d ON d.seq = asked";
pub(super) const BY_KEY_OPEN: &str = "SELECT task, destination, state, found_at, seq, key FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NULL";
pub(super) const BY_KEY_PAST: &str = "SELECT task, destination, state, found_at, seq, key FROM delivery
    WHERE task = ?1 AND destination = ?2 AND key = ?3 AND ended_at IS NOT NULL";

pub(super) const SAYS: &str = "SELECT d.seq FROM (SELECT value AS asked FROM json_each(?1))
    CROSS JOIN delivery AS d ON d.seq = asked
    WHERE d.note LIKE ?2 ESCAPE '\\' OR EXISTS (SELECT 1 FROM attempt AS a WHERE a.delivery = d.seq
        AND (a.detail LIKE ?2 ESCAPE '\\' OR a.answer LIKE ?2 ESCAPE '\\' OR a.outcome LIKE ?2 ESCAPE '\\'))";

/// The deliveries of one task and destination in one state and of one kind, open or ended, by the time of finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Range {
    open: bool,
    task: String,
    destination: String,
    state: String,
    kind: i64,
}

fn means(select: &Select, task: &str, destination: &str, state: &str) -> bool {
    let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|wanted| wanted == name);
    let states = &select.states;
    is(&select.task, task)
        && is(&select.destination, destination)
        && (states.is_empty() || State::parse(state).is_some_and(|state| states.contains(&state)))
}

/// All ranges that hold anything: a step through an index for each.
async fn ranges(pool: &SqlitePool, select: &Select) -> Result<Vec<Range>, sqlx::Error> {
    let mut all = Vec::new();
    for (open, next) in [(true, NEXT_OPEN), (false, NEXT_PAST)] {
        if !select.states.is_empty() && !select.states.iter().any(|state| state.is_open() == open) {
            continue;
        }
        let mut at = Range { open, kind: i64::MIN, ..Range::default() };
        if let Some(task) = &select.task {
            at.task.clone_from(task);
        }
        loop {
            let query = sqlx::query(next).bind(&at.task).bind(&at.destination).bind(&at.state).bind(at.kind);
            let Some(row) = query.fetch_optional(pool).await? else { break };
            at = Range {
                open,
                task: row.try_get(0)?,
                destination: row.try_get(1)?,
                state: row.try_get(2)?,
                kind: row.try_get(3)?,
            };
            if select.task.as_ref().is_some_and(|task| *task != at.task) {
                break;
            }
            if means(select, &at.task, &at.destination, &at.state) {
                all.push(at.clone());
            }
        }
    }
    Ok(all)
}

/// The next places of some ranges, in order.
async fn places(
    pool: &SqlitePool,
    ranges: &[Range],
    select: &Select,
    order: Order,
    after: Option<Place>,
    limit: usize,
) -> Result<Vec<Place>, sqlx::Error> {
    let mut best: Vec<Place> = Vec::new();
    let (mut from, mut to) = (select.since.unwrap_or(EVER.0), select.until.unwrap_or(EVER.1));
    if let Some(after) = after {
        match order {
            Order::Oldest => from = from.max(after.found_at),
            Order::Newest => to = to.min(after.found_at),
        }
    }
    let behind = after.unwrap_or(Place { found_at: EVER.0, number: 0 });
    for range in ranges {
        let sql = match (range.open, order) {
            (true, Order::Oldest) => OPEN_OLDEST,
            (true, Order::Newest) => OPEN_NEWEST,
            (false, Order::Oldest) => PAST_OLDEST,
            (false, Order::Newest) => PAST_NEWEST,
        };
        let query = of_range(sql, range, from, to)
            .bind(behind.found_at)
            .bind(behind.number)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        for row in query.fetch_all(pool).await? {
            best.push(Place { found_at: row.try_get(0)?, number: row.try_get(1)? });
        }
        sort(&mut best, order);
        best.truncate(limit);
        // Of the other ranges, what comes behind all of these is of no interest.
        if let (true, Some(last)) = (best.len() == limit, best.last()) {
            match order {
                Order::Oldest => to = to.min(last.found_at),
                Order::Newest => from = from.max(last.found_at),
            }
        }
    }
    Ok(best)
}

fn of_range<'q>(
    sql: &'static str,
    range: &'q Range,
    from: i64,
    to: i64,
) -> sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    sqlx::query(sql)
        .bind(&range.task)
        .bind(&range.destination)
        .bind(&range.state)
        .bind(range.kind)
        .bind(from)
        .bind(to)
}

fn sort(places: &mut [Place], order: Order) {
    match order {
        Order::Oldest => places.sort_unstable(),
        Order::Newest => places.sort_unstable_by(|a, b| b.cmp(a)),
    }
}

pub(super) fn list(numbers: impl Iterator<Item = i64>) -> String {
    serde_json::Value::from_iter(numbers).to_string()
}

/// The places of what was named one by one, by number or by key: few, so that they are sorted here.
async fn named(pool: &SqlitePool, select: &Select) -> Result<Vec<Place>, sqlx::Error> {
    let mut rows: Vec<SqliteRow> = Vec::new();
    if select.numbers.is_empty() {
        let key = typed_key(select.key.as_deref().unwrap_or_default());
        let mut lanes: Vec<_> =
            ranges(pool, select).await?.into_iter().map(|r| (r.task, r.destination)).collect();
        lanes.sort_unstable();
        lanes.dedup();
        for (task, destination) in lanes {
            for sql in [BY_KEY_OPEN, BY_KEY_PAST] {
                let query = sqlx::query(sql).bind(&task).bind(&destination).bind(key.as_bytes());
                rows.extend(query.fetch_all(pool).await?);
            }
        }
    } else {
        let query = sqlx::query(BY_NUMBER).bind(list(select.numbers.iter().copied()));
        rows.extend(query.fetch_all(pool).await?);
    }
    let (from, to) = (select.since.unwrap_or(EVER.0), select.until.unwrap_or(EVER.1));
    let key = select.key.as_deref().map(typed_key);
    let mut places = Vec::new();
    for row in rows {
        let place = Place { found_at: row.try_get(3)?, number: row.try_get(4)? };
        let meant = means(select, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let has: Vec<u8> = row.try_get(5)?;
        let of_key = key.as_ref().is_none_or(|key| key.as_bytes() == has);
        if meant && of_key && (from..=to).contains(&place.found_at) {
            places.push(place);
        }
    }
    Ok(places)
}

/// Those in whose words a text is found.
async fn says(pool: &SqlitePool, places: &[Place], text: &str) -> Result<Vec<i64>, sqlx::Error> {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let rows = sqlx::query(SAYS)
        .bind(list(places.iter().map(|place| place.number)))
        .bind(format!("%{escaped}%"))
        .fetch_all(pool)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

pub(super) async fn find(
    pool: &SqlitePool,
    select: &Select,
    order: Order,
    after: Option<Place>,
    limit: usize,
) -> Result<Found, sqlx::Error> {
    let limit = limit.max(1);
    let one_by_one = !select.numbers.is_empty() || select.key.is_some();
    let mut all = if one_by_one { named(pool, select).await? } else { Vec::new() };
    sort(&mut all, order);
    let ranges = if one_by_one { Vec::new() } else { ranges(pool, select).await? };
    let (mut found, mut after) = (Found::default(), after);
    loop {
        let want = if select.text.is_some() { SOME } else { limit };
        let some = if one_by_one {
            let behind = |p: &&Place| match (after, order) {
                (None, _) => true,
                (Some(after), Order::Oldest) => **p > after,
                (Some(after), Order::Newest) => **p < after,
            };
            all.iter().filter(behind).take(want).copied().collect()
        } else {
            places(pool, &ranges, select, order, after, want).await?
        };
        let Some(last) = some.last().copied() else { return Ok(found) };
        let more = some.len() == want;
        let meant = match &select.text {
            None => some,
            Some(text) => {
                let says = says(pool, &some, text).await?;
                found.searched += some.len() as u64;
                some.into_iter().filter(|place| says.contains(&place.number)).collect()
            }
        };
        for place in meant {
            if found.places.len() == limit {
                found.next = found.places.last().copied();
                return Ok(found);
            }
            found.places.push(place);
        }
        after = Some(last);
        if !more {
            return Ok(found);
        }
        if select.text.is_none() || found.searched >= SEARCHED {
            found.next = after;
            return Ok(found);
        }
    }
}

pub(super) async fn tally(pool: &SqlitePool, select: &Select) -> Result<Vec<Tally>, sqlx::Error> {
    let mut all: Vec<Tally> = Vec::new();
    let mut add = |one: Tally| {
        let same =
            |t: &&mut Tally| t.task == one.task && t.destination == one.destination && t.state == one.state;
        match all.iter_mut().find(same) {
            Some(there) => {
                there.count += one.count;
                there.oldest = there.oldest.min(one.oldest);
            }
            None => all.push(one),
        }
    };
    if select.numbers.is_empty() && select.key.is_none() && select.text.is_none() {
        let (from, to) = (select.since.unwrap_or(EVER.0), select.until.unwrap_or(EVER.1));
        for range in ranges(pool, select).await? {
            let sql = if range.open { COUNT_OPEN } else { COUNT_PAST };
            let row = of_range(sql, &range, from, to).fetch_one(pool).await?;
            let (count, oldest): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(oldest) = oldest {
                let Range { task, destination, state, .. } = range;
                add(Tally { task, destination, state, count: count.unsigned_abs(), oldest });
            }
        }
        return Ok(all);
    }
    let mut after = None;
    loop {
        let found = find(pool, select, Order::Oldest, after, SOME).await?;
        let numbers: Vec<i64> = found.places.iter().map(|place| place.number).collect();
        let query = sqlx::query(BY_NUMBER).bind(list(numbers.iter().copied()));
        for row in query.fetch_all(pool).await? {
            let (task, destination, state) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            add(Tally { task, destination, state, count: 1, oldest: row.try_get(3)? });
        }
        after = found.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}
