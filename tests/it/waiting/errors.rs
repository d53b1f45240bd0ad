//! What is said, and to programs, when a lock cannot be had or kept; and how such commands exit.

use plandex::store::tickets::State;
use serde_json::Value;

use super::{SOON, is_clean, json_lines, normal, project, raw, teller, until_state, writer};
use crate::support::Outcome;

/// The ConcurrencyError that a `--json` command printed last on stderr, with what all have.
#[track_caller]
fn concurrency_error(outcome: &Outcome, kind: &str) -> Value {
    let error = json_lines(&outcome.stderr).pop().unwrap();
    assert_eq!(error["type"], kind, "{outcome}");
    assert_eq!(error["schemaVersion"], 1);
    assert_eq!(error["exitCode"].as_i64(), outcome.code.map(i64::from));
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert!(error["planId"].as_str().unwrap().len() == 36, "{error}");
    assert_eq!(error["branch"], "main");
    let is_safe = outcome.code == Some(75);
    assert_eq!(error["safeToRetry"], is_safe);
    assert_eq!(error.get("retryAfterSeconds").is_some(), is_safe, "{error}");
    // Nothing is null: what is not known is left out.
    assert!(
        error
            .as_object()
            .unwrap()
            .values()
            .all(|field| !field.is_null()),
        "{error}"
    );
    error
}

/// The fields that tell of the holder `pid`.
#[track_caller]
fn tells_of(error: &Value, pid: u32, command: &str) {
    let holder = &error["holder"];
    assert_eq!(
        (&holder["pid"], &holder["command"]),
        (&pid.into(), &command.into())
    );
    assert_eq!(holder["state"], "running");
    assert!(holder["heldSeconds"].is_u64() && holder["actor"].is_string());
    let lock = &error["activeLockInfo"];
    assert_eq!(
        lock["lockId"],
        holder["ticket"].as_i64().unwrap().to_string()
    );
    assert_eq!(
        (&lock["planName"], &lock["scope"]),
        (&"work".into(), &"write".into())
    );
    for time in ["lastHeartbeat", "createdAt"] {
        assert!(lock[time].as_str().unwrap().ends_with('Z'), "{lock}");
    }
    assert_eq!(lock["reason"], holder["operation"]);
}

mod concurrency_error_types {
    use super::*;

