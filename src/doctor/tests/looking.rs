//! Looking changes nothing, finds the project wherever it is, and is not fooled by the living.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::super::seen::{Rows, Seen};
use super::super::{CheckState, Severity, locate};
use super::{Living, Sandbox, clean, put};
use crate::platform::stopping::Stopping;
use crate::project::ProjectError;
use crate::store::tickets::Scope;

#[test]
fn a_new_project_is_healthy() {
    let sandbox = Sandbox::new();
    let report = sandbox.examine();
    clean(&report);
    assert!(
        report
            .checks
            .iter()
            .all(|check| check.status == CheckState::Ok),
        "{report:?}"
    );
    let names: Vec<&str> = report
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Database Connection",
            "SQLite",
            "Database Integrity",
            "Database Schema",
            "Write-Ahead Log",
            "File System",
            "Git Repository",
            "Plan Repositories",
            "Locks",
            "Queue",
            "Interrupted Work",
            "Leftovers",
            "Memory Usage",
            "Threads",
            "Disk Space",
        ]
    );
    assert!(report.checks[0].latency.is_some());
}

/// Every file below `dir` with its length and time of change.
fn snapshot(dir: &Path, found: &mut BTreeMap<PathBuf, (u64, SystemTime)>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        found.insert(entry.path(), (meta.len(), meta.modified().unwrap()));
        if meta.is_dir() {
            snapshot(&entry.path(), found);
        }
    }
}

#[test]
fn looking_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.leave_replying();
    sandbox.sql("INSERT INTO repo_locks (plan_id, scope) VALUES ('gone', 'w')");
    put(&sandbox.path("owners/0198-dead"), b"");
    let look = || {
        let mut found = BTreeMap::new();
        snapshot(&sandbox.place.root, &mut found);
        // The shared memory of the WAL is rebuilt by whoever comes first.
        found.retain(|path, _| !path.ends_with("plandex.db-shm"));
        found
    };
    // The last connection gone, nobody else changes them.
    sandbox.examine();
    let before = look();
    let report = sandbox.examine();
    assert!(report.issues.len() >= 3 && !report.healthy, "{report:?}");
    assert_eq!(look(), before);
}

/// Operations that begin and end all the time: their tickets and owner files come and go between
/// any two looks.
#[test]
fn the_living_are_never_called_dead() {
    let sandbox = Sandbox::new();
    let done = AtomicBool::new(false);
    let reports: Vec<_> = std::thread::scope(|scope| {
        let _stopping = Stopping(&done);
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let branch = sandbox.branch();
                    let run = sandbox.write(move |permit, turn| {
                        use crate::store::branches::{Status, set_status};
                        let store = &turn.project.store;
                        for status in [Status::Replying, Status::Ready] {
                            store.note(permit, |tx| set_status(tx, &branch.id, status, None))?;
                        }
                        Ok(())
                    });
                    run.unwrap();
                }
            });
        }
        (0..25).map(|_| sandbox.examine()).collect()
    });
    for report in reports {
        let worst = report.issues.iter().map(|issue| issue.severity).max();
        assert!(worst <= Some(Severity::Info), "{:?}", report.issues);
    }
    clean(&sandbox.examine());
}

/// A ticket of an owner that lives, as a run has it whose status is shown.
fn at_work(sandbox: &Sandbox) -> Living {
    let living = Living::new(sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("UPDATE branches SET status = 'replying'");
    living
}

/// As its process does at the end: the rows first, then the owner file.
fn end(sandbox: &Sandbox, living: Living) {
    sandbox.sql("UPDATE branches SET status = 'ready'; DELETE FROM repo_locks");
    std::fs::remove_file(sandbox.path("owners").join(&living.row.id)).unwrap();
    drop(living);
}

#[test]
fn an_operation_that_ends_between_the_row_and_its_owner_is_not_dead() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    let living = at_work(&sandbox);
    let rows = Rows::read(&store, None).unwrap();
    end(&sandbox, living);
    let first = Seen::judge(rows, store.dir(), None);
    assert_eq!(
        (first.seats.len(), first.stuck.len()),
        (1, 1),
        "it looks dead"
    );
    let seen = first.confirm(&store, None).unwrap();
    assert_eq!((seen.seats.len(), seen.stuck.len()), (0, 0));
}

#[test]
fn an_operation_that_ends_during_the_second_look_is_not_dead_either() {
    let sandbox = Sandbox::new();
    let store = sandbox.store();
    sandbox.sql("INSERT INTO repo_locks (plan_id, scope) VALUES ('gone', 'w')");
    let living = at_work(&sandbox);
    let first = Seen::judge(Rows::read(&store, None).unwrap(), store.dir(), None);
    let rows = Rows::read(&store, None).unwrap();
    end(&sandbox, living);
    let mut second = Seen::judge(rows, store.dir(), None);
    assert_eq!((second.seats.len(), second.stuck.len()), (2, 1));
    second.keep_what_was_dead_in(&first);
    assert_eq!((second.seats.len(), second.stuck.len()), (1, 0));
    assert_eq!(second.seats[0].ticket.plan_id, "gone");
}

#[test]
fn a_project_is_found_without_its_database() {
    let sandbox = Sandbox::new();
    let below = sandbox.place.root.join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    assert_eq!(locate(&below, None).unwrap(), sandbox.place);
    std::fs::remove_file(sandbox.path("plandex.db")).unwrap();
    assert_eq!(locate(&below, None).unwrap(), sandbox.place);
    assert_eq!(
        locate(&below, Some(&sandbox.place.dir)).unwrap(),
        sandbox.place
    );
    put(&sandbox.path("plandex.db"), b"");
    let found = locate(&below, Some(Path::new("../../.plandex"))).unwrap();
    assert_eq!(
        found.dir.canonicalize().unwrap(),
        sandbox.place.dir.canonicalize().unwrap()
    );
    let length = std::fs::metadata(sandbox.path("plandex.db")).unwrap().len();
    assert_eq!(length, 0, "it was filled by looking");
    let nowhere = locate(sandbox.home.path(), None).unwrap_err();
    assert!(nowhere.is::<ProjectError>(), "{nowhere:#}");
    let nowhere = locate(&below, Some(Path::new("/nonexistent"))).unwrap_err();
    assert!(nowhere.is::<ProjectError>(), "{nowhere:#}");
}
