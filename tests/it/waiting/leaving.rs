//! Ctrl-C at every moment leaves a clean queue.

use plandex::store::tickets::State;
use rustix::process::Signal;

use super::{SOON, is_clean, project, teller, until_state, waiter, writer};

#[test]
fn before_anything_was_said() {
    let sandbox = project();
    let holder = writer(&sandbox);
    for _ in 0..5 {
        let mut early = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
        until_state(&sandbox, early.pid(), State::Waiting);
        early.signal(Signal::INT);
        let left = early.wait(SOON).exits(130);
        left.says("error: left the queue: nothing was changed");
    }
    holder.finish().ok();
    is_clean(&sandbox);
}

#[test]
fn while_the_text_is_up() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut waiting = waiter(&sandbox);
    waiting.signal(Signal::INT);
    let left = waiting.wait(SOON).exits(130);
    assert!(
        left.stderr
            .ends_with("error: left the queue: nothing was changed\n"),
        "{left}"
    );
    assert!(!left.stderr.contains("Operation started"), "{left}");
    let line = sandbox.tickets();
    assert_eq!(line.len(), 1, "{line:?}");
    holder.finish().ok();
    is_clean(&sandbox);
}

/// The signal comes with the grant, or just before or after it; either way nothing stays behind.
#[test]
fn at_the_grant() {
    let sandbox = project();
    for _ in 0..5 {
        let mut holder = writer(&sandbox);
        let mut waiting = waiter(&sandbox);
        holder.close_stdin();
        waiting.signal(Signal::INT);
        holder.wait(SOON).ok();
        let left = waiting.wait(SOON);
        assert!(matches!(left.code, Some(0 | 130)), "{left}");
        is_clean(&sandbox);
    }
}

#[test]
fn while_working() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut working = sandbox
        .plandex(["tell", "x", "--reply", "-", "--wait", "forever"])
        .held_stdin()
        .start();
    working.until_says("Press Ctrl+C");
    holder.finish().ok();
    until_state(&sandbox, working.pid(), State::Held);
    working.say("thinking\n");
    working.until_says("thinking");
    working.signal(Signal::INT);
    let left = working.wait(SOON).exits(130);
    assert!(
        left.stderr.contains("Operation started after waiting"),
        "{left}"
    );
    assert!(left.stderr.contains("the partial reply is kept"), "{left}");
    is_clean(&sandbox);
}

/// Between two retries of a transaction that somebody outside plandex keeps from beginning.
#[test]
fn between_retries() {
    let sandbox = project();
    let outside = super::raw(&sandbox);
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
    waiting.until_says("Retry 3/6: Will retry in ");
    waiting.signal(Signal::INT);
    let left = waiting.wait(SOON).exits(130);
    left.says("error: context canceled while waiting to retry");
    outside.execute_batch("ROLLBACK").unwrap();
    is_clean(&sandbox);
}

#[test]
fn by_a_second_terminal_that_stops_the_holder() {
    let sandbox = project();
    let mut holder = teller(&sandbox, "first");
    let waiting = waiter(&sandbox);
    sandbox.ok(&["stop"]);
    holder.wait(SOON).exits(143);
    let mut waiting = waiting;
    let said = waiting.wait(SOON).ok();
    said.says("Tell operation (pid ").says(") was stopped.");
    is_clean(&sandbox);
}
