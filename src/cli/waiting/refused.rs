//! An operation that could not get or keep its lock: what it was about, for the words, the exit
//! code's company and the ConcurrencyError (DESIGN.md §9, §11).

use std::fmt;
use std::time::Duration;

use anyhow::{Error, Result};
use serde::Serialize;

use super::About;
use super::events::{ActiveLock, AheadDocument, HolderDocument, seconds_up};
use super::picture::Picture;
use super::words::{self, GivenUp, Page};
use crate::cli::session::Cli;
use crate::lock::{LockError, operation};
use crate::project::Project;
use crate::store::{StoreError, audit, plans, tickets};

/// Whoever must wait and does not know how long tries again after this.
const RETRY_UNKNOWN: Duration = Duration::from_secs(5);
/// And nobody later than this, while a place is kept.
const RETRY_LATEST: Duration = Duration::from_secs(30);

/// What a refused operation was about. It travels with its error as a context without words.
#[derive(Debug)]
pub(in crate::cli) struct Refused {
    plan_id: String,
    plan: String,
    branch: Option<String>,
    operation: &'static str,
    ticket: Option<i64>,
    fence: Option<i64>,
    picture: Option<Picture>,
    /// How the ticket ended, in the audit's words, if it was lost or removed.
    outcome: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Whether `error` is about getting or keeping a lock.
pub(super) fn is_about_locks(error: &Error) -> bool {
    error.is::<LockError>()
        || matches!(
            error.downcast_ref(),
            Some(StoreError::LockLost { .. } | StoreError::Busy(_))
        )
}

impl Refused {
    /// Looks at what can be known now, after the fact. What cannot be read is left out: the error
    /// itself must reach people even from a broken database.
    pub(super) fn look(
        cli: &Cli,
        project: &Project,
        about: &About<'_>,
        error: &Error,
        held: Option<(i64, i64)>,
    ) -> Self {
        let waiting = match error.downcast_ref() {
            Some(LockError::Timeout { waiting, .. }) => Some(waiting),
            _ => None,
        };
        let line = || {
            project
                .store
                .read(|tx| tickets::line(tx, about.plan_id))
                .ok()
        };
        let picture = match waiting {
            Some(waiting) => Some(Picture::of(cli, project, waiting)),
            None => line().map(|line| Picture::from_outside(cli, project, &line)),
        };
        let lost = match error.downcast_ref() {
            Some(StoreError::LockLost { ticket }) => Some(*ticket),
            _ => None,
        };
        let ticket = waiting
            .map(|waiting| waiting.ticket)
            .or(lost)
            .or(held.map(|held| held.0));
        let selected = project.selected().ok();
        let branch = selected
            .filter(|selected| selected.plan.id == about.plan_id)
            .map(|selected| selected.branch.name);
        Self {
            plan_id: about.plan_id.to_owned(),
            plan: about.plan(project).to_owned(),
            branch: about.branch.map(str::to_owned).or(branch),
            operation: about.operation,
            ticket,
            fence: held.map(|held| held.1),
            picture,
            outcome: lost.and_then(|ticket| outcome(project, about.plan_id, ticket)),
        }
    }

    /// What is said beside the error itself: how it came to it.
    pub(in crate::cli) fn explained(&self, error: &Error) -> Option<String> {
        if !matches!(error.downcast_ref(), Some(StoreError::LockLost { .. })) {
            return None;
        }
        let how = match self.outcome.as_deref()? {
            // Who did it may have been said already.
            "forced" if format!("{error:#}").contains("by force") => return None,
            "forced" => "somebody released it by force",
            "lease expired" => "it did not answer for longer than the lease, and was replaced",
            "owner died" => "it was taken for dead, and was replaced",
            _ => return None,
        };
        Some(how.to_owned())
    }

    /// SEED.md §8.1.3 for a wait that is over.
    pub(in crate::cli) fn given_up(&self, cli: &Cli, error: &Error) -> Option<String> {
        let Some(LockError::Timeout { waited, kept, .. }) = error.downcast_ref() else {
            return None;
        };
        let holder = self
            .picture
            .as_ref()
            .and_then(|picture| picture.holder.as_ref());
        let is_context = operation::is_context(self.operation);
        let under_tell = holder.is_some_and(|one| operation::is_run(&one.reason));
        let over = GivenUp {
            waited: *waited,
            picture: self.picture.as_ref(),
            plan: &self.plan,
            is_context_under_tell: is_context && under_tell,
            kept: *kept,
            command: &cli.command_line(),
        };
        let page = Page::of(&cli.ui);
        Some(words::given_up(&over, page))
    }

