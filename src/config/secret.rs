//! A key: what must reach its endpoint and nothing else.

use std::fmt;

/// A key, whose `Debug` and `Display` say `[hidden]`. It is never serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a key; blanks around it, which a file or a shell often adds, are no part of it.
    /// `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The key itself: for the request's header, and for taking it out of texts.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_by_nothing() {
        let key = Secret::new(" canary-key\n").unwrap();
        assert_eq!(key.expose(), "canary-key");
        let shown = format!("{key} {key:?} {:?} {:#?}", Some(&key), [&key]);
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(Secret::new(" \n"), None);
    }
}
