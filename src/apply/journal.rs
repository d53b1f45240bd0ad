//! One apply on its way: its rows, its slots, its steps.
//!
//! The process that applies and the one that recovers work on the same thing with the same hands;
//! what differs is only what they know.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::classify::{dirs, parent};
use super::content::{self, Content};
use super::evidence::{self, Found};
use super::prune;
use super::step::{self, Step};
use super::{Reported, is_of_one_path, words};
use crate::platform::file_lock::DirLock;
use crate::platform::root::{Descent, Dir, Entry, Root, Spot};
use crate::store::Store;
use crate::store::applies::{self, Apply, ApplyFile, FileState, SlotPlace, State};

/// Above this many, what was written is made durable by one call for the whole file system.
const SYNCED_ONE_BY_ONE: usize = 64;

/// One apply on its way, under the apply lock.
pub(super) struct Journal<'a> {
    pub(super) store: &'a Store,
    pub(super) lock: &'a DirLock,
    pub(super) root: &'a Root,
    pub(super) apply: Apply,
    pub(super) files: Vec<ApplyFile>,
    /// The apply's own directory; `None` while or where it does not exist.
    pub(super) private: Option<Arc<Dir>>,
}

/// What stands at the two ends of a path.
pub(super) struct Ends {
    pub(super) place: Option<Spot>,
    pub(super) slot: Option<Spot>,
    pub(super) at_place: Content,
    pub(super) in_slot: Content,
}

impl Ends {
    pub(super) fn found(&self, file: &ApplyFile) -> Found {
        let (base, target) = (file.base_hash.as_deref(), file.target_hash.as_deref());
        evidence::find(base, target, &self.at_place, &self.in_slot)
    }

    /// Whether the slot has somebody's own content.
    fn has_foreign_slot(&self, file: &ApplyFile) -> bool {
        self.in_slot != Content::Absent
            && !self.in_slot.is(file.base_hash.as_deref())
            && !self.in_slot.is(file.target_hash.as_deref())
    }
}

/// Where all applies have their directories.
pub(super) fn applies_dir(store: &Store) -> PathBuf {
    store.dir().join("apply")
}

/// Opens the directory `path` if it is there.
pub(super) fn open_dir(path: &Path, root: &Root) -> Result<Option<Arc<Dir>>> {
    match Dir::open(path, root.kernel()) {
        Ok(dir) => Ok(Some(Arc::new(dir))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("opening {}", path.display())),
    }
}

/// Whether the path is to be touched at all: one that had its new content before is not.
pub(super) fn is_to_move(file: &ApplyFile) -> bool {
    file.base_hash != file.target_hash
}

impl<'a> Journal<'a> {
    /// Reads an apply that somebody left.
    pub(super) fn load(
        store: &'a Store,
        lock: &'a DirLock,
        root: &'a Root,
        apply: Apply,
    ) -> Result<Self> {
        let files = store.read(|tx| applies::files(tx, &apply.id))?;
        let private = open_dir(&applies_dir(store).join(&apply.id), root)?;
        Ok(Self {
            store,
            lock,
            root,
            apply,
            files,
            private,
        })
    }

    /// The slot of a path; `None` if its directory is gone.
    pub(super) fn slot(&self, file: &ApplyFile) -> io::Result<Option<Spot>> {
        match file.slot {
            SlotPlace::Private => Ok(self.private_spot(file)),
            SlotPlace::Beside => {
                let name = self.beside_name(file);
                Ok(match self.root.dir(dirs(&file.path)[existing(file)])? {
                    Descent::Open(dir) => Some(dir.spot(&name)),
                    Descent::Missing | Descent::Refused(_) => None,
                })
            }
        }
    }

    fn beside_name(&self, file: &ApplyFile) -> String {
        format!(".plandex-{}-{}", self.apply.id, file.number)
    }

    /// The name of a path in the apply's own directory: its slot, or the copy of its original.
    pub(super) fn private_spot(&self, file: &ApplyFile) -> Option<Spot> {
        let dir = self.private.as_ref()?;
        Some(dir.spot(&file.number.to_string()))
    }

    /// Looks at both ends of a path, after ending what a kill inside a step left.
    pub(super) fn ends(&self, file: &ApplyFile) -> io::Result<Ends> {
        let (place, blocked) = match self.root.spot(&file.path)? {
            Descent::Open(spot) => (Some(spot), false),
            Descent::Missing => (None, false),
            Descent::Refused(_) => (None, true),
        };
        let slot = self.slot(file)?;
        if let Some(slot) = &slot {
            let (base, target) = (file.base_hash.as_deref(), file.target_hash.as_deref());
            step::tidy(place.as_ref(), slot, base, target)?;
        }
        let content = |spot: Option<&Spot>| match spot {
            Some(spot) => Ok(content::read(spot)?.0),
            None => io::Result::Ok(Content::Absent),
        };
        Ok(Ends {
            at_place: if blocked {
                Content::Other
            } else {
                content(place.as_ref())?
            },
            in_slot: content(slot.as_ref())?,
            place,
            slot,
        })
    }

    fn at_place(&self, file: &ApplyFile) -> io::Result<Content> {
        match self.root.spot(&file.path)? {
            Descent::Open(spot) => Ok(content::read(&spot)?.0),
            Descent::Missing => Ok(Content::Absent),
            Descent::Refused(_) => Ok(Content::Other),
        }
    }

