//! Everything back to what it was, as far as it is still ours.

use std::io;

use anyhow::{Context as _, Result};

use super::content::Content;
use super::evidence::Found;
use super::journal::{Journal, is_to_move};
use super::step::{self, Step};
use super::{Reported, is_of_one_path, words};
use crate::store::applies::{self, ApplyFile, FileState, State};

impl Journal<'_> {
    /// Puts every path back to what it was, as far as it still has what this apply brought, and
    /// records that. What somebody else changed stays and is marked as left.
    pub(super) fn undo(&mut self) -> Result<()> {
        if self.apply.state == State::Writing {
            // On a full disk the files go back all the same: once the staged ones are gone, nobody
            // can go forward instead.
            drop(
                self.store
                    .journal(self.lock, |tx| applies::start_undoing(tx, &self.apply.id)),
            );
            self.apply.state = State::Undoing;
        }
        for index in 0..self.files.len() {
            let file = &self.files[index];
            if !is_to_move(file) {
                continue;
            }
            let result = self.undo_path(file);
            let (state, error) = match result {
                Ok(outcome) => outcome,
                // Moved before, and cannot be moved now: the project is reached by another mount
                // than the apply's directory. That is no reason to leave the path as it is.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    return Err(error).with_context(|| format!("putting {} back", file.path));
                }
                Err(error) if is_of_one_path(&error) => {
                    let why = format!("could not be put back: {}", words(&error));
                    self.unable.push(Reported {
                        path: self.files[index].path.clone(),
                        why: why.clone(),
                    });
                    (FileState::Failed, Some(why))
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("putting {} back", file.path));
                }
            };
            let file = &mut self.files[index];
            if (file.state, state) == (FileState::Failed, FileState::Restored) {
                // It stays on record as failed, for who tries it again.
                continue;
            }
            (file.state, file.error) = (state, error);
        }
        self.remove_made_dirs();
        self.sync_dirs()?;
        self.clear_beside()?;
        self.clear_private();
        self.decide(State::FilesUndone)
    }

    fn undo_path(&self, file: &ApplyFile) -> io::Result<(FileState, Option<String>)> {
        let ends = self.ends(file)?;
        let found = ends.found(file);
        let step = match (found, &ends.place, &ends.slot) {
            (Found::Done, _, _) => self.step_back(file)?,
            (Found::Swapped, Some(place), Some(slot)) => {
                match step::give_back(place, slot, &ends.at_place)? {
                    Step::Done(_) => Step::Changed("was changed".to_owned()),
                    Step::Changed(why) | Step::Kept(why) => Step::Kept(why),
                }
            }
            _ if ends.has_foreign_slot(file) => Step::Kept("was changed".to_owned()),
            _ if ends.at_place.is(file.base_hash.as_deref()) => Step::Done(None),
            (Found::Settled, _, _) if ends.in_slot != Content::Absent => {
                let why = "was changed after it was written";
                return Ok((FileState::Left, Some(self.kept_original(file, why))));
            }
            _ => Step::Changed("was changed".to_owned()),
        };
        Ok(match step {
            Step::Done(_) => (FileState::Restored, None),
            Step::Changed(why) => (FileState::Left, Some(why)),
            Step::Kept(why) => (FileState::Left, Some(self.kept_in_slot(file, &why))),
        })
    }
}
