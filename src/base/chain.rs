//! Prints an error with its sources on one line: each error's message states its own level only.

use std::error::Error;
use std::fmt;

/// Displays `error: source: source of the source`, leaving out what a level above already said.
pub fn chain<E: Error + ?Sized>(error: &E) -> Chain<'_, E> {
    Chain(error)
}

/// See [`chain`].
#[derive(Debug)]
pub struct Chain<'a, E: ?Sized>(&'a E);

impl<E: Error + ?Sized> fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        write!(f, "{said}")?;
        let mut cause = self.0.source();
        while let Some(e) = cause {
            let text = e.to_string();
            // A full stop, or what a level above has put in its place, makes no new sentence.
            let text = text.trim_end_matches(['.', ' ', '\n']);
            if !said.contains(text) {
                write!(f, ": {text}")?;
                said.push_str(text);
            }
            cause = e.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::chain;

    #[derive(Debug, Error)]
    #[error("{0}")]
    struct Level(&'static str, #[source] Option<Box<Level>>);

    #[test]
    fn nothing_is_said_twice() {
        let level = |text, below: Option<Level>| Level(text, below.map(Box::new));
        let deep = level("no answer", Some(level("reset by peer.", None)));
        let top = level("h:1: no answer; look there", Some(deep));
        assert_eq!(chain(&top).to_string(), "h:1: no answer; look there: reset by peer");
        let same = level("reset by peer; look there", Some(level("reset by peer.", None)));
        assert_eq!(chain(&same).to_string(), "reset by peer; look there");
    }
}
