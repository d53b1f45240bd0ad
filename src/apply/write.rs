//! The writing of one apply, from its journal to the caller's rows.

use std::cell::Cell;
use std::collections::HashSet;

use anyhow::{Context as _, Result, anyhow};

use super::classify::parent;
use super::content;
use super::decide::reported;
use super::journal::{Journal, is_to_move};
use super::step::Step;
use super::{
    ApplyError, Class, Classified, Decision, Doing, OnConflict, OnFailure, Reported, Turn,
    is_of_one_path, journal, prune, stage, words,
};
use crate::platform::cancel::Cancel;
use crate::platform::root::{Descent, Entry, Kernel, Root, Spot, Stamp};
use crate::store::Store;
use crate::store::applies::{self, ApplyFile, FileState, State};
use crate::store::changes::Change;
use crate::store::tickets::WritePermit;

/// Reads the new content of a change from the plan's repository; `None` for a deletion.
pub type Contents<'c> = dyn Fn(&Change) -> Result<Option<Vec<u8>>> + 'c;

/// Ends an apply in the plan's rows: makes the new version and, in one fenced transaction, ends
/// the changes whose ids are given, which are in the project now, and the apply, as done.
pub type Commit<'c> = dyn FnMut(&str, &[String]) -> Result<()> + 'c;

/// What an apply did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Its id; `None` if there was nothing to do.
    pub id: Option<String>,
    /// The paths that have their new content now.
    pub written: Vec<String>,
    /// Those of them whose new content holds somebody's later change, too.
    pub merged: Vec<String>,
    /// The paths that had it before.
    pub already: Vec<String>,
    /// The paths that were left as they are, and why; their changes stay pending.
    pub skipped: Vec<Reported>,
    /// The paths that could not be written, and why; their changes stay pending.
    pub failed: Vec<Reported>,
    /// Of those that were written: somebody wrote to the original late, and where that is kept.
    pub kept: Vec<Reported>,
}

impl Applied {
    /// Whether rows of the plan followed the files.
    pub(super) fn has_followed(&self) -> bool {
        !(self.written.is_empty() && self.already.is_empty())
    }
}

/// Writes the changes of `decision` to the project, all or none, but for paths that cannot be
/// written by themselves ([`Applied::failed`]).
///
/// A file that changed since it was classified decides by [`super::Options::on_conflict`]: for
/// abort all is put back and the error is [`ApplyError::Changed`]; else that file stays the user's
/// and is reported as skipped. `commit` runs once, after all files are durable, if any change is
/// in place. If it fails the files stay new, and the plan's next write turn settles the rows
/// ([`applies::unsettled`]). `cancel` is heard until the first file is touched.
pub fn apply(
    store: &Store,
    permit: &WritePermit,
    turn: &Turn,
    decision: &Decision,
    contents: &Contents<'_>,
    commit: &mut Commit<'_>,
    cancel: &Cancel,
) -> Result<Applied> {
    let mut changes: Vec<&Classified> = decision.write.iter().chain(&decision.already).collect();
    if changes.is_empty() {
        return Ok(Applied {
            skipped: decision.skip.iter().map(reported).collect(),
            ..Applied::default()
        });
    }
    // Neighbours one after another: each directory is opened and synced once.
    changes.sort_by_key(|one| (parent(&one.change.path), one.change.path.as_str()));
    let mut journal = stage::open(store, permit, turn, &changes, decision.undoes.as_deref())?;
    let staging = Progress::of(turn, &journal, Doing::Staging);
    let prepared = stage::stage(&mut journal, &changes, contents, (&staging, cancel))
        .and_then(|()| look_again(&mut journal, &changes, decision.on_conflict))
        .and_then(|()| all_or_nothing(&journal, decision.on_failure))
        .and_then(|()| not_cancelled(cancel))
        .and_then(|()| start(&mut journal, permit));
    if let Err(error) = prepared {
        return Err(give_up(&mut journal, permit, error));
    }
    let progress = Progress::of(turn, &journal, Doing::Writing);
    let written = write_all(&mut journal, decision, &progress)
        .and_then(|()| all_or_nothing(&journal, decision.on_failure));
    if let Err(error) = written {
        return Err(give_up(&mut journal, permit, error));
    }
    let in_place: Vec<String> = journal
        .files
        .iter()
        .filter(|file| file.state == FileState::Written)
        .map(|file| file.change_id.clone())
        .collect();
    if in_place.is_empty() {
        let applied = applied(&journal, decision);
        journal.undo()?;
        store.write(permit, |tx| {
            applies::finish(tx, &journal.apply.id, State::Undone)
        })?;
        return Ok(applied);
    }
    journal
        .finish_files()
        .context("the files are written, but not yet on record")?;
    commit(&journal.apply.id, &in_place)
        .context("the files are written; the plan follows with its next operation")?;
    prune::prune(store, turn);
    Ok(applied(&journal, decision))
}

