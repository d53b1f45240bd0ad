//! The database: missing, empty, foreign, damaged, newer, held, long, half a schema.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use super::super::{CheckState, Kind, Options, Report, Severity, examine};
use super::{Sandbox, check, clean, holding, only, put};

/// The one issue, which is the database's.
#[track_caller]
fn unusable(report: &Report, says: &str) {
    let issue = only(report, Kind::DbConnection, Severity::Critical);
    assert!(issue.description.contains(says), "{issue:?}");
    assert_eq!(issue.action, None, "never mended by guessing");
}

/// Overwrites the database from `offset` on, while nobody has it open.
fn overwrite(sandbox: &Sandbox, offset: u64, bytes: &[u8]) {
    let mut file = File::options()
        .write(true)
        .open(sandbox.path("plandex.db"))
        .unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Moves everything from the log into the database file, so that damage to it counts.
fn settle(sandbox: &Sandbox) {
    sandbox.store().checkpoint().unwrap();
}

#[test]
fn missing() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.path("plandex.db")).unwrap();
    let report = sandbox.examine();
    unusable(&report, "there is no plandex project");
    assert!(
        !sandbox.path("plandex.db").exists(),
        "it was made by looking"
    );
    assert_eq!(check(&report, "Locks").status, CheckState::Warning);
    assert_eq!(report.metrics, None);
}

#[test]
fn empty() {
    let sandbox = Sandbox::new();
    put(&sandbox.path("plandex.db"), b"");
    std::fs::remove_dir_all(sandbox.repo()).unwrap();
    unusable(&sandbox.examine(), "empty");
    let length = std::fs::metadata(sandbox.path("plandex.db")).unwrap().len();
    assert_eq!(length, 0, "it was filled by looking");
}

#[test]
fn not_a_database() {
    let sandbox = Sandbox::new();
    settle(&sandbox);
    overwrite(
        &sandbox,
        0,
        b"This is no database at all, and was never one.",
    );
    unusable(&sandbox.examine(), "is damaged");
}

#[test]
fn a_zeroed_page() {
    let sandbox = Sandbox::new();
    settle(&sandbox);
    clean(&sandbox.examine());
    let pages = std::fs::metadata(sandbox.path("plandex.db")).unwrap().len() / 4096;
    let mut file = File::open(sandbox.path("plandex.db")).unwrap();
    let mut whole = Vec::new();
    file.read_to_end(&mut whole).unwrap();
    drop(file);
    assert!(pages > 10);
    for page in 1..pages {
        overwrite(&sandbox, page * 4096, &[0; 4096]);
        let report = sandbox.examine();
        let first = report
            .issues
            .first()
            .unwrap_or_else(|| panic!("page {page} passed"));
        assert_eq!(first.kind, Kind::DbConnection, "page {page}: {first:?}");
        assert_eq!(first.severity, Severity::Critical);
        assert!(!report.healthy);
        // `--fix` changes nothing of it.
        assert_eq!(first.action, None);
        overwrite(&sandbox, 0, &whole);
    }
    clean(&sandbox.examine());
}

/// HAZARDS.md H38: whatever is done to the file, doctor says something and never falls over.
#[test]
fn random_damage_is_survived() {
    let sandbox = Sandbox::new();
    settle(&sandbox);
    let mut whole = Vec::new();
    let mut file = File::open(sandbox.path("plandex.db")).unwrap();
    file.read_to_end(&mut whole).unwrap();
    drop(file);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    for round in 0..80 {
        let mut damaged = whole.clone();
        match round % 3 {
            0 => damaged.truncate(next(whole.len())),
            1 => {
                let at = next(whole.len());
                let end = (at + 1 + next(4096)).min(whole.len());
                damaged[at..end].fill(0);
            }
            _ => {
                for _ in 0..8 {
                    let at = next(whole.len());
                    damaged[at] ^= 1 << next(8);
                }
            }
        }
        put(&sandbox.path("plandex.db"), &damaged);
        let report = sandbox.examine();
        assert!(!report.checks.is_empty());
        assert_eq!(
            report.healthy,
            report
                .issues
                .iter()
                .all(|issue| issue.severity == Severity::Info)
        );
    }
    put(&sandbox.path("plandex.db"), &whole);
    clean(&sandbox.examine());
}

#[test]
fn newer() {
    let sandbox = Sandbox::new();
    sandbox.sql("PRAGMA user_version = 4711");
    unusable(&sandbox.examine(), "was written by a newer plandex");
    let asked = Options {
        plan: Some("demo".to_owned()),
        ..Options::default()
    };
    unusable(&examine(&sandbox.place, &asked).unwrap(), "newer");
}

#[test]
fn held_for_writing_from_outside() {
    let sandbox = Sandbox::new();
    let outside = rusqlite::Connection::open(sandbox.path("plandex.db")).unwrap();
    outside.execute_batch("BEGIN IMMEDIATE").unwrap();
    let report = sandbox.examine();
    unusable(&report, "busy");
    // Everything that is only read is looked at all the same.
    assert_eq!(
        check(&report, "Plan Repositories").message,
        "1 plan looked at"
    );
    outside.execute_batch("ROLLBACK").unwrap();
    clean(&sandbox.examine());
}

#[test]
fn held_against_everybody() {
    let sandbox = Sandbox::new();
    let outside = rusqlite::Connection::open(sandbox.path("plandex.db")).unwrap();
    outside
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE x (y)")
        .unwrap();
    unusable(&sandbox.examine(), "busy");
    drop(outside);
    clean(&sandbox.examine());
}

