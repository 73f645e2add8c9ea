//! What each TLS setting accepts, on both ways into a PostgreSQL server and the one into MariaDB.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cupid::config::{Dsn, Engine, Tls};
use cupid::model::{DatabaseClass, Feed};
use cupid::sql::{Database, Limits, PlaceErrorKind};

use super::super::support::servers;
use super::super::support::temp::TempDir;
use super::{Db, dsn, source_config, update_config};

/// The test certificate where a server may read it, its key readable for nobody else.
fn certificate() -> (TempDir, String, String) {
    let dir = TempDir::new("tls");
    let fixtures = fixtures();
    let (certificate, key) = (dir.path().join("server.pem"), dir.path().join("server.key"));
    fs::copy(fixtures.join("server.pem"), &certificate).unwrap();
    fs::copy(fixtures.join("server.key"), &key).unwrap();
    // PostgreSQL takes a key of its own account, or one of root's that its group may read.
    let mode = if fs::metadata(&key).unwrap().uid() == 0 { 0o640 } else { 0o600 };
    fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let text = |path: PathBuf| path.display().to_string();
    (dir, text(certificate), text(key))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls")
}

/// Opens a source with an update feed on a wall clock, so that the server's zone is asked for as well.
async fn works(db: &Db, dsn: &Dsn) -> Result<(), PlaceErrorKind> {
    let database = Arc::new(Database::connect(dsn, Limits::default()));
    let mut config = source_config(db, "t", "id");
    config.update = Some(update_config("u"));
    let kind = |error: cupid::sql::PlaceError| {
        assert!(!error.to_string().contains(servers::PASSWORD));
        // Here nothing else is refused for any other reason, but where an account wants TLS.
        let class =
            if error.kind == PlaceErrorKind::Denied { DatabaseClass::Auth } else { DatabaseClass::Tls };
        assert_eq!(error.class, class, "{error}");
        error.kind
    };
    let source = cupid::source::open(&config, &[], database.clone()).await.map_err(kind)?;
    let start = source.start(Feed::Update, None).await.map_err(kind)?;
    source.read(Feed::Update, &start, 1).await.map_err(kind)?;
    if db.engine == Engine::Postgres {
        let encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                         WHERE a.application_name = 'cupid' AND s.ssl";
        let sessions = db.number(encrypted).await;
        // As with its own clients: what goes through a socket is never encrypted.
        assert_eq!(sessions > 0, dsn.tls != Tls::Off && dsn.socket.is_none(), "{:?}", dsn.tls);
    }
    database.close().await;
    Ok(())
}

async fn prepare(db: &Db) {
    let kind = if db.engine == Engine::MySql { "DATETIME" } else { "TIMESTAMP" };
    db.run(format!("CREATE TABLE t (id INTEGER PRIMARY KEY, u {kind})")).await;
}

#[tokio::test]
async fn certificates_are_checked_as_far_as_asked() {
    let (_dir, certificate, key) = certificate();
    let mysql = [format!("--ssl-cert={certificate}"), format!("--ssl-key={key}")];
    let mysql: Vec<&str> = mysql.iter().map(String::as_str).collect();
    let postgres =
        ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    let postgres: Vec<&str> = postgres.iter().map(String::as_str).collect();
    let servers = [servers::start_mysql(&mysql, &[]).await, servers::start_postgres(&postgres, &[]).await];
    for server in servers.into_iter().flatten() {
        let db = Db::on(&Arc::new(server)).await;
        prepare(&db).await;
        let ca = Some(fixtures().join("ca.pem"));
        let refused = Err(PlaceErrorKind::Other);
        for (tls, ca, host, wanted) in [
            (Tls::Off, &None, "127.0.0.1", Ok(())),
            (Tls::Preferred, &None, "127.0.0.1", Ok(())),
            (Tls::Required, &None, "127.0.0.1", Ok(())),
            (Tls::VerifyCa, &ca, "127.0.0.1", Ok(())),
            (Tls::VerifyCa, &None, "127.0.0.1", refused),
            (Tls::VerifyFull, &ca, "localhost", Ok(())),
            (Tls::VerifyFull, &ca, "127.0.0.1", refused),
            (Tls::VerifyFull, &None, "localhost", refused),
        ] {
            let dsn = Dsn { tls, ca: ca.clone(), host: host.to_owned(), ..dsn(&db) };
            assert_eq!(works(&db, &dsn).await, wanted, "{} {tls:?} {ca:?} {host}", db.engine);
        }
        if db.engine == Engine::MySql {
            db.run(
                "CREATE USER sslonly@'%' IDENTIFIED BY 'x' REQUIRE SSL; GRANT SELECT ON *.* TO sslonly@'%'",
            )
            .await;
            for (tls, wanted) in
                [(Tls::Off, Err(PlaceErrorKind::Denied)), (Tls::Preferred, Ok(())), (Tls::Required, Ok(()))]
            {
                let password = Some(cupid::base::secret::Secret::new("x".to_owned()));
                let dsn = Dsn { tls, user: "sslonly".to_owned(), password, ..dsn(&db) };
                assert_eq!(works(&db, &dsn).await, wanted, "{tls:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_serves_those_who_only_prefer_it() {
    for server in [servers::start_mysql(&["--skip-ssl"], &[]).await, servers::start_postgres(&[], &[]).await]
        .into_iter()
        .flatten()
    {
        let db = Db::on(&Arc::new(server)).await;
        prepare(&db).await;
        let with = |tls| Dsn { tls, ..dsn(&db) };
        assert!(works(&db, &with(Tls::Required)).await.is_err(), "{}", db.engine);
        let database = Database::connect(&with(Tls::Preferred), Limits::default());
        database.ping().await.unwrap();
    }
}

/// Through a socket there is no network to encrypt, and no name of a host to check: whatever is asked for works.
#[tokio::test]
async fn sockets() {
    let (_dir, certificate, key) = certificate();
    let mysql = [format!("--ssl-cert={certificate}"), format!("--ssl-key={key}")];
    let mysql: Vec<&str> = mysql.iter().map(String::as_str).collect();
    let servers = [
        servers::start_mysql(&["--skip-ssl"], &[]).await,
        servers::start_mysql(&mysql, &[]).await,
        servers::start_postgres(&[], &[]).await,
    ];
    for (number, server) in servers.into_iter().enumerate() {
        let Some(server) = server else { continue };
        let db = Db::on(&Arc::new(server)).await;
        prepare(&db).await;
        let dir = db.server.as_ref().unwrap().dir().to_path_buf();
        let port = db.server.as_ref().unwrap().port;
        let sockets = match db.engine {
            Engine::MySql => vec![dir.join("mysql.sock")],
            _ => vec![dir.clone(), dir.join(format!(".s.PGSQL.{port}"))],
        };
        for socket in sockets {
            for tls in [Tls::Off, Tls::Preferred, Tls::Required, Tls::VerifyCa, Tls::VerifyFull] {
                if number == 0 && !matches!(tls, Tls::Off | Tls::Preferred) {
                    continue;
                }
                let ca = Some(fixtures().join("ca.pem"));
                let dsn = Dsn { host: String::new(), socket: Some(socket.clone()), tls, ca, ..dsn(&db) };
                assert_eq!(works(&db, &dsn).await, Ok(()), "{} {} {tls:?}", db.engine, socket.display());
            }
        }
    }
}
