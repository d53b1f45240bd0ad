//! Work that died half way, and the machine it ran on.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};

use super::super::copies;
use super::super::{Kind, Limits, Options, Recovery, Severity, examine_within};
use super::{Sandbox, check, clean, only};
use crate::platform::clock;
use crate::platform::file_lock::DirLock;
use crate::project::{Project, Turn};
use crate::store::applies::{self, Apply, State};
use crate::store::branches::Status;
use crate::store::tickets::{Permit as _, WritePermit};

#[test]
fn a_status_that_nothing_backs() {
    let sandbox = Sandbox::new();
    sandbox.leave_replying();
    let report = sandbox.examine();
    let issue = only(&report, Kind::StatusStuck, Severity::Warning);
    assert!(issue.description.contains("says replying"), "{issue:?}");
    assert_eq!(sandbox.fix(&report).done, ["branch main is interrupted"]);
    assert_eq!(sandbox.branch().status, Status::Interrupted);
    clean(&sandbox.examine());
}

#[test]
fn a_status_that_a_living_run_backs() {
    let sandbox = Sandbox::new();
    sandbox.leave_replying();
    let living = super::Living::new(&sandbox);
    sandbox.ticket(&living.row, crate::store::tickets::Scope::Write);
    clean(&sandbox.examine());
    drop(living);
    let report = sandbox.examine();
    let kinds: Vec<Kind> = report.issues.iter().map(|issue| issue.kind).collect();
    assert_eq!(kinds, [Kind::OrphanedLock, Kind::StatusStuck]);
    // The lock goes first, or the turn could not be taken.
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (2, 0), "{fixed:?}");
    // What is left of it is a free owner file.
    let report = sandbox.examine();
    only(&report, Kind::Leftovers, Severity::Info);
    sandbox.fix(&report);
    clean(&sandbox.examine());
}

/// Opens a journal as an apply does, whose process then dies.
fn leave_open_apply(sandbox: &Sandbox) {
    let branch_id = sandbox.branch().id;
    sandbox
        .write(move |permit, turn| {
            let apply = Apply {
                id: crate::store::new_id(),
                plan_id: turn.plan_id.to_owned(),
                branch_id,
                ticket: permit.proof().ticket(),
                state: State::Open,
                created_at: clock::wall_ms() - 90_000,
                undoes: None,
            };
            let store = &turn.project.store;
            store.write(permit, |tx| applies::open(tx, &apply, &[]))
        })
        .unwrap();
}

/// What the room that applies does: the files first, under the apply lock.
fn undo_files(project: &Project) -> Result<Vec<String>> {
    let lock = DirLock::try_take(&project.root)?.context("somebody applies")?;
    let open = project
        .store
        .read(|tx| applies::standing(tx, &[State::Open]))?;
    for apply in &open {
        project.store.journal(&lock, |tx| {
            applies::decide(tx, &apply.id, State::FilesUndone, &[])
        })?;
    }
    Ok(vec![format!("undid the files of {} apply", open.len())])
}

/// And the rows after, under the plan's write ticket.
pub(super) fn settle_applies(turn: &Turn<'_>, permit: &WritePermit) -> Result<Vec<String>> {
    let store = &turn.project.store;
    let undone = store.read(|tx| applies::standing(tx, &[State::FilesUndone]))?;
    let mut lines = Vec::new();
    for apply in undone.iter().filter(|apply| apply.plan_id == turn.plan_id) {
        store.write(permit, |tx| applies::finish(tx, &apply.id, State::Undone))?;
        lines.push("the changes stay pending".to_owned());
    }
    Ok(lines)
}

