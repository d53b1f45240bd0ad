//! A project of schema version 1, as it was made before forks shared their ids, is opened by this
//! program and goes on.

use std::path::Path;

use rusqlite::Connection;

use super::trees;
use crate::crash_points::{check_sound, git, heads, killed_at};
use crate::support::Sandbox;

const DATABASE: &str = include_str!("v1/database.sql");
const PLANS: [(&str, &str, &str); 2] = [
    (
        "01a20953-4961-74be-86b9-85a2ebdc6a7b",
        "01a20953-4961-74be-86b9-85a33bf6d4f4",
        include_str!("v1/01a20953-4961-74be-86b9-85a2ebdc6a7b.export"),
    ),
    (
        "01a20953-4a3d-765b-a6ac-a8e97ff76fbc",
        "01a20953-4a3d-765b-a6ac-a8eac75423e6",
        include_str!("v1/01a20953-4a3d-765b-a6ac-a8e97ff76fbc.export"),
    ),
];

/// The project: plan `first` with branches `main`, `side` (forked from it, applied, told again)
/// and `twig` (forked from that), and an empty plan `second`.
fn old_project() -> Sandbox {
    let sandbox = Sandbox::without_git();
    sandbox.write("a.txt", "ONE\ntwo\n");
    sandbox.write("b.txt", "made\n");
    let dir = sandbox.state_dir();
    for name in ["owners", "apply", "plans"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
    }
    private(&dir);
    for (plan, branch, export) in PLANS {
        let repo = dir.join("plans").join(format!("{plan}.git"));
        let at = repo.to_str().unwrap();
        let head = format!("--initial-branch={branch}");
        sandbox.git(&["init", "--quiet", "--bare", &head, at]);
        let name = format!("{plan}.export");
        let exported = sandbox.write_beside(&name, export);
        let import = format!(
            "git --git-dir '{at}' fast-import --quiet < '{}'",
            exported.display()
        );
        sandbox.program("sh", ["-c", &import]).finish().ok();
    }
    let database = dir.join("plandex.db");
    let made = Connection::open(&database).unwrap();
    made.pragma_update(None, "foreign_keys", false).unwrap();
    made.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    made.execute_batch("PRAGMA writable_schema = ON").unwrap();
    made.execute_batch(DATABASE).unwrap();
    made.close().unwrap();
    private(&database);
    sandbox
}

fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn open(sandbox: &Sandbox) -> Connection {
    Connection::open(sandbox.state_dir().join("plandex.db")).unwrap()
}

fn schema(connection: &Connection) -> Vec<(String, String, Option<String>)> {
    let mut select = connection
        .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
        .unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows = select.query_map([], row).unwrap();
    rows.map(Result::unwrap).collect()
}

