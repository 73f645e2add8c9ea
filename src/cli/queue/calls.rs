//! How the calls of the last minutes went, and how long what is due will take.

use serde_json::{Value, json};

use crate::base::clock::UnixMs;
use crate::cli::text::{age, number, span};

/// What a running daemon says of the calls of the last minutes.
#[derive(Debug)]
pub(super) struct Calls {
    seconds: i64,
    accepted: u64,
    failed: u64,
    per_second: f64,
    /// When, and of which class.
    last_failure: Option<(UnixMs, String)>,
}

impl Calls {
    pub(super) fn of(said: &Value) -> Option<Self> {
        let failure = &said["last_failure"];
        let class = failure["class"].as_str().map(|class| match failure["status"].as_u64() {
            Some(status) => format!("{class} ({status})"),
            None => class.to_owned(),
        });
        Some(Self {
            seconds: said["seconds"].as_i64()?,
            accepted: said["accepted"].as_u64()?,
            failed: said["failed"].as_u64()?,
            per_second: said["per_second"].as_f64()?,
            last_failure: failure["at"].as_i64().zip(class),
        })
    }

    /// How long it takes until `due` more are accepted, in seconds.
    fn drain(&self, due: u64) -> Option<i64> {
        let seconds = due as f64 / self.per_second;
        (due > 0 && seconds.is_finite()).then_some(seconds.ceil() as i64)
    }

    /// For people; `None`: there was none.
    pub(super) fn text(&self, due: u64, now: UnixMs) -> Option<String> {
        let all = self.accepted + self.failed;
        let mut parts = Vec::new();
        if all > 0 {
            // Rounded down: only all of them are 100 %.
            let share = (self.accepted as f64 / all as f64 * 1000.0).floor() / 10.0;
            let (accepted, all) = (number(self.accepted), number(all));
            let over = span(self.seconds.max(1));
            parts.push(format!("{accepted} of {all} calls of the last {over} accepted ({share} %)"));
        }
        if let Some(seconds) = self.drain(due) {
            let rate = (self.per_second * 10.0).round() / 10.0;
            parts.push(format!(
                "{rate}/s in the last minute, at which what is due is gone in about {}",
                span(seconds)
            ));
        }
        if let Some((at, class)) = &self.last_failure {
            parts.push(format!("the last failure {class}, {} ago", age(*at, now)));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// For scripts.
    pub(super) fn document(&self, due: u64) -> Value {
        let failure = self.last_failure.as_ref().map(|(at, class)| json!({ "at": at, "class": class }));
        json!({
            "seconds": self.seconds, "accepted": self.accepted, "failed": self.failed,
            "per_second": self.per_second, "drain_s": self.drain(due), "last_failure": failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_gone_at_the_rate_at_which_calls_are_accepted() {
        let said = json!({
            "seconds": 900, "accepted": 1999, "failed": 1, "per_second": 25.04,
            "last_failure": { "at": 1000, "class": "http_5xx", "status": 503 },
        });
        let calls = Calls::of(&said).unwrap();
        let text = calls.text(6000, 121_000).unwrap();
        let wanted = "1 999 of 2 000 calls of the last 15 min accepted (99.9 %); 25/s in the last minute, at which what is due is gone in \
                      about 4 min; the last failure http_5xx (503), 2 min ago";
        assert_eq!(text, wanted);
        assert!(!calls.text(0, 121_000).unwrap().contains("due"));
        assert_eq!(calls.document(6000)["drain_s"], 240);
    }

    #[test]
    fn where_nothing_is_accepted_nobody_knows_how_long_it_takes() {
        let said =
            json!({ "seconds": 0, "accepted": 0, "failed": 3, "per_second": 0.0, "last_failure": null });
        let calls = Calls::of(&said).unwrap();
        assert_eq!(calls.text(7, 0).unwrap(), "0 of 3 calls of the last 1 s accepted (0 %)");
        assert_eq!(calls.document(7)["drain_s"], Value::Null);
        assert!(Calls::of(&Value::Null).is_none());
        let none =
            json!({ "seconds": 0, "accepted": 0, "failed": 0, "per_second": 0.0, "last_failure": null });
        assert_eq!(Calls::of(&none).unwrap().text(7, 0), None);
    }
}
