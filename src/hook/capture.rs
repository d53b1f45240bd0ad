//! An event as the host tells it becomes an entry.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::session::Session;
use super::write::{Appended, write_log_entry_atomic};
use super::{experiment, git};
use crate::platform::clock;

/// More than this of a host's JSON is not read.
pub const INPUT_MAX: usize = 16 << 20;

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It began, or went on.
    Start,
    /// It ended.
    End,
}

/// What is known without the host's words.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The directory that the host says the session is about.
    pub project: Option<PathBuf>,
    /// Where this process was started, if that is still there.
    pub cwd: Option<PathBuf>,
}

/// An entry that is on the disk.
#[derive(Debug)]
pub struct Captured {
    /// The log that it is in.
    pub log: PathBuf,
    /// What a person should know about it, a fragment each.
    pub remarks: Vec<String>,
}

/// A line of the log. Its fields are those of SEED.md's hook.
#[derive(Serialize)]
struct Entry<'a> {
    r#type: &'static str,
    timestamp: String,
    session_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_session_id: Option<&'a Value>,
    transcript_path: Option<&'a Value>,
    cwd: Option<&'a Value>,
    git_metadata: git::Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Value>,
    reason: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_lane: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment_root: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<String>,
}

/// Whether `input` is a whole JSON document: nothing more needs to be waited for.
pub fn is_whole(input: &[u8]) -> bool {
    input.trim_ascii_end().ends_with(b"}") && serde_json::from_slice::<Value>(input).is_ok()
}

/// Appends the entry of `event` to its session's log, below `logs/` of the project: the directory
/// that the host says, else the session's `cwd`, else this process's.
///
/// `input` is the host's JSON, of which any part may be missing or not as it should be. Fails only
/// if nothing could be written.
pub fn capture(event: Event, input: &[u8], around: &Surroundings) -> Result<Captured> {
    let (fields, mut remarks) = match understood(input) {
        Ok(fields) => (fields, Vec::new()),
        Err(why) => (Map::new(), vec![why]),
    };
    let text = |name: &str| fields.get(name).filter(|value| value.is_string());
    let said = text("cwd").and_then(Value::as_str).map(Path::new);
    let said = said.filter(|dir| dir.is_absolute() && dir.is_dir());
    let here = said.or(around.cwd.as_deref());
    let project = around.project.as_deref().or(here);
    let project = project.context("neither CLAUDE_PROJECT_DIR nor a current directory is there")?;
    let given = fields.get("session_id").unwrap_or(&Value::Null);
    let session = Session::of(given, &project.join("logs"))?;
    let here = here.unwrap_or(project);
    let lane = experiment::look(here);
    let entry = Entry {
        r#type: match event {
            Event::Start => "session_start",
            Event::End => "session_end",
        },
        timestamp: clock::stamp(),
        session_id: &session.id,
        original_session_id: session.original.as_ref(),
        transcript_path: text("transcript_path"),
        cwd: text("cwd"),
        git_metadata: git::look(here),
        source: text("source").filter(|_| event == Event::Start),
        reason: text("reason"),
        task_id: lane.as_ref().map(|lane| lane.task_id.clone()),
        model_lane: lane.as_ref().map(|lane| lane.model_lane.clone()),
        experiment_root: lane.as_ref().map(|lane| lane.experiment_root.clone()),
        model_name: lane.and_then(|lane| lane.model_name),
    };
    if let Appended::Unlocked(why) = write_log_entry_atomic(&session.log, &entry)? {
        remarks.push(format!("{why}; the entry was appended without it"));
    }
    Ok(Captured {
        log: session.log,
        remarks,
    })
}

/// The fields of the host's JSON, or why there are none.
fn understood(input: &[u8]) -> Result<Map<String, Value>, String> {
    // A shell of Windows may put a mark before it.
    let text = String::from_utf8_lossy(input);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err("nothing came on standard input".to_owned());
    }
    if input.len() > INPUT_MAX {
        return Err(format!(
            "more than {INPUT_MAX} bytes came on standard input"
        ));
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("what came on standard input is no JSON object".to_owned()),
        Err(error) => Err(format!("what came on standard input is no JSON: {error}")),
    }
}
