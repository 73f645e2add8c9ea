//! Certificates of receivers, and cupid's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::one_lost;
use crate::support::state;
use crate::support::wait::{LIMIT, wait_for};

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// A receiver behind TLS that takes only callers with a certificate of its authority; answers 200 to one call after
/// the other. It shows the certificate of this name. Returns its port.
#[expect(clippy::disallowed_methods, reason = "ends with the test")]
pub async fn tls_receiver(shows: &str) -> u16 {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut authorities = rustls::RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(fixture("client-ca.pem")).unwrap()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), ring.clone());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(fixture(&format!("{shows}.pem"))).unwrap()],
            PrivateKeyDer::from_pem_file(fixture(&format!("{shows}.key"))).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = vec![0; 16 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_of_both_sides_are_checked() {
    let url = format!("https://localhost:{}/fix", tls_receiver("server").await);
    let ca = fixture("ca.pem").display().to_string();
    let (cert, key) =
        (fixture("client.pem").display().to_string(), fixture("client.key").display().to_string());
    let wanted = [
        (json!({ "ca": ca, "cert": cert, "certKey": key }), "accepted"),
        (json!({ "cert": cert, "certKey": key }), "tls"),
        // TLS 1.3 tells a missing certificate only after the handshake.
        (json!({ "ca": ca }), "tls' OR outcome = 'reset"),
    ];
    for (settings, outcome) in wanted {
        let (_pair, site, daemon) = one_lost(&url, settings.clone(), json!({ "verify": false })).await;
        let seen = format!("SELECT count(*) FROM attempt WHERE outcome = '{outcome}'");
        wait_for(&format!("{settings} gives {outcome}"), LIMIT, async || {
            (state::try_number(&site, &seen).await? >= 1).then_some(())
        })
        .await;
        drop(daemon);
    }
}
