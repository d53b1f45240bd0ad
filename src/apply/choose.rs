//! Which of the pending changes are meant: by name, by directory, by pattern. Pure.

use std::collections::BTreeSet;

use crate::store::changes::{self, Change};

/// A word that means none of the changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{word}\" is no pending file{}", listed(.pending))]
pub struct Unknown {
    /// The word.
    pub word: String,
    /// The paths that are pending.
    pub pending: Vec<String>,
}

fn listed(pending: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<&str> = pending.iter().take(SHOWN).map(String::as_str).collect();
    match (pending.len(), shown.join(", ")) {
        (0, _) => "; none is pending".to_owned(),
        (count, list) if count > SHOWN => format!("; pending: {list}, and {} more", count - SHOWN),
        (_, list) => format!("; pending: {list}"),
    }
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The changes.
    pub changes: Vec<Change>,
    /// The paths among them that nobody named: the other halves of moved files.
    pub pulled_in: Vec<String>,
}

/// The changes that `words` mean, all of them for no word at all. A word is the path of a file, of
/// a directory with all below it, or a pattern (`*` and `?` within a name, `**` across them, and
/// `[…]`), from the project's root; `below` ("" for the root) is where a person stands, and tried
/// first.
///
/// A file that is moved is two changes: who names one of them means both. Fails with the first word
/// that means nothing.
pub fn choose(pending: Vec<Change>, words: &[String], below: &str) -> Result<Chosen, Unknown> {
    if words.is_empty() {
        return Ok(Chosen {
            changes: pending,
            pulled_in: Vec::new(),
        });
    }
    let mut named: BTreeSet<usize> = BTreeSet::new();
    for word in words {
        let found = meant(&pending, word, below);
        if found.is_empty() {
            return Err(Unknown {
                word: word.clone(),
                pending: pending.into_iter().map(|change| change.path).collect(),
            });
        }
        named.extend(found);
    }
    let names = named.iter().map(|at| pending[*at].path.as_str());
    let tied = changes::tied_by_moves(&pending, names);
    let is_pulled_in =
        |(at, one): &(usize, &Change)| tied.contains(&one.path) && !named.contains(at);
    let pulled_in = pending.iter().enumerate().filter(is_pulled_in);
    let pulled_in = pulled_in.map(|(_, one)| one.path.clone()).collect();
    let mut changes = pending;
    changes.retain(|change| tied.contains(&change.path));
    Ok(Chosen { changes, pulled_in })
}

