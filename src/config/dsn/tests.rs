use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::config::{Engine, Tls};

/// One line that says everything: `engine user:password@host:port/database tls=… ca=… timeout=… | notes`.
fn summary(text: &str) -> String {
    let parsed = match parse(text, Path::new("/etc/cupid")) {
        Ok(parsed) => parsed,
        Err(e) => return format!("error: {}", e.message),
    };
    let dsn = parsed.dsn;
    let mut out = dsn.engine.to_string();
    if dsn.engine == Engine::Sqlite {
        write!(out, " {}", dsn.database).unwrap();
    } else {
        write!(out, " {}", dsn.user).unwrap();
        if let Some(password) = &dsn.password {
            write!(out, ":{}", password.expose()).unwrap();
        }
        match &dsn.socket {
            Some(socket) => write!(out, "@{{{}}}/{}", socket.display(), dsn.database).unwrap(),
            None => write!(out, "@{}:{}/{}", dsn.host, dsn.port, dsn.database).unwrap(),
        }
        if dsn.tls != Tls::Preferred {
            write!(out, " {:?}", dsn.tls).unwrap();
        }
    }
    if let Some(ca) = &dsn.ca {
        write!(out, " ca={}", ca.display()).unwrap();
    }
    if dsn.connect_timeout != CONNECT_TIMEOUT {
        write!(out, " {:?}", dsn.connect_timeout).unwrap();
    }
    for note in parsed.notes {
        write!(out, " | {note}").unwrap();
    }
    out
}

