//! Policies: the nearest setting wins, and none of them goes unchecked because a nearer one hides it.

use std::time::Duration;

use super::place::origin;
use super::{audit, breaker, retry};
use crate::config::keys::{self, Scope};
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{Confirm, duration, zone};

const VERIFY: Duration = Duration::from_secs(30);
const CONFIRM: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// How long ended deliveries are kept.
pub(super) const KEEP: Duration = Duration::from_secs(30 * 86_400);

/// Sections in which a policy may stand, nearest first, each with its name in an explanation.
#[derive(Clone, Default)]
pub(super) struct Layers<'a>(Vec<(Section<'a>, String)>);

impl<'a> Layers<'a> {
    pub(super) fn push(&mut self, section: Section<'a>, whose: impl Into<String>) {
        self.0.push((section, whose.into()));
    }

    /// These layers with a nearer one before and the connection and the top level behind.
    pub(super) fn around(
        &self,
        own: Section<'a>,
        connection: Option<(Section<'a>, String)>,
        top: &Section<'a>,
    ) -> Self {
        let mut layers = Self(vec![(own, String::new())]);
        layers.0.extend(self.0.iter().cloned());
        layers.0.extend(connection);
        layers.with_top(top)
    }

    pub(super) fn with_top(&self, top: &Section<'a>) -> Self {
        let mut layers = self.clone();
        layers.push(*top, "top level");
        layers
    }

    /// What the nearest layer with this key says, and where that is.
    pub(super) fn nearest<T>(
        &self,
        r: &mut Reader<'_>,
        key: &str,
        mut read: impl FnMut(&mut Reader<'_>, &Section<'_>) -> Option<T>,
    ) -> Option<(T, String)> {
        let usable = |scope: Scope| keys::usable(scope).any(|known| known.name == key);
        let (section, whose) =
            self.0.iter().find(|(section, _)| usable(section.scope) && section.has(key))?;
        let line = r.line(section.key_span(key)?);
        read(r, section).map(|value| (value, origin(whose, line)))
    }
}

/// Checks the policies of a section, whether they come to count or not.
pub(super) fn check_all(r: &mut Reader<'_>, section: &Section<'_>) {
    let can = |key: &str| keys::usable(section.scope).any(|known| known.name == key) && section.has(key);
    if section.scope == Scope::Top {
        r.number(section, "failureJobRetrySecond");
    }
    if can("retry") {
        retry::read(r, section, retry::DELAY);
    }
    if can("breaker") {
        breaker::read(r, section);
    }
    if can("audit") {
        audit::read(r, section);
    }
    for key in ["confirm", "lag", "hot", "settle", "keep"] {
        if can(key) {
            r.duration(section, key);
        }
    }
    for key in ["verify", "sweep"] {
        if can(key) {
            r.duration_or_false(section, key);
        }
    }
    if can("delete") {
        r.boolean(section, "delete");
    }
    if can("zone") {
        read_zone(r, section);
    }
    if can("callbacks") {
        r.switch(section, "callbacks");
    }
}

pub(super) fn callbacks(r: &mut Reader<'_>, layers: &Layers<'_>) -> bool {
    let found = layers.nearest(r, "callbacks", |r, section| r.switch(section, "callbacks"));
    let (value, origin) =
        found.map_or_else(|| (true, "default".to_owned()), |(found, origin)| (found.value, origin));
    r.out.leaf("callbacks", if value { "\"on\"" } else { "\"off\"" }, origin);
    value
}

pub(super) fn confirm(r: &mut Reader<'_>, layers: &Layers<'_>) -> Confirm {
    Confirm {
        floor: span(r, layers, "confirm", CONFIRM),
        lag: span(r, layers, "lag", MINUTE),
        hot: span(r, layers, "hot", MINUTE),
    }
}

pub(super) fn settle(r: &mut Reader<'_>, layers: &Layers<'_>) -> Duration {
    span(r, layers, "settle", MINUTE)
}

pub(super) fn verify(r: &mut Reader<'_>, layers: &Layers<'_>) -> Option<Duration> {
    span_or_false(r, layers, "verify", VERIFY)
}

pub(super) fn sweep(r: &mut Reader<'_>, layers: &Layers<'_>) -> Option<Duration> {
    span_or_false(r, layers, "sweep", DAY)
}

pub(super) fn keep(r: &mut Reader<'_>, layers: &Layers<'_>) -> Duration {
    span(r, layers, "keep", KEEP)
}

pub(super) fn delete(r: &mut Reader<'_>, layers: &Layers<'_>) -> bool {
    let found = layers.nearest(r, "delete", |r, section| r.boolean(section, "delete"));
    let (value, origin) =
        found.map_or_else(|| (false, "default".to_owned()), |(found, origin)| (found.value, origin));
    r.out.leaf("delete", value.to_string(), origin);
    value
}

fn span(r: &mut Reader<'_>, layers: &Layers<'_>, key: &str, default: Duration) -> Duration {
    let found = layers.nearest(r, key, |r, section| r.duration(section, key));
    let (value, origin) =
        found.map_or_else(|| (default, "default".to_owned()), |(found, origin)| (found.value, origin));
    r.out.leaf(key, json(&duration::show(value)), origin);
    value
}

fn span_or_false(r: &mut Reader<'_>, layers: &Layers<'_>, key: &str, default: Duration) -> Option<Duration> {
    let found = layers.nearest(r, key, |r, section| r.duration_or_false(section, key));
    let (value, origin) =
        found.map_or_else(|| (Some(default), "default".to_owned()), |(found, origin)| (found.value, origin));
    r.out.leaf(key, value.map_or_else(|| "false".to_owned(), |v| json(&duration::show(v))), origin);
    value
}

pub(super) fn zone(r: &mut Reader<'_>, layers: &Layers<'_>) -> Option<chrono_tz::Tz> {
    let (found, origin) = layers.nearest(r, "zone", read_zone)?;
    r.out.leaf("zone", json(found.value.name()), origin);
    Some(found.value)
}

pub(super) fn read_zone(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Found<chrono_tz::Tz>> {
    let found = r.text(section, "zone")?;
    match zone::parse_zone(&found.value) {
        Ok(zone) => Some(found.with(zone)),
        Err(reason) => {
            let message = if found.outside { "`zone` is not a time zone".to_owned() } else { reason };
            let problem = Problem::error(found.span, message);
            r.report(match nearest(&found.value, zone::zone_names()) {
                Some(name) if !found.outside => problem.help(format!("did you mean \"{name}\"?")),
                _ => problem.help("write a name such as \"Asia/Shanghai\" or \"Europe/Berlin\", \"UTC\", or an offset such as \"+08:00\""),
            });
            None
        }
    }
}
