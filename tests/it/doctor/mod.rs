//! Doctor from outside: every damage is made for real, and then found, explained, mended or
//! honestly left, and gone afterwards.
//!
//! One table. A row is a damage; [`examine`] does to each what a person would: look, look closer,
//! ask what a repair would do, repair, look again, and go on working.

mod by_hand;
mod crowd;
mod locks;
mod machine;
mod request;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Background, Outcome, Sandbox};

/// A damage.
struct Damage {
    /// Its issue's type.
    kind: &'static str,
    severity: &'static str,
    /// Types of issues that come with it.
    with: &'static [&'static str],
    /// Makes it; `None` where this machine cannot, after saying so.
    make: for<'s> fn(&'s Sandbox) -> Option<Cause<'s>>,
    /// Words of the description, the evidence or the suggestion: they name the thing.
    names: &'static [&'static str],
    end: End,
}

/// How it ends.
enum End {
    /// `--fix` mends it, and says so in these words.
    Fixed(&'static [&'static str]),
    /// `--fix` leaves it; the suggestion holds these words, and this does what they say.
    Left(&'static [&'static str], fn(&Sandbox, Cause<'_>)),
}

/// What lives as long as the damage.
#[derive(Default)]
struct Cause<'s> {
    processes: Vec<Background<'s>>,
    connection: Option<rusqlite::Connection>,
    disk: Option<crate::disk::Small<'s>>,
    /// Files that a repair must leave as they are, beside the database.
    is_busy: bool,
}

impl Cause<'_> {
    /// Of a damage that nobody alive makes.
    fn none() -> Self {
        Self::default()
    }
}

/// What a project and its state are on the disk: mode, length and content of each file. Of what
/// SQLite keeps for its processes nothing, and of living ones neither what they write.
fn footprint(sandbox: &Sandbox, is_busy: bool) -> BTreeMap<PathBuf, (u32, u64, String)> {
    use std::os::unix::fs::MetadataExt as _;
    fn walk(dir: &Path, is_busy: bool, found: &mut BTreeMap<PathBuf, (u32, u64, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_database = name.starts_with("plandex.db");
            // A log without a byte in it is what SQLite opens it with.
            let is_empty_log = name == "plandex.db-wal" && meta.len() == 0;
            if is_empty_log
                || name == "plandex.db-shm"
                || (is_busy && is_database)
                || name == "ballast"
            {
                continue;
            }
            if meta.is_dir() {
                walk(&path, is_busy, found);
            }
            let content = if meta.is_file() && !is_busy {
                plandex::platform::digest::sha256_hex(&std::fs::read(&path).unwrap_or_default())
            } else {
                String::new()
            };
            let length = if meta.is_dir() { 0 } else { meta.len() };
            found.insert(path, (meta.mode(), length, content));
        }
    }
    let mut found = BTreeMap::new();
    walk(sandbox.root(), is_busy, &mut found);
    found
}

/// Runs `plandex doctor ARGS… --json`; its exit code agrees with what it says, and its document is
/// one of the library's own type.
#[track_caller]
fn report(sandbox: &Sandbox, args: &[&str]) -> (Outcome, Value) {
    let run = sandbox.plandex(["doctor", "--json"]);
    check_report(run.args(args).finish())
}

#[track_caller]
fn check_report(outcome: Outcome) -> (Outcome, Value) {
    let document = outcome.json();
    let is_healthy = document["healthy"].as_bool().unwrap();
    assert_eq!(outcome.code, Some(i32::from(!is_healthy)), "{outcome}");
    let grave = |issue: &Value| issue["severity"] != "info";
    let issues = document["issues"].as_array().unwrap();
    assert_eq!(is_healthy, !issues.iter().any(grave), "{outcome}");
    let read: plandex::doctor::Report = serde_json::from_value(document.clone()).unwrap();
    let mut written = serde_json::to_value(read).unwrap();
    written["schemaVersion"] = document["schemaVersion"].clone();
    assert_eq!(written, document, "both ways");
    assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    (outcome, document)
}

