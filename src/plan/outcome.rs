//! What became of the files that a run built: told, counted and recorded.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::build::{BuiltFile, FailedFile, Op};
use super::event::{Event, FileStatus};
use super::group::Group;
use super::place::Made;
use super::sheet::{Sheet, Sheets, Unbuilt};
use crate::platform::{clock, digest};
use crate::project::tree;
use crate::repo::{self, TreeChange};
use crate::store::changes::{self, Build, Change, Ended, Fate};
use crate::store::{WriteTx, new_id};

/// What became of all files of a run's replies.
pub(super) struct Outcome {
    branch_id: String,
    stream_id: String,
    built: Vec<BuiltFile>,
    unchanged: Vec<BuiltFile>,
    /// Each with the reply whose edits did not fit.
    failed: Vec<(String, FailedFile)>,
    /// One a reply and path, in the order of the builds.
    records: Vec<Build>,
    /// The paths of which something else is pending now: by which reply, and what is said of it.
    touched: BTreeMap<String, (String, String)>,
    pending: Vec<Pending>,
    /// Pending changes that came to nothing.
    ended: Vec<Change>,
}

/// A pending change as it will be stored.
struct Pending {
    change: Change,
    sheet: Sheet,
    /// The pending change of the same path that it takes the place of.
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
            touched: BTreeMap::new(),
            pending: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// What is said of a file.
    pub(super) fn tell(verdict: &Result<Made, FailedFile>) -> Event {
        let (status, path) = match verdict {
            Ok(made) => match made.file.op {
                Op::Unchanged | Op::Undone => (FileStatus::Unchanged, &made.file.path),
                Op::Add | Op::Update | Op::Delete | Op::Rename => {
                    (FileStatus::Built, &made.file.path)
                }
            },
            Err(failed) => (FileStatus::Failed, &failed.path),
        };
        Event::File {
            status,
            path: path.clone(),
            built: verdict.as_ref().ok().map(|made| made.file.clone()),
            failed: verdict.as_ref().err().cloned(),
        }
    }

    /// Notes what a reply's edits made of a file.
    pub(super) fn note(
        &mut self,
        message_id: &str,
        group: &Group,
        verdict: &Result<Made, FailedFile>,
    ) -> Result<()> {
        let fate = match verdict {
            Err(failed) => {
                self.failed.push((message_id.to_owned(), failed.clone()));
                // Structs of strings and numbers always serialise.
                Fate::Failed(serde_json::to_string(&failed.failures).unwrap_or_default())
            }
            Ok(made) => self.note_made(message_id, made)?,
        };
        self.records
            .push(Build::new(message_id, &self.stream_id, &group.path, fate));
        Ok(())
    }

    fn note_made(&mut self, message_id: &str, made: &Made) -> Result<Fate> {
        let file = &made.file;
        let notes = serde_json::to_string(file).context("recording a build")?;
        if file.op != Op::Unchanged {
            for path in [&file.path].into_iter().chain(&made.target) {
                let by = (message_id.to_owned(), notes.clone());
                self.touched.insert(path.clone(), by);
            }
        }
        let is_other = |earlier: &BuiltFile| earlier.path != file.path;
        match file.op {
            Op::Unchanged | Op::Undone => {
                // What an earlier reply made of it is pending all the same.
                if file.op == Op::Undone {
                    self.built.retain(is_other);
                }
                self.unchanged.retain(is_other);
                self.unchanged.push(file.clone());
                Ok(Fate::Unchanged)
            }
            Op::Add | Op::Update | Op::Delete | Op::Rename => {
                self.built.retain(is_other);
                self.unchanged.retain(is_other);
                self.built.push(file.clone());
                Ok(Fate::Built)
            }
        }
    }

    /// Draws up what is pending now, once all replies are built.
    pub(super) fn settle(&mut self, sheets: &mut Sheets) -> Result<()> {
        self.touch_partners(sheets)?;
        for (path, (message_id, notes)) in std::mem::take(&mut self.touched) {
            let Some(sheet) = sheets.get(&path).cloned() else {
                continue;
            };
            let replaces = sheets.was(&path).cloned();
            if sheet.is_as_the_project(&sheets.disk, &path) {
                self.ended.extend(replaces);
                continue;
            }
            if let Some(from) = &sheet.moved_from
                && let Err(Unbuilt::Failed(error)) = sheets.sheet(from)
            {
                return Err(error);
            }
            let change = self.change(&path, (message_id, notes), &sheet, sheets)?;
            self.pending.push(Pending {
                change,
                sheet,
                replaces,
            });
        }
        Ok(())
    }

