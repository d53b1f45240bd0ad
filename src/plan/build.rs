//! Edits into new file contents, file by file: what fits becomes pending, what does not is
//! reported with the closest place, and neither disturbs the other.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::edits::{self, Edit, EditFailure, PathMatch, Reason};
use super::outcome::Outcome;
use crate::platform::cancel::Cancel;
use crate::platform::digest;
use crate::platform::snapshot::{Tree, Unread};
use crate::project::Turn;
use crate::repo::PlanRepo;
use crate::store::branches::Branch;
use crate::store::changes::{self, Change};
use crate::store::contexts;

/// A file that was built and is pending now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltFile {
    /// The path in the project.
    pub path: String,
    /// What is done to it.
    pub op: Op,
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
    /// The loosest match tier that was needed.
    pub tier: edits::Tier,
    /// What a person should be told.
    pub warnings: Vec<edits::BuildWarning>,
    /// Whether tools run this file by themselves (HAZARDS.md H15).
    pub auto_run: bool,
}

/// What a build does to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// There was none.
    Add,
    /// Its content changes.
    Update,
    /// It goes.
    Delete,
    /// It has that very content already, and nothing is pending.
    Unchanged,
}

/// A file that could not be built: none of its edits is pending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedFile {
    /// The path as the reply gave it.
    pub path: String,
    /// Each edit that did not fit.
    pub failures: Vec<EditFailure>,
}

/// The edits of one reply, to be built now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The reply.
    pub(super) message_id: String,
    /// Its edits in their order.
    pub(super) edits: Vec<Edit>,
}

/// The state of the branch that edits are built on.
pub(super) struct Ground {
    pub(super) pending: Vec<Change>,
    contexts: Vec<contexts::Context>,
}

/// The project's files, to be read only.
struct Disk {
    tree: Tree,
    /// Never set: a build that has begun is finished, also by a run that was stopped.
    never: Cancel,
}

/// How long a file that somebody is writing to is waited for.
const BUSY_FILE: Duration = Duration::from_secs(10);

/// The content that a path's edits are built on, and the hash of what is on the disk.
pub(super) struct Base {
    pub(super) content: Option<Vec<u8>>,
    pub(super) hash: Option<String>,
    pub(super) stale: bool,
}

/// Builds all files that the edits of `dues` touch, each reply on top of those before it. Only a
/// failure to read the plan is an error here.
pub(super) fn build(
    turn: &Turn<'_>,
    branch: &Branch,
    stream_id: &str,
    dues: &[Due],
) -> Result<Outcome> {
    let ground = turn.project.store.read(|tx| {
        Ok(Ground {
            pending: changes::pending(tx, &branch.id)?,
            contexts: contexts::of_branch(tx, &branch.id)?,
        })
    })?;
    let repo = turn.repo()?;
    let tree = Tree::open(&turn.project.root)
        .with_context(|| format!("opening {}", turn.project.root.display()))?;
    let disk = Disk {
        tree,
        never: Cancel::new()?,
    };
    let mut outcome = Outcome::new(&branch.id, stream_id);
    for due in dues {
        for (path, edits) in by_path(&turn.project.root, &ground, &due.edits) {
            let edits: Vec<Edit> = edits.into_iter().cloned().collect();
            let base = match path {
                Ok(path) => match outcome.base(&path) {
                    Some(base) => Ok((path, base)),
                    None => base_of(&disk, &repo, &ground, &path).map(|base| (path, base)),
                },
                Err(reason) => Err(Unbuilt::Refused(reason)),
            };
            let reply = &due.message_id;
            match base {
                Ok((path, base)) => outcome.build(reply, &ground, path, &base, &edits)?,
                Err(Unbuilt::Refused(reason)) => outcome.fail(reply, refuse(&edits, reason)),
                Err(Unbuilt::Failed(error)) => return Err(error),
            }
        }
    }
    Ok(outcome)
}