fn kinds(document: &Value) -> Vec<&str> {
    let issues = document["issues"].as_array().unwrap();
    issues
        .iter()
        .map(|issue| issue["type"].as_str().unwrap())
        .collect()
}

fn issue_of<'d>(document: &'d Value, kind: &str) -> Option<&'d Value> {
    let mut issues = document["issues"].as_array().unwrap().iter();
    issues.find(|issue| issue["type"] == kind)
}

/// Nothing is wrong, and nothing is remarked upon.
#[track_caller]
fn clean(sandbox: &Sandbox) {
    let (outcome, document) = report(sandbox, &[]);
    assert_eq!(kinds(&document), [""; 0], "{outcome}");
    outcome.ok();
    let quiet = sandbox.run(&["doctor", "-q"]);
    assert_eq!(quiet.stdout, "", "{quiet}");
    quiet.ok();
}

/// A project with a plan, a file that it was shown, and a pending change.
fn project(limit: Duration) -> Sandbox {
    let sandbox = Sandbox::with_limit(limit);
    furnish(&sandbox);
    sandbox
}

fn furnish(sandbox: &Sandbox) {
    sandbox.write("a.txt", "one\ntwo\n");
    sandbox.ok(&["new", "-n", "work"]);
    sandbox.ok(&["load", "a.txt"]);
    sandbox.ok(&["tell", crate::crash_points::TWO_FILES]);
}

