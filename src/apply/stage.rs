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
use super::write::{Contents, Progress};
use super::{ApplyError, Class, Classified, Turn, is_of_one_path, words};
use crate::platform::cancel::Cancel;
use crate::platform::crash::crash_point;
use crate::platform::root::{
    Descent, Dir, Opened, Spot, copy_attributes, inherit_group, set_program,
};
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
    undoes: Option<&str>,
) -> Result<Journal<'a>> {
    open_as(store, permit, turn, changes, (undoes, None))
}

fn open_as<'a>(
    store: &'a Store,
    permit: &WritePermit,
    turn: &'a Turn,
    changes: &[&Classified],
    (undoes, slot): (Option<&str>, Option<SlotPlace>),
) -> Result<Journal<'a>> {
    let branch_id = changes.first().map(|one| one.change.branch_id.clone());
    let apply = Apply {
        id: new_id(),
        plan_id: permit.proof().plan_id().to_owned(),
        branch_id: branch_id.unwrap_or_default(),
        ticket: permit.proof().ticket(),
        state: State::Open,
        created_at: clock::wall_ms(),
        undoes: undoes.map(str::to_owned),
    };
    let mut files = rows(store, turn, changes)?;
    if let Some(slot) = slot {
        files.iter_mut().for_each(|file| file.slot = slot);
    }
    store.write(permit, |tx| applies::open(tx, &apply, &files))?;
    Ok(Journal {
        store,
        lock: turn.lock(),
        root: turn.root(),
        apply,
        files,
        private: None,
        partners: partners(changes),
        unable: Vec::new(),
    })
}

/// As [`open`], for changes that are written through sudo.
pub(super) fn open_by_sudo<'a>(
    store: &'a Store,
    permit: &WritePermit,
    turn: &'a Turn,
    changes: &[&Classified],
) -> Result<Journal<'a>> {
    open_as(store, permit, turn, changes, (None, Some(SlotPlace::Sudo)))
}

/// By path: the other half of a file that is moved.
fn partners(changes: &[&Classified]) -> Vec<Option<usize>> {
    let mut partners = vec![None; changes.len()];
    let removed: HashMap<&str, usize> = changes
        .iter()
        .enumerate()
        .filter(|(_, one)| one.change.target_hash.is_none() && one.class != Class::Already)
        .map(|(index, one)| (one.change.path.as_str(), index))
        .collect();
    for (index, one) in changes.iter().enumerate() {
        let from = one.change.moved_from.as_deref();
        if let Some(source) = from.and_then(|from| removed.get(from))
            && one.class != Class::Already
        {
            (partners[index], partners[*source]) = (Some(*source), Some(index));
        }
    }
    partners
}

/// The marks of what is there and of what is to be there.
fn ends(one: &Classified) -> (Option<String>, Option<String>) {
    let (base, target) = (one.disk_hash.clone(), one.change.target_hash.clone());
    let (true, Some(stamp), Some(hash)) = (one.is_mode_only(), one.stamp, &target) else {
        return (base, target);
    };
    let is_program = stamp.is_program();
    let to_be = one.change.executable.unwrap_or(is_program);
    (
        Some(content::mark(hash, is_program)),
        Some(content::mark(hash, to_be)),
    )
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
        let (base_hash, target_hash) = ends(one);
        files.push(ApplyFile {
            number,
            change_id: one.change.id.clone(),
            path: path.to_owned(),
            base_hash,
            target_hash,
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
    (progress, cancel): (&Progress<'_>, &Cancel),
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
        let bytes = new_content(journal, one, contents)?;
        match stage_path(journal, index, one, (bytes.as_deref(), sync)) {
            Ok(()) => {}
            Err(error) if is_of_one_path(&error) => {
                let file = &mut journal.files[index];
                file.state = FileState::Failed;
                file.error = Some(words(&error));
            }
            Err(error) => return Err(named(journal, error, &one.change.path)),
        }
        progress.one_more();
    }
    journal.fail_halves();
    if sync == Sync::AllAtOnce {
        file::sync_file_system(&journal::applies_dir(journal.store))?;
    }
    journal.sync_slots()?;
    reserve(journal)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    EachFile,
    AllAtOnce,
}

pub(super) fn make_private(journal: &Journal<'_>) -> io::Result<Arc<Dir>> {
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
pub(super) fn new_content(
    journal: &Journal<'_>,
    one: &Classified,
    contents: &Contents<'_>,
) -> Result<Option<Vec<u8>>> {
    let path = &one.change.path;
    let Some(target) = &one.change.target_hash else {
        return Ok(None);
    };
    let bytes = match (&one.kept, &one.merged) {
        (Some(kept), _) => journal::read_kept(journal.store, kept)
            .with_context(|| format!("reading what {path} had"))?,
        (None, Some(merged)) => Some(merged.clone()),
        (None, None) => {
            contents(&one.change).with_context(|| format!("reading the change of {path}"))?
        }
    };
    let place = match one.kept {
        Some(_) => "among the originals",
        None => "in the plan's repository",
    };
    match bytes {
        Some(bytes) if digest::sha256_hex(&bytes) == *target => Ok(Some(bytes)),
        Some(_) => bail!("the change of {path} is damaged {place}"),
        None => bail!("the change of {path} has no content {place}"),
    }
}

/// The file whose owner, permissions and attributes the new content of a path gets, where that is
/// another one than it replaces.
fn pattern(journal: &Journal<'_>, one: &Classified) -> io::Result<Option<File>> {
    if let Some(kept) = &one.kept {
        return journal::open_kept(journal.store, kept);
    }
    let (None, Some(from)) = (&one.disk_hash, &one.change.moved_from) else {
        return Ok(None);
    };
    match journal.root.spot(from)? {
        Descent::Open(spot) => match spot.open()? {
            Opened::File(file, _) => Ok(Some(file)),
            Opened::Other(_) => Ok(None),
        },
        Descent::Missing | Descent::Refused(_) => Ok(None),
    }
}

/// Writes the slot of a path, and the copy of its original where the slot is no place to keep it.
fn stage_path(
    journal: &Journal<'_>,
    index: usize,
    one: &Classified,
    (bytes, sync): (Option<&[u8]>, Sync),
) -> io::Result<()> {
    let file = &journal.files[index];
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
            (None, SlotPlace::Private | SlotPlace::Sudo) => {
                return Err(io::ErrorKind::NotFound.into());
            }
        };
        let pattern = pattern(journal, one)?;
        let like = pattern.as_ref().or(original.as_ref());
        let staged = write_slot(journal, one, &slot, like, bytes)?;
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
    one: &Classified,
    slot: &Spot,
    like: Option<&File>,
    bytes: &[u8],
) -> io::Result<File> {
    // Nobody else reads it before it has the permissions of what it replaces.
    let mode = if like.is_some() { 0o600 } else { 0o666 };
    let mut staged = slot.create(mode)?;
    staged.write_all(bytes)?;
    if let Some(like) = like {
        copy_attributes(like, &staged)?;
    } else if let Descent::Open(dir) = journal.root.dir(parent(&one.change.path))? {
        inherit_group(&dir, &staged)?;
    }
    if let (Some(is_program), None) = (one.change.executable, &one.kept) {
        set_program(&staged, is_program)?;
    }
    Ok(staged)
}

pub(super) fn sync_file(file: &File) -> io::Result<()> {
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
pub(super) fn named(journal: &Journal<'_>, error: io::Error, what: &str) -> anyhow::Error {
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
