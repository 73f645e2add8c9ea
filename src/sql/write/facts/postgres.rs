//! PostgreSQL: `pg_catalog`.

use super::super::super::statement::{Param, Read, Statement};
use super::{Act, Facts};
use crate::model::Value;
use crate::sql::catalog::Table;
use crate::sql::{Database, PlaceError};

const OF_TABLE: &str = "(SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
     ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)";

pub(super) async fn facts(database: &Database, table: &Table) -> Result<Facts, PlaceError> {
    let mut facts = Facts::of(table);
    let schema = table.schema.clone().unwrap_or_default();
    let named = [Param::text(&*schema), Param::text(&*table.name)];
    let list = Statement::new(
        format!(
            "SELECT a.attname::text, a.attgenerated::text, a.attidentity::text, a.atthasdef::text, \
               CASE WHEN pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') THEN 't' ELSE 'f' END \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = {OF_TABLE} AND a.attnum > 0 AND NOT a.attisdropped"
        ),
        [Read::Text; 5],
    );
    for row in database.fetch(&list, &named).await? {
        let Some(at) = table.find(text(&row[0])).filter(|_| text(&row[4]) == "t") else {
            facts.unread.push(text(&row[0]).to_owned());
            continue;
        };
        facts.generated[at] = !text(&row[1]).is_empty();
        facts.always[at] = text(&row[2]) == "a";
        facts.optional[at] |= !text(&row[2]).is_empty() || text(&row[3]) == "true";
    }
    triggers(database, &named, &mut facts).await?;
    referrers(database, table, &named, &mut facts).await?;
    Ok(facts)
}

async fn triggers(database: &Database, named: &[Param], facts: &mut Facts) -> Result<(), PlaceError> {
    // Bits of tgtype: 4 insert, 8 delete, 16 update. Types of rules: 2 update, 3 insert, 4 delete.
    let list = Statement::new(
        format!(
            "SELECT ('trigger ' || t.tgname)::text, (CASE WHEN t.tgtype::int & 4 <> 0 THEN 'i' ELSE '' END \
               || CASE WHEN t.tgtype::int & 16 <> 0 THEN 'u' ELSE '' END \
               || CASE WHEN t.tgtype::int & 8 <> 0 THEN 'd' ELSE '' END)::text \
             FROM pg_catalog.pg_trigger t WHERE t.tgrelid IN (WITH RECURSIVE part(oid) AS (SELECT {OF_TABLE} \
               UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid) \
               SELECT part.oid FROM part) AND NOT t.tgisinternal AND t.tgenabled <> 'D' \
             UNION ALL SELECT ('rule ' || r.rulename)::text, \
               (CASE r.ev_type WHEN '2' THEN 'u' WHEN '3' THEN 'i' WHEN '4' THEN 'd' ELSE '' END)::text \
             FROM pg_catalog.pg_rewrite r WHERE r.ev_class = {OF_TABLE} AND r.ev_enabled <> 'D'"
        ),
        [Read::Text; 2],
    );
    for row in database.fetch(&list, named).await? {
        let name = text(&row[0]);
        for event in text(&row[1]).chars() {
            let act = match event {
                'i' => Act::Insert,
                'u' => Act::Update,
                _ => Act::Delete,
            };
            let name = name.strip_prefix("trigger ").unwrap_or(name);
            facts.triggers.push((act, name.to_owned()));
        }
    }
    Ok(())
}

async fn referrers(
    database: &Database,
    table: &Table,
    named: &[Param],
    facts: &mut Facts,
) -> Result<(), PlaceError> {
    let list = Statement::new(
        format!(
            "SELECT k.conname::text, (n.nspname || '.' || c.relname)::text, \
               (pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname))::text, \
               pg_catalog.quote_ident(a.attname)::text, p.attname::text, \
               (CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
                 ELSE '' END)::text, \
               (CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' \
                 ELSE '' END)::text \
             FROM pg_catalog.pg_constraint k \
             JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             CROSS JOIN LATERAL pg_catalog.generate_subscripts(k.conkey, 1) AS x(place) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[x.place] \
             JOIN pg_catalog.pg_attribute p ON p.attrelid = k.confrelid AND p.attnum = k.confkey[x.place] \
             WHERE k.contype = 'f' AND k.confrelid = {OF_TABLE} ORDER BY k.oid, x.place"
        ),
        [Read::Text; 7],
    );
    for row in database.fetch(&list, named).await? {
        let word = |at: usize| text(&row[at]).to_owned();
        facts.refer(
            word(0),
            (word(1), word(2)),
            (word(3), table.find(text(&row[4]))),
            [text(&row[5]), text(&row[6])],
        );
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}
