//! Private MariaDB and PostgreSQL servers on free loopback ports, below a temporary folder.
//!
//! `tests/run` starts one of each for the whole run (the ignored test [`serve`]) and hands their addresses on in
//! `CUPID_TEST_MYSQL` and `CUPID_TEST_POSTGRES`. A test process without these starts its own, once. A test that needs
//! special server options, or wants to stop a server, always starts its own with [`start_mysql`] or [`start_postgres`].
//!
//! An open transaction holds up whatever waits on its server for rows to settle. Tests that keep one open therefore use a
//! second pair of servers ([`apart`]), one test after the other.
//!
//! A server never outlives the process that started it: a small shell keeps it, and ends it when its standard input
//! closes, however that came about.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cupid::config::Engine;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::OnceCell;

use super::temp::unique;

/// Account that may do everything on the test servers.
pub const USER: &str = "tester";
/// Its password.
pub const PASSWORD: &str = "tester-password";

const NO_MARIADB: &str = "MariaDB is not installed (mariadbd, mariadb-install-db)";
const NO_POSTGRES: &str = "PostgreSQL is not installed (postgres, initdb)";

const START_LIMIT: Duration = Duration::from_secs(60);

/// A database server to test against.
pub struct Server {
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    /// Not ours: databases made on it are dropped again.
    pub foreign: bool,
    process: Option<Process>,
}

impl Server {
    /// URL of one of its databases, with the account that may do everything.
    pub fn url(&self, database: &str) -> String {
        self.url_as(&self.user, &self.password, database)
    }

    /// URL of one of its databases for another account.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let scheme = match self.engine {
            Engine::MySql => "mysql",
            Engine::Postgres => "postgres",
            Engine::Sqlite => unreachable!("SQLite has no server"),
        };
        format!("{scheme}://{user}:{password}@{}:{}/{database}", self.host, self.port)
    }

    /// Options for a MySQL connection of a plain client: the session keeps the server's own zone and modes.
    pub fn mysql_options(&self, database: &str) -> MySqlConnectOptions {
        MySqlConnectOptions::new()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(&self.password)
            .database(database)
            .timezone(None)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging()
    }

    /// Options for a PostgreSQL connection (the driver makes it a UTC session).
    pub fn postgres_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .password(&self.password)
            .database(database)
            .disable_statement_logging()
    }

    /// Stops the server in good order; what is connected is cut off. Only for servers a test started itself.
    pub async fn stop(&self) {
        let mut keeper = self.own().keeper.lock().unwrap().take().expect("the server runs");
        let mut stdin = keeper.stdin.take().unwrap();
        stdin.write_all(b"stop\n").unwrap();
        super::wait::wait_until("the server has stopped", START_LIMIT, || {
            keeper.try_wait().unwrap().is_some()
        })
        .await;
    }

    /// Starts it again, same port, same data.
    pub async fn start(&self) {
        let process = self.own();
        *process.keeper.lock().unwrap() = Some(process.launch().0);
        self.ready(&|| true).await.expect("the server starts again");
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.own().dir.join("log")).unwrap_or_default()
    }

    /// Folder of the server's files.
    pub fn dir(&self) -> &Path {
        &self.own().dir
    }

    fn own(&self) -> &Process {
        self.process.as_ref().expect("started by this test")
    }

    async fn ready(&self, alive: &dyn Fn() -> bool) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let met = match self.engine {
                Engine::MySql => self.mysql_options("mysql").connect().await.map(drop),
                _ => self.postgres_options("postgres").connect().await.map(drop),
            };
            match met {
                Ok(()) => return Ok(()),
                Err(e) if began.elapsed() > START_LIMIT || !alive() => {
                    return Err(format!("{} did not start: {e}\n{}", self.engine, self.log()));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Makes an empty database with a new name.
    pub async fn create_database(&self) -> String {
        let name = format!("t_{}", unique());
        match self.engine {
            Engine::MySql => {
                let mut c = self.mysql_options("mysql").connect().await.unwrap();
                let sql = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4");
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut c).await.unwrap();
            }
            _ => {
                let mut c = self.postgres_options("postgres").connect().await.unwrap();
                let sql = format!("CREATE DATABASE {name}");
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut c).await.unwrap();
            }
        }
        name
    }

    /// Drops a database, if this is not a server that is thrown away anyway.
    pub fn drop_database(&self, name: &str) {
        if !self.foreign {
            return;
        }
        let sql = format!("DROP DATABASE IF EXISTS {name}");
        let options = self.mysql_options("mysql");
        // The caller is being dropped, perhaps inside a runtime: another thread has room for one of its own.
        let dropper = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                let mut c = options.connect().await?;
                sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut c).await
            })
        });
        let _ = dropper.join();
    }

    fn from_url(engine: Engine, text: &str, foreign: bool) -> Self {
        let url = url::Url::parse(text).expect("the address of a test server is a URL");
        Self {
            engine,
            host: url.host_str().unwrap_or("127.0.0.1").to_owned(),
            port: url.port().unwrap_or(if engine == Engine::MySql { 3306 } else { 5432 }),
            user: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
            foreign,
            process: None,
        }
    }
}