    #[test]
    fn lock_timeout() {
        let sandbox = project();
        let holder = writer(&sandbox);
        let mut late = sandbox
            .plandex(["exec", "--json", "--wait", "700ms", "--", "true"])
            .env("PLANDEX_ACTOR", "me")
            .start();
        let over = late.wait(SOON).exits(75);
        let error = concurrency_error(&over, "lock_timeout");
        tells_of(&error, holder.pid(), "plandex exec -- cat");
        assert_eq!(error["queuePosition"], 2);
        assert_eq!(
            error["ahead"],
            serde_json::json!({"readers": 0, "writers": 1})
        );
        assert!(error["ticket"].as_i64().unwrap() > 0);
        assert_eq!(error["keptSeconds"], 60);
        let events = json_lines(&over.stderr);
        let types: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["lock.waiting", "lock.timeout", "lock_timeout"]);
        assert_eq!(events[1]["ticket"], error["ticket"]);
        holder.finish().ok();
    }

    #[test]
    fn lock_conflict() {
        let sandbox = project();
        let holder = writer(&sandbox);
        let refused = sandbox.run(&["diff", "--json", "--no-wait"]).exits(75);
        let error = concurrency_error(&refused, "lock_conflict");
        tells_of(&error, holder.pid(), "plandex exec -- cat");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("lock conflict: cannot acquire read lock"),
            "{message}"
        );
        assert_eq!(error["queuePosition"], 2);
        assert_eq!(json_lines(&refused.stderr).len(), 1);
        holder.finish().ok();
        is_clean(&sandbox);
    }

    #[test]
    fn queue_full() {
        let sandbox = project();
        let holder = writer(&sandbox);
        let mut waiting = sandbox.start(&["exec", "--wait", "forever", "--", "true"]);
        until_state(&sandbox, waiting.pid(), State::Waiting);
        // A queue of one place, so that one waiter fills it.
        raw(&sandbox)
            .execute(
                "INSERT OR REPLACE INTO settings (name, value) VALUES ('queue.max', '1')",
                [],
            )
            .unwrap();
        let refused = sandbox.run(&["exec", "--json", "--", "true"]).exits(75);
        let error = concurrency_error(&refused, "queue_full");
        tells_of(&error, holder.pid(), "plandex exec -- cat");
        assert_eq!(error["queuePosition"], 3);
        assert_eq!(
            error["ahead"],
            serde_json::json!({"readers": 0, "writers": 2})
        );
        let plain = sandbox.run(&["exec", "--", "true"]).exits(75);
        plain
            .says("error: the queue of this plan is full")
            .says("hint: nothing was changed");
        holder.finish().ok();
        waiting.wait(SOON).ok();
        is_clean(&sandbox);
    }

    #[test]
    fn deadlock() {
        let sandbox = project();
        sandbox.ok(&["new", "--name", "other"]);
        let crossing = |plan: &str, wanted: &str, wait: &str| {
            let script = format!(
                "echo in; read go; '{}' exec --plan {wanted} --json --wait {wait} -- echo both",
                env!("CARGO_BIN_EXE_plandex")
            );
            let holder = sandbox
                .plandex(["exec", "--plan", plan, "--", "sh", "-c", &script])
                .held_stdin()
                .start();
            holder.until_says("in\n");
            holder
        };
        let mut first = crossing("work", "other", "forever");
        let mut second = crossing("other", "work", "2s");
        first.say("go\n");
        sandbox.until_queue("the first waits", |all| {
            all.iter().any(|ticket| ticket.state == State::Waiting)
        });
        second.say("go\n");
        let loser = second.wait(SOON).exits(75);
        let error = json_lines(&loser.stderr).pop().unwrap();
        assert_eq!(error["type"], "deadlock", "{loser}");
        assert_eq!(error["safeToRetry"], true);
        let events = json_lines(&loser.stderr);
        assert_eq!(events[0]["type"], "lock.waiting", "{loser}");
        assert_eq!(events[0]["retry"]["cause"], "deadlock detected", "{loser}");
        assert!(events[0]["retry"]["delayMs"].as_u64().unwrap() >= 210);
        let winner = first.wait(SOON).ok();
        assert!(winner.stdout.contains("both"), "{winner}");
    }

    #[test]
    fn heartbeat_lost() {
        let sandbox = project();
        sandbox.quicken();
        let mut holder = sandbox
            .plandex(["exec", "--json", "--", "cat"])
            .held_stdin()
            .start();
        until_state(&sandbox, holder.pid(), State::Held);
        super::super::suspend(&sandbox, &holder);
        sandbox.ok(&["exec", "--wait", "forever", "--", "true"]);
        holder.cont();
        let lost = holder.wait(SOON).exits(79);
        let error = concurrency_error(&lost, "heartbeat_lost");
        assert!(error["ticket"].as_i64().unwrap() > 0);
        assert!(error["fencingToken"].as_i64().unwrap() > 0);
        assert_eq!(error["outcome"], "lease expired");
        let types: Vec<Value> = json_lines(&lost.stderr)
            .into_iter()
            .map(|event| event["type"].clone())
            .collect();
        assert_eq!(types, ["lock.lost", "heartbeat_lost"]);
        is_clean(&sandbox);
    }
}

