//! Tickets as a table, or, where the terminal is too narrow for one, as a few lines each.

use super::super::session::{Cli, since};
use super::seen::{Seen, actor};
use crate::project::Project;
use crate::store::tickets::State;
use crate::ui::{Frame, Signs, Table, render};

/// Narrower than this, a table of tickets is nothing but wrapped cells.
const NARROW: usize = 110;

/// How many lines a ticket takes: three where it is stacked, and room for a wrapped cell in a table.
pub(super) fn lines_a_ticket(width: usize) -> usize {
    if width < NARROW { 3 } else { 2 }
}

/// `locks`: every ticket.
pub(super) fn tickets(cli: &Cli, project: &Project, all: &[Seen]) {
    if cli.json {
        super::document(cli, project, all);
    } else if let Some(width) = cli.ui.width().filter(|width| *width < NARROW) {
        for seen in all {
            for line in stacked(seen, width, cli.ui.signs()) {
                cli.ui.line(line);
            }
        }
    } else {
        let headings = [
            "Ticket",
            "Plan",
            "Operation",
            "State",
            "For",
            "Heartbeat",
            "Who",
            "Pid",
            "Command",
        ];
        let mut table = Table::new(Frame::Open, headings);
        for seen in all {
            let ticket = &seen.ticket;
            table.row([
                ticket.id.to_string(),
                seen.plan().to_owned(),
                seen.operation(),
                seen.state(),
                render::age(since(seen.since())),
                heartbeat(seen).unwrap_or_default(),
                actor(&ticket.actor).to_owned(),
                seen.pid(),
                ticket.command.clone(),
            ]);
        }
        cli.ui.table(&table);
    }
}

/// `ps`: what runs and what waits.
pub(super) fn runs(cli: &Cli, project: &Project, all: &[Seen]) {
    if cli.json {
        super::document(cli, project, all);
    } else if let Some(width) = cli.ui.width().filter(|width| *width < NARROW) {
        for seen in all {
            for line in stacked(seen, width, cli.ui.signs()) {
                cli.ui.line(line);
            }
        }
    } else {
        let headings = [
            "Pid",
            "Run",
            "Plan",
            "Branch",
            "Operation",
            "State",
            "Since",
            "Files",
            "Who",
            "Command",
        ];
        let mut table = Table::new(Frame::Open, headings);
        for seen in all {
            let ticket = &seen.ticket;
            let since_when = super::super::session::clock_time(seen.since());
            let run = seen.run_number().map(|number| number.to_string());
            table.row([
                seen.pid(),
                run.unwrap_or_default(),
                seen.plan().to_owned(),
                seen.branch().cloned().unwrap_or_default(),
                crate::lock::operation::title_of(&ticket.reason).to_owned(),
                seen.state_and_place(),
                format!("{since_when} ({})", render::age(since(seen.since()))),
                seen.files().unwrap_or_default(),
                actor(&ticket.actor).to_owned(),
                ticket.command.clone(),
            ]);
        }
        cli.ui.table(&table);
    }
}

fn heartbeat(seen: &Seen) -> Option<String> {
    let beats = matches!(seen.ticket.state, State::Held | State::Condemned);
    let age = || render::age(since(seen.ticket.last_heartbeat_at));
    beats.then(|| format!("{} ago", age()))
}

/// A ticket as two or three lines, none wider than `width`.
fn stacked(seen: &Seen, width: usize, signs: &Signs) -> Vec<String> {
    let ticket = &seen.ticket;
    let age = render::age(since(seen.since()));
    let first = format!(
        "{} {} for {age}: {} on {}",
        ticket.id,
        seen.state_and_place(),
        seen.operation(),
        seen.plan()
    );
    let who = actor(&ticket.actor).to_owned();
    let facts = [
        Some(seen.pid())
            .filter(|pid| !pid.is_empty())
            .map(|pid| format!("pid {pid}")),
        Some(who).filter(|who| !who.is_empty()),
        seen.files().map(|files| format!("files {files}")),
        heartbeat(seen).map(|beat| format!("heartbeat {beat}")),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let mut lines = vec![first];
    // A kept place has none of them.
    if !facts.is_empty() {
        lines.push(format!("  {}", facts.join(", ")));
    }
    lines.push(format!("  {}", ticket.command));
    let cut = |line: &String| render::truncated(line, width, signs);
    lines.iter().map(cut).collect()
}
