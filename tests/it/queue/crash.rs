//! A releaser dies between its COMMIT and the doorbell: the ring is lost, the turn is not.

use std::time::Instant;

use crate::support::Sandbox;

use super::{SOON, audited, holds, project, waits};

/// The crash points that an uncontended `exec -- true` passes, in order.
fn trace(sandbox: &Sandbox) -> Vec<String> {
    let file = sandbox.place().join("tmp/trace");
    let run = sandbox.plandex(["exec", "--", "true"]);
    run.env("PLANDEX_CRASH_TRACE", &file).finish().ok();
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Runs once; `false` if the holder died elsewhere than in its release (a heartbeat came between,
/// on a slow machine).
fn a_lost_ring(sandbox: &Sandbox) -> bool {
    let passed = trace(sandbox);
    std::fs::remove_file(sandbox.place().join("tmp/trace")).unwrap();
    let release = passed.iter().rposition(|point| point == "commit.after");
    let release = release.unwrap() + 1;
    let mut holder = sandbox
        .plandex(["exec", "--", "cat"])
        .env("PLANDEX_CRASH_AT", release.to_string())
        .held_stdin()
        .start();
    holds(sandbox, &holder);
    let mut waiter = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
    waits(sandbox, &waiter);
    let pid = holder.pid();
    holder.close_stdin();
    let died = holder.wait(SOON);
    assert_eq!(died.signal, Some(9), "{died}");
    let begun = Instant::now();
    waiter.wait(SOON).ok();
    // The grace is a second, the lease a minute; the rest is for a slow machine.
    assert!(begun.elapsed() < SOON / 2);
    let audit = audited(sandbox);
    let entry = audit.iter().find(|entry| entry.pid == pid).unwrap();
    entry.outcome.as_deref() == Some("released")
}

#[test]
fn a_ring_lost_between_commit_and_doorbell_costs_no_turn() {
    let sandbox = project();
    assert!(
        (0..5).any(|_| a_lost_ring(&sandbox)),
        "no holder died after the commit of its release"
    );
}
