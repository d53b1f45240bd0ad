//! The exit codes: stable, documented, and never 0 for contention.

use crate::platform::cancel::Reason;

/// How a command ended. Anything not listed here is a failure too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: done.
    Done,
    /// 1: failed; for `doctor`: problems remain.
    Failed,
    /// 2: usage.
    Usage,
    /// 3: edits were malformed or did not fit; the good ones stay pending.
    EditsFailed,
    /// 4: no model is configured.
    NoModel,
    /// 5: the model or its transport failed.
    ModelFailed,
    /// 6: the reply was cut off or filtered; what came is kept.
    CutOff,
    /// 7: files changed since they were read; a decision is needed.
    Drifted,
    /// 9: declined, or a confirmation was needed off a terminal.
    Declined,
    /// 10: partially completed; some files failed or were skipped.
    Partial,
    /// 69: this file system or environment is not safe; refused.
    Unsafe,
    /// 75: the lock was not acquired, or the queue is full: nothing was changed, safe to retry.
    NotAcquired,
    /// 79: the lock was lost while working; nothing was written after that.
    LockLost,
    /// 126: `exec` cannot run the command.
    CannotRun,
    /// 127: `exec` did not find the command.
    NotFound,
    /// 129: SIGHUP.
    HungUp,
    /// 130: SIGINT.
    Interrupted,
    /// 141: standard output was closed.
    OutputClosed,
    /// 143: SIGTERM, or stopped by `plandex stop`.
    Terminated,
    /// `exec`: the command's own code, or 128 + its signal.
    Command(u8),
}

impl ExitCode {
    /// Those that stand for themselves, by number; `exec` also ends with its command's own.
    pub(super) const ALL: [Self; 19] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::EditsFailed,
        Self::NoModel,
        Self::ModelFailed,
        Self::CutOff,
        Self::Drifted,
        Self::Declined,
        Self::Partial,
        Self::Unsafe,
        Self::NotAcquired,
        Self::LockLost,
        Self::CannotRun,
        Self::NotFound,
        Self::HungUp,
        Self::Interrupted,
        Self::OutputClosed,
        Self::Terminated,
    ];

    /// What it says, for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed; for `doctor`: problems remain",
            Self::Usage => "usage",
            Self::EditsFailed => "edits were malformed or did not fit; the good ones stay pending",
            Self::NoModel => "no model is configured, or the key was refused",
            Self::ModelFailed => "the model or its transport failed",
            Self::CutOff => "the reply was cut off or filtered; what came is kept",
            Self::Drifted => "files changed since they were read; a decision is needed",
            Self::Declined => "declined, or a confirmation was needed off a terminal",
            Self::Partial => "partially completed; some files failed or were skipped",
            Self::Unsafe => "this file system or environment is not safe; refused",
            Self::NotAcquired => {
                "the plan could not be had: nothing was changed, safe to retry (`exec -E N` says \
                 another number)"
            }
            Self::LockLost => {
                "the lock was lost while working; nothing was written after that: look before \
                 retrying"
            }
            Self::CannotRun => "`exec` cannot run the command",
            Self::NotFound => "`exec` did not find the command",
            Self::HungUp => "SIGHUP",
            Self::Interrupted => "SIGINT: out of the queue, lock released, partial reply kept",
            Self::OutputClosed => "standard output was closed",
            Self::Terminated => "SIGTERM, or stopped by `plandex stop`",
            Self::Command(_) => "the command's own exit code, or 128 + its signal",
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::EditsFailed => 3,
            Self::NoModel => 4,
            Self::ModelFailed => 5,
            Self::CutOff => 6,
            Self::Drifted => 7,
            Self::Declined => 9,
            Self::Partial => 10,
            Self::Unsafe => 69,
            Self::NotAcquired => 75,
            Self::LockLost => 79,
            Self::CannotRun => 126,
            Self::NotFound => 127,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::OutputClosed => 141,
            Self::Terminated => 143,
            Self::Command(code) => code,
        }
    }
}

impl From<Reason> for ExitCode {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Interrupted => Self::Interrupted,
            Reason::Terminated | Reason::Stopped | Reason::GivenUp => Self::Terminated,
            Reason::HungUp => Self::HungUp,
            Reason::LockLost => Self::LockLost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_are_listed_in_order() {
        let documented = include_str!("exit.rs").lines().filter_map(|line| {
            let (number, _) = line.strip_prefix("    /// ")?.split_once(": ")?;
            number.parse::<u8>().ok()
        });
        let listed: Vec<u8> = ExitCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(listed, documented.collect::<Vec<_>>());
        assert!(listed.is_sorted());
    }
}