#[test]
fn go_driver() {
    let cases = [
        ("user:password@tcp(127.0.0.1:3306)/db?charset=utf8", "mysql user:password@127.0.0.1:3306/db"),
        ("user:password@/db", "mysql user:password@127.0.0.1:3306/db"),
        ("user@/db", "mysql user@127.0.0.1:3306/db"),
        ("/db", "mysql @127.0.0.1:3306/db"),
        ("user:@tcp(h)/db", "mysql user:@h:3306/db"),
        ("user:pw@tcp(db.example.com:3307)/db", "mysql user:pw@db.example.com:3307/db"),
        ("user:pw@tcp/db", "mysql user:pw@127.0.0.1:3306/db"),
        ("user:pw@(h:1)/db", "mysql user:pw@h:1/db"),
        ("user:pw@tcp([de:ad:be:ef::ca:fe]:80)/db", "mysql user:pw@de:ad:be:ef::ca:fe:80/db"),
        ("user:pw@tcp6([::1])/db", "mysql user:pw@::1:3306/db"),
        ("user:pw@unix(/run/mysqld/mysqld.sock)/db", "mysql user:pw@{/run/mysqld/mysqld.sock}/db"),
        ("user@unix/db", "mysql user@{/tmp/mysql.sock}/db"),
        // Users that are called like the beginning of another notation.
        ("mysql:pw@tcp(h:3306)/db", "mysql mysql:pw@h:3306/db"),
        ("mysql:p=w;x@unix(/run/mysqld/mysqld.sock)/db", "mysql mysql:p=w;x@{/run/mysqld/mysqld.sock}/db"),
        ("pgsql:pw@(h:1)/db", "mysql pgsql:pw@h:1/db"),
        ("sqlite:pw@tcp(h)/db?charset=utf8", "mysql sqlite:pw@h:3306/db"),
        ("user:p@ss@tcp(h:1)/db", "mysql user:p@ss@h:1/db"),
        ("user:p:a:s@tcp(h:1)/db", "mysql user:p:a:s@h:1/db"),
        ("user:p/a/s@tcp(h:1)/db", "mysql user:p/a/s@h:1/db"),
        ("user:p(a)?s&x=y@tcp(h:1)/db", "mysql user:p(a)?s&x=y@h:1/db"),
        ("user:%2F@tcp(h:1)/db", "mysql user:%2F@h:1/db"),
        ("user:密码@tcp(h:1)/库", "mysql user:密码@h:1/库"),
        ("user:pw@tcp(h:1)/my%20db", "mysql user:pw@h:1/my db"),
        ("u:p@tcp(h:1)/db?tls=true", "mysql u:p@h:1/db VerifyFull"),
        ("u:p@tcp(h:1)/db?tls=false", "mysql u:p@h:1/db Off"),
        ("u:p@tcp(h:1)/db?tls=skip-verify", "mysql u:p@h:1/db Required"),
        ("u:p@tcp(h:1)/db?tls=preferred&timeout=1m30s", "mysql u:p@h:1/db 90s"),
        ("u:p@tcp(h:1)/db?charset=utf8mb4,utf8&parseTime=True&loc=Asia%2FShanghai", "mysql u:p@h:1/db"),
        (
            "u:p@tcp(h:1)/db?collation=utf8mb4_bin&sql_mode=ANSI",
            "mysql u:p@h:1/db | the DSN parameter `sql_mode` has no effect",
        ),
        ("u:p@tcp(h:1)/db?", "mysql u:p@h:1/db"),
        // What cannot be used.
        ("", "error: the DSN is empty"),
        ("user:pw@tcp(h:1)", "error: the DSN has no `/` before the name of the database"),
        ("user:pw@tcp(h:1)/", "error: the DSN does not name a database"),
        ("u:p@tcp(h:1)/db?loc=Asia/Shanghai", "error: a parameter of the DSN contains a `/`"),
        ("u:p@tcp(h:1/db", "error: the address of the DSN does not end in `)` right before the `/`"),
        ("u:p@udp(h:1)/db", "error: the network of the DSN is neither `tcp` nor `unix`"),
        ("u:p@tcp(h:port)/db", "error: the port is not a number from 1 to 65535"),
        ("u:p@tcp(h:0)/db", "error: the port is not a number from 1 to 65535"),
        ("u:p@tcp(::1)/db", "error: the address is not host:port"),
        ("u:p@tcp(h:1)/db?tls=my-ca", "error: `tls` in the DSN names no known way of encryption"),
        ("u:p@tcp(h:1)/db?timeout=10", "error: `timeout` in the DSN is not a duration"),
        (
            "u:p@tcp(h:1)/d%zz",
            "error: a `%` in the name of the database is not followed by two hexadecimal digits",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(summary(text), expected, "{text}");
    }
}

#[test]
fn php() {
    let cases = [
        ("mysql:host=h;port=3307;dbname=shop;charset=utf8", "mysql @h:3307/shop"),
        ("mysql:dbname=shop;host=127.0.0.1", "mysql @127.0.0.1:3306/shop"),
        ("mysql:dbname=shop", "mysql @127.0.0.1:3306/shop"),
        ("mysql:unix_socket=/run/m.sock;dbname=shop;", "mysql @{/run/m.sock}/shop"),
        ("mysql: host = h ; dbname = a;;b", "mysql @h:3306/a;b"),
        ("pgsql:host=h;port=5433;dbname=shop;user=u;password=p w", "postgres u:p w@h:5433/shop"),
        ("pgsql:host=/run/postgresql;dbname=shop;sslmode=disable", "postgres @{/run/postgresql}/shop Off"),
        ("mysql:host=h;dbname=d;color=red", "mysql @h:3306/d | the DSN parameter `color` has no effect"),
        ("mysql:host=h", "error: the DSN does not name a database"),
        ("mysql:host", "error: a part of the DSN is not key=value"),
        ("mysql:port=x;dbname=d", "error: the port is not a number from 1 to 65535"),
    ];
    for (text, expected) in cases {
        assert_eq!(summary(text), expected, "{text}");
    }
}

#[test]
fn urls() {
    let cases = [
        ("mysql://u:p@h:3307/db", "mysql u:p@h:3307/db"),
        ("mariadb://u@h/db", "mysql u@h:3306/db"),
        ("mysql://u:p%40%2F%3A@h/db", "mysql u:p@/:@h:3306/db"),
        ("mysql://u:p@ss:w@h/db", "mysql u:p@ss:w@h:3306/db"),
        (
            "mysql://h/db?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/ca.pem",
            "mysql @h:3306/db VerifyFull ca=/etc/ca.pem",
        ),
        ("mysql://u@/db?socket=/run/m.sock", "mysql u@{/run/m.sock}/db"),
        ("mysql://u@h/db?ssl-mode=disabled&connect_timeout=3", "mysql u@h:3306/db Off 3s"),
        ("postgres://u:p@h/db", "postgres u:p@h:5432/db"),
        ("postgresql://u:p@[::1]:5433/db?sslmode=require", "postgres u:p@::1:5433/db Required"),
        ("postgres://u@h/db?sslmode=require&sslrootcert=/ca.pem", "postgres u@h:5432/db VerifyCa ca=/ca.pem"),
        ("postgres://u@h/db?sslmode=verify-full&sslrootcert=system", "postgres u@h:5432/db VerifyFull"),
        ("postgres://u@h/db?sslmode=disable&application_name=x", "postgres u@h:5432/db Off"),
        ("postgres:///db?host=/run/postgresql&user=u", "postgres u@{/run/postgresql}/db"),
        ("postgres://%2Frun%2Fpostgresql/db", "postgres @{/run/postgresql}/db"),
        (
            "postgres://u@h/db?search_path=x",
            "postgres u@h:5432/db | the DSN parameter `search_path` has no effect",
        ),
        ("sqlite://shop.db", "sqlite /etc/cupid/shop.db"),
        ("sqlite:///var/shop.db", "sqlite /var/shop.db"),
        ("sqlite:shop.db", "sqlite /etc/cupid/shop.db"),
        ("sqlite:../a/./shop%20x.db?mode=ro", "sqlite /etc/a/shop x.db"),
        ("sqlite:/var/shop.db?journal=x", "sqlite /var/shop.db | the DSN parameter `journal` has no effect"),
        ("sqlite::memory:", "error: a SQLite database in memory cannot be watched"),
        ("sqlite://", "error: the DSN does not name a SQLite file"),
        ("oracle://u:p@h/db", "error: the URL does not begin with a kind of database that is known"),
        ("mysql://u:p#x@h/db", "error: the URL contains a `#`"),
        ("mysql://u:p/x@h/db", "error: the user or password in the URL contains a `/`"),
        ("mysql://u:p?x@h/db", "error: the user or password in the URL contains a `?`"),
        ("mysql://u:p%@h/db", "error: a `%` in the password is not followed by two hexadecimal digits"),
        ("mysql://u:p@h", "error: the DSN does not name a database"),
        ("postgres://h/db?sslmode=on", "error: `sslmode` in the DSN is not known"),
        ("postgres://h:x/db", "error: the port is not a number from 1 to 65535"),
    ];
    for (text, expected) in cases {
        assert_eq!(summary(text), expected, "{text}");
    }
}

proptest! {
    /// What Go's driver would write is read back, whatever is in the password.
    #[test]
    fn go_round_trip(
        user in "[a-zé_.-][^:@/(){}]{0,10}[0-9a-z$?=#]",
        password in "\\PC{0,24}",
        host in "[a-z][a-z0-9.-]{0,20}",
        port in 1_u16..,
        database in "[a-zA-Z0-9_]{1,16}",
    ) {
        prop_assume!(!password.starts_with("//"));
        // The one thing Go's own rules cannot tell from a parameter with a slash.
        prop_assume!(!(password.contains(")/") && password.contains('?')));
        let text = format!("{user}:{password}@tcp({host}:{port})/{database}?charset=utf8");
        let dsn = parse(&text, Path::new("/")).map_err(|e| TestCaseError::fail(e.message))?.dsn;
        prop_assert_eq!(dsn.user, user);
        prop_assert_eq!(dsn.password, Some(crate::base::secret::Secret::new(password)));
        prop_assert_eq!((dsn.host, dsn.port, dsn.database), (host, port, database));
    }

    #[test]
    fn never_panics(text in "\\PC*|(mysql|postgres|sqlite|pgsql)?:?(//)?[a-z:@/?=&;%()#.0-9\\[\\]]{0,40}") {
        if let Err(e) = parse(&text, Path::new("/")) {
            prop_assert!(!e.message.is_empty());
        }
    }
}
