//! Open directories and the names in them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::Kernel;
use crate::platform::crash::crash_point;

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    pub(super) fd: OwnedFd,
    pub(super) kernel: Kernel,
}

/// A name in an open directory, whether or not something has it.
#[derive(Debug, Clone)]
pub struct Spot {
    pub(super) dir: Arc<Dir>,
    pub(super) name: String,
}

/// What has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Stamp),
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A FIFO, a socket or a device.
    Special,
}

/// The facts of a regular file that show whether it was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The device.
    pub dev: u64,
    /// The inode on it.
    pub inode: u64,
    /// How many names it has.
    pub links: u64,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Its length in bytes.
    pub size: u64,
    /// When its content was last changed, in nanoseconds of wall time.
    pub mtime_ns: i128,
    /// When anything of it was last changed, in nanoseconds of wall time.
    pub ctime_ns: i128,
}

impl Stamp {
    /// Whether its owner may run it, which is what git calls executable.
    pub fn is_program(&self) -> bool {
        self.mode & 0o100 != 0
    }

    /// Whether nobody wrote to the file between the two looks, whatever else was done with it.
    pub fn has_content_of(&self, other: &Self) -> bool {
        let facts = |stamp: &Self| (stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns);
        facts(self) == facts(other)
    }
}

/// A regular file that was opened for reading, or what was there instead.
#[derive(Debug)]
pub enum Opened {
    /// The file and its facts at that moment.
    File(File, Stamp),
    /// No regular file.
    Other(Entry),
}

/// Where renames and links between two directories work: one mount of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mount {
    dev: u64,
    /// 0 where the kernel does not tell.
    id: u64,
}

/// How a directory is opened: never through a link.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Dir {
    /// Opens the directory `path`: a root, or one of ours.
    pub fn open(path: &Path, kernel: Kernel) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, kernel })
    }

    /// The name `name` in this directory.
    pub fn spot(self: &Arc<Self>, name: &str) -> Spot {
        debug_assert!(
            !name.is_empty() && !name.contains('/'),
            "{name:?} is no name"
        );
        Spot {
            dir: Arc::clone(self),
            name: name.to_owned(),
        }
    }

    /// The names in this directory, those that are not Unicode left out.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether this process may make and remove names in this directory.
    pub fn is_writable(&self) -> bool {
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::accessat(&self.fd, ".", wanted, AtFlags::EACCESS).is_ok()
    }

    /// Makes the names in this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        crash_point("dir.sync");
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// The user and the group that own it.
    pub fn owner(&self) -> io::Result<(u32, u32)> {
        let facts = rustix::fs::fstat(&self.fd)?;
        Ok((facts.st_uid, facts.st_gid))
    }

    /// Where renames to and from this directory work.
    pub fn mount(&self) -> io::Result<Mount> {
        let dev = rustix::fs::fstat(&self.fd)?.st_dev;
        let asked = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        let id = asked
            .ok()
            .filter(|facts| {
                StatxFlags::from_bits_retain(facts.stx_mask).contains(StatxFlags::MNT_ID)
            })
            .map_or(0, |facts| facts.stx_mnt_id);
        Ok(Mount { dev, id })
    }

    pub(super) fn identity(&self) -> io::Result<(u64, u64)> {
        let facts = rustix::fs::fstat(&self.fd)?;
        Ok((facts.st_dev, facts.st_ino))
    }

    pub(super) fn open_dir(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(&self.fd, name, DIRECTORY, Mode::empty())
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Spot {
    /// The directory that the name is in.
    pub fn dir(&self) -> &Arc<Dir> {
        &self.dir
    }

    /// The name beside this one that is called so with `suffix`.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        self.dir.spot(&format!("{}{suffix}", self.name))
    }

    /// What has the name now; a link is not followed.
    pub fn look(&self) -> io::Result<Entry> {
        match rustix::fs::statat(&self.dir.fd, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(facts) => Ok(entry(&facts)),
            Err(Errno::NOENT) => Ok(Entry::Absent),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the file for reading if it is a regular one. Neither follows a link nor waits for
    /// the other end of a FIFO.
    pub fn open(&self) -> io::Result<Opened> {
        match self.look()? {
            Entry::File(_) => self.open_seen(),
            other @ (Entry::Absent | Entry::Symlink | Entry::Directory | Entry::Special) => {
                Ok(Opened::Other(other))
            }
        }
    }

    /// As [`Self::open`], of what was a regular file a moment ago.
    pub(super) fn open_seen(&self) -> io::Result<Opened> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.dir.fd, &self.name, flags, Mode::empty()) {
            Ok(fd) => fd,
            // Replaced since the look.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => {
                return Ok(Opened::Other(self.look()?));
            }
            Err(error) => return Err(error.into()),
        };
        match entry(&rustix::fs::fstat(&fd)?) {
            Entry::File(stamp) => Ok(Opened::File(File::from(fd), stamp)),
            other @ (Entry::Absent | Entry::Symlink | Entry::Directory | Entry::Special) => {
                Ok(Opened::Other(other))
            }
        }
    }

    /// Whether this process may write to the file.
    pub fn is_writable(&self) -> bool {
        let flags = AtFlags::EACCESS;
        rustix::fs::accessat(
            &self.dir.fd,
            &self.name,
            rustix::fs::Access::WRITE_OK,
            flags,
        )
        .is_ok()
    }

    /// Creates the file, which must not exist, with `mode` less the umask.
    pub fn create(&self, mode: u32) -> io::Result<File> {
        crash_point("file.create");
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let fd = rustix::fs::openat(&self.dir.fd, &self.name, flags, mode)?;
        Ok(File::from(fd))
    }

    /// Creates the directory with `mode` less the umask; one that exists is no error.
    pub fn create_dir(&self, mode: u32) -> io::Result<()> {
        crash_point("dir.create");
        match rustix::fs::mkdirat(&self.dir.fd, &self.name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file or link; one that is not there is no error.
    pub fn remove(&self) -> io::Result<()> {
        crash_point("file.remove");
        match rustix::fs::unlinkat(&self.dir.fd, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the directory if it is one and empty; anything else stays, without an error.
    pub fn remove_empty_dir(&self) -> io::Result<()> {
        crash_point("dir.remove");
        match rustix::fs::unlinkat(&self.dir.fd, &self.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file the time of now, so that build tools see it as new.
    pub fn touch(&self) -> io::Result<()> {
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::utimensat(
            &self.dir.fd,
            &self.name,
            &times,
            flags,
        )?)
    }
}

fn entry(facts: &rustix::fs::Stat) -> Entry {
    let nanoseconds =
        |seconds: i64, rest: u64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    match FileType::from_raw_mode(facts.st_mode) {
        FileType::RegularFile => Entry::File(Stamp {
            dev: facts.st_dev,
            inode: facts.st_ino,
            links: facts.st_nlink,
            mode: facts.st_mode & 0o7777,
            size: u64::try_from(facts.st_size).unwrap_or(0),
            mtime_ns: nanoseconds(facts.st_mtime, facts.st_mtime_nsec),
            ctime_ns: nanoseconds(facts.st_ctime, facts.st_ctime_nsec),
        }),
        FileType::Directory => Entry::Directory,
        FileType::Symlink => Entry::Symlink,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Entry::Special,
    }
}
