//! `status`: the plan, its pending files, its queue, and how the last run ended.

use anyhow::Result;
use serde::Serialize;

use super::exit::ExitCode;
use super::locks::{self, Seen};
use super::session::{Cli, SCHEMA_VERSION, since};
use crate::lock::operation;
use crate::project::{Project, Selected};
use crate::store::applies;
use crate::store::changes::{self, Change};
use crate::store::messages::State as MessageState;
use crate::store::streams::{self, Stream};
use crate::ui::{Style, Text, render};

struct Picture {
    pending: Vec<Change>,
    queue: Vec<Seen>,
    last: Option<Stream>,
    needs_repair: bool,
    interrupted_applies: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    plan: String,
    plan_id: String,
    branch: String,
    status: &'static str,
    error: Option<String>,
    needs_repair: bool,
    interrupted_applies: usize,
    pending: Vec<PendingDocument>,
    queue: Vec<QueueDocument>,
    last_run: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingDocument {
    path: String,
    op: &'static str,
    added: i64,
    removed: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueDocument {
    ticket: i64,
    position: Option<usize>,
    state: &'static str,
    title: String,
    is_yours: bool,
    pid: u32,
    command: String,
}

/// `plandex status`
pub(super) fn status(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let picture = look(&project, &selected)?;
    if cli.json {
        cli.ui.json(&document(cli, &project, &selected, picture));
        return Ok(ExitCode::Done);
    }
    let branch = &selected.branch;
    let head = format!("Plan {}, branch {}: ", selected.plan.name, branch.name);
    let (word, style) = if picture.needs_repair {
        ("interrupted (the next operation repairs it)", Style::Yellow)
    } else if branch.error.is_some() {
        (branch.status.word(), Style::Red)
    } else {
        (branch.status.word(), Style::Bold)
    };
    cli.ui.line(Text::from(head).then(style, word));
    if let Some(error) = &branch.error {
        cli.ui.line(format!("  {error}"));
    }
    if picture.interrupted_applies > 0 {
        cli.ui
            .line("An apply was interrupted: the next `plandex apply` finishes or undoes it");
    }
    show_last_run(cli, picture.last.as_ref());
    show_pending(cli, &picture.pending);
    show_queue(cli, &project, &selected, &picture.queue);
    Ok(ExitCode::Done)
}

fn look(project: &Project, selected: &Selected) -> Result<Picture> {
    let needs_repair = project.needs_repair(&selected.plan.id)?;
    let mut queue = locks::seen(project)?;
    queue.retain(|seen| seen.ticket.plan_id == selected.plan.id && seen.position.is_some());
    queue.sort_by_key(|seen| seen.position);
    project.store.read(|tx| {
        Ok(Picture {
            pending: changes::pending(tx, &selected.branch.id)?,
            queue,
            last: streams::last(tx, &selected.branch.id)?,
            needs_repair,
            interrupted_applies: applies::standing(tx, applies::UNDECIDED)?.len(),
        })
    })
}

fn show_last_run(cli: &Cli, last: Option<&Stream>) {
    let Some(stream) = last else { return };
    let report: Option<serde_json::Value> = stream
        .report
        .as_deref()
        .and_then(|report| serde_json::from_str(report).ok());
    let ended = stream.ended.as_deref().unwrap_or("running");
    let when = render::age(since(stream.finished_at.unwrap_or(stream.started_at)));
    let mut line = format!("Last run: {ended} {when} ago");
    if let Some(report) = &report {
        let count = |name: &str| report.get(name).and_then(serde_json::Value::as_u64);
        let (built, failed) = (count("built").unwrap_or(0), count("failed").unwrap_or(0));
        line.push_str(&format_args!(", {built} built, {failed} failed").to_string());
    }
    cli.ui.line(line);
    let errors = report
        .as_ref()
        .and_then(|report| report.get("errors")?.as_array());
    for error in errors
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
    {
        cli.ui.line(Text::styled(Style::Red, format!("  {error}")));
    }
    if stream.ended.as_deref() == Some(MessageState::Interrupted.word()) {
        cli.ui
            .hint("the partial reply is kept: see `plandex convo`");
    }
}

fn show_pending(cli: &Cli, pending: &[Change]) {
    if pending.is_empty() {
        cli.ui.line("No pending changes");
        return;
    }
    cli.ui.line(format!("Pending changes ({}):", pending.len()));
    for change in pending {
        let stats = render::stats(
            change.added.unsigned_abs(),
            change.removed.unsigned_abs(),
            cli.ui.signs(),
        );
        cli.ui
            .line(Text::from(format!("  {} {} ", op_letter(change), change.path)).join(stats));
    }
    cli.ui
        .hint("look with `plandex diff`, write them with `plandex apply`");
}

fn show_queue(cli: &Cli, project: &Project, selected: &Selected, queue: &[Seen]) {
    if queue.is_empty() {
        return;
    }
    cli.ui
        .line(format!("Queue status for plan '{}':", selected.plan.name));
    for seen in queue {
        let ticket = &seen.ticket;
        let state = if ticket.state.blocks() {
            "Running"
        } else {
            "Waiting"
        };
        let title = operation::title_of(&ticket.reason);
        let whose = if cli.is_ours(project, ticket) {
            "Your operation: ".to_owned()
        } else if ticket.actor.is_empty() || ticket.actor.starts_with("tty") {
            format!("{} (pid {}): ", ticket.command, ticket.pid)
        } else {
            format!("{}: ", ticket.actor)
        };
        let when = since(ticket.granted_at.unwrap_or(ticket.queued_at));
        let what = if ticket.state.blocks() {
            "started"
        } else {
            "waiting"
        };
        let ago = match what {
            "started" => format!("started {} ago", render::age(when)),
            _ => format!("waiting for {}", render::age(when)),
        };
        cli.ui.line(format!(
            "  {}. [{state}] {whose}{title} ({ago})",
            seen.position.unwrap_or(0)
        ));
    }
}

/// "A", "M" or "D", as git prints them.
pub(super) fn op_letter(change: &Change) -> char {
    match (&change.base_hash, &change.blob) {
        (None, _) => 'A',
        (Some(_), Some(_)) => 'M',
        (Some(_), None) => 'D',
    }
}

fn document(cli: &Cli, project: &Project, selected: &Selected, picture: Picture) -> Document {
    let op = |change: &Change| match op_letter(change) {
        'A' => "add",
        'D' => "delete",
        _ => "update",
    };
    Document {
        schema_version: SCHEMA_VERSION,
        plan: selected.plan.name.clone(),
        plan_id: selected.plan.id.clone(),
        branch: selected.branch.name.clone(),
        status: selected.branch.status.word(),
        error: selected.branch.error.clone(),
        needs_repair: picture.needs_repair,
        interrupted_applies: picture.interrupted_applies,
        pending: picture
            .pending
            .iter()
            .map(|change| PendingDocument {
                path: change.path.clone(),
                op: op(change),
                added: change.added,
                removed: change.removed,
            })
            .collect(),
        queue: picture
            .queue
            .iter()
            .map(|seen| QueueDocument {
                ticket: seen.ticket.id,
                position: seen.position,
                state: seen.ticket.state.word(),
                title: operation::title_of(&seen.ticket.reason).to_owned(),
                is_yours: cli.is_ours(project, &seen.ticket),
                pid: seen.ticket.pid,
                command: seen.ticket.command.clone(),
            })
            .collect(),
        last_run: picture
            .last
            .and_then(|stream| serde_json::from_str(&stream.report.unwrap_or_default()).ok()),
    }
}
