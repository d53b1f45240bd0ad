//! The lock is lost while the command runs: it has five seconds, and exec exits 79.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Awake, needs, suspended_at, suspending};

use super::{IDLE, Marked, SOON, error_type, is_free, quick_project, raw, ready};

fn forget_all(sandbox: &crate::support::Sandbox) {
    raw(sandbox).execute("DELETE FROM repo_locks", []).unwrap();
}

#[test]
fn a_command_whose_lock_is_lost_is_told_to_end() {
    let sandbox = quick_project();
    let script = format!("trap 'echo told; exit 0' TERM; echo ready; {IDLE}");
    let mut command = ready(&sandbox, &script);
    forget_all(&sandbox);
    let begun = Instant::now();
    let ended = command.wait(SOON).exits(79);
    assert_eq!(ended.stdout, "ready\ntold\n");
    assert!(begun.elapsed() < Duration::from_secs(4), "{ended}");
    is_free(&sandbox);
}

/// What ignores TERM is killed after five seconds, wherever in the tree it is.
#[test]
fn a_command_that_ignores_term_is_killed_after_five_seconds() {
    needs!("setsid");
    needs!("flock");
    let sandbox = quick_project();
    let marked = Marked::new(&sandbox);
    let script = marked.prelude()
        + "trap '' TERM; setsid sleep 1000 & sleep 1000 & echo ready; cat; cat; cat";
    let run = sandbox.plandex(["exec", "--json", "--", "sh", "-c"]);
    let mut command = run.args([script]).held_stdin().start();
    command.until_says("ready");
    forget_all(&sandbox);
    let begun = Instant::now();
    let ended = command.wait(SOON).exits(79);
    assert!(begun.elapsed() >= Duration::from_secs(5), "{ended}");
    assert!(marked.all_gone());
    assert_eq!(error_type(&ended.stderr), "heartbeat_lost");
    is_free(&sandbox);
}

/// Heartbeats that fail for longer than a lease are a loss, although the row is still there.
#[test]
fn a_command_ends_when_nobody_can_write_for_longer_than_a_lease() {
    let sandbox = quick_project();
    let mut command = ready(&sandbox, "echo ready; cat");
    let blocker = raw(&sandbox);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    command.wait(SOON).exits(79);
    blocker.execute_batch("ROLLBACK").unwrap();
    sandbox.ok(&["exec", "--wait", "20s", "--", "true"]);
    is_free(&sandbox);
}

/// A wrapper that is suspended between its grant and its command loses the lock to the next in
/// line; awake again, it starts nothing beside that one.
#[test]
fn a_wrapper_that_slept_before_its_command_starts_none_beside_its_successor() {
    needs!("strace");
    suspending!(wrapper_that_slept_before_its_command);
}

fn wrapper_that_slept_before_its_command() -> Result<(), Awake> {
    let sandbox = quick_project();
    // The very fork that would make the command stops the wrapper instead.
    let calls = "clone,fork,vfork";
    let exec = ["exec", "--", "touch", "ran"];
    let (mut tracer, asleep) = suspended_at(&sandbox, calls, &exec)?;
    let mut successor = ready(&sandbox, "echo ready; cat");
    rustix::process::kill_process(asleep, Signal::CONT).unwrap();
    let ended = tracer.wait(SOON).exits(79);
    assert!(!sandbox.root().join("ran").exists(), "{ended}");
    successor.close_stdin();
    successor.wait(SOON).ok();
    is_free(&sandbox);
    Ok(())
}
