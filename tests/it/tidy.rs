//! House rules that no compiler knows: floors, file sizes, log messages, nothing left lying about.

use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file before its tests.
const LONGEST: usize = 400;

/// Which modules stand on which floor. A module imports lower floors only.
const FLOORS: [&[&str]; 9] = [
    &["model", "base"],
    &["config"],
    &["sql", "diff"],
    &["source", "destination", "store"],
    &["scan", "audit", "outbox", "deliver", "history", "notify", "repair"],
    &["engine"],
    &["admin"],
    &["app"],
    &["cli", "demo", "main"],
];

/// Who may name the driver: everybody else gets its own types from these.
const MAY_NAME_SQLX: [&str; 2] = ["sql", "store"];

/// The demo's own shop has to be written too, which nothing else in the program does.
const NAMES_SQLX_TOO: &str = "src/cli/demo/tables.rs";

/// Who talks to people on standard output and error.
const MAY_PRINT: [&str; 3] = ["cli", "demo", "main"];

#[test]
fn modules_import_lower_floors_only() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = file.module();
        if module == "lib" {
            continue;
        }
        let Some(floor) = floor_of(&module) else {
            wrong.push(format!("{}: module {module} has no floor; give it one in this test", file.name));
            continue;
        };
        for (line, imported) in file.imports() {
            let ok = imported == module
                || (module == "main" && imported == "cli")
                || floor_of(&imported).is_some_and(|f| f < floor);
            if !ok && !is_crate_item(&imported) {
                wrong.push(format!("{}:{line}: {module} (floor {floor}) imports {imported}", file.name));
            }
        }
        if !MAY_NAME_SQLX.contains(&module.as_str()) && file.name != NAMES_SQLX_TOO {
            wrong.extend(file.lines_with_word("sqlx").map(|l| format!("{}:{l}: names sqlx", file.name)));
        }
    }
    report("imports against the floors", &wrong);
}

#[test]
fn the_crate_lists_its_modules_in_floor_order() {
    let lib = sources().into_iter().find(|f| f.name == "src/lib.rs").unwrap();
    let floors: Vec<usize> = lib
        .code
        .lines()
        .filter_map(|l| l.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(|m| floor_of(m).unwrap_or_else(|| panic!("module {m} has no floor; give it one in this test")))
        .collect();
    assert!(!floors.is_empty());
    assert!(floors.is_sorted(), "{floors:?}");
}

#[test]
fn files_are_short() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|f| f.code.lines().count() > LONGEST)
        .map(|f| format!("{}: {} lines before its tests, at most {LONGEST}", f.name, f.code.lines().count()))
        .collect();
    report("long files", &wrong);
}

/// Docs, module list, seam trait, plain types, re-exports: who opens a folder reads there what it is, not how it works.
#[test]
fn mod_files_hold_no_logic() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|f| f.name.ends_with("/mod.rs")) {
        for (i, line) in file.code.lines().enumerate() {
            let item = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            let item = item.trim_start_matches("pub(super) ");
            let logic = ["fn ", "async fn ", "const fn ", "impl ", "impl<", "macro_rules!"];
            // A seam's own door: the one place beside `app` that names the kinds behind it.
            let door = item.starts_with("fn open(") || item.starts_with("async fn open(");
            if !door && logic.iter().any(|l| item.starts_with(l)) {
                wrong.push(format!("{}:{}: {}", file.name, i + 1, line.trim()));
            }
        }
    }
    report("logic in mod.rs", &wrong);
}

#[test]
fn log_messages_are_constant_and_lowercase() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (line, message) in file.log_messages() {
            match message {
                None => wrong.push(format!("{}:{line}: no constant message", file.name)),
                Some(m) => {
                    let first = m.chars().next().unwrap_or(' ');
                    if m.contains('{')
                        || !(first.is_lowercase() || first.is_ascii_digit())
                        || m.ends_with('.')
                    {
                        wrong.push(format!("{}:{line}: {m:?}", file.name));
                    }
                }
            }
        }
    }
    report("log messages: constant text, lowercase, no full stop, values as fields", &wrong);
}

