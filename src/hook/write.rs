//! One entry, appended whole.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::platform::file;
use crate::platform::file_lock::{self, Attempt};

/// How long a log's lock is waited for: a host gives all its hooks at an end 1.5 s together.
pub const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How an entry got into its log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Appended {
    /// Under the lock; a torn last line was closed off first.
    Locked,
    /// Without the lock, in one append that repaired nothing, for the reason given.
    Unlocked(String),
}

/// Appends `entry` to the log `path` as one line of JSON, and makes it durable.
///
/// The log and the directory that it is in are made if they are missing. The log is locked (flock,
/// as SEED.md B.7 does) for at most [`LOCK_WAIT`]; then the line is appended all the same, which the
/// answer says. A last line without its end, left by a writer that died, is closed off first, so
/// that it spoils no other. Fails, with the path, if the line did not get to the disk whole; a link
/// is never followed.
pub fn write_log_entry_atomic(path: &Path, entry: &impl Serialize) -> Result<Appended> {
    let mut line = serde_json::to_vec(entry).context("making a line of JSON")?;
    line.push(b'\n');
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("creating {}", dir.display()))?;
    }
    let log = file::open_log(path)?;
    let appended = match file_lock::exclusive_within(&log, LOCK_WAIT) {
        Ok(Attempt::Locked) => {
            if is_torn(&log).with_context(|| format!("reading the end of {}", path.display()))? {
                line.insert(0, b'\n');
            }
            Appended::Locked
        }
        Ok(Attempt::WouldBlock) => Appended::Unlocked(held(path)),
        // A file system without locks: there is nobody that they would keep out.
        Err(error) => Appended::Unlocked(format!("{} cannot be locked: {error}", path.display())),
    };
    let is_new = log.metadata().is_ok_and(|metadata| metadata.len() == 0);
    append(&log, &line).with_context(|| format!("writing to {}", path.display()))?;
    file::sync_file(&log, path)?;
    if let (true, Some(dir)) = (is_new, path.parent()) {
        file::sync_dir(dir)?;
    }
    if appended == Appended::Locked {
        // Closing the file gives it back as well.
        file_lock::unlock(&log).ok();
    }
    Ok(appended)
}

/// One call in all but a disk that fills up; what it left of the line then, the next writer closes off.
fn append(mut log: &File, line: &[u8]) -> std::io::Result<()> {
    log.write_all(line)?;
    log.flush()
}

/// Whether the last byte is not the end of a line.
fn is_torn(log: &File) -> std::io::Result<bool> {
    let length = log.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(at) = length.checked_sub(1) {
        log.read_at(&mut last, at)?;
    }
    Ok(last != [b'\n'])
}

fn held(path: &Path) -> String {
    let who = match file_lock::holder(path) {
        Some(pid) => format!(" by pid {pid}"),
        None => String::new(),
    };
    format!(
        "the lock on {} is held{who} for more than {} s",
        path.display(),
        LOCK_WAIT.as_secs()
    )
}
