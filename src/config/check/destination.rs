//! Entries of `des`.

use std::collections::{HashMap, HashSet};

use super::breaker;
use super::callback;
use super::column::columns;
use super::line;
use super::place::Connections;
use super::policy::{self, Layers};
use super::retry;
use super::source::text;
use crate::config::problem::{Problem, Span};
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{BodyForm, DestinationConfig, Dsn, Engine};
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
        let base = format!("{database}.{table}");
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{base}-{number}");
            number += 1;
        }
        name
    }
}

pub(super) fn check<'a>(
    r: &mut Reader<'_>,
    section: &Section<'a>,
    layers: &Layers<'a>,
    top: &Section<'a>,
    connections: &mut Connections<'a>,
    names: &mut Names,
    workers: usize,
) -> Option<DestinationConfig> {
    let written = r.text(section, "name");
    if let Some(name) = &written {
        let origin = line(r, name.span);
        r.out.leaf("name", name.json.as_str(), origin);
    }
    let (place, connection) = connections.resolve(r, section);
    let table = text(r, section, "table");
    let name = match (written, &place, &table) {
        (Some(name), ..) => Some(name.value),
        (None, Some(place), Some(table)) => {
            let name = names.make(&place.dsn, table);
            r.out.leaf("name", json(&name), "default");
            Some(name)
        }
        _ => None,
    };
    let by_column = text(r, section, "byColumn");
    let columns = columns(r, section);
    let callback = callback::check(r, section, workers);
    policy::check_all(r, section);
    let layers = layers.around(*section, connection, top);
    let retry = retry::retry(r, &layers, top);
    let breaker = breaker::breaker(r, &layers);
    let confirm = policy::confirm(r, &layers);
    let verify = policy::verify(r, &layers);
    let sweep = policy::sweep(r, &layers);
    let delete = policy::delete(r, &layers);
    let callbacks = policy::callbacks(r, &layers);
    if let (true, Some(callback)) = (delete, &callback)
        && callback.body == BodyForm::Row
    {
        let at = section.key_span("callbackNotification").unwrap_or(section.at);
        let problem =
            Problem::error(at, "a bare row (`\"body\": \"row\"`) cannot say that a row is to be deleted");
        r.report(problem.help("set `body` to \"full\" or \"diff\", or `delete` to false"));
    }
    Some(DestinationConfig {
        name: DestinationName::new(name?),
        dsn: place?.dsn,
        table: table?,
        by_column: by_column?,
        columns: columns?,
        callback: callback?,
        retry,
        breaker,
        confirm,
        verify,
        sweep,
        delete,
        callbacks,
    })
}