fn ids(connection: &Connection, table: &str, branch: &str) -> Vec<String> {
    let mut select = connection
        .prepare(&format!(
            "SELECT t.id FROM {table} t JOIN branches b ON b.id = t.branch_id
             WHERE b.name = ?1 AND t.branch_id IN (SELECT branch_id FROM {table}) ORDER BY t.id"
        ))
        .unwrap();
    let rows = select.query_map([branch], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_database_of_version_1_becomes_what_a_new_one_is() {
    let sandbox = old_project();
    let before = sandbox.dump();
    let fresh = Sandbox::without_git();
    fresh.ok(&["new"]);
    sandbox.ok(&["plans"]);
    let found = open(&sandbox);
    assert_eq!(schema(&found), schema(&open(&fresh)));
    let version: i64 = found
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, plandex::store::SCHEMA_VERSION);
    for table in [
        "plans",
        "branches",
        "convo_messages",
        "stream_events",
        "repo_locks_audit",
    ] {
        let of = |dump: &str| {
            dump.lines()
                .filter(|line| line.starts_with(&format!("{table}:")))
                .count()
        };
        assert_eq!(of(&before), of(&sandbox.dump()), "{table}");
    }
    check_sound(&sandbox, "migrated");
    // The next grant gets a larger number than every one before it.
    let given = |connection: &Connection| -> i64 {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'repo_locks_audit'";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(given(&found), 7);
}

/// A database from before a run's events had numbers: they get them in the order they came in.
#[test]
fn events_without_numbers_are_numbered() {
    let sandbox = old_project();
    let old = open(&sandbox);
    let rows = |connection: &Connection| -> Vec<(String, i64)> {
        let mut select = connection
            .prepare("SELECT stream_id, number FROM stream_events ORDER BY stream_id, id")
            .unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let numbered = rows(&old);
    assert!(numbered.iter().any(|(_, number)| *number > 1));
    old.execute_batch(
        "DROP INDEX stream_events_number; ALTER TABLE stream_events DROP COLUMN number",
    )
    .unwrap();
    old.close().unwrap();
    sandbox.ok(&["plans"]);
    assert_eq!(rows(&open(&sandbox)), numbered);
}

#[test]
fn forks_of_version_1_share_their_ids_afterwards() {
    let sandbox = old_project();
    let old = open(&sandbox);
    assert_ne!(ids(&old, "contexts", "main"), ids(&old, "contexts", "side"));
    sandbox.ok(&["plans"]);
    let new = open(&sandbox);
    for table in ["contexts", "pending_changes"] {
        let main = ids(&new, table, "main");
        assert!(!main.is_empty());
        assert_eq!(main, ids(&new, table, "side"), "{table}");
    }
    let of_main = ids(&new, "convo_messages", "main");
    assert_eq!(
        of_main,
        ids(&new, "convo_messages", "side")[..of_main.len()]
    );
    assert_eq!(
        ids(&new, "convo_messages", "side"),
        ids(&new, "convo_messages", "twig")
    );
    assert_eq!(ids(&new, "contexts", "main"), ids(&new, "contexts", "twig"));
}

#[test]
fn a_project_of_version_1_goes_on() {
    let sandbox = old_project();
    let left = sandbox.ok(&["build", "--branch", "side"]);
    assert!(left.text().contains("c.txt"), "{}", left.text());
    sandbox.ok(&["load", "b.txt", "--branch", "main"]);
    sandbox.ok(&["apply", "--yes", "--branch", "main"]);
    sandbox.ok(&["checkout", "main"]);
    sandbox.ok(&["checkout", "-b", "fresh"]);
    sandbox.ok(&["log"]);
    sandbox.ok(&["convo"]);
    sandbox.ok(&["doctor"]);
    check_mirrors_of(&sandbox);
    trees::check_branch(&sandbox, "main", trees::OLD);
    trees::check_branch(&sandbox, "fresh", "forked after");
}

fn check_mirrors_of(sandbox: &Sandbox) {
    for (repo, branch) in heads(sandbox) {
        let name = format!("refs/heads/{}", branch.id);
        let shown = git(sandbox, &repo, &["rev-parse", &name]).ok().stdout;
        assert_eq!(Some(shown.trim()), branch.head.as_deref());
    }
}

#[test]
fn killed_anywhere_it_is_the_old_one_or_the_new_one() {
    let sandbox = old_project();
    let old = sandbox.dump();
    let version = |sandbox: &Sandbox| -> i64 {
        let sql = "PRAGMA user_version";
        open(sandbox).query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut kills = 0;
    // Bounded: each kill is one crash point further on.
    for at in 1..100 {
        if killed_at(&sandbox, &["plans"], at).is_none() {
            break;
        }
        kills += 1;
        if version(&sandbox) == 1 {
            assert_eq!(sandbox.dump(), old, "killed at {at}");
        } else {
            break;
        }
    }
    assert!(kills > 15, "a kill for each table: {kills}");
    assert_eq!(version(&sandbox), 2);
    check_sound(&sandbox, "after the kills");
    sandbox.ok(&["plans"]);
}
