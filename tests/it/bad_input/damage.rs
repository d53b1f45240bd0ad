//! Databases that cannot be read, or not be written: refused, and kept as they are.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{BINARY, project, refused};
use crate::crash_points::rows;
use crate::support::{Outcome, Sandbox, needs, skip};

/// Brings the database into its one file and removes what else SQLite keeps: nobody has it open.
fn settle(sandbox: &Sandbox) -> PathBuf {
    sandbox.store().checkpoint().unwrap();
    for name in ["plandex.db-wal", "plandex.db-shm"] {
        std::fs::remove_file(sandbox.state_dir().join(name)).unwrap();
    }
    sandbox.state_dir().join("plandex.db")
}

/// Damages the database and sees every command refuse, and nothing of it overwritten.
#[track_caller]
fn damaged(damage: impl Fn(&Path), commands: &[&[&str]], words: &str) {
    let sandbox = project();
    let database = settle(&sandbox);
    damage(&database);
    let (bytes, kept) = (std::fs::read(&database).unwrap(), repositories(&sandbox));
    assert!(!kept.is_empty());
    for args in commands {
        let outcome = sandbox.run(args);
        refused(&outcome, 1, words);
        assert!(
            outcome.stderr.contains("plandex doctor"),
            "{args:?}\n{outcome}"
        );
        assert_eq!(std::fs::read(&database).unwrap(), bytes, "{args:?}");
        assert_eq!(repositories(&sandbox), kept, "{args:?}");
    }
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
}

fn repositories(sandbox: &Sandbox) -> Vec<PathBuf> {
    let all = std::fs::read_dir(sandbox.state_dir().join("plans")).unwrap();
    all.map(|entry| entry.unwrap().path()).collect()
}

const EVERY: &[&[&str]] = &[
    &["status"],
    &["plans"],
    &["log"],
    &[
        "tell",
        "x\n\nn.txt\n```\n<<<<<<< SEARCH\n=======\nn\n>>>>>>> REPLACE\n```\n",
    ],
    &["load", "a.txt"],
    &["apply", "-y"],
    &["new", "-n", "draft"],
];

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

#[test]
fn a_database_with_a_foreign_header_is_refused_and_kept() {
    damaged(
        |database| overwrite(database, 0, &[b'#'; 100]),
        EVERY,
        "is damaged",
    );
}

#[test]
fn a_database_with_zeroed_pages_is_refused_and_kept() {
    let zero_all_but_the_first = |database: &Path| {
        let length = usize::try_from(std::fs::metadata(database).unwrap().len()).unwrap();
        overwrite(database, 4096, &vec![0; length - 4096]);
    };
    damaged(zero_all_but_the_first, EVERY, "is damaged");
}

#[test]
fn an_empty_database_beside_repositories_is_a_lost_one() {
    let empty = |database: &Path| {
        let file = std::fs::File::options().write(true).open(database).unwrap();
        file.set_len(0).unwrap();
    };
    damaged(empty, EVERY, "it is empty, but there are plan repositories");
}

#[test]
fn a_database_of_a_newer_plandex_is_refused() {
    let sandbox = project();
    let path = sandbox.state_dir().join("plandex.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    for args in EVERY {
        let outcome = sandbox.run(args);
        refused(&outcome, 69, "written by a newer plandex (schema 99");
    }
    let again = rusqlite::Connection::open(&path).unwrap();
    again.pragma_update(None, "user_version", 1).unwrap();
    drop(again);
    let status = sandbox.ok(&["status", "--json"]).json();
    assert_eq!(status["pending"].as_array().unwrap().len(), 1, "{status}");
}

/// Runs `script` ($0: plandex) where `.plandex` is mounted read-only.
fn read_only(sandbox: &Sandbox, args: &str) -> Outcome {
    let script = format!(
        "mount --bind .plandex .plandex && mount -o remount,ro,bind .plandex && \
         cd \"$PWD\" && exec \"$0\" {args}"
    );
    sandbox
        .program("unshare", ["-m", "sh", "-c", &script, BINARY])
        .finish()
}

#[test]
fn a_read_only_state_directory_is_an_error_and_no_harm() {
    needs!("unshare");
    let sandbox = project();
    let may_mount = sandbox
        .program("unshare", ["-m", "mount", "--bind", ".plandex", ".plandex"])
        .finish();
    if may_mount.code != Some(0) {
        skip!("mounting is not allowed here");
    }
    let before = rows(&sandbox);
    for args in ["status", "load a.txt", "apply -y", "new"] {
        refused(&read_only(&sandbox, args), 1, "ead-only file system");
    }
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    assert_eq!(rows(&sandbox), before);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("a.txt"), "ONE\ntwo\n");
}
