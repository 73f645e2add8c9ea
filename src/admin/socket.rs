//! The control socket beside the state (mode 0600): one JSON line in, one JSON line out. A line whose `bytes` is a number
//! is followed by so many bytes that the verb works on.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Take};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;

use super::verbs;
use crate::engine::{ControlHandle, Stop};

/// Longest line of a request.
const REQUEST_LIMIT: u64 = 256 * 1024;
/// Most bytes that may follow one; those of one conversation at a time are in memory.
pub const PAYLOAD_LIMIT: usize = 24 << 20;
/// Time a request or an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for what follows a line, and for what is done with it.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
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
    /// Held by whoever has a payload in memory.
    payload: Mutex<()>,
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
        Ok(Self { listener, control, path, payload: Mutex::default() })
    }

    /// Answers until the stop.
    pub async fn run(&self, stop: Stop) {
        let mut open = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = stop.intake.cancelled() => return,
                accepted = self.listener.accept(), if open.len() < MOST => {
                    match accepted {
                        Ok((stream, _)) => open.push(self.step(stream)),
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
        let mut read = BufReader::new(read.take(REQUEST_LIMIT));
        let mut line = String::new();
        within(PATIENCE, read.read_line(&mut line)).await?;
        let answer = match serde_json::from_str::<Value>(&line) {
            Err(_) if line.len() as u64 == REQUEST_LIMIT => too_long(),
            Err(e) => json!({ "error": format!("the request is not JSON: {e}") }),
            Ok(request) => match request["bytes"].as_u64() {
                None => within(PATIENCE, async { Ok(verbs::answer(&self.control, &request).await) }).await?,
                Some(length) => {
                    let _one = self.payload.lock().await;
                    let work = async {
                        Ok(match payload(&mut read, length).await {
                            Ok(payload) => verbs::answer_with(&self.control, &request, payload).await,
                            Err(e) => json!({ "error": e.to_string() }),
                        })
                    };
                    within(LONG_PATIENCE, work).await?
                }
            },
        };
        within(PATIENCE, write.write_all(format!("{answer}\n").as_bytes())).await
    }
}

/// The bytes that follow a request.
async fn payload<R>(read: &mut BufReader<Take<R>>, length: u64) -> io::Result<Vec<u8>>
where
    R: AsyncRead + Unpin,
{
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > PAYLOAD_LIMIT {
        return Err(io::Error::other(format!("a request may carry {PAYLOAD_LIMIT} bytes, not {length}")));
    }
    read.get_mut().set_limit(length as u64);
    let mut payload = vec![0; length];
    read.read_exact(&mut payload).await?;
    Ok(payload)
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Asks the daemon behind a control socket, with bytes that the verb works on.
///
/// # Errors
/// As [`ask`], within a minute.
pub async fn ask_with(socket: &Path, mut request: Value, payload: &[u8]) -> io::Result<Value> {
    request["bytes"] = payload.len().into();
    within(LONG_PATIENCE + PATIENCE, converse(socket, &request, payload)).await
}

/// Asks the daemon behind a control socket.
///
/// # Errors
/// If nobody answers there within five seconds, or the answer is not JSON.
pub async fn ask(socket: &Path, request: &Value) -> io::Result<Value> {
    within(PATIENCE, converse(socket, request, &[])).await
}

/// What is answered to a line of which the end was not read.
fn too_long() -> Value {
    json!({ "error": format!("the request is longer than {} KiB, ask for less at once", REQUEST_LIMIT / 1024) })
}

async fn converse(socket: &Path, request: &Value, payload: &[u8]) -> io::Result<Value> {
    let mut stream = UnixStream::connect(socket).await?;
    let line = format!("{request}\n");
    if line.len() as u64 > REQUEST_LIMIT {
        return Ok(too_long());
    }
    stream.write_all(line.as_bytes()).await?;
    stream.write_all(payload).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    serde_json::from_str(&answer).map_err(io::Error::other)
}
