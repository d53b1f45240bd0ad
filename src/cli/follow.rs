//! Following what happens: `--watch` and `events --follow`.
//!
//! There is no doorbell for those who only look: to have one they would have to write a row, and a
//! file watch on the `-wal` loses wake-ups. So a follower of everything asks SQLite ten times a second
//! for its change counter (microseconds, nothing is written), and reads rows only when it has moved.
//! Who follows one run is woken: see [`Follower::until_told`].

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::exit::ExitCode;
use super::report;
use super::session::Cli;
use crate::platform::cancel::{Cancel, Reason};
use crate::platform::signal::{self, Signal};
use crate::platform::wait;
use crate::project::Project;

/// Between two looks at the change counter, and at whether anybody still reads.
const BEAT: Duration = Duration::from_millis(100);
/// Between two looks of one who is told of what is new.
const SLOW_BEAT: Duration = Duration::from_secs(1);
/// How long the thread that heard of the stop may take to say that it is over.
const WAKING: Duration = Duration::from_secs(5);
/// A wait that lasts longer than it was to by so much: this process was stopped meanwhile.
const STOPPED: Duration = Duration::from_secs(2);

/// Somebody who looks until called off.
pub(super) struct Follower<'a> {
    cli: &'a Cli,
    project: &'a Project,
    cancel: Cancel,
    _signals: signal::Watch,
    /// Set when this process was stopped and continued.
    was_stopped: Arc<AtomicBool>,
    /// Set while it is about to be stopped, or stopped, or has only just been continued.
    is_stopping: Arc<AtomicBool>,
    seen: i64,
}

impl<'a> Follower<'a> {
    /// Begins to hear signals, and to count changes from now.
    pub(super) fn new(cli: &'a Cli, project: &'a Project) -> Result<Self> {
        let cancel = project.cancel.clone();
        let (heard, store) = (cancel.clone(), Arc::clone(&project.store));
        let was_stopped = Arc::new(AtomicBool::new(false));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (stopped, stopping) = (Arc::clone(&was_stopped), Arc::clone(&is_stopping));
        let signals = signal::watch(move |signal| match signal {
            Signal::Interrupt if heard.is_set() => signal::exit_now(130),
            Signal::Interrupt => heard.set(Reason::Interrupted),
            Signal::Terminate => heard.set(Reason::Terminated),
            Signal::HangUp => heard.set(Reason::HungUp),
            Signal::Suspend => {
                stopping.store(true, Ordering::SeqCst);
                let quiet = store.quiet();
                signal::stop_self();
                drop(quiet);
                stopped.store(true, Ordering::SeqCst);
                stopping.store(false, Ordering::SeqCst);
            }
            // Not watched for.
            Signal::Quit | Signal::User2 => signal::end_by(signal),
        })?;
        Ok(Self {
            cli,
            project,
            cancel,
            _signals: signals,
            was_stopped,
            is_stopping,
            seen: project.store.change_count()?,
        })
    }

    /// Waits until the database has changed or `longest` is over; the exit code if it is the end.
    pub(super) fn until_changed(&mut self, longest: Duration) -> Result<Option<ExitCode>> {
        self.wait(longest, |follower| {
            let count = follower.project.store.change_count()?;
            let moved = count != follower.seen;
            follower.seen = count;
            Ok(moved)
        })
    }

    /// Waits for `length`; the exit code if it is the end.
    pub(super) fn pause(&mut self, length: Duration) -> Result<Option<ExitCode>> {
        self.wait(length, |_| Ok(false))
    }

    /// Waits until one of `bells` rings, for a second at the most: a tenth of one if there is none to
    /// ring. The exit code if it is the end. The caller looks for what is new by itself.
    pub(super) fn until_told(&self, bells: &[BorrowedFd<'_>]) -> Result<Option<ExitCode>> {
        if let Some(reason) = self.cancel.reason() {
            return Ok(Some(report::stopped(reason)));
        }
        if self.cli.ui.reader_is_gone() {
            return Ok(Some(ExitCode::OutputClosed));
        }
        let beat = if bells.is_empty() { BEAT } else { SLOW_BEAT };
        let begun = Instant::now();
        let heard: Vec<BorrowedFd<'_>> = std::iter::once(self.cancel.as_fd())
            .chain(bells.iter().copied())
            .collect();
        wait::readable(&heard, beat)?;
        if begun.elapsed() > beat + STOPPED {
            self.was_stopped.store(true, Ordering::SeqCst);
        }
        Ok(None)
    }

    /// Whether this process was stopped since this was last asked.
    pub(super) fn take_stopped(&self) -> bool {
        let begun = Instant::now();
        // This thread may be the first that goes on.
        while self.is_stopping.load(Ordering::SeqCst) && begun.elapsed() < WAKING {
            std::thread::yield_now();
        }
        self.was_stopped.swap(false, Ordering::SeqCst)
    }

    fn wait(
        &mut self,
        longest: Duration,
        mut is_over: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<Option<ExitCode>> {
        let until = Instant::now() + longest;
        loop {
            if let Some(reason) = self.cancel.reason() {
                return Ok(Some(report::stopped(reason)));
            }
            if self.cli.ui.reader_is_gone() {
                return Ok(Some(ExitCode::OutputClosed));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || is_over(self)? {
                return Ok(None);
            }
            wait::readable(&[self.cancel.as_fd()], left.min(BEAT))?;
        }
    }
}
