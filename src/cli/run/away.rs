//! What a follower says when it lost sight of its run, and when the run is over.
//!
//! The words are SEED.md 4.3.1's and 8.3.1's, with true values in them.

use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::report;
use super::super::session::{Cli, since};
use super::background::end_it;
use super::ending::came_to;
use crate::plan::{Event, Report};
use crate::store::messages::State;
use crate::store::streams::{Files, Stream};
use crate::store::tickets::{State as TicketState, Ticket};
use crate::ui::render;

/// Why a follower was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Away {
    /// It was stopped and continued.
    Suspended,
    /// It could not read.
    ReadFailed,
}

/// How a run stands.
pub(super) struct Standing<'a> {
    pub(super) plan: &'a str,
    pub(super) run: &'a Stream,
    /// The branch's status.
    pub(super) status: &'static str,
    pub(super) files: Files,
}

/// A line of the follower's own.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
enum Line<'a> {
    #[serde(rename = "connection.resumed")]
    Resumed {
        turn: &'a str,
        reason: Away,
        status: &'static str,
        files_done: u64,
        files_named: u64,
    },
    #[serde(rename = "run.waiting")]
    Waiting { ticket: i64, position: usize },
    #[serde(rename = "run.lost")]
    Lost {
        turn: &'a str,
        status: &'static str,
        pid: Option<u32>,
    },
}

fn print(cli: &Cli, line: &Line<'_>) {
    cli.ui.json(&cli.stamped(line));
}

/// The run has no turn yet.
pub(super) fn waits(cli: &Cli, ticket: i64, position: usize) {
    if cli.json {
        return print(cli, &Line::Waiting { ticket, position });
    }
    cli.ui.note(format!(
        "Run {ticket} waits for the plan: position {position}"
    ));
}

/// The run's events could not be read.
pub(super) fn lost_sight(cli: &Cli, error: &anyhow::Error) {
    if !cli.json {
        cli.ui.warning(format!("{error:#}"));
        cli.ui.note("Connection lost during operation.\n");
    }
}

/// The follower is back.
pub(super) fn resumed(cli: &Cli, reason: Away, at: &Standing<'_>) {
    if cli.json {
        let line = Line::Resumed {
            turn: &at.run.id,
            reason,
            status: at.status,
            files_done: at.files.done,
            files_named: at.files.named,
        };
        return print(cli, &line);
    }
    if let Some(ended) = &at.run.ended {
        let how = match ended.as_str() {
            "ready" => "operation completed while disconnected",
            "interrupted" => "operation died while disconnected",
            _ => "operation ended while disconnected",
        };
        cli.ui.note("Connection lost. Reconnecting...");
        cli.ui.note(format!("Plan status: {ended} ({how})"));
        return;
    }
    let mut status = at.status.to_owned();
    if let Some(first) = status.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let lost = match reason {
        Away::Suspended => "Connection lost during operation.\n\n",
        // Said when it happened.
        Away::ReadFailed => "",
    };
    cli.ui.note(format!(
        "{lost}Attempting to reconnect... Connected!\n\nChecking operation status...\n  Plan: {}\n  \
         Status: {status}\n  Progress: {}\n\nResuming stream...",
        at.plan,
        progress(at.files)
    ));
}

/// The runner died, or lost its lock: what there is was shown.
pub(super) fn died(cli: &Cli, at: &Standing<'_>, pid: Option<u32>) -> ExitCode {
    if cli.json {
        let line = Line::Lost {
            turn: &at.run.id,
            status: "interrupted",
            pid,
        };
        print(cli, &line);
        return ExitCode::Failed;
    }
    let who = pid.map_or_else(
        || "it lost its lock, or its process is gone".to_owned(),
        |pid| format!("its process, pid {pid}, is gone"),
    );
    cli.ui.note("Connection lost. Reconnecting...");
    cli.ui.note(format!("Plan status: interrupted ({who})"));
    cli.ui.note(format!("Files: {}", progress(at.files)));
    cli.ui.hint(
        "the next operation on the plan keeps the partial reply; see it then with `plandex convo`",
    );
    ExitCode::Failed
}

/// There is no such run, and none will come of its ticket.
pub(super) fn came_to_nothing(cli: &Cli, ticket: i64) -> ExitCode {
    if !cli.json {
        cli.ui.error(format!("run {ticket} came to nothing"));
        cli.ui
            .hint("nothing of it was stored; look with `plandex status`");
    }
    ExitCode::Failed
}

/// The follower leaves before the run's end.
pub(super) fn leaves(cli: &Cli, plan: &str, ticket: &Ticket) {
    if cli.json {
        return;
    }
    let (number, pid, is_waiting) = (ticket.id, ticket.pid, ticket.state == TicketState::Waiting);
    cli.ui
        .note(format!("The run goes on (run {number}, pid {pid})"));
    let end = end_it(plan, pid, is_waiting);
    cli.ui.hint(format!(
        "follow it again with `plandex connect {number}`, end it with {end}"
    ));
}

fn progress(files: Files) -> String {
    match files.named {
        0 => "no file named yet".to_owned(),
        named => format!("{}/{}", files.done, render::counted(named, "file")),
    }
}

/// Introduces the last run to who asked for none in particular.
pub(super) fn last_one(cli: &Cli, plan: &str, branch: &str, run: &Stream) {
    if cli.json {
        return;
    }
    let number = run.ticket;
    let ended = run.ended.as_deref().unwrap_or_default();
    let ago = render::age(since(run.finished_at.unwrap_or(run.started_at)));
    cli.ui.note(format!(
        "No run is at work on plan {plan}, branch {branch}; the last one (run {number}) ended {ago} ago: {ended}"
    ));
}

/// Says what a run came to, by its last event; returns how its command ended.
pub(super) fn verdict(cli: &Cli, run: &Stream, last: Option<&Event>) -> ExitCode {
    if !cli.json {
        let report = Report::read(run.report.as_deref().unwrap_or_default());
        let (state, hint) = match last {
            Some(Event::Completed { state, .. }) => (state.as_str(), None),
            Some(Event::Failed { hint, .. }) => (State::Error.word(), hint.clone()),
            _ => (State::Interrupted.word(), None),
        };
        came_to(cli, &report, state);
        if let Some(hint) = hint {
            cli.ui.hint(hint);
        }
    }
    match (last.and_then(report::run_ended), run.ended.as_deref()) {
        (Some(code), _) => code,
        (None, Some("ready")) => ExitCode::Done,
        (None, _) => ExitCode::Failed,
    }
}
