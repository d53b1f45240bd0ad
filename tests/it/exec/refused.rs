//! The command is not started: the plan could not be had, or the words were wrong.

use std::time::Duration;

use plandex::store::settings;

use crate::support::Sandbox;

use super::{SOON, error_type, is_free, project, waits, writer};

/// Runs `plandex exec FLAGS… -- touch ran`, which must exit with `code` and leave no trace.
#[track_caller]
fn refused(sandbox: &Sandbox, flags: &[&str], code: i32) -> crate::support::Outcome {
    let run = sandbox.plandex(["exec"]).args(flags);
    let outcome = run.args(["--", "touch", "ran"]).finish().exits(code);
    assert!(!sandbox.root().join("ran").exists(), "it ran\n{outcome}");
    outcome
}

#[test]
fn the_caller_chooses_what_not_acquired_is_called() {
    let sandbox = project();
    let holder = writer(&sandbox);
    refused(&sandbox, &["--no-wait"], 75);
    refused(&sandbox, &["--no-wait", "-E", "9"], 9);
    refused(&sandbox, &["--wait=0", "-E9"], 9);
    refused(&sandbox, &["--no-wait", "--conflict-exit-code=255"], 255);
    // "Somebody else is at it already" may be good enough.
    refused(&sandbox, &["--no-wait", "-E", "0"], 0).says("lock conflict");
    refused(&sandbox, &["--wait", "30ms", "-E", "9"], 9);
    let json = refused(&sandbox, &["--no-wait", "-E", "9", "--json"], 9);
    assert_eq!(error_type(&json.stderr), "lock_conflict");
    let document: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(document["exitCode"], 9);
    assert_eq!(document["safeToRetry"], true);
    for bad in ["256", "-1", "x", ""] {
        refused(&sandbox, &["--no-wait", "-E", bad], 2);
    }
    holder.finish().ok();
    // It is for this one case only.
    let exec = |script| sandbox.run(&["exec", "-E", "9", "-c", script]);
    exec("exit 75").exits(75);
    exec("exit 0").exits(0);
    sandbox.run(&["exec", "-E", "9", "no-such"]).exits(127);
    refused(&sandbox, &["-E", "9", "--plan", "nowhere"], 2);
}

#[test]
fn a_full_queue_is_not_acquired() {
    let sandbox = project();
    sandbox
        .store()
        .choose(Duration::from_secs(5), |tx| settings::set_queue_max(tx, 1))
        .unwrap();
    let holder = writer(&sandbox);
    let mut first = sandbox.start(&["exec", "--wait", "forever", "--", "echo", "ran"]);
    waits(&sandbox, &first);
    refused(&sandbox, &["--wait", "forever"], 75).says("the queue of this plan is full");
    refused(&sandbox, &["--wait", "forever", "-E", "5"], 5);
    let json = refused(&sandbox, &["--wait", "1m", "--json"], 75);
    assert_eq!(error_type(&json.stderr), "queue_full");
    holder.finish().ok();
    assert_eq!(first.wait(SOON).ok().stdout, "ran\n");
    is_free(&sandbox);
}

#[test]
fn a_wait_that_is_no_time_is_a_mistake_of_the_command_line() {
    let sandbox = project();
    let holder = writer(&sandbox);
    for bad in [
        "-1", "-1s", "1e99", "1e9", "5parsecs", "NaN", "inf", "", " ", "s", "1s1h", "0x10", "1_000",
    ] {
        for flag in [vec!["--wait", bad], vec![&format!("--wait={bad}")]] {
            let words = refused(&sandbox, &flag, 2);
            words.says("30s").says("forever");
        }
        // An empty variable is one that is not set.
        if !bad.is_empty() {
            let run = sandbox.plandex(["exec", "--", "touch", "ran"]);
            let words = run.env("PLANDEX_WAIT", bad).finish().exits(2);
            words.says("PLANDEX_WAIT").says("forever");
        }
    }
    for absurd in ["99999999999999999999s", "366d", "18446744073709551616"] {
        refused(&sandbox, &["--wait", absurd], 2).says("use forever");
    }
    refused(&sandbox, &["--wait", "1s", "--no-wait"], 2);
    // The longest there is can be told from none.
    let mut long = sandbox.start(&["exec", "--wait", "365d", "--", "echo", "ran"]);
    waits(&sandbox, &long);
    holder.finish().ok();
    assert_eq!(long.wait(SOON).ok().stdout, "ran\n");
}

#[test]
fn an_unknown_plan_or_branch_is_named() {
    let sandbox = project();
    refused(&sandbox, &["--plan", "nowhere"], 2).says("nowhere");
    refused(&sandbox, &["--branch", "nowhere"], 2).says("nowhere");
    refused(&sandbox, &["--read", "--branch", "nowhere"], 2).says("nowhere");
    refused(&sandbox, &["--root"], 2).says("--read");
    let outside = sandbox.place().join("tmp");
    let run = sandbox.plandex(["exec", "--", "touch", "ran"]);
    run.cwd(&outside).finish().exits(1).says("plandex new");
    assert!(sandbox.tickets().is_empty());
}