#[test]
fn the_gate_cannot_be_opened() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.path("write.lock")).unwrap();
    std::fs::create_dir(sandbox.path("write.lock")).unwrap();
    unusable(&sandbox.examine(), "write.lock");
}

#[test]
fn a_part_of_the_schema_is_gone() {
    let sandbox = Sandbox::new();
    sandbox.sql("DROP INDEX repo_locks_parent; ALTER TABLE branches DROP COLUMN error");
    let report = sandbox.examine();
    let issue = report
        .issues
        .iter()
        .find(|issue| issue.kind == Kind::Schema)
        .unwrap();
    assert_eq!(issue.severity, Severity::Error);
    let evidence = issue.evidence.as_deref().unwrap();
    assert!(
        evidence.contains("index repo_locks_parent is missing"),
        "{evidence}"
    );
    assert!(
        evidence.contains("column branches.error is missing"),
        "{evidence}"
    );
}

#[test]
fn what_hangs_on_tables_is_made_again() {
    let sandbox = Sandbox::new();
    sandbox.sql("DROP INDEX repo_locks_parent; DROP VIEW active_locks; DROP TRIGGER convo_messages_are_final");
    let report = sandbox.examine();
    only(&report, Kind::Schema, Severity::Error);
    let fixed = sandbox.fix(&report);
    assert_eq!(fixed.left, [""; 0]);
    assert_eq!(
        fixed.done,
        [
            "made the database's index repo_locks_parent again",
            "made the database's trigger convo_messages_are_final again",
            "made the database's view active_locks again",
        ]
    );
    assert!(fixed.copy.is_some());
    clean(&sandbox.examine());
}

#[test]
fn a_damaged_database_is_not_written_to_by_any_repair() {
    let sandbox = Sandbox::new();
    sandbox.leave_replying();
    settle(&sandbox);
    let mut whole = Vec::new();
    let mut file = File::open(sandbox.path("plandex.db")).unwrap();
    file.read_to_end(&mut whole).unwrap();
    drop(file);
    let mut both = 0;
    for page in 1..whole.len() / 1024 {
        let at = page as u64 * 1024;
        overwrite(&sandbox, at, &[0xA5; 1024]);
        let report = sandbox.examine();
        let found = |kind| report.issues.iter().any(|issue| issue.kind == kind);
        if found(Kind::DbConnection) {
            assert!(!report.is_fixable(), "page {page}: {report:?}");
            both += usize::from(found(Kind::StatusStuck));
        }
        overwrite(&sandbox, 0, &whole);
    }
    assert!(both > 0, "none of it leaves what else is wrong to be seen");
}

#[test]
fn a_lease_that_no_heartbeat_can_keep() {
    let sandbox = Sandbox::new();
    sandbox.sql("UPDATE settings SET value = '4000' WHERE name = 'lock.lease'");
    let report = sandbox.examine();
    only(&report, Kind::Schema, Severity::Warning);
}

#[test]
fn a_long_log_is_moved_into_the_database() {
    let sandbox = Sandbox::new();
    let outside = rusqlite::Connection::open(sandbox.path("plandex.db")).unwrap();
    outside
        .pragma_update(None, "wal_autocheckpoint", 0)
        .unwrap();
    outside
        .set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            true,
        )
        .unwrap();
    let put =
        "INSERT OR REPLACE INTO settings (name, value) VALUES ('ballast', hex(randomblob(?)))";
    outside.execute(put, [9 << 20]).unwrap();
    let report = sandbox.examine();
    only(&report, Kind::WalSize, Severity::Info);
    // Four times as much is a warning.
    for _ in 0..4 {
        outside.execute(put, [9 << 20]).unwrap();
    }
    let report = sandbox.examine();
    only(&report, Kind::WalSize, Severity::Warning);
    let log = || {
        std::fs::metadata(sandbox.path("plandex.db-wal"))
            .unwrap()
            .len()
    };
    let long = log();
    // A reader that needs it keeps it, which is said.
    outside
        .execute_batch("BEGIN; SELECT count(*) FROM settings")
        .unwrap();
    let count = "SELECT count(*) FROM settings";
    outside.query_row(count, [], |_| Ok(())).unwrap();
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (0, 1), "{fixed:?}");
    assert_eq!(log(), long);
    outside.execute_batch("COMMIT").unwrap();
    let fixed = sandbox.fix(&report);
    assert_eq!(fixed.done, ["moved the write-ahead log into the database"]);
    assert_eq!(log(), 0);
    outside
        .execute_batch("DELETE FROM settings WHERE name = 'ballast'")
        .unwrap();
    clean(&sandbox.examine());
}

/// HAZARDS.md H5: another program at the same file may bring an SQLite that corrupts it.
#[test]
fn another_program_at_the_database_is_named() {
    let sandbox = Sandbox::new();
    let mut other = holding(&sandbox.path("plandex.db"));
    let report = sandbox.examine();
    let found = check(&report, "SQLite");
    assert_eq!(found.status, CheckState::Warning);
    let named = format!("pid {}", other.id());
    assert!(found.message.contains(&named), "{}", found.message);
    drop(other.stdin.take());
    other.wait().unwrap();
    let report = sandbox.examine();
    assert_eq!(check(&report, "SQLite").status, CheckState::Ok);
}
