//! Looking keys up.

use super::{Key, Scope, Status, callback, channel, later, place, policy, process};

/// All keys.
pub(crate) fn all() -> impl Iterator<Item = &'static Key> {
    [place::KEYS, callback::KEYS, process::KEYS, channel::KEYS, policy::KEYS, later::KEYS]
        .into_iter()
        .flatten()
}

/// The key of a scope by its name.
pub(crate) fn find(scope: Scope, name: &str) -> Option<&'static Key> {
    all().find(|key| key.name == name && key.is_in(scope))
}

/// A key by its name wherever it stands, for telling secrets from other values: where nothing is known about an object, a
/// `url` is taken for that of a channel, which is secret.
pub(crate) fn find_anywhere(name: &str) -> Option<&'static Key> {
    channel::KEYS.iter().chain(all()).find(|key| key.name == name)
}

/// The keys one may write in a scope.
pub(crate) fn usable(scope: Scope) -> impl Iterator<Item = &'static Key> {
    all().filter(move |key| key.is_in(scope) && key.status != Status::Later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_key_is_described_once_per_scope() {
        let mut seen = HashSet::new();
        for key in all() {
            for scope in key.scopes {
                assert!(seen.insert((key.name, *scope as u8)), "{} twice in {scope:?}", key.name);
            }
            assert!(!key.scopes.is_empty() && !key.en.is_empty() && !key.zh.is_empty(), "{}", key.name);
            assert!(key.en.ends_with('.') && key.zh.ends_with('。'), "{}", key.name);
        }
    }

    #[test]
    fn a_key_is_as_secret_everywhere() {
        for key in all() {
            let first = find_anywhere(key.name).unwrap();
            assert_eq!(first.kind.is_secret(), key.kind.is_secret(), "{}", key.name);
        }
    }
}
