//! `doctor --rebuild`: rows from trees, and a lost database from the repositories.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::trees;
use crate::crash_points::{TWO_FILES, check_sound, project};
use crate::support::Sandbox;

/// Two plans, three branches, something of everything.
fn full() -> Sandbox {
    let sandbox = project();
    sandbox.ok(&["load", "-n", "mind the gap"]);
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["checkout", "-b", "side"]);
    sandbox.ok(&["apply", "--yes"]);
    sandbox.ok(&["rewind"]);
    sandbox.ok(&["checkout", "main"]);
    sandbox.ok(&["new", "-n", "second"]);
    sandbox.ok(&["new", "-n", "gone"]);
    sandbox.ok(&["delete-plan", "-y", "gone"]);
    sandbox.ok(&["cd", "1"]);
    sandbox
}

fn open(sandbox: &Sandbox) -> Connection {
    Connection::open(sandbox.state_dir().join("plandex.db")).unwrap()
}

/// What a rebuild brings back, row by row as text.
pub(super) fn back(sandbox: &Sandbox) -> BTreeSet<String> {
    let connection = open(sandbox);
    let mut found = BTreeSet::new();
    for (table, columns) in [
        (
            "plans",
            "id, name, is_draft, created_at, archived_at, deleted_at, deleted_by",
        ),
        ("branches", "id, plan_id, name, parent_id, head, created_at"),
        ("contexts", "*"),
        ("convo_messages", "*"),
        ("plan_builds", "*"),
        ("pending_changes WHERE state = 'pending'", "*"),
        ("summaries", "*"),
        ("branch_settings", "*"),
    ] {
        let mut select = connection
            .prepare(&format!("SELECT {columns} FROM {table}"))
            .unwrap();
        let count = select.column_count();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<String> = (0..count)
                .map(|at| format!("{:?}", row.get_unwrap::<_, rusqlite::types::Value>(at)))
                .collect();
            found.insert(format!("{table}: {}", values.join(", ")));
        }
    }
    found
}

#[track_caller]
pub(super) fn expect_same(found: &BTreeSet<String>, expected: &BTreeSet<String>, what: &str) {
    let more: Vec<_> = found.difference(expected).collect();
    let less: Vec<_> = expected.difference(found).collect();
    assert!(
        more.is_empty() && less.is_empty(),
        "{what}: more {more:#?}\nless {less:#?}"
    );
}

#[test]
fn rows_that_are_right_are_not_touched() {
    let sandbox = full();
    let before = sandbox.dump();
    let said = sandbox.ok(&["doctor", "--rebuild"]).stdout;
    assert!(said.contains("Nothing to rebuild"), "{said}");
    let without_audit = |dump: &str| -> String {
        let lines = dump
            .lines()
            .filter(|line| !line.starts_with("repo_locks_audit"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(without_audit(&sandbox.dump()), without_audit(&before));
}

#[test]
fn rows_that_are_wrong_are_made_again_and_the_database_is_copied_first() {
    let sandbox = full();
    let before = back(&sandbox);
    let wrong = open(&sandbox);
    wrong
        .execute_batch(
            "DELETE FROM contexts WHERE name = 'mind the gap';
             UPDATE pending_changes SET target_hash = 'x' WHERE path = 'a.txt';
             DELETE FROM convo_messages WHERE number = 2;
             UPDATE plan_builds SET status = 'failed';",
        )
        .unwrap();
    drop(wrong);
    let damaged = back(&sandbox);
    let document = sandbox.ok(&["doctor", "--rebuild", "--json"]).json();
    assert_eq!(document["databaseWasLost"], false);
    let rebuilt = document["rebuilt"].to_string();
    assert!(
        rebuilt.contains("1 context") && rebuilt.contains("1 message"),
        "{rebuilt}"
    );
    expect_same(&back(&sandbox), &before, "rebuilt");
    trees::check(&sandbox, "rebuilt");
    let copy = document["before"].as_str().unwrap();
    let copied = Connection::open(copy).unwrap();
    let count: i64 = copied
        .query_row(
            "SELECT count(*) FROM contexts WHERE name = 'mind the gap'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(count, 0, "the copy is the database as it was");
    assert_ne!(damaged, before);
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    check_sound(&sandbox, "rebuilt");
}

#[test]
fn a_lost_database_comes_back_from_the_repositories() {
    for damage in ["gone", "empty", "no database"] {
        let sandbox = full();
        let before = back(&sandbox);
        let database = sandbox.state_dir().join("plandex.db");
        for ending in ["", "-wal", "-shm"] {
            let path = sandbox.state_dir().join(format!("plandex.db{ending}"));
            std::fs::remove_file(path).ok();
        }
        match damage {
            "gone" => {}
            "empty" => std::fs::write(&database, "").unwrap(),
            _ => std::fs::write(&database, "x".repeat(5000)).unwrap(),
        }
        let refused = sandbox.run(&["plans"]);
        assert_eq!(refused.code, Some(1), "{damage}: {}", refused.text());
        let said = sandbox.ok(&["doctor", "--rebuild"]);
        assert!(
            said.stderr.contains("not in the repositories"),
            "{}",
            said.text()
        );
        expect_same(&back(&sandbox), &before, damage);
        trees::check(&sandbox, damage);
        check_sound(&sandbox, damage);
        let plans = sandbox.ok(&["plans"]).stdout;
        assert!(
            plans.contains("second") && !plans.contains("gone"),
            "{plans}"
        );
        sandbox.ok(&["apply", "--yes", "--plan", "1", "--branch", "main"]);
        sandbox.ok(&["undelete", "gone"]);
        trees::check(&sandbox, "gone on");
    }
}
