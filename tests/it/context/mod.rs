//! What a plan is shown, by real commands: every kind, every selector, several processes.

mod images;
mod listed;
mod many;
mod outdated;
mod pages;
mod room;

use serde_json::Value;

use crate::support::{ModelServer, Outcome, Run, Sandbox};

/// A project with a plan.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new"]);
    sandbox
}

/// The names that `ls` lists.
fn names(sandbox: &Sandbox) -> Vec<String> {
    let listed = entries(sandbox);
    let name = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
    listed.iter().map(name).collect()
}

fn entries(sandbox: &Sandbox) -> Vec<Value> {
    let listed = sandbox.ok(&["ls", "--json"]).json();
    listed["contexts"].as_array().unwrap().clone()
}

/// A reply of a server in OpenAI's dialect, which says that it was sent so many tokens.
fn reply(text: &str, prompt_tokens: u64) -> String {
    let chunk = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let last = serde_json::json!({
        "choices": [{"delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": 3},
    });
    format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n")
}

/// `args` with this server as the model.
fn asking<'s>(sandbox: &'s Sandbox, server: &ModelServer, args: &[&str]) -> Run<'s> {
    let base = server.base();
    let model = ["--provider", "openai", "--model", "m", "--base-url", &base];
    sandbox.plandex([args, &model].concat())
}

/// The first column of a query's rows.
fn numbers(sandbox: &Sandbox, query: &str) -> Vec<i64> {
    let connection = rusqlite::Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
    let mut select = connection.prepare(query).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// Standard output and error and the exit code as one text.
#[track_caller]
fn expect(outcome: &Outcome, expected: &str) {
    let text = outcome.text();
    assert!(
        text == expected,
        "expected:\n{expected}\nbut it is:\n{text}"
    );
}

#[track_caller]
fn subject(sandbox: &Sandbox) -> String {
    let log = sandbox.ok(&["log", "--json", "-n", "1"]).json();
    let text = log.to_string();
    for version in log["versions"].as_array().unwrap_or(&Vec::new()) {
        if let Some(subject) = version["subject"].as_str().or(version["message"].as_str()) {
            return subject.lines().next().unwrap().to_owned();
        }
    }
    panic!("no subject in {text}");
}
