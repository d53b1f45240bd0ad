//! What stands in the log: golden texts of what happened.

use super::{log_file, normalised, project};
use crate::support::{Background, Sandbox, holds, waits};

/// Starts a command that logs `topics` to the file.
fn logging<'s>(sandbox: &'s Sandbox, topics: &str, args: &[&str]) -> Background<'s> {
    let run = sandbox.plandex(args).held_stdin();
    run.env("PLANDEX_LOG", topics)
        .env("PLANDEX_LOG_FILE", log_file(sandbox))
        .start()
}

/// The log as it is now, normalised.
fn log(sandbox: &Sandbox) -> Vec<String> {
    normalised(&std::fs::read_to_string(log_file(sandbox)).unwrap_or_default())
}

/// The log must consist of `expected`, whoever wrote it.
#[track_caller]
fn is(sandbox: &Sandbox, expected: &[&str]) {
    let found = log(sandbox);
    assert_eq!(found, expected, "\n{}\n", found.join("\n"));
}

#[test]
fn a_ticket_that_is_had_at_once_and_given_back() {
    let sandbox = project();
    let args = ["exec", "--plan", "a", "--wait", "forever", "--", "true"];
    logging(&sandbox, "locks,queue,transactions", &args)
        .finish()
        .ok();
    is(
        &sandbox,
        &[
            "[Queue] submitted: write lock on plan [ID], exec",
            "[Queue] batch: 1 of plan [ID] handed out, 0 wait behind; 1 plans, 1 workers",
            "[Queue] started: exec on plan [ID]",
            "[Lock][N] ATTEMPT write lock on plan [ID], waits for as long as it takes | reason: exec",
            "[Lock][N] BEGIN transaction on tickets or events | reason: exec",
            "[Lock][N] GRANT ticket 1, fence 1, at once | reason: exec",
            "[Lock][N] COMMIT after [T], [T] of it at the gate | reason: exec",
            "[Lock][N] ACQUIRED ticket 1, fence 1, after [T] | reason: exec",
            "[Lock][N] BEGIN transaction on tickets or events | reason: exec",
            "[Lock][N] RELEASE ticket 1, fence 1: released | reason: exec",
            "[Lock][N] COMMIT after [T], [T] of it at the gate | reason: exec",
            "[Queue] done: exec on plan [ID] after [T]",
        ],
    );
}

/// The whole way of a waiter, in its own log, and its grant in the log of who released.
#[test]
fn a_wait_a_grant_and_a_confirmation() {
    let sandbox = project();
    let holder = logging(&sandbox, "locks", &["exec", "--plan", "a", "--", "cat"]);
    holds(&sandbox, &holder);
    let waiter = logging(
        &sandbox,
        "locks",
        &["exec", "--plan", "a", "--wait", "forever", "--", "true"],
    );
    waits(&sandbox, &waiter);
    // Only once it says where it stands has it looked at its line.
    sandbox.until("it has looked", || {
        log(&sandbox)
            .iter()
            .any(|line| line.contains("WAIT"))
            .then_some(())
    });
    holder.finish().ok();
    waiter.finish().ok();
    is(
        &sandbox,
        &[
            "[Lock][N] ATTEMPT write lock on plan [ID], waits at most [T] | reason: exec",
            "[Lock][N] GRANT ticket 1, fence 1, at once | reason: exec",
            "[Lock][N] ACQUIRED ticket 1, fence 1, after [T] | reason: exec",
            "[Lock][N] ATTEMPT write lock on plan [ID], waits for as long as it takes | reason: exec",
            "[Lock][N] WAIT ticket 2, position 2, behind ticket 1 of pid [P] | reason: exec",
            "[Lock][N] RELEASE ticket 1, fence 1: released | reason: exec",
            "[Lock][N] GRANT ticket 2, fence 2, to pid [P] | reason: exec",
            "[Lock][N] CONFIRM ticket 2, fence 2 | reason: exec",
            "[Lock][N] ACQUIRED ticket 2, fence 2, after [T] | reason: exec",
            "[Lock][N] RELEASE ticket 2, fence 2: released | reason: exec",
        ],
    );
}

