//! `hook log`.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Map, Value};

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION, clock_time};
use crate::config;
use crate::hook::{self, Entries};

/// `plandex hook log [LOG…]`
pub(super) fn log(cli: &Cli, files: &[PathBuf]) -> Result<ExitCode> {
    let dir = config::session_dir().unwrap_or_else(|| cli.cwd.clone());
    let logs = dir.join("logs");
    let found = hook::read_logs(&logs, files)?;
    if cli.json {
        let bad = found.bad_lines.iter();
        let bad = bad.map(|(file, line)| serde_json::json!({"file": file, "line": line}));
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "files": found.files, "entries": found.entries,
            "badLines": bad.collect::<Vec<_>>(),
        }));
    } else {
        for entry in &found.entries {
            cli.ui.line(line(entry));
        }
        if found.entries.is_empty() {
            cli.ui
                .note(format!("no session is noted in {}", logs.display()));
            cli.ui
                .hint("`plandex hook install` has an agent's sessions noted");
        }
    }
    warn(cli, &found);
    Ok(ExitCode::Done)
}

fn warn(cli: &Cli, found: &Entries) {
    let Some((file, line)) = found.bad_lines.first() else {
        return;
    };
    let count = found.bad_lines.len();
    let noun = if count == 1 { "line" } else { "lines" };
    let place = format!("{}:{line}", file.display());
    let first = if count == 1 {
        place
    } else {
        format!("the first is {place}")
    };
    cli.ui.warning(format!(
        "left out {count} {noun} that are no entries ({first})"
    ));
}

/// "2026-11-23 20:31:02  start  s1  main at 1a2b3c4d5e6f  startup"
fn line(entry: &Map<String, Value>) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let git = |name: &str| entry.get("git_metadata")?.get(name)?.as_str();
    let when = text("timestamp").map_or("-".to_owned(), |stamp| {
        let parsed = stamp.parse::<jiff::Timestamp>();
        parsed.map_or(stamp.to_owned(), |at| clock_time(at.as_millisecond()))
    });
    let kind = text("type").unwrap_or("-");
    let kind = kind.strip_prefix("session_").unwrap_or(kind);
    let mut words = vec![when, format!("{kind:<5}")];
    words.push(text("session_id").unwrap_or("-").to_owned());
    let short = |id: &str| id.chars().take(12).collect::<String>();
    match (git("branch"), git("base_commit").map(short)) {
        (Some(branch), Some(commit)) => words.push(format!("{branch} at {commit}")),
        (Some(branch), None) => words.push(branch.to_owned()),
        (None, Some(commit)) => words.push(format!("detached at {commit}")),
        (None, None) => {}
    }
    let lane = ["task_id", "model_lane", "model_name"];
    let lane: Vec<&str> = lane.iter().filter_map(|name| text(name)).collect();
    if !lane.is_empty() {
        words.push(lane.join("/"));
    }
    words.extend(text("source").or(text("reason")).map(str::to_owned));
    words.join("  ")
}
