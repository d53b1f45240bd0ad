//! The clock over one request: it ends what nobody can wait out, from beside the blocked read.
//!
//! A read of a socket cannot be asked to look at a flag, and a timeout of the client's own would
//! bound a healthy stream too. So a thread sleeps until the word to stop or the deadline, and then
//! shuts the connection: the read returns at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result};

use crate::platform::cancel::{Cancel, Reason};
use crate::platform::{clock, threads, wait};

/// No deadline.
const NEVER: i64 = i64::MAX;
/// The longest sleep: it bounds how late a deadline that was moved nearer is seen.
const LOOK: Duration = Duration::from_millis(500);

/// One request's deadline, shared with the thread that keeps it.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    /// Set when the request is over, and with the operation's own flag.
    over: Cancel,
    operation: Cancel,
}

#[derive(Debug)]
struct Shared {
    deadline: AtomicI64,
    is_late: AtomicBool,
}

impl Watch {
    /// Watches until it is dropped; `shut` ends the request from another thread.
    pub(super) fn start(operation: &Cancel, shut: impl Fn() + Send + 'static) -> Result<Self> {
        let shared = Arc::new(Shared {
            deadline: AtomicI64::new(NEVER),
            is_late: AtomicBool::new(false),
        });
        let over = operation.child()?;
        let (seen, told) = (Arc::clone(&shared), over.clone());
        std::thread::Builder::new()
            .name("reply watch".to_owned())
            .spawn(move || keep(&seen, &told, &shut))
            .context("starting the watch over the reply")?;
        Ok(Self {
            shared,
            over,
            operation: operation.clone(),
        })
    }

    /// The request ends in `limit` from now, unless this is called again.
    pub(super) fn within(&self, limit: Duration) {
        let limit = i64::try_from(limit.as_millis()).unwrap_or(NEVER);
        let deadline = clock::monotonic_ms().saturating_add(limit);
        self.shared.deadline.store(deadline, Ordering::SeqCst);
    }

    /// There is no deadline until [`Self::within`]: what is waited for is our own doing.
    pub(super) fn pause(&self) {
        self.shared.deadline.store(NEVER, Ordering::SeqCst);
    }

    /// Whether the deadline has passed and the request was ended for it.
    pub(super) fn is_late(&self) -> bool {
        self.shared.is_late.load(Ordering::SeqCst)
    }

    /// Whether the operation was called off.
    pub(super) fn is_cancelled(&self) -> bool {
        self.operation.is_set()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.set(Reason::GivenUp);
    }
}

fn keep(shared: &Shared, over: &Cancel, shut: &dyn Fn()) {
    let _waits = threads::waits("the end of its request");
    // Bounded by the life of the request, whose end sets the flag.
    while !over.is_set() {
        let deadline = shared.deadline.load(Ordering::SeqCst);
        let left = deadline.saturating_sub(clock::monotonic_ms());
        if left <= 0 {
            shared.is_late.store(true, Ordering::SeqCst);
            break;
        }
        let left = Duration::from_millis(left.unsigned_abs()).min(LOOK);
        if wait::readable(&[over.as_fd()], left).is_err() {
            break;
        }
    }
    shut();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_and_the_word_to_stop_end_a_request_and_its_end_ends_the_watch() {
        let operation = Cancel::new().unwrap();
        let watched = || {
            let (sender, shut) = crossbeam_channel::bounded(1);
            let watch = Watch::start(&operation, move || sender.send(()).unwrap()).unwrap();
            (watch, shut)
        };
        let long = Duration::from_secs(30);
        let (watch, shut) = watched();
        watch.within(Duration::from_millis(20));
        shut.recv_timeout(long).unwrap();
        assert!(watch.is_late() && !watch.is_cancelled());
        let (watch, shut) = watched();
        assert!(shut.recv_timeout(Duration::from_millis(30)).is_err());
        drop(watch);
        shut.recv_timeout(long).unwrap();
        let (watch, shut) = watched();
        operation.set(Reason::Interrupted);
        shut.recv_timeout(long).unwrap();
        assert!(watch.is_cancelled() && !watch.is_late());
    }
}
