//! The documents stay true: configurations load, commands parse, links lead somewhere.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::daemon::Site;

/// Files with a command line of ours that is not in a document.
const COMMAND_FILES: [&str; 2] = ["systemd/cupid.service", "systemd/supervisord.conf"];

#[test]
fn every_configuration_loads() {
    let mut checked = HashSet::new();
    for document in documents() {
        for block in blocks(&document.text) {
            if !["json", "jsonc"].contains(&block.language.as_str()) || !is_configuration(&block.text) {
                continue;
            }
            let mut site = Site::with_text(&block.text);
            for name in variables(&block.text) {
                site.env(&name, "from-outside");
            }
            // Not `check`, which would want the folders to be writable here.
            let ran = site.run(&["explain", "-c", "{c}"]);
            assert_eq!(ran.code, Some(0), "{}:{}\n{}", document.name, block.line, ran.all());
            checked.insert(document.name.clone());
        }
    }
    for name in ["README.md", "README.zh-CN.md"] {
        assert!(checked.contains(name), "{name} shows a configuration");
    }
}

#[test]
fn every_command_parses() {
    let site = Site::with_text("{}");
    let mut seen = 0;
    for (name, line, command) in commands() {
        let Some(words) = words_for_cupid(&command) else { continue };
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        // Help is given once everything before it was understood, and nothing is run.
        let ran = site.run(&[&words[..], &["--help"]].concat());
        assert_eq!(ran.code, Some(0), "{name}:{line}: {command}\n{}", ran.all());
        seen += 1;
    }
    assert!(seen >= 10, "{seen} commands found");
}

/// Every way `cupid` is called in the documents and unit files: fenced `sh` lines and `inline code`.
fn commands() -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for document in documents() {
        for block in blocks(&document.text).into_iter().filter(|b| b.language == "sh") {
            let text = block.text.replace("\\\n", " ");
            found.extend(text.lines().map(|l| (document.name.clone(), block.line, l.to_owned())));
        }
        for (line, text) in prose(&document.text) {
            let codes = text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("cupid "));
            found.extend(codes.map(|code| (document.name.clone(), line, code.to_owned())));
        }
    }
    for name in COMMAND_FILES {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let lines: Vec<_> = (1..)
            .zip(text.lines())
            .filter_map(|(i, l)| {
                Some((i, ["ExecStart=", "command="].iter().find_map(|p| l.strip_prefix(p))?))
            })
            .map(|(i, l)| (name.to_owned(), i, l.to_owned()))
            .collect();
        assert_eq!(lines.len(), 1, "{name} starts cupid");
        found.extend(lines);
    }
    found
}

/// The words after the program's name, if it is ours; variables in front and a comment behind are left out.
fn words_for_cupid(command: &str) -> Option<Vec<String>> {
    let command = command.split(" #").next().unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|w| *w == "sudo" || is_assignment(w)).peekable();
    match words.next()? {
        "cargo" if words.next() == Some("run") => {
            words.find(|w| *w == "--")?;
        }
        program if program.rsplit('/').next() == Some("cupid") => {}
        _ => return None,
    }
    Some(words.take_while(|w| !["|", ">", "&", "&&", ";"].contains(w)).map(str::to_owned).collect())
}

fn is_assignment(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    word.contains('=') && !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let folder = root().join(&document.name).parent().unwrap().to_owned();
        for (line, target) in links(&document.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { root().join(&document.name) } else { folder.join(file) };
            let leads = path.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&path).unwrap_or_default()).contains(anchor));
            if !leads {
                wrong.push(format!("{}:{line}: {target}", document.name));
            }
        }
    }
    assert!(seen >= 10, "{seen} links found");
    assert!(wrong.is_empty(), "links that lead nowhere:\n  {}", wrong.join("\n  "));
}

/// Both READMEs show the smallest receiver as it is shipped and tested.
#[test]
fn the_receiver_shown_is_the_one_shipped() {
    let shipped = fs::read_to_string(root().join("docs/receivers/minimal.py")).unwrap();
    for name in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        assert!(text.contains(&format!("```python\n{}\n```", shipped.trim_end())), "{name}");
    }
}

