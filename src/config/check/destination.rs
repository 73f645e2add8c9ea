//! Entries of `des`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::callback;
use super::column::columns;
use super::event;
use super::line;
use super::place::Connections;
use super::policy::{self, Layers};
use super::retry;
use super::source::text;
use super::{audit, breaker};
use crate::config::problem::{Problem, Span};
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{AuditConfig, BodyForm, Confirm, CopyConfig, DestinationConfig, Dsn, Engine};
use crate::model::DestinationName;

/// Longest name of a destination.
const LONGEST_NAME: usize = 128;

/// The names of one task's destinations: those written in the file come before those made up.
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Takes the names that are written, and reports those that are written twice.
    pub(super) fn reserve(r: &mut Reader<'_>, des: &[Section<'_>]) -> Self {
        let mut first: HashMap<String, Span> = HashMap::new();
        for section in des {
            let Some(found) = r.text(section, "name") else { continue };
            let odd = found.value.chars().any(|c| c.is_control() || c.is_whitespace());
            if odd || found.value.chars().count() > LONGEST_NAME {
                let problem = Problem::error(
                    found.span,
                    "a destination's name has characters that cannot be used, or too many",
                );
                r.report(problem.help("1 to 128 characters without white space"));
            }
            if let Some(other) = first.insert(found.value.clone(), found.span) {
                let problem = Problem::error(
                    found.span,
                    format!("two destinations of one task are called {}", found.quoted()),
                );
                r.report(problem.other(other, "first here").help("give each its own `name`"));
            }
        }
        Self { taken: first.into_keys().collect() }
    }

    fn make(&mut self, dsn: &Dsn, table: &str) -> String {
        let database = match dsn.engine {
            Engine::Sqlite => std::path::Path::new(&dsn.database)
                .file_stem()
                .map_or_else(|| "sqlite".to_owned(), |stem| stem.to_string_lossy().into_owned()),
            _ => dsn.database.clone(),
        };
        self.free(format!("{database}.{table}"))
    }

    /// The name of an event destination: there is only the source to call it after.
    fn make_event(&mut self, source: Option<&str>) -> String {
        self.free(source.map_or_else(|| "events".to_owned(), |table| format!("{table}.events")))
    }

    fn free(&mut self, base: String) -> String {
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        name
    }
}

/// What a destination is checked against.
pub(super) struct Around<'l, 'a> {
    pub(super) layers: &'l Layers<'a>,
    pub(super) top: &'l Section<'a>,
    pub(super) workers: usize,
    /// The source's table, if it is known.
    pub(super) table: Option<&'l str>,
    /// The source says which rows count as deleted.
    pub(super) deleted_when: bool,
}

pub(super) fn check<'a>(
    r: &mut Reader<'_>,
    section: &Section<'a>,
    around: &Around<'_, 'a>,
    connections: &mut Connections<'a>,
    names: &mut Names,
) -> Option<DestinationConfig> {
    let written = r.text(section, "name");
    if let Some(name) = &written {
        let origin = line(r, name.span);
        r.out.leaf("name", name.json.as_str(), origin);
    }
    let Around { layers, top, workers, .. } = around;
    let is_event = event::is_event(section);
    let (copy, connection, made) = if is_event {
        (None, None, written.is_none().then(|| names.make_event(around.table)))
    } else {
        let (place, connection) = connections.resolve(r, section);
        let table = text(r, section, "table");
        let made = match (&written, &place, &table) {
            (None, Some(place), Some(table)) => Some(names.make(&place.dsn, table)),
            _ => None,
        };
        (Some((place, table)), connection, made)
    };
    if let Some(name) = &made {
        r.out.leaf("name", json(name), "default");
    }
    let name = written.map(|name| name.value).or(made);
    let copy = copy.map(|(place, table)| {
        let (by_column, columns) = (text(r, section, "byColumn"), columns(r, section));
        Some(CopyConfig { dsn: place?.dsn, table: table?, by_column: by_column?, columns: columns? })
    });
    let callback = callback::check(r, section, *workers);
    policy::check_all(r, section);
    let layers = layers.around(*section, connection, top);
    let filter = event::filter(r, section, is_event);
    let retry = retry::retry(r, &layers, top);
    let breaker = breaker::breaker(r, &layers);
    let looks = if is_event {
        event::refuse(r, section, around.deleted_when);
        event::LOOKS
    } else {
        Looks {
            confirm: policy::confirm(r, &layers),
            verify: policy::verify(r, &layers),
            sweep: policy::sweep(r, &layers),
            audit: audit::audit(r, &layers),
        }
    };
    let delete = if is_event && !around.deleted_when { false } else { policy::delete(r, &layers) };
    let callbacks = policy::callbacks(r, &layers);
    let keep = policy::keep(r, &layers);
    if let (true, Some(callback)) = (delete, &callback)
        && callback.body == BodyForm::Row
    {
        let at = section.key_span("callbackNotification").unwrap_or(section.at);
        let problem =
            Problem::error(at, "a bare row (`\"body\": \"row\"`) cannot say that a row is to be deleted");
        r.report(problem.help("set `body` to \"full\" or \"diff\", or `delete` to false"));
    }
    let copy = match copy {
        Some(copy) => Some(copy?),
        None => None,
    };
    let Looks { confirm, verify, sweep, audit } = looks;
    Some(DestinationConfig {
        name: DestinationName::new(name?),
        copy,
        filter: filter.ok()?,
        callback: callback?,
        retry,
        breaker,
        confirm,
        verify,
        sweep,
        audit,
        delete,
        callbacks,
        keep,
    })
}

/// The policies of looking at a copy.
pub(super) struct Looks {
    pub(super) confirm: Confirm,
    pub(super) verify: Option<Duration>,
    pub(super) sweep: Option<Duration>,
    pub(super) audit: Option<AuditConfig>,
}
