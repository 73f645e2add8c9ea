//! The default time zone of a PostgreSQL server, as a session of our user in our database gets it.
//!
//! sqlx asks for a UTC session in its first message, and after that nothing in SQL tells what the zone would have
//! been: `reset_val` is UTC too. The server itself tells every client its zone at the start of a session, so one
//! session is opened that asks for none. That sees the configuration file, `-c`, `ALTER DATABASE … SET` and
//! `ALTER ROLE … SET` alike.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_rustls::TlsConnector;

use super::{Database, PlaceError, PlaceErrorKind, classify, connect, tls};
use crate::config::{Dsn, Engine, Tls};
use crate::model::DatabaseClass;

/// How long an answer holds; then the server is asked again.
const HOLDS: Duration = Duration::from_secs(600);

/// The PostgreSQL message that asks for TLS: its length and the code of the request.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The server's default zone by name, such as `Asia/Shanghai`.
///
/// # Errors
/// As for any connection.
pub(super) async fn of_server(database: &Database) -> Result<String, PlaceError> {
    let known = || database.server_zone.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, zone)) = &*known()
        && at.elapsed() < HOLDS
    {
        return Ok(zone.clone());
    }
    let dsn = database.dsn();
    let zone = match timeout(dsn.connect_timeout, ask(dsn)).await {
        Ok(Ok(zone)) => zone,
        Ok(Err(failure)) => return Err(failure.into_place_error(database)),
        Err(_) => {
            let error = failed(database, PlaceErrorKind::Unreachable, "no connection in time");
            return Err(error.of_class(DatabaseClass::Timeout));
        }
    };
    *known() = Some((Instant::now(), zone.clone()));
    Ok(zone)
}

enum Failure {
    Io(io::Error),
    Tls(String),
    Server(tokio_postgres::Error),
    Silent,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    fn into_place_error(self, database: &Database) -> PlaceError {
        match self {
            Self::Io(error) => {
                classify::place_error(Engine::Postgres, database.place(), sqlx::Error::Io(error))
            }
            Self::Tls(message) => {
                failed(database, PlaceErrorKind::Other, &message).of_class(DatabaseClass::Tls)
            }
            Self::Server(error) => match error.as_db_error() {
                Some(e) => {
                    let class = classify::postgres(e.code().code());
                    failed(database, class.kind, e.message()).of_class(class.class)
                }
                None => failed(database, PlaceErrorKind::Unreachable, &error.to_string()),
            },
            Self::Silent => failed(database, PlaceErrorKind::Other, "the server names none; set \"zone\""),
        }
    }
}

fn failed(database: &Database, kind: PlaceErrorKind, why: &str) -> PlaceError {
    PlaceError::new(kind, database.place(), format!("cannot learn the server's default time zone: {why}"))
}

async fn ask(dsn: &Dsn) -> Result<String, Failure> {
    if let Some(socket) = &dsn.socket {
        let folder = connect::postgres_socket_folder(socket);
        let stream = UnixStream::connect(folder.join(format!(".s.PGSQL.{}", dsn.port))).await?;
        return start(dsn, stream).await;
    }
    let mut stream = TcpStream::connect((dsn.host.as_str(), dsn.port)).await?;
    if dsn.tls == Tls::Off {
        return start(dsn, stream).await;
    }
    stream.write_all(&TLS_REQUEST).await?;
    match (stream.read_u8().await?, dsn.tls) {
        (b'S', _) => {
            let config = tls::client(dsn.tls, dsn.ca.as_deref()).map_err(Failure::Tls)?;
            let name =
                ServerName::try_from(dsn.host.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
            start(dsn, stream.map_err(|error| Failure::Tls(error.to_string()))?).await
        }
        (_, Tls::Preferred) => start(dsn, stream).await,
        _ => Err(Failure::Tls("the server does not offer TLS".to_owned())),
    }
}

/// Starts a session on a stream and reads what the server tells about itself. Dropping both ends closes it.
async fn start<S: AsyncRead + AsyncWrite + Unpin>(dsn: &Dsn, stream: S) -> Result<String, Failure> {
    let mut config = Config::new();
    // Whatever TLS there is, the stream already speaks it.
    config.ssl_mode(SslMode::Disable).user(&dsn.user).application_name(connect::APPLICATION);
    config.dbname(if dsn.database.is_empty() { &dsn.user } else { &dsn.database });
    if let Some(password) = &dsn.password {
        config.password(password.expose());
    }
    let (_client, connection) = config.connect_raw(stream, NoTls).await.map_err(Failure::Server)?;
    connection.parameter("TimeZone").map(str::to_owned).ok_or(Failure::Silent)
}
