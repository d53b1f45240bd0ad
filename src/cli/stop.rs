//! `stop`: asks what changes the plan now to end; with --force, takes its lock if it does not.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::locks::{by, is_orphaned};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use super::waiting::outside_tickets;
use crate::lock::{self, Forced, Notice, Patience, operation};
use crate::platform::{process, wait};
use crate::project::Project;
use crate::store::TicketTx;
use crate::store::tickets::{self, State, Ticket, ToStop};

/// How long --force waits for a runner to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks at whether it has.
const TICK: Duration = Duration::from_millis(20);

/// `plandex stop`
#[derive(Debug, Args)]
#[command(
    after_help = "The runner is woken at once, keeps the part of the reply that it has, and exits 143; continue \
        from there. Without --force this command does not wait for it.\n\n\
        --force waits five seconds. Then the lock is taken from a runner that has not ended (it is \
        suspended, or hangs): whatever it still does is refused, it exits 79, and the next operation \
        marks its reply as interrupted and keeps what was stored of it.\n\n\
        With a ticket's number (`plandex ps`) that operation is asked, whether it runs or waits for its turn; \
        all others go on.\n\n\
        Examples:\n  plandex stop\n  plandex stop 12                    what has ticket 12, though it only waits\n  \
        plandex stop --plan work --force\n\n\
        Exit codes: 0 asked, or nothing runs; 1 what it runs does not die; 2 no such ticket."
)]
pub(super) struct Stop {
    /// The ticket of the operation to stop; else what changes the plan now.
    ticket: Option<i64>,
    /// Take the lock from a runner that does not end within five seconds.
    #[arg(long)]
    force: bool,
}

/// What became of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Became {
    Asked,
    Ended,
    Forced,
    Stays,
}

/// `plandex stop [--force]`
pub(super) fn stop(cli: &Cli, args: &Stop) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let plan_id = selected.plan.id.as_str();
    let which = args.ticket.map_or(ToStop::Writing, ToStop::One);
    let asked = outside_tickets(cli, &project, ("stop", plan_id), |patience, on_wait| {
        lock::retrying(patience, &project.cancel, on_wait, |gate, busy| {
            let ask = |tx: &TicketTx<'_>| tickets::request_cancel(tx, plan_id, which);
            project.store.tickets_trying(gate, busy, ask)
        })
    })?;
    if let (true, Some(ticket)) = (asked.is_empty(), args.ticket) {
        let message = format!(
            "nothing on plan \"{}\" has ticket {ticket}",
            selected.plan.name
        );
        return Err(UsageError::new(message, "`plandex ps` lists what runs and what waits").into());
    }
    if asked.is_empty() && !cli.json {
        cli.ui
            .note(format!("Nothing runs on plan {}", selected.plan.name));
        let line = project.store.read(|tx| tickets::line(tx, plan_id))?;
        if line.iter().any(|ticket| ticket.state == State::Waiting) {
            cli.ui
                .hint("what waits ends with `plandex stop TICKET`: see `plandex ps`");
        }
    }
    if !cli.json {
        say_asked(cli, &asked, args);
    }
    let mut results = vec![Became::Asked; asked.len()];
    if args.force {
        results = outside_tickets(cli, &project, ("stop", plan_id), |patience, on_wait| {
            insist(&project, &asked, patience, on_wait)
        })?;
    }
    if cli.json {
        let stopped: Vec<i64> = asked.iter().map(|ticket| ticket.id).collect();
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "stopped": stopped, "results": results,
        }));
    } else {
        say_results(cli, &asked, &results);
    }
    Ok(if results.contains(&Became::Stays) {
        ExitCode::Failed
    } else {
        ExitCode::Done
    })
}

fn say_asked(cli: &Cli, asked: &[Ticket], args: &Stop) {
    for ticket in asked {
        let title = operation::title_of(&ticket.reason);
        cli.ui.line(format!(
            "Asked {title} to stop (pid {}: {})",
            ticket.pid, ticket.command
        ));
        if !args.force && is_orphaned(ticket) {
            cli.ui.warning(format!(
                "pid {} has ended and hears nothing, but what it started goes on",
                ticket.pid
            ));
            cli.ui
                .hint("end that and take the lock with `plandex stop --force`");
        } else if !args.force && process::is_stopped(ticket.pid, ticket.process_start) {
            cli.ui
                .warning(format!("pid {} is suspended and hears nothing", ticket.pid));
            cli.ui
                .hint("continue it, or take its lock with `plandex stop --force`");
        }
    }
}

/// Waits for the end of `asked`, then takes what is left from its owners.
fn insist(
    project: &Project,
    asked: &[Ticket],
    patience: Patience,
    on_wait: &mut dyn FnMut(&Notice),
) -> Result<Vec<Became>> {
    let (store, cancel) = (&project.store, &project.cancel);
    let until = Instant::now() + GRACE;
    let is_there = |ticket: &Ticket| {
        let found = store.read(|tx| tickets::by_id(tx, ticket.id))?;
        anyhow::Ok(found.is_some_and(|found| found.fence == ticket.fence))
    };
    let mut results = Vec::new();
    for ticket in asked {
        let mut is_left = is_there(ticket)?;
        while is_left && Instant::now() < until {
            wait::readable(&[], TICK)?;
            is_left = is_there(ticket)?;
        }
        results.push(if is_left {
            match lock::force(store, ticket, &by(project), cancel, patience, on_wait)? {
                Forced::Released => Became::Forced,
                Forced::Changed => Became::Ended,
                Forced::Stays => Became::Stays,
            }
        } else {
            Became::Ended
        });
    }
    Ok(results)
}

fn say_results(cli: &Cli, asked: &[Ticket], results: &[Became]) {
    for (ticket, became) in asked.iter().zip(results) {
        let title = operation::title_of(&ticket.reason);
        let pid = ticket.pid;
        match became {
            Became::Asked => {}
            Became::Ended => cli.ui.line(format!("{title} has ended (pid {pid})")),
            Became::Forced if operation::is_command(&ticket.reason) => cli.ui.line(format!(
                "Took the lock from {title} (pid {pid}), which did not end, and killed what it ran"
            )),
            Became::Forced => cli.ui.line(format!(
                "Took the lock from {title} (pid {pid}), which did not end; the next operation keeps \
                 its partial reply"
            )),
            Became::Stays => cli.ui.error(format!(
                "what {title} (pid {pid}) runs cannot be seen from here, or does not die; it still blocks"
            )),
        }
    }
}