/// SEED.md 4.2.1 in place of 8.1.3's first line and reason.
#[test]
fn context_that_cannot_be_updated_while_a_plan_is_executing() {
    let sandbox = project();
    let holder = teller(&sandbox, "first");
    let mut late = sandbox.start(&["load", "README.md", "--wait", "600ms"]);
    let over = late.wait(SOON).exits(75);
    let expected = "Cannot update context while plan is executing.\n\
                    Wait for the current operation to complete, then try again.\n\
                    Current operation: Tell operation on plan 'work'\n  \
                    plandex tell first --reply - --json --deltas (pid N), started Ns ago, heartbeat Ns ago\n\
                    Position in queue: 2 of 2\n\nNothing was changed.\n\nOptions:\n  \
                    1. Wait and retry: plandex load README.md --wait Nms\n";
    let said = normal(&over.stderr);
    assert!(said.contains(expected), "{said}");
    for absent in ["Could not start operation", "Reason:"] {
        assert!(!said.contains(absent), "{said}");
    }
    holder.finish().ok();
    assert!(sandbox.ok(&["ls"]).stdout.is_empty());
}

/// What is no context command, or under something else, has SEED.md 8.1.3.
#[test]
fn other_commands_say_that_they_could_not_start() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let mut late = sandbox.start(&["load", "README.md", "--wait", "600ms"]);
    late.wait(SOON)
        .exits(75)
        .says("Could not start operation after 1 second.\n\nReason: Another operation is");
    holder.finish().ok();
    let holder = teller(&sandbox, "first");
    let mut late = sandbox.start(&["diff", "--wait", "600ms"]);
    late.wait(SOON)
        .exits(75)
        .says("Could not start operation after 1 second.\n\nReason: Another operation is");
    holder.finish().ok();
}

/// A place is kept for who can be told from others, and the words say so only then.
#[test]
fn a_place_that_is_kept_is_said_to_be() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let command = ["exec", "--wait", "600ms", "--", "echo", "it's mine"];
    let mut nameless = sandbox.start(&command);
    let over = nameless.wait(SOON).exits(75);
    assert!(!over.stderr.contains("kept"), "{over}");
    // The command can be typed again as it is printed.
    let retry = r"  1. Wait and retry: plandex exec --wait 600ms -- echo 'it'\''s mine'";
    assert!(over.stderr.lines().any(|line| line == retry), "{over}");
    let mine = || sandbox.plandex(command).env("PLANDEX_ACTOR", "me").start();
    let over = mine().wait(SOON).exits(75);
    over.says("Your place in the queue is kept for 60 seconds: run the same command again.");
    let mut other = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "other"]);
    other.until_says("Press Ctrl+C");
    let again = sandbox
        .plandex([
            "exec",
            "--json",
            "--wait",
            "600ms",
            "--",
            "echo",
            "it's mine",
        ])
        .env("PLANDEX_ACTOR", "me");
    // Another command line is another place.
    let behind = again.start().wait(SOON).exits(75);
    assert_eq!(json_lines(&behind.stderr)[0]["position"], 3, "{behind}");
    let back = mine();
    back.until_says("Position in queue: 2 of ");
    let mut back = back;
    back.wait(SOON).exits(75);
    holder.finish().ok();
    other.wait(SOON).ok();
}

/// BEGIN fails for another reason than that somebody writes: said with its cause and the path.
#[test]
fn a_transaction_that_cannot_start() {
    crate::support::needs!("unshare");
    let sandbox = project();
    let database = sandbox.state_dir().join("plandex.db");
    // In a mount namespace of its own, where the database may be read and not written.
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 99\n\
                  exec \"$2\" exec --wait 1s -- echo ran";
    let refused = sandbox
        .program("unshare", ["-rm", "sh", "-c", script, "sh"])
        .args([database.to_str().unwrap(), env!("CARGO_BIN_EXE_plandex")])
        .finish();
    if refused.code == Some(99) || refused.stderr.contains("unshare failed") {
        crate::support::skip!("a file cannot be mounted read-only here");
    }
    let refused = refused.exits(1);
    assert_eq!(refused.stdout, "");
    let database = database.display();
    refused.says(&format!(
        "error: error starting transaction on {database}: it may only be read"
    ));
    is_clean(&sandbox);
}
