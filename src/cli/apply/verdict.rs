//! What the errors of an apply mean to whoever called: exit code, word, next command.

use crate::apply::git::GitError;
use crate::apply::{ApplyError, NotUndoable, Unknown};
use crate::cli::exit::ExitCode;

/// The verdict on an error.
pub(in crate::cli) type Verdict = (ExitCode, &'static str, &'static str);

/// Of an apply.
pub(in crate::cli) fn verdict(error: &ApplyError) -> Verdict {
    match error {
        ApplyError::Conflicts(_) | ApplyError::Changed(_) => (
            ExitCode::Drifted,
            "conflict",
            "nothing was written; look with `plandex diff`, then `plandex apply --on-conflict \
             skip` or `overwrite`, or `plandex tell` again",
        ),
        ApplyError::Failed(_) => (
            ExitCode::Failed,
            "apply_failed",
            "nothing was written; without `--atomic` the others are, and `plandex apply \
             --retry-failed` tries these again",
        ),
        ApplyError::Busy(_) => (
            ExitCode::NotAcquired,
            "lock_timeout",
            "nothing was written; try again",
        ),
        ApplyError::Cancelled(reason) => (ExitCode::from(*reason), "cancelled", ""),
    }
}

/// Of an undo.
pub(in crate::cli) fn not_undoable(error: &NotUndoable) -> Verdict {
    match error {
        NotUndoable::Nothing => (
            ExitCode::Failed,
            "nothing_to_undo",
            "what the newest 5 applies of the project replaced is kept",
        ),
        NotUndoable::Unknown(_) | NotUndoable::Ambiguous(_) => (
            ExitCode::Usage,
            "no_apply",
            "`plandex apply --undo` takes back the last one; ids are in `plandex apply --json`",
        ),
    }
}

/// Of a word that means no pending file.
pub(in crate::cli) fn unknown(_: &Unknown) -> Verdict {
    (
        ExitCode::Usage,
        "no_pending_file",
        "nothing was changed; list them with `plandex status`",
    )
}

/// Of a repository that is not there; what git says later is told with the files.
pub(in crate::cli) fn git(error: &GitError) -> Verdict {
    let hint = match error {
        GitError::NoRepository => "nothing was written; leave --commit out, or `git init` first",
        GitError::NoGit(_)
        | GitError::Locked(_)
        | GitError::Unrecorded(_)
        | GitError::Refused { .. } => {
            "nothing was written; leave --commit out, or look with `git status`"
        }
    };
    (ExitCode::Failed, "git", hint)
}
