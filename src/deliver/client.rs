//! The HTTP client of one receiver. Redirects are not followed, and proxies of the environment not used: both would
//! lead where nobody looked.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, Proxy, redirect};

use crate::base::scrub;
use crate::config::{Auth, CallbackConfig};

/// Why calls to a receiver cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// A certificate or key file cannot be used.
    #[error("{path}: {reason}; it must be a PEM file with {wanted}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was met.
        reason: String,
        /// What it must hold.
        wanted: &'static str,
    },
    /// The client cannot be made.
    #[error("calls to receivers cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Makes the client, for which `names` says where a host is; nothing is connected yet.
pub(super) fn client(
    receiver: &CallbackConfig,
    names: impl Resolve + 'static,
) -> Result<Client, CallerError> {
    let mut client = Client::builder()
        .user_agent(concat!("cupid/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(receiver.concurrency)
        .pool_idle_timeout(Duration::from_secs(30))
        .default_headers(headers(receiver))
        .dns_resolver(names)
        .timeout(receiver.timeout);
    if let Some(path) = &receiver.tls.ca {
        let wanted = "certificates";
        let authorities =
            Certificate::from_pem_bundle(&read(path, wanted)?).map_err(|e| unusable(path, &e, wanted))?;
        client = client.tls_certs_merge(authorities);
    }
    if let Some((cert, key)) = &receiver.tls.identity {
        let wanted = "a certificate and, in its file or in that of `certKey`, an unencrypted key";
        let mut pem = read(cert, wanted)?;
        if key != cert {
            pem.push(b'\n');
            pem.extend(read(key, wanted)?);
        }
        client = client.identity(Identity::from_pem(&pem).map_err(|e| unusable(cert, &e, wanted))?);
    }
    if let Some(proxy) = &receiver.proxy {
        client = client.proxy(Proxy::all(proxy.clone())?);
    }
    Ok(client.build()?)
}

/// The configuration has checked names and values.
fn headers(receiver: &CallbackConfig) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    };
    for (name, value) in &receiver.headers {
        if let Ok(name) = name.parse() {
            add(name, value.expose());
        }
    }
    match &receiver.auth {
        Some(Auth::Bearer(token)) => add(AUTHORIZATION, &format!("Bearer {}", token.expose())),
        Some(Auth::Basic(user, password)) => {
            add(AUTHORIZATION, &format!("Basic {}", scrub::basic(user, password.expose())));
        }
        None => {}
    }
    headers
}

/// What a receiver, or a proxy before it, is sent and must not be shown when it repeats it.
pub(super) fn secrets(receiver: &CallbackConfig) -> Vec<String> {
    let mut secrets = scrub::of_url(&receiver.url);
    secrets.extend(receiver.proxy.as_ref().map(scrub::of_url).into_iter().flatten());
    secrets.extend(receiver.headers.iter().map(|(_, value)| value.expose().clone()));
    match &receiver.auth {
        Some(Auth::Bearer(token)) => secrets.push(token.expose().clone()),
        Some(Auth::Basic(user, password)) => {
            secrets.push(password.expose().clone());
            secrets.push(scrub::basic(user, password.expose()));
        }
        None => {}
    }
    secrets
}

fn read(path: &Path, wanted: &'static str) -> Result<Vec<u8>, CallerError> {
    std::fs::read(path).map_err(|e| CallerError::File {
        path: path.to_owned(),
        reason: format!("cannot be read: {e}"),
        wanted,
    })
}

fn unusable(path: &Path, _: &reqwest::Error, wanted: &'static str) -> CallerError {
    // The driver's words may quote the file.
    CallerError::File { path: path.to_owned(), reason: "cannot be used".to_owned(), wanted }
}

/// A body in gzip.
pub(super) fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}
