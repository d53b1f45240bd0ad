//! Whole-file locks of the kernel (flock): proof of life, and the gate.
//!
//! `fs2` and std's own `File::lock` have methods of the same names with other error types; only
//! this file names `fs2`, and by path. The lock belongs to the open file description: it is free
//! when every descriptor of it is closed, whatever ended the process.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use super::clock;

/// Between the first two attempts at a lock that is waited for with a limit.
const FIRST_PAUSE: Duration = Duration::from_micros(500);
/// Between two later ones.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// What an attempt that does not wait came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The lock is held now.
    Locked,
    /// Somebody else holds a lock that excludes it.
    WouldBlock,
}

/// Tries to take the exclusive lock on `file`.
pub fn try_exclusive(file: &File) -> io::Result<Attempt> {
    attempt(fs2::FileExt::try_lock_exclusive(file))
}

/// Tries to take the shared lock on `file`.
pub fn try_shared(file: &File) -> io::Result<Attempt> {
    attempt(fs2::FileExt::try_lock_shared(file))
}

/// Waits for the exclusive lock on `file`.
pub fn exclusive(file: &File) -> io::Result<()> {
    fs2::FileExt::lock_exclusive(file)
}

/// Waits at most `limit` for the exclusive lock on `file`; `WouldBlock` if that was not enough.
///
/// It asks again and again: the kernel's own waiting has no limit, and a holder may be suspended.
pub fn exclusive_within(file: &File, limit: Duration) -> io::Result<Attempt> {
    let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    let begun = clock::monotonic_ms();
    let mut pause = FIRST_PAUSE;
    loop {
        if try_exclusive(file)? == Attempt::Locked {
            return Ok(Attempt::Locked);
        }
        if clock::monotonic_ms() - begun >= limit {
            return Ok(Attempt::WouldBlock);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Gives the lock on `file` back.
pub fn unlock(file: &File) -> io::Result<()> {
    fs2::FileExt::unlock(file)
}

/// Lets the programs that this process starts from now on keep the lock on `file` alive.
pub fn let_children_inherit(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?)
}

/// The pid of a process that holds the lock on `path`, from /proc/locks: for words to people.
pub fn holder(path: &Path) -> Option<u32> {
    let wanted = format!(":{}", std::fs::metadata(path).ok()?.ino());
    let table = std::fs::read_to_string("/proc/locks").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_wanted = fields.get(1) == Some(&"FLOCK") && fields.get(5)?.ends_with(&wanted);
        is_wanted.then(|| fields.get(4)?.parse().ok()).flatten()
    })
}

fn attempt(result: io::Result<()>) -> io::Result<Attempt> {
    match result {
        Ok(()) => Ok(Attempt::Locked),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Attempt::WouldBlock),
        Err(error) => Err(error),
    }
}

/// The exclusive lock on a directory: one for every name (link, bind mount) it is reached by.
#[derive(Debug)]
#[must_use]
pub struct DirLock {
    dir: File,
}

impl DirLock {
    /// Tries to take the lock on `dir`; `None` if somebody holds it.
    pub fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        Self::take_within(dir, Duration::ZERO)
    }

    /// Waits at most `limit` for the lock on `dir`; `None` if somebody held it all the while.
    pub fn take_within(dir: &Path, limit: Duration) -> io::Result<Option<Self>> {
        let dir = File::open(dir)?;
        Ok((exclusive_within(&dir, limit)? == Attempt::Locked).then_some(Self { dir }))
    }
}

impl AsFd for DirLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing the descriptor frees it too; this only makes it independent of duplicates.
        drop(unlock(&self.dir));
    }
}
