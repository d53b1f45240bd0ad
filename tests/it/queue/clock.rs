//! The wall clock is set back and forth: leases and waits are measured by another one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use plandex::store::settings::{self, Intervals};
use plandex::store::tickets::Ticket;

use crate::support::{Background, Run, Sandbox, needs};

use super::{SOON, holds, project, waits};

const DAY: i64 = 24 * 3600 * 1000;
const HOUR: i64 = 3600 * 1000;

/// A clock that the test sets for the programs that go by it.
pub(crate) struct Clock {
    library: String,
    file: PathBuf,
}

impl Clock {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let script = ["-f", "+0", "sh", "-c", "printf %s \"$LD_PRELOAD\""];
        let library = sandbox.program("faketime", script).finish().ok().stdout;
        assert!(!library.is_empty());
        let file = sandbox.write_beside("clock", "+0");
        Self { library, file }
    }

    /// Runs by this clock.
    pub(crate) fn rules<'s>(&self, run: Run<'s>) -> Run<'s> {
        run.env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// Set at once: a half-written file is no clock.
    pub(crate) fn set(&self, offset: &str) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

fn ticket_of(line: &[Ticket], process: &Background<'_>) -> Option<Ticket> {
    let mut line = line.iter();
    line.find(|ticket| ticket.pid == process.pid()).cloned()
}

/// The wait is over after its time on everybody's watch, whatever the wall says.
fn gives_up_in_time(run: Run<'_>) {
    let begun = Instant::now();
    let over = run
        .args(["--wait", "700ms", "--", "true"])
        .finish()
        .exits(75);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(700), "{waited:?}\n{over}");
    assert!(waited < SOON, "{waited:?}\n{over}");
}

#[test]
fn a_clock_set_by_a_day_takes_no_lock_from_anybody() {
    needs!("faketime");
    let sandbox = project();
    // Beats that show soon in the row, and a lease that no slow machine ends.
    let intervals = Intervals {
        heartbeat: Duration::from_millis(300),
        lease: Duration::from_secs(60),
    };
    let store = sandbox.store();
    let set = store.choose(SOON, |tx| settings::set_intervals(tx, intervals));
    set.unwrap();
    drop(store);
    let clock = Clock::new(&sandbox);
    let exec = || sandbox.plandex(["exec"]);
    let mut holder = clock.rules(exec()).args(["--", "cat"]).held_stdin().start();
    holds(&sandbox, &holder);
    let forever = ["--wait", "forever", "--", "true"];
    let mut by_it = clock.rules(exec()).args(forever).start();
    waits(&sandbox, &by_it);
    let mut by_the_true_one = exec().args(forever).start();
    waits(&sandbox, &by_the_true_one);
    let before = sandbox.tickets();
    for (offset, shift) in [("+1d", DAY), ("-1d", -DAY), ("+1d", DAY), ("+0", 0)] {
        clock.set(offset);
        sandbox.until_queue(&format!("the holder's heart beats at {offset}"), |line| {
            ticket_of(line, &holder)
                .is_some_and(|t| (t.last_heartbeat_at - wall_ms() - shift).abs() < HOUR)
        });
        gives_up_in_time(clock.rules(exec()));
        gives_up_in_time(exec());
        assert!(holder.is_running() && by_it.is_running() && by_the_true_one.is_running());
        let line = sandbox.tickets();
        for (was, is) in before.iter().zip(&line) {
            assert_eq!((was.id, was.state, was.fence), (is.id, is.state, is.fence));
        }
        assert_eq!(before.len(), line.len());
    }
    holder.say("still here\n");
    holder.until_says("still here");
    holder.finish().ok();
    by_it.wait(SOON).ok();
    by_the_true_one.wait(SOON).ok();
    let dump = sandbox.dump();
    assert!(
        !dump.contains("lease expired") && !dump.contains("owner died"),
        "{dump}"
    );
    assert!(Path::new(&clock.file).exists());
}