/// The edits of each path in the order of the reply; a label that means no one file is an error.
fn by_path<'e>(
    project: &Path,
    ground: &Ground,
    edits: &'e [Edit],
) -> Vec<(Result<String, Reason>, Vec<&'e Edit>)> {
    let known: Vec<&str> = ground
        .contexts
        .iter()
        .filter_map(|entry| entry.path.as_deref())
        .chain(ground.pending.iter().map(|change| change.path.as_str()))
        .collect();
    let mut paths: BTreeMap<String, (Result<String, Reason>, Vec<&Edit>)> = BTreeMap::new();
    for edit in edits {
        // A bare name that is there at the root means that file.
        let is_there = !edit.path.contains('/') && project.join(&edit.path).is_file();
        let here = is_there.then_some(edit.path.as_str());
        let known: Vec<&str> = known.iter().copied().chain(here).collect();
        let resolved = match edits::resolve_path(&edit.path, &known) {
            PathMatch::File(path) if edits::check_path(&path).is_err() => Err(Reason::UnsafePath),
            PathMatch::File(path) => Ok(path),
            PathMatch::Several(_) => Err(Reason::Ambiguous),
        };
        let key = resolved.clone().unwrap_or_else(|_| edit.path.clone());
        paths
            .entry(key)
            .or_insert_with(|| (resolved, Vec::new()))
            .1
            .push(edit);
    }
    paths.into_values().collect()
}

/// Why there is no content to build on.
enum Unbuilt {
    /// The path's own fault, which fails its file.
    Refused(Reason),
    /// The system's, which fails the run.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Unbuilt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads one version of a file; `None` if there is none. One that somebody is writing to (another
/// plan's apply, an editor) is tried for as long as [`BUSY_FILE`].
fn read(disk: &Disk, path: &str) -> Result<Option<Vec<u8>>, Unbuilt> {
    let until = Instant::now() + BUSY_FILE;
    loop {
        let limit = edits::FILE_BYTES_MAX as u64;
        return match disk.tree.read(Path::new(path), limit, &disk.never) {
            Ok(version) => Ok(Some(version.bytes)),
            Err(Unread::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(Unread::TooLarge { .. }) => Err(Unbuilt::Refused(Reason::TooLarge)),
            Err(Unread::Changing) if Instant::now() < until => continue,
            // A link out of the project or a special file: not ours to change.
            Err(Unread::NotAFile(_)) => Err(Unbuilt::Refused(Reason::UnsafePath)),
            Err(Unread::Io(error)) if leads_astray(&error) => {
                Err(Unbuilt::Refused(Reason::UnsafePath))
            }
            Err(error) => Err(anyhow::Error::from(error)
                .context(format!("reading {path}"))
                .into()),
        };
    }
}

/// A path that goes through a link, out of the project, or through what is no directory.
fn leads_astray(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotADirectory | ErrorKind::CrossesDevices | ErrorKind::PermissionDenied
    ) || error.to_string().contains("symbolic link")
}

/// What `path`'s edits are built on: an earlier pending change if there is one, else the disk.
fn base_of(disk: &Disk, repo: &PlanRepo, ground: &Ground, path: &str) -> Result<Base, Unbuilt> {
    if let Some(change) = ground.pending.iter().find(|change| change.path == path) {
        let content = match &change.blob {
            Some(blob) => Some(repo.blob(blob)?),
            None => None,
        };
        return Ok(Base {
            content,
            hash: change.base_hash.clone(),
            stale: false,
        });
    }
    let content = read(disk, path)?;
    let hash = content.as_deref().map(digest::sha256_hex);
    let stale = ground
        .contexts
        .iter()
        .any(|entry| entry.path.as_deref() == Some(path) && Some(&entry.hash) != hash.as_ref());
    Ok(Base {
        content,
        hash,
        stale,
    })
}

fn refuse(edits: &[Edit], reason: Reason) -> FailedFile {
    let path = edits
        .first()
        .map(|edit| edit.path.clone())
        .unwrap_or_default();
    let failures = edits
        .iter()
        .enumerate()
        .map(|(index, edit)| EditFailure {
            path: edit.path.clone(),
            edit: index + 1,
            of: edits.len(),
            format: edit.format,
            reason,
            searched_lines: Vec::new(),
            closest: None,
            candidates: Vec::new(),
            stale: false,
            tiers_tried: Vec::new(),
            note: None,
        })
        .collect();
    FailedFile { path, failures }
}
