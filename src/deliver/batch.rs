//! Several messages in one call: `[{"id", "attempt", "data"}, …]`, and what its answer says of each.
//!
//! The call's own id is a digest of the ids in it, in their order: the same items make the same id, so a call whose answer
//! was lost comes again as it was.

use std::collections::HashMap;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::message::MessageId;
use crate::model::{AttemptOutcome, ErrorClass};

/// The most bytes of items in one call: what usual servers take without being told to take more.
pub const HEAVIEST: usize = 1_000_000;
/// Longest part of a receiver's words about one item that is kept.
const KEPT: usize = 1024;

/// Digest of the ids of items, in their order.
pub fn batch_id(items: &[MessageId]) -> [u8; 16] {
    let mut all = Sha256::new();
    for item in items {
        all.update(item.to_string().as_bytes());
        all.update(b"\n");
    }
    let mut id = [0; 16];
    id.copy_from_slice(&all.finalize()[..16]);
    id
}

/// The body of a call: ids, the numbers of the attempts, and the bodies that single calls would have.
pub fn batch_body<'a>(items: impl Iterator<Item = (MessageId, u32, &'a [u8])>) -> Box<[u8]> {
    let mut out = vec![b'['];
    for (id, attempt, data) in items {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(format!(r#"{{"id":"{id}","attempt":{attempt},"data":"#).as_bytes());
        out.extend_from_slice(data);
        out.push(b'}');
    }
    out.push(b']');
    out.into()
}

/// What a 2xx says of each item: one for each, in their order; `None`: nothing, all were taken.
///
/// # Errors
/// Why that cannot be told: then all of them have failed.
pub(super) fn results(
    items: &[MessageId],
    status: u16,
    answer: &[u8],
    is_whole: bool,
) -> Result<Option<Vec<AttemptOutcome>>, String> {
    let Ok(Json::Object(mut members)) = serde_json::from_slice(answer) else {
        let begins = answer.iter().find(|b| !b.is_ascii_whitespace());
        return match begins {
            Some(b'{') if !is_whole => {
                Err("its answer is longer than 64 KiB; name only the items that failed".to_owned())
            }
            _ => Ok(None),
        };
    };
    let Some(results) = members.remove("results") else { return Ok(None) };
    let Json::Array(results) = results else { return Err("`results` of its answer is no list".to_owned()) };
    let places: HashMap<String, usize> =
        items.iter().enumerate().map(|(place, id)| (id.to_string(), place)).collect();
    let mut outcomes = vec![AttemptOutcome::Accepted { status, answer: None }; items.len()];
    for result in results {
        let place = result["id"].as_str().and_then(|id| places.get(id));
        let Some(place) = place else {
            return Err("`results` of its answer names an id that is not in the batch".to_owned());
        };
        if let Some(failed) = failure(&result)? {
            outcomes[*place] = failed;
        }
    }
    Ok(Some(outcomes))
}

/// What one entry says: a `status` beyond 2xx, `"ok": false`, or an `error`, is a failure.
fn failure(result: &Json) -> Result<Option<AttemptOutcome>, String> {
    let status = match &result["status"] {
        Json::Null => None,
        status => {
            match status.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..600).contains(n)) {
                Some(status) => Some(status),
                None => return Err("a `status` in `results` of its answer is no HTTP status".to_owned()),
            }
        }
    };
    let class = match (status, result["ok"].as_bool(), &result["error"]) {
        (Some(429), ..) => ErrorClass::Http429,
        (Some(400..500), ..) => ErrorClass::Http4xx,
        (Some(500..), ..) => ErrorClass::Http5xx,
        (Some(300..400), ..) => ErrorClass::Http3xx,
        (Some(..200), ..) => ErrorClass::Protocol,
        (_, Some(false), _) => ErrorClass::BodyRule,
        (_, Some(true), _) | (_, None, Json::Null) => return Ok(None),
        (_, None, _) => ErrorClass::BodyRule,
    };
    let detail = match status.filter(|status| *status >= 300) {
        Some(status) => format!("the receiver answered {status} for this item of the batch"),
        None => "the receiver did not take this item of the batch".to_owned(),
    };
    let mut answer = result.to_string();
    answer.truncate(answer.floor_char_boundary(KEPT));
    let answer = Some(answer.into());
    // That it is gone for good a receiver says of itself, and not for an item.
    let status = status.filter(|status| *status != 410);
    Ok(Some(AttemptOutcome::Failed { class, status, detail, answer, retry_after: None }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeliveryId;

    fn ids(n: u128) -> Vec<MessageId> {
        (1..=n).map(|n| MessageId { delivery: DeliveryId(uuid::Uuid::from_u128(n)), revision: 3 }).collect()
    }

    #[test]
    fn the_same_items_in_the_same_order_are_the_same_call() {
        let all = ids(3);
        let swapped = [all[1], all[0], all[2]];
        assert_eq!(batch_id(&all), batch_id(&ids(3)));
        assert_ne!(batch_id(&all), batch_id(&swapped));
        assert_ne!(batch_id(&all), batch_id(&all[..2]));
        let newer = [all[0], all[1], MessageId { revision: 4, ..all[2] }];
        assert_ne!(batch_id(&all), batch_id(&newer));
        // Stored with deliveries: it must never change.
        let digits = format!("{:032x}", u128::from_be_bytes(batch_id(&all[..1])));
        assert_eq!(digits, "8738641b575c10a44fe50682ff0d2a13");
    }

    #[test]
    fn the_documented_body() {
        let all = ids(2);
        let data = [br#"{"type":1}"#.as_slice(), br#"{"type":2}"#];
        let body = batch_body(all.iter().zip(data).map(|(id, data)| (*id, 4, data)));
        let [a, b] = ["00000000-0000-0000-0000-000000000001-3", "00000000-0000-0000-0000-000000000002-3"];
        let wanted = format!(
            r#"[{{"id":"{a}","attempt":4,"data":{{"type":1}}}},{{"id":"{b}","attempt":4,"data":{{"type":2}}}}]"#
        );
        assert_eq!(String::from_utf8(body.into()).unwrap(), wanted);
    }

    #[test]
    fn what_answers_say_of_items() {
        let all = ids(3);
        let b = all[1].to_string();
        let said = |answer: &str| {
            let outcomes = results(&all, 200, answer.as_bytes(), true)?;
            Ok::<_, String>(outcomes.map(|outcomes| {
                let word = |o: &AttemptOutcome| match o {
                    AttemptOutcome::Failed { class, .. } => class.as_str(),
                    _ => "ok",
                };
                outcomes.iter().map(word).collect::<Vec<_>>().join(" ")
            }))
        };
        for answer in ["", "fine", "[1]", "7", r#"{"code":0}"#, r#"{"result":[]}"#] {
            assert_eq!(said(answer), Ok(None), "{answer}");
        }
        for (entry, wanted) in [
            (r#""ok":true"#, "ok ok ok"),
            (r#""status":204"#, "ok ok ok"),
            (r#""note":"x""#, "ok ok ok"),
            (r#""ok":false"#, "ok body_rule ok"),
            (r#""error":"locked""#, "ok body_rule ok"),
            (r#""status":409,"error":"locked""#, "ok http_4xx ok"),
            (r#""status":429"#, "ok http_429 ok"),
            (r#""status":503,"ok":true"#, "ok http_5xx ok"),
        ] {
            let answer = format!(r#"{{"results":[{{"id":"{b}",{entry}}}]}}"#);
            assert_eq!(said(&answer), Ok(Some(wanted.to_owned())), "{entry}");
        }
        let gone = format!(r#"{{"results":[{{"id":"{b}","status":410}}]}}"#);
        let outcomes = results(&all, 200, gone.as_bytes(), true).unwrap().unwrap();
        let is_gone = |o: &AttemptOutcome| matches!(o, AttemptOutcome::Failed { status: Some(410), .. });
        assert!(!outcomes.iter().any(is_gone), "an item is refused, the receiver is there");
        assert_eq!(said(r#"{"results":[]}"#), Ok(Some("ok ok ok".to_owned())));
        for answer in [
            r#"{"results":{}}"#.to_owned(),
            r#"{"results":[{"id":"x","ok":false}]}"#.to_owned(),
            r#"{"results":["x"]}"#.to_owned(),
            format!(r#"{{"results":[{{"id":"{b}","status":7}}]}}"#),
        ] {
            assert!(said(&answer).is_err(), "{answer}");
        }
        assert!(results(&all, 200, br#"{"results":[{"id":"#, false).is_err());
        assert_eq!(results(&all, 200, b"so it begins", false), Ok(None));
    }
}
