//! `plandex batch`: many commands in one process.
//!
//! Lines that must run at the same time prove it by waiting for each other over pipes: if they
//! did not, the test would wait in vain, and the watchdog would say so.

mod bad;
mod ending;
mod many;
mod queue;

use serde_json::Value;

use crate::support::{Outcome, Sandbox};

/// A project with the plans a, b and c.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.ok(&["new", "--name", name]);
    }
    sandbox
}

/// Runs a batch of `lines` with `--json`.
#[track_caller]
fn batch(sandbox: &Sandbox, lines: &str) -> Outcome {
    sandbox
        .plandex(["batch", "-", "--json"])
        .stdin(lines)
        .finish()
}

/// The objects that a batch printed: one for each line, in the order in which they ended, and the
/// verdict.
#[track_caller]
fn objects(outcome: &Outcome) -> (Vec<Value>, Value) {
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let mut all: Vec<Value> = outcome.stdout.lines().map(parse).collect();
    assert_eq!(all.remove(0)["type"], "session.started", "{outcome}");
    let end = all.pop().unwrap();
    assert_eq!(end["type"], "session.ended", "{outcome}");
    let verdict = all.pop().unwrap();
    assert_eq!(verdict["exitCode"], end["exitCode"], "{outcome}");
    assert_eq!(verdict["type"], "batch.completed", "{outcome}");
    assert!(
        all.iter().all(|one| one["type"] == "line.completed"),
        "{outcome}"
    );
    (all, verdict)
}

/// The result of the line with this number.
#[track_caller]
fn line(results: &[Value], number: usize) -> &Value {
    let found = results.iter().find(|one| one["line"] == number);
    found.unwrap_or_else(|| panic!("line {number} has no result: {results:?}"))
}

/// (line number, status) of all, by number.
fn statuses(results: &[Value]) -> Vec<(u64, String)> {
    let one = |result: &Value| {
        let status = result["status"].as_str().unwrap().to_owned();
        (result["line"].as_u64().unwrap(), status)
    };
    let mut all: Vec<_> = results.iter().map(one).collect();
    all.sort();
    all
}

/// A named pipe beside the project.
#[track_caller]
fn pipe(sandbox: &Sandbox, name: &str) -> String {
    let path = sandbox.place().join("tmp").join(name);
    sandbox.program("mkfifo", [&path]).finish().ok();
    path.to_string_lossy().into_owned()
}
