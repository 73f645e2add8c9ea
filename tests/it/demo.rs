//! `cupid demo`: the first thing strangers run.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use crate::support::daemon::program;
use crate::support::temp::TempDir;
use crate::support::wait::{LIMIT, wait_until, wait_until_or};

/// A demo whose folder is made in a folder of ours.
struct Demo {
    temp: TempDir,
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    reader: Option<JoinHandle<()>>,
    said: Vec<String>,
}

impl Demo {
    fn start(words: &[&str]) -> Self {
        let temp = TempDir::new("demo");
        let mut child = Command::new(program())
            .arg("demo")
            .args(words)
            .env("TMPDIR", temp.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let out: ChildStdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { temp, child, lines, reader: Some(reader), said: Vec::new() }
    }

    fn said(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success(), "the demo still runs");
    }

    /// Waits until the writer is at work and something was found.
    async fn under_way(&mut self) {
        let found = |said: &str| said.lines().any(|l| l.contains(" found, ") && !l.contains(" 0 found, "));
        wait_until("something is found", LIMIT, || found(&self.said())).await;
    }

    /// Waits for the end: exit code and everything it wrote.
    async fn end(&mut self) -> (Option<i32>, String) {
        let mut ended = None;
        wait_until("the demo ends", LIMIT * 2, || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        // What holds the pipe open is not the demo.
        self.reader.take().unwrap().join().unwrap();
        (ended.unwrap().code(), self.said())
    }

    /// The folder the demo made.
    fn folder(&self) -> PathBuf {
        let mut folders: Vec<PathBuf> =
            fs::read_dir(self.temp.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes whose command line names something in `folder`.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let command = |pid: PathBuf| fs::read(pid.join("cmdline")).unwrap_or_default();
    let all = fs::read_dir("/proc").unwrap().filter_map(|e| Some(command(e.ok()?.path())));
    all.map(|c| String::from_utf8_lossy(&c).replace('\0', " ")).filter(|c| c.contains(&folder)).collect()
}

/// The number in a line of the summary.
fn number(said: &str, name: &str) -> u64 {
    let line = said.lines().find(|l| l.trim_start().starts_with(name));
    let rest =
        line.unwrap_or_else(|| panic!("no {name:?} in:\n{said}")).trim_start().trim_start_matches(name);
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

fn check_the_end(demo: &Demo, code: Option<i32>, said: &str) {
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("every row agrees") && !said.contains('\u{1b}'), "{said}");
    let (spoiled, found, healed) =
        (number(said, "spoiled on purpose"), number(said, "found by cupid"), number(said, "seen healed"));
    assert!(spoiled > 0 && found >= spoiled && healed == found, "{said}");
    let config = demo.folder().join("config.json");
    assert!(said.contains(&config.display().to_string()), "it says which configuration it wrote: {said}");
    assert_eq!(processes_of(&demo.folder()), Vec::<String>::new());
    let checked = Command::new(program()).arg("check").arg("-c").arg(&config).output().unwrap();
    assert!(checked.status.success(), "one can go on from it: {checked:?}");
}

#[tokio::test]
async fn all_agree_at_the_end_and_nothing_stays() {
    let mut demo = Demo::start(&["--for", "5s"]);
    let (code, said) = demo.end().await;
    check_the_end(&demo, code, &said);
}

#[tokio::test]
async fn ctrl_c_ends_it_as_well() {
    let mut demo = Demo::start(&[]);
    demo.under_way().await;
    assert_ne!(processes_of(&demo.folder()), Vec::<String>::new(), "the daemon is a process of its own");
    demo.signal("INT");
    let (code, said) = demo.end().await;
    check_the_end(&demo, code, &said);
}

/// As `cupid demo | head -1` does.
#[tokio::test]
async fn a_watcher_who_leaves_ends_it_quietly() {
    let temp = TempDir::new("demo");
    let mut child = Command::new(program())
        .arg("demo")
        .env("TMPDIR", temp.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("cupid"), "{first}");
    let mut ended = None;
    wait_until("the demo ends", LIMIT, || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    let mut noise = String::new();
    child.stderr.take().unwrap().read_to_string(&mut noise).unwrap();
    assert_eq!((ended.unwrap().code(), noise.as_str()), (Some(0), ""));
    assert_eq!(processes_of(temp.path()), Vec::<String>::new(), "nothing goes on without it");
}

/// Whoever kills the demo does not want to look for its daemon.
#[tokio::test]
async fn a_killed_demo_takes_its_daemon_along() {
    let mut demo = Demo::start(&[]);
    demo.under_way().await;
    demo.signal("KILL");
    assert_eq!(demo.end().await.0, None);
    let folder = demo.folder();
    wait_until_or(LIMIT, || processes_of(&folder).is_empty(), || format!("{:?} end", processes_of(&folder)))
        .await;
}
