//! What the logs say, without what is no entry.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

/// What was found in some logs.
#[derive(Debug, Default)]
pub struct Entries {
    /// In the order of their times; those without one first.
    pub entries: Vec<Map<String, Value>>,
    /// Lines that are no JSON object, torn ones most of all: the file, and the line from 1.
    pub bad_lines: Vec<(PathBuf, usize)>,
    /// How many files were read.
    pub files: usize,
}

/// The entries of `files`; where none are named, of all logs in the directory `logs`, which need not
/// be there. Fails on a file that cannot be read.
pub fn read_logs(logs: &Path, files: &[PathBuf]) -> Result<Entries> {
    let files = if files.is_empty() {
        all(logs)?
    } else {
        files.to_owned()
    };
    let mut found = Entries {
        files: files.len(),
        ..Entries::default()
    };
    for path in &files {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        found
            .read(file, path)
            .with_context(|| format!("reading {}", path.display()))?;
    }
    let time = |entry: &Map<String, Value>| {
        let time = entry.get("timestamp").and_then(Value::as_str);
        time.map(str::to_owned)
    };
    found.entries.sort_by_cached_key(time);
    Ok(found)
}

/// The logs of all sessions, by name.
fn all(logs: &Path) -> Result<Vec<PathBuf>> {
    let listed = match std::fs::read_dir(logs) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.with_context(|| format!("reading {}", logs.display()))?,
    };
    let mut files = Vec::new();
    for entry in listed {
        let entry = entry.with_context(|| format!("reading {}", logs.display()))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("session_") && name.ends_with(".jsonl") {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

impl Entries {
    /// Adds those of `log`, whose name is `path`. An empty line is neither an entry nor a bad one.
    pub(super) fn read(&mut self, log: impl std::io::Read, path: &Path) -> Result<()> {
        for (index, line) in BufReader::new(log).split(b'\n').enumerate() {
            let line = line?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(Value::Object(entry)) => self.entries.push(entry),
                _ => self.bad_lines.push((path.to_owned(), index + 1)),
            }
        }
        Ok(())
    }
}
