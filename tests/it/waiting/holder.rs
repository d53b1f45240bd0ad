//! The holder's end and its standing still, seen from the waiting side: each has its words, and
//! the wait ends as it should.

use std::time::Duration;

use plandex::store::tickets::{self, State};

use super::{SOON, is_clean, project, raw, teller, until_state, waiter, writer};
use crate::support::{Background, Sandbox};

/// The waiter got its turn, and said these words before it said so.
#[track_caller]
fn starts_after(sandbox: &Sandbox, mut waiting: Background<'_>, words: &str) {
    let said = waiting.wait(SOON).ok();
    assert_eq!(said.stdout, "ran\n");
    let how = said.stderr.find(words);
    let started = said.stderr.find("Operation started after waiting ");
    assert!(how.is_some() && how < started, "{words:?}\n{said}");
    is_clean(sandbox);
}

#[test]
fn a_holder_that_dies() {
    let sandbox = project();
    let holder = teller(&sandbox, "first");
    let waiting = waiter(&sandbox);
    let words = format!(
        "Tell operation (pid {}) died; its lock was taken back.",
        holder.pid()
    );
    holder.kill();
    starts_after(&sandbox, waiting, &words);
}

#[test]
fn a_holder_that_is_stopped_by_somebody() {
    let sandbox = project();
    // It takes its time: the terminating signal is not for it.
    let stubborn = sandbox
        .plandex(["exec", "--", "sh", "-c", "trap '' TERM; echo up; cat"])
        .held_stdin()
        .start();
    stubborn.until_says("up");
    let waiting = waiter(&sandbox);
    sandbox.ok(&["stop"]);
    waiting.until_says(", asked to stop. Position in queue: 2 of 2");
    let words = format!("Command (pid {}) was stopped.", stubborn.pid());
    stubborn.finish();
    starts_after(&sandbox, waiting, &words);
}

#[test]
fn a_holder_that_is_suspended_and_comes_back() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let waiting = waiter(&sandbox);
    holder.stop();
    waiting.until_says(", suspended. Position in queue: 2 of 2");
    let json = sandbox.start(&["exec", "--json", "--wait", "forever", "--", "true"]);
    json.until_says("\"state\":\"suspended\"");
    let stopped = waiting.stderr().lines().count();
    holder.cont();
    sandbox.until("it is heard to go on", || {
        (waiting.stderr().lines().count() > stopped).then_some(())
    });
    let last = waiting.stderr();
    let last = last.lines().last().unwrap();
    assert!(
        last.starts_with("Waiting for Command on plan 'work'"),
        "{last}"
    );
    assert!(!last.contains("suspended"), "{last}");
    holder.finish().ok();
    json.finish().ok();
    starts_after(&sandbox, waiting, "");
}

/// Suspended for longer than its lease: it is replaced, and learns of it when it wakes.
#[test]
fn a_holder_that_hangs_is_replaced() {
    let sandbox = project();
    sandbox.quicken();
    let mut holder = teller(&sandbox, "first");
    let waiting = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "ran"]);
    until_state(&sandbox, waiting.pid(), State::Waiting);
    let pid = holder.pid();
    super::suspend(&sandbox, &holder);
    let mut waiting = waiting;
    let said = waiting.wait(SOON).ok();
    assert_eq!(said.stdout, "ran\n");
    // Leases of 600 ms: the wait was long enough to be heard of.
    let words = format!("Tell operation (pid {pid}) hung; its lock was taken from it.");
    assert!(said.stderr.contains(&words), "{said}");
    holder.cont();
    let lost = holder.wait(SOON).exits(79);
    assert!(lost.stderr.contains("heartbeat_lost"), "{lost}");
    assert!(
        lost.stderr
            .contains("did not answer for longer than the lease"),
        "{lost}"
    );
    assert!(lost.stdout.contains("lock.lost"), "{lost}");
    is_clean(&sandbox);
}