    /// When it is worth to try again: after the estimate, but while a place is kept; absent where
    /// somebody must look first.
    fn retry_after(&self, is_safe: bool) -> Option<u64> {
        let estimate = self.picture.as_ref().and_then(|picture| picture.estimate);
        let after = estimate.unwrap_or(RETRY_UNKNOWN).min(RETRY_LATEST);
        is_safe.then(|| seconds_up(after).max(1))
    }

    /// The fields of a ConcurrencyError beyond those that every error has.
    pub(in crate::cli) fn document(&self, error: &Error, is_safe: bool) -> ConcurrencyError {
        let holder = self
            .picture
            .as_ref()
            .and_then(|picture| picture.holder.as_ref());
        let (kept, attempts, chain) = match error.downcast_ref() {
            Some(LockError::Timeout { kept, .. }) => (kept.map(seconds_up), None, None),
            Some(LockError::Deadlock { chain, attempts }) => {
                let chain = chain
                    .iter()
                    .map(|link| ChainLink {
                        ticket: link.ticket.id,
                        pid: link.ticket.pid,
                        command: link.ticket.command.clone(),
                        plan: link.plan.clone(),
                    })
                    .collect();
                (None, Some(*attempts), Some(chain))
            }
            Some(LockError::Spent { attempts, .. } | LockError::RetryEnded { attempts, .. }) => {
                (None, Some(*attempts), None)
            }
            _ => (None, None, None),
        };
        ConcurrencyError {
            plan_id: self.plan_id.clone(),
            branch: self.branch.clone(),
            queue_position: self
                .picture
                .as_ref()
                .filter(|_| is_safe)
                .map(|picture| picture.position),
            estimated_wait_seconds: self
                .picture
                .as_ref()
                .and_then(|picture| picture.estimate)
                .map(seconds_up),
            retry_after_seconds: self.retry_after(is_safe),
            active_lock_info: holder
                .map(|holder| ActiveLock::new(holder, &self.plan_id, &self.plan)),
            ticket: self.ticket,
            fencing_token: self.fence,
            holder: holder.map(HolderDocument::from),
            ahead: self
                .picture
                .as_ref()
                .filter(|_| is_safe)
                .map(|picture| picture.ahead.into()),
            kept_seconds: kept,
            attempts,
            chain,
            outcome: self.outcome.clone(),
        }
    }
}

fn outcome(project: &Project, plan_id: &str, ticket: i64) -> Option<String> {
    /// Grants after ours that may have come by the time we look.
    const NEWEST: i64 = 1_000;
    let history = project
        .store
        .read(|tx| audit::history(tx, plan_id, NEWEST))
        .ok()?;
    history
        .into_iter()
        .find(|entry| entry.ticket == ticket && entry.outcome.is_some())?
        .outcome
}

/// The plan was deleted while an operation waited for it.
#[derive(Debug, thiserror::Error)]
#[error("plan \"{plan}\" was deleted{by} while this waited for it; nothing was changed")]
pub(in crate::cli) struct PlanDeleted {
    plan: String,
    /// " by …", or nothing if that is not known.
    by: String,
}

impl PlanDeleted {
    /// Fails if the plan is deleted by now. A plan whose row is gone was deleted long ago.
    pub(in crate::cli) fn check(project: &Project, plan_id: &str) -> Result<()> {
        let plan = project.store.read(|tx| plans::by_id(tx, plan_id))?;
        let (plan, by) = match plan {
            Some(plan) if plan.deleted_at.is_none() => return Ok(()),
            Some(plan) => (plan.name, plan.deleted_by.filter(|by| !by.is_empty())),
            None => (plan_id.to_owned(), None),
        };
        let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
        Err(Self { plan, by }.into())
    }
}

/// What a program learns of a lock that could not be had or kept.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct ConcurrencyError {
    #[serde(skip_serializing_if = "String::is_empty")]
    plan_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_wait_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_lock_info: Option<ActiveLock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fencing_token: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<AheadDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<ChainLink>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
}

/// One ticket of a circle of waits; each waits for the next, the last for the first.
#[derive(Debug, Serialize)]
struct ChainLink {
    ticket: i64,
    pid: u32,
    command: String,
    plan: String,
}
