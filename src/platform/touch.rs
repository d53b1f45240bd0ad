//! Touches: how one process tells any number of others that there is something new, without knowing
//! them, without waiting for them, and without writing a byte.
//!
//! Whoever has news sets the times of a file that it has open anyway; whoever waits for news watches
//! that file. A touch is a hint like a [`bell`](super::bell)'s ring: the truth is elsewhere, and a
//! listener looks for it once more after it has begun to watch. A listener that is stopped or busy
//! costs the toucher nothing: the kernel keeps one event for it.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW};

/// Tells whoever [watches](Watch) `file`. Its times mean nothing else.
pub fn touch(file: &File) {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    // A touch that is lost (a read-only file system) is covered by the listener's own look.
    rustix::fs::futimens(file, &times).ok();
}

/// Hears the touches of one file.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Begins to watch `path`; `None` if there is no such file, or the system gives no more watches.
    pub fn of(path: &Path) -> Option<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let heard = inotify::init(flags).ok()?;
        inotify::add_watch(&heard, path, WatchFlags::ATTRIB).ok()?;
        Some(Self(heard))
    }

    /// Takes what was heard off the watch: it is readable again only after another touch.
    pub fn drain(&self) {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut heard = Reader::new(&self.0, &mut buffer);
        // Until there is none left, which the kernel says as an error.
        while heard.next().is_ok() {}
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::platform::wait::readable;

    fn hears(watch: &Watch) -> bool {
        readable(&[watch.as_fd()], Duration::ZERO).unwrap()[0]
    }

    #[test]
    fn every_watch_hears_a_touch_once_and_none_holds_it_up() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let watches = [0; 3].map(|_| Watch::of(file.path()).unwrap());
        assert!(!watches.iter().any(hears));
        touch(file.as_file());
        for watch in &watches {
            assert!(hears(watch));
            watch.drain();
            assert!(!hears(watch));
        }
        // More than any queue of the kernel's holds.
        for _ in 0..100_000 {
            touch(file.as_file());
        }
        assert!(watches.iter().all(hears));
        watches[0].drain();
        assert!(!hears(&watches[0]) && hears(&watches[1]));
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    }

    #[test]
    fn the_end_of_the_file_is_heard_too() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let watch = Watch::of(file.path()).unwrap();
        let path = file.path().to_owned();
        drop(file);
        assert!(hears(&watch));
        assert!(Watch::of(&path).is_none());
    }
}