/// The MariaDB (or MySQL) all tests share; `None` after a loud skip.
pub async fn mysql() -> Option<Arc<Server>> {
    static SHARED: OnceCell<Option<Arc<Server>>> = OnceCell::const_new();
    let shared = SHARED
        .get_or_init(|| async {
            if let Ok(url) = std::env::var("CUPID_TEST_MYSQL") {
                return Some(Arc::new(Server::from_url(Engine::MySql, &url, false)));
            }
            if find("mariadbd").is_none() {
                return foreign_mysql();
            }
            start_mysql(&[], &[]).await.map(Arc::new)
        })
        .await;
    if shared.is_none() {
        skip(NO_MARIADB);
    }
    shared.clone()
}

/// A MySQL the developer has, if `CUPID_TEST_MYSQL_DSN` (a URL, `mysql://user:password@host:port/`) names one. The MySQL
/// suites run against it as well.
pub fn foreign_mysql() -> Option<Arc<Server>> {
    let url = std::env::var("CUPID_TEST_MYSQL_DSN").ok()?;
    Some(Arc::new(Server::from_url(Engine::MySql, &url, true)))
}

/// The PostgreSQL all tests share; `None` after a loud skip.
pub async fn postgres() -> Option<Arc<Server>> {
    static SHARED: OnceCell<Option<Arc<Server>>> = OnceCell::const_new();
    let shared = SHARED
        .get_or_init(|| async {
            if let Ok(url) = std::env::var("CUPID_TEST_POSTGRES") {
                return Some(Arc::new(Server::from_url(Engine::Postgres, &url, false)));
            }
            find("initdb")?;
            start_postgres(&[], &[]).await.map(Arc::new)
        })
        .await;
    if shared.is_none() {
        skip(NO_POSTGRES);
    }
    shared.clone()
}

/// The server for tests that keep a transaction open; `None` after a loud skip.
pub async fn apart(engine: Engine) -> Option<Arc<Server>> {
    static MYSQL: OnceCell<Option<Arc<Server>>> = OnceCell::const_new();
    static POSTGRES: OnceCell<Option<Arc<Server>>> = OnceCell::const_new();
    let (cell, name) = match engine {
        Engine::MySql => (&MYSQL, "CUPID_TEST_MYSQL_APART"),
        Engine::Postgres => (&POSTGRES, "CUPID_TEST_POSTGRES_APART"),
        Engine::Sqlite => unreachable!("SQLite has no server"),
    };
    let server = cell.get_or_init(|| async {
        let server = match std::env::var(name) {
            Ok(url) => Some(Server::from_url(engine, &url, false)),
            Err(_) if engine == Engine::MySql => start_mysql(&[], &[]).await,
            Err(_) => start_postgres(&[], &[]).await,
        };
        server.map(Arc::new)
    });
    server.await.clone()
}

