//! A webhook receiver that records everything and answers as a test wants, also in ways no HTTP library would.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Call {
    /// Position in the order of arrival, from 0.
    pub order: usize,
    pub at: Instant,
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers))
    }

    /// `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// `cupid-attempt`.
    pub fn attempt(&self) -> u32 {
        self.header("cupid-attempt").parse().expect("a number")
    }

    /// The items of a batch: their ids and data.
    pub fn items(&self) -> Vec<(String, Value)> {
        let Value::Array(items) = self.json() else { panic!("no list: {}", self.json()) };
        let item = |item: &Value| (item["id"].as_str().expect("an id").to_owned(), item["data"].clone());
        items.iter().map(item).collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// `type` of the body.
    pub fn kind(&self) -> i64 {
        self.json()["type"].as_i64().expect("type is a number")
    }

    /// One value of `srcColumn`.
    pub fn src(&self, column: &str) -> Option<String> {
        let body = self.json();
        let value = body["srcColumn"].get(column).unwrap_or_else(|| panic!("no column {column} in {body}"));
        assert!(value.is_string() || value.is_null(), "text or null, not {value}");
        value.as_str().map(str::to_owned)
    }
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status and an empty body.
    Status(u16),
    /// A status, one more header and a body.
    Full(u16, (&'static str, String), String),
    /// Nothing, until the caller gives up.
    Hang,
    /// The connection is cut off hard.
    Reset,
    /// 200 at once, the body byte by byte, one each pause, for ever.
    Drip(Duration),
    /// 200 at once, and a body without end.
    Flood,
    /// Waits, then answers.
    After(Duration, u16),
    /// These bytes, whatever they are, and the end of the connection.
    Raw(&'static str),
}

type Handler = Arc<dyn Fn(Call) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

struct Shared {
    calls: Mutex<Vec<Call>>,
    handler: Handler,
    /// Requests that have arrived and are not answered.
    open: AtomicUsize,
    answered: AtomicUsize,
    connections: AtomicUsize,
}

/// The receiver; gone when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Mutex<Option<JoinSet<()>>>,
}

impl Receiver {
    /// Answers every call with `status`.
    pub async fn answering(status: u16) -> Self {
        Self::with(move |_| async move { Answer::Status(status) }).await
    }

    /// Answers the first calls by the script, all later ones with its last answer.
    pub async fn scripted(script: Vec<Answer>) -> Self {
        Self::with(move |call| {
            let answer = script[call.order.min(script.len() - 1)].clone();
            async move { answer }
        })
        .await
    }

    /// Answers by a function of the call; a receiver that repairs writes the row there.
    pub async fn with<F, R>(handler: F) -> Self
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        let receiver = Self {
            address: SocketAddr::from(([127, 0, 0, 1], super::servers::free_port())),
            shared: Arc::new(Shared {
                calls: Mutex::default(),
                handler: boxed(handler),
                open: AtomicUsize::new(0),
                answered: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
            }),
            server: Mutex::new(None),
        };
        receiver.up();
        receiver
    }

    /// Stops listening and cuts off what is connected: further calls are refused by the system.
    pub fn down(&self) {
        self.server.lock().unwrap().take();
    }

    /// Listens (again).
    pub fn up(&self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(1024).unwrap();
        let mut server = JoinSet::new();
        server.spawn(accept(listener, self.shared.clone()));
        *self.server.lock().unwrap() = Some(server);
    }

    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Without scheme, as cupid-go's example writes it.
    pub fn bare_url(&self) -> String {
        format!("{}/callback", self.address)
    }

    /// All calls so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.shared.calls.lock().unwrap().len()
    }

    /// Calls that were answered: what a repairing receiver does for them is done.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Calls that have arrived and are not answered yet.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

fn boxed<F, R>(handler: F) -> Handler
where
    F: Fn(Call) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    Arc::new(move |call| Box::pin(handler(call)))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Counts an open request for as long as it lives, also when its task is aborted.
struct Open<'a>(&'a AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(mut call) = read_request(&mut stream, &mut buffer).await {
        shared.open.fetch_add(1, Ordering::SeqCst);
        let _open = Open(&shared.open);
        {
            let mut calls = shared.calls.lock().unwrap();
            call.order = calls.len();
            calls.push(call.clone());
        }
        let answer = (shared.handler)(call).await;
        shared.answered.fetch_add(1, Ordering::SeqCst);
        if answer_with(&mut stream, answer).await.is_none() {
            return;
        }
    }
}

/// `None`: the connection is of no further use.
async fn answer_with(stream: &mut TcpStream, answer: Answer) -> Option<()> {
    let (status, header, body) = match answer {
        Answer::Status(status) => (status, String::new(), String::new()),
        Answer::Full(status, (name, value), body) => (status, format!("{name}: {value}\r\n"), body),
        Answer::After(pause, status) => {
            tokio::time::sleep(pause).await;
            (status, String::new(), String::new())
        }
        Answer::Hang => {
            // Ends when the caller closes.
            let mut rest = [0; 64];
            while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
            return None;
        }
        Answer::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(&[b' '; 16 * 1024]).await.ok()?;
            }
        }
        Answer::Raw(text) => {
            stream.write_all(text.as_bytes()).await.ok()?;
            return None;
        }
        Answer::Reset => {
            socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).ok()?;
            return None;
        }
        Answer::Drip(pause) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b" ").await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
    };
    let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).await.ok()
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Call> {
    let head_end = loop {
        if let Some(i) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break i + 4;
        }
        fill(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..head_end].to_vec()).expect("a head is ASCII");
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    assert!(!headers.contains_key("transfer-encoding"), "a callback has a known length");
    let length: usize = headers.get("content-length").map_or(0, |v| v.parse().expect("a length"));
    while buffer.len() < head_end + length {
        fill(stream, buffer).await?;
    }
    let body = buffer[head_end..head_end + length].to_vec();
    buffer.drain(..head_end + length);
    Some(Call { order: 0, at: Instant::now(), method, path, headers, body })
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let n = stream.read_buf(buffer).await.ok()?;
    (n > 0).then_some(())
}

/// The helper itself, with the client the daemon uses.
#[tokio::test]
async fn a_receiver_records_and_answers_by_its_script() {
    let receiver =
        Receiver::scripted(vec![Answer::Status(500), Answer::Reset, Answer::Hang, Answer::Status(204)]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(Duration::from_millis(300)).build().unwrap();
    let post = async || {
        let body = r#"{"type":1,"srcColumn":{"a":"1","b":null}}"#;
        let sent = client.post(receiver.url()).header("webhook-id", "x-1").body(body).send().await;
        sent.map(|r| r.status().as_u16()).map_err(|e| e.is_timeout())
    };
    assert_eq!(post().await, Ok(500));
    assert_eq!(post().await, Err(false));
    assert_eq!(post().await, Err(true));
    assert_eq!(post().await, Ok(204));
    receiver.down();
    assert_eq!(post().await, Err(false));
    receiver.up();
    assert_eq!(post().await, Ok(204));
    let calls = receiver.calls();
    assert_eq!(calls.len(), 5);
    assert_eq!((calls[4].id(), calls[4].kind(), calls[4].src("b")), ("x-1", 1, None));
    super::wait::wait_until("nothing is open", super::wait::LIMIT, || receiver.open() == 0).await;
}
