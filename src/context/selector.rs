//! Which entries the words of a command line mean: a name, a number, a range, a pattern, a directory.

use std::collections::BTreeMap;

use anyhow::Result;
use ignore::gitignore::GitignoreBuilder;

use crate::store::ReadTx;
use crate::store::contexts::{self, Context};

/// Why words mean no entries.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing is called so, or lies there.
    #[error("nothing that is loaded fits {}", .0.join(", "))]
    Nothing(Vec<String>),
    /// A number beyond the last entry.
    #[error("there is no number {number}; {}", match .last {
        0 => "nothing is loaded".to_owned(),
        last => format!("the last one is {last}"),
    })]
    NoNumber {
        /// As it was given.
        number: String,
        /// How many entries there are.
        last: usize,
    },
    /// A range that ends before it begins.
    #[error("{0} ends before it begins")]
    Backwards(String),
}

/// The entries of a branch that `words` mean, as [`select`] finds them; where each word is the name
/// of one, without a look at the others.
pub fn chosen(
    tx: &ReadTx<'_>,
    branch_id: &str,
    words: &[String],
    below: &str,
) -> Result<Vec<Context>> {
    let mut named = BTreeMap::new();
    for word in words {
        let path = from_root(word, below).filter(|path| !path.is_empty());
        let found = contexts::named(tx, branch_id, word, path.as_deref())?;
        if found.is_empty() {
            let entries = contexts::of_branch(tx, branch_id)?;
            let places = select(&entries, words, below)?;
            return Ok(places.into_iter().map(|at| entries[at].clone()).collect());
        }
        let keyed = |entry: Context| ((entry.created_at, entry.id.clone()), entry);
        named.extend(found.into_iter().map(keyed));
    }
    Ok(named.into_values().collect())
}

/// The places in `entries` (from 0, sorted, each once) that `words` mean. `below` is the directory
/// that names may be relative to, itself relative to the root ("" for the root).
///
/// A word is, the first that fits: the name of an entry; a number from 1; a range `2-5`, `2-` or
/// `-5`; a directory, for all that lies in it; a pattern (`*` stays within a directory, `**` does
/// not). Every word must fit something.
pub fn select(
    entries: &[Context],
    words: &[String],
    below: &str,
) -> Result<Vec<usize>, SelectorError> {
    let mut chosen = vec![false; entries.len()];
    let mut nothing = Vec::new();
    for word in words {
        let places = of_word(entries, word, below)?;
        if places.is_empty() {
            nothing.push(word.clone());
        }
        for place in places {
            chosen[place] = true;
        }
    }
    if !nothing.is_empty() {
        return Err(SelectorError::Nothing(nothing));
    }
    Ok((0..entries.len()).filter(|place| chosen[*place]).collect())
}

fn of_word(entries: &[Context], word: &str, below: &str) -> Result<Vec<usize>, SelectorError> {
    let fitting = |fits: &dyn Fn(&Context) -> bool| -> Vec<usize> {
        let places = entries.iter().enumerate();
        let places = places.filter(|(_, entry)| fits(entry));
        places.map(|(place, _)| place).collect()
    };
    let path = from_root(word, below);
    let is_path = |entry: &Context| match (&entry.path, &path) {
        (Some(its), Some(path)) => its == path && !path.is_empty(),
        _ => false,
    };
    let named = fitting(&|entry| entry.name == word || is_path(entry));
    if !named.is_empty() {
        return Ok(named);
    }
    if let Some(places) = numbers(word, entries.len())? {
        return Ok(places);
    }
    let Some(path) = path.filter(|_| !word.is_empty()) else {
        return Ok(Vec::new());
    };
    let within = match path.as_str() {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let inside = fitting(&|entry| {
        let path = entry.path.as_deref();
        path.is_some_and(|path| path.starts_with(&within))
    });
    if !inside.is_empty() {
        return Ok(inside);
    }
    let Some(matcher) = matcher(&path) else {
        return Ok(Vec::new());
    };
    Ok(fitting(&|entry| {
        let name = entry.path.as_deref().unwrap_or(&entry.name);
        matcher.matched(name, false).is_ignore()
    }))
}

/// `word` as a path from the root; `None` if it leads out of it.
fn from_root(word: &str, below: &str) -> Option<String> {
    let mut parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The places of a number or a range; `None` if `word` is neither.
fn numbers(word: &str, count: usize) -> Result<Option<Vec<usize>>, SelectorError> {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let place = |text: &str, otherwise: usize| match text {
        "" => Ok(otherwise),
        text => match text.parse() {
            Ok(number) if (1..=count).contains(&number) => Ok(number),
            _ => Err(SelectorError::NoNumber {
                number: text.to_owned(),
                last: count,
            }),
        },
    };
    let (from, to) = match word.split_once('-') {
        _ if word.is_empty() || word == "-" => return Ok(None),
        Some((from, to)) if is_number(from) && is_number(to) => {
            (place(from, 1)?, place(to, count)?)
        }
        None if is_number(word) => (place(word, 1)?, place(word, 1)?),
        _ => return Ok(None),
    };
    if from > to {
        return Err(SelectorError::Backwards(word.to_owned()));
    }
    Ok(Some((from - 1..to).collect()))
}

fn matcher(pattern: &str) -> Option<ignore::gitignore::Gitignore> {
    if !pattern.contains(['*', '?', '[', '{']) {
        return None;
    }
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    // The '/' ties it to the root, and keeps '!' and '#' from meaning anything.
    builder.add_line(None, &format!("/{pattern}")).ok()?;
    builder.build().ok()
}