    /// Takes the step of a path from its base to its target.
    pub(super) fn step_forward(&self, file: &ApplyFile) -> io::Result<Step> {
        if file.target_hash.is_some()
            && let Some(slot) = self.slot(file)?
        {
            // A build that ran since the staging must see the file as newer than its results.
            match slot.touch() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        // Directories are made below the one that was there; that one itself is not made anew.
        if file.base_hash.is_none() {
            match self.root.dir(dirs(&file.path)[existing(file)])? {
                Descent::Open(_) => {}
                Descent::Missing => return Ok(Step::Changed("lost its directory".to_owned())),
                Descent::Refused(why) => return Ok(Step::Changed(format!("was moved: {why}"))),
            }
        }
        self.step(file, file.base_hash.as_deref(), file.target_hash.as_deref())
    }

    /// Takes the step of a path back from its target to its base.
    pub(super) fn step_back(&self, file: &ApplyFile) -> io::Result<Step> {
        self.step(file, file.target_hash.as_deref(), file.base_hash.as_deref())
    }

    fn step(&self, file: &ApplyFile, from: Option<&str>, to: Option<&str>) -> io::Result<Step> {
        let descent = match from {
            None => self.root.spot_making_parents(&file.path)?,
            Some(_) => self.root.spot(&file.path)?,
        };
        let place = match descent {
            Descent::Open(place) => place,
            Descent::Missing => return Ok(Step::Changed("is gone".to_owned())),
            Descent::Refused(why) => return Ok(Step::Changed(format!("was moved: {why}"))),
        };
        let stepped = match self.slot(file)? {
            Some(slot) => self.step_at(file, &place, &slot, from, to),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match stepped {
            // A slot among the user's files goes where they move its directory.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && file.slot == SlotPlace::Beside =>
            {
                Ok(Step::Changed("was moved with its directory".to_owned()))
            }
            other => other,
        }
    }

    fn step_at(
        &self,
        file: &ApplyFile,
        place: &Spot,
        slot: &Spot,
        from: Option<&str>,
        to: Option<&str>,
    ) -> io::Result<Step> {
        let step = step::step(place, slot, from, to)?;
        // The step went to the directory that the path led to; if that was moved away meanwhile,
        // perhaps out of the project, it is taken back there.
        if matches!(step, Step::Done(_)) && !self.root.leads_to(parent(&file.path), place.dir())? {
            return Ok(match step::step(place, slot, to, from)? {
                Step::Done(_) => Step::Changed("was moved with its directory".to_owned()),
                other @ (Step::Changed(_) | Step::Kept(_)) => other,
            });
        }
        Ok(step)
    }

    /// Puts every path back to what it was, as far as it still has what this apply brought, and
    /// records that. What somebody else changed stays and is marked as left.
    pub(super) fn undo(&mut self) -> Result<()> {
        if self.apply.state == State::Writing {
            self.store
                .journal(self.lock, |tx| applies::start_undoing(tx, &self.apply.id))?;
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
                Err(error) if is_of_one_path(&error) => (
                    FileState::Failed,
                    Some(format!("could not be put back: {}", words(&error))),
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("putting {} back", file.path));
                }
            };
            let file = &mut self.files[index];
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

    /// `why`, and where the original is kept.
    fn kept_original(&self, file: &ApplyFile, why: &str) -> String {
        let kept = applies_dir(self.store)
            .join(&self.apply.id)
            .join(file.number.to_string());
        format!("{why}; what it had before is kept in {}", kept.display())
    }

    /// `why`, and where somebody's own content is kept that came out of the place.
    pub(super) fn kept_in_slot(&self, file: &ApplyFile, why: &str) -> String {
        match file.slot {
            SlotPlace::Private => self.kept_original(file, why),
            SlotPlace::Beside => {
                let dir = dirs(&file.path)[existing(file)];
                let slash = if dir.is_empty() { "" } else { "/" };
                let name = self.beside_name(file);
                format!("{why}; what it had before is kept in {dir}{slash}{name}")
            }
        }
    }

    /// Removes the directories that were made for paths that are not written, if they are empty.
    fn remove_made_dirs(&self) {
        let made: BTreeSet<&str> = self
            .files
            .iter()
            .filter(|file| file.state != FileState::Written)
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
        let beside: BTreeSet<&str> = self
            .beside()
            .flat_map(|file| dirs(&file.path).into_iter().skip(existing(file)))
            .collect();
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
    fn clear_beside(&mut self) -> Result<()> {
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
        prune::remove_dir(self.store, self.root, &self.apply.id);
    }

    /// Gives an apply up that has touched nothing yet.
    pub(super) fn abandon(&mut self) -> Result<()> {
        debug_assert_eq!(self.apply.state, State::Open);
        for file in &mut self.files {
            if is_to_move(file) {
                file.state = FileState::Restored;
            }
        }
        self.clear_beside()?;
        self.clear_private();
        self.decide(State::FilesUndone)
    }

    /// Records what became of every path, and that the files are decided.
    fn decide(&mut self, state: State) -> Result<()> {
        self.store.journal(self.lock, |tx| {
            applies::decide(tx, &self.apply.id, state, &self.files)
        })?;
        self.apply.state = state;
        Ok(())
    }

    /// The paths in `state` with their reasons.
    pub(super) fn reported(&self, state: FileState) -> Vec<Reported> {
        self.files
            .iter()
            .filter(|file| file.state == state)
            .map(|file| Reported {
                path: file.path.clone(),
                why: file.error.clone().unwrap_or_default(),
            })
            .collect()
    }
}

/// The index in [`dirs`] of the deepest directory that was there before.
fn existing(file: &ApplyFile) -> usize {
    let deepest = dirs(&file.path).len() - 1;
    usize::try_from(file.parents).map_or(deepest, |parents| parents.min(deepest))
}
