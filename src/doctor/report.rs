//! What doctor answers: the findings as values, and their JSON (DESIGN.md 9).
//!
//! The shape is promised to scripts: camelCase, additions only. Every list is always written and
//! never null; an optional field that is absent is left out; fields and issue types that a reader
//! does not know are skipped. Times are RFC 3339 in UTC.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What was found, all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Whether no issue of [`Severity::Warning`] or above remains.
    pub healthy: bool,
    /// What is wrong, in the order of the checks.
    pub issues: Vec<Issue>,
    /// What was looked at, a line each.
    pub checks: Vec<Check>,
    /// The locks that nobody works under any more.
    pub stale_locks: Vec<StaleLock>,
    /// The locks that somebody works under.
    pub active_locks: Vec<ActiveLock>,
    /// What `--fix` did, a line each.
    #[serde(rename = "fixedIssues")]
    pub fixed: Vec<String>,
    /// What `--fix` could not do or left alone, and why, a line each.
    #[serde(rename = "leftIssues")]
    pub left: Vec<String>,
    /// Where the database is as it was before `--fix` changed data.
    #[serde(rename = "databaseCopy", skip_serializing_if = "Option::is_none")]
    pub copy: Option<PathBuf>,
    /// What the living processes of this database use together; absent if it cannot be read.
    #[serde(rename = "serverMetrics", skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// How long a lock of a process that hangs is believed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u64>,
}

impl Report {
    /// Whether `--fix` would do something.
    pub fn is_fixable(&self) -> bool {
        self.issues.iter().any(|issue| issue.action.is_some())
    }

    /// Sets [`Report::healthy`] by the issues; to be called after one was added.
    pub fn judge(&mut self) {
        self.healthy = self
            .issues
            .iter()
            .all(|issue| issue.severity < Severity::Warning);
    }

    pub(super) fn check(&mut self, name: &str, status: CheckState, message: impl Into<String>) {
        self.checks.push(Check {
            name: name.to_owned(),
            status,
            message: message.into(),
            latency: None,
        });
    }

    pub(super) fn find(&mut self, issue: Issue) {
        self.issues.push(issue);
    }

    /// Adds what is wrong with the database as a whole; one such issue says enough.
    pub(super) fn find_database(&mut self, issue: Issue) {
        let known = self.issues.iter().any(|known| known.kind == issue.kind);
        if !known {
            self.find(issue);
        }
    }

    /// How bad the issues found since there were `before` of them are, as a check's state.
    pub(super) fn state_since(&self, before: usize) -> CheckState {
        let worst = self.issues[before..]
            .iter()
            .map(|issue| issue.severity)
            .max();
        match worst {
            None | Some(Severity::Info) => CheckState::Ok,
            Some(Severity::Warning) => CheckState::Warning,
            Some(Severity::Error | Severity::Critical) => CheckState::Error,
        }
    }
}

/// How bad an issue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; the project is healthy.
    Info,
    /// Something is in the way, or will be.
    Warning,
    /// Something does not work.
    Error,
    /// Nothing works.
    Critical,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// Nothing is wrong.
    Ok,
    /// Something should be looked at.
    Warning,
    /// Something is broken.
    Error,
}

/// What kind of issue it is: the table of DESIGN.md 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A lock whose owner lives and hangs: its lease expired.
    StaleLock,
    /// A lock whose owner is dead or whose plan is gone.
    OrphanedLock,
    /// A heartbeat is late, the lease not yet over.
    HeartbeatMissed,
    /// An operation takes unusually long.
    LongRunningOperation,
    /// Too many operations wait, or one for too long.
    QueueBacklog,
    /// The living processes use much memory.
    HighMemory,
    /// The database cannot be opened, is damaged, or is of another version.
    DbConnection,
    /// An apply died before its files and rows agreed.
    InterruptedApply,
    /// A repository cannot be read, or misses objects.
    RepositoryDamaged,
    /// A ref does not show what its row says.
    RefMismatch,
    /// A status claims work that no living operation does.
    StatusStuck,
    /// Files that dead processes left.
    Leftovers,
    /// The write-ahead log is long.
    WalSize,
    /// The disk is nearly full.
    DiskSpace,
    /// The state directory's file system, layout or permissions.
    FileSystem,
    /// The database lacks a part of its schema.
    Schema,
    /// A type that only a newer plandex knows.
    #[serde(other)]
    Other,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, a sentence without its period.
    pub description: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// The plan it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// The ticket it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_id: Option<String>,
    /// What it was seen by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// What `--fix` does about it; absent if it leaves it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Issue {
    pub(super) fn new(kind: Kind, severity: Severity, description: impl Into<String>) -> Self {
        Self {
            kind,
            severity,
            description: description.into(),
            suggestion: None,
            plan_id: None,
            lock_id: None,
            evidence: None,
            action: None,
        }
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// `--fix` does `action`; unless something else was suggested, it is the suggestion.
    pub(super) fn fixed_by(mut self, action: impl Into<String>) -> Self {
        self.action = Some(action.into());
        self.suggestion
            .get_or_insert_with(|| "run `plandex doctor --fix`".to_owned());
        self
    }

    pub(super) fn on_plan(mut self, plan_id: &str) -> Self {
        self.plan_id = Some(plan_id.to_owned());
        self
    }

    pub(super) fn on_lock(mut self, ticket: i64) -> Self {
        self.lock_id = Some(ticket.to_string());
        self
    }

    pub(super) fn seen_by(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name, for people and stable for scripts.
    pub name: String,
    /// How it came out.
    pub status: CheckState,
    /// What was seen.
    pub message: String,
    /// How long it took to answer, in whole milliseconds, where that says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<u64>,
}

/// A lock that nobody works under any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StaleLock {
    /// The ticket's number as text.
    pub lock_id: String,
    /// The plan's id.
    pub plan_id: String,
    /// The plan's name; its id if it is gone.
    pub plan_name: String,
    /// The branch of a read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// "read" or "write".
    pub scope: String,
    /// When its owner last proved its life; absent in a row that never said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<String>,
    /// How old it is, in words.
    pub age: String,
    /// How old it is, in whole seconds.
    pub age_seconds: u64,
    /// When it was granted (queued, if it never was).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// A lock that somebody works under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveLock {
    /// The ticket's number as text.
    pub lock_id: String,
    /// The plan's id.
    pub plan_id: String,
    /// The plan's name; its id if it is gone.
    pub plan_name: String,
    /// The branch of a read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// "read" or "write".
    pub scope: String,
    /// When its owner last proved its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<String>,
    /// When it was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The operation's stable reason.
    pub reason: String,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
}

/// The process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Its pid, in its own pid namespace.
    pub pid: u32,
    /// The command as typed.
    pub command: String,
    /// Who it is for (PLANDEX_ACTOR or a terminal), if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// "running" or "suspended".
    pub state: String,
    /// For how long it has held the lock, in whole seconds.
    pub held_seconds: u64,
}

/// What the living owners of this database use together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metrics {
    /// Since when the oldest of them has lived, in words.
    pub uptime: String,
    /// The number of their threads (the name is the seed's).
    pub goroutine_count: u64,
    /// Their resident memory in megabytes.
    #[serde(rename = "memoryUsageMB")]
    pub memory_usage_mb: u64,
    /// Runs in progress.
    pub active_streams: u64,
    /// Waiting tickets.
    pub queued_operations: u64,
}

/// What is asked of doctor: the endpoint's request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// Only this plan (id or name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// Whether to repair.
    pub fix: bool,
}
