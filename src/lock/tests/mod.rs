//! Acquire, wait and release with several owners: each [`Process`] has its own store, its own
//! owner file and its own heartbeat, as a process of its own would.
//!
//! Nothing here sleeps to put things in order: every test waits for what it needs to be true.

use std::os::fd::AsFd as _;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Scope, ScopedJoinHandle};

use rusqlite::Connection;

use super::*;
use crate::platform::{file_lock, wait};
use crate::store::tickets::{State, Ticket, WritePermit};
use crate::store::{Connections, StoreError, audit};

mod cancelled;
mod honest;
mod in_line;
mod told;

const PLAN: &str = "a plan";
/// Long enough for anything here to happen on a busy machine, and an end for what never does.
const AMPLE: Duration = Duration::from_secs(30);
/// Leases that no busy machine lets run out, and a tick of a tenth of a second.
const STEADY: Intervals = Intervals {
    heartbeat: Duration::from_millis(300),
    lease: Duration::from_secs(60),
};
/// Leases that a test can wait for.
const QUICK: Intervals = Intervals {
    heartbeat: Duration::from_millis(60),
    lease: Duration::from_millis(600),
};

struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    fn new(intervals: Intervals) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create(dir.path(), Connections::One).unwrap();
        store
            .choose(AMPLE, |tx| settings::set_intervals(tx, intervals))
            .unwrap();
        Self { dir }
    }

    fn process(&self) -> Process {
        let store = Arc::new(Store::open(self.dir.path(), Connections::One).unwrap());
        let locks = Locks::new(Arc::clone(&store), "", "a test").unwrap();
        let cancel = Cancel::new().unwrap();
        Process {
            store,
            locks,
            cancel,
        }
    }

    /// A connection as another program would open it.
    fn outside(&self) -> Connection {
        let connection = Connection::open(self.dir.path().join("plandex.db")).unwrap();
        connection.busy_timeout(AMPLE).unwrap();
        connection
    }

    /// Shuts the write gate, as a process does that is stopped inside it.
    fn shut_gate(&self) -> std::fs::File {
        let file = std::fs::File::open(self.dir.path().join("write.lock")).unwrap();
        file_lock::exclusive(&file).unwrap();
        file
    }
}

struct Process {
    store: Arc<Store>,
    locks: Locks,
    cancel: Cancel,
}

impl Process {
    fn request(&self, patience: Patience) -> Request<'_, WritePermit> {
        Request {
            plan_id: PLAN,
            branch: None,
            operation: operation::TELL,
            patience,
            cancel: &self.cancel,
        }
    }

    fn acquire(&self, patience: Patience) -> Result<Hold<WritePermit>> {
        self.locks.acquire(&self.request(patience), &mut |_| {})
    }

    fn hold(&self) -> Hold<WritePermit> {
        self.acquire(Patience::within(AMPLE)).unwrap()
    }

    fn line(&self) -> Vec<Ticket> {
        self.store.read(|tx| tickets::line(tx, PLAN)).unwrap()
    }

    fn states(&self) -> Vec<State> {
        self.line().iter().map(|ticket| ticket.state).collect()
    }

    /// Waits until the tickets of the plan, in order, stand so.
    fn until(&self, states: &[State]) {
        eventually(|| self.states() == states);
    }

    /// Makes the heartbeat forget the ticket: its owner hangs.
    fn hang(&self, hold: &Hold<WritePermit>) {
        let registry = &self.locks.inner.registry;
        registry.remove(hold.permit().proof().ticket());
    }

    fn wake(&self, hold: &Hold<WritePermit>) {
        let registry = &self.locks.inner.registry;
        registry.insert(hold.permit().proof().ticket(), self.cancel.clone(), None);
    }

    /// Waits until the work is cancelled; returns why and after how long.
    fn until_cancelled(&self) -> (Reason, Duration) {
        let begun = Instant::now();
        let heard = wait::readable(&[self.cancel.as_fd()], AMPLE).unwrap();
        assert_eq!(heard, [true], "the work was not cancelled");
        (self.cancel.reason().unwrap(), begun.elapsed())
    }
}

fn eventually(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + AMPLE;
    while !is_so() {
        assert!(Instant::now() < until, "it never came to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Starts to acquire in a thread of its own.
fn line_up<'scope>(
    scope: &'scope Scope<'scope, '_>,
    process: &'scope Process,
    patience: Patience,
) -> ScopedJoinHandle<'scope, Result<Hold<WritePermit>>> {
    scope.spawn(move || process.acquire(patience))
}

/// A waiter that stands still when it first finds that it must wait, until it is told to go on:
/// what Ctrl-Z does to one.
struct Suspended<'scope> {
    go_on: Sender<()>,
    thread: ScopedJoinHandle<'scope, Result<Hold<WritePermit>>>,
}

impl<'scope> Suspended<'scope> {
    fn line_up(
        scope: &'scope Scope<'scope, '_>,
        process: &'scope Process,
        patience: Patience,
    ) -> Self {
        let (go_on, told): (Sender<()>, Receiver<()>) = mpsc::channel();
        let (stands, standing) = mpsc::channel();
        let thread = scope.spawn(move || {
            process.locks.acquire(&process.request(patience), &mut |_| {
                stands.send(()).ok();
                // An error means that it was told before.
                told.recv().ok();
            })
        });
        standing.recv_timeout(AMPLE).unwrap();
        Self { go_on, thread }
    }

    fn resume(self) -> Result<Hold<WritePermit>> {
        drop(self.go_on);
        self.thread.join().unwrap()
    }
}

fn lock_error<T: std::fmt::Debug>(result: Result<T>) -> LockError {
    result.unwrap_err().downcast().unwrap()
}

fn is_lost<T>(result: Result<T>) -> bool {
    result.is_err_and(|error| matches!(error.downcast_ref(), Some(StoreError::LockLost { .. })))
}
