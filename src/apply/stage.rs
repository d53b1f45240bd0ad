//! Everything an apply needs is on the disk before it touches a file: the journal, the new
//! contents, and, where a slot is on another mount, the copies of the originals.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::classify::parent;
use super::content;
use super::journal::{self, Journal, is_to_move};
use super::write::Contents;
use super::{ApplyError, Class, Classified, Turn, is_of_one_path, words};
use crate::platform::cancel::Cancel;
use crate::platform::crash::crash_point;
use crate::platform::root::{Descent, Dir, Opened, Spot, copy_attributes, inherit_group};
use crate::platform::{clock, digest, file, fs_type};
use crate::store::applies::{self, Apply, ApplyFile, FileState, SlotPlace, State};
use crate::store::tickets::{Permit as _, WritePermit};
use crate::store::{Store, StoreError, new_id};

/// Above this many, the staged files are made durable by one call for the whole file system.
const SYNCED_ONE_BY_ONE: usize = 64;
/// So much must be free after staging: the rows and the plan's version still need some.
const RESERVE_BYTES: u64 = 512 << 10;

/// Records the journal of an apply, before anything is staged. `changes` are those that are
/// written and those that are in place already, in the order in which they get their numbers.
pub(super) fn open<'a>(
    store: &'a Store,
    permit: &WritePermit,
    turn: &'a Turn,
    changes: &[&Classified],
) -> Result<Journal<'a>> {
    let branch_id = changes.first().map(|one| one.change.branch_id.clone());
    let apply = Apply {
        id: new_id(),
        plan_id: permit.proof().plan_id().to_owned(),
        branch_id: branch_id.unwrap_or_default(),
        ticket: permit.proof().ticket(),
        state: State::Open,
        created_at: clock::wall_ms(),
    };
    let files = rows(store, turn, changes)?;
    store.write(permit, |tx| applies::open(tx, &apply, &files))?;
    Ok(Journal {
        store,
        lock: turn.lock(),
        root: turn.root(),
        apply,
        files,
        private: None,
    })
}

fn rows(store: &Store, turn: &Turn, changes: &[&Classified]) -> Result<Vec<ApplyFile>> {
    let applies = journal::applies_dir(store);
    file::create_dir_private(&applies)?;
    let ours = Dir::open(&applies, turn.root().kernel())
        .and_then(|dir| dir.mount())
        .with_context(|| format!("opening {}", applies.display()))?;
    let mut known: HashMap<&str, (u32, SlotPlace)> = HashMap::new();
    let mut files = Vec::with_capacity(changes.len());
    for (one, number) in changes.iter().zip(0..) {
        let path = one.change.path.as_str();
        let is_already = one.class == Class::Already;
        let (parents, slot) = match known.get(parent(path)) {
            Some(found) => *found,
            None if is_already => (0, SlotPlace::Private),
            None => {
                let parents = turn.root().existing_parents(path);
                let parents = parents.with_context(|| format!("looking at {path}"))?;
                let there = turn.root().dir(journal::dirs(path)[parents]);
                let is_same = match there.with_context(|| format!("looking at {path}"))? {
                    Descent::Open(dir) => dir.mount()? == ours,
                    // Moved meanwhile: the last look before the writing sees it.
                    Descent::Missing | Descent::Refused(_) => true,
                };
                let slot = if is_same {
                    SlotPlace::Private
                } else {
                    SlotPlace::Beside
                };
                *known
                    .entry(parent(path))
                    .or_insert((u32::try_from(parents)?, slot))
            }
        };
        files.push(ApplyFile {
            number,
            change_id: one.change.id.clone(),
            path: path.to_owned(),
            base_hash: one.disk_hash.clone(),
            target_hash: one.change.target_hash.clone(),
            slot,
            parents,
            state: if is_already {
                FileState::Written
            } else {
                FileState::Planned
            },
            error: None,
        });
    }
    Ok(files)
}

/// Stages everything and makes it durable. A path that cannot be staged by itself is marked as
/// failed; a full or broken disk fails the apply, which has touched nothing yet.
pub(super) fn stage(
    journal: &mut Journal<'_>,
    changes: &[&Classified],
    contents: &Contents<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let private = make_private(journal).map_err(|error| named(journal, error, "the new files"))?;
    journal.private = Some(private);
    let to_move = journal.files.iter().filter(|file| is_to_move(file)).count();
    let sync = if to_move > SYNCED_ONE_BY_ONE {
        Sync::AllAtOnce
    } else {
        Sync::EachFile
    };
    for (index, one) in changes.iter().enumerate() {
        if let Some(reason) = cancel.reason() {
            return Err(ApplyError::Cancelled(reason).into());
        }
        if !is_to_move(&journal.files[index]) {
            continue;
        }
        let bytes = new_content(one, contents)?;
        match stage_path(journal, &journal.files[index], bytes.as_deref(), sync) {
            Ok(()) => {}
            Err(error) if is_of_one_path(&error) => {
                let file = &mut journal.files[index];
                file.state = FileState::Failed;
                file.error = Some(words(&error));
            }
            Err(error) => return Err(named(journal, error, &one.change.path)),
        }
    }
    if sync == Sync::AllAtOnce {
        file::sync_file_system(&journal::applies_dir(journal.store))?;
    }
    journal.sync_dirs()?;
    reserve(journal)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    EachFile,
    AllAtOnce,
}