/// Everything goes on.
#[track_caller]
fn goes_on(sandbox: &Sandbox) {
    sandbox.ok(&["tell", &crate::queue::edit("later.txt", "later")]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(sandbox.read("later.txt"), "later\n");
    clean(sandbox);
}

#[track_caller]
fn examine(damage: &Damage) {
    let sandbox = project(Duration::from_secs(150));
    let Some(cause) = (damage.make)(&sandbox) else {
        return;
    };
    let before = footprint(&sandbox, cause.is_busy);
    let found = is_explained(&sandbox, damage);
    is_planned(&sandbox, damage, &found);
    let after = footprint(&sandbox, cause.is_busy);
    let mut paths: Vec<_> = before.keys().chain(after.keys()).collect();
    paths.retain(|path| before.get(*path) != after.get(*path));
    assert!(paths.is_empty(), "it only looked, and changed {paths:?}");

    let (outcome, fixed) = report(&sandbox, &["--fix"]);
    match damage.end {
        End::Fixed(words) => {
            let done = fixed["fixedIssues"].to_string();
            for words in words {
                assert!(
                    done.contains(words),
                    "{words:?} is not in {done}\n{outcome}"
                );
            }
            assert_eq!(outcome.code, Some(0), "{outcome}");
            clean(&sandbox);
            // Who made it and lives goes now, and leaves what the dead leave.
            drop(cause);
            sandbox.ok(&["doctor", "--fix"]);
        }
        End::Left(next, cure) => {
            let left = issue_of(&fixed, damage.kind);
            let left = left.unwrap_or_else(|| panic!("it is gone\n{outcome}"));
            let suggestion = left["suggestion"].as_str().unwrap();
            for words in next {
                assert!(
                    suggestion.contains(words),
                    "{words:?} is not in {suggestion}"
                );
            }
            cure(&sandbox, cause);
        }
    }
    clean(&sandbox);
    goes_on(&sandbox);
}

/// It is found, named, and nothing else is; returns what doctor says.
#[track_caller]
fn is_explained(sandbox: &Sandbox, damage: &Damage) -> Value {
    let (outcome, found) = report(sandbox, &[]);
    let issue = issue_of(&found, damage.kind).unwrap_or_else(|| panic!("not found\n{outcome}"));
    assert_eq!(issue["severity"], damage.severity, "{outcome}");
    for kind in kinds(&found) {
        let is_known = kind == damage.kind || damage.with.contains(&kind);
        assert!(is_known, "{kind} is found, too\n{outcome}");
    }
    let told = issue.to_string();
    for words in damage.names {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    for field in ["description", "suggestion", "evidence"] {
        let text = issue[field].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "no {field}\n{outcome}");
    }
    found
}

/// What would be done is told, with the evidence, and not done.
#[track_caller]
fn is_planned(sandbox: &Sandbox, damage: &Damage, found: &Value) {
    let code = i32::from(found["healthy"] == false);
    let (_, dry) = report(sandbox, &["--dry-run"]);
    assert_eq!(kinds(&dry), kinds(found));
    assert_eq!(dry["fixedIssues"], serde_json::json!([]));
    let text = sandbox.run(&["doctor", "--dry-run"]).exits(code).stdout;
    let verbose = sandbox.run(&["doctor", "--verbose"]).exits(code).stdout;
    let quiet = sandbox.run(&["doctor", "-q"]).exits(code).stdout;
    let issue = issue_of(found, damage.kind).unwrap();
    let plan = match issue["action"].as_str() {
        Some(action) => format!("--fix would: {action}"),
        None => "--fix leaves it alone".to_owned(),
    };
    for shown in [&text, &verbose] {
        assert!(shown.contains(&plan), "{plan:?}\n{shown}");
        assert!(shown.contains("    seen: "), "{shown}");
    }
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(!quiet.contains('\u{2713}') && !quiet.is_empty(), "{quiet}");
}

/// A test for each row, and all rows.
macro_rules! table {
    ($($name:ident: $damage:expr;)+) => {
        $(#[test]
        fn $name() {
            examine(&$damage);
        })+

        fn table() -> Vec<Damage> {
            vec![$($damage),+]
        }
    };
}

table! {
    stale_lock: locks::STALE;
    orphaned_lock: locks::ORPHANED;
    lock_of_a_killed_tell: locks::KILLED_TELL;
    heartbeat_missed: locks::HEARTBEAT_MISSED;
    long_running_operation: locks::LONG_RUNNING;
    queue_backlog: locks::BACKLOG;
    status_stuck: locks::STATUS_STUCK;
    interrupted_apply: locks::INTERRUPTED_APPLY;
    high_memory: machine::HIGH_MEMORY;
    disk_space: machine::DISK_SPACE;
    file_system_modes: machine::MODES;
    file_system_missing_directory: machine::MISSING_DIRECTORY;
    database_with_a_corrupt_page: state::CORRUPT_PAGE;
    database_with_a_foreign_header: state::FOREIGN_HEADER;
    database_missing: state::MISSING;
    database_empty: state::EMPTY;
    database_newer: state::NEWER;
    database_held_by_another_program: state::HELD;
    schema_without_an_index: state::NO_INDEX;
    schema_without_a_table: state::NO_TABLE;
    wal_size: state::LONG_WAL;
    git_object_truncated: state::TRUNCATED_OBJECT;
    repository_missing: state::NO_REPOSITORY;
    ref_that_shows_something_else: state::WRONG_REF;
    ref_missing: state::NO_REF;
    leftovers_of_the_dead: state::LEFTOVERS;
    leftovers_in_a_repository: state::LEFT_IN_REPOSITORY;
}

/// DESIGN.md 9's types, each with a row.
#[test]
fn every_type_is_made_for_real() {
    let table = table();
    for kind in [
        "stale_lock",
        "orphaned_lock",
        "heartbeat_missed",
        "long_running_operation",
        "queue_backlog",
        "high_memory",
        "db_connection",
        "interrupted_apply",
        "repository_damaged",
        "ref_mismatch",
        "status_stuck",
        "leftovers",
        "wal_size",
        "disk_space",
        "file_system",
        "schema",
    ] {
        assert!(table.iter().any(|row| row.kind == kind), "{kind}");
    }
    for severity in ["info", "warning", "error", "critical"] {
        assert!(
            table.iter().any(|row| row.severity == severity),
            "{severity}"
        );
    }
}
