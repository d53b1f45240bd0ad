//! What follows a run by itself: auto-build, auto-apply, auto-continue, the menu.

use std::time::Duration;

use super::{new_file, with_plans};
use crate::support::{Answer, ModelServer, Run, Sandbox};

const SOON: Duration = Duration::from_secs(30);

fn pending(sandbox: &Sandbox) -> usize {
    let status = sandbox.ok(&["status", "--json"]).json();
    status["pending"].as_array().unwrap().len()
}

/// A stream in OpenAI's dialect.
fn stream(text: &str, finish: &str) -> Answer {
    let chunk = serde_json::json!({"choices": [{"delta": {"content": text}}]});
    let last = serde_json::json!({"choices": [{"delta": {}, "finish_reason": finish}]});
    Answer::stream(format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n"))
}

fn asking<'s>(sandbox: &'s Sandbox, server: &ModelServer, args: &[&str]) -> Run<'s> {
    let base = server.base();
    let model = ["--provider", "openai", "--model", "m", "--base-url", &base];
    sandbox.plandex([args, &model].concat())
}

#[test]
fn auto_build_decides_whether_a_tell_builds() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["set-config", "auto-build", "false"]);
    sandbox
        .ok(&["tell", &new_file("a.txt")])
        .says("kept for `plandex build`");
    assert_eq!(pending(&sandbox), 0);
    sandbox.ok(&["tell", "--build", &new_file("b.txt")]);
    assert_eq!(pending(&sandbox), 2);
    sandbox.ok(&["set-config", "auto-build", "true"]);
    sandbox.ok(&["tell", "-n", &new_file("c.txt")]);
    assert_eq!(pending(&sandbox), 2);
    sandbox.ok(&["build"]);
    assert_eq!(pending(&sandbox), 3);
}

#[test]
fn auto_apply_writes_what_was_built_with_the_exit_codes_of_apply() {
    let sandbox = with_plans(&["auth"]);
    sandbox.ok(&["set-config", "auto-apply", "true"]);
    sandbox.ok(&["tell", &new_file("a.txt")]);
    assert_eq!(
        (sandbox.read("a.txt").as_str(), pending(&sandbox)),
        ("a.txt\n", 0)
    );
    sandbox.ok(&["tell", "--no-apply", &new_file("b.txt")]);
    assert_eq!(pending(&sandbox), 1);
    // The file that is to be new is there by now: apply's own refusal.
    sandbox.write("b.txt", "mine\n");
    sandbox.run(&["tell", &new_file("c.txt")]).exits(7);
    assert_eq!(
        (sandbox.read("b.txt").as_str(), pending(&sandbox)),
        ("mine\n", 2)
    );
    std::fs::remove_file(sandbox.root().join("b.txt")).unwrap();
    sandbox.ok(&["tell", "-n", &new_file("d.txt")]);
    sandbox.ok(&["build"]);
    assert_eq!(
        (sandbox.read("d.txt").as_str(), pending(&sandbox)),
        ("d.txt\n", 0)
    );
    // What is not built whole is not written.
    let misfit = "README.md\n```\n<<<<<<< SEARCH\nno such line\n=======\nx\n>>>>>>> REPLACE\n```\n";
    let mixed = format!("{}{misfit}", new_file("e.txt"));
    sandbox.run(&["tell", &mixed]).exits(3);
    assert_eq!(pending(&sandbox), 1);
    assert!(!sandbox.root().join("e.txt").exists());
    // One stream of JSON, framed once.
    let told = sandbox
        .ok(&["tell", "--apply", "--json", &new_file("f.txt")])
        .stdout;
    let count = |kind: &str| told.matches(&format!("\"type\":\"{kind}\"")).count();
    assert_eq!(
        ["session.started", "apply.completed", "session.ended"].map(count),
        [1; 3],
        "{told}"
    );
    sandbox.run(&["tell", "-n", "--apply", "x"]).exits(2);
}

