//! The gate before every write transaction: a process mutex, then flock on `write.lock`.
//!
//! SQLite's own busy handler is unfair (waits of seconds under load) and counts as an error what
//! is only a queue; behind the gate it is never needed. The mutex comes first because flock does
//! not exclude threads that share one descriptor. Both are tried with a deadline, never waited
//! for blindly: a stopped process inside must be named, not suffered.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use parking_lot::{Mutex, MutexGuard};

use super::{StoreError, deadline};
use crate::platform::{file, file_lock, process, threads};

const FIRST_SLEEP: Duration = Duration::from_micros(50);
const LONGEST_SLEEP: Duration = Duration::from_millis(1);
/// What a thread waits for before it is the process's own turn.
const BEFORE_US: &str = "the write gate (another thread)";

pub(super) struct Gate {
    turn: Mutex<()>,
    file: File,
    path: PathBuf,
    lease_ms: AtomicU64,
}

/// Being inside the gate; leaves when dropped.
#[must_use]
pub(super) struct Entered<'g> {
    gate: &'g Gate,
    _turn: MutexGuard<'g, ()>,
}

/// No thread of this process is in a write transaction while this lives.
#[must_use]
pub struct Quiet<'g>(#[expect(dead_code, reason = "held for its drop")] MutexGuard<'g, ()>);

impl Gate {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("write.lock");
        let file = file::open_private(&path)?;
        Ok(Self {
            turn: Mutex::new(()),
            file,
            path,
            lease_ms: AtomicU64::new(60_000),
        })
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_lease(&self, lease: Duration) {
        let ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        self.lease_ms.store(ms, Ordering::Relaxed);
    }

    /// Enters, waiting for at most `patience` (`None`: for as long as it takes).
    pub(super) fn enter(&self, patience: Option<Duration>) -> Result<Entered<'_>> {
        let until = deadline(patience);
        let turn = match (self.turn.try_lock(), until) {
            (Some(turn), _) => turn,
            (None, None) => {
                let _waits = threads::waits(BEFORE_US);
                self.turn.lock()
            }
            (None, Some(until)) => {
                let _waits = threads::waits(BEFORE_US);
                match self.turn.try_lock_until(until) {
                    Some(turn) => turn,
                    None => return Err(self.busy(patience)),
                }
            }
        };
        let mut sleep = FIRST_SLEEP;
        let mut waits = None;
        loop {
            match file_lock::try_exclusive(&self.file).context("entering the write gate")? {
                file_lock::Attempt::Locked => {
                    return Ok(Entered {
                        gate: self,
                        _turn: turn,
                    });
                }
                file_lock::Attempt::WouldBlock => {}
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(self.busy(patience));
            }
            waits.get_or_insert_with(|| threads::waits("the write gate (another process)"));
            std::thread::sleep(sleep);
            sleep = (sleep * 2).min(LONGEST_SLEEP);
        }
    }

    pub(super) fn quiet(&self) -> Quiet<'_> {
        Quiet(self.turn.lock())
    }

    /// Who is inside, in words; `None` if nobody that can be seen from here.
    pub(super) fn writer(&self) -> Option<String> {
        file_lock::holder(&self.path).map(describe)
    }

    fn busy(&self, patience: Option<Duration>) -> anyhow::Error {
        let waited = patience.unwrap_or_default();
        let who = self
            .writer()
            .unwrap_or_else(|| "another process".to_owned());
        StoreError::Busy(format!(
            "{who} has been writing to it for more than {waited:?}"
        ))
        .into()
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // Unlocking a lock we hold fails only if the descriptor is bad, and then it is free.
        drop(file_lock::unlock(&self.gate.file));
    }
}

/// "pid 4711 (plandex, stopped)".
fn describe(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let stopped = process::stat(pid).is_some_and(|stat| matches!(stat.state, 'T' | 't'));
    let state = if stopped { ", stopped" } else { "" };
    format!("pid {pid} ({}{state})", name.trim())
}
