//! The receiver of the benchmarks: an axum program that answers 204 after its service time, counts, and remembers when
//! rows that somebody waits for have come.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub struct Shared {
    pub calls: AtomicU64,
    service: Duration,
    /// Rows from this id on are waited for.
    from: i64,
    arrived: Mutex<HashMap<i64, Instant>>,
}

pub struct Receiver {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    server: JoinSet<()>,
}

impl Receiver {
    /// Not yet listening.
    pub fn at(port: u16, service: Duration, from: i64) -> Self {
        let shared = Shared { calls: AtomicU64::new(0), service, from, arrived: Mutex::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { address, shared: Arc::new(shared), server: JoinSet::new() }
    }

    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let app = Router::new().route("/callback", post(take)).with_state(self.shared.clone());
        self.server.spawn(async move {
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
            axum::serve(listener, app).await.unwrap();
        });
    }

    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    pub fn arrived(&self, id: i64) -> Option<Instant> {
        self.shared.arrived.lock().unwrap().get(&id).copied()
    }
}

async fn take(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    if !shared.service.is_zero() {
        tokio::time::sleep(shared.service).await;
    }
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let id = text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
    if let Some(id) = id.filter(|id| *id >= shared.from) {
        shared.arrived.lock().unwrap().entry(id).or_insert_with(Instant::now);
    }
    StatusCode::NO_CONTENT
}