pub(super) fn applied(journal: &Journal<'_>, decision: &Decision) -> Applied {
    let mut skipped: Vec<Reported> = decision.skip.iter().map(reported).collect();
    skipped.extend(journal.reported(FileState::Left));
    let paths = |wanted: fn(&ApplyFile) -> bool| {
        journal
            .files
            .iter()
            .filter(|file| file.state == FileState::Written && wanted(file))
            .map(|file| file.path.clone())
            .collect()
    };
    Applied {
        id: Some(journal.apply.id.clone()),
        written: paths(is_to_move),
        merged: decision
            .write
            .iter()
            .filter(|one| one.merged.is_some())
            .map(|one| one.change.path.clone())
            .filter(|path| {
                let is_written =
                    |file: &ApplyFile| file.path == *path && file.state == FileState::Written;
                journal.files.iter().any(is_written)
            })
            .collect(),
        already: paths(|file| !is_to_move(file)),
        skipped,
        failed: journal.reported(FileState::Failed),
        kept: journal
            .reported(FileState::Written)
            .into_iter()
            .filter(|one| !one.why.is_empty())
            .collect(),
    }
}

fn not_cancelled(cancel: &Cancel) -> Result<()> {
    match cancel.reason() {
        Some(reason) => Err(ApplyError::Cancelled(reason).into()),
        None => Ok(()),
    }
}

/// Fails if a path did and that means everything.
fn all_or_nothing(journal: &Journal<'_>, on_failure: OnFailure) -> Result<()> {
    let failed = journal.reported(FileState::Failed);
    if on_failure == OnFailure::UndoAll && !failed.is_empty() {
        return Err(ApplyError::Failed(failed).into());
    }
    Ok(())
}

/// Records that files are touched from here on; its fence is the last look at the ticket.
fn start(journal: &mut Journal<'_>, permit: &WritePermit) -> Result<()> {
    let (id, files) = (&journal.apply.id, &journal.files);
    journal
        .store
        .write(permit, |tx| applies::start_writing(tx, id, files))?;
    journal.apply.state = State::Writing;
    Ok(())
}

/// Puts everything back because of `error`, and returns it.
fn give_up(journal: &mut Journal<'_>, permit: &WritePermit, error: anyhow::Error) -> anyhow::Error {
    let undone = if journal.apply.state == State::Open {
        journal.abandon()
    } else {
        journal.undo()
    };
    if let Err(undoing) = undone {
        return error.context(format!(
            "not all could be put back ({undoing:#}); the next apply does it"
        ));
    }
    // If the ticket is lost, the next write turn on the plan ends the row.
    drop(journal.store.write(permit, |tx| {
        applies::finish(tx, &journal.apply.id, State::Undone)
    }));
    if journal.unable.is_empty() {
        error
    } else {
        error.context(format!(
            "some files have their new content still: {}",
            super::list(&journal.unable)
        ))
    }
}

/// Looks at every path once more before the first is touched.
fn look_again(
    journal: &mut Journal<'_>,
    changes: &[&Classified],
    on_conflict: OnConflict,
) -> Result<()> {
    let mut changed = Vec::new();
    for (index, one) in changes.iter().enumerate() {
        if journal.files[index].state == FileState::Failed {
            continue;
        }
        let seen = match journal.root.spot(&one.change.path) {
            Ok(Descent::Open(spot)) => look_at(&spot, one),
            Ok(Descent::Missing) if one.disk_hash.is_none() => Ok(Seen::AsBefore),
            Ok(Descent::Missing) => Ok(Seen::Changed("is gone".to_owned())),
            Ok(Descent::Refused(why)) => Ok(Seen::Changed(format!("was moved: {why}"))),
            Err(error) => Err(error),
        };
        let file = &mut journal.files[index];
        (file.state, file.error) = match seen {
            Ok(Seen::AsBefore) => continue,
            Ok(Seen::Changed(why)) => {
                changed.push(Reported {
                    path: file.path.clone(),
                    why: why.clone(),
                });
                (FileState::Left, Some(why))
            }
            Ok(Seen::ReadOnly) => (FileState::Failed, Some(READ_ONLY.to_owned())),
            Err(error) if is_of_one_path(&error) => (FileState::Failed, Some(words(&error))),
            Err(error) => {
                return Err(error).with_context(|| format!("looking at {}", file.path));
            }
        };
    }
    if is_abort(on_conflict) && !changed.is_empty() {
        return Err(ApplyError::Changed(changed).into());
    }
    journal.fail_halves();
    Ok(())
}

