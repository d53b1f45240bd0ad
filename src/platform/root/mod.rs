//! Work below one directory by descriptors: no name that a model or a racing process chose leads
//! out of it.
//!
//! The one hard rule: a path is resolved once, from the root's own descriptor and without
//! following any symbolic link; whatever is then done to the file is done through the descriptor
//! of its directory. A directory that is swapped for a link between a check and a rename changes
//! nothing, because nobody looks at its name again (HAZARDS.md H14).
//!
//! `openat2` resolves a path in one call where the kernel has it. Where it has not, and to name
//! the component that is in the way, the path is walked one component at a time with O_NOFOLLOW,
//! which is as strict.

mod attributes;
mod moves;
mod path;
mod spot;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, ResolveFlags};
use rustix::io::Errno;

pub use attributes::{copy_attributes, inherit_group, set_program};
pub use moves::Exchange;
pub use path::{PathRefusal, check_relative, fold_case};
use spot::DIRECTORY;
pub use spot::{Dir, Entry, Mount, Opened, Spot, Stamp};

use super::crash::crash_point;

/// Which system calls are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// The newest ones; where the kernel or the file system lacks one, its older stand-in.
    Current,
    /// The stand-ins only: neither openat2 nor the flags of renameat2. For their tests.
    Old,
}

/// A directory below which paths are resolved.
#[derive(Debug)]
pub struct Root {
    dir: Arc<Dir>,
}

/// What resolving a path came to.
#[derive(Debug)]
pub enum Descent<T> {
    /// All its directories are there, and they are directories below the root.
    Open(T),
    /// A directory of it does not exist.
    Missing,
    /// It is not a path below the root, or something in it is no directory; what.
    Refused(String),
}

impl Root {
    /// Opens the root at `path`, whose own name may go through links.
    pub fn open(path: &Path, kernel: Kernel) -> io::Result<Self> {
        let dir = Arc::new(Dir::open(path, kernel)?);
        Ok(Self { dir })
    }

    /// The system calls that it uses.
    pub fn kernel(&self) -> Kernel {
        self.dir.kernel
    }

    /// The root whose descriptor somebody has already: its name is not looked up again.
    pub fn reopen(dir: impl AsFd, kernel: Kernel) -> io::Result<Self> {
        let fd = rustix::fs::openat(dir, ".", DIRECTORY, Mode::empty())?;
        let dir = Arc::new(Dir { fd, kernel });
        Ok(Self { dir })
    }

    /// The name that `path` means, in its opened directory.
    pub fn spot(&self, path: &str) -> io::Result<Descent<Spot>> {
        if let Err(refusal) = check_relative(path) {
            return Ok(Descent::Refused(refusal.to_string()));
        }
        let (parent, name) = split(path);
        Ok(match self.open_below(parent)? {
            Descent::Open(dir) => Descent::Open(dir.spot(name)),
            Descent::Missing => Descent::Missing,
            Descent::Refused(why) => Descent::Refused(why),
        })
    }

    /// As [`Root::spot`], after making the directories of `path` that are missing (0777 less the
    /// umask).
    pub fn spot_making_parents(&self, path: &str) -> io::Result<Descent<Spot>> {
        if let Err(refusal) = check_relative(path) {
            return Ok(Descent::Refused(refusal.to_string()));
        }
        let (parent, name) = split(path);
        let walked = self.walk(parent, OnMissing::Make)?;
        Ok(match walked {
            (Descent::Open(dir), _) => Descent::Open(dir.spot(name)),
            (Descent::Missing, _) => Descent::Missing,
            (Descent::Refused(why), _) => Descent::Refused(why),
        })
    }

    /// The directory `path` ("" is the root itself).
    pub fn dir(&self, path: &str) -> io::Result<Descent<Arc<Dir>>> {
        match check_relative(path) {
            Err(refusal) if !path.is_empty() => Ok(Descent::Refused(refusal.to_string())),
            _ => self.open_below(path),
        }
    }

    /// As [`Root::dir`], of a path that was checked.
    fn open_below(&self, path: &str) -> io::Result<Descent<Arc<Dir>>> {
        if path.is_empty() {
            return Ok(Descent::Open(Arc::clone(&self.dir)));
        }
        if self.dir.kernel == Kernel::Current {
            match rustix::fs::openat2(&self.dir.fd, path, DIRECTORY, Mode::empty(), BENEATH) {
                Ok(fd) => return Ok(Descent::Open(self.adopt(fd))),
                Err(Errno::NOENT) => return Ok(Descent::Missing),
                // Not there, forbidden by a sandbox, a race, or something in the way: the walk is
                // as strict and can tell which.
                Err(_) => {}
            }
        }
        Ok(self.walk(path, OnMissing::Stop)?.0)
    }

    /// How many of the directories of the file `path` exist, counted from the root.
    pub fn existing_parents(&self, path: &str) -> io::Result<usize> {
        let (parent, _) = split(path);
        Ok(self.walk(parent, OnMissing::Stop)?.1)
    }

    /// Whether `path` still leads to the directory `dir`.
    pub fn leads_to(&self, path: &str, dir: &Dir) -> io::Result<bool> {
        Ok(match self.dir(path)? {
            Descent::Open(found) => found.identity()? == dir.identity()?,
            Descent::Missing | Descent::Refused(_) => false,
        })
    }

    /// Makes everything durable that was written to the file system of the root.
    pub fn sync_file_system(&self) -> io::Result<()> {
        crash_point("dir.sync");
        Ok(rustix::fs::syncfs(&self.dir.fd)?)
    }

    /// Opens the directories of `path` one by one; also tells how many there were before.
    fn walk(&self, path: &str, on_missing: OnMissing) -> io::Result<(Descent<Arc<Dir>>, usize)> {
        let mut dir = Arc::clone(&self.dir);
        let mut found = 0;
        let mut end = 0;
        for component in path.split('/').filter(|_| !path.is_empty()) {
            end += component.len() + usize::from(end > 0);
            let mut opened = dir.open_dir(component);
            let was_there = opened.is_ok();
            if matches!(opened, Err(Errno::NOENT)) && on_missing == OnMissing::Make {
                dir.spot(component).create_dir(0o777)?;
                opened = dir.open_dir(component);
            }
            dir = match opened {
                Ok(fd) => self.adopt(fd),
                Err(Errno::NOENT) => return Ok((Descent::Missing, found)),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    // What is no directory now may have been a link a moment ago.
                    let is_link = dir.spot(component).look()? == Entry::Symlink;
                    let what = if is_link {
                        "a symbolic link"
                    } else {
                        "not a directory"
                    };
                    let why = format!("\"{}\" is {what}", &path[..end]);
                    return Ok((Descent::Refused(why), found));
                }
                Err(error) => return Err(error.into()),
            };
            found += usize::from(was_there);
        }
        Ok((Descent::Open(dir), found))
    }

    fn adopt(&self, fd: OwnedFd) -> Arc<Dir> {
        let kernel = self.dir.kernel;
        Arc::new(Dir { fd, kernel })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OnMissing {
    Stop,
    Make,
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// The directory and the name of `path`; the directory is "" for a name in the root.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests;
