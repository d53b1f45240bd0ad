//! Why a ticket could not be had.

use std::time::Duration;

use super::graph::Link;
use super::notice::{RetryReason, Waiting};
use super::operation;
use crate::platform::cancel::Reason;
use crate::store::tickets::Ticket;

/// Why a ticket could not be had; callers branch on it. Nothing was changed in any of the cases.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The wait was over.
    #[error(
        "could not start operation after {} seconds: another operation is still in progress on \
         this plan ({title} waited)",
        waited.as_secs()
    )]
    Timeout {
        /// The operation's title.
        title: &'static str,
        /// How long it waited.
        waited: Duration,
        /// The line at the end.
        waiting: Box<Waiting>,
        /// For how long its place is kept for the same command of the same actor; `None` if the
        /// place was given up, because nobody could be told from anybody else.
        kept: Option<Duration>,
    },
    /// It would have had to wait, and was told not to.
    #[error(
        "lock conflict: cannot acquire {scope} lock: {}",
        describe_first(ahead)
    )]
    Conflict {
        /// "read" or "write".
        scope: &'static str,
        /// What is in the way.
        ahead: Vec<Ticket>,
    },
    /// So many tickets wait on the plan that no more are taken.
    #[error("the queue of this plan is full: {waiting} operations wait already")]
    QueueFull {
        /// How many wait.
        waiting: i64,
    },
    /// The wait was called off (Ctrl-C, TERM, HUP, `stop`).
    #[error("left the queue: nothing was changed")]
    Cancelled(Reason),
    /// The ticket was taken out of the line by somebody else.
    #[error("the ticket was removed from the queue while it waited")]
    Removed,
    /// Waiting would have closed a circle of waits, again after every retry.
    #[error("deadlock detected: {}", describe_chain(chain))]
    Deadlock {
        /// The circle, from the ticket that gave way; each depends on the next, the last on the
        /// first.
        chain: Vec<Link>,
        /// How many retries were made.
        attempts: u32,
    },
    /// The schedule was spent on a database that somebody outside plandex keeps busy.
    #[error("failed to acquire lock after {attempts} attempts: {cause}")]
    Spent {
        /// How many retries were made.
        attempts: u32,
        /// What was in the way.
        cause: String,
    },
    /// The deadline passed, or the operation was called off, in the pause before a retry.
    #[error("context canceled while waiting to retry: {cause}")]
    RetryEnded {
        /// Why it was called off; `None` for the deadline.
        reason: Option<Reason>,
        /// How many retries were made before, this pause's included.
        attempts: u32,
        /// What kind of thing was in the way.
        why: RetryReason,
        /// What was in the way of the last try.
        cause: String,
    },
    /// It would change a plan that it runs below a reader of.
    #[error(
        "this command changes the plan, and it runs inside `{}`, which only reads it",
        hold.command
    )]
    WriteBelowRead {
        /// The hold that it runs below.
        hold: Box<Ticket>,
    },
}

fn describe_first(ahead: &[Ticket]) -> String {
    ahead.first().map_or_else(
        || "another operation is in progress on this plan".to_owned(),
        |ticket| {
            let title = operation::title_of(&ticket.reason);
            format!(
                "{title} by pid {} ({}) is in progress",
                ticket.pid, ticket.command
            )
        },
    )
}

/// "`a` (pid 1) waits on plan "x" for `b` (pid 2), which …", each ticket once.
fn describe_chain(chain: &[Link]) -> String {
    let ties = chain.iter().enumerate().map(|(nth, link)| {
        let next = &chain[(nth + 1) % chain.len()];
        let how = match link.tie {
            super::graph::Tie::Waits => format!("waits on plan \"{}\" for", link.plan),
            super::graph::Tie::Runs => format!("holds plan \"{}\" and runs", link.plan),
        };
        format!(
            "pid {} ({}) {how} pid {} ({})",
            link.ticket.pid, link.ticket.command, next.ticket.pid, next.ticket.command
        )
    });
    ties.collect::<Vec<_>>().join(", ")
}
