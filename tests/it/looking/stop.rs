//! `stop` and `stop --force`.

use super::{SOON, holder, is_well_formed, outcomes, project, suspend, teller};

#[test]
fn a_runner_that_reacts_is_not_robbed() {
    let sandbox = project();
    let mut runner = teller(&sandbox, "thinking");
    let outcome = sandbox.ok(&["stop", "--force"]);
    assert!(
        outcome.stdout.contains("Asked Tell operation to stop"),
        "{outcome}"
    );
    assert!(
        outcome.stdout.contains("Tell operation has ended"),
        "{outcome}"
    );
    runner.wait(SOON).exits(143);
    assert_eq!(outcomes(&sandbox)[0], (Some("cancelled".to_owned()), None));
    let status = sandbox.ok(&["status"]);
    assert!(status.stdout.contains("Last run: stopped"), "{status}");
    status.says("the partial reply is kept");
}

#[test]
fn a_runner_that_is_suspended_is_robbed_by_force_alone() {
    let sandbox = project();
    let mut runner = teller(&sandbox, "thinking");
    suspend(&sandbox, &runner);
    let asked = sandbox.ok(&["stop"]);
    asked
        .says("is suspended and hears nothing")
        .says("stop --force");
    assert_eq!(sandbox.tickets().len(), 1);
    let run = sandbox.plandex(["stop", "--force", "--json"]);
    let document = run.env("PLANDEX_ACTOR", "eve").finish().ok().json();
    is_well_formed(&document);
    assert_eq!(document["results"], serde_json::json!(["forced"]));
    assert_eq!(sandbox.tickets(), []);
    sandbox
        .ok(&["exec", "--no-wait", "--", "true"])
        .says("Repaired");
    let convo = sandbox.ok(&["convo", "--json"]).json();
    assert_eq!(convo["messages"][1]["text"], "thinking\n", "{convo}");
    assert_eq!(convo["messages"][1]["state"], "interrupted", "{convo}");
    runner.cont();
    runner.close_stdin();
    let end = runner.wait(SOON).exits(79);
    end.says("released by force by eve")
        .says("stop --force --json");
}

/// A program that does not care for TERM: its ticket goes when it does.
#[test]
fn a_program_that_ignores_term_is_killed_by_force() {
    let sandbox = project();
    let script = "trap '' TERM; echo ready; while :; do read line || sleep 0.05; done";
    let mut holder = sandbox
        .plandex(["exec", "--", "sh", "-c", script])
        .held_stdin()
        .start();
    holder.until_says("ready");
    super::holds(&sandbox, &holder);
    let outcome = sandbox.ok(&["stop", "--force"]);
    assert!(
        outcome.stdout.contains("Took the lock from Command"),
        "{outcome}"
    );
    assert!(!outcome.stdout.contains("reply"), "{outcome}");
    assert_eq!(sandbox.tickets(), []);
    holder.wait(SOON).exits(79);
    sandbox.ok(&["exec", "--no-wait", "--", "true"]);
}

#[test]
fn nothing_to_stop_is_no_failure() {
    let sandbox = project();
    for args in [&["stop"][..], &["stop", "--force"]] {
        sandbox.ok(args).says("Nothing runs on plan work");
        let document = sandbox.ok(&[args, &["--json"]].concat()).json();
        is_well_formed(&document);
        assert_eq!(document["stopped"], serde_json::json!([]));
    }
    drop(holder(&sandbox, "ann"));
}
