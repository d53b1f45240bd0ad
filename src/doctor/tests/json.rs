//! SEED.md B.3's doctor types: the JSON of every object, both ways.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::{
    ActiveLock, Check, CheckState, Fix, Holder, Issue, Kind, Metrics, Options, Report, Request,
    Severity, StaleLock,
};

/// `value` is written as `json`, read back the same, and read with a field nobody knows.
#[track_caller]
fn golden<T>(value: &T, json: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let written = serde_json::to_value(value).unwrap();
    let expected: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(written, expected);
    let read: T = serde_json::from_str(json).unwrap();
    assert_eq!(&read, value);
    let mut newer = expected;
    newer["addedLater"] = serde_json::json!({"by": ["a newer", "plandex"]});
    let read: T = serde_json::from_value(newer).unwrap();
    assert_eq!(&read, value);
}

fn stale_lock() -> StaleLock {
    StaleLock {
        lock_id: "17".to_owned(),
        plan_id: "0198".to_owned(),
        plan_name: "my-feature".to_owned(),
        branch: Some("main".to_owned()),
        scope: "read".to_owned(),
        last_heartbeat: Some("2026-11-23T04:30:00Z".to_owned()),
        age: "2 hours 15 minutes".to_owned(),
        age_seconds: 8100,
        created_at: Some("2026-11-23T04:15:00Z".to_owned()),
    }
}

const STALE_LOCK: &str = r#"{
    "lockId": "17", "planId": "0198", "planName": "my-feature", "branch": "main",
    "scope": "read", "lastHeartbeat": "2026-11-23T04:30:00Z", "age": "2 hours 15 minutes",
    "ageSeconds": 8100, "createdAt": "2026-11-23T04:15:00Z"}"#;

fn active_lock() -> ActiveLock {
    ActiveLock {
        lock_id: "18".to_owned(),
        plan_id: "0198".to_owned(),
        plan_name: "my-feature".to_owned(),
        branch: None,
        scope: "write".to_owned(),
        last_heartbeat: Some("2026-11-23T06:29:59Z".to_owned()),
        created_at: Some("2026-11-23T06:29:00Z".to_owned()),
        reason: "tell execution".to_owned(),
        holder: Some(Holder {
            pid: 4711,
            command: "plandex tell".to_owned(),
            actor: Some("ci".to_owned()),
            state: "running".to_owned(),
            held_seconds: 60,
        }),
    }
}

const ACTIVE_LOCK: &str = r#"{
    "lockId": "18", "planId": "0198", "planName": "my-feature", "scope": "write",
    "lastHeartbeat": "2026-11-23T06:29:59Z", "createdAt": "2026-11-23T06:29:00Z",
    "reason": "tell execution", "holder": {"pid": 4711, "command": "plandex tell",
    "actor": "ci", "state": "running", "heldSeconds": 60}}"#;

fn issue(kind: Kind) -> Issue {
    Issue::new(kind, Severity::Warning, "It is left over")
}

mod doctor_response_serialization {
    use super::*;

    #[test]
    fn serialize_empty_response() {
        let report = Report {
            healthy: true,
            ..Report::default()
        };
        golden(
            &report,
            r#"{"healthy": true, "issues": [], "checks": [], "staleLocks": [],
                "activeLocks": [], "fixedIssues": [], "leftIssues": []}"#,
        );
        // As the seed's server wrote it: absent lists are empty ones.
        let read: Report =
            serde_json::from_str(r#"{"healthy": true, "issues": [], "checks": []}"#).unwrap();
        assert_eq!(read, report);
    }

    #[test]
    fn serialize_with_stale_locks() {
        let report = Report {
            healthy: false,
            issues: vec![issue(Kind::OrphanedLock).on_plan("0198").on_lock(17)],
            checks: vec![Check {
                name: "Locks".to_owned(),
                status: CheckState::Warning,
                message: "0 held, 1 stale".to_owned(),
                latency: None,
            }],
            stale_locks: vec![stale_lock()],
            active_locks: vec![active_lock()],
            fixed: vec!["removed lock 16".to_owned()],
            left: vec!["lock 18 stays".to_owned()],
            copy: Some("/p/.plandex/before-fix-1.db".into()),
            metrics: Some(Metrics::default()),
            lease_seconds: Some(60),
        };
        golden(
            &report,
            &format!(
                r#"{{"healthy": false,
                "issues": [{{"type": "orphaned_lock", "severity": "warning",
                    "description": "It is left over", "planId": "0198", "lockId": "17"}}],
                "checks": [{{"name": "Locks", "status": "warning", "message": "0 held, 1 stale"}}],
                "staleLocks": [{STALE_LOCK}], "activeLocks": [{ACTIVE_LOCK}],
                "fixedIssues": ["removed lock 16"],
                "leftIssues": ["lock 18 stays"], "databaseCopy": "/p/.plandex/before-fix-1.db",
                "serverMetrics": {{"uptime": "", "goroutineCount": 0, "memoryUsageMB": 0,
                    "activeStreams": 0, "queuedOperations": 0}},
                "leaseSeconds": 60}}"#
            ),
        );
    }

    #[test]
    fn each_kind_of_lock() {
        golden(&stale_lock(), STALE_LOCK);
        golden(&active_lock(), ACTIVE_LOCK);
    }

    #[test]
    fn check_with_latency() {
        let check = Check {
            name: "Database Connection".to_owned(),
            status: CheckState::Ok,
            message: "Connected".to_owned(),
            latency: Some(45),
        };
        golden(
            &check,
            r#"{"name": "Database Connection", "status": "ok", "message": "Connected",
                "latency": 45}"#,
        );
    }

    #[test]
    fn issue_with_everything() {
        let issue = issue(Kind::StaleLock)
            .on_plan("0198")
            .on_lock(17)
            .seen_by("ticket 17")
            .fixed_by("remove it");
        golden(
            &issue,
            r#"{"type": "stale_lock", "severity": "warning", "description": "It is left over",
                "suggestion": "run `plandex doctor --fix`", "planId": "0198", "lockId": "17",
                "evidence": "ticket 17", "action": "remove it"}"#,
        );
    }
}

