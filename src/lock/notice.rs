//! What a wait tells whoever called: the line as it stands, and retries.

use std::time::Duration;

use crate::store::tickets::{Scope, Ticket};

/// Something that a person who waits may want to read.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The ticket waits in line; said whenever the line may have changed.
    Waiting(Waiting),
    /// The operation could not get a ticket and tries again after a pause; said before the pause.
    Retrying(Retry),
}

/// The line as a waiter sees it.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The waiter's own ticket.
    pub ticket: i64,
    /// What waits, for people.
    pub title: &'static str,
    /// All tickets of the line, in order: the plan's own, or those below the waiter's hold.
    pub line: Vec<Ticket>,
    /// The waiter's position, from 1, the running ones first.
    pub position: usize,
    /// How many run and wait, without those that are out of line.
    pub total: usize,
    /// What runs and waits before it: `position - 1` in all.
    pub ahead: Ahead,
    /// How long it has waited.
    pub waited: Duration,
    /// What is left before it gives up; `None` for never.
    pub left: Option<Duration>,
    /// How long it will probably still wait, from the audit; `None` under three samples, and in
    /// the first fifth of a second.
    pub estimate: Option<Duration>,
}

/// What stands before a waiter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Those that read.
    pub readers: usize,
    /// Those that change the plan.
    pub writers: usize,
}

impl Ahead {
    /// Counts `tickets`.
    pub fn count<'t>(tickets: impl Iterator<Item = &'t Ticket>) -> Self {
        let mut ahead = Self::default();
        for ticket in tickets {
            match ticket.scope {
                Scope::Read => ahead.readers += 1,
                Scope::Write => ahead.writers += 1,
            }
        }
        ahead
    }
}

impl Waiting {
    /// The tickets that run now.
    pub fn running(&self) -> impl Iterator<Item = &Ticket> {
        self.line.iter().filter(|ticket| ticket.state.blocks())
    }
}

/// A pause before the next try.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Which retry follows, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub of: u32,
    /// The pause drawn; cut short by the deadline and by a cancellation.
    pub delay: Duration,
    /// What was in the way.
    pub why: RetryReason,
    /// The same in words, for the log: "deadlock detected", or who keeps the database busy.
    pub cause: String,
    /// What is left before the operation gives up; `None` for never.
    pub left: Option<Duration>,
}

/// Why an operation tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryReason {
    /// Somebody outside plandex's gate holds the database's write lock.
    Busy,
    /// Waiting would have closed a circle of waits.
    Deadlock,
}
