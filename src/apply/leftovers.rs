//! The end of the files: names made durable, and nothing left over but what is to be kept.

use std::collections::BTreeSet;
use std::io;

use anyhow::{Context as _, Result};

use super::content::{self, Content};
use super::is_of_one_path;
use super::journal::{Journal, applies_dir, dirs, existing, is_to_move, open_dir};
use crate::platform::root::{Descent, Entry, Root, Spot};
use crate::store::Store;
use crate::store::applies::{self, ApplyFile, FileState, SlotPlace, State};

/// Above this many, what was written is made durable by one call for the whole file system.
const SYNCED_ONE_BY_ONE: usize = 64;

impl Journal<'_> {
    /// Removes the directories that were made for paths that are not written, if they are empty.
    pub(super) fn remove_made_dirs(&self) {
        let others = |file: &&ApplyFile| file.state != FileState::Written;
        self.remove_dirs(self.files.iter().filter(others));
    }

    /// Removes the directories that the apply had made which this one undoes, if they are empty.
    fn remove_dirs_of_undone(&self) -> Result<()> {
        if let Some(undone) = &self.apply.undoes {
            let files = self.store.read(|tx| applies::files(tx, undone))?;
            self.remove_dirs(files.iter());
        }
        Ok(())
    }

    fn remove_dirs<'f>(&self, files: impl Iterator<Item = &'f ApplyFile>) {
        let made: BTreeSet<&str> = files
            .flat_map(|file| dirs(&file.path).into_iter().skip(existing(file) + 1))
            .collect();
        // A directory sorts before what is in it.
        for dir in made.into_iter().rev() {
            if let Ok(Descent::Open(spot)) = self.root.spot(dir) {
                // One that stays is empty and does no harm.
                drop(spot.remove_empty_dir());
            }
        }
    }

    /// Ends the writing: directories, leftovers, and the record.
    pub(super) fn finish_files(&mut self) -> Result<()> {
        self.remove_made_dirs();
        self.remove_dirs_of_undone()?;
        self.sync_dirs()?;
        if self.beside().next().is_some() {
            // On record first: with its slot gone, a path tells no more how far it came.
            self.decide(State::Clearing)?;
            self.clear_beside()?;
        }
        self.decide(State::FilesDone)?;
        self.clear_private();
        Ok(())
    }

    /// Makes the names durable in every directory that a step touched.
    pub(super) fn sync_dirs(&self) -> Result<()> {
        let touched: BTreeSet<&str> = self
            .files
            .iter()
            .filter(|file| is_to_move(file))
            .flat_map(|file| dirs(&file.path).into_iter().skip(existing(file)))
            .collect();
        self.sync_dirs_of(touched)
    }

    /// Makes the names of the slots durable, which are all that staging makes.
    pub(super) fn sync_slots(&self) -> Result<()> {
        self.sync_dirs_of(self.dirs_beside())
    }

    fn dirs_beside(&self) -> BTreeSet<&str> {
        self.beside()
            .flat_map(|file| dirs(&file.path).into_iter().skip(existing(file)))
            .collect()
    }

    fn sync_dirs_of(&self, touched: BTreeSet<&str>) -> Result<()> {
        let beside = self.dirs_beside();
        let mut all = touched.len() > SYNCED_ONE_BY_ONE;
        for dir in touched {
            if all && !beside.contains(dir) {
                continue;
            }
            let synced = match self.root.dir(dir) {
                Ok(Descent::Open(opened)) => opened.sync(),
                Ok(Descent::Missing) => Ok(()),
                // It was moved away, with our names in it perhaps.
                Ok(Descent::Refused(_)) => {
                    all = true;
                    Ok(())
                }
                Err(error) if is_of_one_path(&error) => Ok(()),
                Err(error) => Err(error),
            };
            synced.with_context(|| format!("syncing the directory of {dir}/"))?;
        }
        if all {
            self.root
                .sync_file_system()
                .context("syncing the project")?;
        }
        if let Some(private) = &self.private {
            private.sync().context("syncing the apply's directory")?;
        }
        Ok(())
    }

    fn beside(&self) -> impl Iterator<Item = &ApplyFile> {
        self.files
            .iter()
            .filter(|file| file.slot == SlotPlace::Beside && is_to_move(file))
    }

    /// Removes the slots that stand among the user's files. One that somebody wrote to late, who
    /// had the original open, stays, and its path says so.
    pub(super) fn clear_beside(&mut self) -> Result<()> {
        if self.beside().next().is_none() {
            return Ok(());
        }
        for index in 0..self.files.len() {
            let file = &self.files[index];
            if file.slot != SlotPlace::Beside || !is_to_move(file) {
                continue;
            }
            let is_late = match self.clear_beside_path(file) {
                Ok(left) => left && file.state == FileState::Written,
                Err(error) if is_of_one_path(&error) => false,
                Err(error) => {
                    return Err(error).with_context(|| format!("clearing up beside {}", file.path));
                }
            };
            if is_late {
                let why = self.kept_in_slot(file, "was changed while it was replaced");
                self.files[index].error = Some(why);
            }
        }
        self.sync_dirs()
    }

    /// Whether something of somebody's own had to stay.
    fn clear_beside_path(&self, file: &ApplyFile) -> io::Result<bool> {
        let Some(slot) = self.slot(file)? else {
            return Ok(false);
        };
        let (base, target) = (file.base_hash.as_deref(), file.target_hash.as_deref());
        self.clear_slot(&slot, &[base, target])?;
        Ok(slot.look()? != Entry::Absent)
    }

    /// Removes what is in a slot, unless it is somebody's own. While staging it is ours whatever
    /// it is: nothing was swapped out yet.
    fn clear_slot(&self, slot: &Spot, ours: &[Option<&str>]) -> io::Result<()> {
        if self.apply.state == State::Open {
            return slot.remove();
        }
        let (content, _) = content::read(slot)?;
        let is_ours = ours.iter().any(|hash| content.is(*hash));
        if content != Content::Absent && is_ours {
            slot.remove()?;
        }
        Ok(())
    }

    /// Removes what is not needed any more from the apply's own directory: the staged content of
    /// paths that are not written, and the copies of originals that are back in place. Leftovers
    /// are harmless; a later apply clears them.
    pub(super) fn clear_private(&self) {
        for file in &self.files {
            // What was given to sudo is a copy of ours, whatever became of it.
            if file.slot == SlotPlace::Sudo
                && let Ok(Some(given)) = self.slot(file)
            {
                drop(given.remove());
            }
        }
        for file in self.files.iter().filter(|file| is_to_move(file)) {
            let (base, target) = (file.base_hash.as_deref(), file.target_hash.as_deref());
            let is_back = match file.state {
                FileState::Written => continue,
                FileState::Restored => true,
                FileState::Planned | FileState::Failed | FileState::Left => {
                    matches!(self.at_place(file), Ok(content) if content.is(base))
                }
            };
            let ours: &[Option<&str>] = if is_back { &[base, target] } else { &[target] };
            if let Some(spot) = self.private_spot(file) {
                drop(self.clear_slot(&spot, ours));
            }
        }
        remove_dir(self.store, self.root, &self.apply.id);
    }

    /// Gives an apply up that has touched nothing yet.
    pub(super) fn abandon(&mut self) -> Result<()> {
        debug_assert_eq!(self.apply.state, State::Open);
        for file in &mut self.files {
            // What failed stays on record as that, for who tries it again.
            if is_to_move(file) && file.state != FileState::Failed {
                file.state = FileState::Restored;
            }
        }
        self.clear_beside()?;
        self.clear_private();
        self.decide(State::FilesUndone)
    }
}

/// Removes the directory of the apply `id` if it is empty.
pub(super) fn remove_dir(store: &Store, root: &Root, id: &str) {
    if let Ok(Some(dir)) = open_dir(&applies_dir(store), root) {
        drop(dir.spot(id).remove_empty_dir());
    }
}
