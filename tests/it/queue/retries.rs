//! Conflicts with programs that know nothing of our gate: the schedule of SEED.md 5.5.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Sandbox, needs};

use super::deadlock::retries;
use super::{SOON, audited, error_type, holds, is_free, project, raw};

/// Holds the database's write lock from outside until it is dropped.
fn outside(sandbox: &Sandbox) -> rusqlite::Connection {
    let connection = raw(sandbox);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

const TRUE: [&str; 3] = ["exec", "--", "true"];

/// With the wait that a command has by default: the whole schedule, then 75 and nothing changed.
#[test]
fn six_retries_then_nothing_was_changed() {
    needs!("python3");
    let sandbox = project();
    let program = "import sqlite3, sys\n\
                   c = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                   c.execute('BEGIN IMMEDIATE'); print('begun', flush=True)\n\
                   sys.stdin.read(); c.execute('ROLLBACK')\n";
    let database = sandbox.state_dir().join("plandex.db");
    let run = sandbox.program("python3", ["-c", program]).args([database]);
    let other = run.held_stdin().start();
    other.until_says("begun");
    let before = sandbox.dump();
    let outcome = sandbox.run(&["exec", "--", "echo", "ran"]).exits(75);
    assert_eq!(outcome.stdout, "");
    assert_eq!(retries(&outcome.stderr), 6, "{outcome}");
    let words = "Another operation is in progress on this plan. Waiting...";
    assert_eq!(outcome.stderr.matches(words).count(), 1, "{outcome}");
    outcome
        .says("failed to acquire lock after 6 attempts")
        .says("nothing was changed");
    assert_eq!(sandbox.dump(), before);
    other.finish().ok();
    sandbox.ok(&TRUE);
    assert_eq!(audited(&sandbox).len(), 1);
}

/// By the same schedule: `new`, `cd`, `checkout`, `stop`, `locks release`.
#[test]
fn what_takes_no_ticket_is_tried_again_too() {
    let sandbox = project();
    sandbox.ok(&["checkout", "-b", "feature"]);
    let plans = || {
        std::fs::read_dir(sandbox.state_dir().join("plans"))
            .unwrap()
            .count()
    };
    let (before, repositories) = (sandbox.dump(), plans());
    let other = outside(&sandbox);
    let all: [&[&str]; 4] = [
        &["new", "-n", "b"],
        &["cd", "work"],
        &["checkout", "main"],
        &["stop"],
    ];
    let started: Vec<_> = all.iter().map(|command| sandbox.start(command)).collect();
    for mut command in started {
        let outcome = command.wait(SOON * 2).exits(75);
        assert_eq!(retries(&outcome.stderr), 6, "{outcome}");
        outcome
            .says("failed to acquire lock after 6 attempts")
            .says("nothing was changed");
    }
    for command in all {
        let run = sandbox.plandex(command).args(["--wait", "1s", "--json"]);
        let outcome = run.finish().exits(75);
        assert_eq!(error_type(&outcome.stderr), "lock_timeout");
        let run = sandbox.plandex(command).args(["--no-wait"]);
        let outcome = run.finish().exits(75);
        assert_eq!(retries(&outcome.stderr), 0, "{outcome}");
        outcome.says("the database is busy");
    }
    assert_eq!((sandbox.dump(), plans()), (before, repositories));
    other.execute_batch("ROLLBACK").unwrap();
    let holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    holds(&sandbox, &holder);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let id = sandbox.tickets()[0].id.to_string();
    let release = ["locks", "release", &id, "--even-if-alive", "--wait", "1s"];
    let outcome = sandbox.run(&release).exits(75);
    assert!(retries(&outcome.stderr) > 0, "{outcome}");
    outcome.says("nothing was changed");
    other.execute_batch("ROLLBACK").unwrap();
    holder.finish().ok();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiters = all.map(|command| sandbox.start(command));
    for waiter in &waiters {
        waiter.until_says("Retry 1/6");
    }
    other.execute_batch("ROLLBACK").unwrap();
    for waiter in waiters {
        waiter.finish().ok();
    }
}

#[test]
fn a_retry_that_gets_through_goes_on_as_if_nothing_had_been() {
    let sandbox = project();
    let other = outside(&sandbox);
    let waiter = sandbox.start(&["exec", "--", "echo", "ran"]);
    waiter.until_says("Retry 1/6");
    other.execute_batch("ROLLBACK").unwrap();
    let outcome = waiter.finish().ok();
    assert_eq!(outcome.stdout, "ran\n");
    assert!(retries(&outcome.stderr) < 6, "{outcome}");
    is_free(&sandbox);
}

#[test]
fn a_signal_is_heard_in_the_pause() {
    let sandbox = project();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let other = outside(&sandbox);
        let mut waiter = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
        // The pauses before it were short: this one takes at least 1.68 s.
        waiter.until_says("Retry 4/6");
        waiter.signal(signal);
        let begun = Instant::now();
        let outcome = waiter.wait(SOON).exits(code);
        assert!(begun.elapsed() < Duration::from_millis(1_680), "{outcome}");
        outcome.says("context canceled while waiting to retry");
        other.execute_batch("ROLLBACK").unwrap();
    }
    is_free(&sandbox);
}

#[test]
fn the_deadline_ends_the_pause() {
    let sandbox = project();
    let other = outside(&sandbox);
    let begun = Instant::now();
    let run = sandbox.plandex(["exec", "--wait", "2s", "--json", "--", "true"]);
    let outcome = run.finish().exits(75);
    let waited = begun.elapsed();
    assert!(
        waited >= Duration::from_secs(2) && waited < SOON,
        "{waited:?}"
    );
    assert!(
        outcome
            .stderr
            .contains("context canceled while waiting to retry"),
        "{outcome}"
    );
    assert_eq!(error_type(&outcome.stderr), "lock_timeout");
    other.execute_batch("ROLLBACK").unwrap();
    is_free(&sandbox);
}

#[test]
fn without_waiting_nothing_is_tried_again() {
    let sandbox = project();
    let other = outside(&sandbox);
    let outcome = sandbox.run(&["exec", "--no-wait", "--", "true"]).exits(75);
    assert_eq!(retries(&outcome.stderr), 0, "{outcome}");
    outcome.says("the database is busy");
    other.execute_batch("ROLLBACK").unwrap();
}

/// Our own gate is a queue: whoever stands before it waits for its turn and retries nothing.
#[test]
fn waiting_at_the_gate_is_no_conflict() {
    let sandbox = project();
    let gate = std::fs::File::open(sandbox.state_dir().join("write.lock")).unwrap();
    plandex::platform::file_lock::exclusive(&gate).unwrap();
    let run = ["exec", "--wait", "1s", "--", "true"];
    let outcome = sandbox.run(&run).exits(75);
    assert_eq!(retries(&outcome.stderr), 0, "{outcome}");
    drop(gate);
    sandbox.ok(&run);
}
