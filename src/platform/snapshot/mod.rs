//! Reading one version of a file that somebody else may be writing, and nothing outside a tree.
//!
//! A body is trusted when the file was *quiet* before the read (its change time lies further back
//! than a writer can be held up in the middle of one write) and its size, times and identity are
//! the same after it. Without the first half the second proves nothing: the kernel's time stamps
//! stand still for a clock tick, so a write in the same tick leaves no trace. What cannot be seen
//! is a writer that pauses between two of its own writes; only a lock would tell.
//!
//! Paths are resolved beneath the tree's root, through no symbolic link, by the kernel where it
//! can (openat2). Only regular files are opened, and never in a way that could block (HAZARDS.md
//! H14).

use std::fs::{File, FileType, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::cancel::Cancel;

/// How long a file must not have changed before its content is believed to be whole.
const QUIET: Duration = Duration::from_millis(50);
/// The same where time stamps have whole seconds only; FAT's have two.
const QUIET_COARSE: Duration = Duration::from_millis(2050);
/// How often a file that changes is tried.
const TRIES: u32 = 5;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

impl FileKind {
    /// The kind that a directory entry or a file's metadata tells.
    pub fn of(kind: FileType) -> Self {
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            Self::Symlink
        } else if kind.is_fifo() {
            Self::Fifo
        } else if kind.is_socket() {
            Self::Socket
        } else {
            Self::Device
        }
    }

    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
            Self::Device => "device",
        }
    }
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The whole content.
    pub bytes: Vec<u8>,
    /// The modification time that belongs to it, in nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// Why no version of a file could be read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// Something else stands there; it was not opened.
    #[error("a {}", .0.word())]
    NotAFile(FileKind),
    /// It is longer than the limit; it was not read.
    #[error("{bytes} bytes")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// It changed in every one of several tries.
    #[error("it keeps changing")]
    Changing,
    /// The caller's flag was set.
    #[error("cancelled")]
    Cancelled,
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A directory beneath which files are read.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the directory `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            root: rustix::fs::open(path, flags, Mode::empty())?,
        })
    }

    /// Reads one version of the regular file `relative`, of at most `limit` bytes.
    ///
    /// Waits a fraction of a second for a file that was written a moment ago. A file that
    /// is too large is refused by its size, unread.
    pub fn read(&self, relative: &Path, limit: u64, cancel: &Cancel) -> Result<Version, Unread> {
        // Looked at before it is opened: opening a device can have an effect. As strictly as it is
        // opened: a name below a link is an error, never one that is free for a new file.
        let look = open_beneath(self.root.as_fd(), relative, LOOK)?;
        check(&look.metadata()?, limit)?;
        drop(look);
        for _ in 0..TRIES {
            let file = open_beneath(self.root.as_fd(), relative, READ)?;
            let before = file.metadata()?;
            check(&before, limit)?;
            if let Some(pause) = time_until_quiet(&before, now_ns()) {
                wait(pause, cancel)?;
                continue;
            }
            let bytes = read_through(&file, before.len())?;
            let after = file.metadata()?;
            if same_version(&before, &after) && bytes.len() as u64 == after.len() {
                return Ok(Version {
                    bytes,
                    mtime_ns: mtime_ns(&after),
                });
            }
        }
        Err(Unread::Changing)
    }
}

fn check(meta: &Metadata, limit: u64) -> Result<(), Unread> {
    let kind = FileKind::of(meta.file_type());
    if kind != FileKind::File {
        return Err(Unread::NotAFile(kind));
    }
    if meta.len() > limit {
        return Err(Unread::TooLarge { bytes: meta.len() });
    }
    Ok(())
}

fn read_through(file: &File, expected: u64) -> io::Result<Vec<u8>> {
    let room = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(room.saturating_add(1));
    // One byte more than expected shows that it grew.
    file.take(expected + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn same_version(before: &Metadata, after: &Metadata) -> bool {
    let facts = |meta: &Metadata| {
        (
            (meta.dev(), meta.ino(), meta.len()),
            (meta.mtime(), meta.mtime_nsec()),
            (meta.ctime(), meta.ctime_nsec()),
        )
    };
    facts(before) == facts(after)
}

/// How long to wait until a write that is still going on must show; `None` if it must already.
fn time_until_quiet(meta: &Metadata, now_ns: i64) -> Option<Duration> {
    // The change time, because a writer can set the modification time to anything.
    let changed_ns = nanoseconds(meta.ctime(), meta.ctime_nsec());
    let quiet = if meta.ctime_nsec() == 0 {
        QUIET_COARSE
    } else {
        QUIET
    };
    let quiet_ns = i64::try_from(quiet.as_nanos()).unwrap_or(i64::MAX);
    let age_ns = now_ns.saturating_sub(changed_ns);
    // A change time far ahead is from before the clock was set back: a write now differs from it.
    let is_recent = (-quiet_ns..quiet_ns).contains(&age_ns);
    is_recent.then(|| Duration::from_nanos((quiet_ns - age_ns).unsigned_abs()))
}

fn wait(pause: Duration, cancel: &Cancel) -> Result<(), Unread> {
    // Woken early by a signal: the caller looks at the clock again.
    super::wait::readable(&[cancel.as_fd()], pause).map_err(io::Error::other)?;
    if cancel.is_set() {
        return Err(Unread::Cancelled);
    }
    Ok(())
}

/// Now. File times lag behind by up to a clock tick, which [`QUIET`] exceeds several times.
fn now_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    nanoseconds(now.tv_sec, now.tv_nsec)
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// The modification time of `meta` in nanoseconds since 1970.
pub fn mtime_ns(meta: &Metadata) -> i64 {
    nanoseconds(meta.mtime(), meta.mtime_nsec())
}

/// NONBLOCK: a file that became a named pipe a moment ago must not hang us.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::NOFOLLOW);

/// Looks without opening: the device behind it is not asked.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn open_beneath(root: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> io::Result<File> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve) {
        Ok(file) => Ok(File::from(file)),
        // An old kernel, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_by_components(root, relative, flags),
        Err(error) => Err(error.into()),
    }
}

/// The same without openat2: one directory after the other, none of them through a link.
fn open_by_components(root: BorrowedFd<'_>, relative: &Path, flags: OFlags) -> io::Result<File> {
    let outside = || io::Error::from(Errno::XDEV);
    let name = relative.file_name().ok_or_else(outside)?;
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut above: Option<OwnedFd> = None;
    for component in relative.parent().unwrap_or(Path::new("")).components() {
        let Component::Normal(component) = component else {
            return Err(outside());
        };
        let at = above.as_ref().map_or(root, |fd| fd.as_fd());
        above = Some(rustix::fs::openat(at, component, directory, Mode::empty())?);
    }
    let at = above.as_ref().map_or(root, |fd| fd.as_fd());
    Ok(File::from(rustix::fs::openat(
        at,
        name,
        flags,
        Mode::empty(),
    )?))
}

#[cfg(test)]
mod tests;
