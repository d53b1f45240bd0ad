//! The queue as one look sees it: each ticket with its plan, its position, and whether its owner
//! lives.

use std::collections::HashSet;

use anyhow::Result;
use serde::Serialize;

use super::super::session::{Cli, rfc3339, since};
use crate::lock::rules::{self, Standing};
use crate::lock::{operation, owner};
use crate::platform::{clock, detached, process};
use crate::project::Project;
use crate::store::history::RunSeen;
use crate::store::streams::{self, Files};
use crate::store::tickets::{self, Scope, State, Ticket};
use crate::store::{ReadTx, history, plans};

/// A ticket with what is known around it.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Seen {
    pub(in crate::cli) ticket: Ticket,
    pub(in crate::cli) plan_name: Option<String>,
    pub(in crate::cli) position: Option<usize>,
    /// The run under it, with its branch (a write itself takes the whole plan), and how far it is.
    run: Option<(RunSeen, Files)>,
    pub(in crate::cli) is_alive: bool,
    pub(in crate::cli) is_suspended: bool,
    /// Whether its process runs apart from any terminal.
    is_detached: bool,
    /// Its process has ended, and what it started goes on.
    pub(in crate::cli) is_orphaned: bool,
}

/// Whether the process of `ticket` has ended, as far as that can be seen from here. Its lock stays
/// while what it started has its owner file.
pub(in crate::cli) fn is_orphaned(ticket: &Ticket) -> bool {
    let is_there =
        || process::stat(ticket.pid).is_some_and(|stat| stat.start_ticks == ticket.process_start);
    ticket.pid != 0 && ticket.pid_ns == clock::namespace("pid") && !is_there()
}

/// All tickets (of the named plan, if one is named), plan by plan, in the order of the line.
pub(in crate::cli) fn seen(project: &Project) -> Result<Vec<Seen>> {
    let first = look(project)?;
    let dead: HashSet<i64> = first
        .iter()
        .filter(|seen| !seen.is_alive)
        .map(|seen| seen.ticket.id)
        .collect();
    if dead.is_empty() {
        return Ok(first);
    }
    // An owner that ends between the rows and the look at its file seems dead. Who is dead is so
    // in both looks.
    let mut second = look(project)?;
    for seen in &mut second {
        seen.is_alive |= !dead.contains(&seen.ticket.id);
    }
    Ok(second)
}

fn look(project: &Project) -> Result<Vec<Seen>> {
    let named = named_plan(project)?;
    let mut all = project.store.read(rows)?;
    if let Some(plan) = named {
        all.retain(|seen| seen.ticket.plan_id == plan);
    }
    // Nobody's and in nobody's way: gone but for the row.
    all.retain(|seen| !seen.ticket.is_kept_too_long());
    for seen in &mut all {
        let ticket = &seen.ticket;
        seen.is_alive = ticket.is_kept_place() || owner::is_alive(project.dir(), &ticket.owner_id);
        seen.is_suspended = seen.is_alive && process::is_stopped(ticket.pid, ticket.process_start);
        seen.is_detached = seen.is_alive && detached::is_detached(ticket.pid, ticket.process_start);
        seen.is_orphaned = seen.is_alive && ticket.state.blocks() && is_orphaned(ticket);
    }
    Ok(all)
}

/// The plan that --plan or PLANDEX_PLAN names; looking commands show all plans without one.
pub(in crate::cli) fn named_plan(project: &Project) -> Result<Option<String>> {
    let named = project.session().plan.as_deref();
    named
        .map(|name| project.find_plan(name).map(|plan| plan.id))
        .transpose()
}

fn rows(tx: &ReadTx<'_>) -> Result<Vec<Seen>> {
    let all = tickets::all(tx)?;
    let mut seen = Vec::with_capacity(all.len());
    for plan in all.chunk_by(|one, other| one.plan_id == other.plan_id) {
        let name = plans::by_id(tx, &plan[0].plan_id)?.map(|plan| plan.name);
        // What stands below a hold shares its turn, and has no position of its own.
        let line: Vec<&Ticket> = plan.iter().filter(|ticket| ticket.below == 0).collect();
        let standings: Vec<Standing<'_>> =
            line.iter().map(|ticket| Standing::from(*ticket)).collect();
        for ticket in plan {
            let run = match ticket.scope {
                Scope::Write if ticket.state.blocks() => history::run_of(tx, ticket.id)?,
                Scope::Write | Scope::Read => None,
            };
            let run = run
                .map(|run| streams::files(tx, &run.id).map(|files| (run, files)))
                .transpose()?;
            let place = line.iter().position(|other| other.id == ticket.id);
            seen.push(Seen {
                ticket: ticket.clone(),
                plan_name: name.clone(),
                position: place.and_then(|place| rules::position(&standings, place)),
                run,
                is_alive: true,
                is_suspended: false,
                is_detached: false,
                is_orphaned: false,
            });
        }
    }
    Ok(seen)
}

impl Seen {
    pub(in crate::cli) fn plan(&self) -> &str {
        self.plan_name.as_deref().unwrap_or(&self.ticket.plan_id)
    }

    /// "Tell operation", "View diffs (main)".
    pub(in crate::cli) fn operation(&self) -> String {
        let title = operation::title_of(&self.ticket.reason);
        match &self.ticket.branch {
            Some(branch) => format!("{title} ({branch})"),
            None => title.to_owned(),
        }
    }

