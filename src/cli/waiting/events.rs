//! A wait for programs: lines of JSON, and the parts that a ConcurrencyError shares with them.

use std::time::Duration;

use serde::Serialize;

use super::picture::{Holder, Picture};
use crate::cli::session::rfc3339;
use crate::lock::{Ahead, Retry};

/// What a wait says to a program (MODEL.md §7; `v`, `seq` and `ts` are added where it is printed).
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    pub(super) r#type: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) plan_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<&'a str>,
    /// The stable reason of the operation that waits.
    pub(super) operation: &'static str,
    pub(super) scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ticket: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fencing_token: Option<i64>,
    pub(super) waited_ms: u64,
    #[serde(flatten)]
    pub(super) line: Option<Line>,
    /// What is left before it gives up; absent for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gives_up_in_seconds: Option<u64>,
    /// Who keeps everybody from writing, if that is what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) writer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry: Option<RetryDocument>,
    /// How the operation that was waited for ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Previous>,
}

/// The line as a waiter sees it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    position: usize,
    total: usize,
    ahead: AheadDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_wait_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderDocument>,
}

impl From<&Picture> for Line {
    fn from(picture: &Picture) -> Self {
        Self {
            position: picture.position,
            total: picture.total,
            ahead: picture.ahead.into(),
            estimated_wait_seconds: picture.estimate.map(seconds_up),
            holder: picture.holder.as_ref().map(HolderDocument::from),
        }
    }
}

/// Whole seconds, rounded up: who waits that long has waited long enough.
pub(super) fn seconds_up(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
}

#[derive(Debug, Serialize)]
pub(super) struct AheadDocument {
    readers: usize,
    writers: usize,
}

impl From<Ahead> for AheadDocument {
    fn from(ahead: Ahead) -> Self {
        Self {
            readers: ahead.readers,
            writers: ahead.writers,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HolderDocument {
    ticket: i64,
    pid: u32,
    command: String,
    actor: String,
    operation: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    state: &'static str,
    held_seconds: u64,
    heartbeat_seconds: u64,
}

impl From<&Holder> for HolderDocument {
    fn from(holder: &Holder) -> Self {
        Self {
            ticket: holder.ticket,
            pid: holder.pid,
            command: holder.command.clone(),
            actor: holder.actor.clone(),
            operation: holder.reason.clone(),
            title: holder.title.clone(),
            branch: holder.branch.clone(),
            state: holder.condition.word(),
            held_seconds: holder.held.as_secs(),
            heartbeat_seconds: holder.beat.as_secs(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryDocument {
    attempt: u32,
    max: u32,
    delay_ms: u64,
    cause: String,
}

impl From<&Retry> for RetryDocument {
    fn from(retry: &Retry) -> Self {
        Self {
            attempt: retry.attempt,
            max: retry.of,
            delay_ms: u64::try_from(retry.delay.as_millis()).unwrap_or(u64::MAX),
            cause: retry.cause.clone(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Previous {
    pub(super) ticket: i64,
    /// In the audit's words.
    pub(super) outcome: String,
}

/// The lock in the way, as `doctor --json` lists active ones.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActiveLock {
    lock_id: String,
    plan_id: String,
    plan_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    scope: &'static str,
    last_heartbeat: String,
    created_at: String,
    reason: String,
}

impl ActiveLock {
    pub(super) fn new(holder: &Holder, plan_id: &str, plan_name: &str) -> Self {
        Self {
            lock_id: holder.ticket.to_string(),
            plan_id: plan_id.to_owned(),
            plan_name: plan_name.to_owned(),
            branch: holder.branch.clone(),
            scope: holder.scope.word(),
            last_heartbeat: rfc3339(holder.beat_at),
            created_at: rfc3339(holder.granted_at),
            reason: holder.reason.clone(),
        }
    }
}
