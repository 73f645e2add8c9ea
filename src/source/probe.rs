//! A look at a source before the start.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::ground::NULLS;
use super::shape::Shape;
use super::update::UpdateFeed;
use crate::config::{Engine, SourceConfig};
use crate::sql::catalog::Table;
use crate::sql::horizon::{self, Horizon};
use crate::sql::probe::{self, Checked, Folds};
use crate::sql::{Database, select};

/// A clock that differs by more is worth a word.
const TOLERATED: TimeDelta = TimeDelta::minutes(5);

/// No mistake about zones makes more than this.
const ANY_ZONE: TimeDelta = TimeDelta::hours(26);

/// Looks at everything a task needs of its source and tells all that was found, good and bad.
pub async fn probe(config: &SourceConfig, mapped: &[String], database: &Arc<Database>) -> Vec<Checked> {
    let mut found = Vec::new();
    let Some(table) = probe::place(database, &config.table, &mut found).await else { return found };
    let shape = match Shape::new(&table, config, mapped) {
        Ok(shape) => shape,
        Err(problems) => {
            found.extend(problems.into_iter().map(|problem| Checked::problem("columns", problem)));
            return found;
        }
    };
    let id = &table.columns[shape.id];
    found.push(Checked::good("columns", probe::all_there(shape.read.len())));
    found.push(Checked::good("id", format!("rows are walked by {:?} ({})", id.name, id.declared)));
    if table.may_be_null(shape.id) {
        let message = format!(
            "{:?} of {:?} is not declared NOT NULL: rows without a value there are never read",
            id.name,
            table.full_name()
        );
        found.push(Checked::warning("id", message));
    }
    found.push(probe::index(&table, shape.id, "the insert feed reads by it"));
    found.extend(carriers(&table, &shape));
    if table.may_be_null(shape.by) {
        found.extend(keyless(database, &table, shape.by).await);
    }
    found.push(match horizon::read(database, Some(chrono_tz::UTC), config.settle).await {
        Ok(horizon) => {
            let user = if horizon.told { None } else { probe::user(database).await };
            transactions(database.engine(), &horizon, config.settle, user)
        }
        Err(error) => Checked::problem("transactions", error.to_string()),
    });
    if let Some(update) = UpdateFeed::new(&table, &shape, config) {
        let column = shape.update.expect("an update feed has a column");
        found.push(probe::index(&table, column, "the update feed reads by it"));
        found.push(match update.ahead(database).await {
            Ok(ahead) => clock(ahead, &table.columns[column].name, config),
            Err(error) => Checked::problem("clock", error.to_string()),
        });
        found.extend(unreadable(&update, database, &table.columns[column].name).await);
        if table.columns[column].nullable {
            found.extend(nulls(database, &table, column).await);
        }
    }
    found
}

/// What two keys may differ in and still be one to the source; `None` if its table cannot be looked at.
pub async fn key_folds(config: &SourceConfig, database: &Arc<Database>) -> Option<Folds> {
    let table = Table::resolve(database, &config.table).await.ok()?;
    let key = table.require(&config.by_column).ok()?;
    Some(probe::folds(database, &table, key).await)
}

/// What is known about several rows of one key.
fn carriers(table: &Table, shape: &Shape) -> Option<Checked> {
    let (key, full_name) = (&table.columns[shape.by].name, table.full_name());
    if shape.by == shape.id || table.is_unique(shape.by) {
        return None;
    }
    Some(if table.has_index(&[shape.by]) {
        let message = format!(
            "{key:?} of {full_name:?} is not unique; several rows of one key are looked for (ambiguous)"
        );
        Checked::good("key", message)
    } else {
        let message = format!(
            "{key:?} of {full_name:?} has neither a unique nor any other index: several rows of one key are only noticed \
             when one read shows them together; add an index"
        );
        Checked::warning("key", message)
    })
}

/// Whether rows that commit late are found however late that is.
fn transactions(engine: Engine, horizon: &Horizon, settle: Duration, user: Option<String>) -> Checked {
    let seconds = settle.as_secs_f64();
    if horizon.told {
        let message = "open transactions are visible: rows are found however late they commit";
        return Checked::good("transactions", message);
    }
    if horizon.one_writer {
        let message = format!(
            "one writer at a time: changes that commit within {seconds} s (\"settle\") of their update time are found"
        );
        return Checked::good("transactions", message);
    }
    if horizon.elsewhere {
        let message = format!(
            "a replica, or a node of a cluster: rows come from another server, whose open transactions are not visible \
             here; those open for longer than {seconds} s (\"settle\") are left to the sweep; name the primary as `src`, or \
             raise \"settle\""
        );
        return Checked::warning("transactions", message);
    }
    let grant = match (engine, user) {
        (Engine::MySql, user) => {
            format!("GRANT PROCESS ON *.* TO {}", user.as_deref().unwrap_or("the user of `dsn`"))
        }
        (_, user) => format!("GRANT pg_read_all_stats TO {}", user.as_deref().unwrap_or("the user of `dsn`")),
    };
    let message = format!(
        "this user may not see all open transactions: those open for longer than \
         {seconds} s (\"settle\") are left to the sweep; run `{grant}`, or raise \"settle\""
    );
    Checked::warning("transactions", message)
}

