//! The words of alerts, one file for each language.

mod en;
mod zh;

use crate::model::Event;

/// Everything that is said in a language.
pub(super) struct Words {
    /// What happens, in a few words.
    pub(super) what: fn(Event) -> &'static str,
    /// What that means, in a sentence or two.
    pub(super) means: fn(Event) -> &'static str,
    /// What it is like when it is over, in a sentence.
    pub(super) over: fn(Event) -> &'static str,
    /// So much of so much.
    pub(super) extent: fn(Event, u64, u64) -> String,
    /// A length of time.
    pub(super) length: fn(u64) -> String,
    pub(super) instance: &'static str,
    pub(super) task: &'static str,
    pub(super) destination: &'static str,
    pub(super) since: &'static str,
    pub(super) until: &'static str,
    pub(super) count: &'static str,
    pub(super) waiting: &'static str,
    pub(super) oldest: &'static str,
    pub(super) error: &'static str,
    pub(super) part: &'static str,
    pub(super) next: &'static str,
    pub(super) still: &'static str,
    pub(super) recovered: &'static str,
    /// Instead of `recovered`, of what is no longer configured; and what that means.
    pub(super) left: &'static str,
    pub(super) left_means: &'static str,
    /// Deliveries wait for a destination that is not in the configuration: in a few words, what that means, and its end.
    pub(super) stray: &'static str,
    pub(super) stray_means: &'static str,
    pub(super) stray_over: &'static str,
    pub(super) several: fn(usize, usize) -> String,
    pub(super) more: fn(usize) -> String,
    pub(super) colon: &'static str,
    pub(super) test_title: &'static str,
    pub(super) test_text: &'static str,
}

pub(super) use {en::WORDS as EN, zh::WORDS as ZH};
