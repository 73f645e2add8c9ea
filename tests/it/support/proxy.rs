//! A door in front of a database that can be shut, for outages that only one of its users sees.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::servers::{Server, free_port};

/// Hands on what arrives at its own address; gone when dropped.
pub struct Proxy {
    address: SocketAddr,
    target: String,
    flows: watch::Sender<bool>,
    door: Mutex<Option<JoinSet<()>>>,
}

impl Proxy {
    /// An open one.
    pub fn before(server: &Server) -> Self {
        let proxy = Self {
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            target: format!("{}:{}", server.host, server.port),
            flows: watch::Sender::new(true),
            door: Mutex::new(None),
        };
        proxy.open();
        proxy
    }

    /// `url` of the server behind it, by way of the proxy.
    pub fn url(&self, url: &str) -> String {
        let through = url.replacen(&self.target, &self.address.to_string(), 1);
        assert_ne!(through, url, "an address of {}", self.target);
        through
    }

    /// Cuts off what is connected; nobody listens any more.
    pub fn shut(&self) {
        self.door.lock().unwrap().take();
    }

    /// Takes connections, but hands nothing on: what was asked gets no answer.
    pub fn stall(&self) {
        self.flows.send_replace(false);
    }

    /// Everything goes through again.
    pub fn open(&self) {
        self.flows.send_replace(true);
        let mut door = self.door.lock().unwrap();
        if door.is_none() {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(self.address).unwrap();
            let mut accepts = JoinSet::new();
            accepts.spawn(accept(socket.listen(1024).unwrap(), self.target.clone(), self.flows.subscribe()));
            *door = Some(accepts);
        }
    }
}

async fn accept(listener: TcpListener, target: String, flows: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let (target, flows) = (target.clone(), flows.clone());
        connections.spawn(async move {
            let Ok(far) = TcpStream::connect(target).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            // Whoever hangs up, hangs up on both.
            tokio::select! {
                () = pipe(near_in, far_out, flows.clone()) => {}
                () = pipe(far_in, near_out, flows) => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pipe(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut flows: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if flows.wait_for(|flows| *flows).await.is_err() || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// The helper itself.
#[tokio::test]
async fn a_proxy_hands_on_stalls_and_refuses() {
    use std::time::Duration;

    use sqlx::Connection as _;

    use super::db::Db;

    let Some(db) = Db::new(cupid::config::Engine::MySql).await else { return };
    let proxy = Proxy::before(db.server.as_ref().unwrap());
    let answers = async || {
        let asked = async {
            let mut c = sqlx::MySqlConnection::connect(&proxy.url(&db.url())).await.ok()?;
            sqlx::query_scalar::<_, i64>("SELECT 7").fetch_one(&mut c).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(1), asked).await
    };
    assert_eq!(answers().await, Ok(Some(7)));
    proxy.stall();
    assert!(answers().await.is_err(), "no answer");
    proxy.open();
    assert_eq!(answers().await, Ok(Some(7)));
    proxy.shut();
    assert_eq!(answers().await, Ok(None), "nobody listens");
    proxy.open();
    assert_eq!(answers().await, Ok(Some(7)));
}
