//! `doctor --request`: the endpoint that a server would have, answered by a command.

use std::time::Duration;

use serde_json::{Value, json};

use super::{check_report, issue_of, kinds, project};
use crate::support::{Outcome, Run, Sandbox};

fn asked<'s>(sandbox: &'s Sandbox, request: &str) -> Run<'s> {
    let run = sandbox.plandex(["doctor", "--json", "--request", "-"]);
    run.stdin(request)
}

#[track_caller]
fn refused(outcome: Outcome, words: &str) {
    let outcome = outcome.exits(2);
    assert_eq!(outcome.stdout, "");
    let error: Value = serde_json::from_str(&outcome.stderr).unwrap();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(words), "{outcome}");
    assert_eq!(error["exitCode"], 2, "{outcome}");
    assert!(
        !error["hint"].as_str().unwrap_or_default().is_empty(),
        "{outcome}"
    );
}

#[test]
fn its_fields_equal_the_flags() {
    let sandbox = project(Duration::from_secs(60));
    sandbox.ok(&["new", "-n", "other"]);
    super::locks::kill_a_writer(&sandbox);
    let of_other = sandbox.ok(&["current", "--json"]).json();
    assert_eq!(of_other["plan"]["name"], "other");
    // Of the one plan nothing is wrong.
    let (outcome, document) = check_report(asked(&sandbox, r#"{"planId": "work"}"#).finish());
    assert_eq!(kinds(&document), [""; 0], "{outcome}");
    // A request is stronger than the environment, as a flag is.
    let run = asked(&sandbox, r#"{"planId": "other"}"#).env("PLANDEX_PLAN", "work");
    let (_, document) = check_report(run.finish());
    assert!(issue_of(&document, "orphaned_lock").is_some());
    let (_, document) =
        check_report(asked(&sandbox, r#"{"fix": true, "planId": "work"}"#).finish());
    assert_eq!(document["fixedIssues"], json!([]));
    // The flag for a dry run keeps even a request from doing anything.
    let run = asked(&sandbox, r#"{"fix": true}"#).args(["--dry-run"]);
    let (_, document) = check_report(run.finish());
    assert_eq!(document["fixedIssues"], json!([]));
    let file = sandbox.write_beside("request.json", r#"{"fix": true, "later": {"a": 1}}"#);
    // Asked in JSON, it answers in JSON.
    let run = sandbox.plandex(["doctor", "--request"]).args([file]);
    let (outcome, document) = check_report(run.finish());
    assert!(
        document["fixedIssues"]
            .to_string()
            .contains("of a dead process"),
        "{outcome}"
    );
    let (_, document) = check_report(asked(&sandbox, "{}").finish());
    assert_eq!(document["healthy"], true);
}

#[test]
fn what_it_says_twice_is_no_contradiction() {
    let sandbox = project(Duration::from_secs(60));
    let request = r#"{"planId": "work", "fix": true}"#;
    let run = asked(&sandbox, request).args(["--plan", "work", "--fix"]);
    check_report(run.finish()).0.ok();
    let run = asked(&sandbox, r#"{"fix": false}"#).args(["--dry-run"]);
    check_report(run.finish()).0.ok();
    let run = asked(&sandbox, r#"{"planId": "", "fix": false}"#).args(["--plan", "work"]);
    check_report(run.finish()).0.ok();
}

#[test]
fn what_cannot_be_done_is_an_error_in_json() {
    let sandbox = project(Duration::from_secs(60));
    super::locks::kill_a_writer(&sandbox);
    let before = sandbox.dump();
    refused(
        asked(&sandbox, "{\"fix\": tru").finish(),
        "cannot be understood",
    );
    refused(asked(&sandbox, "").finish(), "cannot be understood");
    refused(asked(&sandbox, "[{\"fix\": true}]").finish(), "no object");
    refused(
        asked(&sandbox, r#"{"fix": "yes"}"#).finish(),
        "cannot be understood",
    );
    refused(
        asked(&sandbox, r#"{"planId": 7}"#).finish(),
        "cannot be understood",
    );
    refused(
        asked(&sandbox, r#"{"planId": "nobody"}"#).finish(),
        "nobody",
    );
    let run = asked(&sandbox, r#"{"fix": false}"#).args(["--fix"]);
    refused(run.finish(), "--fix says something else");
    let run = asked(&sandbox, r#"{"planId": "work", "fix": true}"#).args(["--plan", "other"]);
    refused(run.finish(), "--plan says something else");
    for other in ["--prune", "--rebuild"] {
        refused(
            asked(&sandbox, "{}").args([other]).finish(),
            "cannot be used with",
        );
    }
    let none = sandbox.run(&["doctor", "--json", "--request", "no-such-file"]);
    refused(none, "no-such-file");
    let own = sandbox.run(&["doctor", "--json", "--request", ".plandex/plandex.db"]);
    refused(own, "plandex's own database");
    let long = format!("{{\"later\": \"{}\"}}", "x".repeat(2 << 20));
    refused(asked(&sandbox, &long).finish(), "longer than");
    assert_eq!(sandbox.dump(), before);
}

#[test]
fn where_there_is_no_project_the_error_is_json_too() {
    let sandbox = Sandbox::without_git();
    let outcome = sandbox
        .plandex(["doctor", "--request", "-"])
        .stdin("{}")
        .finish();
    assert_ne!(outcome.code, Some(0));
    assert_eq!(outcome.stdout, "");
    let error: Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert!(
        error["message"].as_str().unwrap().contains("project"),
        "{outcome}"
    );
}