    /// Moves have two sides: where one of them is not what it was, the other one is drawn up anew.
    fn touch_partners(&mut self, sheets: &mut Sheets) -> Result<()> {
        let by: fn(&Change) -> (String, String) =
            |change| (change.message_id.clone(), change.notes.clone());
        for path in self.touched.keys().cloned().collect::<Vec<_>>() {
            let from = sheets.was(&path).and_then(|was| was.moved_from.clone());
            if let Some(from) = from
                && let Some(was) = sheets.was(&from).map(by)
            {
                sheets.open_pending(&from)?;
                self.touched.entry(from).or_insert(was);
            }
        }
        while self.part_one(sheets, by)? {}
        Ok(())
    }

    /// Makes one file whose old name has a file again a new one, with the mode it would have had.
    /// `false` once there is none: each is parted once, and may be what another one came from.
    fn part_one(
        &mut self,
        sheets: &mut Sheets,
        by: fn(&Change) -> (String, String),
    ) -> Result<bool> {
        let all = sheets.all();
        let parted = all.into_iter().find_map(|(path, from)| {
            let from = from.filter(|from| !sheets.has_left(from))?;
            Some((path.to_owned(), from.to_owned()))
        });
        let Some((path, from)) = parted else {
            return Ok(false);
        };
        sheets.open_pending(&path)?;
        let was_program = sheets.disk.is_executable(&from);
        let was = sheets.was(&path).map(by);
        let Ok(sheet) = sheets.sheet(&path) else {
            return Ok(false);
        };
        sheet.moved_from = None;
        let is_there = sheet.base_hash.is_some();
        let inherited = (was_program || is_there).then_some(was_program);
        sheet.executable = sheet.executable.or(inherited);
        if let Some(was) = was {
            self.touched.entry(path).or_insert(was);
        }
        Ok(true)
    }

    fn change(
        &self,
        path: &str,
        (message_id, notes): (String, String),
        sheet: &Sheet,
        sheets: &Sheets,
    ) -> Result<Change> {
        let was = sheets.was(path);
        let counted = sheets.count(path, sheet).map_or_else(
            || was.map_or((0, 0), |was| (was.added, was.removed)),
            |(added, removed)| (number(added), number(removed)),
        );
        let is_new = sheet.base_hash.is_none() && sheet.moved_from.is_none();
        Ok(Change {
            id: new_id(),
            branch_id: self.branch_id.clone(),
            message_id,
            path: path.to_owned(),
            base_hash: sheet.base_hash.clone(),
            base_blob: sheet.base.as_deref().map(repo::blob_id).transpose()?,
            blob: sheet.content.as_deref().map(repo::blob_id).transpose()?,
            target_hash: sheet.content.as_deref().map(digest::sha256_hex),
            // A new file is no program anyway.
            executable: sheet.executable.filter(|wanted| *wanted || !is_new),
            moved_from: sheet.moved_from.clone(),
            added: counted.0,
            removed: counted.1,
            notes,
            created_at: clock::wall_ms(),
        })
    }

    /// The paths that are pending now.
    pub(super) fn built(&self) -> impl Iterator<Item = &str> {
        self.built.iter().map(|file| file.path.as_str())
    }

    /// The paths that had their content already, or have it again.
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
        let mut files: Vec<TreeChange> = self.records.iter().map(tree::build).collect();
        files.extend(self.ended.iter().flat_map(tree::without_pending));
        for pending in &self.pending {
            files.extend(pending.replaces.iter().flat_map(tree::without_pending));
            let Sheet { content, base, .. } = &pending.sheet;
            files.extend(tree::pending(
                &pending.change,
                content.clone(),
                base.clone(),
            ));
        }
        files
    }

    /// Records the builds and their pending changes.
    pub(super) fn record(&self, tx: &WriteTx<'_>) -> Result<()> {
        for change in &self.ended {
            changes::end(tx, &self.branch_id, &change.id, Ended::Replaced)?;
        }
        for pending in &self.pending {
            changes::put(tx, &pending.change)?;
        }
        self.records
            .iter()
            .try_for_each(|build| changes::record_build(tx, &self.branch_id, build))
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
