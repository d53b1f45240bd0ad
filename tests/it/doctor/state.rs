//! Databases and repositories that were damaged.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;

use super::{Cause, Damage, End};
use crate::crash_points::{git, heads};
use crate::support::{Sandbox, raw};

/// Brings the database into its one file and removes what else SQLite keeps: nobody has it open.
fn settle(sandbox: &Sandbox) -> PathBuf {
    sandbox.store().checkpoint().unwrap();
    for name in ["plandex.db-wal", "plandex.db-shm"] {
        std::fs::remove_file(sandbox.state_dir().join(name)).unwrap();
    }
    sandbox.state_dir().join("plandex.db")
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

fn rebuild(sandbox: &Sandbox, _: Cause<'_>) {
    let outcome = sandbox.ok(&["doctor", "--rebuild"]);
    assert!(
        outcome.stdout.contains("Rebuilt plan \"work\""),
        "{outcome}"
    );
    sandbox.ok(&["cd", "work"]);
}

const REBUILD: End = End::Left(&["`plandex doctor --rebuild`"], rebuild);

pub(super) const CORRUPT_PAGE: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        let database = settle(sandbox);
        let length = std::fs::metadata(&database).unwrap().len();
        // Its last page is none that is read when it is opened.
        overwrite(&database, length - 1024, &[0xA5; 1024]);
        Some(Cause::none())
    },
    names: &["is damaged", "plandex.db"],
    end: REBUILD,
};

pub(super) const FOREIGN_HEADER: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        overwrite(&settle(sandbox), 0, &[b'#'; 100]);
        Some(Cause::none())
    },
    names: &["is damaged", "plandex.db"],
    end: REBUILD,
};

pub(super) const MISSING: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        std::fs::remove_file(settle(sandbox)).unwrap();
        Some(Cause::none())
    },
    names: &["there is no plandex project in"],
    end: REBUILD,
};

pub(super) const EMPTY: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        let database = settle(sandbox);
        let file = std::fs::File::options().write(true).open(database).unwrap();
        file.set_len(0).unwrap();
        Some(Cause::none())
    },
    names: &["it is an empty file", "plandex.db"],
    end: REBUILD,
};

pub(super) const NEWER: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        raw(sandbox)
            .pragma_update(None, "user_version", 99)
            .unwrap();
        Some(Cause::none())
    },
    names: &["was written by a newer plandex", "schema 99"],
    end: End::Left(&["use the newer plandex"], |sandbox, _| {
        let known = plandex::store::SCHEMA_VERSION;
        raw(sandbox)
            .pragma_update(None, "user_version", known)
            .unwrap();
    }),
};

pub(super) const HELD: Damage = Damage {
    kind: "db_connection",
    severity: "critical",
    with: &[],
    make: |sandbox| {
        let connection = raw(sandbox);
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Some(Cause {
            connection: Some(connection),
            is_busy: true,
            ..Cause::none()
        })
    },
    names: &["a program outside plandex holds its write lock"],
    end: End::Left(&["end that program"], |_, cause| {
        cause.connection.unwrap().execute_batch("ROLLBACK").unwrap();
    }),
};

pub(super) const NO_INDEX: Damage = Damage {
    kind: "schema",
    severity: "error",
    with: &[],
    make: |sandbox| {
        let drop = "DROP INDEX repo_locks_parent; DROP VIEW active_locks";
        raw(sandbox).execute_batch(drop).unwrap();
        Some(Cause::none())
    },
    names: &[
        "index repo_locks_parent is missing",
        "view active_locks is missing",
    ],
    end: End::Fixed(&["index repo_locks_parent", "view active_locks"]),
};

pub(super) const NO_TABLE: Damage = Damage {
    kind: "schema",
    severity: "error",
    with: &[],
    make: |sandbox| {
        raw(sandbox).execute_batch("DROP TABLE summaries").unwrap();
        Some(Cause::none())
    },
    names: &["table summaries is missing"],
    end: REBUILD,
};

pub(super) const LONG_WAL: Damage = Damage {
    kind: "wal_size",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        let outside = raw(sandbox);
        outside
            .pragma_update(None, "wal_autocheckpoint", 0)
            .unwrap();
        let keep = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        outside.set_db_config(keep, true).unwrap();
        let fill =
            "CREATE TABLE junk (x); INSERT INTO junk VALUES (zeroblob(70 << 20)); DROP TABLE junk";
        outside.execute_batch(fill).unwrap();
        Some(Cause::none())
    },
    names: &["The write-ahead log is", "plandex.db-wal"],
    end: End::Fixed(&["moved the write-ahead log into the database"]),
};

/// Everything of the plan's repositories that can be put back, beside the project.
fn backup(sandbox: &Sandbox) {
    let file = sandbox.place().join("io/all.plandex");
    sandbox.ok(&["backup", file.to_str().unwrap()]);
}

fn restore(sandbox: &Sandbox, _: Cause<'_>) {
    let file = sandbox.place().join("io/all.plandex");
    sandbox.ok(&["restore", "--force", file.to_str().unwrap()]);
    sandbox.ok(&["cd", "work"]);
}

const RESTORE: End = End::Left(&["`plandex restore FILE --force`"], restore);

fn repository(sandbox: &Sandbox) -> (PathBuf, plandex::store::branches::Branch) {
    heads(sandbox).remove(0)
}

