//! SEED.md §7.4: a hundred writers of one log, and half of them the seed's own.

use std::collections::BTreeSet;

use serde_json::json;

use super::{capture, lines};
use crate::support::{Sandbox, needs};

/// SEED.md B.7, and its test of a hundred threads cut to fifty.
const PYTHON: &str = r#"
import fcntl, json, os, sys, threading

def write_log_entry_atomic(log_file, log_entry):
    os.makedirs(os.path.dirname(log_file), exist_ok=True)
    with open(log_file, "a", encoding="utf-8") as f:
        fcntl.flock(f.fileno(), fcntl.LOCK_EX)
        try:
            f.write(json.dumps(log_entry) + "\n")
            f.flush()
            os.fsync(f.fileno())
        finally:
            fcntl.flock(f.fileno(), fcntl.LOCK_UN)

threads = [
    threading.Thread(target=write_log_entry_atomic, args=(sys.argv[1], {"id": i, "data": "x" * 1000}))
    for i in range(50)
]
print("ready", flush=True)
sys.stdin.readline()
for t in threads:
    t.start()
for t in threads:
    t.join()
"#;

#[test]
fn concurrent_writes_of_a_hundred_processes() {
    let sandbox = Sandbox::new();
    let writers: Vec<_> = (0..100)
        .map(|id| {
            let event = if id % 2 == 0 { "start" } else { "end" };
            let reason = format!("{id} {}", "x".repeat(1000));
            let input = json!({"session_id": "one", "reason": reason});
            capture(&sandbox, event, &input.to_string())
        })
        .collect();
    for writer in writers {
        let outcome = writer.finish().ok();
        assert_eq!(outcome.stdout, "");
    }
    let lines = lines(&sandbox.root().join("logs/session_one.jsonl"));
    assert_eq!(lines.len(), 100);
    let reasons: BTreeSet<&str> = lines
        .iter()
        .map(|line| line["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons.len(), 100);
    assert!(
        reasons
            .iter()
            .all(|reason| reason.ends_with(&"x".repeat(1000)))
    );
    let starts = lines.iter().filter(|line| line["type"] == "session_start");
    assert_eq!(starts.count(), 50);
    let head = sandbox.git(&["rev-parse", "HEAD"]);
    for line in &lines {
        assert_eq!(line["git_metadata"]["branch"], "main");
        assert_eq!(line["git_metadata"]["base_commit"], head.trim());
    }
}

#[test]
fn concurrent_writes_beside_the_seed_s_python() {
    needs!("python3");
    let sandbox = Sandbox::without_git();
    let log = sandbox.root().join("logs/session_one.jsonl");
    let mut python = sandbox
        .program("python3", ["-c", PYTHON, log.to_str().unwrap()])
        .held_stdin()
        .start();
    python.until_says("ready");
    python.say("go\n");
    let ours: Vec<_> = (0..50)
        .map(|id| {
            let input = json!({"session_id": "one", "reason": format!("{id}")});
            capture(&sandbox, "end", &input.to_string())
        })
        .collect();
    for writer in ours {
        writer.finish().ok();
    }
    python.finish().ok();
    let lines = lines(&log);
    let theirs: BTreeSet<u64> = lines
        .iter()
        .filter_map(|line| line["id"].as_u64())
        .collect();
    let ours: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["reason"].as_str())
        .collect();
    assert_eq!((lines.len(), theirs.len(), ours.len()), (100, 50, 50));
}
