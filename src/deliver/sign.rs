//! Standard Webhooks 1.0 signatures: HMAC-SHA256 over `id.timestamp.body`, made anew for each attempt.

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::secret::Secret;

/// The value of `webhook-signature`: one signature by each key.
pub(super) fn signatures(secrets: &[Secret<Vec<u8>>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let each = secrets.iter().map(|secret| signature(secret.expose(), id, timestamp, body));
    each.collect::<Vec<_>>().join(" ")
}

/// One signature: `v1,` and the base64 of the code.
pub fn signature(secret: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(id.as_bytes());
    mac.update(format!(".{timestamp}.").as_bytes());
    mac.update(body);
    let code = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    format!("v1,{code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn known_answer() {
        let secret =
            base64::engine::general_purpose::STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