/// `text` is the word of `value`, both ways.
#[track_caller]
fn word<T>(value: T, text: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Copy + std::fmt::Debug,
{
    let written = serde_json::to_string(&value).unwrap();
    assert_eq!(written, format!("\"{text}\""));
    let read: T = serde_json::from_str(&written).unwrap();
    assert_eq!(read, value);
}

mod doctor_issue_types {
    use super::*;

    macro_rules! issue_type {
        ($($name:ident => $kind:expr),+ $(,)?) => {
            $(#[test]
            fn $name() {
                word($kind, stringify!($name));
            })+
        };
    }

    issue_type! {
        stale_lock => Kind::StaleLock,
        orphaned_lock => Kind::OrphanedLock,
        heartbeat_missed => Kind::HeartbeatMissed,
        long_running_operation => Kind::LongRunningOperation,
        queue_backlog => Kind::QueueBacklog,
        high_memory => Kind::HighMemory,
        db_connection => Kind::DbConnection,
        interrupted_apply => Kind::InterruptedApply,
        repository_damaged => Kind::RepositoryDamaged,
        ref_mismatch => Kind::RefMismatch,
        status_stuck => Kind::StatusStuck,
        leftovers => Kind::Leftovers,
        wal_size => Kind::WalSize,
        disk_space => Kind::DiskSpace,
        file_system => Kind::FileSystem,
        schema => Kind::Schema,
    }

    #[test]
    fn a_type_of_a_newer_plandex_is_read() {
        let json = r#"{"type": "quantum_lock", "severity": "info", "description": "?"}"#;
        let issue: Issue = serde_json::from_str(json).unwrap();
        assert_eq!(issue.kind, Kind::Other);
    }
}

mod issue_severity_levels {
    use super::*;

    #[test]
    fn info() {
        word(Severity::Info, "info");
    }

    #[test]
    fn warning() {
        word(Severity::Warning, "warning");
    }

    #[test]
    fn error() {
        word(Severity::Error, "error");
    }

    #[test]
    fn critical() {
        word(Severity::Critical, "critical");
    }

    #[test]
    fn healthy_up_to_info() {
        let mut report = Report::default();
        for (severity, healthy) in [
            (Severity::Info, true),
            (Severity::Warning, false),
            (Severity::Error, false),
            (Severity::Critical, false),
        ] {
            report.issues = vec![Issue::new(Kind::Leftovers, severity, "x")];
            report.judge();
            assert_eq!(report.healthy, healthy, "{severity:?}");
        }
    }
}

mod check_status_values {
    use super::*;

    #[test]
    fn ok() {
        word(CheckState::Ok, "ok");
    }

    #[test]
    fn warning() {
        word(CheckState::Warning, "warning");
    }

    #[test]
    fn error() {
        word(CheckState::Error, "error");
    }
}

#[test]
fn server_metrics() {
    let metrics = Metrics {
        uptime: "2 hours".to_owned(),
        goroutine_count: 150,
        memory_usage_mb: 256,
        active_streams: 3,
        queued_operations: 7,
    };
    golden(
        &metrics,
        r#"{"uptime": "2 hours", "goroutineCount": 150, "memoryUsageMB": 256,
            "activeStreams": 3, "queuedOperations": 7}"#,
    );
}

mod doctor_request {
    use super::*;

    #[test]
    fn of_one_plan() {
        let request = Request {
            plan_id: Some("0198".to_owned()),
            fix: true,
        };
        golden(&request, r#"{"planId": "0198", "fix": true}"#);
        let options = Options::from(request);
        assert_eq!(options.plan.as_deref(), Some("0198"));
        assert_eq!(options.fix, Fix::Repair);
    }

    #[test]
    fn of_everything() {
        golden(&Request::default(), r#"{"fix": false}"#);
        let read: Request = serde_json::from_str("{}").unwrap();
        assert_eq!(Options::from(read), Options::default());
    }
}
