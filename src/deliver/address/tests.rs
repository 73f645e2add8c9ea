use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::deliver::client::client;

fn may_be_called(addresses: &Addresses, host: &str) -> bool {
    let url = url::Url::parse(&format!("http://{host}/x")).unwrap();
    assert!(!matches!(url.host(), Some(Host::Domain(_))), "{host} is an address");
    addresses.vet_host(&url).is_ok()
}

#[test]
fn every_spelling_of_a_metadata_address_is_refused() {
    let addresses = Addresses::new(&[]);
    for host in [
        "169.254.169.254",
        "169.254.0.1",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "2852039166",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[2001:0:1::5601:5601]",
        "[fd20:ce::254]",
        "[fd00:42::42]",
        "168.63.129.16",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "[ff02::1]",
    ] {
        assert!(!may_be_called(&addresses, host), "{host}");
    }
    for host in
        ["127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "[::1]", "[fd00::1]", "8.8.8.8", "0x7f.1"]
    {
        assert!(may_be_called(&addresses, host), "{host}");
    }
}

#[test]
fn what_is_allowed_is_called() {
    let addresses = Addresses::new(&["169.254.10.0/24".parse().unwrap(), "fe80::/10".parse().unwrap()]);
    assert!(may_be_called(&addresses, "169.254.10.7"));
    assert!(may_be_called(&addresses, "[::ffff:169.254.10.7]"));
    assert!(may_be_called(&addresses, "[fe80::1]"));
    assert!(!may_be_called(&addresses, "169.254.169.254"));
}

/// A name whose addresses are others each time they are asked for.
#[derive(Clone)]
struct Rebinding(Addresses, Arc<Mutex<VecDeque<Vec<IpAddr>>>>);

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let found = self.1.lock().unwrap().pop_front().unwrap();
        let found = self.0.vetted(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
        Box::pin(async move { Ok(Box::new(found?.into_iter()) as Addrs) })
    }
}

/// Scenario 39: a name that was harmless when it was looked at and leads to a metadata service when it is called, or
/// names it among others.
#[tokio::test]
async fn a_name_that_changes_what_it_means_leads_nowhere_else() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let receiver = async {
        let mut connections = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            connections += 1;
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            if connections == 2 {
                break;
            }
        }
    };
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let answers = [
        vec![ip("127.0.0.1")],
        vec![ip("169.254.169.254")],
        vec![ip("fe80::1"), ip("::ffff:169.254.169.254")],
        vec![ip("169.254.169.254"), ip("127.0.0.1")],
    ];
    let names = Rebinding(Addresses::new(&[]), Arc::new(Mutex::new(answers.into())));
    let url = format!("http://receiver.invalid:{port}/fix");
    let file = format!(
        r#"{{ "src": {{ "dsn": "sqlite:a.db", "table": "t", "byColumn": "k" }},
             "des": [ {{ "callbackNotification": {{ "url": "{url}" }} }} ] }}"#
    );
    let loaded = crate::config::parse(&file, Path::new("/etc/c.json"), &|_| None).unwrap();
    let callback = &loaded.config.tasks[0].destinations[0].callback;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = client(callback, names.clone()).unwrap();
    let calls = async {
        let mut answered = Vec::new();
        for _ in 0..4 {
            answered.push(client.post(&url).send().await.map_err(|e| blocked(&e)));
        }
        answered
            .into_iter()
            .map(|answer| answer.map(|response| response.status().as_u16()))
            .collect::<Vec<_>>()
    };
    let (answered, ()) = tokio::join!(calls, receiver);
    assert_eq!(answered, [Ok(200), Err(true), Err(true), Ok(200)]);
    assert!(names.1.lock().unwrap().is_empty(), "the name was asked for each time");
}

/// Whether it was not even tried.
fn blocked(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |&e| e.source()).any(|e| e.is::<Blocked>())
}