    /// "held", "waiting, position 2", "held, suspended", "held, orphaned", "held, dead", "place
    /// kept".
    pub(super) fn state(&self) -> String {
        if self.ticket.is_kept_place() {
            return "place kept".to_owned();
        }
        let mut words = self.ticket.state.word().to_owned();
        if let (State::Waiting, Some(position)) = (self.ticket.state, self.position) {
            words = format!("waiting, position {position}");
        }
        if !self.is_alive {
            words.push_str(", dead");
        } else if self.is_suspended {
            words.push_str(", suspended");
        } else if self.is_orphaned {
            words.push_str(", orphaned");
        }
        if self.ticket.cancel_requested {
            words.push_str(", asked to stop");
        }
        words
    }

    /// Its process id; empty for a kept place, which has none.
    pub(super) fn pid(&self) -> String {
        match self.ticket.pid {
            0 => String::new(),
            pid => pid.to_string(),
        }
    }

    /// What must change for a watcher on a pipe to see the queue again.
    pub(super) fn key(&self) -> (i64, i64, String) {
        (self.ticket.id, self.ticket.fence, self.state())
    }

    /// The branch that it works on, if it is on one.
    pub(super) fn branch(&self) -> Option<&String> {
        let of_run = self.run.as_ref().map(|(run, _)| &run.branch);
        self.ticket.branch.as_ref().or(of_run)
    }

    /// The number that `connect` knows its run by, if it is to be one.
    pub(super) fn run_number(&self) -> Option<i64> {
        operation::is_run(&self.ticket.reason).then_some(self.ticket.id)
    }

    /// "1/3" of a run that has named three files and built one.
    pub(super) fn files(&self) -> Option<String> {
        let (_, files) = self.run.as_ref()?;
        (files.named > 0).then(|| format!("{}/{}", files.done, files.named))
    }

    /// The state, and whether nobody stands before it.
    pub(super) fn state_and_place(&self) -> String {
        let state = self.state();
        match self.is_detached {
            true => format!("{state}, in the background"),
            false => state,
        }
    }

    /// Since when it holds, or waits.
    pub(super) fn since(&self) -> i64 {
        self.ticket.granted_at.unwrap_or(self.ticket.queued_at)
    }
}

/// Who an operation is for: PLANDEX_ACTOR; empty for a mere terminal.
pub(in crate::cli) fn actor(name: &str) -> &str {
    let is_terminal = name.strip_prefix("tty").is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    });
    if is_terminal { "" } else { name }
}

/// A ticket as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    ticket: i64,
    fencing_token: Option<i64>,
    state: &'static str,
    plan_id: String,
    plan_name: Option<String>,
    scope: &'static str,
    branch: Option<String>,
    run_branch: Option<String>,
    run: Option<String>,
    files_done: Option<u64>,
    files_named: Option<u64>,
    reason: String,
    title: String,
    position: Option<usize>,
    parent: Option<i64>,
    pid: u32,
    command: String,
    actor: String,
    host: String,
    is_yours: bool,
    is_alive: bool,
    is_suspended: bool,
    is_detached: bool,
    is_orphaned: bool,
    stop_requested: bool,
    queued_at: String,
    granted_at: Option<String>,
    last_heartbeat_at: String,
    heartbeat_age_seconds: u64,
    held_seconds: Option<u64>,
    waited_seconds: Option<u64>,
}

impl Document {
    pub(super) fn new(cli: &Cli, project: &Project, seen: &Seen) -> Self {
        let ticket = &seen.ticket;
        let blocks = ticket.state.blocks();
        Self {
            ticket: ticket.id,
            fencing_token: (ticket.fence > 0).then_some(ticket.fence),
            state: ticket.state.word(),
            plan_id: ticket.plan_id.clone(),
            plan_name: seen.plan_name.clone(),
            scope: ticket.scope.word(),
            branch: ticket.branch.clone(),
            run_branch: seen.run.as_ref().map(|(run, _)| run.branch.clone()),
            run: seen.run.as_ref().map(|(run, _)| run.id.clone()),
            files_done: seen.run.as_ref().map(|(_, files)| files.done),
            files_named: seen.run.as_ref().map(|(_, files)| files.named),
            reason: ticket.reason.clone(),
            title: operation::title_of(&ticket.reason).to_owned(),
            position: seen.position,
            parent: ticket.parent,
            pid: ticket.pid,
            command: ticket.command.clone(),
            actor: ticket.actor.clone(),
            host: ticket.host.clone(),
            is_yours: cli.is_ours(project, ticket),
            is_alive: seen.is_alive,
            is_suspended: seen.is_suspended,
            is_detached: seen.is_detached,
            is_orphaned: seen.is_orphaned,
            stop_requested: ticket.cancel_requested,
            queued_at: rfc3339(ticket.queued_at),
            granted_at: ticket.granted_at.map(rfc3339),
            last_heartbeat_at: rfc3339(ticket.last_heartbeat_at),
            heartbeat_age_seconds: since(ticket.last_heartbeat_at).as_secs(),
            held_seconds: ticket
                .granted_at
                .filter(|_| blocks)
                .map(|at| since(at).as_secs()),
            waited_seconds: (!blocks).then(|| since(ticket.queued_at).as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::actor;

    #[test]
    fn a_terminal_is_nobodys_name() {
        for (given, name) in [
            ("", ""),
            ("ann", "ann"),
            ("tty34816-77-123", ""),
            ("ttyler", "ttyler"),
            ("tty", "tty"),
        ] {
            assert_eq!(actor(given), name);
        }
    }
}
