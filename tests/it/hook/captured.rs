//! What `hook capture` makes of what it is told.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{capture, lines};
use crate::support::{Sandbox, needs};

fn logs(sandbox: &Sandbox) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(sandbox.root().join("logs")) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_session_leaves_a_start_and_an_end() {
    let sandbox = Sandbox::new();
    let start = json!({
        "session_id": "s1", "transcript_path": "/not/yet", "cwd": sandbox.root(),
        "hook_event_name": "SessionStart", "source": "startup", "model": "any",
    });
    let end = json!({"session_id": "s1", "hook_event_name": "SessionEnd", "reason": "exit"});
    for (event, input) in [("start", start), ("end", end)] {
        let outcome = capture(&sandbox, event, &input.to_string()).finish().ok();
        assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    }
    let lines = lines(&sandbox.root().join("logs/session_s1.jsonl"));
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["type"]).collect();
    assert_eq!(kinds, ["session_start", "session_end"]);
    assert_eq!(lines[0]["source"], "startup");
    assert_eq!(lines[1]["reason"], "exit");
    let said = sandbox.ok(&["hook", "log"]);
    let words = "start  s1  main at ";
    assert!(
        said.stdout.contains(words) && said.stdout.ends_with("exit\n"),
        "{said}"
    );
    let document = sandbox.ok(&["hook", "log", "--json"]).json();
    assert_eq!(document["entries"], json!(lines));
    assert_eq!(document["badLines"], json!([]));
}

#[test]
fn a_hundred_sessions_without_an_id_are_a_hundred_files() {
    for input in ["{}", r#"{"session_id": "unknown"}"#] {
        let sandbox = Sandbox::without_git();
        let all: Vec<_> = (0..100)
            .map(|_| capture(&sandbox, "start", input))
            .collect();
        for one in all {
            one.finish().ok();
        }
        let logs = logs(&sandbox);
        assert_eq!(logs.len(), 100, "{input}");
        for name in logs {
            let id = name.strip_prefix("session_fallback_").unwrap();
            assert_eq!(id.len(), "01234567.jsonl".len(), "{name}");
            assert_eq!(lines(&sandbox.root().join("logs").join(name)).len(), 1);
        }
    }
}

#[test]
fn an_id_that_is_no_file_s_name_is_kept_beside_one_that_is() {
    let sandbox = Sandbox::without_git();
    let long = "0".repeat(10 << 10);
    for id in ["../../up", "a/b", "two\nlines", &long, "\u{202e}x", "."] {
        let input = json!({"session_id": id}).to_string();
        capture(&sandbox, "start", &input).finish().ok();
        capture(&sandbox, "end", &input).finish().ok();
    }
    assert_eq!(logs(&sandbox).len(), 6);
    let mut originals = BTreeSet::new();
    for name in logs(&sandbox) {
        let lines = lines(&sandbox.root().join("logs").join(&name));
        assert_eq!(lines.len(), 2, "{name}");
        let id = lines[0]["session_id"].as_str().unwrap();
        assert_eq!(name, format!("session_{id}.jsonl"));
        originals.insert(
            lines[0]["original_session_id"]
                .as_str()
                .unwrap_or(".")
                .to_owned(),
        );
    }
    assert!(originals.contains("../../up") && originals.contains(&long));
    assert_eq!(originals.len(), 6);
    let outside = std::fs::read_dir(sandbox.place()).unwrap().count();
    assert_eq!(outside, 4, "nothing was written outside the project");
}

#[test]
fn variables_of_other_commands_do_not_matter() {
    let sandbox = Sandbox::without_git();
    let elsewhere = sandbox.place().join("tmp");
    let run = sandbox
        .plandex(["hook", "capture", "start"])
        .env("PLANDEX_WAIT", "nonsense")
        .env("PLANDEX_DIR", "/not/there")
        .env("CLAUDE_PROJECT_DIR", &elsewhere)
        .stdin(r#"{"session_id": "s"}"#);
    run.finish().ok();
    assert_eq!(lines(&elsewhere.join("logs/session_s.jsonl")).len(), 1);
}

#[test]
fn input_that_never_ends_is_not_waited_for() {
    let sandbox = Sandbox::without_git();
    // All that matters came: nothing more is waited for.
    let mut whole = sandbox
        .plandex(["hook", "capture", "start"])
        .held_stdin()
        .start();
    whole.say(r#"{"session_id": "whole"}"#);
    let outcome = whole.wait(Duration::from_secs(20)).ok();
    assert_eq!(outcome.stderr, "");
    // Nothing came.
    let begun = Instant::now();
    let mut silent = sandbox
        .plandex(["hook", "capture", "end"])
        .held_stdin()
        .start();
    let outcome = silent.wait(Duration::from_secs(20)).ok();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(10),
        "{took:?}"
    );
    outcome.says("nothing came on standard input");
    // Half of it came.
    let mut half = sandbox
        .plandex(["hook", "capture", "end"])
        .held_stdin()
        .start();
    half.say("{\"session_id\": ");
    half.wait(Duration::from_secs(20)).ok().says("no JSON");
    assert_eq!(logs(&sandbox).len(), 3);
    assert!(logs(&sandbox).contains("session_whole.jsonl"));
}

#[test]
fn a_holder_that_is_stopped_is_not_waited_for_longer_than_a_second() {
    needs!("flock");
    let sandbox = Sandbox::without_git();
    let log = sandbox.write("logs/session_s.jsonl", "{\"torn\":");
    let holder = sandbox
        .program(
            "flock",
            [
                "-o",
                log.to_str().unwrap(),
                "-c",
                "echo held; exec sleep 600",
            ],
        )
        .start();
    holder.until_says("held");
    holder.signal(Signal::STOP);
    let begun = Instant::now();
    let outcome = capture(&sandbox, "end", r#"{"session_id": "s"}"#)
        .finish()
        .ok();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(10),
        "{took:?}"
    );
    assert_eq!(outcome.stdout, "");
    outcome
        .says("is held by pid")
        .says("was appended without it");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("{\"torn\":{\"type\":\"session_end\"") && text.ends_with("}\n"));
    holder.kill();
    // With the lock free again, nothing is left of it but one bad line.
    sandbox.until("the lock is free", || {
        let file = std::fs::File::open(&log).unwrap();
        file.try_lock().is_ok().then_some(())
    });
    capture(&sandbox, "end", r#"{"session_id": "s"}"#)
        .finish()
        .ok();
    let said = sandbox.ok(&["hook", "log"]);
    assert_eq!(said.stdout.lines().count(), 1, "{said}");
    said.says("left out 1 line that are no entries")
        .says("session_s.jsonl:1)");
}