pub(super) const TRUNCATED_OBJECT: Damage = Damage {
    kind: "repository_damaged",
    severity: "error",
    with: &[],
    make: |sandbox| {
        backup(sandbox);
        let (repo, branch) = repository(sandbox);
        let mut all = Vec::new();
        files(&repo.join("objects"), &mut all);
        // The head itself where it is a file of its own, else its pack.
        let head = branch.head.unwrap();
        let loose = repo.join("objects").join(&head[..2]).join(&head[2..]);
        let is_pack = |path: &PathBuf| path.extension().is_some_and(|end| end == "pack");
        let victim = if loose.exists() {
            loose
        } else {
            all.into_iter().find(is_pack).unwrap()
        };
        let length = std::fs::metadata(&victim).unwrap().len();
        std::fs::remove_file(&victim).ok();
        std::fs::write(&victim, vec![0; usize::try_from(length / 2).unwrap()]).unwrap();
        Some(Cause::none())
    },
    names: &["The repository of plan \\\"work\\\" is damaged on branch \\\"main\\\""],
    end: RESTORE,
};

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

pub(super) const NO_REPOSITORY: Damage = Damage {
    kind: "repository_damaged",
    severity: "error",
    with: &[],
    make: |sandbox| {
        backup(sandbox);
        std::fs::remove_dir_all(repository(sandbox).0).unwrap();
        Some(Cause::none())
    },
    names: &["The repository of plan \\\"work\\\" is missing", ".git"],
    end: RESTORE,
};

pub(super) const WRONG_REF: Damage = Damage {
    kind: "ref_mismatch",
    severity: "warning",
    with: &[],
    make: |sandbox| {
        let (repo, branch) = repository(sandbox);
        let head = branch.head.unwrap();
        let tree = format!("{head}^{{tree}}");
        let other = git(sandbox, &repo, &["commit-tree", "-m", "somebody's", &tree]).ok();
        let name = git(sandbox, &repo, &["for-each-ref", "--format=%(refname)"]).ok();
        let args = ["update-ref", name.stdout.trim(), other.stdout.trim()];
        git(sandbox, &repo, &args).ok();
        Some(Cause::none())
    },
    names: &["work", "main", "shows something else", "the row says"],
    end: End::Fixed(&["the git ref of branch \\\"main\\\" follows its row again"]),
};

pub(super) const NO_REF: Damage = Damage {
    kind: "ref_mismatch",
    severity: "info",
    with: &[],
    make: |sandbox| {
        let (repo, _) = repository(sandbox);
        let name = git(sandbox, &repo, &["for-each-ref", "--format=%(refname)"]).ok();
        git(sandbox, &repo, &["update-ref", "-d", name.stdout.trim()]).ok();
        Some(Cause::none())
    },
    names: &["work", "main", "is missing", "the ref nothing"],
    end: End::Fixed(&["the git ref of branch \\\"main\\\" follows its row again"]),
};

fn age(sandbox: &Sandbox, path: &Path) {
    let args = ["-d", "2 hours ago", path.to_str().unwrap()];
    sandbox.program("touch", args).finish().ok();
}

/// A killed process's owner file, and a file that it had not finished.
pub(super) const LEFTOVERS: Damage = Damage {
    kind: "leftovers",
    severity: "info",
    with: &[],
    make: |sandbox| {
        let ticket = super::locks::kill_a_writer(sandbox).to_string();
        let owners = sandbox.state_dir().join("owners");
        sandbox.ok(&["locks", "release", &ticket]);
        let left = sandbox.state_dir().join(".config.toml.x.tmp");
        std::fs::write(&left, "half").unwrap();
        age(sandbox, &left);
        assert!(std::fs::read_dir(owners).unwrap().count() > 0);
        Some(Cause::none())
    },
    names: &["of dead processes"],
    end: End::Fixed(&["removed 1 owner file", "removed", ".config.toml.x.tmp"]),
};

pub(super) const LEFT_IN_REPOSITORY: Damage = Damage {
    kind: "leftovers",
    severity: "info",
    with: &[],
    make: |sandbox| {
        let (repo, _) = repository(sandbox);
        let left = repo.join("objects").join(".pack.x.tmp");
        std::fs::write(&left, "half").unwrap();
        age(sandbox, &left);
        Some(Cause::none())
    },
    names: &["The repository of plan \\\"work\\\" has 1 file", ".tmp"],
    end: End::Fixed(&["removed 1 file that a dead process left"]),
};

/// Whoever works on a damaged database is not robbed of it.
#[test]
fn a_lost_database_is_not_made_again_while_somebody_works_on_it() {
    let sandbox = super::project(std::time::Duration::from_secs(60));
    let holder = super::locks::writer(&sandbox);
    std::fs::remove_file(sandbox.state_dir().join("plandex.db")).unwrap();
    let refused = sandbox.run(&["doctor", "--rebuild"]).exits(1);
    let says = "1 plandex process is at work on the damaged database: end them first";
    assert!(refused.stderr.contains(says), "{refused}");
    assert!(!sandbox.state_dir().join("plandex.db").exists());
    holder.kill();
    sandbox.until("all that it started is gone", || {
        (sandbox.run(&["doctor", "--rebuild"]).code == Some(0)).then_some(())
    });
    sandbox.ok(&["cd", "work"]);
    sandbox.ok(&["doctor", "--fix"]);
    super::clean(&sandbox);
    super::goes_on(&sandbox);
}
