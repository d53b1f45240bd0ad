//! The queue that is the lock, from outside: several real processes contend for one plan.
//!
//! A holder is a command that reads a pipe which the test keeps open, so it holds for exactly as
//! long as the test wants. Leases are shortened only where one must end; everywhere else a holder
//! that lives can never be taken for a hung one, however slow the machine is.

mod cancel;
pub(crate) mod clock;
mod conflicts;
mod crash;
mod deadlock;
mod kept_places;
mod lost;
mod nesting;
mod order;
mod retries;
mod stress;
pub(crate) mod workers;

use plandex::store::audit::{self, Entry};
use serde_json::Value;

use crate::support::{Background, Sandbox};
pub(crate) use crate::support::{SOON, holds, project, raw, suspend, waits};

/// The same with heartbeats and leases of milliseconds.
pub(crate) fn quick_project() -> Sandbox {
    let sandbox = project();
    sandbox.quicken();
    sandbox
}

/// A program that holds the plan for writing until its standard input is closed.
pub(crate) fn writer<'s>(sandbox: &'s Sandbox) -> Background<'s> {
    let holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    holds(sandbox, &holder);
    holder
}

/// A tell in the middle of its reply: `words` (a line) have been heard and stored.
pub(crate) fn teller<'s>(sandbox: &'s Sandbox, prompt: &str, words: &str) -> Background<'s> {
    let mut teller = sandbox
        .plandex(["tell", prompt, "--reply", "-", "--json"])
        .held_stdin()
        .start();
    teller.say(&format!("{words}\n"));
    sandbox.until("the words are stored", || {
        stream_text(sandbox).contains(words).then_some(())
    });
    teller
}

/// All that was stored of replies while they came in.
fn stream_text(sandbox: &Sandbox) -> String {
    let connection = raw(sandbox);
    let mut select = connection
        .prepare("SELECT payload FROM stream_events ORDER BY id")
        .unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A message that is its own reply: it sets one small file.
pub(crate) fn edit(path: &str, text: &str) -> String {
    format!("set {path} to {text}\n\n{path}\n```\n{text}\n```\n")
}

/// The conversation: role, state and text of each message.
fn convo(sandbox: &Sandbox) -> Vec<(String, String, String)> {
    let document = sandbox.ok(&["convo", "--json"]).json();
    let word = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
    let messages = document["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|m| (word(m, "role"), word(m, "state"), word(m, "text")))
        .collect()
}

/// The first lines of all versions, oldest first.
fn versions(sandbox: &Sandbox) -> Vec<String> {
    let document = sandbox.ok(&["log", "--limit", "100000", "--json"]).json();
    let versions = document["versions"].as_array().unwrap();
    let first = |version: &Value| {
        let message = version["message"].as_str().unwrap();
        message.lines().next().unwrap_or_default().to_owned()
    };
    versions.iter().rev().map(first).collect()
}

/// The audit of the plan, oldest first.
pub(crate) fn audited(sandbox: &Sandbox) -> Vec<Entry> {
    let store = sandbox.store();
    let mut entries = store
        .read(|tx| {
            let plan = plandex::store::plans::by_name(tx, "work")?.unwrap();
            audit::history(tx, &plan.id, 100_000)
        })
        .unwrap();
    entries.sort_by_key(|entry| entry.id);
    entries
}

/// The type of the error that a `--json` command printed last on stderr.
pub(crate) fn error_type(stderr: &str) -> String {
    let last = stderr.lines().rfind(|line| line.starts_with('{')).unwrap();
    let document: Value = serde_json::from_str(last).unwrap();
    document["type"].as_str().unwrap().to_owned()
}

/// Nobody holds or waits.
pub(crate) fn is_free(sandbox: &Sandbox) {
    let document = sandbox.ok(&["locks", "--json"]).json();
    assert_eq!(document["locks"], serde_json::json!([]));
}