/// Starts a MariaDB of one's own with more `options` and environment; `None` after a loud skip.
pub async fn start_mysql(options: &[&str], env: &[(&str, &str)]) -> Option<Server> {
    let (Some(daemon), Some(install)) = (find("mariadbd"), find("mariadb-install-db")) else {
        skip(NO_MARIADB);
        return None;
    };
    for attempt in 0.. {
        let home = Home::new("mariadb", "mysql");
        let data = home.dir.join("data");
        home.run(
            Command::new(&install)
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg("--innodb-log-file-size=16M")
                .arg(format!("--datadir={}", data.display())),
        );
        let init = home.dir.join("init.sql");
        fs::write(
            &init,
            format!(
                "DELETE FROM mysql.global_priv WHERE User = '';\nFLUSH PRIVILEGES;\n\
                 CREATE OR REPLACE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
                 GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
            ),
        )
        .unwrap();
        let port = free_port();
        let mut argv = vec![daemon.display().to_string(), "--no-defaults".to_owned()];
        argv.extend([
            format!("--datadir={}", data.display()),
            format!("--socket={}", home.dir.join("mysql.sock").display()),
            format!("--port={port}"),
            format!("--init-file={}", init.display()),
        ]);
        argv.extend(
            [
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--max-connections=500",
                "--innodb-log-file-size=16M",
                "--innodb-buffer-pool-size=128M",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-flush-method=nosync",
                "--character-set-server=utf8mb4",
                "--max-allowed-packet=64M",
            ]
            .map(str::to_owned),
        );
        argv.extend(options.iter().map(|&o| o.to_owned()));
        if let Some(server) = home.serve(Engine::MySql, port, argv, env, "TERM", "KILL", attempt).await {
            return Some(server);
        }
    }
    unreachable!("the loop ends by returning or panicking")
}

/// Starts a PostgreSQL of one's own with more `-c` settings (`name=value`) and environment; `None` after a loud skip.
pub async fn start_postgres(settings: &[&str], env: &[(&str, &str)]) -> Option<Server> {
    let (Some(daemon), Some(initdb)) = (find("postgres"), find("initdb")) else {
        skip(NO_POSTGRES);
        return None;
    };
    for attempt in 0.. {
        let home = Home::new("postgres", "postgres");
        let data = home.dir.join("data");
        let password = home.dir.join("password");
        fs::write(&password, PASSWORD).unwrap();
        home.run(
            Command::new(&initdb)
                .args(["--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust"])
                .args(["--auth-host=scram-sha-256", "--username", USER])
                .arg(format!("--pwfile={}", password.display()))
                .arg(format!("--pgdata={}", data.display())),
        );
        let port = free_port();
        let mut argv = vec![daemon.display().to_string(), "-D".to_owned(), data.display().to_string()];
        let place = format!("unix_socket_directories={}", home.dir.display());
        let port_setting = format!("port={port}");
        let ours = [
            "listen_addresses=127.0.0.1",
            &place,
            &port_setting,
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=300",
            "shared_buffers=64MB",
        ];
        argv.extend(ours.iter().chain(settings).flat_map(|s| ["-c".to_owned(), (*s).to_owned()]));
        if let Some(server) = home.serve(Engine::Postgres, port, argv, env, "INT", "QUIT", attempt).await {
            return Some(server);
        }
    }
    unreachable!("the loop ends by returning or panicking")
}