#[test]
fn refusals_time_outs_and_cancelled_waits() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    holds(&sandbox, &holder);
    let with = |wait: &'static str| ["exec", "--plan", "a", "--wait", wait, "--", "true"];
    logging(&sandbox, "locks", &with("0")).finish().exits(75);
    logging(&sandbox, "locks", &with("100ms"))
        .finish()
        .exits(75);
    let called_off = logging(&sandbox, "locks", &with("forever"));
    sandbox.until("it waits", || {
        let waits = log(&sandbox)
            .iter()
            .filter(|line| line.contains("WAIT"))
            .count();
        (waits == 2).then_some(())
    });
    called_off.signal(rustix::process::Signal::INT);
    called_off.finish().exits(130);
    holder.finish().ok();
    is(
        &sandbox,
        &[
            "[Lock][N] ATTEMPT write lock on plan [ID], does not wait | reason: exec",
            "[Lock][N] CONFLICT not to wait for ticket 1 of pid [P] | reason: exec",
            "[Lock][N] ATTEMPT write lock on plan [ID], waits at most [T] | reason: exec",
            "[Lock][N] WAIT ticket 2, position 2, behind ticket 1 of pid [P] | reason: exec",
            "[Lock][Delete][N] ticket 2 of pid [P], waiting: timed out",
            "[Lock][N] TIMEOUT ticket 2, position 2, after [T]: it left | reason: exec",
            "[Lock][N] ATTEMPT write lock on plan [ID], waits for as long as it takes | reason: exec",
            "[Lock][N] WAIT ticket 3, position 2, behind ticket 1 of pid [P] | reason: exec",
            "[Lock][Delete][N] ticket 3 of pid [P], waiting: cancelled",
            "[Lock][N] CANCEL Interrupted after [T] | reason: exec",
        ],
    );
}

#[test]
fn a_place_that_is_kept_and_taken_up_again() {
    let sandbox = project();
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    holds(&sandbox, &holder);
    let args = ["exec", "--plan", "a", "--wait", "100ms", "--", "true"];
    for _ in 0..2 {
        let run = sandbox.plandex(args).env("PLANDEX_ACTOR", "ci");
        let run = run.env("PLANDEX_LOG", "locks");
        run.env("PLANDEX_LOG_FILE", log_file(&sandbox))
            .finish()
            .exits(75);
    }
    holder.finish().ok();
    let attempt = "[Lock][N] ATTEMPT write lock on plan [ID], waits at most [T] | reason: exec";
    let wait = "[Lock][N] WAIT ticket 2, position 2, behind ticket 1 of pid [P] | reason: exec";
    let park =
        "[Lock][N] PARK ticket 2 of pid [P]: its wait is over, its place is kept | reason: exec";
    let over =
        "[Lock][N] TIMEOUT ticket 2, position 2, after [T]: its place is kept | reason: exec";
    let again = "[Lock][N] REJOIN ticket 2 waits in its place again | reason: exec";
    is(
        &sandbox,
        &[attempt, wait, park, over, attempt, again, wait, park, over],
    );
}

#[test]
fn heartbeats() {
    let sandbox = project();
    sandbox.quicken();
    let holder = logging(&sandbox, "heartbeat", &["exec", "--plan", "a", "--", "cat"]);
    sandbox.until("its heart beat three times", || {
        (log(&sandbox).len() >= 4).then_some(())
    });
    holder.finish().ok();
    let found = log(&sandbox);
    assert_eq!(found[0], "[Lock][Heartbeat] starts: every [T], lease [T]");
    for line in &found[1..4] {
        assert_eq!(
            line,
            "[Lock][Heartbeat] renewed 1 of tickets [1] in [T]"
                .replace("[1]", "[N]")
                .as_str()
        );
    }
}