/// The wrapper is killed, and what its command started lives on: nobody may work beside it.
#[test]
fn a_holder_whose_command_outlives_it() {
    let sandbox = project();
    let fifo = sandbox.place().join("tmp/fifo");
    let script = format!("mkfifo {0}; sleep 1000 & echo up; cat {0}", fifo.display());
    let holder = sandbox.start(&["exec", "--", "sh", "-c", &script]);
    holder.until_says("up");
    let waiting = waiter(&sandbox);
    let pid = holder.pid();
    holder.kill();
    waiting.until_says(", ended, but what it started goes on. Position in queue");
    // Its lease would end in a minute; it is brought about now.
    raw(&sandbox)
        .execute(
            "UPDATE repo_locks SET lease_stamp = lease_stamp - 120000 WHERE state = 'held'",
            [],
        )
        .unwrap();
    let words = format!("Command (pid {pid}) hung; its lock was taken from it.");
    starts_after(&sandbox, waiting, &words);
}

#[test]
fn a_lock_that_is_released_by_force() {
    let sandbox = project();
    let mut holder = writer(&sandbox);
    let waiting = waiter(&sandbox);
    let ticket = sandbox
        .tickets()
        .into_iter()
        .find(|t| t.pid == holder.pid())
        .unwrap();
    sandbox
        .store()
        .tickets(Duration::from_secs(5), |tx| {
            tickets::remove_forced(tx, ticket.id, ticket.fence)
        })
        .unwrap();
    let words = format!(
        "Command (pid {}) lost its lock: it was released by force.",
        holder.pid()
    );
    starts_after(&sandbox, waiting, &words);
    let lost = holder.wait(SOON).exits(79);
    assert!(
        lost.stderr.contains("somebody released it by force"),
        "{lost}"
    );
    assert!(lost.stderr.contains("plandex status"), "{lost}");
}

#[test]
fn a_waiter_that_is_taken_out_of_the_line() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = waiter(&sandbox);
    let ticket = sandbox
        .tickets()
        .into_iter()
        .find(|t| t.pid == waiting.pid())
        .unwrap();
    sandbox
        .store()
        .tickets(Duration::from_secs(5), |tx| {
            tickets::remove_forced(tx, ticket.id, ticket.fence)
        })
        .unwrap();
    let said = waiting.wait(SOON).exits(1);
    assert_eq!(said.stdout, "");
    let said = said.says("error: the ticket was removed from the queue while it waited");
    said.says("hint: nothing was changed");
    holder.finish().ok();
    is_clean(&sandbox);
}

/// A plan that is deleted is one that nobody may change any more, also who waited for it.
#[test]
fn a_plan_that_is_deleted_meanwhile() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = waiter(&sandbox);
    let mut json = sandbox.start(&["diff", "--json", "--wait", "forever"]);
    json.until_says("lock.waiting");
    // As deleting does it, under its write ticket.
    raw(&sandbox)
        .execute(
            "UPDATE plans SET deleted_at = 1, deleted_by = 'the boss' WHERE name = 'work'",
            [],
        )
        .unwrap();
    holder.finish().ok();
    let said = waiting.wait(SOON).exits(1);
    assert_eq!(said.stdout, "");
    said.says(
        "plan \"work\" was deleted by the boss while this waited for it; nothing was changed",
    );
    let said = json.wait(SOON).exits(1);
    assert!(said.stderr.contains("\"type\":\"plan_deleted\""), "{said}");
}

/// Somebody is stopped in the middle of a write: nobody gets into line, and everybody says why.
#[test]
fn somebody_stands_in_the_gate() {
    let sandbox = project();
    let gate = sandbox.state_dir().join("write.lock");
    let script = format!("exec 9>>{}; flock 9; echo in; cat", gate.display());
    crate::support::needs!("flock");
    let blocker = sandbox.program("sh", ["-c", &script]).held_stdin().start();
    blocker.until_says("in");
    let mut waiting = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "ran"]);
    waiting.until_says("Waiting for the database: pid ");
    let said = waiting.stderr();
    assert!(said.contains(" is writing to it..."), "{said}");
    let mut late = sandbox.start(&["exec", "--wait", "1s", "--", "echo", "ran"]);
    let refused = late.wait(SOON).exits(75);
    assert!(refused.stderr.contains("the database is busy"), "{refused}");
    blocker.finish().ok();
    let said = waiting.wait(SOON).ok();
    assert_eq!(said.stdout, "ran\n");
    said.says("Operation started after waiting ");
    is_clean(&sandbox);
}
