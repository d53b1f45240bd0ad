//! What each change would meet: base at build, target, disk now, compared by hash.

use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// What is there with the change brought into it, where the two do not touch.
    pub(super) merged: Option<Vec<u8>>,
    /// Where the content and the facts of an undone change are kept.
    pub(super) kept: Option<Kept>,
}

/// An original that an apply keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The apply.
    pub(super) apply: String,
    /// The number of its path.
    pub(super) number: i64,
}

impl Classified {
    /// A change that nothing is known of yet.
    pub(super) fn unseen(change: &Change) -> Self {
        Self {
            change: change.clone(),
            class: Class::Clean,
            disk_hash: None,
            stamp: None,
            merged: None,
            kept: None,
        }
    }

    /// Whether the file and the change can be merged ([`super::offer_merges`] was asked).
    pub fn can_merge(&self) -> bool {
        self.merged.is_some()
    }

    /// Whether the file is to become a program that it is not, or is new as one.
    pub fn becomes_program(&self) -> bool {
        let is_one = self.stamp.is_some_and(|stamp| stamp.is_program());
        self.change.executable == Some(true) && !is_one && self.change.target_hash.is_some()
    }

    /// Whether nothing of it changes but whether it is a program.
    pub(super) fn is_mode_only(&self) -> bool {
        self.class != Class::Already
            && self.change.target_hash.is_some()
            && self.disk_hash == self.change.target_hash
    }
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
    let mut all = changes
        .iter()
        .map(|change| {
            look.at(change)
                .with_context(|| format!("looking at {}", change.path))
        })
        .collect::<Result<Vec<_>>>()?;
    refuse_clashes(&mut all);
    Ok(all)
}

/// Refuses both of two changes of which one needs a directory where the other has, or leaves, a
/// file: neither can be taken back without the other.
fn refuse_clashes(all: &mut [Classified]) {
    let mut clashes: BTreeMap<usize, String> = BTreeMap::new();
    let at: HashMap<&str, usize> = all
        .iter()
        .enumerate()
        .filter(|(_, one)| one.class != Class::Already)
        .map(|(index, one)| (one.change.path.as_str(), index))
        .collect();
    for (index, below) in all.iter().enumerate() {
        if below.class == Class::Already {
            continue;
        }
        let path = below.change.path.as_str();
        for (end, _) in path.match_indices('/') {
            if let Some(above) = at.get(&path[..end]) {
                let why = format!("is to be a directory for \"{path}\"; apply them one by one");
                clashes.insert(*above, why);
                let why = format!("is below \"{}\", which is a change too", &path[..end]);
                clashes.insert(index, why);
            }
        }
    }
    drop(at);
    for (index, why) in clashes {
        all[index].class = Class::Refused(why);
    }
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
        let mut classified = Classified::unseen(change);
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
        if let Content::File { hash, .. } = content {
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
    let is_program = match disk {
        Content::File { is_program, .. } => Some(*is_program),
        Content::Absent | Content::Other => None,
    };
    let has_bit = change.executable.is_none() || change.executable == is_program;
    match disk {
        _ if disk.is(target) && (has_bit || target.is_none()) => Class::Already,
        _ if disk.is(base) || disk.is(target) => Class::Clean,
        Content::Other => Class::TypeChanged,
        Content::Absent => Class::Missing,
        Content::File { .. } if base.is_none() => Class::Exists,
        Content::File { .. } => Class::Drifted,
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