/// Somebody deletes the row by hand: the heart notices, and the work ends with 79.
#[test]
fn a_lost_lock() {
    let sandbox = project();
    sandbox.quicken();
    // Before its command runs, exec looks for itself.
    let command = ["exec", "--plan", "a", "--", "sh", "-c", "echo ready; cat"];
    let mut holder = logging(&sandbox, "heartbeat,locks", &command);
    holder.until_says("ready");
    let row = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    row.busy_timeout(std::time::Duration::from_secs(10))
        .unwrap();
    row.execute("DELETE FROM repo_locks", []).unwrap();
    holder.wait(std::time::Duration::from_secs(30)).exits(79);
    let found = log(&sandbox);
    let has = |line: &str| {
        assert!(
            found.iter().any(|found| found == line),
            "{line:?} is not in\n{}",
            found.join("\n")
        );
    };
    has("[Lock][Heartbeat] ticket 1 is gone: its lock is lost");
    has("[Lock][N] LOST ticket 1: it was gone when it was to be released | reason: exec");
    assert!(
        !found.iter().any(|line| line.contains("RELEASE")),
        "{found:?}"
    );
}

/// A killed holder is removed by who comes next; a hung one is condemned first.
#[test]
fn deleted_and_condemned_tickets() {
    let sandbox = project();
    sandbox.quicken();
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    holds(&sandbox, &holder);
    holder.kill();
    let args = ["exec", "--plan", "a", "--wait", "forever", "--", "true"];
    logging(&sandbox, "locks", &args).finish().ok();
    let found = log(&sandbox).join("\n");
    assert!(
        found.contains("[Lock][Delete][N] ticket 1 of pid [P], held: "),
        "{found}"
    );

    let hung = sandbox
        .plandex(["exec", "--plan", "b", "--", "cat"])
        .held_stdin()
        .start();
    holds(&sandbox, &hung);
    hung.stop();
    let args = ["load", "--plan", "b", "--wait", "forever", "-n", "x"];
    let next = logging(&sandbox, "locks", &args);
    let found = sandbox.until("the hung one is replaced", || {
        let found = log(&sandbox).join("\n");
        found.contains(": lease expired").then_some(found)
    });
    assert!(
        found.contains(": no heartbeat for more than 600 ms | reason: load context"),
        "{found}"
    );
    assert!(found.contains("condemned: lease expired"), "{found}");
    next.finish().ok();
    hung.cont();
}

/// A program outside the gate keeps SQLite's write lock: the schedule, attempt by attempt.
#[test]
fn retries_of_a_busy_database() {
    let sandbox = project();
    let outside = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let args = ["exec", "--plan", "a", "--wait", "2s", "--", "true"];
    logging(&sandbox, "locks", &args).finish().exits(75);
    outside.execute_batch("ROLLBACK").unwrap();
    let found = log(&sandbox);
    let busy = "the database is busy: a program outside plandex holds its write lock";
    let first = format!("[Lock][Retry][N] Retry 1/6 in [T]: {busy}");
    assert!(found[1].starts_with(&first), "{found:#?}");
    let last = "[Lock][Retry][N] context canceled while waiting to retry: ";
    assert!(found.last().unwrap().starts_with(last), "{found:#?}");
    assert!(found.len() >= 3, "{found:#?}");
}

/// Two scripts in crossing order: the one that gives way says with whom.
#[test]
fn a_deadlock() {
    let sandbox = project();
    let tool = env!("CARGO_BIN_EXE_plandex");
    let script =
        |plan: &str| format!("echo has; read go; exec \"{tool}\" exec --plan {plan} -- true");
    let start = |outer: &str, inner: &str| {
        let script = script(inner);
        logging(
            &sandbox,
            "locks",
            &["exec", "--plan", outer, "--", "sh", "-c", &script],
        )
    };
    let (mut one, mut two) = (start("a", "b"), start("b", "a"));
    one.until_says("has");
    two.until_says("has");
    one.say("go\n");
    two.say("go\n");
    sandbox.until("one gives way", || {
        let found = log(&sandbox);
        let said = found
            .iter()
            .any(|line| line.starts_with("[Lock][N] DEADLOCK gives way in a circle of ticket "));
        let retries = found
            .iter()
            .any(|line| line.starts_with("[Lock][Retry][N] Retry 1/6 in [T]: deadlock detected"));
        (said && retries).then_some(())
    });
    // One of them finishes; the other one follows, or has spent its retries.
    let codes = [one.finish().code, two.finish().code];
    assert!(codes.contains(&Some(0)), "{codes:?}");
}

