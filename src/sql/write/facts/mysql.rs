//! MySQL and MariaDB: `information_schema`.

use super::super::super::dialect::quote;
use super::super::super::select::from;
use super::super::super::statement::{Param, Read, Statement};
use super::{Act, Facts};
use crate::config::Engine;
use crate::model::Value;
use crate::sql::catalog::Table;
use crate::sql::{Database, PlaceError, PlaceErrorKind};

pub(super) async fn facts(database: &Database, table: &Table) -> Result<Facts, PlaceError> {
    let mut facts = Facts::of(table);
    let schema = table.schema.clone().unwrap_or_default();
    let named = [Param::text(&*schema), Param::text(&*table.name)];
    let list = Statement::new(
        "SELECT CAST(column_name AS CHAR), CAST(extra AS CHAR), CAST(column_default IS NOT NULL AS CHAR) \
         FROM information_schema.columns WHERE table_schema = ? AND table_name = ?",
        [Read::Text; 3],
    );
    for row in database.fetch(&list, &named).await? {
        let Some(at) = table.columns.iter().position(|column| &*column.name == text(&row[0])) else {
            continue;
        };
        let extra = text(&row[1]).to_lowercase();
        // `DEFAULT_GENERATED` is only a default that is an expression.
        let generated = ["virtual", "stored", "persistent"].iter().any(|kind| extra.contains(kind));
        facts.generated[at] = generated;
        facts.touched[at] = extra.contains("on update");
        facts.optional[at] |= generated
            || text(&row[2]) == "1"
            || extra.contains("auto_increment")
            || extra.contains("default_generated");
    }
    engine(database, table, &named, &mut facts).await?;
    triggers(database, &named, &mut facts).await?;
    referrers(database, table, &named, &mut facts).await?;
    let whole = Statement::new(format!("SELECT * FROM {} LIMIT 0", from(table)), [] as [Read; 0]);
    match database.fetch(&whole, &[]).await {
        Err(error) if error.kind == PlaceErrorKind::Denied => facts.unread.push("some columns".to_owned()),
        other => drop(other?),
    }
    Ok(facts)
}

async fn engine(
    database: &Database,
    table: &Table,
    named: &[Param],
    facts: &mut Facts,
) -> Result<(), PlaceError> {
    let ask = Statement::new(
        "SELECT CAST(t.engine AS CHAR), CAST(e.transactions AS CHAR) FROM information_schema.tables AS t \
         JOIN information_schema.engines AS e ON e.engine = t.engine WHERE t.table_schema = ? AND t.table_name = ?",
        [Read::Text; 2],
    );
    let rows = database.fetch(&ask, named).await?;
    if let Some(row) = rows.first().filter(|row| !text(&row[1]).eq_ignore_ascii_case("yes")) {
        facts.unfit = Some(format!(
            "{} is kept by {}, which has no transactions: what went wrong could not be taken back",
            table.full_name(),
            text(&row[0])
        ));
    }
    Ok(())
}

async fn triggers(database: &Database, named: &[Param], facts: &mut Facts) -> Result<(), PlaceError> {
    let list = Statement::new(
        "SELECT CAST(event_manipulation AS CHAR), CAST(trigger_name AS CHAR) FROM information_schema.triggers \
         WHERE event_object_schema = ? AND event_object_table = ?",
        [Read::Text; 2],
    );
    for row in database.fetch(&list, named).await? {
        let act = match text(&row[0]) {
            "INSERT" => Act::Insert,
            "UPDATE" => Act::Update,
            _ => Act::Delete,
        };
        facts.triggers.push((act, text(&row[1]).to_owned()));
    }
    // Who lacks the right is told that there are none.
    let right = Statement::new(
        "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT 1 AS one FROM information_schema.user_privileges \
           WHERE privilege_type = 'TRIGGER' \
         UNION ALL SELECT 1 FROM information_schema.schema_privileges \
           WHERE privilege_type = 'TRIGGER' AND ? LIKE table_schema \
         UNION ALL SELECT 1 FROM information_schema.table_privileges \
           WHERE privilege_type = 'TRIGGER' AND table_schema = ? AND table_name = ?) AS r",
        [Read::Text],
    );
    let rows = database.fetch(&right, &[named[0].clone(), named[0].clone(), named[1].clone()]).await?;
    if rows.first().is_some_and(|row| text(&row[0]) == "0") {
        facts.untold.push(
            "this user is not told which triggers the table has; GRANT TRIGGER on it would let it see them"
                .to_owned(),
        );
    }
    Ok(())
}

async fn referrers(
    database: &Database,
    table: &Table,
    named: &[Param],
    facts: &mut Facts,
) -> Result<(), PlaceError> {
    // Who may only read the other table is told of the key, and not of its rule.
    let list = Statement::new(
        "SELECT CAST(k.constraint_name AS CHAR), CAST(k.table_schema AS CHAR), CAST(k.table_name AS CHAR), \
           CAST(k.column_name AS CHAR), CAST(k.referenced_column_name AS CHAR), \
           CAST(COALESCE(r.delete_rule, 'a rule that this user is not told') AS CHAR), \
           CAST(COALESCE(r.update_rule, 'a rule that this user is not told') AS CHAR) \
         FROM information_schema.key_column_usage AS k \
         LEFT JOIN information_schema.referential_constraints AS r \
           ON k.constraint_schema = r.constraint_schema AND k.constraint_name = r.constraint_name \
           AND k.table_name = r.table_name \
         WHERE k.referenced_table_schema = ? AND k.referenced_table_name = ? \
         ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position",
        [Read::Text; 7],
    );
    facts.hides_referrers = hides_referrers(database, named).await?;
    for row in database.fetch(&list, named).await? {
        let word = |at: usize| text(&row[at]).to_owned();
        let quoted = |at: usize| quote(Engine::MySql, text(&row[at]));
        let child = (format!("{}.{}", word(1), word(2)), format!("{}.{}", quoted(1), quoted(2)));
        facts.refer(word(0), child, (quoted(3), table.find(text(&row[4]))), [text(&row[5]), text(&row[6])]);
    }
    Ok(())
}

/// Whether foreign keys may lead to the table of which this user is not told: a table shows to those only who have a
/// right on it.
async fn hides_referrers(database: &Database, named: &[Param]) -> Result<bool, PlaceError> {
    let sees = Statement::new(
        "SELECT CAST(COUNT(*) AS CHAR) FROM (SELECT 1 AS one FROM information_schema.user_privileges \
           WHERE privilege_type = 'SELECT' \
         UNION ALL SELECT 1 FROM information_schema.schema_privileges \
           WHERE privilege_type = 'SELECT' AND ? LIKE table_schema) AS r",
        [Read::Text],
    );
    let rows = database.fetch(&sees, &named[..1]).await?;
    if rows.first().is_some_and(|row| text(&row[0]) != "0") {
        return Ok(false);
    }
    // Who may see transactions may see these as well, by the names that files have.
    for view in ["innodb_sys_foreign", "innodb_foreign"] {
        let count = Statement::new(
            format!(
                "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.{view} \
                 WHERE ref_name = CONCAT(CONVERT(? USING filename), '/', CONVERT(? USING filename))"
            ),
            [Read::Text],
        );
        match database.fetch(&count, named).await {
            Ok(rows) => return Ok(rows.first().is_none_or(|row| text(&row[0]) != "0")),
            Err(error) if error.kind.is_passing() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(true)
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
