//! One delivery with everything that is known of it: what `show` shows, `export` writes and `import` reads.
//!
//! Its JSON form is kept by people as a recovery log, so names and meanings never change; new members are optional.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::base::clock::UnixMs;
use crate::model::{Difference, Evidence, Key};

/// See the module's documentation. Times are Unix ms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form.
    pub cupid: u32,
    /// Its identity on the wire (`cupid-delivery`).
    pub delivery: String,
    /// Its number in the state it comes from.
    #[serde(default)]
    pub number: i64,
    /// The task.
    pub task: String,
    /// The destination.
    pub destination: String,
    /// The key: its canonical text, or `0x` and hexadecimal digits ([`shown_key`]).
    pub key: String,
    /// The row by the source's integer key; `None`: only the copy has it.
    pub row: Option<String>,
    /// What is wrong: `missing`, `differs`, `extra`, `ambiguous`.
    pub kind: String,
    /// Where it waits, or how it ended.
    pub state: String,
    /// When it was found.
    pub found_at: UnixMs,
    /// When it was last seen otherwise than before.
    pub seen_at: UnixMs,
    /// When it is due; of no meaning for dead and ended ones. `None`: when an older version of its key is through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<UnixMs>,
    /// For an event destination: its place in the order in which versions were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<i64>,
    /// When the last message was acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_at: Option<UnixMs>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMs>,
    /// From found to seen healed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healed_after_ms: Option<i64>,
    /// Why it is where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Revision of the current message.
    pub revision: i64,
    /// Failed attempts since it last started afresh.
    pub tries: i64,
    /// Attempts in all.
    pub attempted: i64,
    /// Looks since the last 2xx.
    pub looks: i64,
    /// Acknowledged attempts that did not heal the copy.
    pub unhealed: i64,
    /// Whether the next attempt is a new message in any case.
    pub renew: bool,
    /// Whether the difference it ended with is no longer remembered.
    #[serde(default)]
    pub forgotten: bool,
    /// The pass that found it.
    pub run: String,
    /// Digest of the difference, hexadecimal.
    pub fingerprint: String,
    /// What the message was about, column by column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<Vec<Difference>>,
    /// The rows that carry the key, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// The message of the current revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Kind and digest of the row that it is about, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<String>,
    /// A body written by a person that waits to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Message>,
    /// What confirming knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Message>,
    /// Every attempt that is kept.
    #[serde(default)]
    pub attempts: Vec<Tried>,
    /// Attempts that are not kept any more: the first and the last of each row of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_kept: Vec<(i64, i64)>,
    /// What people did with it.
    #[serde(default)]
    pub acts: Vec<Done>,
    /// Other deliveries of the same key, last first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Episode>,
}

impl Record {
    /// The version that is written.
    pub const VERSION: u32 = 1;
}

/// Bytes that mostly are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// They are.
    Text(
        /// The text.
        String,
    ),
    /// They are not.
    Base64(
        /// The bytes in base64.
        String,
    ),
}

impl Message {
    /// Of these bytes.
    pub fn of(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|e| Self::Base64(STANDARD.encode(e.as_bytes())), Self::Text)
    }

    /// The bytes; `None`: it is not base64.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text).ok(),
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// 1 for the first.
    pub number: i64,
    /// Revision that was sent.
    pub revision: i64,
    /// When the call began.
    pub began: UnixMs,
    /// How long it took.
    pub took_ms: i64,
    /// `accepted`, `unknown`, or the class of the error.
    pub outcome: String,
    /// The group of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// What was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The beginning of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// What a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When.
    pub at: UnixMs,
    /// `replay`, `close`, `edit`.
    pub what: String,
    /// Who.
    pub author: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The state before.
    pub was: String,
    /// The message before an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Message>,
    /// The body that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Message>,
}

/// Another delivery of the same key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// Its number.
    pub number: i64,
    /// Where it waits, or how it ended.
    pub state: String,
    /// When it was found.
    pub found_at: UnixMs,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMs>,
}

/// A key for people: text where it is printable, else `0x` and hexadecimal digits.
pub fn shown_key(key: &Key) -> String {
    match std::str::from_utf8(key.as_bytes()) {
        Ok(text) if !text.starts_with("0x") && !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(key.as_bytes())),
    }
}

/// The inverse of [`shown_key`].
pub fn typed_key(text: &str) -> Key {
    let bytes = text.strip_prefix("0x").and_then(unhex);
    Key::new(bytes.unwrap_or_else(|| text.as_bytes().to_vec()))
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("half a byte is one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The inverse of [`hex`].
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_typed_as_they_are_shown() {
        for bytes in [&b"42"[..], b"", "Ärger".as_bytes(), b"\xff\x00", b"0x41", b"a\nb", b"0x"] {
            let key = Key::new(bytes);
            assert_eq!(typed_key(&shown_key(&key)), key, "{}", shown_key(&key));
        }
        assert_eq!(shown_key(&Key::new(*b"42")), "42");
        assert_eq!(typed_key("0xZZ"), Key::new(*b"0xZZ"));
    }

    #[test]
    fn a_message_keeps_its_bytes() {
        for bytes in [&b"{\"a\":1}"[..], b"", b"\xff\xfe"] {
            assert_eq!(Message::of(bytes.to_vec()).bytes().unwrap(), bytes);
        }
        assert_eq!(Message::Base64("?".to_owned()).bytes(), None);
    }
}
