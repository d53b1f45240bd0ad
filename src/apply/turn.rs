//! The turn to write to a project's files: the apply lock, and nothing left half written.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::ApplyError;
use super::recover::{self, Recovered};
use crate::platform::cancel::Cancel;
use crate::platform::file_lock::{self, DirLock};
use crate::platform::root::{Kernel, Root};
use crate::platform::{process, wait};
use crate::store::Store;

const FIRST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// The turn to write to a project's files: this process alone has it, whatever the plan, and no
/// earlier apply is undecided. Given back when dropped.
///
/// Taken after the plan's ticket and before any transaction (DESIGN.md 4). Who has it settles the
/// rows of the plan's applies ([`crate::store::applies::unsettled`]) and classifies anew: recovery
/// may have changed files.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    lock: DirLock,
    root: Root,
    path: PathBuf,
    recovered: Vec<Recovered>,
    listener: Listener,
}

/// What an apply does with its files, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Their new contents are written beside them.
    Staging,
    /// They are put in place.
    Writing,
}

/// Who hears how many paths of an apply are written, of how many.
#[derive(Default)]
struct Listener(Option<Box<Hear>>);

type Hear = dyn Fn(Doing, usize, usize);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Turn {
    /// Waits for the apply lock of the project at `root`, for at most `patience` (`None`: for as
    /// long as it takes), and finishes or undoes the files of every apply left undecided.
    ///
    /// Fails with [`ApplyError::Busy`] when the wait is over and with [`ApplyError::Cancelled`]
    /// when `cancel` ends it.
    pub fn take(
        store: &Store,
        root: &Path,
        patience: Option<Duration>,
        cancel: &Cancel,
    ) -> Result<Self> {
        Self::take_as(store, root, patience, cancel, Kernel::Current)
    }

    /// As [`Turn::take`], with the system calls of `kernel`.
    pub(super) fn take_as(
        store: &Store,
        root: &Path,
        patience: Option<Duration>,
        cancel: &Cancel,
        kernel: Kernel,
    ) -> Result<Self> {
        let lock = wait_for_lock(root, patience, cancel)?;
        let opened =
            Root::reopen(&lock, kernel).with_context(|| format!("opening {}", root.display()))?;
        let recovered = recover::recover(store, &lock, &opened)?;
        Ok(Self {
            lock,
            root: opened,
            path: root.to_owned(),
            recovered,
            listener: Listener::default(),
        })
    }

    /// Calls `hear` with what is done, for how many paths by now, and of how many, after each.
    pub fn heard_by(mut self, hear: impl Fn(Doing, usize, usize) + 'static) -> Self {
        self.listener = Listener(Some(Box::new(hear)));
        self
    }

    pub(super) fn tell(&self, doing: Doing, done: usize, total: usize) {
        if let Listener(Some(hear)) = &self.listener {
            hear(doing, done, total);
        }
    }

    /// What earlier applies left and what became of it.
    pub fn recovered(&self) -> &[Recovered] {
        &self.recovered
    }

    /// The lock, for the journal's transactions.
    pub fn lock(&self) -> &DirLock {
        &self.lock
    }

    /// The project's root.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }
}

fn wait_for_lock(root: &Path, patience: Option<Duration>, cancel: &Cancel) -> Result<DirLock> {
    use std::os::fd::AsFd as _;
    let until = patience.and_then(|patience| Instant::now().checked_add(patience));
    let mut sleep = FIRST_SLEEP;
    loop {
        let taken =
            DirLock::try_take(root).with_context(|| format!("locking {}", root.display()))?;
        if let Some(lock) = taken {
            return Ok(lock);
        }
        if let Some(reason) = cancel.reason() {
            return Err(ApplyError::Cancelled(reason).into());
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return Err(ApplyError::Busy(holder(root)).into());
        }
        // Readable means cancelled: the next round sees why.
        wait::readable(&[cancel.as_fd()], sleep)?;
        sleep = (sleep * 2).min(LONGEST_SLEEP);
    }
}

/// "pid 4711 (stopped)".
fn holder(root: &Path) -> String {
    let Some(pid) = file_lock::holder(root) else {
        return "another process".to_owned();
    };
    let is_stopped = process::stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'));
    format!("pid {pid}{}", if is_stopped { " (stopped)" } else { "" })
}
