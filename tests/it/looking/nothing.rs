//! Looking changes nothing: no byte of the state directory, no row, no ticket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{holder, project, waiter};
use crate::support::{Sandbox, needs};

/// Everything that only looks.
const LOOKS: [&[&str]; 20] = [
    &["locks"],
    &["locks", "--json"],
    &["locks", "--explain"],
    &["locks", "--explain", "--json"],
    &["locks", "--stats"],
    &["locks", "--stats", "--json"],
    &["locks", "--sql", "active"],
    &["locks", "--sql", "expired"],
    &["locks", "--sql", "history"],
    &["locks", "--sql", "history", "--print"],
    &["ps"],
    &["ps", "--json"],
    &["status"],
    &["status", "--json"],
    &["events"],
    &["events", "--json", "--since", "forever"],
    &["plans"],
    &["current"],
    &["convo"],
    &["log"],
];

/// Every file below `dir` with what is in it. The shared memory of the WAL is no content: SQLite
/// keeps its readers' marks there. The database's own files are compared by their times: nobody
/// but SQLite may open them.
fn snapshot(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        let name = entry.file_name().to_string_lossy().into_owned();
        if meta.is_dir() {
            snapshot(&path, found);
        } else if name.starts_with("plandex.db") {
            if !name.ends_with("-shm") {
                let state = format!("{} {:?}", meta.len(), meta.modified().unwrap());
                found.insert(path, state.into_bytes());
            }
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}

fn look(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    snapshot(&sandbox.state_dir(), &mut found);
    found
}

#[test]
fn looking_changes_nothing() {
    let sandbox = project();
    let message = sandbox.write_beside("message", "set a.txt\n\na.txt\n```\na\n```\n");
    sandbox.ok(&["tell", "-f", message.to_str().unwrap()]);
    // A dead holder, whom looking must not bury.
    let held = holder(&sandbox, "ann");
    held.kill();
    let (rows, before) = (sandbox.dump(), look(&sandbox));
    assert!(rows.contains("repo_locks:") && before.len() > 5, "{rows}");
    for args in LOOKS {
        let outcome = sandbox.ok(args);
        assert!(
            outcome.stderr.is_empty() || !outcome.stderr.contains("Repaired"),
            "{outcome}"
        );
        assert_eq!(look(&sandbox), before, "{args:?}");
    }
    let drawn = sandbox.place().join("tmp/queue.svg");
    sandbox.ok(&["locks", "--timeline", drawn.to_str().unwrap()]);
    assert_eq!(look(&sandbox), before);
    assert_eq!(sandbox.dump(), rows);
}

/// The same by the system calls: nothing of the state directory is opened for writing but the
/// files that SQLite shares, and no lock of ours is taken.
#[test]
fn looking_takes_no_lock() {
    needs!("strace");
    let sandbox = project();
    sandbox.ok(&["exec", "--", "true"]);
    let held = holder(&sandbox, "ann");
    let next = waiter(&sandbox, "bob", &["--", "true"]);
    for args in LOOKS {
        let found = touched(&sandbox, args);
        if found.is_none() {
            crate::support::skip!("processes cannot be traced here");
        }
        assert_eq!(found.unwrap(), [""; 0], "{args:?}");
    }
    // What takes a ticket is found out.
    let args = ["exec", "--plan", "other", "--", "true"];
    sandbox.ok(&["new", "--name", "other"]);
    assert!(touched(&sandbox, &args).unwrap().len() > 3);
    drop(next);
    held.finish().ok();
}

/// The system calls of `plandex ARGS…` that changed something in the state directory; `None` where
/// nothing can be traced.
fn touched(sandbox: &Sandbox, args: &[&str]) -> Option<Vec<String>> {
    let trace = sandbox.place().join("tmp/trace");
    let calls = "trace=flock,unlink,rename,write,pwrite64,mkdir,fsync,fdatasync";
    let mut all = vec!["-f", "-qq", "-y", "-e", calls, "-o"];
    all.extend([trace.to_str().unwrap(), env!("CARGO_BIN_EXE_plandex")]);
    all.extend(args);
    let outcome = sandbox.program("strace", all).finish();
    if outcome.stderr.contains("PTRACE") {
        return None;
    }
    outcome.ok();
    let calls = std::fs::read_to_string(&trace).unwrap();
    let is_change = |call: &&str| {
        // The look at whether an owner lives: shared, and gone at once.
        let is_look = call.contains("flock(")
            && (call.contains("LOCK_SH|LOCK_NB") || call.contains("LOCK_UN"));
        call.contains("/.plandex/") && !is_look && !call.contains("plandex.db-shm")
    };
    let changes = calls.lines().filter(is_change);
    Some(changes.map(str::to_owned).collect())
}