/// Says loudly why a test does not run; a failure with `CUPID_TEST_NO_SKIP=1`.
pub fn skip(why: &str) {
    assert!(std::env::var("CUPID_TEST_NO_SKIP").is_err(), "not to be skipped, but: {why}");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not `eprintln!`: the harness would keep it to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// The folder of a server, and who it runs as.
struct Home {
    dir: PathBuf,
    /// PostgreSQL refuses to run as root: then an account that is meant for it does.
    account: Option<(String, u32)>,
}

impl Home {
    fn new(what: &str, account: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("cupid-test-{what}-{}", unique()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let account = is_root().then(|| {
            [account, "nobody"]
                .into_iter()
                .find_map(|name| uid_of(name).map(|uid| (name.to_owned(), uid)))
                .expect("there is an account other than root")
        });
        if let Some((_, uid)) = account {
            chown(&dir, Some(uid), None).unwrap();
        }
        Self { dir, account }
    }

    /// The words that make a command run as the account.
    fn prefix(&self) -> Vec<String> {
        let Some((_, uid)) = &self.account else { return Vec::new() };
        vec!["setpriv".to_owned(), format!("--reuid={uid}"), "--clear-groups".to_owned(), "--".to_owned()]
    }

    fn run(&self, command: &Command) {
        let mut argv = self.prefix();
        argv.push(command.get_program().to_str().unwrap().to_owned());
        argv.extend(command.get_args().map(|a| a.to_str().unwrap().to_owned()));
        let out = Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(&self.dir)
            .env("TMPDIR", &self.dir)
            .env_remove("TZ")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if !out.status.success() {
            let _ = fs::remove_dir_all(&self.dir);
            panic!("{argv:?}: {out:?}");
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the two callers are next door")]
    async fn serve(
        self,
        engine: Engine,
        port: u16,
        argv: Vec<String>,
        env: &[(&str, &str)],
        stop: &'static str,
        abort: &'static str,
        attempt: u32,
    ) -> Option<Server> {
        let mut all = self.prefix();
        all.extend(argv);
        let env = env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let process = Process { dir: self.dir, argv: all, env, stop, abort, keeper: Mutex::new(None) };
        let (keeper, pid) = process.launch();
        *process.keeper.lock().unwrap() = Some(keeper);
        let server = Server {
            engine,
            host: "127.0.0.1".to_owned(),
            port,
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            foreign: false,
            process: Some(process),
        };
        match server.ready(&|| runs(pid)).await {
            Ok(()) => Some(server),
            // Somebody may have taken the port in between: once more on another one.
            Err(_) if attempt < 3 => None,
            Err(e) => panic!("{e}"),
        }
    }
}

/// A server process and the shell that keeps it.
struct Process {
    dir: PathBuf,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    stop: &'static str,
    abort: &'static str,
    keeper: Mutex<Option<Child>>,
}

impl Process {
    /// Starts keeper and server; the second value is the server's pid.
    fn launch(&self) -> (Child, u32) {
        const KEEPER: &str = r#"
            dir=$1 stop=$2 abort=$3; shift 3
            "$@" </dev/null >>"$dir/log" 2>&1 &
            pid=$!
            echo $pid
            exec >/dev/null
            if read -r word; then kill -"$stop" $pid; wait $pid; exit 0; fi
            kill -"$abort" $pid
            wait $pid
            rm -rf "$dir""#;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&self.dir)
            .args([self.stop, self.abort])
            .args(&self.argv)
            .current_dir(&self.dir)
            // MariaDB removes at its start what it takes for leftovers in the folder for temporary files, also those of
            // another server.
            .env("TMPDIR", &self.dir)
            .env_remove("TZ")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            // A group of its own: signals for the test process are not for the keeper, which must live to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (keeper, line.trim().parse().expect("the keeper tells the pid first"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn find(program: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    folders.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    // Debian keeps the PostgreSQL programs of each version apart; the newest is as good as any.
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.into_iter().map(|f| f.join(program)).find(|p| p.is_file())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn uid_of(name: &str) -> Option<u32> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// A loopback port nobody listens on at this moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts the shared servers, writes their addresses to the file `CUPID_TEST_SERVE` and keeps them until standard input
/// closes. Not a test: `tests/run` uses it, so that there is one way to start a server.
#[tokio::test]
#[ignore = "serves tests/run"]
async fn serve() {
    let Ok(file) = std::env::var("CUPID_TEST_SERVE") else { return };
    let (mysql, postgres, mysql_apart, postgres_apart) = tokio::join!(
        start_mysql(&[], &[]),
        start_postgres(&[], &[]),
        start_mysql(&[], &[]),
        start_postgres(&[], &[])
    );
    let servers = [
        ("CUPID_TEST_MYSQL", mysql),
        ("CUPID_TEST_POSTGRES", postgres),
        ("CUPID_TEST_MYSQL_APART", mysql_apart),
        ("CUPID_TEST_POSTGRES_APART", postgres_apart),
    ];
    let address = |(name, server): &(&str, Option<Server>)| {
        format!("export {name}={}\n", server.as_ref().expect("it has started").url(""))
    };
    let addresses: String = servers.iter().map(address).collect();
    let half = format!("{file}.new");
    fs::write(&half, addresses).unwrap();
    fs::rename(half, file).unwrap();
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// The helper itself: a stopped server refuses, and comes back with its data.
#[tokio::test]
async fn a_server_can_be_stopped_and_started_again() {
    let servers = [start_mysql(&["--default-time-zone=+08:00"], &[]).await, start_postgres(&[], &[]).await];
    for server in servers.into_iter().flatten() {
        let db = super::db::Db::on(&Arc::new(server)).await;
        let server = db.server.clone().unwrap();
        db.run("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)").await;
        if server.engine == Engine::MySql {
            assert_eq!(db.texts("SELECT @@global.time_zone").await[0][0].as_deref(), Some("+08:00"));
        }
        server.stop().await;
        assert!(std::net::TcpStream::connect((server.host.as_str(), server.port)).is_err());
        server.start().await;
        assert_eq!(db.number("SELECT id FROM t").await, 7);
    }
}
