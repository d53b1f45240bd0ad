//! Which terminal a command was typed in, so that `cd` in one never retargets another.

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
