//! The whole file, and tasks.

use std::path::Path;
use std::time::Duration;

use jsonc_parser::ast::Object;

use super::destination::Around;
use super::place::Connections;
use super::policy::Layers;
use super::{callback, destination, notify, policy, process, source};
use crate::config::keys::Scope;
use crate::config::problem::{Problem, Span};
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{Config, DestinationConfig, Lang, TaskConfig, duration};
use crate::model::TaskName;

/// The task of a file that has `src` and `des` at its top level.
const ONLY_TASK: &str = "main";

/// What is known about the file besides its text.
pub(crate) struct File<'e> {
    /// Absolute path.
    pub(crate) path: &'e Path,
    /// Its folder.
    pub(crate) folder: &'e Path,
}

/// A task before it is checked.
struct Shape<'a> {
    name: String,
    /// Where the policies of the task stand.
    holder: Section<'a>,
    src: Option<Section<'a>>,
    des: Vec<Section<'a>>,
}

/// Checks a whole file; `None` if anything is missing for a configuration, which is then among the problems.
pub(crate) fn check(r: &mut Reader<'_>, root: &Object<'_>, file: &File<'_>) -> Option<Config> {
    let at = Span { start: root.range.start, end: root.range.start + 1 };
    let top = r.section(Scope::Top, root, at);
    let mut connections = Connections::read(r, &top);
    let shapes = shapes(r, &top);
    let sources: Vec<Section<'_>> = shapes.iter().filter_map(|shape| shape.src).collect();

    let name = process::name(r, &top, file);
    let workers = process::workers(r, &top);
    let state = process::state(r, &top, &sources, file);
    let log = process::log(r, &top, file);
    let stop = fixed(r, &top, "stop", Duration::from_millis(1500));
    let keep = fixed(r, &top, "keep", policy::KEEP);
    let keep_at_most = r.number(&top, "keepAtMost").map(|found| {
        let origin = line(r, found.span);
        r.out.leaf("keepAtMost", found.json.as_str(), origin);
        found.value
    });
    let (notify, language) = notify::check(r, &top, &sources);
    policy::check_all(r, &top);

    r.out.open(Some("tasks"));
    let tasks: Vec<Option<TaskConfig>> =
        shapes.iter().map(|shape| task(r, shape, &top, &mut connections, workers, language)).collect();
    r.out.close();
    connections.report_unused(r);

    let tasks: Vec<TaskConfig> = tasks.into_iter().collect::<Option<_>>()?;
    let sections = shapes.iter().flat_map(|shape| &shape.des);
    let destinations = tasks.iter().flat_map(|task| &task.destinations);
    if !r.is_broken() {
        callback::shared(r, &sections.zip(destinations).collect::<Vec<_>>());
    }
    if tasks.is_empty() {
        return None;
    }
    Some(Config {
        path: file.path.to_owned(),
        name: name?,
        state: state?,
        log,
        workers,
        stop,
        keep,
        keep_at_most,
        notify,
        tasks,
    })
}

/// A duration of the top level.
fn fixed(r: &mut Reader<'_>, top: &Section<'_>, name: &str, default: Duration) -> Duration {
    let found = r.duration(top, name);
    shown(r, name, found, default, |value| json(&duration::show(*value)))
}

/// Explains a value: as found, else its default.
pub(super) fn shown<T>(
    r: &mut Reader<'_>,
    name: &str,
    found: Option<Found<T>>,
    default: T,
    show: impl Fn(&T) -> String,
) -> T {
    match found {
        Some(found) => {
            let origin = line(r, found.span);
            r.out.leaf(name, found.json, origin);
            found.value
        }
        None => {
            r.out.leaf(name, show(&default), "default");
            default
        }
    }
}

pub(super) fn line(r: &Reader<'_>, span: Span) -> String {
    format!("line {}", r.line(span))
}

