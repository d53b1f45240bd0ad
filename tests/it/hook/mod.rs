//! `plandex hook` in real processes: many writers, dead ones, stopped ones, and the host's settings.

mod captured;
mod file_locking;
mod killed;
mod refused;
mod settings;

use std::path::Path;

use serde_json::Value;

use crate::support::{Background, Sandbox};

/// Starts `plandex hook capture EVENT` with `input` to read.
#[track_caller]
fn capture<'s>(sandbox: &'s Sandbox, event: &str, input: &str) -> Background<'s> {
    sandbox
        .plandex(["hook", "capture", event])
        .stdin(input)
        .start()
}

/// The lines of a log, each of which must be JSON.
#[track_caller]
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let line = |line: &str| match serde_json::from_str(line) {
        Ok(value) => value,
        Err(error) => panic!("{error}: {line}"),
    };
    text.lines().map(line).collect()
}
