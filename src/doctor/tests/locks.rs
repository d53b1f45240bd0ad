//! Locks: of the dead, of the hung, of the slow; and lines that are too long.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::{CheckState, Fixed, Kind, Limits, Options, Severity, examine, examine_within};
use super::{Living, Sandbox, check, clean, only};
use crate::lock::Patience;
use crate::platform::stopping::Stopping;
use crate::store::tickets::{self, Owner, Scope};

#[test]
fn a_row_written_by_hand_is_an_orphan() {
    // SEED.md 7.2.1.
    let sandbox = Sandbox::new();
    let plan = &sandbox.plan.id;
    sandbox.sql(&format!(
        "INSERT INTO repo_locks (plan_id, scope, branch, last_heartbeat_at)
         VALUES ('{plan}', 'w', 'main', unixepoch() * 1000 - 8100 * 1000)"
    ));
    let report = sandbox.examine();
    let issue = only(&report, Kind::OrphanedLock, Severity::Warning);
    assert_eq!(issue.plan_id.as_deref(), Some(plan.as_str()));
    let lock = &report.stale_locks[0];
    assert_eq!(issue.lock_id.as_ref(), Some(&lock.lock_id));
    assert_eq!(
        (lock.plan_name.as_str(), lock.scope.as_str()),
        ("demo", "write")
    );
    assert_eq!(
        (lock.branch.as_deref(), lock.created_at.as_ref()),
        (Some("main"), None)
    );
    assert_eq!(lock.age, "2 hours 15 minutes");
    assert!((8100..8110).contains(&lock.age_seconds));
    assert!(report.active_locks.is_empty());
    assert_eq!(check(&report, "Locks").status, CheckState::Warning);
    let fixed = sandbox.fix(&report);
    assert_eq!((fixed.done.len(), fixed.left.len()), (1, 0), "{fixed:?}");
    clean(&sandbox.examine());
}

#[test]
fn the_next_in_line_is_granted_when_an_orphan_goes() {
    let sandbox = Sandbox::new();
    let dead = Owner {
        id: "nobody".to_owned(),
        ..Owner::default()
    };
    let orphan = sandbox.ticket(&dead, Scope::Write);
    let living = Living::new(&sandbox);
    let next = sandbox.ticket(&living.row, Scope::Write);
    let report = sandbox.examine();
    only(&report, Kind::OrphanedLock, Severity::Warning);
    let fixed = sandbox.fix(&report);
    let done = format!("plan \"demo\": removed lock {orphan} of a dead process");
    assert_eq!(fixed.done, [done]);
    let row = sandbox.store().read(|tx| tickets::by_id(tx, next)).unwrap();
    assert_eq!(row.unwrap().state, tickets::State::Granted);
}

#[test]
fn an_orphan_that_came_back_to_life_is_left_alone() {
    let sandbox = Sandbox::new();
    let owner = {
        // It is dead for as long as its file is free.
        let living = Living::new(&sandbox);
        living.row.clone()
    };
    let ticket = sandbox.ticket(&owner, Scope::Read);
    let report = sandbox.examine();
    only(&report, Kind::OrphanedLock, Severity::Warning);
    let file = crate::platform::file::open_private(&sandbox.path("owners").join(&owner.id));
    let file = file.unwrap();
    crate::platform::file_lock::exclusive(&file).unwrap();
    assert_eq!(sandbox.fix(&report), Fixed::default());
    assert_eq!(sandbox.tickets(), [ticket]);
    clean(&sandbox.examine());
}

#[test]
fn the_lock_of_a_deleted_plan_is_an_orphan() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    let ticket = sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("UPDATE plans SET deleted_at = 1");
    // The deletion's own ticket looks just so for a moment.
    clean(&sandbox.examine());
    sandbox.sql("UPDATE repo_locks SET granted_at = granted_at - 61000");
    let report = sandbox.examine();
    let issue = only(&report, Kind::OrphanedLock, Severity::Warning);
    assert!(issue.description.contains("its plan is gone"), "{issue:?}");
    // Its owner lives: nobody but that process may end it.
    assert_eq!(issue.action, None);
    assert_eq!(sandbox.fix(&report), Fixed::default());
    assert_eq!(sandbox.tickets(), [ticket]);
}