#[test]
fn auto_commit_commits_what_an_apply_wrote() {
    let sandbox = with_plans(&["auth"]);
    let commits = || {
        sandbox
            .git(&["rev-list", "--count", "HEAD"])
            .trim()
            .to_owned()
    };
    sandbox.ok(&["tell", &new_file("a.txt")]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(commits(), "1");
    sandbox.ok(&["set-config", "auto-commit", "true"]);
    sandbox.ok(&["tell", &new_file("b.txt")]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(commits(), "2");
    assert_eq!(
        sandbox.git(&["show", "--name-only", "--format=", "HEAD"]),
        "b.txt\n"
    );
    sandbox.ok(&["tell", &new_file("c.txt")]);
    sandbox.ok(&["apply", "-y", "--skip-commit"]);
    assert_eq!(commits(), "2");
    sandbox.ok(&["tell", "--apply", &new_file("d.txt")]);
    assert_eq!(commits(), "3");
    sandbox.ok(&["tell", "--apply", "--skip-commit", &new_file("e.txt")]);
    assert_eq!(commits(), "3");
    sandbox.ok(&["set-config", "auto-commit", "false"]);
    sandbox.ok(&["tell", "--apply", "-c", &new_file("f.txt")]);
    assert_eq!(commits(), "4");
    // Without git it is said, and applied all the same.
    let without = Sandbox::without_git();
    without.ok(&["new", "-n", "auth"]);
    without.ok(&["set-config", "auto-commit", "true"]);
    without
        .ok(&["tell", "--apply", &new_file("a.txt")])
        .says("no git repository");
    assert_eq!(without.read("a.txt"), "a.txt\n");
}

/// What is applied is what this run built, whatever the terminal chose meanwhile.
#[test]
fn auto_apply_stays_with_its_plan() {
    let sandbox = with_plans(&["auth", "billing"]);
    sandbox.ok(&["tell", &new_file("of-billing.txt")]);
    sandbox.ok(&[
        "tell",
        "--plan",
        "auth",
        "--apply",
        &new_file("of-auth.txt"),
    ]);
    assert!(sandbox.root().join("of-auth.txt").exists());
    assert!(!sandbox.root().join("of-billing.txt").exists());
}

#[test]
fn a_reply_that_was_cut_by_its_length_is_gone_on_with_three_times_at_most() {
    let sandbox = with_plans(&["auth"]);
    let cut = |text: &str| stream(text, "length");
    let server = ModelServer::start([cut("one "), cut("two "), stream("three", "stop")]);
    let once = asking(&sandbox, &server, &["chat", "count"]).finish();
    once.exits(6);
    assert_eq!(server.asked().len(), 1);
    sandbox.ok(&["set-config", "auto-continue", "true"]);
    let whole = asking(&sandbox, &server, &["chat", "count"]).finish().ok();
    assert!(whole.stderr.contains("going on (1/3)"), "{whole}");
    assert_eq!(server.asked().len(), 3);
    let server = ModelServer::start((0..9).map(|_| cut("more ")));
    let given_up = asking(&sandbox, &server, &["chat", "count"])
        .finish()
        .exits(6);
    assert!(given_up.stderr.contains("going on (3/3)"), "{given_up}");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn the_menu_asks_what_to_do_with_the_changes() {
    let sandbox = with_plans(&["auth"]);
    let prompt = new_file("a.txt");
    let mut quiet = sandbox.plandex(["tell", &prompt]).on_terminal(100);
    quiet.wait(SOON).ok();
    sandbox.ok(&["set-config", "skip-changes-menu", "false"]);
    let prompt = new_file("b.txt");
    let mut terminal = sandbox.plandex(["tell", &prompt]).on_terminal(100);
    terminal.until_shows("What now?");
    terminal.type_in("d\n");
    terminal.until_shows("+b.txt");
    terminal.type_in("a\n");
    terminal.wait(SOON).ok();
    assert_eq!(pending(&sandbox), 0);
    assert_eq!(sandbox.read("b.txt"), "b.txt\n");
    // Off a terminal nobody is asked.
    sandbox.ok(&["tell", &new_file("c.txt")]);
    assert_eq!(pending(&sandbox), 1);
}
