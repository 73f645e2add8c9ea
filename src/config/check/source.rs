//! `src`.

use std::time::Duration;

use super::place::Connections;
use super::policy::{self, Layers};
use super::{line, rule, shown};
use crate::config::problem::Problem;
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{SourceConfig, Start, TimeLayout, UpdateConfig, layout, zone};

const INTERVAL_MS: u64 = 2000;
const WINDOW_S: u64 = 5;

pub(super) fn check<'a>(
    r: &mut Reader<'_>,
    section: &Section<'a>,
    layers: &Layers<'a>,
    top: &Section<'a>,
    connections: &mut Connections<'a>,
) -> Option<SourceConfig> {
    r.out.open(Some("src"));
    let (place, connection) = connections.resolve(r, section);
    let table = text(r, section, "table");
    let by_column = text(r, section, "byColumn");
    let id = r.text(section, "id");
    if let Some(id) = &id {
        let origin = line(r, id.span);
        r.out.leaf("id", id.json.as_str(), origin);
    }
    let insert = insert(r, section);
    let update = update(r, section);
    let update_is_meant = section.has("updateColumn") && !section.has("update");
    if insert.is_none() && matches!(update, Some(None)) && !update_is_meant {
        let at = section.key_span("insert").unwrap_or(section.at);
        let problem = Problem::error(at, "neither new nor changed rows are looked for");
        r.report(problem.help("set `insert` to true, or name an `updateColumn`"));
    }
    let layers = layers.around(*section, connection, top);
    let help = "write a CEL rule over columns of the source, for example \"IsDelete == 1\"";
    let deleted_when = rule::read(r, section, "deletedWhen", help);
    let settle = policy::settle(r, &layers);
    let zone = policy::zone(r, &layers);
    r.out.close();
    Some(SourceConfig {
        dsn: place?.dsn,
        table: table?,
        id: id.map(|found| found.value),
        by_column: by_column?,
        insert,
        update: update?,
        settle,
        deleted_when: deleted_when.ok()?,
        zone,
        whole: false,
    })
}

/// A text that must be there, explained.
pub(super) fn text(r: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<String> {
    let found = r.required(section, name)?;
    let origin = line(r, found.span);
    r.out.leaf(name, found.json, origin);
    Some(found.value)
}

fn millis(r: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Duration {
    let found = r.number(section, name);
    Duration::from_millis(shown(r, name, found, INTERVAL_MS, u64::to_string))
}

fn insert(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Duration> {
    let found = r.boolean(section, "insert");
    let on = shown(r, "insert", found, true, bool::to_string);
    let interval = millis(r, section, "insertIntervalMillisecond");
    on.then_some(interval)
}

/// The update feed; the outer `None` means a problem, the inner one that it is off.
fn update(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<UpdateConfig>> {
    let switch = r.boolean(section, "update");
    let column = r.text(section, "updateColumn");
    let on = match (&switch, &column) {
        (Some(switch), None) if switch.value => {
            let problem = Problem::error(switch.span, "`update` is true and `updateColumn` is missing");
            r.report(problem.help(
                "name the column that holds the time of a row's last change, or set `update` to false",
            ));
            false
        }
        (Some(switch), _) => switch.value,
        (None, column) => column.is_some(),
    };
    let origin = match (&switch, &column) {
        (Some(switch), _) => line(r, switch.span),
        (None, Some(_)) => "default, as `updateColumn` is given".to_owned(),
        (None, None) => "default, as `updateColumn` is not given".to_owned(),
    };
    r.out.leaf("update", on.to_string(), origin);
    if let Some(column) = &column {
        let origin = line(r, column.span);
        r.out.leaf("updateColumn", column.json.as_str(), origin);
    }
    let interval = millis(r, section, "updateIntervalMillisecond");
    let window = r.number(section, "updateScanSecond");
    let window = Duration::from_secs(shown(r, "updateScanSecond", window, WINDOW_S, u64::to_string));
    let (layout, start) = (time_layout(r, section), start(r, section));
    let (layout, start) = (layout.ok()?, start.ok()?);
    if column.is_none() && switch.is_some_and(|switch| switch.value) {
        return None;
    }
    Some(column.filter(|_| on).map(|column| UpdateConfig {
        column: column.value,
        interval,
        window,
        layout,
        start,
    }))
}

fn time_layout(r: &mut Reader<'_>, section: &Section<'_>) -> Result<Option<TimeLayout>, ()> {
    let Some(found) = r.text(section, "updateTimeFormate") else { return Ok(None) };
    match layout::parse(&found.value) {
        Ok(layout) => {
            let origin = line(r, found.span);
            r.out.leaf("updateTimeFormate", found.json, origin);
            Ok(Some(layout))
        }
        Err(reason) => {
            let problem = Problem::error(found.span, format!("`updateTimeFormate` cannot be used: {reason}"));
            r.report(problem.help("write \"Y-m-d H:i:s\" or \"2006-01-02 15:04:05\""));
            Err(())
        }
    }
}

fn start(r: &mut Reader<'_>, section: &Section<'_>) -> Result<Start, ()> {
    let Some(found) = r.text(section, "start") else {
        r.out.leaf("start", "\"now\"", "default");
        return Ok(Start::Now);
    };
    match zone::parse_start(&found.value) {
        Ok(start) => {
            let origin = line(r, found.span);
            r.out.leaf("start", json(&zone::show_start(&start)), origin);
            Ok(start)
        }
        Err(_) => {
            let problem = Problem::error(found.span, "`start` must be \"now\", \"beginning\" or a time");
            r.report(problem.help("write a time as \"2024-01-31 08:00:00\""));
            Err(())
        }
    }
}
