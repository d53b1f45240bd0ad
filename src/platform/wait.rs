//! Waiting for several descriptors at once, with a limit.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec};

/// Waits until one of `fds` is readable (or its other end is gone) or `limit` has passed.
///
/// Returns one flag a descriptor, all false when the time ran out or a signal came.
pub fn readable(fds: &[BorrowedFd<'_>], limit: Duration) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let limit = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    match rustix::event::poll(&mut polled, Some(&limit)) {
        Ok(_) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; fds.len()]),
        Err(error) => Err(error).context("waiting for a descriptor"),
    }
}

/// Whether the other end of `fd` (a pipe, a terminal) is gone. Never waits.
pub fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    // Nothing is asked for: an error and a hang-up are always told.
    let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut polled, Some(&now)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    #[test]
    fn a_pipe_without_a_reader_is_hung_up() {
        let (reader, writer) = std::io::pipe().unwrap();
        assert!(!super::is_hung_up(writer.as_fd()));
        drop(reader);
        assert!(super::is_hung_up(writer.as_fd()));
        let file = tempfile::tempfile().unwrap();
        assert!(!super::is_hung_up(file.as_fd()));
    }
}
