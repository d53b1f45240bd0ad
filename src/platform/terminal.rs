//! Which terminal a command was typed in, so that `cd` in one never retargets another; how wide.

use std::os::fd::BorrowedFd;

use super::process;

/// The terminal session of this process: its controlling terminal with the session leader's pid
/// and start time; `None` without a controlling terminal (a script in CI, a daemon).
pub fn session() -> Option<String> {
    let stat = process::stat(std::process::id())?;
    if stat.tty == 0 {
        return None;
    }
    let leader = process::stat(stat.session)?;
    Some(format!(
        "tty{}-{}-{}",
        stat.tty, stat.session, leader.start_ticks
    ))
}

/// The width of the terminal behind `fd` in columns; `None` if it is no terminal or has no size.
pub fn columns(fd: BorrowedFd<'_>) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// The height of the terminal behind `fd` in rows; `None` if it is no terminal or has no size.
pub fn rows(fd: BorrowedFd<'_>) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    (size.ws_row > 0).then_some(usize::from(size.ws_row))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    #[test]
    fn what_is_no_terminal_has_no_width() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(super::columns(reader.as_fd()), None);
    }
}