/// Who can read one language is told the same as who reads the other.
#[test]
fn translations_have_the_same_shape() {
    for document in documents().iter().filter(|d| d.name.ends_with(".zh-CN.md")) {
        let other = document.name.replace(".zh-CN.md", ".md");
        let text = fs::read_to_string(root().join(&other)).unwrap();
        assert_eq!(shape(&text), shape(&document.text), "{other} and {}", document.name);
    }
}

// --- reading Markdown, as far as these documents need it ------------------------------------------------------------

struct Document {
    /// Relative to the repository.
    name: String,
    text: String,
}

struct Block {
    language: String,
    /// Line of the opening fence.
    line: usize,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    for folder in ["", "docs"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(Document { name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<&str> = found.iter().map(|d| d.name.as_str()).collect();
    for name in ["README.md", "README.zh-CN.md", "docs/configuration.md", "docs/receivers.md"] {
        assert!(names.contains(&name), "{name} is among {names:?}");
    }
    found
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (line, content) in (1..).zip(text.lines()) {
        match (content.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block { language: language.trim().to_owned(), line, text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => block.text.extend([content, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    found
}

/// The lines outside of fences.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((line, content));
        }
    }
    lines
}

fn is_configuration(text: &str) -> bool {
    let tight: String = text.split_whitespace().collect();
    tight.contains("\"src\":{") || tight.contains("\"tasks\":{")
}

/// Names in `${NAME}` that must be set.
fn variables(text: &str) -> Vec<String> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    names.filter(|name| !name.contains(':')).map(str::to_owned).collect()
}

/// Targets of `[text](target)`, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let targets = |line: &str| -> Vec<String> {
        line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
    };
    prose(text).into_iter().flat_map(|(i, l)| targets(l).into_iter().map(move |t| (i, t))).collect()
}

/// What headings can be linked by: lower case, blanks as hyphens, punctuation left out.
fn anchors(text: &str) -> HashSet<String> {
    let headings = prose(text).into_iter().filter(|(_, l)| l.starts_with('#'));
    headings
        .map(|(_, heading)| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Levels of the headings, languages of the blocks, rows of the tables.
fn shape(text: &str) -> (Vec<usize>, Vec<String>, usize) {
    let lines = prose(text);
    let levels = lines.iter().filter(|(_, l)| l.starts_with('#'));
    let levels = levels.map(|(_, l)| l.len() - l.trim_start_matches('#').len()).collect();
    let rows = lines.iter().filter(|(_, l)| l.starts_with('|')).count();
    (levels, blocks(text).into_iter().map(|b| b.language).collect(), rows)
}

#[test]
fn the_reader_of_markdown_sees_what_is_there() {
    let text = "# A b, c!\n[x](y.md#z) `cupid stop`\n```sh\ncupid -c f # go\n# no heading [a](b)\n```\n## 状态 1\n| a |\n";
    assert_eq!(anchors(text), HashSet::from(["a-b-c".to_owned(), "状态-1".to_owned()]));
    assert_eq!(links(text), [(2, "y.md#z".to_owned())]);
    assert_eq!(blocks(text)[0].line, 3);
    assert_eq!(shape(text), (vec![1, 2], vec!["sh".to_owned()], 1));
    assert_eq!(words_for_cupid("A=b target/release/cupid -s 1  # x").unwrap(), ["-s", "1"]);
    assert_eq!(words_for_cupid("cargo run --release -- demo --for 5s").unwrap(), ["demo", "--for", "5s"]);
    assert_eq!(words_for_cupid("cargo build"), None);
    assert_eq!(words_for_cupid("install cupid /x"), None);
    assert!(is_configuration("{ \"src\" : {} }") && !is_configuration("{\"src\":\"x\"}"));
    assert_eq!(variables("${A} ${B:-x} ${file:/x}"), ["A"]);
    assert!(Path::new(&root()).join("Cargo.toml").exists());
}
