//! Locks that nobody works under any more, or that somebody works under for too long, and what
//! dead work leaves.

use std::time::Duration;

use plandex::store::settings::{self, Intervals};
use plandex::store::tickets::State;
use rustix::process::Signal;

use super::{Cause, Damage, End};
use crate::crash_points::killed_at;
use crate::queue::teller;
use crate::support::{Background, SOON, Sandbox, holds, suspend, waits};

/// A holder, suspended for longer than its lease.
pub(super) const STALE: Damage = Damage {
    kind: "stale_lock",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        sandbox.quicken();
        let holder = teller(sandbox, "first", "thinking");
        suspend(sandbox, &holder);
        is_silent_for(sandbox, 700);
        Some(Cause {
            processes: vec![holder],
            ..Cause::none()
        })
    },
    names: &[
        "work",
        "has expired",
        "plandex tell first",
        "ticket ",
        "pid ",
    ],
    end: End::Fixed(&[
        "was expired and is removed",
        "its partial reply (9 bytes) is kept",
    ]),
};

/// A holder, killed.
pub(super) const ORPHANED: Damage = Damage {
    kind: "orphaned_lock",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        kill_a_writer(sandbox);
        Some(Cause::none())
    },
    names: &["work", "a write lock", "its process is dead", "ticket "],
    end: End::Fixed(&["removed lock ", "of a dead process"]),
};

/// The same in the middle of a reply.
pub(super) const KILLED_TELL: Damage = Damage {
    kind: "orphaned_lock",
    severity: "warning",
    with: &["status_stuck"],
    make: |sandbox| {
        teller(sandbox, "first", "thinking").kill();
        Some(Cause::none())
    },
    names: &["its process is dead", "tell execution"],
    end: End::Fixed(&["removed lock ", "its partial reply (9 bytes) is kept"]),
};

/// A holder, suspended for longer than two heartbeats.
pub(super) const HEARTBEAT_MISSED: Damage = Damage {
    kind: "heartbeat_missed",
    severity: "info",
    with: &[],
    make: |sandbox| {
        set_intervals(sandbox, 100, 60_000);
        let holder = writer(sandbox);
        suspend(sandbox, &holder);
        is_silent_for(sandbox, 300);
        Some(Cause {
            processes: vec![holder],
            ..Cause::none()
        })
    },
    names: &["work", "plandex exec", "has missed a heartbeat", "ms ago"],
    end: End::Left(&["is the process suspended"], |_, cause| {
        for holder in cause.processes {
            holder.cont();
            holder.finish().ok();
        }
    }),
};

/// A holder at work for much longer than others of its kind were.
pub(super) const LONG_RUNNING: Damage = Damage {
    kind: "long_running_operation",
    severity: "info",
    with: &[],
    make: |sandbox| {
        for _ in 0..6 {
            sandbox.ok(&["exec", "--", "true"]);
        }
        let holder = writer(sandbox);
        sandbox.until("that is unusual", || {
            let (_, document) = super::report(sandbox, &[]);
            super::issue_of(&document, "long_running_operation").map(|_| ())
        });
        Some(Cause {
            processes: vec![holder],
            is_busy: true,
            ..Cause::none()
        })
    },
    names: &["work", "has been running for", "19 of 20 like it"],
    end: End::Left(&["`plandex stop`"], |sandbox, cause| {
        sandbox.ok(&["stop"]);
        for mut holder in cause.processes {
            holder.wait(SOON).exits(143);
        }
    }),
};

pub(super) const BACKLOG: Damage = Damage {
    kind: "queue_backlog",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        let mut processes = vec![writer(sandbox)];
        for _ in 0..10 {
            let waiter = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
            waits(sandbox, &waiter);
            processes.push(waiter);
        }
        Some(Cause {
            processes,
            is_busy: true,
            ..Cause::none()
        })
    },
    names: &["work", "10 operations in line", "tickets "],
    end: End::Left(&["`plandex ps`", "`plandex stop`"], |_, cause| {
        // In line: the first one's end lets the others go on.
        for process in cause.processes {
            process.finish().ok();
        }
    }),
};

/// A tell was killed, and somebody took its lock away by hand.
pub(super) const STATUS_STUCK: Damage = Damage {
    kind: "status_stuck",
    severity: "warning",
    with: &["leftovers"],
    make: |sandbox| {
        let teller = teller(sandbox, "first", "thinking");
        let ticket = holds(sandbox, &teller).to_string();
        teller.kill();
        sandbox.ok(&["locks", "release", &ticket]);
        Some(Cause::none())
    },
    names: &["work", "main", "says replying", "no living write ticket"],
    end: End::Fixed(&["its partial reply (9 bytes) is kept"]),
};

