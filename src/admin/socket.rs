//! The control socket beside the state (mode 0600): one JSON line in, one JSON line out.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::engine::{ControlHandle, Stop};

/// Longest request.
const REQUEST_LIMIT: u64 = 64 * 1024;
/// Time a request or an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
const BREATH: Duration = Duration::from_millis(100);
/// Conversations at the same time.
const MOST: usize = 16;

/// The socket of the state `database`.
pub fn path_beside(database: &Path) -> PathBuf {
    database.with_extension("sock")
}

/// A bound control socket.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    control: ControlHandle,
    path: PathBuf,
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // The lock is still held: nobody else's socket can stand here.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl ControlSocket {
    /// Binds the socket of a state whose lock is held; what a dead daemon left behind is removed.
    ///
    /// # Errors
    /// If the path cannot be bound, for example because it has more than 107 bytes.
    pub fn bind(database: &Path, control: ControlHandle) -> io::Result<Self> {
        let path = path_beside(database);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, control, path })
    }

    /// Answers until the stop.
    pub async fn run(&self, stop: Stop) {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.intake.cancelled() => return,
                accepted = self.listener.accept(), if open.len() < MOST => {
                    match accepted {
                        Ok((stream, _)) => open.push(tokio::time::timeout(PATIENCE, self.step(stream))),
                        // Out of file descriptors, most likely: trying at once again would only burn time.
                        Err(_) => tokio::time::sleep(BREATH).await,
                    }
                }
                Some(_) = open.next() => {}
            }
        }
    }

    /// One conversation.
    async fn step(&self, mut stream: UnixStream) -> io::Result<()> {
        let (read, mut write) = stream.split();
        let mut line = String::new();
        BufReader::new(read.take(REQUEST_LIMIT)).read_line(&mut line).await?;
        let mut answer = self.answer(&line).await.to_string();
        answer.push('\n');
        write.write_all(answer.as_bytes()).await
    }

    async fn answer(&self, line: &str) -> Value {
        let request: Value = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(e) => return json!({ "error": format!("the request is not JSON: {e}") }),
        };
        match request["verb"].as_str() {
            Some("status") => match self.control.status().await {
                Ok(status) => status,
                Err(e) => json!({ "error": e.to_string() }),
            },
            Some("resume") => {
                let (task, destination) = (request["task"].as_str(), request["destination"].as_str());
                match self.control.resume(task, destination).await {
                    Ok(resumed) => json!({ "resumed": resumed }),
                    Err(e) => json!({ "error": e.to_string() }),
                }
            }
            Some(verb) => json!({ "error": format!("unknown verb `{verb}`"), "known": ["status", "resume"] }),
            None => json!({ "error": "the request has no `verb`", "known": ["status", "resume"] }),
        }
    }
}

/// Asks the daemon behind a control socket.
///
/// # Errors
/// If nobody answers there within five seconds, or the answer is not JSON.
pub async fn ask(socket: &Path, request: &Value) -> io::Result<Value> {
    let conversation = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{request}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        serde_json::from_str(&answer).map_err(io::Error::other)
    };
    tokio::time::timeout(PATIENCE, conversation)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