/// A short lease, so that the grace between the two looks is short.
fn with_short_lease(sandbox: &Sandbox) {
    sandbox.sql(
        "UPDATE settings SET value = '90' WHERE name = 'lock.heartbeat';
         UPDATE settings SET value = '450' WHERE name = 'lock.lease'",
    );
}

const EXPIRE: &str = "UPDATE repo_locks SET lease_stamp = lease_stamp - 61000,
    last_heartbeat_at = last_heartbeat_at - 61000, granted_at = granted_at - 61000";

#[test]
fn the_lock_of_a_hung_owner_is_stale_and_replaced() {
    let sandbox = Sandbox::new();
    with_short_lease(&sandbox);
    let hung = Living::new(&sandbox);
    let ticket = sandbox.ticket(&hung.row, Scope::Write);
    sandbox.sql(EXPIRE);
    let report = sandbox.examine();
    let issue = only(&report, Kind::StaleLock, Severity::Warning);
    assert_eq!(issue.lock_id.as_deref(), Some(ticket.to_string().as_str()));
    assert_eq!(report.stale_locks.len(), 1);
    assert!((61..70).contains(&report.stale_locks[0].age_seconds));
    assert!(report.active_locks.is_empty());
    let fixed = sandbox.fix(&report);
    let done = format!("plan \"demo\": lock {ticket} was expired and is removed");
    assert_eq!((fixed.done, fixed.left.len()), (vec![done], 0));
    assert_eq!(sandbox.tickets(), [0; 0]);
    let store = sandbox.store();
    let last = store.read(|tx| crate::store::audit::history(tx, &sandbox.plan.id, 1));
    let last = last.unwrap();
    assert_eq!(last[0].outcome.as_deref(), Some("lease expired"));
}

/// Whoever kept it from looking in time has proved nothing about the owner.
#[test]
fn a_look_that_others_delay_is_made_again() {
    let sandbox = Sandbox::new();
    with_short_lease(&sandbox);
    let hung = Living::new(&sandbox);
    sandbox.ticket(&hung.row, Scope::Write);
    sandbox.sql(EXPIRE);
    let report = sandbox.examine();
    let store = sandbox.store();
    let (entered, is_in) = crossbeam_channel::bounded::<()>(1);
    let fixed = std::thread::scope(|scope| {
        scope.spawn(|| {
            let kept = store.tickets(Duration::from_secs(5), |_| {
                entered.send(()).unwrap();
                // Many times as long as a look may be delayed (5 ms here), however slow the other is.
                std::thread::sleep(Duration::from_millis(500));
                Ok(())
            });
            kept.unwrap();
        });
        is_in.recv().unwrap();
        sandbox.fix(&report)
    });
    assert_eq!((fixed.done.len(), fixed.left.len()), (1, 0), "{fixed:?}");
    assert_eq!(sandbox.tickets(), [0; 0]);
}

/// No fence reaches an arbitrary program: what a hung `exec` started is killed before the next
/// one is granted, and where it cannot be seen the lock stays.
#[test]
fn what_a_hung_command_started_is_killed_first() {
    use std::os::unix::process::ExitStatusExt as _;
    let sandbox = Sandbox::new();
    with_short_lease(&sandbox);
    let mut hung = Living::new(&sandbox);
    // The children of the owner's process are what it started, and this process has those of
    // other tests.
    let mut wrapper = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap();
    hung.row.pid = wrapper.id();
    hung.row.process_start = crate::platform::process::stat(wrapper.id())
        .unwrap()
        .start_ticks;
    // A command has the file as its owner does.
    let owner = sandbox.path("owners").join(&hung.row.id);
    let owner = crate::platform::file::open_private(&owner).unwrap();
    let mut started = std::process::Command::new("sleep");
    let mut started = started.arg("1000").stdin(owner).spawn().unwrap();
    let ticket = sandbox.ticket(&hung.row, Scope::Write);
    sandbox.sql(EXPIRE);
    sandbox.sql("UPDATE repo_locks SET reason = 'exec', pid_ns = pid_ns + 1");
    let report = sandbox.examine();
    only(&report, Kind::StaleLock, Severity::Warning);
    let fixed = sandbox.fix(&report);
    assert!(fixed.left[0].contains("stays"), "{fixed:?}");
    assert_eq!((fixed.done.len(), sandbox.tickets()), (0, vec![ticket]));
    assert!(started.try_wait().unwrap().is_none());
    sandbox.sql("UPDATE repo_locks SET pid_ns = pid_ns - 1");
    assert_eq!(sandbox.fix(&report).done.len(), 1);
    assert_eq!(started.wait().unwrap().signal(), Some(9));
    assert!(
        wrapper.try_wait().unwrap().is_none(),
        "the owner itself lives"
    );
    wrapper.kill().unwrap();
    wrapper.wait().unwrap();
    assert_eq!(sandbox.tickets(), [0; 0]);
}

