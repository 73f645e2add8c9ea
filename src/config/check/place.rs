//! Databases: `dsn` on the place itself, or `use` of an entry of `connections`.

use crate::base::secret::Secret;
use crate::config::nearest::nearest;
use crate::config::problem::{Problem, Span};
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{Dsn, Engine, dsn};

/// A database as a place refers to it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dsn: Dsn,
    /// (key, JSON, line) as explained.
    shown: Vec<(&'static str, String, usize)>,
}

impl Place {
    fn explain(&self, r: &mut Reader<'_>, whose: &str) {
        for (key, json, line) in &self.shown {
            r.out.leaf(key, json.as_str(), origin(whose, *line));
        }
    }
}

/// Where a value came from, in the words of an explanation; an empty `whose` is the place itself.
pub(super) fn origin(whose: &str, line: usize) -> String {
    if whose.is_empty() { format!("line {line}") } else { format!("{whose} (line {line})") }
}

struct Connection<'a> {
    name: &'a str,
    at: Span,
    section: Section<'a>,
    place: Option<Place>,
    used: bool,
}

/// The entries of `connections`.
pub(super) struct Connections<'a>(Vec<Connection<'a>>);

impl<'a> Connections<'a> {
    pub(super) fn read(r: &mut Reader<'_>, top: &Section<'a>) -> Self {
        let entries = if top.has("connections") { r.entries(top, "connections") } else { Vec::new() };
        let entries = entries.into_iter().map(|(name, at, section)| {
            let place = own(r, &section);
            super::policy::check_all(r, &section);
            Connection { name, at, section, place, used: false }
        });
        Self(entries.collect())
    }

    /// Says which connections nobody uses; not while something is wrong, which may be just a mistyped `use`.
    pub(super) fn report_unused(&self, r: &mut Reader<'_>) {
        if r.is_broken() {
            return;
        }
        for unused in self.0.iter().filter(|connection| !connection.used) {
            r.report(Problem::note(unused.at, format!("the connection `{}` is not used", unused.name)));
        }
    }

    /// The database of a place, explained; and the connection it uses, for its policies.
    pub(super) fn resolve(
        &mut self,
        r: &mut Reader<'_>,
        section: &Section<'_>,
    ) -> (Option<Place>, Option<(Section<'a>, String)>) {
        let Some(reference) = section.key_span("use") else {
            if !section.has("dsn") && !self.0.is_empty() {
                let problem = Problem::error(
                    section.at,
                    format!("`dsn` or `use` is missing in {}", section.scope.place()),
                );
                r.report(problem.help("give a `dsn`, or `use` an entry of `connections`"));
                return (None, None);
            }
            let place = own(r, section);
            if let Some(place) = &place {
                place.explain(r, "");
            }
            return (place, None);
        };
        for key in ["dsn", "user", "password"] {
            if let Some(at) = section.key_span(key) {
                let problem =
                    Problem::error(at, format!("`{key}` stands beside `use`")).other(reference, "here");
                r.report(problem.help("keep one: `use` takes the whole account from `connections`"));
            }
        }
        let Some(found) = r.required(section, "use") else { return (None, None) };
        let names: Vec<&str> = self.0.iter().map(|connection| connection.name).collect();
        let Some(connection) = self.0.iter_mut().find(|connection| connection.name == found.value) else {
            let problem =
                Problem::error(found.span, format!("{} is not defined in `connections`", found.quoted()));
            r.report(problem.help(match nearest(&found.value, names.iter().copied()) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None if names.is_empty() => "add it: \"connections\": { … } at the top level".to_owned(),
                None => format!("defined are: {}", names.join(", ")),
            }));
            return (None, None);
        };
        connection.used = true;
        let whose = format!("connections.{}", connection.name);
        if let Some(place) = &connection.place {
            place.explain(r, &whose);
        }
        (connection.place.clone(), Some((connection.section, whose)))
    }
}

/// The database that a section names itself.
fn own(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Place> {
    let written = r.required(section, "dsn");
    let user = r.text(section, "user");
    let password = r.text(section, "password");
    let written = written?;
    let parsed = match dsn::parse(&written.value, r.outside.folder) {
        Ok(parsed) => parsed,
        Err(e) => {
            let problem = Problem::error(written.span, e.message);
            r.report(match e.help {
                Some(help) => problem.help(help),
                None => problem,
            });
            return None;
        }
    };
    for note in parsed.notes {
        r.report(Problem::note(written.span, note));
    }
    let mut dsn = parsed.dsn;
    let json = if dsn.engine == Engine::Sqlite && !written.outside {
        json(&format!("sqlite:{}", dsn.database.replace('%', "%25").replace('?', "%3F")))
    } else {
        written.json
    };
    let mut shown = vec![("dsn", json, r.line(written.span))];
    if let Some(user) = user {
        if !dsn.user.is_empty() && dsn.user != user.value && !r.outside.names_only {
            let problem = Problem::error(user.span, "`user` differs from the user in `dsn`");
            r.report(problem.other(written.span, "here").help("keep one of them"));
        }
        dsn.user.clone_from(&user.value);
        shown.push(("user", user.json.clone(), r.line(user.span)));
    }
    if let Some(password) = password {
        let differs = dsn.password.as_ref().is_some_and(|inside| inside.expose() != &password.value);
        if differs && !r.outside.names_only {
            let problem = Problem::error(password.span, "`password` differs from the password in `dsn`");
            r.report(problem.other(written.span, "here").help("keep one of them"));
        }
        shown.push(("password", password.json.clone(), r.line(password.span)));
        dsn.password = Some(Secret::new(password.value));
    }
    Some(Place { dsn, shown })
}
