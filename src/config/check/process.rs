//! What belongs to the process: its name, workers, folders and log.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{File, line, shown};
use crate::config::dsn::absolute;
use crate::config::problem::Problem;
use crate::config::read::{Found, Reader, json};
use crate::config::section::Section;
use crate::config::{LogConfig, LogFormat, LogLevel, StateConfig};

/// One manager, one callback task, one scanner.
const LEAST_WORKERS: u64 = 3;
const LOG_DAYS: usize = 7;
const LONGEST_NAME: usize = 64;

/// Whether a text can be part of file names, headers and commands.
pub(super) fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

pub(super) fn name(r: &mut Reader<'_>, top: &Section<'_>, file: &File<'_>) -> Option<String> {
    let Some(found) = r.text(top, "name") else {
        let name = default_name(file.path);
        r.out.leaf("name", json(&name), "default: name and path of the file");
        return Some(name);
    };
    if is_name(&found.value) {
        let origin = line(r, found.span);
        r.out.leaf("name", found.json, origin);
        return Some(found.value);
    }
    let problem = Problem::error(found.span, "`name` has characters that cannot be used, or too many");
    r.report(problem.help("1 to 64 letters, digits, `.`, `_` and `-`"));
    None
}

fn default_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem
        .chars()
        .take(LONGEST_NAME - 9)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    let mut name = format!("{stem}-");
    for byte in &digest[..4] {
        write!(name, "{byte:02x}").expect("writing to a string cannot fail");
    }
    name
}

pub(super) fn workers(r: &mut Reader<'_>, top: &Section<'_>) -> usize {
    let found = r.number(top, "workerNumber");
    if let Some(found) = &found
        && found.value < LEAST_WORKERS
    {
        let message = format!("`workerNumber` {} is raised to {LEAST_WORKERS}", found.value);
        r.report(
            Problem::note(found.span, message).label("one manager, one for callbacks, one that compares"),
        );
    }
    let found = found.map(|found| {
        let value = found.value.max(LEAST_WORKERS);
        Found { json: value.to_string(), ..found }.with(value)
    });
    let workers = shown(r, "workerNumber", found, LEAST_WORKERS, u64::to_string);
    usize::try_from(workers).expect("at most 1024")
}

/// The folders that may be emptied at boot.
fn is_temporary(r: &Reader<'_>, path: &Path) -> bool {
    let own = (r.outside.env)("TMPDIR").filter(|folder| folder.starts_with('/') && folder.len() > 1);
    let fixed = ["/tmp", "/var/tmp"].map(str::to_owned);
    fixed.into_iter().chain(own).any(|folder| path.starts_with(absolute(Path::new(&folder), Path::new("/"))))
}

/// The first folder of a systemd directory variable.
fn variable(r: &Reader<'_>, name: &str) -> Option<PathBuf> {
    let value = (r.outside.env)(name)?;
    value.split(':').next().filter(|folder| folder.starts_with('/')).map(PathBuf::from)
}

struct Folder {
    path: PathBuf,
    origin: String,
    comment: String,
    note: Option<String>,
}

/// A folder from the file or from systemd; a temporary one in the file gives way to systemd's.
fn folder(
    r: &Reader<'_>,
    written: Option<(&str, &Found<String>)>,
    name: &str,
    file: &File<'_>,
) -> Option<Folder> {
    let given = variable(r, name);
    let Some((key, found)) = written else {
        let origin = format!("${name}");
        return given.map(|path| Folder { path, comment: origin.clone(), origin, note: None });
    };
    let path = absolute(Path::new(&found.value), file.folder);
    let own = line(r, found.span);
    match given {
        Some(given) if is_temporary(r, &path) => Some(Folder {
            note: Some(format!(
                "{key} {} lies in a temporary folder, so ${name} is used instead: {}",
                path.display(),
                given.display()
            )),
            comment: format!("${name}, which wins over `{key}` in a temporary folder ({own})"),
            origin: format!("${name}"),
            path: given,
        }),
        _ => {
            // Whoever wrote an old key may have meant the working directory.
            let relative = key != "state" && Path::new(&found.value).is_relative();
            let note = relative.then(|| {
                format!(
                    "{key} {} is taken from the folder of the configuration: {}",
                    found.value,
                    path.display()
                )
            });
            Some(Folder { path, origin: key.to_owned(), comment: format!("{key}, {own}"), note })
        }
    }
}

