//! The verbose log (SEED.md 6.1, 6.2) and what SIGUSR1 prints (6.3.3), from real commands.
//!
//! Times, pids, threads and ids differ from run to run and are replaced; everything else is
//! compared as it is.

mod asked;
mod lines;
mod where_to;

use crate::support::Sandbox;

/// A project with the plans a and b, and short leases.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.ok(&["new", "--name", name]);
    }
    sandbox
}

/// Where the commands of a test log to.
fn log_file(sandbox: &Sandbox) -> String {
    let path = sandbox.place().join("tmp/log");
    path.to_string_lossy().into_owned()
}

/// All lines of a log, each with its time and pid taken off and the rest normalised.
#[track_caller]
fn normalised(log: &str) -> Vec<String> {
    log.lines().map(|line| normal(message(line))).collect()
}

/// A line without its time and pid, which it must have.
#[track_caller]
fn message(line: &str) -> &str {
    let mut parts = line.splitn(3, ' ');
    let (time, pid) = (parts.next().unwrap(), parts.next().unwrap_or_default());
    assert!(time.len() == 24 && time.ends_with('Z'), "no time: {line}");
    assert!(pid.parse::<u32>().is_ok(), "no pid: {line}");
    parts.next().unwrap()
}

/// Replaces ids, thread numbers, pids and durations.
fn normal(message: &str) -> String {
    let mut shown = String::new();
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = uuid(rest) {
            shown.push_str("[ID]");
            rest = after;
            continue;
        }
        let is_start = c.is_ascii_digit() && !shown.ends_with(|c: char| c.is_alphanumeric());
        if !is_start {
            shown.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
        let units = ["ns", "µs", "ms", "s"];
        let unit = units.into_iter().find(|unit| {
            let tail = after.strip_prefix(unit);
            tail.is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric()))
        });
        let (word, after) = match unit {
            Some(unit) => ("[T]", &after[unit.len()..]),
            None if shown.ends_with("pid ") => ("[P]", after),
            None if shown.ends_with('[') && after.starts_with(']') => ("N", after),
            None => (number, after),
        };
        shown.push_str(word);
        rest = after;
    }
    shown
}

fn uuid(text: &str) -> Option<&str> {
    let head = text.get(..36)?;
    let is_id = head.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    is_id.then(|| &text[36..])
}

#[test]
fn what_differs_from_run_to_run_is_replaced_and_nothing_else() {
    let line = "2026-11-23T12:11:28.606Z 3801 [Lock][3803] GRANT ticket 7, fence 12, to pid 44, \
                after 1.5ms (30s) on 01a20851-7f59-7444-a07a-1c49bda96ff9 | reason: x";
    assert_eq!(
        normal(message(line)),
        "[Lock][N] GRANT ticket 7, fence 12, to pid [P], after [T] ([T]) on [ID] | reason: x"
    );
}
