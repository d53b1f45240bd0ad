//! One apply on its way: its rows, its slots, its steps.
//!
//! The process that applies and the one that recovers work on the same thing with the same hands;
//! what differs is only what they know.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::Reported;
use super::classify::{Kept, parent};
use super::content::{self, Content};
use super::evidence::{self, Found};
use super::step::{self, Step};
use crate::platform::file_lock::DirLock;
use crate::platform::root::{Descent, Dir, Kernel, Opened, Root, Spot};
use crate::store::Store;
use crate::store::applies::{self, Apply, ApplyFile, FileState, SlotPlace, State};

/// One apply on its way, under the apply lock.
pub(super) struct Journal<'a> {
    pub(super) store: &'a Store,
    pub(super) lock: &'a DirLock,
    pub(super) root: &'a Root,
    pub(super) apply: Apply,
    pub(super) files: Vec<ApplyFile>,
    /// The apply's own directory; `None` while or where it does not exist.
    pub(super) private: Option<Arc<Dir>>,
    /// By path: the other half of a file that is moved. Known to the process that began.
    pub(super) partners: Vec<Option<usize>>,
    /// What could not be put back, and why.
    pub(super) unable: Vec<Reported>,
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
    pub(super) fn has_foreign_slot(&self, file: &ApplyFile) -> bool {
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
            partners: vec![None; files.len()],
            files,
            private,
            unable: Vec::new(),
        })
    }

    /// Fails the half of a moved file that nothing was done about yet, where the other one failed
    /// or was left.
    pub(super) fn fail_halves(&mut self) {
        for index in 0..self.files.len() {
            let Some(partner) = self.partners.get(index).copied().flatten() else {
                continue;
            };
            let is_out =
                |file: &ApplyFile| matches!(file.state, FileState::Failed | FileState::Left);
            if is_out(&self.files[partner]) && self.files[index].state == FileState::Planned {
                let why = format!("stays, for \"{}\" does", self.files[partner].path);
                let file = &mut self.files[index];
                (file.state, file.error) = (FileState::Failed, Some(why));
            }
        }
    }

    /// The slot of a path; `None` if its directory is gone.
    pub(super) fn slot(&self, file: &ApplyFile) -> io::Result<Option<Spot>> {
        match file.slot {
            SlotPlace::Private => Ok(self.private_spot(file)),
            SlotPlace::Sudo => Ok(self.private_spot(file).map(|spot| spot.with_suffix(".new"))),
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

    pub(super) fn at_place(&self, file: &ApplyFile) -> io::Result<Content> {
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
            let back = step::step(place, slot, to, from)?;
            if matches!(back, Step::Done(_)) {
                return Ok(Step::Changed("was moved with its directory".to_owned()));
            }
            return Ok(back);
        }
        Ok(step)
    }

    /// `why`, and where the original is kept.
    pub(super) fn kept_original(&self, file: &ApplyFile, why: &str) -> String {
        let kept = applies_dir(self.store)
            .join(&self.apply.id)
            .join(file.number.to_string());
        format!("{why}; what it had before is kept in {}", kept.display())
    }

    /// `why`, and where somebody's own content is kept that came out of the place.
    pub(super) fn kept_in_slot(&self, file: &ApplyFile, why: &str) -> String {
        match file.slot {
            SlotPlace::Private | SlotPlace::Sudo => self.kept_original(file, why),
            SlotPlace::Beside => {
                let dir = dirs(&file.path)[existing(file)];
                let slash = if dir.is_empty() { "" } else { "/" };
                let name = self.beside_name(file);
                format!("{why}; what it had before is kept in {dir}{slash}{name}")
            }
        }
    }

    /// Records what became of every path, and that the files are decided.
    pub(super) fn decide(&mut self, state: State) -> Result<()> {
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

/// Opens an original that an apply keeps; `None` if it is gone.
pub(super) fn open_kept(store: &Store, kept: &Kept) -> io::Result<Option<File>> {
    let path = applies_dir(store).join(&kept.apply);
    let dir = match Dir::open(&path, Kernel::Current) {
        Ok(dir) => Arc::new(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match dir.spot(&kept.number.to_string()).open()? {
        Opened::File(file, _) => Some(file),
        Opened::Other(_) => None,
    })
}

/// The content of an original that an apply keeps; `None` if it is gone.
pub(super) fn read_kept(store: &Store, kept: &Kept) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_kept(store, kept)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The directories of `path` from the root, "", down to its own.
pub(super) fn dirs(path: &str) -> Vec<&str> {
    let mut dirs = vec![""];
    dirs.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    dirs
}

/// The index in [`dirs`] of the deepest directory that was there before.
pub(super) fn existing(file: &ApplyFile) -> usize {
    let deepest = dirs(&file.path).len() - 1;
    usize::try_from(file.parents).map_or(deepest, |parents| parents.min(deepest))
}
