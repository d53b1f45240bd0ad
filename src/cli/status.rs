//! `status`: the plan, its pending files, its queue, and how the last run ended.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::exit::ExitCode;
use super::locks::{self, Seen, actor};
use super::session::{Cli, SCHEMA_VERSION, rfc3339, since};
use crate::lock::estimate::{self, Expected};
use crate::lock::operation;
use crate::lock::rules::Standing;
use crate::plan::Report;
use crate::project::{Project, Selected};
use crate::store::branches::Status;
use crate::store::changes::{self, Change, Wanted};
use crate::store::messages::State as MessageState;
use crate::store::streams::{self, Files, Stream};
use crate::store::tickets::State;
use crate::store::{ReadTx, applies, audit};
use crate::ui::{Style, Text, render};

/// So many past operations of a kind make an estimate.
const SAMPLES: i64 = 20;

struct Picture {
    pending: Vec<Change>,
    /// Who else wants those files.
    elsewhere: Vec<Wanted>,
    queue: Vec<Seen>,
    /// Until this terminal's own operation starts.
    estimate: Option<Duration>,
    last: Option<Stream>,
    /// How far the last run is, if it is at work.
    files: Files,
    /// What the last run could not build.
    files_left: Vec<String>,
    status: Status,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_start_seconds: Option<u64>,
    last_run: Option<serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PendingDocument {
    path: String,
    op: &'static str,
    added: i64,
    removed: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    /// Other plans and branches that want the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wanted_by: Vec<WantedDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WantedDocument {
    plan: String,
    plan_id: String,
    branch: String,
}

fn wanted_by(elsewhere: &[Wanted], path: &str) -> Vec<WantedDocument> {
    let of_path = elsewhere.iter().filter(|wanted| wanted.change.path == path);
    let document = |wanted: &Wanted| WantedDocument {
        plan: wanted.plan.clone(),
        plan_id: wanted.plan_id.clone(),
        branch: wanted.branch.clone(),
    };
    of_path.map(document).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueDocument {
    ticket: i64,
    position: Option<usize>,
    state: &'static str,
    title: String,
    is_yours: bool,
    is_alive: bool,
    is_suspended: bool,
    actor: String,
    pid: u32,
    command: String,
}

/// `plandex status`
pub(super) fn status(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let picture = look(cli, &project, &selected)?;
    if cli.json {
        cli.ui.json(&document(cli, &project, &selected, picture));
        return Ok(ExitCode::Done);
    }
    let branch = &selected.branch;
    let head = format!("Plan {}, branch {}: ", selected.plan.name, branch.name);
    let (word, style) = if picture.status != branch.status {
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
    show_last_run(cli, &picture);
    show_pending(cli, &picture.pending, &picture.elsewhere);
    show_queue(cli, &project, &selected, &picture);
    Ok(ExitCode::Done)
}

fn look(cli: &Cli, project: &Project, selected: &Selected) -> Result<Picture> {
    let needs_repair = project.needs_repair(&selected.plan.id)?;
    let status = project.status_now(&selected.plan.id, selected.branch.status)?;
    let mut queue = locks::seen(project)?;
    queue.retain(|seen| seen.ticket.plan_id == selected.plan.id && seen.position.is_some());
    queue.sort_by_key(|seen| seen.position);
    project.store.read(|tx| {
        let estimate = match queued(cli, project, &queue) {
            Some(mine) => estimate(tx, &queue, mine)?,
            None => None,
        };
        let last = streams::last(tx, &selected.branch.id)?;
        let files = match &last {
            Some(last) if last.finished_at.is_none() => streams::files(tx, &last.id)?,
            _ => Files::default(),
        };
        let left = last.as_ref().map(|last| changes::left_by(tx, &last.id));
        let pending = changes::pending(tx, &selected.branch.id)?;
        let paths: Vec<&str> = pending.iter().map(|change| change.path.as_str()).collect();
        Ok(Picture {
            elsewhere: changes::pending_elsewhere(tx, &selected.branch.id, &paths)?,
            estimate,
            files_left: left.transpose()?.unwrap_or_default(),
            pending,
            queue,
            last,
            files,
            status,
            needs_repair,
            interrupted_applies: applies::standing(tx, applies::UNDECIDED)?.len(),
        })
    })
}

/// The run's report with its times, and the files that it could not build.
fn last_run(stream: &Stream, files_left: &[String]) -> serde_json::Value {
    let report = stream.report.as_deref().unwrap_or_default();
    let mut fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(report).unwrap_or_default();
    let (started, finished) = (rfc3339(stream.started_at), stream.finished_at.map(rfc3339));
    fields.insert("run".to_owned(), stream.id.clone().into());
    fields.insert("ticket".to_owned(), stream.ticket.into());
    fields.insert("status".to_owned(), stream.ended.clone().into());
    fields.insert("startedAt".to_owned(), started.into());
    fields.insert("finishedAt".to_owned(), finished.into());
    fields.insert("filesLeft".to_owned(), files_left.into());
    fields.into()
}

fn show_last_run(cli: &Cli, picture: &Picture) {
    let Some(stream) = &picture.last else { return };
    let report = Report::read(stream.report.as_deref().unwrap_or_default());
    let when = render::age(since(stream.finished_at.unwrap_or(stream.started_at)));
    let Some(ended) = stream.ended.as_deref() else {
        return show_at_work(cli, picture, stream, &when);
    };
    let mut line = format!("Last run: {ended} {when} ago");
    let (completed, total) = (report.completed(), report.total());
    if total > 0 {
        let all = render::counted(total as u64, "file");
        line = format!("{line}, {completed} of {all} built");
    }
    if report.failed > 0 {
        line = format!("{line}, {} failed", report.failed);
    }
    cli.ui.line(line);
    for error in &report.errors {
        cli.ui.line(Text::styled(Style::Red, format!("  {error}")));
    }
    if report.kept > 0 {
        let kept = render::counted(report.kept as u64, "file");
        cli.ui.line(format!("Kept for `plandex build`: {kept}"));
    }
    let left = match report.remaining.is_empty() {
        true => &picture.files_left,
        false => &report.remaining,
    };
    if !left.is_empty() {
        cli.ui.line(format!("Files left: {}", left.join(", ")));
        cli.ui.hint(
            "what failed is as it was: `plandex build` tries again, `plandex tell` asks anew",
        );
    }
    let cut = [
        MessageState::Interrupted.word(),
        MessageState::Stopped.word(),
        MessageState::Error.word(),
    ];
    if stream
        .ended
        .as_deref()
        .is_some_and(|ended| cut.contains(&ended))
    {
        cli.ui
            .hint("the partial reply is kept: see `plandex convo`, go on with `plandex continue`");
    }
}

/// A run that has not ended: at work, or dead.
fn show_at_work(cli: &Cli, picture: &Picture, stream: &Stream, age: &str) {
    let number = stream.ticket;
    let is_at_work = picture
        .queue
        .iter()
        .any(|seen| seen.ticket.id == number && seen.is_alive);
    if !is_at_work {
        cli.ui
            .line(format!("Last run: run {number} died, begun {age} ago"));
        return;
    }
    let files = match picture.files.named {
        0 => String::new(),
        named => format!(
            ", {}/{} built",
            picture.files.done,
            render::counted(named, "file")
        ),
    };
    cli.ui
        .line(format!("Run {number} is at work, begun {age} ago{files}"));
    cli.ui
        .hint(format!("follow it with `plandex connect {number}`"));
}

/// More pending files than this are not all listed, unless all are asked for,
const LISTED_MAX: usize = 40;
/// but so many.
const LISTED: usize = 20;

fn show_pending(cli: &Cli, pending: &[Change], elsewhere: &[Wanted]) {
    if pending.is_empty() {
        cli.ui.line("No pending changes");
        return;
    }
    cli.ui.line(format!("Pending changes ({}):", pending.len()));
    let listed: Vec<&Change> = pending
        .iter()
        .filter(|change| !is_moved_away(pending, change))
        .collect();
    let shown = match cli.verbosity() {
        0 if listed.len() > LISTED_MAX => LISTED,
        _ => listed.len(),
    };
    for change in &listed[..shown] {
        cli.ui.line(pending_line(cli, change));
    }
    if shown < listed.len() {
        let more = render::count((listed.len() - shown) as u64);
        cli.ui
            .line(format!("  and {more} more: `plandex status -v` lists all"));
    }
    show_overlaps(cli, elsewhere);
    cli.ui
        .hint("look with `plandex diff`, write them with `plandex apply`");
}

/// A pending change as a line.
pub(super) fn pending_line(cli: &Cli, change: &Change) -> Text {
    let (added, removed) = (change.added.unsigned_abs(), change.removed.unsigned_abs());
    let signs = cli.ui.signs();
    let name = match &change.moved_from {
        Some(from) => format!("{from} {} {}", signs.arrow, change.path),
        None => change.path.clone(),
    };
    let line = Text::from(format!("  {} {name} ", op_letter(change)));
    let line = line.join(render::stats(added, removed, signs));
    match change.executable {
        Some(true) => line.then(Style::Yellow, "  becomes a program"),
        Some(false) => line.plain("  is no program any more"),
        None => line,
    }
}

/// Whether a change is the old name of a file, which is told of under its new one.
fn is_moved_away(pending: &[Change], change: &Change) -> bool {
    let mut others = pending.iter();
    change.blob.is_none() && others.any(|other| other.moved_from.as_ref() == Some(&change.path))
}

/// So many files of other plans are named.
const OVERLAPS: usize = 10;

/// The files that others want too.
fn show_overlaps(cli: &Cli, elsewhere: &[Wanted]) {
    for wanted in elsewhere.iter().take(OVERLAPS) {
        let Wanted {
            plan,
            branch,
            change,
            ..
        } = wanted;
        let line = format!(
            "  {} is pending on plan {plan}, branch {branch}, too",
            change.path
        );
        cli.ui.line(Text::styled(Style::Yellow, line));
    }
    let more = elsewhere.len().saturating_sub(OVERLAPS);
    if more > 0 {
        cli.ui.line(format!("  and {more} more: see `plandex who`"));
    }
    if !elsewhere.is_empty() {
        cli.ui
            .hint("whoever applies first makes the other's file a drifted one: see `plandex who`");
    }
}

/// SEED.md 8.2.2.
fn show_queue(cli: &Cli, project: &Project, selected: &Selected, picture: &Picture) {
    let queue = &picture.queue;
    if queue.is_empty() {
        return;
    }
    let ours = queued(cli, project, queue);
    if ours.is_some() {
        cli.ui.line("Your operation is queued.");
        cli.ui.line("");
    }
    cli.ui
        .line(format!("Queue status for plan '{}':", selected.plan.name));
    for seen in queue {
        let ticket = &seen.ticket;
        let title = seen.operation();
        let whose = match actor(&ticket.actor) {
            _ if cli.is_ours(project, ticket) => "Your operation: ".to_owned(),
            "" => format!("{} (pid {}): ", ticket.command, ticket.pid),
            name => format!("{name}: "),
        };
        let age = render::age(since(ticket.granted_at.unwrap_or(ticket.queued_at)));
        let (state, mut when) = if ticket.state.blocks() {
            ("Running", format!("started {age} ago"))
        } else {
            ("Waiting", format!("waiting for {age}"))
        };
        if !seen.is_alive {
            when.push_str(", its process is gone");
        } else if seen.is_suspended {
            when.push_str(", suspended");
        } else if seen.is_orphaned {
            when.push_str(", ended, but what it started goes on");
        }
        let head = format!("  {}. [{state}] {whose}", seen.position.unwrap_or(0));
        let tail = format!("{title} ({when})");
        let line = format!("{head}{tail}");
        match cli.ui.width() {
            Some(width) if render::columns(&line) > width => {
                for line in [head.trim_end().to_owned(), format!("     {tail}")] {
                    let line = render::truncated(&line, width, cli.ui.signs());
                    cli.ui.line(line);
                }
            }
            _ => cli.ui.line(line),
        }
    }
    if ours.is_some() {
        let when = match picture.estimate {
            Some(estimate) => format!("~{}", render::age_words(estimate)),
            None => "unknown".to_owned(),
        };
        cli.ui.line("");
        cli.ui.line(format!("Estimated start time: {when}"));
    }
}

/// This terminal's or actor's own operation that waits first.
fn queued<'q>(cli: &Cli, project: &Project, queue: &'q [Seen]) -> Option<&'q Seen> {
    let waits = |seen: &&Seen| seen.ticket.state == State::Waiting;
    let ours = |seen: &&Seen| cli.is_ours(project, &seen.ticket);
    queue.iter().find(|seen| waits(seen) && ours(seen))
}

/// How long until `mine` has its turn, from what such operations took; `None` if that is unknown.
fn estimate(tx: &ReadTx<'_>, queue: &[Seen], mine: &Seen) -> Result<Option<Duration>> {
    let mut past = Vec::new();
    for seen in queue {
        past.push(audit::durations(tx, &seen.ticket.reason, SAMPLES)?);
    }
    let (mut running, mut waiting) = (Vec::new(), Vec::new());
    for (seen, past) in queue.iter().zip(&past) {
        let ticket = &seen.ticket;
        let claim = Standing::from(ticket).claim;
        let ran = ticket.granted_at.map_or(Duration::ZERO, since);
        let expected = Expected { claim, past, ran };
        if ticket.state.blocks() {
            running.push(expected);
        } else if ticket.state == State::Waiting && seen.position < mine.position {
            waiting.push(expected);
        }
    }
    let claim = Standing::from(&mine.ticket).claim;
    Ok(estimate::until_turn(&running, &waiting, claim))
}

/// "A", "M", "D" or "R", as git prints them.
pub(super) fn op_letter(change: &Change) -> char {
    match (&change.base_hash, &change.blob) {
        (None, Some(_)) if change.moved_from.is_some() => 'R',
        (None, _) => 'A',
        (Some(_), Some(_)) => 'M',
        (Some(_), None) => 'D',
    }
}

/// The same as a word.
pub(super) fn op_word(change: &Change) -> &'static str {
    match op_letter(change) {
        'A' => "add",
        'D' => "delete",
        'R' => "rename",
        _ => "update",
    }
}

