//! `apply` beyond the plain case: which files, merges, partial failures, undo, git.

mod commit;
mod failures;
mod undo;
mod which;

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{Outcome, Sandbox};

/// A block that replaces `from` (nothing: a new file) with `to`.
fn edit(path: &str, from: &str, to: &str) -> String {
    let mut block = format!("{path}\n```\n<<<<<<< SEARCH\n");
    for line in from.lines() {
        writeln!(block, "{line}").unwrap();
    }
    write!(block, "=======\n{to}\n>>>>>>> REPLACE\n```\n").unwrap();
    block
}

/// Leaves these edits pending.
#[track_caller]
fn tell(sandbox: &Sandbox, edits: &[(&str, &str, &str)]) -> Outcome {
    let blocks: Vec<String> = edits
        .iter()
        .map(|(path, from, to)| edit(path, from, to))
        .collect();
    let prompt = sandbox.write_beside("prompt", &blocks.join("\n"));
    let outcome = sandbox.ok(&["tell", "-f", prompt.to_str().unwrap()]);
    std::fs::remove_file(prompt).unwrap();
    outcome
}

/// A git repository with a plan; `a.txt` has the numbers from 1 to 20, `b.txt` and `c.txt` a line.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a.txt", numbers());
    sandbox.write("b.txt", "b\n");
    sandbox.write("c.txt", "c\n");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "more"]);
    sandbox.ok(&["new"]);
    sandbox
}

fn numbers() -> String {
    (1..=20).fold(String::new(), |text, number| format!("{text}{number}\n"))
}

fn chmod(sandbox: &Sandbox, path: &str, mode: u32) {
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(sandbox.root().join(path), permissions).unwrap();
}

fn pending(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.ok(&["status", "--json"]).json();
    let list = status["pending"].as_array().unwrap().clone();
    let path = |change: Value| change["path"].as_str().unwrap().to_owned();
    list.into_iter().map(path).collect()
}

/// The one event of this type.
#[track_caller]
fn event(outcome: &Outcome, kind: &str) -> Value {
    let lines = outcome.stdout.lines();
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found: Vec<Value> = events.filter(|event| event["type"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {outcome}");
    found.into_iter().next().unwrap()
}