/// Whether a file that changes meanwhile ends the apply. One that was to be merged is one that
/// nobody has seen merged.
fn is_abort(on_conflict: OnConflict) -> bool {
    match on_conflict {
        OnConflict::Abort | OnConflict::Merge => true,
        OnConflict::Skip | OnConflict::Overwrite => false,
    }
}

enum Seen {
    AsBefore,
    Changed(String),
    ReadOnly,
}

fn look_at(spot: &Spot, one: &Classified) -> std::io::Result<Seen> {
    let stamp = match (spot.look()?, &one.disk_hash) {
        (Entry::Absent, None) => return Ok(Seen::AsBefore),
        (Entry::File(stamp), Some(_)) => stamp,
        (Entry::Absent, Some(_)) => return Ok(Seen::Changed("is gone".to_owned())),
        (_, None) => return Ok(Seen::Changed("exists".to_owned())),
        (_, Some(_)) => return Ok(Seen::Changed("is not a regular file any more".to_owned())),
    };
    // Its facts are enough where they are the same: what comes out is read in any case.
    if one.stamp != Some(stamp) && !content::read(spot)?.0.is(one.disk_hash.as_deref()) {
        return Ok(Seen::Changed("was changed".to_owned()));
    }
    if one.class == Class::Already {
        return Ok(Seen::AsBefore);
    }
    if stamp.links > 1 {
        return Ok(Seen::Changed("got a second name (hard link)".to_owned()));
    }
    Ok(match obstacle(spot, &stamp) {
        true => Seen::ReadOnly,
        false => Seen::AsBefore,
    })
}

/// Whether the file is not to be written. A rename would not ask; a file that nobody may write to is
/// not to be replaced either.
fn obstacle(spot: &Spot, stamp: &Stamp) -> bool {
    stamp.mode & 0o222 == 0 || !spot.is_writable()
}

/// What of the paths that are to be written would fail, and why, as far as that can be seen without
/// writing: for who only wants to know.
pub fn foresee(root: &std::path::Path, decision: &Decision) -> Result<Vec<Reported>> {
    let opened =
        Root::open(root, Kernel::Current).with_context(|| format!("opening {}", root.display()))?;
    let mut failing = Vec::new();
    for one in &decision.write {
        let path = &one.change.path;
        let why = foreseen(&opened, one).with_context(|| format!("looking at {path}"))?;
        failing.extend(why.map(|why| Reported {
            path: path.clone(),
            why,
        }));
    }
    let out: HashSet<String> = failing.iter().map(|one| one.path.clone()).collect();
    let moved: Vec<(&String, &String)> = decision
        .write
        .iter()
        .filter_map(|one| Some((&one.change.path, one.change.moved_from.as_ref()?)))
        .collect();
    for (to, from) in moved {
        let (half, other) = match (out.contains(to), out.contains(from)) {
            (true, false) => (from, to),
            (false, true) => (to, from),
            _ => continue,
        };
        let why = format!("stays, for \"{other}\" does");
        if decision.write.iter().any(|one| one.change.path == *half) {
            failing.push(Reported {
                path: half.clone(),
                why,
            });
        }
    }
    Ok(failing)
}

fn foreseen(root: &Root, one: &Classified) -> std::io::Result<Option<String>> {
    let path = &one.change.path;
    if let Descent::Open(spot) = root.spot(path)?
        && let Entry::File(stamp) = spot.look()?
        && obstacle(&spot, &stamp)
    {
        return Ok(Some(READ_ONLY.to_owned()));
    }
    let parents = root.existing_parents(path)?;
    Ok(match root.dir(journal::dirs(path)[parents])? {
        Descent::Open(dir) if !dir.is_writable() => Some("permission denied".to_owned()),
        Descent::Open(_) | Descent::Missing | Descent::Refused(_) => None,
    })
}

/// What is said of a file that nobody may write to.
pub(super) const READ_ONLY: &str = "is read-only";

