//! Leaving the line and stopping the work: by signal, by `stop`, by deadline.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Background, Sandbox};

use super::{SOON, convo, error_type, is_free, project, waits, writer};

/// The signals that end an operation, with the exit codes they have.
const SIGNALS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

fn waiter(sandbox: &Sandbox) -> Background<'_> {
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "echo", "ran"]);
    let waiter = run.start();
    waits(sandbox, &waiter);
    waiter
}

/// The status of branch main in `status --json`.
fn status(sandbox: &Sandbox) -> String {
    let connection = super::raw(sandbox);
    connection
        .query_row("SELECT status FROM branches", [], |row| row.get(0))
        .unwrap()
}

/// The partial reply is kept as stopped, the lock is gone and the next proceeds.
fn is_kept(sandbox: &Sandbox) {
    let said = convo(sandbox);
    let owned = |role: &str, state: &str, text: &str| (role.into(), state.into(), text.into());
    assert_eq!(
        said,
        [
            owned("user", "complete", "first"),
            owned("assistant", "stopped", "thinking\n")
        ]
    );
    assert_eq!(status(sandbox), "stopped");
    is_free(sandbox);
    let next = sandbox.ok(&["exec", "--no-wait", "--", "true"]);
    assert!(!next.stderr.contains("Repaired"), "{next}");
}

mod context_cancellation {
    use super::*;

    #[test]
    fn operation_respects_cancellation() {
        let sandbox = project();
        for (signal, code) in SIGNALS {
            let holder = writer(&sandbox);
            let (mut leaver, mut next) = (waiter(&sandbox), waiter(&sandbox));
            let pid = leaver.pid();
            leaver.signal(signal);
            let left = leaver.wait(SOON).exits(code);
            assert_eq!(left.stdout, "");
            left.says("left the queue: nothing was changed");
            assert!(sandbox.tickets().iter().all(|ticket| ticket.pid != pid));
            assert!(next.is_running());
            holder.finish().ok();
            assert_eq!(next.wait(SOON).ok().stdout, "ran\n");
            is_free(&sandbox);
        }
        let dump = sandbox.dump();
        assert_eq!(dump.matches("outcome=\"cancelled\"").count(), SIGNALS.len());
    }

    #[test]
    fn operation_respects_timeout() {
        let sandbox = project();
        let holder = writer(&sandbox);
        let begun = Instant::now();
        let mut late = sandbox.start(&["exec", "--wait", "1s", "--", "echo", "ran"]);
        let over = late.wait(SOON).exits(75);
        let waited = begun.elapsed();
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
        assert!(waited < Duration::from_secs(10), "{waited:?}");
        assert_eq!(over.stdout, "");
        // SEED.md 8.1.3, with the words of DESIGN.md 11.
        for words in [
            "Could not start operation after 1 second.",
            "Reason: Another operation is still in progress on this plan.",
            "Nothing was changed.",
            "Options:",
            "  1. Wait and retry: plandex exec --wait 1s -- echo ran",
            "  2. Check status:   plandex status",
            "  3. Force stop:     plandex stop (keeps the partial reply)",
            "If this persists, the previous operation may have crashed.",
            "Run 'plandex doctor' to check for stale locks.",
        ] {
            assert!(over.stderr.contains(words), "{words:?}\n{over}");
        }
        assert!(!over.stderr.contains("may lose progress"), "{over}");
        let json = sandbox.run(&["exec", "--wait", "50ms", "--json", "--", "true"]);
        assert_eq!(error_type(&json.clone().exits(75).stderr), "lock_timeout");
        holder.finish().ok();
        is_free(&sandbox);
        assert!(sandbox.dump().contains("outcome=\"timed out\""));
    }
}

#[test]
fn not_waiting_is_refused_at_once() {
    let sandbox = project();
    let holder = writer(&sandbox);
    for flag in ["--no-wait", "--wait=0"] {
        let refused = sandbox.run(&["exec", flag, "--json", "--", "echo", "ran"]);
        assert_eq!(
            error_type(&refused.clone().exits(75).stderr),
            "lock_conflict"
        );
        assert_eq!(refused.stdout, "");
    }
    let refused = sandbox
        .plandex(["exec", "--", "true"])
        .env("PLANDEX_WAIT", "0");
    refused.finish().exits(75);
    assert_eq!(sandbox.tickets().len(), 1);
    holder.finish().ok();
}

#[test]
fn a_signal_in_the_middle_of_a_reply_keeps_what_came() {
    for (signal, code) in SIGNALS {
        let sandbox = project();
        let mut first = super::teller(&sandbox, "first", "thinking");
        first.signal(signal);
        first.wait(SOON).exits(code);
        is_kept(&sandbox);
    }
}

#[test]
fn stop_from_another_process_keeps_what_came() {
    let sandbox = project();
    let mut first = super::teller(&sandbox, "first", "thinking");
    let asked = sandbox.ok(&["stop"]);
    assert!(
        asked.stdout.contains("Asked Tell operation to stop"),
        "{asked}"
    );
    first.wait(SOON).exits(143);
    is_kept(&sandbox);
    let again = sandbox.ok(&["stop"]);
    assert!(
        again.stderr.contains("Nothing runs on plan work"),
        "{again}"
    );
}

#[test]
fn stop_ends_what_only_waits_by_its_ticket() {
    let sandbox = project();
    let mut holder = writer(&sandbox);
    let mut waiting = sandbox.plandex(["exec", "--", "true"]).start();
    let ticket = sandbox.until("it waits", || {
        let locks = sandbox.ok(&["locks", "--json"]).json();
        let all = locks["locks"].as_array()?.clone();
        let mine = all.into_iter().find(|lock| lock["state"] == "waiting")?;
        mine["ticket"].as_i64()
    });
    let unknown = sandbox.run(&["stop", &(ticket + 7).to_string()]).exits(2);
    assert!(unknown.stderr.contains("has ticket"), "{unknown}");
    let asked = sandbox.ok(&["stop", &ticket.to_string()]);
    assert!(asked.stdout.contains("Asked Command to stop"), "{asked}");
    waiting.wait(SOON).exits(143);
    assert!(holder.is_running(), "who holds the plan was not asked");
    sandbox.ok(&["stop"]);
    holder.wait(SOON).exits(143);
    is_free(&sandbox);
}

#[test]
fn stop_ends_the_command_of_an_exec() {
    let sandbox = project();
    let mut holder = writer(&sandbox);
    sandbox.ok(&["stop"]);
    // 128 + SIGTERM: the command's own end.
    holder.wait(SOON).exits(143);
    is_free(&sandbox);
}

/// The signal arrives in the very moment of the grant, or before or after it: whichever it is, the
/// lock is not left behind.
#[test]
fn a_signal_around_the_grant_leaves_no_lock_behind() {
    let sandbox = project();
    for _ in 0..20 {
        let mut holder = writer(&sandbox);
        let mut leaver = waiter(&sandbox);
        holder.close_stdin();
        leaver.signal(Signal::INT);
        holder.wait(SOON).ok();
        let left = leaver.wait(SOON);
        assert!(matches!(left.code, Some(0 | 130)), "{left}");
        is_free(&sandbox);
    }
}
