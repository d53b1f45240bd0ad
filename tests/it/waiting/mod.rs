//! What is said while an operation waits, by real processes that really wait.
//!
//! A holder is a command that reads a pipe which the test keeps open. What it says is awaited by
//! its words; nothing is ordered by pauses.

mod errors;
mod holder;
mod leaving;
mod pipes;
mod terminal;

use plandex::store::tickets::State;
use serde_json::Value;

use crate::support::{Background, SOON, Sandbox, project, raw, suspend, until_state};

/// A program that holds the plan for writing until its standard input is closed.
fn writer(sandbox: &Sandbox) -> Background<'_> {
    let holder = sandbox.plandex(["exec", "--", "cat"]).held_stdin().start();
    until_state(sandbox, holder.pid(), State::Held);
    holder
}

/// A tell in the middle of its reply.
fn teller<'s>(sandbox: &'s Sandbox, prompt: &str) -> Background<'s> {
    let mut teller = sandbox
        .plandex(["tell", prompt, "--reply", "-", "--json", "--deltas"])
        .held_stdin()
        .start();
    until_state(sandbox, teller.pid(), State::Held);
    teller.say("thinking\n");
    teller.until_says("thinking");
    teller
}

/// A waiter that may wait for ever, and has said so.
fn waiter(sandbox: &Sandbox) -> Background<'_> {
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "echo", "ran"]);
    let waiter = run.start();
    waiter.until_says("Press Ctrl+C");
    waiter
}

/// Nobody holds or waits, and the next one is granted at once.
fn is_clean(sandbox: &Sandbox) {
    let tickets = sandbox.tickets();
    let in_line: Vec<_> = tickets
        .iter()
        .filter(|ticket| ticket.state != State::Parked)
        .collect();
    assert!(in_line.is_empty(), "{in_line:?}");
    sandbox.ok(&["exec", "--no-wait", "--", "true"]);
}

/// The lines of JSON in `text`.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// `text` with pids, ages and durations replaced: "(pid N)", "Ns".
fn normal(text: &str) -> String {
    let mut shown = String::new();
    let mut digits = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c.is_ascii_digit() {
            digits.push(c);
            if characters.peek().is_some_and(char::is_ascii_digit) {
                continue;
            }
            let is_age = matches!(characters.peek(), Some('s' | 'm'));
            if is_age || shown.ends_with("(pid ") {
                shown.push('N');
            } else {
                shown.push_str(&digits);
            }
            digits.clear();
        } else {
            shown.push(c);
        }
    }
    shown
}
