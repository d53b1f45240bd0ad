//! Runs and what follows from them: gone on with, kept for later, built again, ended badly.

mod budget;
mod chat;
mod dying;
mod ends;
mod fix;
mod later;
mod live;
mod resume;
mod verdicts;

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Background, ModelServer, Outcome, Run, Sandbox};

/// Much longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// A project with a plan that was shown `src/lib.rs`.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&["load", "src/lib.rs"]);
    sandbox
}

/// A whole new file.
fn file(path: &str, text: &str) -> String {
    format!("```text path={path}\n{text}\n```\n")
}

/// `command` answered by `reply`.
fn answered(sandbox: &Sandbox, command: &[&str], reply: &str) -> Outcome {
    let reply = sandbox.write_beside("reply.md", reply);
    let reply = ["--reply", reply.to_str().unwrap()];
    sandbox.run(&[command, &reply].concat())
}

/// A run whose reply has come as far as `said`, and that waits for more.
fn replying<'s>(sandbox: &'s Sandbox, command: &[&str], said: &str) -> Background<'s> {
    let mut run = sandbox
        .plandex(command)
        .args(["--reply", "-"])
        .held_stdin()
        .start();
    run.say(said);
    let last = said.lines().next_back().unwrap();
    let kept = || {
        let convo = rows(
            sandbox,
            "SELECT coalesce(group_concat(payload), '') FROM stream_events",
        );
        convo[0].contains(last).then_some(())
    };
    sandbox.until("the reply is stored as far as it came", kept);
    run
}

/// A run that was stopped in the middle of its reply.
fn stopped(sandbox: &Sandbox, command: &[&str], said: &str) -> Outcome {
    let mut run = replying(sandbox, command, said);
    run.signal(Signal::INT);
    run.wait(SOON)
}

/// The first column of a query's rows, as text.
fn rows(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut select = connection.prepare(query).unwrap();
    let rows = select.query_map([], |row| row.get::<_, rusqlite::types::Value>(0));
    rows.unwrap()
        .map(|value| match value.unwrap() {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other @ (rusqlite::types::Value::Null
            | rusqlite::types::Value::Real(_)
            | rusqlite::types::Value::Blob(_)) => panic!("{other:?}"),
        })
        .collect()
}

fn messages(sandbox: &Sandbox) -> Vec<Value> {
    let convo = sandbox.ok(&["convo", "--json"]).json();
    convo["messages"].as_array().unwrap().clone()
}

fn pending(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.ok(&["status", "--json"]).json();
    let pending = status["pending"].as_array().unwrap().clone();
    let path = |change: Value| change["path"].as_str().unwrap().to_owned();
    pending.into_iter().map(path).collect()
}

/// What would be sent, by `command`.
fn sent(sandbox: &Sandbox, command: &[&str]) -> Vec<Value> {
    let json = sandbox
        .ok(&[command, &["--print-prompt", "--json"]].concat())
        .json();
    json["messages"].as_array().unwrap().clone()
}

/// A stream in OpenAI's dialect, a line of `text` a chunk, that ends with `finish`.
fn stream(text: &str, finish: &str) -> String {
    let mut body = String::new();
    for line in text.split_inclusive('\n') {
        body.push_str(&chunk(&serde_json::json!({"content": line})));
    }
    body + &finished(finish)
}

fn chunk(delta: &Value) -> String {
    let chunk = serde_json::json!({"choices": [{"index": 0, "delta": delta}]});
    format!("data: {chunk}\n\n")
}

fn finished(finish: &str) -> String {
    let last = serde_json::json!({"choices": [{"delta": {}, "finish_reason": finish}]});
    format!("data: {last}\n\ndata: [DONE]\n\n")
}

/// `args` with this server as the model.
fn asking<'s>(sandbox: &'s Sandbox, server: &ModelServer, args: &[&str]) -> Run<'s> {
    let base = server.base();
    let model = ["--provider", "openai", "--model", "m", "--base-url", &base];
    sandbox.plandex([args, &model].concat())
}

/// The messages of the `number`-th request, from 0.
fn request(server: &ModelServer, number: usize) -> Vec<(String, String)> {
    let asked = server.asked();
    let messages = asked[number].body["messages"].as_array().unwrap();
    let text = |message: &Value, name: &str| message[name].as_str().unwrap().to_owned();
    messages
        .iter()
        .map(|message| (text(message, "role"), text(message, "content")))
        .collect()
}
