//! SEED.md §7.4, and what a log may be found as.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{lines, put};
use crate::hook::{Appended, LOCK_WAIT, write_log_entry_atomic};
use crate::platform::file_lock;

#[test]
fn concurrent_writes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs/session_x.jsonl");
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for id in 0..100 {
            let path = &path;
            threads.push(scope.spawn(move || {
                let entry = json!({"id": id, "data": "x".repeat(1000)});
                // Locked or, on a slow disk, not: whole in both cases.
                drop(write_log_entry_atomic(path, &entry).unwrap());
            }));
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
    let lines = lines(&path);
    assert_eq!(lines.len(), 100);
    let ids: BTreeSet<u64> = lines
        .iter()
        .map(|line| line["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (0..100).collect());
    assert!(
        lines
            .iter()
            .all(|line| line["data"].as_str().unwrap().len() == 1000)
    );
}

#[test]
fn logs_are_their_owner_s_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/session_x.jsonl");
    assert_eq!(write_log_entry_atomic(&path, &1).unwrap(), Appended::Locked);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn equal_entries_are_both_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    for _ in 0..2 {
        assert_eq!(
            write_log_entry_atomic(&path, &json!({"a": 1})).unwrap(),
            Appended::Locked
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\n{\"a\":1}\n");
}

#[test]
fn a_torn_line_is_closed_off_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    put(&path, b"{\"a\":1}\n{\"a\":");
    assert_eq!(
        write_log_entry_atomic(&path, &json!({"a": 2})).unwrap(),
        Appended::Locked
    );
    assert_eq!(
        write_log_entry_atomic(&path, &json!({"a": 3})).unwrap(),
        Appended::Locked
    );
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"a\":1}\n{\"a\":\n{\"a\":2}\n{\"a\":3}\n"
    );
}

#[test]
fn a_lock_that_is_kept_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    put(&path, b"{\"a\":");
    let held = std::fs::File::open(&path).unwrap();
    file_lock::exclusive(&held).unwrap();
    let begun = Instant::now();
    let appended = write_log_entry_atomic(&path, &json!({"a": 2})).unwrap();
    let took = begun.elapsed();
    assert!(
        took >= LOCK_WAIT && took < LOCK_WAIT + Duration::from_secs(5),
        "{took:?}"
    );
    let Appended::Unlocked(why) = appended else {
        panic!("{appended:?}");
    };
    let pid = std::process::id();
    assert!(
        why.ends_with(&format!("is held by pid {pid} for more than 1 s")),
        "{why}"
    );
    // Not repaired: that is for somebody with the lock.
    assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":{\"a\":2}\n");
}

#[test]
fn what_is_no_plain_file_is_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    put(&target, b"mine");
    let refused = |name: &str| {
        let path = dir.path().join(name);
        format!("{:#}", write_log_entry_atomic(&path, &1).unwrap_err())
    };
    symlink(&target, dir.path().join("link")).unwrap();
    assert!(refused("link").contains("link is a symbolic link"));
    symlink(dir.path().join("new"), dir.path().join("dangling")).unwrap();
    assert!(refused("dangling").contains("is a symbolic link"));
    assert!(!dir.path().join("new").exists());
    std::fs::create_dir(dir.path().join("dir")).unwrap();
    assert!(refused("dir").contains("dir"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    assert!(refused("pipe").contains("is not a plain file"));
    assert!(refused("target/log").contains("target"));
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
}
