//! Following what happens: `--watch` and `events --follow`.
//!
//! There is no doorbell for those who only look: to have one they would have to write a row, and a
//! file watch on the `-wal` loses wake-ups. So a follower asks SQLite ten times a second for its
//! change counter (microseconds, nothing is written), and reads rows only when it has moved.

use std::os::fd::AsFd as _;
use std::sync::Arc;
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

/// Somebody who looks until called off.
pub(super) struct Follower<'a> {
    cli: &'a Cli,
    project: &'a Project,
    cancel: Cancel,
    _signals: signal::Watch,
    seen: i64,
}

impl<'a> Follower<'a> {
    /// Begins to hear signals, and to count changes from now.
    pub(super) fn new(cli: &'a Cli, project: &'a Project) -> Result<Self> {
        let cancel = project.cancel.clone();
        let (heard, store) = (cancel.clone(), Arc::clone(&project.store));
        let signals = signal::watch(move |signal| match signal {
            Signal::Interrupt if heard.is_set() => signal::exit_now(130),
            Signal::Interrupt => heard.set(Reason::Interrupted),
            Signal::Terminate => heard.set(Reason::Terminated),
            Signal::HangUp => heard.set(Reason::HungUp),
            Signal::Suspend => {
                let quiet = store.quiet();
                signal::stop_self();
                drop(quiet);
            }
            // Not watched for.
            Signal::Quit | Signal::User2 => signal::end_by(signal),
        })?;
        Ok(Self {
            cli,
            project,
            cancel,
            _signals: signals,
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
