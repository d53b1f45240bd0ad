//! Edits into new file contents, file by file: what fits becomes pending, what does not is
//! reported with the closest place, and neither disturbs the other.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::edits::{self, Edit, EditFailure, PathMatch, Reason};
use super::event::{Event, FileStatus};
use crate::platform::cancel::Cancel;
use crate::platform::snapshot::{Tree, Unread};
use crate::platform::{clock, digest};
use crate::project::{Turn, tree};
use crate::repo::{self, PlanRepo, TreeChange};
use crate::store::branches::Branch;
use crate::store::changes::{self, Build, Change};
use crate::store::contexts;
use crate::store::{WriteTx, new_id};

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

/// What became of all files of a reply.
pub(super) struct Outcome {
    branch_id: String,
    message_id: String,
    built: Vec<Pending>,
    unchanged: Vec<BuiltFile>,
    failed: Vec<FailedFile>,
}

/// A built file as it will be stored.
struct Pending {
    file: BuiltFile,
    change: Change,
    content: Vec<u8>,
    /// The pending change of the same path that it was built on and takes the place of.
    replaces: Option<Change>,
}

/// The state of the branch that edits are built on.
struct Ground {
    pending: Vec<Change>,
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
struct Base {
    content: Option<Vec<u8>>,
    hash: Option<String>,
    stale: bool,
}

/// Builds all files that `edits` of the reply `message_id` touch. Only a failure to read the plan
/// is an error here.
pub(super) fn build(
    turn: &Turn<'_>,
    branch: &Branch,
    message_id: &str,
    edits: &[Edit],
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
    let mut outcome = Outcome {
        branch_id: branch.id.clone(),
        message_id: message_id.to_owned(),
        built: Vec::new(),
        unchanged: Vec::new(),
        failed: Vec::new(),
    };
    for (path, edits) in by_path(&turn.project.root, &ground, edits) {
        let edits: Vec<Edit> = edits.into_iter().cloned().collect();
        let base = match path {
            Ok(path) => base_of(&disk, &repo, &ground, &path).map(|base| (path, base)),
            Err(reason) => Err(Unbuilt::Refused(reason)),
        };
        match base {
            Ok((path, base)) => outcome.build(&ground, path, &base, &edits)?,
            Err(Unbuilt::Refused(reason)) => outcome.failed.push(refuse(&edits, reason)),
            Err(Unbuilt::Failed(error)) => return Err(error),
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
        })
        .collect();
    FailedFile { path, failures }
}

impl Outcome {
    fn build(&mut self, ground: &Ground, path: String, base: &Base, edits: &[Edit]) -> Result<()> {
        let built = match edits::build_file(&path, base.content.as_deref(), edits) {
            Ok(built) => built,
            Err(mut failures) => {
                failures
                    .iter_mut()
                    .for_each(|failure| failure.stale = base.stale);
                self.failed.push(FailedFile { path, failures });
                return Ok(());
            }
        };
        let file = BuiltFile {
            path: path.clone(),
            op: match &base.content {
                None => Op::Add,
                Some(content) if *content == built.content => Op::Unchanged,
                Some(_) => Op::Update,
            },
            added: built.lines.added,
            removed: built.lines.removed,
            tier: built.tier,
            warnings: built.warnings,
            auto_run: edits::is_auto_run(&path),
        };
        if file.op == Op::Unchanged {
            self.unchanged.push(file);
            return Ok(());
        }
        let notes = serde_json::to_string(&file).context("recording a build")?;
        let earlier = ground
            .pending
            .iter()
            .find(|change| change.path == path)
            .cloned();
        let change = Change {
            id: new_id(),
            branch_id: self.branch_id.clone(),
            message_id: self.message_id.clone(),
            path,
            base_hash: base.hash.clone(),
            blob: Some(repo::blob_id(&built.content)?),
            target_hash: Some(digest::sha256_hex(&built.content)),
            added: tally(
                earlier.as_ref().map_or(0, |change| change.added),
                file.added,
            ),
            removed: tally(
                earlier.as_ref().map_or(0, |change| change.removed),
                file.removed,
            ),
            notes,
            created_at: clock::wall_ms(),
        };
        self.built.push(Pending {
            file,
            change,
            content: built.content,
            replaces: earlier,
        });
        Ok(())
    }

    /// One event a file.
    pub(super) fn events(&self) -> Vec<Event> {
        let built = self.built.iter().map(|pending| &pending.file);
        let built = built.chain(&self.unchanged).map(|file| Event::File {
            status: match file.op {
                Op::Unchanged => FileStatus::Unchanged,
                Op::Add | Op::Update => FileStatus::Built,
            },
            path: file.path.clone(),
            built: Some(file.clone()),
            failed: None,
        });
        let failed = self.failed.iter().map(|file| Event::File {
            status: FileStatus::Failed,
            path: file.path.clone(),
            built: None,
            failed: Some(file.clone()),
        });
        built.chain(failed).collect()
    }

    /// How many files were built, and how many failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.built.len(), self.failed.len())
    }

    /// A line for each edit that did not fit.
    pub(super) fn failures(&self) -> impl Iterator<Item = String> {
        self.failed
            .iter()
            .flat_map(|file| file.failures.iter())
            .map(|failure| {
                let reason = serde_json::to_value(failure.reason).unwrap_or_default();
                let reason = reason.as_str().unwrap_or("failed").replace('_', " ");
                format!(
                    "{}: edit {}/{}: {reason}",
                    failure.path, failure.edit, failure.of
                )
            })
    }

    /// What the version's tree gets.
    pub(super) fn tree_changes(&self) -> Vec<TreeChange> {
        let mut files = Vec::new();
        for pending in &self.built {
            files.extend(pending.replaces.iter().flat_map(tree::without_pending));
            files.extend(tree::pending(
                &pending.change,
                Some(pending.content.clone()),
            ));
        }
        files
    }

    /// Records the builds and their pending changes.
    pub(super) fn record(&self, tx: &WriteTx<'_>) -> Result<()> {
        let record = |path: &str, error: Option<String>| {
            let (message_id, path) = (self.message_id.clone(), path.to_owned());
            changes::record_build(
                tx,
                &self.branch_id,
                &Build {
                    message_id,
                    path,
                    error,
                },
            )
        };
        for pending in &self.built {
            changes::put(tx, &pending.change)?;
            record(&pending.change.path, None)?;
        }
        for file in &self.failed {
            record(&file.path, Some(serde_json::to_string(&file.failures)?))?;
        }
        Ok(())
    }

    /// The results, for the caller.
    pub(super) fn into_files(self) -> (Vec<BuiltFile>, Vec<FailedFile>) {
        let built = self.built.into_iter().map(|pending| pending.file).collect();
        (built, self.failed)
    }
}

fn tally(earlier: i64, more: usize) -> i64 {
    earlier.saturating_add(i64::try_from(more).unwrap_or(i64::MAX))
}