/// An apply was killed between its two files.
pub(super) const INTERRUPTED_APPLY: Damage = Damage {
    kind: "interrupted_apply",
    severity: "error",
    with: &["orphaned_lock", "status_stuck", "leftovers"],
    make: |sandbox| {
        let trace = sandbox.place().join("trace");
        // Where it would be is learnt from one that changes nothing: it is killed at its end.
        let half = half_way(sandbox, &trace);
        killed_at(sandbox, &["apply", "-y"], half).expect("it passes there");
        Some(Cause::none())
    },
    names: &["work", "an apply", "died while it wrote files", "apply "],
    end: End::Fixed(&["removed lock "]),
};

/// The number of the first crash point right after a file has got its place in the project.
fn half_way(sandbox: &Sandbox, trace: &std::path::Path) -> usize {
    let copy = Sandbox::with_limit(Duration::from_secs(60));
    let from = sandbox.root().join(".");
    let args = [std::path::Path::new("-a"), &from, copy.root()];
    copy.program("cp", args).cwd(copy.place()).finish().ok();
    copy.plandex(["apply", "-y"])
        .env("PLANDEX_CRASH_TRACE", trace)
        .finish()
        .ok();
    let passed = std::fs::read_to_string(trace).unwrap();
    let at = passed
        .lines()
        .position(|point| point == "file.exchange.after");
    at.unwrap() + 1
}

/// Holds the plan until its standard input is closed.
pub(super) fn writer<'s>(sandbox: &'s Sandbox) -> Background<'s> {
    let holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    holds(sandbox, &holder);
    holder
}

/// A holder is killed, and all that it started is gone: only then is its lock a dead one. Returns the
/// ticket.
pub(super) fn kill_a_writer(sandbox: &Sandbox) -> i64 {
    let holder = writer(sandbox);
    let id = holds(sandbox, &holder);
    let line = sandbox.tickets();
    let ticket = line.iter().find(|ticket| ticket.id == id).unwrap();
    holder.kill();
    let is_alive = || plandex::lock::owner::is_alive(&sandbox.state_dir(), &ticket.owner_id);
    sandbox.until("its owner is dead", || (!is_alive()).then_some(()));
    id
}

pub(super) fn set_intervals(sandbox: &Sandbox, heartbeat: u64, lease: u64) {
    let intervals = Intervals {
        heartbeat: Duration::from_millis(heartbeat),
        lease: Duration::from_millis(lease),
    };
    let set = sandbox
        .store()
        .choose(SOON, |tx| settings::set_intervals(tx, intervals));
    set.unwrap();
}

fn is_silent_for(sandbox: &Sandbox, ms: i64) {
    sandbox.until_queue("the holder is silent", |line| {
        let held = line.iter().filter(|ticket| ticket.state == State::Held);
        held.into_iter()
            .any(|ticket| ticket.silence_ms().is_some_and(|silence| silence > ms))
    });
}

/// The holder that was given up can write nothing when it is awake again.
#[test]
fn the_holder_of_a_stale_lock_that_wakes_up_has_lost_it() {
    let sandbox = super::project(Duration::from_secs(60));
    sandbox.quicken();
    let mut holder = teller(&sandbox, "first", "thinking");
    suspend(&sandbox, &holder);
    is_silent_for(&sandbox, 700);
    sandbox.ok(&["doctor", "--fix"]);
    super::clean(&sandbox);
    holder.signal(Signal::CONT);
    holder.wait(SOON).exits(79);
    super::goes_on(&sandbox);
}

/// What was found is looked at again: a lock that came back to life is left alone.
#[test]
fn a_lock_that_came_back_to_life_is_left_alone() {
    let sandbox = super::project(Duration::from_secs(60));
    sandbox.quicken();
    let mut holder = teller(&sandbox, "first", "thinking");
    for _ in 0..5 {
        suspend(&sandbox, &holder);
        is_silent_for(&sandbox, 700);
        let (_, found) = super::report(&sandbox, &[]);
        assert!(super::issue_of(&found, "stale_lock").is_some());
        // Awake before --fix looks: nothing stands between the two that takes as long as a lease.
        holder.cont();
        sandbox.until_queue("it beats again", |line| {
            let mut line = line.iter();
            line.any(|ticket| ticket.silence_ms().is_some_and(|silence| silence < 200))
        });
        let (outcome, fixed) = super::report(&sandbox, &["--fix"]);
        assert_eq!(fixed["fixedIssues"], serde_json::json!([]), "{outcome}");
        assert!(holder.is_running(), "{outcome}");
    }
    holder.close_stdin();
    holder.wait(SOON).ok();
    super::clean(&sandbox);
}
