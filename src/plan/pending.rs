//! The pending changes of a branch, as a person reads them, and their end without an apply.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use similar::{DiffTag, group_diff_ops};

use super::edits::FILE_BYTES_MAX;
use super::lines;
use super::patch::{self, Side};
use crate::platform::cancel::Cancel;
use crate::platform::digest;
use crate::platform::snapshot::{Tree, Unread};
use crate::project::{Project, Turn, tree};
use crate::repo::TreeChange;
use crate::store::branches::Branch;
use crate::store::changes::{self, Change, Ended};
use crate::store::tickets::WritePermit;

/// One pending change against the project's file as it is now.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// The change.
    pub change: Change,
    /// What `git apply` takes: from the file as it is now to the new content. Nothing for the old
    /// name of a file that is told of under its new one.
    pub patch: Vec<u8>,
    /// The path that the file is told to have had, if that is another one.
    pub renamed_from: Option<String>,
    /// Whether this is the old name of such a file.
    pub is_renamed_away: bool,
    /// Lines added and removed against the file as it is now; `None` for what is no text.
    pub lines: Option<(usize, usize)>,
    /// Whether the file is not (any more) what the change was built on.
    pub has_drifted: bool,
    /// Why the file as it is now cannot be compared; there is no patch then.
    pub problem: Option<String>,
    old: Option<Side>,
    new: Option<Side>,
}

/// A line of a file: its number from 1, and its text without its end.
pub type Numbered = (usize, String);

/// Two lines that stand beside each other; a side has none where the other was added or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// The line of the file as it is now.
    pub old: Option<Numbered>,
    /// The line of the new content.
    pub new: Option<Numbered>,
    /// Whether they are the same.
    pub is_same: bool,
}

impl FileDiff {
    /// The hunks as pairs of lines; none for what is no text.
    pub fn beside(&self) -> Vec<Vec<Beside>> {
        let content = |side: &Option<Side>| {
            let content = side.as_ref().map(|side| side.content.clone());
            content.unwrap_or_default()
        };
        let (old, new) = (content(&self.old), content(&self.new));
        if lines::is_binary(&old) || lines::is_binary(&new) {
            return Vec::new();
        }
        let (old, new) = (lines::split(&old), lines::split(&new));
        let numbered = |lines: &[&[u8]], at: usize| {
            let line = String::from_utf8_lossy(lines[at]);
            (at + 1, line.strip_suffix('\n').unwrap_or(&line).to_owned())
        };
        let hunk = |group: Vec<similar::DiffOp>| {
            let mut rows = Vec::new();
            for op in group {
                let (before, after) = (op.old_range(), op.new_range());
                for at in 0..before.len().max(after.len()) {
                    rows.push(Beside {
                        old: before.clone().nth(at).map(|at| numbered(&old, at)),
                        new: after.clone().nth(at).map(|at| numbered(&new, at)),
                        is_same: op.tag() == DiffTag::Equal,
                    });
                }
            }
            rows
        };
        let groups = group_diff_ops(lines::compare(&old, &new), 3);
        groups.into_iter().map(hunk).collect()
    }

    /// The name as a person reads it: both, if it gets another one.
    pub fn name(&self, arrow: &str) -> String {
        match &self.renamed_from {
            Some(from) => format!("{from} {arrow} {}", self.change.path),
            None => self.change.path.clone(),
        }
    }
}

/// The project's files as they are now.
struct Now<'p> {
    root: &'p Path,
    tree: Tree,
    cancel: Cancel,
}

impl Now<'_> {
    fn side(&self, path: &str) -> Result<Option<Side>, Unread> {
        let limit = FILE_BYTES_MAX as u64;
        match self.tree.read(Path::new(path), limit, &self.cancel) {
            Ok(version) => Ok(Some(Side {
                path: path.to_owned(),
                content: version.bytes,
                is_program: self.is_program(path),
            })),
            Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_program(&self, path: &str) -> bool {
        let meta = self.root.join(path).symlink_metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o100 != 0)
    }
}

type Sides = BTreeMap<String, Result<Option<Side>, Unread>>;

/// The pending changes of `branch` against the files of the project, by path.
pub fn diff(project: &Project, branch: &Branch) -> Result<Vec<FileDiff>> {
    let pending = project.store.read(|tx| changes::pending(tx, &branch.id))?;
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let repo = project.repo(&branch.plan_id)?;
    let now = Now {
        tree: Tree::open(&project.root)
            .with_context(|| format!("opening {}", project.root.display()))?,
        root: &project.root,
        cancel: Cancel::new()?,
    };
    let mut sides = Sides::new();
    for change in &pending {
        sides.insert(change.path.clone(), now.side(&change.path));
    }
    let renamed = renamed(&pending, &sides);
    let sources: BTreeSet<&String> = renamed.values().collect();
    let mut files = Vec::with_capacity(pending.len());
    for change in &pending {
        let content = change
            .blob
            .as_deref()
            .map(|blob| repo.blob(blob))
            .transpose()?;
        let from = renamed.get(&change.path);
        let is_away = content.is_none() && sources.contains(&change.path);
        let new = content.map(|content| Side {
            path: change.path.clone(),
            content,
            is_program: is_program(&now, change),
        });
        let old = &sides[from.unwrap_or(&change.path)];
        files.push(compare(change, &sides[&change.path], old, new, is_away)?);
    }
    Ok(files)
}

