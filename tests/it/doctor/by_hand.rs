//! At a terminal, and where nobody sits at one.

use std::time::Duration;

use super::{clean, project};
use crate::support::{SOON, Sandbox};

fn with_a_dead_lock() -> Sandbox {
    let sandbox = project(Duration::from_secs(60));
    super::locks::kill_a_writer(&sandbox);
    sandbox
}

const QUESTION: &str = "Would you like to clean up the stale lock? [y/N]";

#[test]
fn on_a_terminal_it_asks_and_a_yes_repairs() {
    let sandbox = with_a_dead_lock();
    let mut screen = sandbox.plandex(["doctor"]).on_terminal(100);
    screen.until_shows(QUESTION);
    let shown = screen.screen().text();
    for words in [
        "Checking system health...",
        "Health Checks",
        "✓ Database Connection: Connected (latency: ",
        "✓ Model: literal",
        "⚠ Stale Locks Found",
        "| Plan | Scope | Branch |",
        "| work | write | -",
        "These locks appear to be from crashed operations.",
        "1. Clean up stale locks: plandex doctor --fix",
        "2. View details: plandex doctor --verbose",
        "3. Wait for locks to expire automatically (60 seconds from last heartbeat)",
    ] {
        assert!(shown.contains(words), "{words:?}\n{shown}");
    }
    assert_eq!(sandbox.tickets().len(), 1);
    screen.type_in("y\n");
    screen.until_shows("of a dead process");
    screen.wait(SOON).ok();
    clean(&sandbox);
}

#[test]
fn on_a_terminal_anything_else_repairs_nothing() {
    let sandbox = with_a_dead_lock();
    for (keys, code) in [("\n", Some(1)), ("n\n", Some(1)), ("\x03", None)] {
        let mut screen = sandbox.plandex(["doctor"]).on_terminal(100);
        screen.until_shows(QUESTION);
        screen.type_in(keys);
        let outcome = screen.wait(SOON);
        if code.is_some() {
            assert_eq!(outcome.code, code, "{keys:?}\n{outcome}");
        } else {
            assert_ne!(outcome.code, Some(0), "{outcome}");
        }
        assert_eq!(sandbox.tickets().len(), 1, "{keys:?}");
    }
}

#[test]
fn nobody_is_asked_who_reads_json_wants_it_quiet_or_has_said_it() {
    for args in [
        &["doctor", "--json"][..],
        &["doctor", "--json", "--fix"],
        &["doctor", "-q"],
        &["doctor", "--dry-run"],
        &["doctor", "--fix"],
    ] {
        let sandbox = with_a_dead_lock();
        let mut screen = sandbox.plandex(args).on_terminal(100);
        let outcome = screen.wait(SOON);
        let shown = screen.screen().text();
        assert!(!shown.contains("Would you like"), "{args:?}\n{shown}");
        let repairs = args.contains(&"--fix");
        assert_eq!(outcome.code, Some(i32::from(!repairs)), "{args:?}\n{shown}");
        assert_eq!(sandbox.tickets().len(), usize::from(!repairs), "{args:?}");
    }
}

#[test]
fn off_a_terminal_it_says_how_and_does_nothing() {
    let sandbox = with_a_dead_lock();
    let outcome = sandbox.run(&["doctor"]).exits(1);
    assert!(
        outcome
            .stdout
            .contains("Clean up stale locks: plandex doctor --fix"),
        "{outcome}"
    );
    assert!(!outcome.text().contains("Would you like"), "{outcome}");
    assert_eq!(sandbox.tickets().len(), 1);
}

/// What a run would ask is told, and nobody is asked.
#[test]
fn the_model_is_told_and_not_contacted() {
    let sandbox = project(Duration::from_secs(60));
    let model = |run: crate::support::Run<'_>| {
        let document = run.args(["doctor", "--json"]).finish().json();
        let checks = document["checks"].as_array().unwrap();
        let check = checks
            .iter()
            .find(|check| check["name"] == "Model")
            .unwrap();
        (
            check["status"].as_str().unwrap().to_owned(),
            check["message"].as_str().unwrap().to_owned(),
        )
    };
    let none: [&str; 0] = [];
    let (status, message) = model(sandbox.plandex(none));
    assert_eq!(status, "ok");
    assert!(
        message.starts_with("literal (nothing else is configured"),
        "{message}"
    );
    // Nobody listens there.
    let by_environment = |variable: &str, value: &str| {
        sandbox
            .plandex(none)
            .env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
            .env("PLANDEX_MODEL", "tiny")
            .env("PLANDEX_PROVIDER", "openai")
            .env(variable, value)
    };
    let (status, message) = model(by_environment("OPENAI_API_KEY", "secret-key"));
    assert_eq!(status, "ok", "{message}");
    assert!(message.contains("openai/tiny"), "{message}");
    assert!(message.contains("key set; not contacted"), "{message}");
    assert!(!message.contains("secret-key"), "{message}");
    sandbox.ok(&["set-model", "ollama/qwen3"]);
    let (_, message) = model(sandbox.plandex(none));
    assert!(
        message.contains("ollama/qwen3 (from the plan's settings"),
        "{message}"
    );
    let (status, message) = model(sandbox.plandex(none).env("PLANDEX_PROVIDER", "nobody"));
    assert_eq!(status, "warning", "{message}");
    assert!(message.contains("nobody"), "{message}");
    // A wrong setting is no illness of the project.
    sandbox
        .plandex(["doctor"])
        .env("PLANDEX_PROVIDER", "nobody")
        .finish()
        .ok();
    // Without a database what the settings say is told all the same.
    std::fs::remove_file(sandbox.state_dir().join("plandex.db")).unwrap();
    let (_, message) = model(sandbox.plandex(none));
    assert!(message.starts_with("literal"), "{message}");
}
