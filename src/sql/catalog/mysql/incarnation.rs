//! What stands behind the name of a table: `InnoDB`'s number of it, for those who may see that, else when it was made.

use super::text;
use crate::sql::statement::{Param, Read, Statement};
use crate::sql::{Database, PlaceError};

/// The numbers of a table and of its partitions; names stand there as those of files do. MySQL 8 and MariaDB call the
/// view otherwise. Both show it to users with PROCESS only.
const NUMBERS: [&str; 2] = ["innodb_sys_tables", "innodb_tables"];
/// MariaDB does not write down when it has emptied a table.
const MADE: &str = "SELECT CAST(create_time AS CHAR) FROM information_schema.tables \
                    WHERE table_schema = ? AND table_name = ?";

pub(super) async fn of(database: &Database, schema: &str, name: &str) -> Result<String, PlaceError> {
    let params = [Param::text(schema), Param::text(name)];
    for view in NUMBERS {
        let numbers = Statement::new(
            format!(
                "SELECT CAST(COUNT(*) AS CHAR), CAST(SUM(t.table_id) AS CHAR), CAST(MAX(t.table_id) AS CHAR) \
                 FROM information_schema.{view} AS t \
                 JOIN (SELECT CONCAT(CONVERT(? USING filename), '/', CONVERT(? USING filename)) AS file) AS n \
                 ON t.name = n.file OR LEFT(t.name, CHAR_LENGTH(n.file) + 3) = CONCAT(n.file, '#P#')"
            ),
            [Read::Text; 3],
        );
        match database.fetch(&numbers, &params).await {
            Ok(rows) if rows.first().is_some_and(|row| text(&row[0]) != "0") => {
                let parts: Vec<&str> = rows[0].iter().map(text).collect();
                return Ok(format!("numbers {}", parts.join(" ")));
            }
            Err(error) if error.kind.is_passing() => return Err(error),
            // It is no table of InnoDB, this user may not see it, or it is called otherwise here.
            Ok(_) | Err(_) => {}
        }
    }
    let rows = database.fetch(&Statement::new(MADE, [Read::Text]), &params).await?;
    Ok(rows.first().map_or_else(String::new, |row| format!("made {}", text(&row[0]))))
}