fn make_private(journal: &Journal<'_>) -> io::Result<Arc<Dir>> {
    let applies = journal::applies_dir(journal.store);
    let kernel = journal.root.kernel();
    let dir = Arc::new(Dir::open(&applies, kernel)?);
    dir.spot(&journal.apply.id).create_dir(0o700)?;
    dir.sync()?;
    Ok(Arc::new(Dir::open(
        &applies.join(&journal.apply.id),
        kernel,
    )?))
}

/// The new content of a change, proved to be what was built; `None` for a deletion.
fn new_content(one: &Classified, contents: &Contents<'_>) -> Result<Option<Vec<u8>>> {
    let path = &one.change.path;
    let Some(target) = &one.change.target_hash else {
        return Ok(None);
    };
    let bytes = contents(&one.change).with_context(|| format!("reading the change of {path}"))?;
    match bytes {
        Some(bytes) if digest::sha256_hex(&bytes) == *target => Ok(Some(bytes)),
        Some(_) => bail!("the change of {path} is damaged in the plan's repository"),
        None => bail!("the change of {path} has no content in the plan's repository"),
    }
}

/// Writes the slot of a path, and the copy of its original where the slot is no place to keep it.
fn stage_path(
    journal: &Journal<'_>,
    file: &ApplyFile,
    bytes: Option<&[u8]>,
    sync: Sync,
) -> io::Result<()> {
    let mut original = None;
    if file.base_hash.is_some()
        && let Descent::Open(place) = journal.root.spot(&file.path)?
    {
        match place.open()? {
            Opened::File(opened, _) => original = Some(opened),
            // The last look before the writing sees it.
            Opened::Other(_) => return Ok(()),
        }
    }
    if let Some(bytes) = bytes {
        let slot = match (journal.slot(file)?, file.slot) {
            (Some(slot), _) => slot,
            // Its directory was moved away, which the last look sees.
            (None, SlotPlace::Beside) => return Ok(()),
            (None, SlotPlace::Private) => return Err(io::ErrorKind::NotFound.into()),
        };
        let staged = write_slot(journal, file, &slot, original.as_ref(), bytes)?;
        if sync == Sync::EachFile || file.slot == SlotPlace::Beside {
            sync_file(&staged)?;
        }
    }
    if file.slot == SlotPlace::Beside
        && let Some(original) = &mut original
    {
        let copy = journal.private_spot(file).ok_or(io::ErrorKind::NotFound)?;
        let mut copied = copy.create(0o600)?;
        let hash = content::hash(original, &mut copied)?;
        copy_attributes(original, &copied)?;
        if Some(hash) != file.base_hash {
            // Changed since it was classified, which the last look sees.
            return copy.remove();
        }
        if sync == Sync::EachFile {
            sync_file(&copied)?;
        }
    }
    Ok(())
}

fn write_slot(
    journal: &Journal<'_>,
    file: &ApplyFile,
    slot: &Spot,
    original: Option<&File>,
    bytes: &[u8],
) -> io::Result<File> {
    // Nobody else reads it before it has the permissions of what it replaces.
    let mode = if original.is_some() { 0o600 } else { 0o666 };
    let mut staged = slot.create(mode)?;
    staged.write_all(bytes)?;
    if let Some(original) = original {
        copy_attributes(original, &staged)?;
    } else if let Descent::Open(dir) = journal.root.dir(parent(&file.path))? {
        inherit_group(&dir, &staged)?;
    }
    Ok(staged)
}

fn sync_file(file: &File) -> io::Result<()> {
    crash_point("file.sync");
    file.sync_all()
}

/// Refuses to go on with a disk so full that the rows could not follow the files.
fn reserve(journal: &Journal<'_>) -> Result<()> {
    let dir = journal.store.dir();
    if fs_type::free_bytes(dir)? < RESERVE_BYTES {
        return Err(StoreError::Full(dir.to_owned()).into());
    }
    Ok(())
}

/// Names what an error happened to; a full disk by the name that callers know.
fn named(journal: &Journal<'_>, error: io::Error, what: &str) -> anyhow::Error {
    use io::ErrorKind as K;
    let is_full = matches!(
        error.kind(),
        K::StorageFull | K::QuotaExceeded | K::FileTooLarge
    );
    let error = anyhow::Error::new(error).context(format!("staging {what}"));
    if is_full {
        error.context(StoreError::Full(journal.store.dir().to_owned()))
    } else {
        error
    }
}
