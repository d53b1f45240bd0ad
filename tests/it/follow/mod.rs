//! Runs from outside: followed, in the background, as lines of JSON.

mod away;
mod background;
mod connect;
mod frame;
mod kept;
mod kinds;

use std::time::Duration;

use plandex::store::streams::{self, Stream};
use serde_json::Value;

use crate::support::{Background, Sandbox};

/// Much longer than anything here takes, much shorter than a lease of 60 s.
const SOON: Duration = Duration::from_secs(30);

/// A new file called `path` that holds `text`.
fn file(path: &str, text: &str) -> String {
    format!("{path}\n```\n{text}\n```\n")
}

/// A project with the plan "work".
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "--name", "work"]);
    sandbox
}

/// A connection of the test's own, for what no plandex would do.
fn raw(sandbox: &Sandbox) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

/// The newest run of the plan "work", if there is one.
fn newest(sandbox: &Sandbox) -> Option<Stream> {
    let store = sandbox.store();
    let id = raw(sandbox)
        .query_row(
            "SELECT id FROM streams ORDER BY started_at DESC, id DESC LIMIT 1",
            [],
            |row| row.get::<_, String>(0),
        )
        .ok()?;
    store.read(|tx| streams::by_id(tx, &id)).unwrap()
}

/// What is stored of the run that is at work; "" if there is none.
fn stored(sandbox: &Sandbox) -> String {
    let all = "SELECT coalesce(group_concat(payload), '') FROM stream_events
         WHERE stream_id IN (SELECT id FROM streams WHERE finished_at IS NULL)";
    raw(sandbox).query_row(all, [], |row| row.get(0)).unwrap()
}

/// Waits until `words` stand in what is stored of the run that is at work.
fn until_stored(sandbox: &Sandbox, words: &str) {
    sandbox.until(&format!("{words:?} is stored"), || {
        stored(sandbox).contains(words).then_some(())
    });
}

/// A tell whose reply is what the test says, with `flags`; its first line has been stored.
fn runner<'s>(sandbox: &'s Sandbox, flags: &[&str]) -> Background<'s> {
    let args = [&["tell", "do it", "--reply", "-"], flags].concat();
    let mut runner = sandbox.plandex(args).held_stdin().start();
    runner.say("I begin.\n");
    until_stored(sandbox, "I begin.");
    runner
}

/// The whole lines of JSON in `text`.
fn lines(text: &str) -> Vec<Value> {
    let end = text.rfind('\n').map_or(0, |end| end + 1);
    let parse = |line: &str| match serde_json::from_str(line) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {line}"),
    };
    text[..end].lines().map(parse).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// The events of runs among `events`, without what is counted by whoever prints them.
fn of_runs(events: &[Value]) -> Vec<Value> {
    let mut found: Vec<Value> = events.to_vec();
    found.retain(|event| event["turn"].is_string());
    for event in &mut found {
        event.as_object_mut().unwrap().remove("seq");
    }
    found
}