/// Whether a change leaves a program.
fn is_program(now: &Now<'_>, change: &Change) -> bool {
    let origin = change.moved_from.as_ref().unwrap_or(&change.path);
    change.executable.unwrap_or_else(|| now.is_program(origin))
}

/// The files that are told of as renamed, each with the name that it had. Git takes the name of a
/// file that is there only for one that goes elsewhere itself; any other is told of as two changes.
fn renamed(pending: &[Change], sides: &Sides) -> BTreeMap<String, String> {
    let is_there = |path: &String| matches!(sides.get(path), Some(Ok(Some(_))));
    let mut renamed: BTreeMap<String, String> = pending
        .iter()
        .filter(|change| change.blob.is_some())
        .filter_map(|change| Some((change.path.clone(), change.moved_from.clone()?)))
        .filter(|(_, from)| is_there(from))
        .collect();
    let goes: BTreeSet<&String> = pending
        .iter()
        .filter(|change| change.blob.is_none())
        .map(|change| &change.path)
        .collect();
    // Each round takes one out.
    loop {
        let is_source = |path: &String| renamed.values().any(|from| from == path);
        let stays = |(path, from): &(&String, &String)| {
            let is_free = !is_there(path) || is_source(path);
            !is_free || !(goes.contains(from) || renamed.contains_key(*from))
        };
        let Some((path, _)) = renamed.iter().find(stays) else {
            return renamed;
        };
        let path = path.clone();
        renamed.remove(&path);
    }
}

fn compare(
    change: &Change,
    there: &Result<Option<Side>, Unread>,
    old: &Result<Option<Side>, Unread>,
    new: Option<Side>,
    is_renamed_away: bool,
) -> Result<FileDiff> {
    let hash = |side: &Side| digest::sha256_hex(&side.content);
    let has_drifted = match there {
        Ok(side) => side.as_ref().map(hash) != change.base_hash,
        Err(_) => true,
    };
    // One path that is not a file any more does not hide the others.
    let problem = [there, old]
        .into_iter()
        .find_map(|side| side.as_ref().err());
    let old = old
        .as_ref()
        .ok()
        .cloned()
        .flatten()
        .filter(|_| problem.is_none());
    let is_hidden = is_renamed_away || problem.is_some();
    let patch = match is_hidden {
        true => Vec::new(),
        false => patch::patch(old.as_ref(), new.as_ref())?,
    };
    let content = |side: &Option<Side>| {
        let content = side.as_ref().map(|side| side.content.clone());
        content.unwrap_or_default()
    };
    let (before, after) = (content(&old), content(&new));
    let is_binary = lines::is_binary(&before) || lines::is_binary(&after);
    let lines = match is_hidden {
        true => (0, 0),
        false => lines::count(&before, &after),
    };
    let (old, new) = match is_hidden {
        true => (None, None),
        false => (old, new),
    };
    Ok(FileDiff {
        renamed_from: old
            .as_ref()
            .map(|old| old.path.clone())
            .filter(|path| *path != change.path),
        change: change.clone(),
        patch,
        is_renamed_away,
        lines: (!is_binary).then_some(lines),
        has_drifted,
        problem: problem.map(ToString::to_string),
        old,
        new,
    })
}

/// Ends the pending changes of `branch` that `is_meant` says as rejected, in one version; returns
/// them. Both sides of a move go together.
pub fn reject(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &str,
    is_meant: &dyn Fn(&Change) -> bool,
) -> Result<Vec<Change>> {
    let branch = turn.branch(branch)?;
    let pending = turn
        .project
        .store
        .read(|tx| changes::pending(tx, &branch.id))?;
    let meant = pending.iter().filter(|change| is_meant(change));
    let paths: Vec<String> = meant.map(|change| change.path.clone()).collect();
    let wanted = changes::tied_by_moves(&pending, paths.iter().map(String::as_str));
    let rejected: Vec<Change> = pending
        .into_iter()
        .filter(|change| wanted.contains(change.path.as_str()))
        .collect();
    if rejected.is_empty() {
        return Ok(rejected);
    }
    let files: Vec<TreeChange> = rejected.iter().flat_map(tree::without_pending).collect();
    let names: Vec<&str> = rejected.iter().map(|change| change.path.as_str()).collect();
    let noun = if names.len() == 1 {
        "change"
    } else {
        "changes"
    };
    let message = format!("Reject {} {noun}\n\n{}", names.len(), names.join("\n"));
    turn.advance(permit, &branch, &files, &message, |tx| {
        for change in &rejected {
            changes::end(tx, &branch.id, &change.id, Ended::Rejected)?;
        }
        Ok(())
    })?;
    Ok(rejected)
}
