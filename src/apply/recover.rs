//! What an apply left that was killed: its files are finished or undone by whoever has the apply
//! lock next, whatever plan they work on.

use anyhow::{Context as _, Result};

use super::journal::{Journal, is_to_move};
use super::step::Step;
use super::{Reported, is_of_one_path, sudo, words};
use crate::platform::file_lock::DirLock;
use crate::platform::root::{Kernel, Root};
use crate::store::Store;
use crate::store::applies::{self, ApplyFile, FileState, State, UNDECIDED};

/// What became of the files of an apply that was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All are new.
    Finished,
    /// All are as they were.
    Undone,
}

/// An apply whose files were decided by recovery; its plan's rows follow with the plan's next
/// write turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The apply.
    pub id: String,
    /// The plan whose rows follow.
    pub plan_id: String,
    /// What became of its files.
    pub outcome: Outcome,
    /// Paths that somebody else changed: left as they are, and what is kept of them where.
    pub left: Vec<Reported>,
    /// Paths that could not be written, or not be put back, and why.
    pub failed: Vec<Reported>,
}

/// Finishes or undoes the files of every apply of the project that is undecided; `lock` is the
/// lock on the project's root. Killed anywhere inside, it can be run again; run again, it does
/// nothing.
///
/// Forward if every path that is not new yet has its recorded old content and its new one is
/// staged, else back. A path that has neither content is the user's: it is left and reported.
pub fn recover_files(store: &Store, lock: &DirLock) -> Result<Vec<Recovered>> {
    let root = Root::reopen(lock, Kernel::Current).context("opening the project")?;
    recover(store, lock, &root)
}

pub(super) fn recover(store: &Store, lock: &DirLock, root: &Root) -> Result<Vec<Recovered>> {
    let left = store.read(|tx| applies::standing(tx, UNDECIDED))?;
    left.into_iter()
        .map(|apply| {
            let id = apply.id.clone();
            let mut journal = Journal::load(store, lock, root, apply)?;
            decide(&mut journal).with_context(|| format!("recovering the apply {id}"))
        })
        .collect()
}

fn decide(journal: &mut Journal<'_>) -> Result<Recovered> {
    match journal.apply.state {
        State::Open => journal.abandon()?,
        State::Clearing => journal.finish_files()?,
        State::Writing | State::Undoing if sudo::is_by_sudo(journal) => sudo::judge(journal)?,
        State::Writing => {
            if !(can_be_finished(journal)? && finish(journal)?) {
                journal.undo()?;
            }
        }
        State::Undoing | State::FilesDone | State::FilesUndone | State::Done | State::Undone => {
            journal.undo()?;
        }
    }
    let outcome = if journal.apply.state == State::FilesDone {
        Outcome::Finished
    } else {
        Outcome::Undone
    };
    Ok(Recovered {
        id: journal.apply.id.clone(),
        plan_id: journal.apply.plan_id.clone(),
        outcome,
        left: journal.reported(FileState::Left),
        failed: journal.reported(FileState::Failed),
    })
}

/// Whether the path was still to be written when the writing began.
fn is_planned(file: &ApplyFile) -> bool {
    is_to_move(file) && file.state == FileState::Planned
}

fn can_be_finished(journal: &Journal<'_>) -> Result<bool> {
    for file in journal.files.iter().filter(|file| is_planned(file)) {
        let ends = match journal.ends(file) {
            Err(error) if is_of_one_path(&error) => return Ok(false),
            ends => ends.with_context(|| format!("looking at {}", file.path))?,
        };
        if !ends.found(file).can_go_on() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the steps that are not taken yet; `false` if a file changed under it, and all is to go
/// back.
fn finish(journal: &mut Journal<'_>) -> Result<bool> {
    use super::evidence::Found;
    for index in 0..journal.files.len() {
        let file = &journal.files[index];
        if !is_planned(file) {
            continue;
        }
        let found = journal.ends(file).map(|ends| ends.found(file));
        let step = match found {
            Ok(Found::Todo) => journal.step_forward(file),
            Ok(Found::Done | Found::Settled) => Ok(Step::Done(None)),
            Ok(Found::Swapped | Found::Changed) => return Ok(false),
            Err(error) => Err(error),
        };
        let (state, error) = match step {
            Ok(Step::Done(_)) => (FileState::Written, None),
            Ok(Step::Changed(_) | Step::Kept(_)) => return Ok(false),
            Err(error) if is_of_one_path(&error) => (FileState::Failed, Some(words(&error))),
            Err(error) => return Err(error).with_context(|| format!("writing {}", file.path)),
        };
        let file = &mut journal.files[index];
        (file.state, file.error) = (state, error);
    }
    journal.finish_files()?;
    Ok(true)
}
