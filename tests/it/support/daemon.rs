//! The real binary with a real configuration file, in a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::temp::TempDir;
use super::wait::{LIMIT, wait_until, wait_until_or};

/// The program under test; `CUPID_TEST_BINARY` names another build of it.
pub fn program() -> PathBuf {
    std::env::var_os("CUPID_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_cupid").into(), PathBuf::from)
}

/// Whether that is a release build, whose memory means something.
pub fn is_release() -> bool {
    !cfg!(debug_assertions) || std::env::var_os("CUPID_TEST_BINARY").is_some()
}

/// Variables that would change what the daemon does, if the developer's environment has them.
const FOREIGN: [&str; 5] = ["STATE_DIRECTORY", "LOGS_DIRECTORY", "NOTIFY_SOCKET", "RUST_LOG", "TZ"];

/// A folder with a configuration, in which daemons are started one after the other.
pub struct Site {
    dir: TempDir,
    /// The configuration file.
    pub config: PathBuf,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl Site {
    /// Writes `config` to a new folder. `logDir` and the state folder are filled in if it does not name them.
    pub fn new(config: &Value) -> Self {
        let dir = TempDir::new("site");
        let file = dir.path().join("config.json");
        let site = Self { dir, config: file, env: Vec::new(), args: Vec::new() };
        site.write(config);
        site
    }

    /// Writes the configuration as text, exactly.
    pub fn with_text(text: &str) -> Self {
        let site = Self::new(&Value::Null);
        fs::write(&site.config, text).unwrap();
        site
    }

    /// Writes another configuration to the same file.
    pub fn write(&self, config: &Value) {
        let mut config = config.clone();
        if let Some(top) = config.as_object_mut() {
            top.entry("logDir").or_insert_with(|| self.path("log").display().to_string().into());
            fs::create_dir_all(self.path("log")).unwrap();
        }
        fs::write(&self.config, serde_json::to_string_pretty(&config).unwrap()).unwrap();
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a variable for the daemons started from now on.
    pub fn env(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// What runs from now on gets none of those variables.
    pub fn forget_env(&mut self) {
        self.env.clear();
    }

    /// Adds words to the command line of the daemons started from now on.
    pub fn args(&mut self, words: &[&str]) -> &mut Self {
        self.args.extend(words.iter().map(|&w| w.to_owned()));
        self
    }

    /// Replaces those words.
    pub fn set_args(&mut self, words: &[&str]) -> &mut Self {
        self.args.clear();
        self.args(words)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program());
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v))).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end with exactly these words, `{c}` standing for the configuration.
    pub fn run(&self, words: &[&str]) -> Ran {
        let config = self.config.display().to_string();
        let out = self.command().args(words.iter().map(|w| w.replace("{c}", &config))).output().unwrap();
        Ran::new(out)
    }

    /// Starts the daemon on the configuration.
    pub fn start(&self) -> Daemon {
        let output = self.path("output");
        let file = append(&output);
        let from = file.metadata().unwrap().len();
        let child = self
            .command()
            .arg("-c")
            .arg(&self.config)
            .args(&self.args)
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Daemon { child, output, from, ended: None }
    }

    /// Starts the daemon and waits until it says that it runs.
    pub async fn start_ready(&self) -> Daemon {
        let mut daemon = self.start();
        daemon.ready().await;
        daemon
    }

    /// Everything written below the folder so far, for "nowhere is a secret": output, logs, not the configuration.
    pub fn everything_written(&self) -> String {
        let mut all = String::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().filter_map(Result::ok) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() && path != self.config {
                    all += &String::from_utf8_lossy(&fs::read(path).unwrap_or_default());
                }
            }
        }
        all
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// A finished run of the binary.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(out: Output) -> Self {
        Self {
            code: out.status.code(),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A daemon that was started; killed when dropped.
pub struct Daemon {
    child: Child,
    output: PathBuf,
    /// Where this daemon's part of the output begins.
    from: u64,
    ended: Option<ExitStatus>,
}

impl Daemon {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What this daemon wrote to standard output and error so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.output).unwrap_or_default();
        let from = usize::try_from(self.from).unwrap().min(bytes.len());
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    }

    /// Waits until a line of the output contains `text`.
    pub async fn wait_output(&mut self, text: &str) {
        let began = Instant::now();
        while !self.output().contains(text) {
            assert!(
                self.running() || self.output().contains(text),
                "ended before {text:?}:\n{}",
                self.output()
            );
            assert!(began.elapsed() < LIMIT, "waited in vain for {text:?} in:\n{}", self.output());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the first log line: the process has read its configuration and runs.
    pub async fn ready(&mut self) {
        self.wait_output(&format!("{}", self.pid())).await;
    }

    pub fn running(&mut self) -> bool {
        self.ended.is_none() && {
            self.ended = self.child.try_wait().unwrap();
            self.ended.is_none()
        }
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.ended = Some(self.child.wait().unwrap());
    }

    /// Sends a signal by name (`TERM`, `STOP` …).
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().unwrap();
        assert!(sent.success(), "the daemon still runs");
    }

    /// SIGTERM; how it ended and how long that took.
    pub async fn stop(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal("TERM");
        let status = self.wait().await;
        (status, began.elapsed())
    }

    /// Waits for the end.
    pub async fn wait(&mut self) -> ExitStatus {
        wait_until("the daemon has ended", LIMIT, || !self.running()).await;
        self.ended.unwrap()
    }

    /// Greatest resident size so far, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).expect("Linux tells the peak");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until `condition` holds while the daemon runs; shows its output otherwise.
    pub async fn until(&mut self, what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
        let output = self.output.clone();
        wait_until_or(
            limit,
            || {
                let held = condition();
                assert!(held || self.running(), "the daemon ended before {what}:\n{}", self.output());
                held
            },
            || format!("{what}; the daemon wrote:\n{}", tail(&output)),
        )
        .await;
    }
}

fn tail(path: &Path) -> String {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.running() {
            self.kill();
        }
        if std::thread::panicking() {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), tail(&self.output).as_bytes());
        }
    }
}
