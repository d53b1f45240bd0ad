//! What each change would meet: base at build, target, disk now, compared by hash.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::content::{self, Content};
use super::{is_of_one_path, words};
use crate::platform::root::{Descent, Entry, Kernel, Root, Spot, Stamp, split};
use crate::store::changes::Change;

/// What stands where a change is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// What the change was built on.
    Clean,
    /// The new content already.
    Already,
    /// Another content.
    Drifted,
    /// Nothing, though the change was built on a file.
    Missing,
    /// A file, though it was to be new.
    Exists,
    /// A directory or a symbolic link.
    TypeChanged,
    /// The path is not written, whatever is decided: hostile, behind a link, special, hard-linked,
    /// a case twin; which of it, as a fragment that follows the path.
    Refused(String),
}

impl Class {
    /// The class as a fragment that follows the path.
    pub fn words(&self) -> &str {
        match self {
            Self::Clean => "is as it was",
            Self::Already => "has the new content already",
            Self::Drifted => "was modified since last read",
            Self::Missing => "is gone",
            Self::Exists => "exists, though it was to be new",
            Self::TypeChanged => "is not a regular file any more",
            Self::Refused(why) => why,
        }
    }
}

/// A change with what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The change.
    pub change: Change,
    /// What it would meet.
    pub class: Class,
    /// SHA-256 of what is there; `None` for nothing, or no regular file.
    pub disk_hash: Option<String>,
    /// The facts of that file, by which a later look sees whether it was touched.
    pub(super) stamp: Option<Stamp>,
}

/// Classifies `changes` against the files below `root`; `state` is the project's state directory,
/// wherever it is. Reads every file named once, writes nothing, and needs no lock.
///
/// Fails only where nothing can be said of any path: the root cannot be opened, a disk error.
pub fn classify(root: &Path, state: &Path, changes: &[Change]) -> Result<Vec<Classified>> {
    let opened =
        Root::open(root, Kernel::Current).with_context(|| format!("opening {}", root.display()))?;
    let mut look = Look {
        root: &opened,
        state: state_below(root, state)?,
        seen: HashSet::new(),
        names: HashMap::new(),
    };
    changes
        .iter()
        .map(|change| {
            look.at(change)
                .with_context(|| format!("looking at {}", change.path))
        })
        .collect()
}

/// The state directory's path below the root, folded, if it is there: it has another name than
/// `.plandex` where PLANDEX_DIR says so.
fn state_below(root: &Path, state: &Path) -> Result<Option<String>> {
    let real = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("resolving {}", path.display()))
    };
    let (root, state) = (real(root)?, real(state)?);
    Ok(state
        .strip_prefix(&root)
        .ok()
        .and_then(Path::to_str)
        .map(fold))
}

struct Look<'r> {
    root: &'r Root,
    state: Option<String>,
    seen: HashSet<String>,
    /// By directory: the names in it, those that other changes will make among them, by their
    /// folded form.
    names: HashMap<String, HashMap<String, String>>,
}

impl Look<'_> {
    fn at(&mut self, change: &Change) -> io::Result<Classified> {
        let mut classified = Classified {
            change: change.clone(),
            class: Class::Clean,
            disk_hash: None,
            stamp: None,
        };
        if let Some(why) = self.refusal_by_name(&change.path) {
            classified.class = Class::Refused(why);
            return Ok(classified);
        }
        match self.on_disk(&mut classified) {
            Err(error) if is_of_one_path(&error) => {
                classified.class = Class::Refused(format!("cannot be read: {}", words(&error)));
            }
            other => other?,
        }
        Ok(classified)
    }

    fn refusal_by_name(&mut self, path: &str) -> Option<String> {
        if !self.seen.insert(path.to_owned()) {
            return Some("is named by two changes".to_owned());
        }
        let folded = fold(path);
        let is_below = |dir: &String| {
            folded == *dir
                || folded
                    .strip_prefix(dir.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        let is_state = self.state.as_ref().is_some_and(is_below);
        is_state.then(|| "is in plandex's own directory".to_owned())
    }

    fn on_disk(&mut self, classified: &mut Classified) -> io::Result<()> {
        let change = &classified.change;
        let (content, stamp) = match self.root.spot(&change.path)? {
            Descent::Open(spot) => read_unless_special(&spot)?,
            Descent::Missing => (Seen::Content(Content::Absent), None),
            Descent::Refused(why) => (Seen::Refused(why), None),
        };
        let content = match content {
            Seen::Content(content) => content,
            Seen::Refused(why) => {
                classified.class = Class::Refused(format!("is refused: {why}"));
                return Ok(());
            }
        };
        classified.class = class_of(change, &content);
        classified.stamp = stamp;
        if let Content::File(hash) = content {
            classified.disk_hash = Some(hash);
        }
        if classified.class == Class::Already {
            return Ok(());
        }
        if let Some(stamp) = stamp
            && stamp.links > 1
        {
            classified.class = Class::Refused(format!(
                "has {} names (hard links), and a new content would part it from the others",
                stamp.links
            ));
        }
        if classified.disk_hash.is_none()
            && change.target_hash.is_some()
            && let Some(twin) = self.twin(&classified.change.path)?
        {
            classified.class = Class::Refused(format!(
                "differs only by case from \"{twin}\", which exists"
            ));
        }
        Ok(())
    }

    /// A name beside one that `path` would make, file or directory, that differs from it only by
    /// case: on some file systems the two would be one. Notes the names that it would make.
    fn twin(&mut self, path: &str) -> io::Result<Option<String>> {
        let existing = self.root.existing_parents(path)?;
        let mut starts: Vec<usize> = vec![0];
        starts.extend(path.match_indices('/').map(|(at, _)| at + 1));
        for (depth, start) in starts.iter().enumerate().skip(existing) {
            let dir = path[..*start].trim_end_matches('/');
            let name = path[*start..].split('/').next().unwrap_or_default();
            if !self.names.contains_key(dir) {
                let names = match (depth == existing, self.root.dir(dir)?) {
                    (true, Descent::Open(opened)) => opened.names()?,
                    _ => Vec::new(),
                };
                let folded = names.into_iter().map(|name| (fold(&name), name)).collect();
                self.names.insert(dir.to_owned(), folded);
            }
            let Some(names) = self.names.get_mut(dir) else {
                continue;
            };
            let have = names.entry(fold(name)).or_insert_with(|| name.to_owned());
            if have != name {
                let (prefix, slash) = if dir.is_empty() { ("", "") } else { (dir, "/") };
                return Ok(Some(format!("{prefix}{slash}{have}")));
            }
        }
        Ok(None)
    }
}

enum Seen {
    Content(Content),
    Refused(String),
}

fn read_unless_special(spot: &Spot) -> io::Result<(Seen, Option<Stamp>)> {
    if spot.look()? == Entry::Special {
        let why = "it is a device, a socket or a pipe".to_owned();
        return Ok((Seen::Refused(why), None));
    }
    let (content, stamp) = content::read(spot)?;
    Ok((Seen::Content(content), stamp))
}

fn class_of(change: &Change, disk: &Content) -> Class {
    let (base, target) = (change.base_hash.as_deref(), change.target_hash.as_deref());
    match disk {
        _ if disk.is(target) => Class::Already,
        _ if disk.is(base) => Class::Clean,
        Content::Other => Class::TypeChanged,
        Content::Absent => Class::Missing,
        Content::File(_) if base.is_none() => Class::Exists,
        Content::File(_) => Class::Drifted,
    }
}

/// The form in which names that differ only by case are equal.
fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// The directory of `path`, "" for the root.
pub(super) fn parent(path: &str) -> &str {
    split(path).0
}