/// Finds the tasks of either form.
fn shapes<'a>(r: &mut Reader<'_>, top: &Section<'a>) -> Vec<Shape<'a>> {
    let single = top.key_span("src").or_else(|| top.key_span("des"));
    let Some(tasks) = top.key_span("tasks") else {
        if single.is_none() {
            let problem = Problem::error(top.at, "the configuration has no task");
            r.report(problem.help("add `src` and `des`, or `tasks` with one or more of them"));
            return Vec::new();
        }
        return vec![shape(r, ONLY_TASK.to_owned(), *top)];
    };
    if let Some(single) = single {
        let problem = Problem::error(tasks, "`tasks` stands beside `src` and `des` at the top level");
        let problem = problem.other(single, "the other form");
        r.report(problem.help("move `src` and `des` into an entry of `tasks`"));
    }
    let entries = r.entries(top, "tasks");
    if top.is_empty("tasks") {
        r.report(
            Problem::error(tasks, "`tasks` is empty").help("add one: \"users\": { \"src\": …, \"des\": … }"),
        );
    }
    entries
        .into_iter()
        .map(|(name, at, section)| {
            if !process::is_name(name) {
                let problem =
                    Problem::error(at, "a task's name has characters that cannot be used, or too many");
                r.report(problem.help("1 to 64 letters, digits, `.`, `_` and `-`"));
            }
            shape(r, name.to_owned(), section)
        })
        .collect()
}

fn shape<'a>(r: &mut Reader<'_>, name: String, holder: Section<'a>) -> Shape<'a> {
    let src = r.below(&holder, "src");
    if !holder.has("src") {
        r.missing(&holder, "src");
    }
    let des = r.list(&holder, "des");
    match (&des, holder.key_span("des")) {
        (Some(_), Some(at)) if holder.is_empty("des") => {
            r.report(Problem::error(at, "`des` is empty").help("name at least one destination"));
        }
        (None, None) => r.missing(&holder, "des"),
        _ => {}
    }
    Shape { name, holder, src, des: des.unwrap_or_default() }
}

fn task<'a>(
    r: &mut Reader<'_>,
    shape: &Shape<'a>,
    top: &Section<'a>,
    connections: &mut Connections<'a>,
    workers: usize,
    language: Lang,
) -> Option<TaskConfig> {
    r.out.open(Some(&shape.name));
    let mut layers = Layers::default();
    if shape.holder.scope == Scope::Task {
        layers.push(shape.holder, "task");
        policy::check_all(r, &shape.holder);
    }
    let notify = notify::of_task(r, &shape.holder, language);
    let mut source = shape.src.and_then(|section| source::check(r, &section, &layers, top, connections));
    r.out.open_list("des");
    let mut names = destination::Names::reserve(r, &shape.des);
    let mut destinations = Vec::new();
    let around = Around {
        layers: &layers,
        top,
        workers,
        table: source.as_ref().map(|source| source.table.as_str()),
        deleted_when: shape.src.is_some_and(|src| src.has("deletedWhen")),
    };
    for section in &shape.des {
        r.out.open(None);
        destinations.push(destination::check(r, section, &around, connections, &mut names));
        r.out.close();
    }
    r.out.close_list();
    r.out.close();
    let destinations = destinations.into_iter().collect::<Option<Vec<_>>>()?;
    (!destinations.is_empty()).then_some(())?;
    let callbacks = destinations.iter().any(|destination| destination.callbacks);
    if let (Some(at), false) =
        (shape.src.and_then(|src| src.key_span("deletedWhen")), destinations.iter().any(|d| d.delete))
    {
        let problem = Problem::error(at, "`deletedWhen` is given and no destination has `delete`");
        r.report(problem.help(
            "set `\"delete\": true`, so that copies of deleted rows are called back as type 3, or remove it",
        ));
    }
    if let Some(source) = &mut source {
        source.whole = destinations.iter().any(DestinationConfig::is_event);
    }
    let name = TaskName::new(shape.name.as_str());
    Some(TaskConfig { name, source: source?, destinations, callbacks, notify })
}
