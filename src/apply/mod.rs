//! Pending changes become files of the project: all of them or none, and nothing of the user's
//! is ever overwritten unseen.
//!
//! The one hard rule: what stands at a path is never replaced, it is swapped out, and looked at
//! after it came out. What came out is the saved original; if it is not what the plan was built
//! on (or what the user agreed to lose), it goes back, whoever wrote it and when.
//!
//! The order of one apply, under the plan's write ticket and the project's apply lock
//! ([`Turn`]):
//!
//! 1. [`classify`] each path by hash: base at build, target, disk now; [`plan_writes`] decides.
//! 2. The journal is recorded ('open'); then everything is staged, each path in its *slot*, and
//!    made durable. No file of the project is touched until then: a full disk is met here.
//! 3. Every path is looked at once more, and the journal goes to 'writing' in a transaction that
//!    proves the ticket: a process that was replaced meanwhile ends here, having touched nothing.
//! 4. Path by path, slot and place are swapped (`step`): RENAME_EXCHANGE for a file that is to
//!    change, RENAME_NOREPLACE for a new one, a rename into the slot for one that goes.
//! 5. The directories are synced, the journal says 'files_done', the caller's transaction marks
//!    the changes applied and ends the journal.
//!
//! Killed anywhere, the next one to hold the apply lock reads from place and slot alone how far
//! each path came (`evidence`), and finishes or undoes (`recover`): no step is recorded by itself,
//! so none can be recorded wrongly. Rows follow under the plan's next write ticket.

mod back;
mod choose;
mod classify;
mod content;
mod decide;
mod evidence;
pub mod git;
mod journal;
mod leftovers;
mod merge;
mod offer;
mod prune;
mod recover;
mod run;
mod stage;
mod step;
mod sudo;
mod turn;
mod undo;
mod write;

use crate::platform::cancel::Reason;

pub use back::{NotUndoable, reversed, undo, undoable};
pub use choose::{Unknown, choose};
pub use classify::{Class, Classified, classify};
pub use decide::{Answer, Decision, OnConflict, OnFailure, Options, plan_writes};
pub use offer::offer_merges;
pub use recover::{Outcome, Recovered, recover_files};
pub use run::{Hand, run, settle, words_of};
pub use turn::{Doing, Turn};
pub use write::{Applied, Commit, Contents, apply, foresee};

/// A path and why it is in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported {
    /// The path in the project, with '/'.
    pub path: String,
    /// Why: a fragment that follows the path, "is read-only".
    pub why: String,
}

/// Why an apply did not happen; nothing of the project is changed by any of them.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Files are not what the changes were built on, and a decision is needed (exit 7).
    #[error("a decision is needed: {}", list(.0))]
    Conflicts(Vec<Reported>),
    /// Files changed while they were being written; all is as before (exit 7).
    #[error("files changed while they were being written, nothing was applied: {}", list(.0))]
    Changed(Vec<Reported>),
    /// Files could not be written, and that was to mean all of them; all is as before (exit 1).
    #[error("files could not be written, nothing was applied: {}", list(.0))]
    Failed(Vec<Reported>),
    /// Somebody else is writing to this project, and the wait for them is over (exit 75).
    #[error("{0} is writing to the files of this project")]
    Busy(String),
    /// The operation was told to end before it touched a file.
    #[error("cancelled before any file was touched")]
    Cancelled(Reason),
}

fn list(reported: &[Reported]) -> String {
    const SHOWN: usize = 5;
    let mut words: Vec<String> = reported
        .iter()
        .take(SHOWN)
        .map(|one| format!("{} {}", one.path, one.why))
        .collect();
    if reported.len() > SHOWN {
        words.push(format!("and {} more", reported.len() - SHOWN));
    }
    words.join("; ")
}

/// Whether an error is of the one path only, so that the others can go on: permission, a read-only
/// or lacking file system, a name it does not take. A full disk or a broken one is everybody's.
fn is_of_one_path(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        error.kind(),
        K::PermissionDenied
            | K::ReadOnlyFilesystem
            | K::InvalidFilename
            | K::InvalidInput
            | K::ResourceBusy
            | K::ExecutableFileBusy
            | K::CrossesDevices
            | K::TooManyLinks
            | K::NotADirectory
            | K::IsADirectory
            | K::DirectoryNotEmpty
            | K::Unsupported
    )
}

/// The words of an error for people, without the number that Rust adds.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

#[cfg(test)]
mod tests;