#[test]
fn nothing_is_left_lying_about() {
    let mut wrong = Vec::new();
    for file in sources() {
        let prints = MAY_PRINT.contains(&file.module().as_str());
        for (i, line) in file.code.lines().enumerate() {
            let banned = ["todo!", "unimplemented!", "dbg!", ".unwrap()", "#[allow(", "#![allow("];
            let printed = ["println!", "eprintln!", "print!", "eprint!"];
            for word in banned.iter().chain(printed.iter().filter(|_| !prints)) {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: {word}", file.name, i + 1));
                }
            }
            let above: Vec<&str> = file.text.lines().take(i + 1).skip(i.saturating_sub(6)).collect();
            if words(line).any(|w| w == "unsafe") && !above.iter().any(|l| l.contains("SAFETY:")) {
                wrong.push(format!("{}:{}: unsafe without a SAFETY comment", file.name, i + 1));
            }
        }
        for (i, line) in file.text.lines().enumerate() {
            if ["TODO", "FIXME", "XXX"].iter().any(|w| line.contains(w)) {
                wrong.push(format!("{}:{}: {}", file.name, i + 1, line.trim()));
            }
        }
    }
    report("left lying about", &wrong);
}

#[test]
fn nothing_names_a_machine() {
    // In pieces, so that this file does not find itself.
    let homes = [["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["/wo", "rk/"]].map(|p| p.concat());
    let mut wrong = Vec::new();
    for path in files_below(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (i, line) in text.lines().enumerate() {
            if homes.iter().any(|h| line.contains(h.as_str())) {
                wrong.push(format!("{}:{}: {}", relative(&path), i + 1, line.trim()));
            }
        }
    }
    report("paths of somebody's machine", &wrong);
}

/// The example is the legacy file: it must stay one that runs unchanged.
#[test]
fn the_example_configuration_has_no_problem() {
    let example = root().join("config.example.json");
    assert!(example.exists(), "{} is part of what is shipped", relative(&example));
    let ran = std::process::Command::new(crate::support::daemon::program())
        .args(["check", "-c"])
        .arg(&example)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(0), "{said}");
    assert!(!said.contains("unknown key"), "{said}");
}

// --- reading Rust, as far as these rules need it --------------------------------------------------------------------

struct Source {
    /// Relative to the repository.
    name: String,
    /// The file before its tests.
    text: String,
    /// The same with comments and the insides of literals blanked, byte for byte in the same place.
    code: String,
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let text = text[..tests_begin(&text)].to_owned();
        let code = blanked(&text);
        Self { name: relative(path), text, code }
    }

    /// The module right below the crate.
    fn module(&self) -> String {
        let below = self.name.strip_prefix("src/").unwrap();
        below.split('/').next().unwrap().trim_end_matches(".rs").to_owned()
    }

    /// Modules right below the crate that are named here, with their lines.
    fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        // How many `super` lead to the crate.
        let depth = self.name.trim_end_matches("/mod.rs").matches('/').count();
        for (line, text) in (1..).zip(self.code.lines()) {
            let mut roots: Vec<&str> = Vec::new();
            for root in ["crate::", "cupid::"] {
                for (at, _) in text.match_indices(root) {
                    let own_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c));
                    if own_word && (root == "crate::" || self.module() == "main") {
                        roots.push(&text[at + root.len()..]);
                    }
                }
            }
            let supers = "super::".repeat(depth);
            if let Some(at) = text.find(&supers)
                && depth > 0
            {
                roots.push(&text[at + supers.len()..]);
            }
            for rest in roots {
                let names: Vec<&str> = match rest.strip_prefix('{') {
                    Some(group) => group.split(',').map(str::trim).collect(),
                    None => vec![rest],
                };
                found
                    .extend(names.iter().filter_map(|n| words(n).next()).map(|word| (line, word.to_owned())));
            }
        }
        found.retain(|(_, word)| word != "super" && word != "self");
        found
    }

    fn lines_with_word(&self, word: &str) -> impl Iterator<Item = usize> {
        (1..).zip(self.code.lines()).filter(move |(_, l)| words(l).any(|w| w == word)).map(|(i, _)| i)
    }

    /// The message of each tracing macro, with its line.
    fn log_messages(&self) -> Vec<(usize, Option<&str>)> {
        let mut found = Vec::new();
        for name in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
            for (at, _) in self.code.match_indices(name) {
                if self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                let line = self.code[..at].matches('\n').count() + 1;
                found.push((line, self.message(at + name.len())));
            }
        }
        found
    }

    /// The argument that is a string literal by itself, of the macro whose arguments begin at `from`.
    fn message(&self, from: usize) -> Option<&str> {
        let (mut depth, mut begin) = (0_usize, from);
        for (i, c) in self.code[from..].char_indices().map(|(i, c)| (from + i, c)) {
            let ends = depth == 0 && matches!(c, ',' | ')');
            if ends {
                let argument = self.text[begin..i].trim();
                if let Some(literal) = argument.strip_prefix('"') {
                    return literal.strip_suffix('"');
                }
                begin = i + 1;
            }
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => return None,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
        }
        None
    }
}