/// Rows that cannot be compared.
async fn keyless(database: &Database, table: &Table, column: usize) -> Option<Checked> {
    let name = &table.columns[column].name;
    // A table too large to be counted without an index has its warning about that.
    let rows = database.fetch(&select::nulls(table, column, NULLS + 1), &[]).await.ok()?;
    let count = rows[0][0].as_int().filter(|count| *count > 0)?;
    let message = format!(
        "{} no {name:?} (NULL): without a key they cannot be compared, and are counted as such",
        many(count)
    );
    Some(Checked::warning("key", message))
}

fn many(count: i128) -> String {
    match count {
        1 => "one row has".to_owned(),
        count if count > i128::from(NULLS) => format!("more than {NULLS} rows have"),
        count => format!("{count} rows have"),
    }
}

/// Rows whose update time is a text that is no time.
async fn unreadable(update: &UpdateFeed, database: &Database, column: &str) -> Option<Checked> {
    // What cannot be asked has been told with the clock.
    let strays = update.strays(database).await.ok().filter(|strays| strays.rows > 0)?;
    let ids: Vec<String> = strays.named.iter().map(ToString::to_string).collect();
    let most = if strays.more || strays.rows > ids.len() as u64 { ", …" } else { "" };
    let message = format!(
        "{} a {column:?} that is no time in the notation of the others (id {}{most}): the update feed never sees \
         them; their changes are left to the sweep, so correct them",
        many(i128::from(strays.rows)),
        ids.join(", ")
    );
    Some(Checked::warning("update time", message))
}

/// Rows that the update feed never sees.
async fn nulls(database: &Database, table: &Table, column: usize) -> Option<Checked> {
    let name = &table.columns[column].name;
    let rows = match database.fetch(&select::nulls(table, column, NULLS + 1), &[]).await {
        Ok(rows) => rows,
        Err(error) => return Some(Checked::problem("update time", error.to_string())),
    };
    let count = rows[0][0].as_int().filter(|count| *count > 0)?;
    let message = format!(
        "{} no {name:?} (NULL): the update feed never sees them; their changes are left to the sweep",
        many(count)
    );
    Some(Checked::warning("update time", message))
}

fn clock(ahead: Option<TimeDelta>, column: &str, config: &SourceConfig) -> Checked {
    let Some(ahead) = ahead else {
        return Checked::good("clock", format!("{column:?} holds no time yet to compare the clock with"));
    };
    let zone =
        config.zone.map_or_else(|| "the server's default zone".to_owned(), |zone| format!("zone {zone}"));
    let minutes = ahead.num_minutes().abs();
    if ahead > TOLERATED {
        let message = format!(
            "the newest {column:?} lies {minutes} minutes ahead of the database's clock ({zone}): such rows are read \
             only when that time has come; set \"zone\" to the zone that {column:?} is written in"
        );
        return Checked::warning("clock", message);
    }
    if -ahead > TOLERATED && -ahead < ANY_ZONE {
        let message = format!(
            "the newest {column:?} is {minutes} minutes old by the database's clock ({zone}); if rows are being \
             written right now, set \"zone\" to the zone that {column:?} is written in"
        );
        return Checked::warning("clock", message);
    }
    if -ahead > TOLERATED {
        let age = match (-ahead).num_hours() {
            hours @ ..72 => format!("{hours} hours"),
            hours => format!("{} days", hours / 24),
        };
        let message = format!(
            "the newest {column:?} is {age} old by the database's clock ({zone}): too old to compare the clock with"
        );
        return Checked::good("clock", message);
    }
    Checked::good("clock", format!("{column:?} agrees with the database's clock ({zone})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::probe::Level;

    #[test]
    fn clocks_more_than_five_minutes_apart_are_told() {
        let config = crate::config::SourceConfig {
            dsn: crate::config::Dsn {
                engine: crate::config::Engine::Sqlite,
                host: String::new(),
                port: 0,
                socket: None,
                user: String::new(),
                password: None,
                database: String::new(),
                tls: crate::config::Tls::Off,
                ca: None,
                connect_timeout: std::time::Duration::ZERO,
            },
            table: "t".into(),
            id: None,
            by_column: "id".into(),
            insert: None,
            update: None,
            settle: std::time::Duration::from_secs(60),
            deleted_when: None,
            zone: Some(chrono_tz::Asia::Shanghai),
            whole: false,
        };
        let level = |minutes| clock(Some(TimeDelta::minutes(minutes)), "u", &config).level;
        for (minutes, wanted) in [
            (0, Level::Good),
            (5, Level::Good),
            (6, Level::Warning),
            (480, Level::Warning),
            (-5, Level::Good),
            (-480, Level::Warning),
            (-60 * 24 * 30, Level::Good),
        ] {
            assert_eq!(level(minutes), wanted, "{minutes}");
        }
        assert!(clock(Some(TimeDelta::hours(8)), "u", &config).message.contains("480 minutes ahead"));
        // Neither a zone nor a clock makes that: it is said, and not that it agrees.
        let old = clock(Some(TimeDelta::hours(-30)), "u", &config);
        assert_eq!(old.level, Level::Good);
        assert!(old.message.contains("30 hours old") && !old.message.contains("agrees"), "{}", old.message);
        assert_eq!(clock(Some(TimeDelta::hours(30)), "u", &config).level, Level::Warning);
        assert_eq!(clock(None, "u", &config).level, Level::Good);
    }
}