#[test]
fn a_condemned_lock_is_taken_up_where_it_was_left() {
    let sandbox = Sandbox::new();
    let hung = Living::new(&sandbox);
    sandbox.ticket(&hung.row, Scope::Write);
    sandbox.sql("UPDATE repo_locks SET state = 'condemned'");
    let report = sandbox.examine();
    only(&report, Kind::StaleLock, Severity::Warning);
    assert_eq!(sandbox.fix(&report).done.len(), 1);
    assert_eq!(sandbox.tickets(), [0; 0]);
}

#[test]
fn a_hung_owner_that_wakes_up_is_left_alone() {
    let sandbox = Sandbox::new();
    let hung = Living::new(&sandbox);
    let ticket = sandbox.ticket(&hung.row, Scope::Write);
    sandbox.sql(EXPIRE);
    let report = sandbox.examine();
    only(&report, Kind::StaleLock, Severity::Warning);
    // It beats from now on, before the first look, between the two, or both.
    let (store, done) = (sandbox.store(), AtomicBool::new(false));
    let fixed = std::thread::scope(|scope| {
        let _stopping = Stopping(&done);
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let patience = Duration::from_secs(5);
                let beaten =
                    store.tickets(patience, |tx| tickets::beat(tx, &hung.row.id, &[ticket]));
                beaten.unwrap();
            }
        });
        sandbox.fix(&report)
    });
    assert_eq!(fixed.done, [""; 0]);
    assert!(
        fixed.left[0].contains("its process has renewed it"),
        "{fixed:?}"
    );
    assert_eq!(sandbox.tickets(), [ticket]);
    clean(&sandbox.examine());
}

#[test]
fn a_late_heartbeat_is_worth_knowing() {
    let sandbox = Sandbox::new();
    let slow = Living::new(&sandbox);
    sandbox.ticket(&slow.row, Scope::Write);
    sandbox.sql("UPDATE repo_locks SET lease_stamp = lease_stamp - 7000");
    let report = sandbox.examine();
    only(&report, Kind::HeartbeatMissed, Severity::Info);
    assert_eq!(report.active_locks.len(), 1);
}

#[test]
fn the_wall_clock_decides_nothing() {
    // HAZARDS.md H31: set back or forth by ten days.
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.ticket(&living.row, Scope::Write);
    for days in ["+ 864000000", "- 864000000"] {
        sandbox.sql(&format!(
            "UPDATE repo_locks SET last_heartbeat_at = last_heartbeat_at {days},
                queued_at = queued_at {days}"
        ));
        clean(&sandbox.examine());
    }
    // A stamp of another boot says nothing either: the owner file decides.
    sandbox.sql("UPDATE repo_locks SET boot_id = 'another', lease_stamp = -1000000");
    clean(&sandbox.examine());
}

#[test]
fn an_operation_that_runs_long() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    clean(&sandbox.examine());
    sandbox.sql("UPDATE repo_locks SET granted_at = granted_at - 31 * 60000");
    // Only the clock says so: its process is not that old.
    clean(&sandbox.examine());
    // Of one in another container only the clock can tell.
    sandbox.sql("UPDATE repo_locks SET pid_ns = 0");
    let report = sandbox.examine();
    let issue = only(&report, Kind::LongRunningOperation, Severity::Info);
    let says = "Tell operation by pid";
    assert!(issue.description.contains(says), "{issue:?}");
    assert!(issue.description.ends_with("31 minutes"), "{issue:?}");
}

