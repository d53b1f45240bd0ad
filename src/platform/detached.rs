//! Going on apart from the terminal: a session of one's own, and nothing of anybody else's.

use std::os::fd::BorrowedFd;

use super::process::stat;

/// Leaves the terminal and the process group that this process was started in: no Ctrl-C and no
/// hang-up reaches it from there.
pub fn begin_session() {
    // Only a group's leader cannot, and whoever is started to go on alone is none.
    rustix::process::setsid().ok();
}

/// Whether process `pid` that started at `start_ticks` runs apart from any terminal, in a session of
/// its own.
pub fn is_detached(pid: u32, start_ticks: i64) -> bool {
    stat(pid)
        .is_some_and(|stat| stat.start_ticks == start_ticks && stat.session == pid && stat.tty == 0)
}

/// The pid of whoever started this process, or of who took its place.
pub fn parent() -> Option<u32> {
    rustix::process::getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
}

/// Keeps what this process inherited, but for its three streams, from programs that it starts:
/// descriptors that would make them somebody's, such as the owner file that `exec` hands down.
#[expect(
    unsafe_code,
    reason = "a descriptor that nobody here owns can only be named"
)]
pub fn hand_down_nothing() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2) {
        // SAFETY: the descriptor is not used beyond this call, which changes a flag of it; one that
        // is closed by now is refused.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_starts_is_not_detached() {
        let us = std::process::id();
        let stat = stat(us).unwrap();
        let is_leader = stat.session == us && stat.tty == 0;
        assert_eq!(is_detached(us, stat.start_ticks), is_leader);
        assert!(!is_detached(us, stat.start_ticks + 1));
        assert_eq!(parent(), Some(stat.parent));
    }
}
