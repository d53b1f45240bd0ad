//! What looks at the queue, and the two commands that touch somebody else's ticket: `locks`, `ps`,
//! `status`, `events`, `stop`, `locks release`, and the picture.

mod events;
mod locks;
mod nothing;
mod picture;
mod release;
mod status;
mod stop;
mod terminal;

use serde_json::Value;

use crate::support::{Background, SOON, Sandbox, holds, project, raw, suspend, waits};

/// A program that `actor` holds the plan with until its standard input is closed.
fn holder<'s>(sandbox: &'s Sandbox, actor: &str) -> Background<'s> {
    let run = sandbox.plandex(["exec", "--", "cat"]);
    let holder = run.env("PLANDEX_ACTOR", actor).held_stdin().start();
    holds(sandbox, &holder);
    holder
}

/// A command of `actor`'s that waits for the plan for as long as it takes.
fn waiter<'s>(sandbox: &'s Sandbox, actor: &str, args: &[&str]) -> Background<'s> {
    let args = [&["exec", "--wait", "forever"], args].concat();
    let waiter = sandbox
        .plandex(args)
        .env("PLANDEX_ACTOR", actor)
        .held_stdin()
        .start();
    waits(sandbox, &waiter);
    waiter
}

/// A tell in the middle of its reply: `words` (a line) have been heard and stored.
fn teller<'s>(sandbox: &'s Sandbox, words: &str) -> Background<'s> {
    let mut teller = sandbox
        .plandex(["tell", "first", "--reply", "-"])
        .env("PLANDEX_ACTOR", "ann")
        .held_stdin()
        .start();
    teller.say(&format!("{words}\n"));
    sandbox.until("the words are stored", || {
        let stored: String = raw(sandbox)
            .query_row(
                "SELECT coalesce(group_concat(payload), '') FROM stream_events",
                [],
                |row| row.get(0),
            )
            .unwrap();
        stored.contains(words).then_some(())
    });
    teller
}

/// How the newest tickets ended: (outcome, who forced it), newest first.
fn outcomes(sandbox: &Sandbox) -> Vec<(Option<String>, Option<String>)> {
    let connection = raw(sandbox);
    let mut select = connection
        .prepare("SELECT outcome, ended_by FROM repo_locks_audit ORDER BY id DESC")
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// JSON documents, one a line.
fn lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line);
    text.lines().map(|line| parse(line).unwrap()).collect()
}

/// Every key of a document, however deep, is camelCase, and it says its version.
#[track_caller]
fn is_well_formed(document: &Value) {
    assert_eq!(document["schemaVersion"], 1, "{document}");
    check_keys(document);
}

#[track_caller]
fn check_keys(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let is_camel = key.starts_with(|c: char| c.is_ascii_lowercase())
                    && key.chars().all(|c| c.is_ascii_alphanumeric());
                // Outcomes are the audit's own words.
                assert!(is_camel || key.contains(' '), "{key} in {value}");
                check_keys(value);
            }
        }
        Value::Array(values) => values.iter().for_each(check_keys),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