fn document(cli: &Cli, project: &Project, selected: &Selected, picture: Picture) -> Document {
    Document {
        schema_version: SCHEMA_VERSION,
        plan: selected.plan.name.clone(),
        plan_id: selected.plan.id.clone(),
        branch: selected.branch.name.clone(),
        status: picture.status.word(),
        error: selected.branch.error.clone(),
        needs_repair: picture.needs_repair,
        interrupted_applies: picture.interrupted_applies,
        pending: picture
            .pending
            .iter()
            .map(|change| PendingDocument {
                path: change.path.clone(),
                op: op_word(change),
                added: change.added,
                removed: change.removed,
                moved_from: change.moved_from.clone(),
                executable: change.executable,
                wanted_by: wanted_by(&picture.elsewhere, &change.path),
            })
            .collect(),
        estimated_start_seconds: picture.estimate.map(|estimate| estimate.as_secs()),
        queue: picture
            .queue
            .iter()
            .map(|seen| QueueDocument {
                ticket: seen.ticket.id,
                position: seen.position,
                state: seen.ticket.state.word(),
                title: operation::title_of(&seen.ticket.reason).to_owned(),
                is_yours: cli.is_ours(project, &seen.ticket),
                is_alive: seen.is_alive,
                is_suspended: seen.is_suspended,
                actor: seen.ticket.actor.clone(),
                pid: seen.ticket.pid,
                command: seen.ticket.command.clone(),
            })
            .collect(),
        last_run: picture
            .last
            .map(|stream| last_run(&stream, &picture.files_left)),
    }
}
