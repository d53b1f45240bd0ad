//! A hang is a failure that says what hung.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal};

/// A test that takes longer than this hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
/// Between the killing of its processes and the end of the whole run.
const LAST_CHANCE: Duration = Duration::from_secs(10);

/// One process that a test started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) shown: String,
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
    pub(crate) ended: AtomicBool,
}

impl Started {
    /// "running (S)", or that it has ended.
    fn state(&self) -> String {
        if self.ended.load(Ordering::SeqCst) {
            return "ended".to_owned();
        }
        plandex::platform::process::stat(self.pid).map_or_else(
            || "gone".to_owned(),
            |stat| format!("running, state {}", stat.state),
        )
    }
}

/// All processes that a test started, for its report.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    started: Mutex<Vec<Arc<Started>>>,
    overdue: AtomicBool,
}

impl Roll {
    pub(crate) fn add(&self, started: Started) -> Arc<Started> {
        let started = Arc::new(started);
        self.started.lock().push(Arc::clone(&started));
        started
    }

    pub(crate) fn count(&self) -> usize {
        self.started.lock().len()
    }

    /// Whether the watchdog has given the test up.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::SeqCst)
    }

    /// Every process with its state and what it has printed, and the queue of the project.
    pub(crate) fn report(&self, state_dir: &Path) -> String {
        let mut report = String::new();
        for started in self.started.lock().iter() {
            let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
            write!(
                report,
                "$ {}    [pid {}, {}]\n{}{}",
                started.shown,
                started.pid,
                started.state(),
                read(&started.stdout),
                read(&started.stderr)
            )
            .unwrap();
        }
        if state_dir.join("plandex.db").exists() {
            report.push_str("the queue:\n");
            report.push_str(&super::dump::table(state_dir, "repo_locks"));
        }
        report
    }

    /// Kills what still runs.
    pub(crate) fn kill_all(&self) {
        for started in self.started.lock().iter() {
            if !started.ended.load(Ordering::SeqCst)
                && let Some(pid) = i32::try_from(started.pid).ok().and_then(Pid::from_raw)
            {
                // Gone already is what is wanted.
                rustix::process::kill_process_group(pid, Signal::KILL).ok();
            }
        }
    }
}

/// Watches one test until it is dropped.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Closed by the drop, which ends the thread.
    _end: Sender<()>,
}

impl Watchdog {
    pub(crate) fn start(roll: Arc<Roll>, state_dir: PathBuf, limit: Duration) -> Self {
        let (end, ended) = crossbeam_channel::bounded::<()>(0);
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || {
                if ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                roll.overdue.store(true, Ordering::SeqCst);
                eprintln!("{test} hangs after {limit:?}:\n{}", roll.report(&state_dir));
                roll.kill_all();
                // Its waits now fail. If it hangs in this very process, nothing else ends it.
                if ended.recv_timeout(LAST_CHANCE) == Err(RecvTimeoutError::Timeout) {
                    eprintln!("{test} hangs in the test process itself");
                    std::process::abort();
                }
            })
            .unwrap();
        Self { _end: end }
    }
}

/// Asks `look` again and again until it answers; `None` when `limit` is over.
pub(crate) fn poll<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(answer) = look() {
            return Some(answer);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
