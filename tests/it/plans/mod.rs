//! Plans, branches, selection, settings, models and prompts, as people and scripts use them.

mod branches;
mod config;
mod delete;
mod following;
mod list;
mod models;
mod prompt;
mod terminals;

use crate::support::{Outcome, Sandbox};

/// A project with these plans; the last one is chosen.
fn with_plans(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names {
        sandbox.ok(&["new", "-n", name]);
    }
    sandbox
}

/// A new file by a message without a model.
fn new_file(path: &str) -> String {
    format!("{path}\n```\n<<<<<<< SEARCH\n=======\n{path}\n>>>>>>> REPLACE\n```\n")
}

/// The whole of an outcome, ages blanked.
fn shown(outcome: &Outcome) -> String {
    let mut shown = String::new();
    for line in outcome.text().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let is_age = |at: usize| {
            let number = words[at].strip_suffix('s').unwrap_or_default();
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            is_number && words.get(at + 1) == Some(&"ago")
        };
        let kept = (0..words.len()).map(|at| if is_age(at) { "[AGE]" } else { words[at] });
        shown.push_str(&kept.collect::<Vec<_>>().join(" "));
        shown.push('\n');
    }
    shown
}

#[track_caller]
fn expect(outcome: &Outcome, expected: &str) {
    let shown = shown(outcome);
    assert!(
        shown == expected,
        "expected:\n{expected}\nbut it is:\n{shown}"
    );
}

/// The names that `plans` lists.
fn names(sandbox: &Sandbox, flags: &[&str]) -> Vec<String> {
    let listed = sandbox.ok(&[&["plans", "--json"], flags].concat()).json();
    let listed = listed["plans"].as_array().unwrap().clone();
    let name = |plan: &serde_json::Value| plan["name"].as_str().unwrap().to_owned();
    listed.iter().map(name).collect()
}

/// The operations that were granted on all plans, the oldest first: reason and scope.
fn audited(sandbox: &Sandbox) -> Vec<(String, String)> {
    let database = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    let mut select = database
        .prepare("SELECT reason, scope FROM repo_locks_audit ORDER BY id")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Git finds nothing wrong with any plan's repository.
fn check_repositories(sandbox: &Sandbox) {
    for entry in std::fs::read_dir(sandbox.state_dir().join("plans")).unwrap() {
        let path = entry.unwrap().path();
        let args = ["--git-dir", path.to_str().unwrap(), "fsck", "--strict"];
        sandbox.program("git", args).finish().ok();
    }
}
