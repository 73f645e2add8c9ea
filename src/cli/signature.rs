//! `cupid verify-signature`: is this message ours, and if not, why.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;

use super::exit;
use crate::base::clock::Clock;
use crate::config::Config;
use crate::deliver::signature;

/// Receivers refuse messages that were signed longer ago, or later, than this many seconds.
const TOLERANCE_S: i64 = 300;

/// What a receiver got.
#[derive(Debug, clap::Args)]
pub(super) struct Received {
    /// Value of the header webhook-id
    #[arg(long, value_name = "ID")]
    id: String,
    /// Value of the header webhook-timestamp
    #[arg(long, value_name = "SECONDS")]
    timestamp: i64,
    /// Value of the header webhook-signature
    #[arg(long, value_name = "SIGNATURES")]
    signature: String,
    /// File with the exact bytes of the body; standard input without it
    #[arg(value_name = "BODY")]
    body: Option<std::path::PathBuf>,
}

/// The keys to try: of the configuration, or the one in `CUPID_SECRET`.
pub(super) fn keys(config: Option<&Config>) -> Result<Vec<Vec<u8>>, String> {
    if let Some(config) = config {
        let receivers = config.tasks.iter().flat_map(|task| &task.destinations);
        let keys: Vec<Vec<u8>> =
            receivers.flat_map(|d| &d.callback.secrets).map(|secret| secret.expose().clone()).collect();
        return if keys.is_empty() {
            Err("no `callbackNotification` has a `secret`".to_owned())
        } else {
            Ok(keys)
        };
    }
    let text = std::env::var("CUPID_SECRET").map_err(|_| {
        "no secret: name a configuration with -c FILE, or put the secret into the variable CUPID_SECRET"
            .to_owned()
    })?;
    let text = text.trim();
    let base64 = text.strip_prefix("whsec_").unwrap_or(text).trim_end_matches('=');
    let key = base64::engine::general_purpose::STANDARD_NO_PAD.decode(base64);
    key.map(|key| vec![key]).map_err(|_| "CUPID_SECRET is not `whsec_` and base64".to_owned())
}

/// Says whether one of the keys made one of the signatures.
pub(super) fn verify(received: &Received, keys: &[Vec<u8>]) -> ExitCode {
    let body = match read(received.body.as_deref()) {
        Ok(body) => body,
        Err(e) => {
            eprintln!("error: {e}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let given: Vec<&str> = received.signature.split_whitespace().collect();
    let good = keys
        .iter()
        .any(|key| given.contains(&signature(key, &received.id, received.timestamp, &body).as_str()));
    if !good {
        println!("not valid: none of {} signatures was made with this secret over these bytes", given.len());
        println!(
            "check that the body is the exact bytes received, before any parsing, and that id and timestamp are of the same call"
        );
        return ExitCode::from(exit::DIFFERENCES);
    }
    let age = Clock::system().now() / 1000 - received.timestamp;
    println!("valid, signed {age} s ago");
    if age.abs() > TOLERANCE_S {
        println!("a receiver that allows {TOLERANCE_S} s refuses it as too old: compare the clocks");
    }
    ExitCode::SUCCESS
}

fn read(path: Option<&Path>) -> Result<Vec<u8>, String> {
    if let Some(path) = path {
        return std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()));
    }
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body).map_err(|e| format!("standard input cannot be read: {e}"))?;
    Ok(body)
}