pub(super) fn state(
    r: &mut Reader<'_>,
    top: &Section<'_>,
    sources: &[Section<'_>],
    file: &File<'_>,
) -> Option<StateConfig> {
    let state = r.text(top, "state");
    let mut old: Option<Found<String>> = None;
    let mut differ = false;
    for section in std::iter::once(top).chain(sources) {
        let Some(found) = r.text(section, "cacheFilePath") else { continue };
        match &old {
            Some(first) if first.value != found.value && state.is_none() => {
                let problem = Problem::error(found.span, "`cacheFilePath` names two folders");
                let problem = problem.other(first.span, "the other one");
                r.report(problem.help(
                    "all tasks keep their progress in one folder: name it once, as `state` at the top level",
                ));
                differ = true;
            }
            Some(_) => {}
            None => old = Some(found),
        }
    }
    if let (Some(state), Some(old)) = (&state, &old)
        && absolute(Path::new(&state.value), file.folder) != absolute(Path::new(&old.value), file.folder)
    {
        r.report(Problem::note(old.span, "`cacheFilePath` is not used, as `state` is given"));
    }
    let written = match (&state, &old) {
        (Some(found), _) => Some(("state", found)),
        (None, Some(found)) => Some(("cacheFilePath", found)),
        (None, None) => None,
    };
    let folder = folder(r, written, "STATE_DIRECTORY", file).unwrap_or_else(|| Folder {
        path: file.folder.to_owned(),
        origin: "folder of the configuration".to_owned(),
        comment: "default: folder of the configuration".to_owned(),
        note: None,
    });
    if is_temporary(r, &folder.path) {
        let span = written.map(|(_, found)| found.span);
        let message = format!("progress is kept in a temporary folder, {}", folder.path.display());
        let problem = Problem::warning(span, message);
        r.report(problem.help("it may be emptied at boot: name a lasting folder as `state`, or run under systemd with StateDirectory=cupid"));
    }
    r.out.leaf("state", json(&folder.path.to_string_lossy()), folder.comment);
    (!differ).then_some(StateConfig { dir: folder.path, origin: folder.origin, note: folder.note })
}

pub(super) fn log(r: &mut Reader<'_>, top: &Section<'_>, file: &File<'_>) -> LogConfig {
    let written = r.text(top, "logDir");
    let folder = folder(r, written.as_ref().map(|found| ("logDir", found)), "LOGS_DIRECTORY", file);
    if let Some(folder) = &folder {
        r.out.leaf("logDir", json(&folder.path.to_string_lossy()), folder.comment.as_str());
    }
    let (dir, note) = folder.map_or((None, None), |folder| (Some(folder.path), folder.note));
    let section = r.below(top, "log");
    r.out.open(Some("log"));
    let level = section.and_then(|section| r.word(&section, "level"));
    let level = match shown(r, "level", level, "info", |word| json(word)) {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    };
    let format = section.and_then(|section| r.word(&section, "format"));
    let format = match shown(r, "format", format, "text", |word| json(word)) {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let days = section.and_then(|section| r.number(&section, "days")).map(|found| {
        let value = usize::try_from(found.value).unwrap_or(LOG_DAYS);
        found.with(value)
    });
    let days = shown(r, "days", days, LOG_DAYS, usize::to_string);
    r.out.close();
    LogConfig { dir, note, level, format, days }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_tell_folders_apart() {
        let one = default_name(Path::new("/etc/cupid/config.json"));
        let other = default_name(Path::new("/srv/cupid/config.json"));
        assert!(one.starts_with("config-") && one.len() == "config-".len() + 8, "{one}");
        assert_ne!(one, other);
        assert!(is_name(&default_name(Path::new(&format!("/x/配置 {}.json", "a".repeat(300))))));
    }
}
