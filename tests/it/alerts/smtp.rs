//! A mail server: EHLO, STARTTLS or TLS from the first byte, AUTH, and what it was given.

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub const USER: &str = "alerts@example.org";
pub const PASSWORD: &str = "canary-mail:/@ password";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Plain,
    StartTls,
    Tls,
}

/// A mail as it came.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    pub encrypted: bool,
    pub user: Option<String>,
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

/// The server; gone when dropped.
pub struct MailServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    _server: JoinSet<()>,
}

impl MailServer {
    pub async fn new(security: Security) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, inbox) = (acceptor(), mails.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, inbox) = (acceptor.clone(), inbox.clone());
                sessions.spawn(async move { session(stream, security, acceptor, inbox).await });
            }
        });
        Self { port, mails, _server: server }
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }
}

fn acceptor() -> TlsAcceptor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let chain =
        CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

async fn session(stream: TcpStream, security: Security, acceptor: TlsAcceptor, inbox: Arc<Mutex<Vec<Mail>>>) {
    let mut mail = Mail::default();
    if security == Security::Tls {
        let Ok(stream) = acceptor.accept(stream).await else { return };
        mail.encrypted = true;
        talk(&mut BufReader::new(stream), true, false, &mut mail, &inbox).await;
        return;
    }
    let mut stream = BufReader::new(stream);
    if !talk(&mut stream, true, security == Security::StartTls, &mut mail, &inbox).await {
        return;
    }
    let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return };
    mail.encrypted = true;
    talk(&mut BufReader::new(stream), false, false, &mut mail, &inbox).await;
}

/// One conversation. Returns whether it shall go on encrypted.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    greet: bool,
    starttls: bool,
    mail: &mut Mail,
    inbox: &Mutex<Vec<Mail>>,
) -> bool {
    if greet {
        stream.write_all(b"220 test\r\n").await.unwrap();
    }
    loop {
        let Some(line) = read(stream).await else { return false };
        let upper = line.to_ascii_uppercase();
        let answer = match upper.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" if starttls => "250-test\r\n250 STARTTLS\r\n",
            "EHLO" => "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n",
            "STARTTLS" if starttls => {
                stream.write_all(b"220 go on\r\n").await.unwrap();
                stream.flush().await.unwrap();
                return true;
            }
            "AUTH" => {
                let code = line.split(' ').nth(2).unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD.decode(code).unwrap();
                let text = String::from_utf8(bytes).unwrap();
                let mut parts = text.split('\0').skip(1);
                let (user, password) = (parts.next().unwrap(), parts.next().unwrap());
                if (user, password) == (USER, PASSWORD) {
                    mail.user = Some(user.to_owned());
                    "235 welcome\r\n"
                } else {
                    // Some servers say too much.
                    let said = format!("535 5.7.8 wrong password {password}\r\n");
                    stream.write_all(said.as_bytes()).await.unwrap();
                    continue;
                }
            }
            "MAIL" => {
                line.clone_into(&mut mail.from);
                "250 ok\r\n"
            }
            "RCPT" if line.contains("refused@") => "550 5.1.1 no such user\r\n",
            "RCPT" => {
                mail.to.push(line);
                "250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.unwrap();
                stream.flush().await.unwrap();
                let mut lines = Vec::new();
                while let Some(line) = read(stream).await.filter(|line| line != ".") {
                    lines.push(line);
                }
                mail.text = lines.join("\n");
                inbox.lock().unwrap().push(mail.clone());
                "250 2.0.0 kept as 42\r\n"
            }
            "QUIT" => {
                let _ = stream.write_all(b"221 bye\r\n").await;
                let _ = stream.flush().await;
                return false;
            }
            _ => "250 fine\r\n",
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
