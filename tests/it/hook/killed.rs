//! Writers that are killed at any moment: what was acknowledged is there, once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plandex::hook::write_log_entry_atomic;
use serde_json::{Value, json};

use crate::support::Sandbox;

const WRITERS: usize = 16;
const LINES: usize = 10_000;
/// Where a writer writes, and who it is.
const DIR: &str = "IT_HOOK_WRITER_DIR";
const WHO: &str = "IT_HOOK_WRITER";

/// Not a test by itself: the writer that `every_acknowledged_line_is_there_once` starts, this very
/// program again. It writes until it is killed, and notes each line that it was told is written.
#[test]
#[ignore = "a part of another test, which starts it"]
fn writer() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let who = std::env::var(WHO).unwrap();
    let mut acknowledged = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join(format!("ack-{who}")))
        .unwrap();
    // Bounded: whoever forgets to kill it finds it ended.
    for number in 0..LINES {
        let id = format!("{who}/{number}");
        // Of many sizes, so that lines end anywhere in a page.
        let entry = json!({"id": id, "data": "x".repeat(number * 37 % 2000)});
        drop(write_log_entry_atomic(&dir.join("logs/log"), &entry).unwrap());
        acknowledged
            .write_all(format!("{id}\n").as_bytes())
            .unwrap();
    }
}

fn start(dir: &Path, who: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "hook::killed::writer",
            "--ignored",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(WHO, who)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn acknowledged(dir: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("ack-") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            // A note that is cut off says nothing.
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            ids.extend(whole.lines().map(str::to_owned));
        }
    }
    ids
}

#[test]
fn every_acknowledged_line_is_there_once() {
    let sandbox = Sandbox::in_memory(Duration::from_secs(240));
    let dir = sandbox.root();
    let begun = Instant::now();
    let mut lives = 0;
    let mut next = || {
        lives += 1;
        start(dir, &lives.to_string())
    };
    let mut writers: Vec<Child> = (0..WRITERS).map(|_| next()).collect();
    let mut kills = 0;
    for turn in 0.. {
        assert!(
            begun.elapsed() < Duration::from_secs(200),
            "{LINES} lines take too long"
        );
        let before = acknowledged(dir).len();
        if before >= LINES && kills >= WRITERS {
            break;
        }
        // The next one dies once some more lines are there: in the middle of whatever it does.
        sandbox.until("more lines are written", || {
            (acknowledged(dir).len() > before + 20).then_some(())
        });
        let victim = &mut writers[turn * 7 % WRITERS];
        victim.kill().unwrap();
        victim.wait().unwrap();
        *victim = next();
        kills += 1;
    }
    for mut writer in writers {
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    let log = std::fs::read_to_string(dir.join("logs/log")).unwrap();
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    let mut torn = Vec::new();
    for line in log.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(entry) => {
                *written
                    .entry(entry["id"].as_str().unwrap().to_owned())
                    .or_default() += 1
            }
            Err(_) => torn.push(line),
        }
    }
    let acknowledged = acknowledged(dir);
    assert!(acknowledged.len() >= LINES);
    for id in &acknowledged {
        assert_eq!(written.get(id), Some(&1), "{id}");
    }
    assert!(written.values().all(|count| *count == 1));
    // The kernel may stop a write that a kill meets between two pages. What such a one leaves is
    // closed off, spoils no other line, and is nothing that was acknowledged.
    assert!(torn.len() <= kills + WRITERS, "{torn:#?}");
    for line in torn {
        assert!(
            line.starts_with("{\"data\":\"x") || "{\"data\":\"".starts_with(line),
            "{line}"
        );
        assert!(!line.ends_with('}'), "{line}");
    }
}
