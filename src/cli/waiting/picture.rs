//! The line as people and programs are told about it: who holds, what is ahead, how long still.

use std::collections::HashSet;
use std::time::Duration;

use crate::cli::locks::is_orphaned;
use crate::cli::session::{Cli, since};
use crate::lock::{self, Ahead, Waiting, operation};
use crate::platform::{clock, process};
use crate::project::Project;
use crate::store::tickets::{self, Scope, State, Ticket};

/// How it stands with a ticket that keeps others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Its turn came this moment.
    Starting,
    /// Its owner works.
    Running,
    /// Somebody asked it to stop.
    Stopping,
    /// Its owner is stopped (Ctrl-Z, SIGSTOP).
    Suspended,
    /// Its owner has ended, and what it started goes on.
    Orphaned,
    /// Its lease is over, but nobody here can see what it started: its lock stays.
    Unseen,
    /// Its owner hangs, and its lock is being taken from it.
    Condemned,
}

impl Condition {
    /// The word in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Suspended => "suspended",
            Self::Orphaned => "orphaned",
            Self::Unseen => "unseen",
            Self::Condemned => "condemned",
        }
    }

    /// The same, or what it becomes within a moment: nobody wants to hear of both.
    fn lasting(self) -> Self {
        if self == Self::Starting {
            Self::Running
        } else {
            self
        }
    }

    /// Whether it ends by itself as such operations do.
    fn goes_on(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// The condition of `ticket`, as far as it can be seen from here.
    fn of(project: &Project, ticket: &Ticket) -> Self {
        let lease = project.locks().intervals().lease.as_millis();
        let is_over = ticket.silence_ms().is_some_and(|silence| {
            i128::from(silence) > i128::try_from(lease).unwrap_or(i128::MAX)
        });
        let is_near = ticket.pid_ns == clock::namespace("pid");
        match ticket.state {
            State::Condemned => Self::Condemned,
            _ if is_near && process::is_stopped(ticket.pid, ticket.process_start) => {
                Self::Suspended
            }
            State::Held if is_over && lock::is_out_of_sight(ticket) => Self::Unseen,
            State::Granted => Self::Starting,
            _ if is_orphaned(ticket) && is_left(project, ticket) => Self::Orphaned,
            _ if ticket.cancel_requested => Self::Stopping,
            State::Held | State::Waiting | State::Parked => Self::Running,
        }
    }
}

/// Whether `ticket` is still there: it was read a while ago, and whoever was suspended since
/// would take an operation that ended as it should for one that died.
fn is_left(project: &Project, ticket: &Ticket) -> bool {
    let found = project.store.read(|tx| tickets::by_id(tx, ticket.id));
    found.is_ok_and(|found| found.is_some_and(|found| found.fence == ticket.fence))
}

/// The operation that is waited for.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) ticket: i64,
    pub(super) fence: i64,
    pub(super) reason: String,
    pub(super) title: String,
    pub(super) scope: Scope,
    pub(super) branch: Option<String>,
    /// "yours", or the name of its actor; `None` for a nameless terminal or script.
    pub(super) whose: Option<String>,
    pub(super) pid: u32,
    pub(super) command: String,
    pub(super) actor: String,
    pub(super) condition: Condition,
    /// For how long it has held.
    pub(super) held: Duration,
    /// How long ago its heart beat.
    pub(super) beat: Duration,
    /// The same two as wall times in milliseconds.
    pub(super) granted_at: i64,
    pub(super) beat_at: i64,
}

impl Holder {
    pub(super) fn of(cli: &Cli, project: &Project, ticket: &Ticket) -> Self {
        let granted_at = ticket.granted_at.unwrap_or(ticket.queued_at);
        Self {
            ticket: ticket.id,
            fence: ticket.fence,
            reason: ticket.reason.clone(),
            title: operation::title_of(&ticket.reason).to_owned(),
            scope: ticket.scope,
            branch: ticket.branch.clone(),
            whose: whose(cli, project, ticket),
            pid: ticket.pid,
            command: ticket.command.clone(),
            actor: ticket.actor.clone(),
            condition: Condition::of(project, ticket),
            held: since(granted_at),
            beat: since(ticket.last_heartbeat_at),
            granted_at,
            beat_at: ticket.last_heartbeat_at,
        }
    }
}

fn whose(cli: &Cli, project: &Project, ticket: &Ticket) -> Option<String> {
    if cli.is_ours(project, ticket) {
        Some("yours".to_owned())
    } else if ticket.actor.is_empty() || ticket.actor.starts_with("tty") {
        None
    } else {
        Some(ticket.actor.clone())
    }
}

/// What a waiter sees.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// The first of those that run.
    pub(super) holder: Option<Holder>,
    /// How many run beside it.
    pub(super) beside: usize,
    pub(super) position: usize,
    pub(super) total: usize,
    pub(super) ahead: Ahead,
    /// The titles of the waiting ones before it, in order.
    pub(super) before: Vec<String>,
    pub(super) estimate: Option<Duration>,
}

impl Picture {
    /// The line as the wait itself last reported it.
    pub(super) fn of(cli: &Cli, project: &Project, waiting: &Waiting) -> Self {
        let mine = waiting
            .line
            .iter()
            .position(|ticket| ticket.id == waiting.ticket);
        let before = &waiting.line[..mine.unwrap_or(waiting.line.len())];
        let picture = Self::before(cli, project, &waiting.line, before);
        // Past durations say nothing about what is suspended, hangs or was left behind.
        let goes_on = picture
            .holder
            .as_ref()
            .is_none_or(|holder| holder.condition.goes_on());
        Self {
            position: waiting.position,
            total: waiting.total,
            ahead: waiting.ahead,
            estimate: waiting.estimate.filter(|_| goes_on),
            ..picture
        }
    }

    /// The line `all` for somebody who has no ticket in it.
    pub(super) fn from_outside(cli: &Cli, project: &Project, all: &[Ticket]) -> Self {
        Self::before(cli, project, all, all)
    }

    fn before(cli: &Cli, project: &Project, all: &[Ticket], before: &[Ticket]) -> Self {
        let running: Vec<&Ticket> = all.iter().filter(|ticket| ticket.state.blocks()).collect();
        let waiting: Vec<&Ticket> = before
            .iter()
            .filter(|ticket| ticket.state == State::Waiting)
            .collect();
        let ahead: HashSet<i64> = running.iter().chain(&waiting).map(|one| one.id).collect();
        Self {
            holder: running.first().map(|one| Holder::of(cli, project, one)),
            beside: running.len().saturating_sub(1),
            position: ahead.len() + 1,
            total: ahead.len() + 1,
            ahead: Ahead::count(all.iter().filter(|ticket| ahead.contains(&ticket.id))),
            before: waiting
                .iter()
                .map(|ticket| operation::title_of(&ticket.reason).to_owned())
                .collect(),
            estimate: None,
        }
    }

    /// What makes a new line in a log: the holder, how it stands with it, and the position.
    pub(super) fn key(&self) -> Key {
        Key {
            holder: self
                .holder
                .as_ref()
                .map(|holder| (holder.ticket, holder.condition.lasting())),
            position: self.position,
        }
    }
}

/// What a person wants to hear the change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) holder: Option<(i64, Condition)>,
    pub(super) position: usize,
}