/// Where `#[cfg(test)] mod … {` begins; the length if there is none.
fn tests_begin(text: &str) -> usize {
    text.match_indices("#[cfg(test)]\n")
        .find(|(at, attribute)| {
            let next = text[at + attribute.len()..].lines().next().unwrap_or("");
            next.starts_with("mod ") && next.ends_with('{')
        })
        .map_or(text.len(), |(at, _)| at)
}

/// Blanks comments and the insides of string and character literals; line ends stay.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut blank = |from: usize, to: usize| {
        for b in &mut out[from..to] {
            if *b != b'\n' {
                *b = b' ';
            }
        }
    };
    let find = |from: usize, what: &str| text[from..].find(what).map_or(text.len(), |i| from + i);
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let in_word = i > 0 && (bytes[i - 1].is_ascii_alphanumeric() || bytes[i - 1] == b'_');
        let next = if rest.starts_with(b"//") {
            let end = find(i, "\n");
            blank(i, end);
            end
        } else if rest.starts_with(b"/*") {
            let end = (find(i, "*/") + 2).min(text.len());
            blank(i, end);
            end
        } else if !in_word
            && (rest.starts_with(b"r\"") || rest.starts_with(b"r#\"") || rest.starts_with(b"r##\""))
        {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            let close = format!("\"{}", "#".repeat(hashes));
            let begin = i + 2 + hashes;
            let end = find(begin, &close);
            blank(begin, end);
            end + close.len()
        } else if bytes[i] == b'"' {
            let mut end = i + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            blank(i + 1, end.min(text.len()));
            end + 1
        } else if bytes[i] == b'\'' {
            // A character, unless it is a lifetime.
            let character = text[i + 1..].chars().next().unwrap_or(' ');
            let end = if character == '\\' { find(i + 3, "'") } else { i + 1 + character.len_utf8() };
            if bytes.get(end) == Some(&b'\'') {
                blank(i + 1, end);
                end + 1
            } else {
                i + 1
            }
        } else {
            i + 1
        };
        i = next;
    }
    String::from_utf8(out).expect("whole characters were blanked")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty())
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.contains(&module))
}

/// Items of the crate itself begin with a capital or are not modules.
fn is_crate_item(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}

fn sources() -> Vec<Source> {
    let all: Vec<Source> = files_below(&root().join("src"))
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .filter(|p| p.file_stem().is_some_and(|s| s != "tests") && !relative(p).contains("/tests/"))
        .map(|p| Source::read(p))
        .collect();
    assert!(all.len() > 10, "the sources are where this test looks");
    all
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Every file of the project below `folder`: no build results, nothing of git, no foreign data.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if name == ".git" || name == "target" || name == "chinook" {
            continue;
        }
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn report(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_reader_of_rust_sees_what_is_code() {
    let text = "use crate::a; // crate::b\nlet s = \"crate::c // \\\" {\"; let c = '\"'; fn f<'a>(x: &'a str) {}\nr#\"crate::d\"#";
    let code = blanked(text);
    assert_eq!(code.len(), text.len());
    assert!(code.contains("crate::a") && code.contains("fn f<'a>(x: &'a str) {}"), "{code}");
    for hidden in ["crate::b", "crate::c", "crate::d", "{\""] {
        assert!(!code.contains(hidden), "{hidden} in {code}");
    }
    let text = "info!(rows = n, name = %f(\"A\"), \"one thing\"); warn!(\"Two {}\", x); tracing::error!(%e);";
    let source = Source { name: "src/x/y.rs".into(), text: text.into(), code: blanked(text) };
    let mut messages: Vec<_> = source.log_messages().into_iter().map(|(_, m)| m).collect();
    messages.sort();
    assert_eq!(messages, [None, Some("Two {}"), Some("one thing")]);
    let text = "use crate::{model::Key, config};\nuse super::super::engine;\nuse super::z;";
    let source = Source { name: "src/scan/deep/y.rs".into(), text: text.into(), code: blanked(text) };
    assert!(source.imports().iter().map(|(_, m)| m.as_str()).eq(["model", "config"]));
    let source = Source { name: "src/scan/y.rs".into(), ..source };
    assert!(source.imports().iter().any(|(_, m)| m == "engine"));
}