/// Takes every path's step. An error means that all is to be undone.
fn write_all(
    journal: &mut Journal<'_>,
    decision: &Decision,
    progress: &Progress<'_>,
) -> Result<()> {
    let on_conflict = decision.on_conflict;
    let mut came_out: Vec<Option<Stamp>> = vec![None; journal.files.len()];
    for (index, came_out) in came_out.iter_mut().enumerate() {
        let file = &journal.files[index];
        if file.state != FileState::Planned {
            continue;
        }
        let (state, error) = match journal.step_forward(file) {
            Ok(Step::Done(stamp)) => {
                *came_out = stamp;
                (FileState::Written, None)
            }
            Ok(Step::Changed(why)) => (FileState::Left, Some(why)),
            Ok(Step::Kept(why)) => (FileState::Left, Some(journal.kept_in_slot(file, &why))),
            Err(error) if is_of_one_path(&error) => (FileState::Failed, Some(words(&error))),
            Err(error) => return Err(error).with_context(|| format!("writing {}", file.path)),
        };
        set(journal, index, state, error);
        progress.one_more();
        check(journal, on_conflict)?;
        if decision.on_failure == OnFailure::UndoAll {
            all_or_nothing(journal, decision.on_failure)?;
        }
    }
    for (index, stamp) in came_out.into_iter().enumerate() {
        if let Some(stamp) = stamp {
            take_late_write_back(journal, index, &stamp)?;
            check(journal, on_conflict)?;
        }
    }
    take_halves_back(journal)
}

/// Takes the written half of a moved file back whose other half could not be written.
fn take_halves_back(journal: &mut Journal<'_>) -> Result<()> {
    for index in 0..journal.files.len() {
        let Some(partner) = journal.partners[index] else {
            continue;
        };
        let is_out = matches!(
            journal.files[partner].state,
            FileState::Failed | FileState::Left
        );
        if !is_out || journal.files[index].state != FileState::Written {
            continue;
        }
        let file = &journal.files[index];
        let back = journal
            .step_back(file)
            .with_context(|| format!("putting {} back", file.path))?;
        let why = match back {
            Step::Done(_) => format!("stays, for \"{}\" does", journal.files[partner].path),
            Step::Changed(why) => why,
            Step::Kept(why) => journal.kept_in_slot(file, &why),
        };
        set(journal, index, FileState::Failed, Some(why));
    }
    Ok(())
}

/// Who is told how far an apply is.
pub(super) struct Progress<'t> {
    turn: &'t Turn,
    doing: Doing,
    total: usize,
    done: Cell<usize>,
}

impl<'t> Progress<'t> {
    /// Nothing is done yet of what is planned.
    pub(super) fn of(turn: &'t Turn, journal: &Journal<'_>, doing: Doing) -> Self {
        let planned = |file: &&ApplyFile| file.state == FileState::Planned;
        Self {
            turn,
            doing,
            total: journal.files.iter().filter(planned).count(),
            done: Cell::new(0),
        }
    }

    /// One more path is done.
    pub(super) fn one_more(&self) {
        self.done.set(self.done.get() + 1);
        self.turn.tell(self.doing, self.done.get(), self.total);
    }
}

/// Puts the original back if somebody who had it open wrote to it after it was swapped out.
fn take_late_write_back(journal: &mut Journal<'_>, index: usize, stamp: &Stamp) -> Result<()> {
    let file = &journal.files[index];
    let looked = journal
        .slot(file)
        .and_then(|slot| slot.map_or(Ok(Entry::Absent), |slot| slot.look()));
    let now = looked.with_context(|| format!("looking at the original of {}", file.path))?;
    if !matches!(now, Entry::File(now) if !now.has_content_of(stamp)) {
        return Ok(());
    }
    let back = journal
        .step_back(file)
        .with_context(|| format!("putting {} back", file.path))?;
    match back {
        Step::Done(_) => set(
            journal,
            index,
            FileState::Left,
            Some("was changed".to_owned()),
        ),
        // The place is not ours any more: it stays, and so does what they wrote.
        Step::Changed(why) | Step::Kept(why) => {
            let why = journal.kept_in_slot(file, &why);
            set(journal, index, FileState::Written, Some(why));
        }
    }
    Ok(())
}

fn set(journal: &mut Journal<'_>, index: usize, state: FileState, error: Option<String>) {
    let file = &mut journal.files[index];
    (file.state, file.error) = (state, error);
}

/// Stops the writing if a file changed meanwhile and that calls for abort.
fn check(journal: &Journal<'_>, on_conflict: OnConflict) -> Result<()> {
    if !is_abort(on_conflict) {
        return Ok(());
    }
    let left = journal.reported(FileState::Left);
    if !left.is_empty() {
        return Err(anyhow!(ApplyError::Changed(left)));
    }
    Ok(())
}
