//! Places where a test may kill this process.
//!
//! Every door of `platform` and `store` that makes something durable (sync, rename, exchange,
//! unlink, COMMIT) passes a crash point before and, where the effect is visible to others, after
//! itself. Tests record the passage of one run and then kill the process at each place of it in
//! turn. Compiled under `debug_assertions` only; a release build holds no trace of it.

/// Every name that [`crash_point`] is called with; a test fails when one was never reached.
pub const POINTS: &[&str] = &[
    "commit.before",
    "commit.after",
    "dir.create",
    "dir.remove",
    "dir.sync",
    "file.create",
    "file.exchange.before",
    "file.exchange.after",
    "file.link",
    "file.remove",
    "file.rename.before",
    "file.rename.after",
    "file.sync",
    "git.before",
    "git.after",
    "sudo.before",
    "sudo.after",
    "schema.change",
];

#[cfg(debug_assertions)]
mod armed {
    use std::fs::File;
    use std::io::Write;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        kill_at: Option<u64>,
        panic_at: Option<u64>,
        trace: Option<File>,
        passed: AtomicU64,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    pub(super) fn arm(kill_at: Option<u64>, panic_at: Option<u64>, trace: Option<&Path>) {
        let trace =
            trace.and_then(|path| File::options().create(true).append(true).open(path).ok());
        // A second call is ignored: a process is armed once, at its start.
        ARMED.get_or_init(|| Armed {
            kill_at,
            panic_at,
            trace,
            passed: AtomicU64::new(0),
        });
    }

    pub(super) fn pass(name: &'static str) {
        let Some(armed) = ARMED.get() else { return };
        let here = armed.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(mut trace) = armed.trace.as_ref() {
            // A trace that cannot be written shows as a missing name in the test.
            drop(trace.write_all(format!("{name}\n").as_bytes()));
        }
        if armed.kill_at == Some(here) {
            crate::platform::process::kill_self();
        }
        assert!(
            armed.panic_at != Some(here),
            "told to panic at {name}, point {here}"
        );
    }
}

/// Arms the crash points of this process: SIGKILL at the `kill_at`-th one passed (from 1), a panic
/// at the `panic_at`-th, and the names of all passed ones appended to `trace`. Does nothing in a
/// release build.
#[cfg_attr(
    not(debug_assertions),
    expect(unused_variables, reason = "nothing to arm")
)]
pub fn arm(kill_at: Option<u64>, panic_at: Option<u64>, trace: Option<&std::path::Path>) {
    #[cfg(debug_assertions)]
    if kill_at.is_some() || panic_at.is_some() || trace.is_some() {
        armed::arm(kill_at, panic_at, trace);
    }
}

/// Passes the crash point `name`, one of [`POINTS`].
#[cfg_attr(
    not(debug_assertions),
    expect(unused_variables, reason = "nothing to pass")
)]
#[inline]
pub fn crash_point(name: &'static str) {
    #[cfg(debug_assertions)]
    {
        debug_assert!(POINTS.contains(&name), "{name} is not in POINTS");
        armed::pass(name);
    }
    #[cfg(test)]
    watched::pass(name);
}

#[cfg(test)]
pub(crate) mod watched {
    use std::cell::RefCell;

    type Watcher = Box<dyn FnMut(&'static str)>;

    thread_local! {
        static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
    }

    /// Calls `watcher` at every crash point that this thread passes inside `work`: how a test acts
    /// as somebody else in the middle of a step.
    pub(crate) fn watch<T>(
        watcher: impl FnMut(&'static str) + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        WATCHER.set(Some(Box::new(watcher)));
        let result = work();
        WATCHER.set(None);
        result
    }

    pub(super) fn pass(name: &'static str) {
        // Taken out while it runs: what it does may pass points too.
        let Some(mut watcher) = WATCHER.take() else {
            return;
        };
        watcher(name);
        WATCHER.set(Some(watcher));
    }
}
