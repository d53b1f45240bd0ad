//! The moves between two names: none of them ever loses what stands at its end.

use std::io;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::{Entry, Kernel, Spot};
use crate::platform::crash::crash_point;

/// What [`Spot::exchange`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// Each name has what the other had.
    Done,
    /// The kernel or the file system cannot.
    Unknown,
}

impl Spot {
    /// Swaps what the two names have, in one step; both must have something (ENOENT).
    pub fn exchange(&self, other: &Self) -> io::Result<Exchange> {
        if self.dir.kernel == Kernel::Old {
            return Ok(Exchange::Unknown);
        }
        crash_point("file.exchange.before");
        let done = self.rename_with(other, RenameFlags::EXCHANGE);
        crash_point("file.exchange.after");
        match done {
            Ok(()) => Ok(Exchange::Done),
            Err(Errno::INVAL | Errno::NOSYS) => Ok(Exchange::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Renames this to `to`, which must have nothing (EEXIST).
    pub fn rename_new(&self, to: &Self) -> io::Result<()> {
        if self.dir.kernel == Kernel::Current {
            crash_point("file.rename.before");
            let done = self.rename_with(to, RenameFlags::NOREPLACE);
            crash_point("file.rename.after");
            match done {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                other => return Ok(other?),
            }
        }
        if self.look()? == Entry::Directory {
            // A directory has no second name. Renamed over, it replaces at most an empty one.
            return if to.look()? == Entry::Absent {
                self.rename_over(to)
            } else {
                Err(Errno::EXIST.into())
            };
        }
        self.link(to)?;
        self.remove()
    }

    /// Renames this to `to`, replacing what it has.
    pub fn rename_over(&self, to: &Self) -> io::Result<()> {
        crash_point("file.rename.before");
        self.rename_with(to, RenameFlags::empty())?;
        crash_point("file.rename.after");
        Ok(())
    }

    /// Gives the file or link the second name `to`, which must have nothing (EEXIST).
    pub fn link(&self, to: &Self) -> io::Result<()> {
        crash_point("file.link");
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(
            &self.dir.fd,
            &self.name,
            &to.dir.fd,
            &to.name,
            flags,
        )?)
    }

    /// Whether both names have the same regular file.
    pub fn is_same_file(&self, other: &Self) -> io::Result<bool> {
        Ok(match (self.look()?, other.look()?) {
            (Entry::File(one), Entry::File(two)) => (one.dev, one.inode) == (two.dev, two.inode),
            _ => false,
        })
    }

    fn rename_with(&self, to: &Self, flags: RenameFlags) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(&self.dir.fd, &self.name, &to.dir.fd, &to.name, flags)
    }
}