#[test]
fn a_batch_and_its_groups() {
    let sandbox = project();
    sandbox.write("jobs", "exec --plan a -- true\ndiff --plan a\n");
    logging(&sandbox, "queue", &["batch", "jobs"]).finish().ok();
    is(
        &sandbox,
        &[
            "[Queue] line 1 begins",
            "[Queue] submitted: write lock on plan [ID], exec",
            "[Queue] batch: 1 of plan [ID] handed out, 0 wait behind; 1 plans, 1 workers",
            "[Queue] started: exec on plan [ID]",
            "[Queue] done: exec on plan [ID] after [T]",
            "[Queue] line 1 ends: exit 0 after [T]",
            "[Queue] line 2 begins",
            "[Queue] submitted: read lock on plan [ID] branch main, view diffs",
            "[Queue] batch: 1 of plan [ID] handed out, 0 wait behind; 1 plans, 1 workers",
            "[Queue] started: view diffs on plan [ID]",
            "[Queue] done: view diffs on plan [ID] after [T]",
            "[Queue] line 2 ends: exit 0 after [T]",
        ],
    );
}

/// A worker's panic, with its frames, whatever the topic; the transaction was rolled back and
/// nothing that was said inside it is said.
#[test]
fn a_panic_with_its_backtrace() {
    let sandbox = project();
    let run = sandbox.plandex(["exec", "--plan", "a", "--", "true"]);
    let run = run
        .env("PLANDEX_LOG", "locks")
        .env("PLANDEX_LOG_FILE", log_file(&sandbox));
    let outcome = run.env("PLANDEX_PANIC_AT", "1").finish().exits(1);
    let outcome = outcome.says("the operation panicked at src/platform/crash.rs:");
    assert!(!outcome.stderr.contains("stack backtrace"), "{outcome}");
    let found = log(&sandbox);
    let first = "[Queue] PANIC [N] the operation panicked at src/platform/crash.rs:";
    let at = found
        .iter()
        .position(|line| line.starts_with(first))
        .unwrap();
    let frames = &found[at + 1..];
    assert!(
        frames
            .iter()
            .all(|line| line.starts_with("[Queue] PANIC [N] ")),
        "{found:#?}"
    );
    assert!(
        frames.iter().any(|line| line.contains("crash_point")),
        "{found:#?}"
    );
    assert!(
        frames.iter().any(|line| line.contains("workers")),
        "{found:#?}"
    );
    assert!(
        !found.iter().any(|line| line.contains(" GRANT ")),
        "{found:#?}"
    );
}

/// Neither a prompt nor a reply nor a token nor a command line.
#[test]
fn no_secrets() {
    let sandbox = project();
    let reply = sandbox.write_beside(
        "reply",
        "body-of-the-reply\nn.txt\n```\nbody-of-the-file\n```\n",
    );
    let reply = reply.to_string_lossy().into_owned();
    let args = [
        "tell",
        "--plan",
        "a",
        "body-of-the-prompt",
        "--reply",
        &reply,
    ];
    logging(&sandbox, "all", &args).finish().ok();
    let tool = env!("CARGO_BIN_EXE_plandex");
    let script = format!("echo $PLANDEX_LOCK_TOKEN; \"{tool}\" load -n body-of-the-note --plan a");
    let outcome = logging(
        &sandbox,
        "all",
        &["exec", "--plan", "a", "--", "sh", "-c", &script],
    );
    let outcome = outcome.finish().ok();
    let token = outcome.stdout.lines().next().unwrap();
    let secret = token.rsplit([':', '.', '-', '/']).next().unwrap();
    assert!(secret.len() >= 16, "{token}");
    let log = std::fs::read_to_string(log_file(&sandbox)).unwrap();
    assert!(log.lines().count() > 20);
    assert!(!log.contains("body-of"), "{log}");
    assert!(!log.contains(secret), "{log}");
}