#[test]
fn an_operation_that_runs_longer_than_its_kind() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("UPDATE repo_locks SET pid_ns = 0, granted_at = granted_at - 60000");
    clean(&sandbox.examine());
    for _ in 0..10 {
        sandbox.sql(
            "INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor, pid,
                command, queued_at, granted_at, ended_at, outcome)
             VALUES ('x', 1, 1, 'w', 'tell execution', '', 1, '', 1, 1000, 2000, 'released')",
        );
    }
    let report = sandbox.examine();
    let issue = only(&report, Kind::LongRunningOperation, Severity::Info);
    let usual = "19 of 20 like it took 1000 ms at the most";
    assert_eq!(issue.evidence.as_deref(), Some(usual));
}

#[test]
fn a_long_line_is_a_backlog() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    for _ in 0..10 {
        sandbox.ticket(&living.row, Scope::Write);
    }
    let report = sandbox.examine();
    clean(&report);
    assert_eq!(report.metrics.unwrap().queued_operations, 9);
    sandbox.ticket(&living.row, Scope::Read);
    let report = sandbox.examine();
    let issue = only(&report, Kind::QueueBacklog, Severity::Warning);
    assert!(
        issue.description.contains("10 operations in line"),
        "{issue:?}"
    );
}

#[test]
fn an_old_wait_is_a_backlog() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("UPDATE repo_locks SET lease_stamp = lease_stamp - 301000 WHERE state = 'waiting'");
    let report = sandbox.examine();
    let issue = only(&report, Kind::QueueBacklog, Severity::Warning);
    assert!(
        issue
            .description
            .ends_with("the oldest for 5 minutes 1 second"),
        "{issue:?}"
    );
}

#[test]
fn a_kept_place_is_nobody_s_fault() {
    let sandbox = Sandbox::new();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("UPDATE repo_locks SET state = 'parked', owner_id = ''");
    clean(&sandbox.examine());
}

#[test]
fn what_the_living_use_is_summed() {
    let sandbox = Sandbox::new();
    let nobody = sandbox.examine().metrics.unwrap();
    assert_eq!((nobody.goroutine_count, nobody.memory_usage_mb), (0, 0));
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Read);
    sandbox.ticket(&living.row, Scope::Read);
    let little = Limits {
        memory: 1 << 20,
        ..Limits::default()
    };
    let report = examine_within(&sandbox.place, &Options::default(), little).unwrap();
    let issue = only(&report, Kind::HighMemory, Severity::Warning);
    assert!(
        issue.description.ends_with("MB, more than 1MB"),
        "{issue:?}"
    );
    let metrics = report.metrics.as_ref().unwrap();
    let ours = crate::platform::process::resident_bytes(std::process::id()).unwrap() >> 20;
    // One process, however many tickets it has.
    assert!(
        metrics.memory_usage_mb.abs_diff(ours) < ours / 2 + 64,
        "{metrics:?}, {ours}"
    );
    assert!(metrics.goroutine_count >= 2);
    // A pid that is another process by now is not counted.
    sandbox.sql("UPDATE repo_locks SET process_start = 1");
    let report = sandbox.examine();
    assert_eq!(report.metrics.unwrap().memory_usage_mb, 0);
}

#[test]
fn only_the_plan_asked_for() {
    let sandbox = Sandbox::new();
    let other = sandbox
        .project()
        .new_plan("other", Patience::Forever, &mut |_| {})
        .unwrap();
    let living = Living::new(&sandbox);
    sandbox.ticket(&living.row, Scope::Write);
    sandbox.sql("INSERT INTO repo_locks (plan_id, scope) VALUES ('gone', 'w')");
    let of = |plan: &str| Options {
        plan: Some(plan.to_owned()),
        ..Options::default()
    };
    let report = examine(&sandbox.place, &of("other")).unwrap();
    clean(&report);
    assert!(report.active_locks.is_empty());
    let report = examine(&sandbox.place, &of(&sandbox.plan.id)).unwrap();
    assert_eq!(report.active_locks.len(), 1);
    std::fs::remove_dir_all(sandbox.path(&format!("plans/{}.git", other.id))).unwrap();
    clean(&examine(&sandbox.place, &of("demo")).unwrap());
    let error = examine(&sandbox.place, &of("nonesuch")).unwrap_err();
    assert!(error.is::<crate::project::SelectError>(), "{error:#}");
}
