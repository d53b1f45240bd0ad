//! What became of the files that a run built: told, counted and recorded.

use anyhow::{Context as _, Result};

use super::build::{Base, BuiltFile, FailedFile, Ground, Op};
use super::edits::{self, Edit};
use super::event::{Event, FileStatus};
use crate::platform::{clock, digest};
use crate::project::tree;
use crate::repo::{self, TreeChange};
use crate::store::changes::{self, Build, Change, Fate};
use crate::store::{WriteTx, new_id};

/// What became of all files of a run's replies.
pub(super) struct Outcome {
    branch_id: String,
    stream_id: String,
    built: Vec<Pending>,
    unchanged: Vec<BuiltFile>,
    /// Each with the reply whose edits did not fit.
    failed: Vec<(String, FailedFile)>,
    /// One a reply and path, in the order of the builds.
    records: Vec<Build>,
}

/// A built file as it will be stored.
struct Pending {
    file: BuiltFile,
    change: Change,
    content: Option<Vec<u8>>,
    /// The pending change of the same path that it was built on and takes the place of.
    replaces: Option<Change>,
}

impl Outcome {
    /// Nothing yet.
    pub(super) fn new(branch_id: &str, stream_id: &str) -> Self {
        Self {
            branch_id: branch_id.to_owned(),
            stream_id: stream_id.to_owned(),
            built: Vec::new(),
            unchanged: Vec::new(),
            failed: Vec::new(),
            records: Vec::new(),
        }
    }

    /// What an earlier reply of the same run made of the file.
    pub(super) fn base(&self, path: &str) -> Option<Base> {
        let earlier = self
            .built
            .iter()
            .find(|pending| pending.change.path == path)?;
        Some(Base {
            content: earlier.content.clone(),
            hash: earlier.change.base_hash.clone(),
            stale: false,
        })
    }

    /// Notes that none of a file's edits could be built.
    pub(super) fn fail(&mut self, message_id: &str, file: FailedFile) {
        // Structs of strings and numbers always serialise.
        let report = serde_json::to_string(&file.failures).unwrap_or_default();
        self.note(message_id, &file.path, Fate::Failed(report));
        self.failed.push((message_id.to_owned(), file));
    }

    fn note(&mut self, message_id: &str, path: &str, fate: Fate) {
        self.records.push(Build {
            message_id: message_id.to_owned(),
            stream_id: self.stream_id.clone(),
            path: path.to_owned(),
            fate,
        });
    }

    /// Builds one file from a reply's edits.
    pub(super) fn build(
        &mut self,
        message_id: &str,
        ground: &Ground,
        path: String,
        base: &Base,
        edits: &[Edit],
    ) -> Result<()> {
        let built = match edits::build_file(&path, base.content.as_deref(), edits) {
            Ok(built) => built,
            Err(mut failures) => {
                failures
                    .iter_mut()
                    .for_each(|failure| failure.stale = base.stale);
                self.fail(message_id, FailedFile { path, failures });
                return Ok(());
            }
        };
        let file = BuiltFile {
            path: path.clone(),
            op: match &base.content {
                _ if built.executable.is_none() && base.content == built.content => Op::Unchanged,
                None => Op::Add,
                Some(_) if built.content.is_none() => Op::Delete,
                Some(_) => Op::Update,
            },
            added: built.lines.added,
            removed: built.lines.removed,
            tier: built.tier,
            warnings: built.warnings,
            auto_run: edits::is_auto_run(&path),
        };
        if file.op == Op::Unchanged {
            self.note(message_id, &path, Fate::Unchanged);
            self.unchanged.push(file);
            return Ok(());
        }
        self.note(message_id, &path, Fate::Built);
        let notes = serde_json::to_string(&file).context("recording a build")?;
        let replaces = ground.pending.iter().find(|change| change.path == path);
        let ours = self
            .built
            .iter()
            .position(|pending| pending.change.path == path);
        // One pending change a path: what this run made of it before is part of this one.
        let ours = ours.map(|at| self.built.remove(at).change);
        let earlier = ours.as_ref().or(replaces);
        let change = Change {
            id: new_id(),
            branch_id: self.branch_id.clone(),
            message_id: message_id.to_owned(),
            path,
            base_hash: base.hash.clone(),
            base_blob: None,
            blob: built.content.as_deref().map(repo::blob_id).transpose()?,
            target_hash: built.content.as_deref().map(digest::sha256_hex),
            executable: built.executable,
            moved_from: None,
            added: tally(earlier.map_or(0, |change| change.added), file.added),
            removed: tally(earlier.map_or(0, |change| change.removed), file.removed),
            notes,
            created_at: clock::wall_ms(),
        };
        self.built.push(Pending {
            file,
            change,
            content: built.content,
            replaces: replaces.cloned(),
        });
        Ok(())
    }

    /// One event a file.
    pub(super) fn events(&self) -> Vec<Event> {
        let built = self.built.iter().map(|pending| &pending.file);
        let built = built.chain(&self.unchanged).map(|file| Event::File {
            status: match file.op {
                Op::Unchanged => FileStatus::Unchanged,
                Op::Add | Op::Update | Op::Delete => FileStatus::Built,
            },
            path: file.path.clone(),
            built: Some(file.clone()),
            failed: None,
        });
        let failed = self.failed().map(|file| Event::File {
            status: FileStatus::Failed,
            path: file.path.clone(),
            built: None,
            failed: Some(file.clone()),
        });
        built.chain(failed).collect()
    }

    /// The paths that are pending now.
    pub(super) fn built(&self) -> impl Iterator<Item = &str> {
        self.built.iter().map(|pending| pending.file.path.as_str())
    }

    /// The paths that had their content already.
    pub(super) fn unchanged(&self) -> impl Iterator<Item = &str> {
        self.unchanged.iter().map(|file| file.path.as_str())
    }

    /// The files that could not be built.
    pub(super) fn failed(&self) -> impl Iterator<Item = &FailedFile> {
        self.failed.iter().map(|(_, file)| file)
    }

    /// Those of them that failed with the edits of this reply.
    pub(super) fn failed_of(&self, message_id: &str) -> Vec<FailedFile> {
        let of_reply = self.failed.iter().filter(|(reply, _)| reply == message_id);
        of_reply.map(|(_, file)| file.clone()).collect()
    }

    /// How many files were built and how many were not.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.built.len(), self.failed.len())
    }

    /// What the version's tree gets.
    pub(super) fn tree_changes(&self) -> Vec<TreeChange> {
        let mut files = Vec::new();
        for pending in &self.built {
            files.extend(pending.replaces.iter().flat_map(tree::without_pending));
            files.extend(tree::pending(
                &pending.change,
                pending.content.clone(),
                None,
            ));
        }
        files
    }

    /// Records the builds and their pending changes.
    pub(super) fn record(&self, tx: &WriteTx<'_>) -> Result<()> {
        for pending in &self.built {
            changes::put(tx, &pending.change)?;
        }
        self.records
            .iter()
            .try_for_each(|build| changes::record_build(tx, &self.branch_id, build))
    }
}

fn tally(earlier: i64, more: usize) -> i64 {
    earlier.saturating_add(i64::try_from(more).unwrap_or(i64::MAX))
}