#[test]
fn an_interrupted_apply_is_recovered_files_first() {
    let sandbox = Sandbox::new();
    leave_open_apply(&sandbox);
    let report = sandbox.examine();
    let issue = only(&report, Kind::InterruptedApply, Severity::Error);
    let says = "an apply of 1 minute 30 seconds ago died while it wrote files of the project";
    assert!(issue.description.contains(says), "{issue:?}");
    // Without anybody who knows how, it is left.
    let left = sandbox.fix(&report);
    assert_eq!((left.done, left.left), (Vec::new(), Vec::new()));
    only(&sandbox.examine(), Kind::InterruptedApply, Severity::Error);
    let fixed = sandbox.fix_with(&report, &[undo_files]);
    assert_eq!(fixed.left, [""; 0]);
    assert_eq!(
        fixed.done,
        ["undid the files of 1 apply", "the changes stay pending"]
    );
    clean(&sandbox.examine());
}

#[test]
fn the_database_is_copied_before_data_is_changed_and_the_newest_copies_are_kept() {
    let sandbox = Sandbox::new();
    let mut made = Vec::new();
    for _ in 0..copies::KEPT + 2 {
        sandbox.leave_replying();
        let fixed = sandbox.fix(&sandbox.examine());
        assert_eq!(fixed.done, ["branch main is interrupted"]);
        made.push(fixed.copy.unwrap());
    }
    made.reverse();
    made.truncate(copies::KEPT);
    assert_eq!(copies::found(sandbox.store().dir()).unwrap(), made);
    let copy = rusqlite::Connection::open(&made[0]).unwrap();
    let sql = "SELECT status FROM branches";
    let status: String = copy.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(status, "replying", "as it was before");
    clean(&sandbox.examine());
    // Locks and refs are no data.
    let fixed = sandbox.fix(&sandbox.examine());
    assert_eq!(fixed.copy, None);
}

#[test]
fn a_recovery_that_fails_is_told_and_stops_nothing() {
    let sandbox = Sandbox::new();
    leave_open_apply(&sandbox);
    sandbox.leave_replying();
    let report = sandbox.examine();
    let fails: Recovery = |_| anyhow::bail!("the disk is gone");
    let fixed = sandbox.fix_with(&report, &[fails]);
    assert_eq!(fixed.left, ["recovering an apply: the disk is gone"]);
    assert_eq!(fixed.done, ["branch main is interrupted"]);
}

#[test]
fn permissions_and_layout_are_put_right() {
    let sandbox = Sandbox::new();
    let mode = |name: &str| {
        let meta = std::fs::metadata(sandbox.path(name)).unwrap();
        meta.permissions().mode() & 0o777
    };
    let open_up = |name: &str, mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(sandbox.path(name), mode).unwrap();
    };
    open_up("", 0o755);
    open_up("plandex.db", 0o644);
    std::fs::remove_dir(sandbox.path("apply")).unwrap();
    let report = sandbox.examine();
    let issue = only(&report, Kind::FileSystem, Severity::Warning);
    assert!(
        issue
            .evidence
            .as_ref()
            .unwrap()
            .contains("apply is missing"),
        "{issue:?}"
    );
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (3, 0), "{fixed:?}");
    assert_eq!(
        (mode(""), mode("plandex.db"), mode("apply")),
        (0o700, 0o600, 0o700)
    );
    clean(&sandbox.examine());
}

#[test]
fn a_disk_that_is_nearly_full() {
    let sandbox = Sandbox::new();
    let with = |free: (u64, u64)| {
        let limits = Limits {
            free,
            ..Limits::default()
        };
        examine_within(&sandbox.place, &Options::default(), limits).unwrap()
    };
    let report = with((u64::MAX, 0));
    assert!(
        report.issues.iter().all(|i| i.kind == Kind::DiskSpace),
        "{report:?}"
    );
    assert_eq!(report.issues[0].severity, Severity::Warning);
    let report = with((u64::MAX, u64::MAX));
    assert_eq!(report.issues[0].severity, Severity::Error);
    assert!(
        check(&sandbox.examine(), "Disk Space")
            .message
            .ends_with("MB free")
    );
}