fn meant(pending: &[Change], word: &str, below: &str) -> Vec<usize> {
    let word = word.strip_prefix("./").unwrap_or(word);
    let word = if word == "." {
        ""
    } else {
        word.trim_end_matches('/')
    };
    let here = match (below, word) {
        ("", _) => None,
        (_, "") => Some(below.to_owned()),
        _ => resolved(below, word),
    };
    for path in here.iter().map(String::as_str).chain([word]) {
        let is_meant = |change: &Change| {
            let name = change.path.as_str();
            let is_below = name
                .strip_prefix(path)
                .is_some_and(|rest| path.is_empty() || rest.starts_with('/'));
            name == path || is_below
        };
        let found = places(pending, is_meant);
        if !found.is_empty() {
            return found;
        }
        let found = places(pending, |change| {
            matches(path.as_bytes(), change.path.as_bytes())
        });
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// `word` seen from `below`, with `..` taken; `None` for one that leads out of the project.
fn resolved(below: &str, word: &str) -> Option<String> {
    let mut parts: Vec<&str> = below.split('/').collect();
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn places(pending: &[Change], is_meant: impl Fn(&Change) -> bool) -> Vec<usize> {
    let found = pending.iter().enumerate().filter(|(_, one)| is_meant(one));
    found.map(|(at, _)| at).collect()
}

/// Whether `path` fits `pattern`. Takes at most as many steps as the two lengths multiplied.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    // By place in the path: whether the pattern so far can end there.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        let mut next = vec![false; path.len() + 1];
        match (first, after) {
            (b'*', [b'*', b'/', after @ ..]) => {
                // Any directories, or none.
                let mut is_open = false;
                for at in 0..=path.len() {
                    let is_start = at == 0 || path[at - 1] == b'/';
                    is_open |= ends[at];
                    next[at] = ends[at] || (is_open && is_start);
                }
                rest = after;
            }
            (b'*', [b'*', after @ ..]) => {
                let mut is_open = false;
                for at in 0..=path.len() {
                    is_open |= ends[at];
                    next[at] = is_open;
                }
                rest = after;
            }
            (b'*', after) => {
                let mut is_open = false;
                for at in 0..=path.len() {
                    is_open = ends[at] || (is_open && at > 0 && path[at - 1] != b'/');
                    next[at] = is_open;
                }
                rest = after;
            }
            (first, after) => {
                let (one, after) = One::read(*first, after);
                for at in 0..path.len() {
                    next[at + 1] = ends[at] && one.fits(path[at]);
                }
                rest = after;
            }
        }
        ends = next;
    }
    ends[path.len()]
}

/// What one byte of a path is to be.
enum One<'p> {
    /// `?`
    Any,
    /// `[…]`, without the brackets.
    Of(&'p [u8]),
    /// Itself.
    Byte(u8),
}

impl<'p> One<'p> {
    fn read(first: u8, after: &'p [u8]) -> (Self, &'p [u8]) {
        if first == b'?' {
            return (Self::Any, after);
        }
        // A bracket that closes at once stands for itself.
        let end = after.iter().skip(1).position(|byte| *byte == b']');
        match (first, end) {
            (b'[', Some(end)) => (Self::Of(&after[..=end]), &after[end + 2..]),
            _ => (Self::Byte(first), after),
        }
    }

    fn fits(&self, byte: u8) -> bool {
        match self {
            Self::Any => byte != b'/',
            Self::Byte(one) => *one == byte,
            Self::Of(set) => {
                let (is_not, set) = match set.split_first() {
                    Some((b'!' | b'^', rest)) => (true, rest),
                    _ => (false, *set),
                };
                let mut is_in = false;
                let mut rest = set;
                while let Some((low, after)) = rest.split_first() {
                    rest = match after {
                        [b'-', high, after @ ..] => {
                            is_in |= (*low..=*high).contains(&byte);
                            after
                        }
                        _ => {
                            is_in |= *low == byte;
                            after
                        }
                    };
                }
                byte != b'/' && is_in != is_not
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, from: Option<&str>, target: Option<&str>) -> Change {
        Change {
            id: path.to_owned(),
            branch_id: String::new(),
            message_id: String::new(),
            path: path.to_owned(),
            base_hash: None,
            base_blob: None,
            blob: None,
            target_hash: target.map(str::to_owned),
            executable: None,
            moved_from: from.map(str::to_owned),
            added: 0,
            removed: 0,
            notes: String::new(),
            created_at: 0,
        }
    }

    fn pending() -> Vec<Change> {
        let some = Some("t");
        vec![
            change("-rf", None, some),
            change("a [1].txt", None, some),
            change("docs/old.md", None, None),
            change("new.md", Some("docs/old.md"), some),
            change("src/a.rs", None, some),
            change("src/deep/b.rs", None, some),
            change("src/lib.rs", None, some),
        ]
    }

    fn chosen(words: &[&str], below: &str) -> Result<(String, String), String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let chosen = choose(pending(), &words, below).map_err(|unknown| unknown.to_string())?;
        let paths: Vec<String> = chosen.changes.into_iter().map(|one| one.path).collect();
        Ok((paths.join(" "), chosen.pulled_in.join(" ")))
    }

    #[test]
    fn words_mean_files_directories_and_patterns() {
        for (words, below, expected) in [
            (&["src/a.rs"][..], "", "src/a.rs"),
            (&["./src/a.rs", "src/a.rs"], "", "src/a.rs"),
            (&["a.rs"], "src", "src/a.rs"),
            (&["../-rf"], "src", "-rf"),
            (&["src/a.rs"], "src", "src/a.rs"),
            (&["src"], "", "src/a.rs src/deep/b.rs src/lib.rs"),
            (&["src/"], "", "src/a.rs src/deep/b.rs src/lib.rs"),
            (&["."], "src/deep", "src/deep/b.rs"),
            (&["*.rs"], "src", "src/a.rs src/lib.rs"),
            (&["src/*"], "", "src/a.rs src/lib.rs"),
            (&["**/*.rs"], "", "src/a.rs src/deep/b.rs src/lib.rs"),
            (&["src/**"], "", "src/a.rs src/deep/b.rs src/lib.rs"),
            (&["src/?.rs"], "", "src/a.rs"),
            (&["src/[a-c].rs"], "", "src/a.rs"),
            (&["src/[!a].rs", "-rf"], "", ""),
            (&["a [1].txt"], "", "a [1].txt"),
            (&["-rf"], "", "-rf"),
        ] {
            match chosen(words, below) {
                Ok((paths, _)) => assert_eq!(paths, expected, "{words:?} in {below:?}"),
                Err(error) => assert_eq!("", expected, "{words:?} in {below:?}: {error}"),
            }
        }
    }

    #[test]
    fn half_of_a_moved_file_pulls_the_other_in() {
        for half in ["docs/old.md", "new.md", "docs", "*.md"] {
            let (paths, pulled_in) = chosen(&[half], "").unwrap();
            assert_eq!(paths, "docs/old.md new.md", "{half}");
            assert_eq!(pulled_in.split(' ').count(), 1, "{half}");
        }
        assert_eq!(chosen(&["new.md", "docs"], "").unwrap().1, "");
    }

    #[test]
    fn a_word_that_means_nothing_is_named_with_what_is_pending() {
        let error = chosen(&["src/a.rs", "src/x.rs"], "").unwrap_err();
        assert!(
            error.starts_with("\"src/x.rs\" is no pending file; pending: -rf,"),
            "{error}"
        );
        let none = choose(Vec::new(), &["x".to_owned()], "").unwrap_err();
        assert_eq!(
            none.to_string(),
            "\"x\" is no pending file; none is pending"
        );
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        let pattern = "*a".repeat(2000);
        assert!(!matches(pattern.as_bytes(), "a".repeat(1999).as_bytes()));
        assert!(matches(pattern.as_bytes(), "a".repeat(2000).as_bytes()));
    }
}
