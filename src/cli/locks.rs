//! `ps`, `locks`, `stop`: the queue as people see it.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::exit::ExitCode;
use super::session::{Cli, SCHEMA_VERSION, rfc3339, since};
use crate::lock::rules::{self, Standing};
use crate::lock::{operation, owner};
use crate::platform::process;
use crate::project::Project;
use crate::store::tickets::{self, State, Ticket};
use crate::store::{ReadTx, plans};
use crate::ui::{Frame, Table, render};

/// A ticket with what is known around it.
pub(super) struct Seen {
    pub(super) ticket: Ticket,
    pub(super) plan_name: Option<String>,
    pub(super) position: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LockDocument {
    ticket: i64,
    fencing_token: Option<i64>,
    state: &'static str,
    plan_id: String,
    plan_name: Option<String>,
    scope: &'static str,
    branch: Option<String>,
    reason: String,
    title: String,
    position: Option<usize>,
    pid: u32,
    command: String,
    actor: String,
    host: String,
    is_alive: bool,
    is_suspended: bool,
    queued_at: String,
    granted_at: Option<String>,
    last_heartbeat_at: String,
    held_seconds: Option<u64>,
    waited_seconds: Option<u64>,
}

/// All tickets, plan by plan, in the order of the line.
pub(super) fn seen(tx: &ReadTx<'_>) -> Result<Vec<Seen>> {
    let all = tickets::all(tx)?;
    let mut seen = Vec::with_capacity(all.len());
    for line in all.chunk_by(|one, other| one.plan_id == other.plan_id) {
        let standings: Vec<Standing<'_>> = line.iter().map(Standing::from).collect();
        let plan = plans::by_id(tx, &line[0].plan_id)?;
        for (index, ticket) in line.iter().enumerate() {
            seen.push(Seen {
                ticket: ticket.clone(),
                plan_name: plan.as_ref().map(|plan| plan.name.clone()),
                position: rules::position(&standings, index),
            });
        }
    }
    Ok(seen)
}

/// `plandex ps`: what runs now, on any plan of the project.
pub(super) fn ps(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    let mut running = project.store.read(seen)?;
    running.retain(|seen| seen.ticket.state.blocks());
    if running.is_empty() && !cli.json {
        cli.ui.note("Nothing runs");
        return Ok(ExitCode::Done);
    }
    show(cli, &project, &running);
    Ok(ExitCode::Done)
}

/// `plandex locks`: everybody who holds or waits.
pub(super) fn locks(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    let all = project.store.read(seen)?;
    if all.is_empty() && !cli.json {
        cli.ui.note("No operation runs or waits");
        return Ok(ExitCode::Done);
    }
    show(cli, &project, &all);
    Ok(ExitCode::Done)
}

fn show(cli: &Cli, project: &Project, seen: &[Seen]) {
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            locks: Vec<LockDocument>,
        }
        let locks = seen.iter().map(|seen| document(project, seen)).collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            locks,
        });
        return;
    }
    let mut table = Table::new(
        Frame::Open,
        [
            "Ticket",
            "Plan",
            "Operation",
            "State",
            "For",
            "Heartbeat",
            "Pid",
            "Command",
        ],
    );
    for seen in seen {
        let ticket = &seen.ticket;
        let title = operation::title_of(&ticket.reason);
        let on = ticket
            .branch
            .as_ref()
            .map(|branch| format!(" ({branch})"))
            .unwrap_or_default();
        let beat = if ticket.state == State::Held {
            format!("{} ago", render::age(since(ticket.last_heartbeat_at)))
        } else {
            String::new()
        };
        table.row([
            ticket.id.to_string(),
            seen.plan_name
                .clone()
                .unwrap_or_else(|| ticket.plan_id.clone()),
            format!("{title}{on}"),
            state_words(project, seen),
            render::age(since(ticket.granted_at.unwrap_or(ticket.queued_at))),
            beat,
            ticket.pid.to_string(),
            ticket.command.clone(),
        ]);
    }
    cli.ui.table(&table);
}

/// "held", "waiting, 2nd", "held, suspended", "held, dead".
fn state_words(project: &Project, seen: &Seen) -> String {
    let ticket = &seen.ticket;
    let mut words = ticket.state.word().to_owned();
    if let (State::Waiting, Some(position)) = (ticket.state, seen.position) {
        words = format!("waiting, position {position}");
    }
    if !owner::is_alive(project.dir(), &ticket.owner_id) {
        words.push_str(", dead");
    } else if process::is_stopped(ticket.pid, ticket.process_start) {
        words.push_str(", suspended");
    }
    words
}

fn document(project: &Project, seen: &Seen) -> LockDocument {
    let ticket = &seen.ticket;
    let blocks = ticket.state.blocks();
    LockDocument {
        ticket: ticket.id,
        fencing_token: (ticket.fence > 0).then_some(ticket.fence),
        state: ticket.state.word(),
        plan_id: ticket.plan_id.clone(),
        plan_name: seen.plan_name.clone(),
        scope: ticket.scope.word(),
        branch: ticket.branch.clone(),
        reason: ticket.reason.clone(),
        title: operation::title_of(&ticket.reason).to_owned(),
        position: seen.position,
        pid: ticket.pid,
        command: ticket.command.clone(),
        actor: ticket.actor.clone(),
        host: ticket.host.clone(),
        is_alive: owner::is_alive(project.dir(), &ticket.owner_id),
        is_suspended: process::is_stopped(ticket.pid, ticket.process_start),
        queued_at: rfc3339(ticket.queued_at),
        granted_at: ticket.granted_at.map(rfc3339),
        last_heartbeat_at: rfc3339(ticket.last_heartbeat_at),
        held_seconds: ticket
            .granted_at
            .filter(|_| blocks)
            .map(|at| since(at).as_secs()),
        waited_seconds: (!blocks).then(|| since(ticket.queued_at).as_secs()),
    }
}

/// `plandex stop`: asks what changes the plan now to end; what it has is kept.
pub(super) fn stop(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let asked = project.store.tickets(Duration::from_secs(5), |tx| {
        tickets::request_cancel(tx, &selected.plan.id)
    })?;
    if cli.json {
        let tickets: Vec<i64> = asked.iter().map(|ticket| ticket.id).collect();
        cli.ui
            .json(&serde_json::json!({"schemaVersion": SCHEMA_VERSION, "stopped": tickets}));
        return Ok(ExitCode::Done);
    }
    if asked.is_empty() {
        cli.ui
            .note(format!("Nothing runs on plan {}", selected.plan.name));
    }
    for ticket in asked {
        let title = operation::title_of(&ticket.reason);
        cli.ui.line(format!(
            "Asked {title} to stop (pid {}: {})",
            ticket.pid, ticket.command
        ));
    }
    Ok(ExitCode::Done)
}
