//! SEED.md 8.4 and B.5: the text, word for word.

use super::super::{
    ActiveLock, Check, CheckState, Fix, Holder, Issue, Kind, Line, Metrics, Report, Severity,
    StaleLock, Verbosity, question, render,
};

/// The lines as text; the cells of a table between bars.
fn page(report: &Report, verbosity: Verbosity, fix: Fix) -> String {
    let lines = render(report, verbosity, fix);
    let shown = lines.iter().map(|line| match line {
        Line::Text(_, text) => text.clone(),
        Line::Row(cells) => format!("| {} |", cells.join(" | ")),
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn check(name: &str, message: &str, latency: Option<u64>) -> Check {
    Check {
        name: name.to_owned(),
        status: CheckState::Ok,
        message: message.to_owned(),
        latency,
    }
}

/// The report behind SEED.md B.5.
fn of_seed() -> Report {
    Report {
        healthy: false,
        issues: vec![
            Issue::new(
                Kind::OrphanedLock,
                Severity::Warning,
                "A write lock is left over",
            )
            .on_lock(17)
            .seen_by("ticket 17")
            .fixed_by("remove it"),
        ],
        checks: vec![
            check("Database Connection", "Connected", Some(45)),
            check("Memory Usage", "256MB", None),
            check("Threads", "150", None),
        ],
        stale_locks: vec![StaleLock {
            lock_id: "17".to_owned(),
            plan_id: "0198".to_owned(),
            plan_name: "my-feature".to_owned(),
            branch: Some("main".to_owned()),
            scope: "write".to_owned(),
            last_heartbeat: None,
            age: "2 hours".to_owned(),
            age_seconds: 7200,
            created_at: None,
        }],
        lease_seconds: Some(60),
        ..Report::default()
    }
}

#[test]
fn the_sample_of_the_seed() {
    assert_eq!(
        page(&of_seed(), Verbosity::Normal, Fix::Look),
        "\
Checking system health...

Health Checks

✓ Database Connection: Connected (latency: 45ms)
✓ Memory Usage: 256MB
✓ Threads: 150

⚠ Stale Locks Found

| Plan | Scope | Branch | Age |
| my-feature | write | main | 2 hours |

These locks appear to be from crashed operations.

Options:
  1. Clean up stale locks: plandex doctor --fix
  2. View details: plandex doctor --verbose
  3. Wait for locks to expire automatically (60 seconds from last heartbeat)"
    );
    assert_eq!(
        question(&of_seed()),
        Some("Would you like to clean up the stale lock?")
    );
}

#[test]
fn healthy_says_so() {
    let report = Report {
        healthy: true,
        checks: vec![check("Disk Space", "900MB free", None)],
        fixed: vec!["plan \"x\": removed lock 17 of a dead process".to_owned()],
        ..Report::default()
    };
    assert_eq!(
        page(&report, Verbosity::Normal, Fix::Repair),
        "\
Checking system health...

Health Checks

✓ Disk Space: 900MB free

Fixed

✓ plan \"x\": removed lock 17 of a dead process

✓ No problems found"
    );
    assert_eq!(question(&report), None);
}

#[test]
fn verbose_tells_metrics_locks_and_what_to_do() {
    let report = Report {
        metrics: Some(Metrics {
            uptime: "1 hour".to_owned(),
            goroutine_count: 4,
            memory_usage_mb: 9,
            active_streams: 1,
            queued_operations: 2,
        }),
        active_locks: vec![ActiveLock {
            lock_id: "18".to_owned(),
            plan_id: "0199".to_owned(),
            plan_name: "other".to_owned(),
            branch: None,
            scope: "write".to_owned(),
            last_heartbeat: None,
            created_at: None,
            reason: "tell execution".to_owned(),
            holder: Some(Holder {
                pid: 4711,
                command: "plandex tell".to_owned(),
                actor: Some("ci".to_owned()),
                state: "suspended".to_owned(),
                held_seconds: 61,
            }),
        }],
        ..of_seed()
    };
    let text = page(&report, Verbosity::Verbose, Fix::Look);
    let expected = "
Server Metrics

Uptime: 1 hour
Threads: 4
Memory: 9MB
Active streams: 1
Queued operations: 2

Active Locks

| Plan | Scope | Branch | Holder | Command | Since |
| other | write | - | pid 4711 (ci), suspended | plandex tell | 1 minute 1 second ago |

⚠ Stale Locks Found
";
    assert!(text.contains(expected), "{text}");
    let expected = "
Issues Found

⚠ A write lock is left over
    what to do: run `plandex doctor --fix`
    seen: ticket 17
    --fix would: remove it

Options:
  1. Clean up stale locks: plandex doctor --fix
  2. Wait for locks to expire automatically (60 seconds from last heartbeat)";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_dry_run_shows_what_would_be_done() {
    let mut report = of_seed();
    report.issues.push(Issue::new(
        Kind::DbConnection,
        Severity::Critical,
        "The database cannot be used: x",
    ));
    let text = page(&report, Verbosity::Normal, Fix::DryRun);
    let expected = "
⚠ A write lock is left over
    what to do: run `plandex doctor --fix`
    seen: ticket 17
    --fix would: remove it
✗ The database cannot be used: x
    --fix leaves it alone
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn quiet_tells_of_what_is_wrong_and_of_what_was_done() {
    let mut report = of_seed();
    report.stale_locks.clear();
    report.issues.clear();
    report.judge();
    assert_eq!(page(&report, Verbosity::Quiet, Fix::Look), "");
    report.checks[1].status = CheckState::Warning;
    report.fixed.push("removed lock 17".to_owned());
    report.left.push("lock 18 stays".to_owned());
    report.copy = Some("/p/before-fix-1.db".into());
    let expected = "\
⚠ Memory Usage: 256MB

Fixed

✓ removed lock 17

Left

⚠ lock 18 stays

The database as it was is in /p/before-fix-1.db";
    assert_eq!(page(&report, Verbosity::Quiet, Fix::Repair), expected);
}

#[test]
fn the_question_fits_what_can_be_done() {
    let mut report = of_seed();
    report.issues[0].action = None;
    assert_eq!(question(&report), None);
    report
        .issues
        .push(Issue::new(Kind::RefMismatch, Severity::Info, "A ref lags").fixed_by("set it"));
    assert_eq!(
        question(&report),
        Some("Would you like to repair what can be repaired?")
    );
    let mut two = of_seed();
    two.stale_locks.push(two.stale_locks[0].clone());
    assert_eq!(
        question(&two),
        Some("Would you like to clean up the stale locks?")
    );
}
