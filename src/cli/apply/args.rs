//! What `apply` takes.

use clap::{Args, ValueEnum};

/// `plandex apply`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(in crate::cli) struct Apply {
    /// Only these pending files: paths, directories, quoted patterns ('src/**/*.rs'); else all.
    #[arg(value_name = "FILES")]
    pub(super) files: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Say what would be done and with which exit code; write nothing.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// What to do with files that changed since the change was built.
    #[arg(long, value_name = "WHAT")]
    pub(super) on_conflict: Option<Conflict>,
    /// Undo everything if a file cannot be written (exit 1).
    #[arg(long)]
    pub(super) atomic: bool,
    /// Only what failed in the last apply of the branch and is still pending.
    #[arg(long)]
    pub(super) retry_failed: bool,
    /// Write those of them that you may not write through sudo, one command a file.
    #[arg(long, requires = "retry_failed", conflicts_with = "atomic")]
    pub(super) sudo: bool,
    /// Bring back what the last apply of the branch (or ID) replaced; its changes are pending again.
    #[arg(
        long,
        value_name = "ID",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["files", "atomic", "retry_failed", "sudo", "commit", "message"]
    )]
    pub(super) undo: Option<String>,
    /// Commit what was written with git, and nothing else; else the setting auto-commit.
    #[arg(long, short)]
    pub(super) commit: bool,
    /// Do not commit, whatever the setting auto-commit says.
    #[arg(long, conflicts_with = "commit")]
    pub(super) skip_commit: bool,
    /// The commit's message; else the plan's name and the paths.
    #[arg(
        long,
        short,
        value_name = "TEXT",
        requires = "commit",
        allow_hyphen_values = true
    )]
    pub(super) message: Option<String>,
}

/// What to do with a file that changed since its change was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Conflict {
    /// Write nothing at all (exit 7).
    Abort,
    /// Leave it pending, write the others (exit 10).
    Skip,
    /// Replace the user's version, which is kept aside; --undo brings it back.
    Overwrite,
    /// Write both changes where they do not touch the same lines; else as abort.
    Merge,
}

const HELP: &str = "\
A file that is not what its change was built on is never overwritten unasked. Files are swapped in
one by one, and killed at any moment all are old or all are new: the next operation sees to it. One
that cannot be written (no permission, read-only) stays pending, and the others are written
(exit 10). Never written: a path through a symbolic link, a link, a device, a file with several
names (hard links), one that differs from another only by case. New content keeps mode, owner and
attributes, but for setuid; a moved file keeps those it had.

With --commit, files that had uncommitted changes of yours, and those that git ignores, are left
out of the commit. Hooks and signing are git's. If git does not commit, the files stay applied,
the index is as it was, and the exit code is 10, as it is if a file is left out. A locked repository is waited for (--wait).

--undo refuses files that changed since (exit 7); `--on-conflict skip` leaves those and brings the
others back. What the newest 5 applies of the project replaced is kept.

Files that tools run by themselves (.envrc, hooks, CI) and new programs are named before anybody
is asked; with -y they are written, with a warning.

Examples:
  plandex apply                              show, ask, write
  plandex apply -y 'src/**/*.rs' docs        without asking, some of them
  plandex apply --dry-run; echo $?           what would be done, and the exit code it would have
  plandex apply -y --on-conflict merge       both changes of a file, where they are apart
  plandex apply -y --atomic                  all or nothing, also without permission
  plandex apply --retry-failed --sudo        what could not be written, through sudo
  plandex apply -y --commit -m 'Fix login'   and a commit of just these files
  plandex apply --undo                       back again

Exit codes: 0 done; 1 failed, or --atomic undid it; 2 no such pending file; 7 files changed, a
decision is needed; 9 declined, or nobody to ask (use -y); 10 partially; 75 the plan is taken.";
