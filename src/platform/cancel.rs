//! One operation's word that it must end, heard by loops and by polls alike.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use rustix::event::EventfdFlags;

/// Why an operation must end. The first reason given stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// SIGINT.
    Interrupted = 1,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal is gone.
    HungUp,
    /// Somebody ran `plandex stop`.
    Stopped,
    /// The lock was lost while working: nothing may be written any more.
    LockLost,
    /// The caller gave the operation up.
    GivenUp,
}

const REASONS: [Reason; 6] = [
    Reason::Interrupted,
    Reason::Terminated,
    Reason::HungUp,
    Reason::Stopped,
    Reason::LockLost,
    Reason::GivenUp,
];

impl Reason {
    /// The stable word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::HungUp => "hung_up",
            Self::Stopped => "stopped",
            Self::LockLost => "lock_lost",
            Self::GivenUp => "given_up",
        }
    }

    /// The reason that has this word.
    pub fn of_word(word: &str) -> Option<Self> {
        REASONS.into_iter().find(|reason| reason.word() == word)
    }
}

#[derive(Debug)]
struct Flag {
    reason: AtomicU8,
    /// Readable for good once set: nobody ever reads it, so no poll can miss it.
    event: OwnedFd,
    children: Mutex<Vec<Weak<Self>>>,
}

/// A flag that is set once, and a descriptor that is readable from then on.
#[derive(Debug, Clone)]
pub struct Cancel(Arc<Flag>);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = rustix::event::eventfd(0, flags).context("creating an event descriptor")?;
        Ok(Self(Arc::new(Flag {
            reason: AtomicU8::new(0),
            event,
            children: Mutex::new(Vec::new()),
        })))
    }

    /// A flag that is set with this one, and can be set alone.
    pub fn child(&self) -> Result<Self> {
        let child = Self::new()?;
        {
            let mut children = self.0.children.lock();
            children.retain(|weak| weak.strong_count() > 0);
            children.push(Arc::downgrade(&child.0));
        }
        // Set between creation and registration: the child must not miss it.
        if let Some(reason) = self.reason() {
            child.set(reason);
        }
        Ok(child)
    }

    /// Sets the flag; a second reason is ignored.
    pub fn set(&self, reason: Reason) {
        self.0.set(reason);
    }

    /// Why the work must end, if it must.
    pub fn reason(&self) -> Option<Reason> {
        let code = self.0.reason.load(Ordering::SeqCst);
        REASONS.into_iter().find(|reason| *reason as u8 == code)
    }

    /// Whether the work must end.
    pub fn is_set(&self) -> bool {
        self.0.reason.load(Ordering::SeqCst) != 0
    }
}

impl Flag {
    fn set(&self, reason: Reason) {
        let first =
            self.reason
                .compare_exchange(0, reason as u8, Ordering::SeqCst, Ordering::SeqCst);
        if first.is_err() {
            return;
        }
        // An eventfd takes 2^64 - 2 increments before it would block; this is the first.
        rustix::io::write(&self.event, &1_u64.to_ne_bytes()).ok();
        for child in self.children.lock().iter().filter_map(Weak::upgrade) {
            child.set(reason);
        }
    }
}

impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_child_hears_its_parent_but_not_the_other_way_round() {
        let parent = Cancel::new().unwrap();
        let (one, two) = (parent.child().unwrap(), parent.child().unwrap());
        one.set(Reason::Stopped);
        assert!(!parent.is_set() && !two.is_set());
        parent.set(Reason::Interrupted);
        assert_eq!(one.reason(), Some(Reason::Stopped));
        assert_eq!(two.reason(), Some(Reason::Interrupted));
        assert_eq!(parent.child().unwrap().reason(), Some(Reason::Interrupted));
        let heard = super::super::wait::readable(&[two.as_fd()], Duration::ZERO).unwrap();
        assert_eq!(heard, [true]);
    }
}
