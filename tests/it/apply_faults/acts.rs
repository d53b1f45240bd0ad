//! What is done to a command at one of its system calls, and how it went.
#![cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "nothing is traced there")
)]

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

/// What is done to a command. Its calls are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    Watch,
    /// SIGKILL before this call; what was before it is done.
    KillBefore(usize),
    /// SIGKILL once this call is done.
    KillAfter(usize),
    /// This call alone fails.
    Fail(usize, Fault),
    /// This call fails and all after it.
    FailFrom(usize, Fault),
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// EIO.
    Broken,
    /// ENOSPC.
    Full,
}

/// How a command went.
#[derive(Debug)]
pub(super) struct Traced {
    /// The calls that change something outside of the process, in order, as far as it came.
    pub(super) calls: Vec<String>,
    pub(super) status: ExitStatus,
    pub(super) output: String,
}

impl Traced {
    pub(super) fn was_killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL)
    }
}
