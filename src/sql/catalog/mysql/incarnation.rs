//! What stands behind the name of a table: `InnoDB`'s number of it, for those who may see that, else when it was made.
//!
//! Partitions come and go with the days; nothing is said of tables that have any. The numbers of all tables of a server
//! are read for it, so nobody asks for them again at once.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::text;
use crate::sql::statement::{Param, Read, Statement};
use crate::sql::{Database, PlaceError, PlaceErrorKind};

/// The number of a table; names stand there as those of files do. MySQL 8 and MariaDB call the view otherwise. Both show
/// it to users with PROCESS only.
const NUMBERS: [&str; 2] = ["innodb_sys_tables", "innodb_tables"];
/// MariaDB does not write down when it has emptied a table.
const MADE: &str = "SELECT CAST(create_time AS CHAR), CAST(create_options AS CHAR) FROM information_schema.tables \
                    WHERE table_schema = ? AND table_name = ?";
/// Not asked again before, nor before so many times as long as the answer took.
const LEAST: Duration = Duration::from_secs(5);
const TIMES: u32 = 100;

/// What was answered last.
#[derive(Debug)]
pub(in crate::sql) struct Known {
    at: Instant,
    took: Duration,
    answer: String,
}

pub(super) async fn of(database: &Database, schema: &str, name: &str) -> Result<String, PlaceError> {
    let at = format!("{schema}.{name}");
    let known = || database.incarnations.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known().get(&at)
        && known.at.elapsed() < LEAST.max(known.took * TIMES)
    {
        return Ok(known.answer.clone());
    }
    let began = Instant::now();
    let answer = ask(database, schema, name).await?;
    known().insert(at, Known { at: Instant::now(), took: began.elapsed(), answer: answer.clone() });
    Ok(answer)
}

async fn ask(database: &Database, schema: &str, name: &str) -> Result<String, PlaceError> {
    let params = [Param::text(schema), Param::text(name)];
    for view in NUMBERS {
        let number = Statement::new(
            format!(
                "SELECT CAST(table_id AS CHAR) FROM information_schema.{view} \
                 WHERE name = CONCAT(CONVERT(? USING filename), '/', CONVERT(? USING filename))"
            ),
            [Read::Text],
        );
        match database.fetch(&number, &params).await {
            Ok(rows) if !rows.is_empty() => return Ok(format!("number {}", text(&rows[0][0]))),
            // A server with very many tables: it is told by its time, as to those who may not see the number.
            Err(error) if error.kind.is_passing() && error.kind != PlaceErrorKind::TooSlow => {
                return Err(error);
            }
            // It is no table of InnoDB, this user may not see it, or it is called otherwise here.
            Ok(_) | Err(_) => {}
        }
    }
    let rows = database.fetch(&Statement::new(MADE, [Read::Text; 2]), &params).await?;
    let row = rows.first().filter(|row| !text(&row[1]).contains("partitioned"));
    Ok(row.map_or_else(String::new, |row| format!("made {}", text(&row[0]))))
}
