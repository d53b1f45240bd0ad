//! `locks --timeline`: the audit as a picture, written whole or not at all.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::super::exit::ExitCode;
use super::super::report::UsageError;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::args::Locks;
use super::seen::{actor, named_plan};
use crate::lock::operation;
use crate::platform::{clock, file};
use crate::project::Project;
use crate::store::history::{self, Past};
use crate::store::tickets::{self, Scope, State, Ticket};
use crate::store::{Store, plans};
use crate::ui::render::counted;
use crate::ui::render::timeline::{self, End, Operation, Timeline};

/// How far back a picture goes by itself.
const BACK: &str = "1h";
/// A picture of more bars than this is none. The newest are drawn.
const MOST: usize = 20_000;

/// The kinds of file.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Svg,
    Html,
}

/// `plandex locks --timeline FILE.svg|FILE.html [--since D] [--force]`
pub(super) fn timeline(cli: &Cli, path: &Path, args: &Locks) -> Result<ExitCode> {
    let kind = kind(path)?;
    let from = super::since_time(args.since.as_deref().unwrap_or(BACK))?;
    let project = cli.open()?;
    let target = cli.cwd.join(path);
    check_directory(&target)?;
    if !args.force {
        check_replaceable(&project.store, &target)?;
    }
    let picture = gather(&project, from)?;
    let text = match kind {
        Kind::Svg => timeline::svg(&picture),
        Kind::Html => timeline::html(&picture),
    };
    // Replacing takes the name and never follows a link that has it.
    file::write_atomic(&target, text.as_bytes(), 0o644)?;
    let count = picture.operations.len();
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "file": target.to_string_lossy(),
            "operations": count, "isMore": picture.is_more,
        }));
        return Ok(ExitCode::Done);
    }
    let drawn = counted(u64::try_from(count).unwrap_or(u64::MAX), "operation");
    cli.ui.line(format!("Drew {drawn} into {}", path.display()));
    if picture.is_more {
        cli.ui
            .note("Earlier ones were left out; choose a shorter time with --since");
    }
    Ok(ExitCode::Done)
}

fn kind(path: &Path) -> Result<Kind> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => Ok(Kind::Svg),
        Some("html" | "htm") => Ok(Kind::Html),
        _ => {
            let message = format!("{} is neither .svg nor .html", path.display());
            Err(UsageError::new(message, "name the picture queue.svg or queue.html").into())
        }
    }
}

/// Fails unless there is a directory for `path` to stand in.
fn check_directory(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.is_dir() => {
            let message = format!("{} is no directory", parent.display());
            Err(UsageError::new(message, "make it first, or draw into another").into())
        }
        _ => Ok(()),
    }
}

/// Fails unless there is nothing at `path`, or an earlier picture of ours.
fn check_replaceable(store: &Store, path: &Path) -> Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        meta => meta.with_context(|| format!("looking at {}", path.display()))?,
    };
    // What is no plain file, or one of the database's own under another name, is not even opened.
    let mut is_ours = false;
    if meta.is_file() && !store.is_own_file(&meta) {
        let mut beginning = Vec::new();
        File::open(path)
            .with_context(|| format!("opening {}", path.display()))?
            .take(256)
            .read_to_end(&mut beginning)
            .with_context(|| format!("reading {}", path.display()))?;
        is_ours = String::from_utf8_lossy(&beginning).contains(timeline::MARK);
    }
    if is_ours {
        return Ok(());
    }
    let message = format!("{} is there and is no earlier picture", path.display());
    let hint = "choose another name, or replace it with --force";
    Err(UsageError::new(message, hint).into())
}

fn gather(project: &Project, from: i64) -> Result<Timeline> {
    let plan = named_plan(project)?;
    let until = clock::wall_ms();
    let (operations, is_more) = project.store.read(|tx| {
        let (rows, is_more) = history::since(tx, from, plan.as_deref(), MOST)?;
        let mut all = tickets::all(tx)?;
        all.retain(|ticket| plan.as_ref().is_none_or(|plan| *plan == ticket.plan_id));
        let held: HashSet<i64> = all.iter().map(|ticket| ticket.fence).collect();
        let waits = all.iter().filter(|ticket| ticket.state == State::Waiting);
        let past = rows
            .into_iter()
            .map(|row| of_row(row, &held))
            .chain(waits.map(of_ticket));
        let mut operations: Vec<Operation> = past.collect();
        let mut names = std::collections::HashMap::new();
        for one in &mut operations {
            if !names.contains_key(&one.plan) {
                let found = plans::by_id(tx, &one.plan)?;
                let name = found.map_or_else(|| one.plan.clone(), |plan| plan.name);
                names.insert(one.plan.clone(), name);
            }
            one.plan.clone_from(&names[&one.plan]);
        }
        Ok((operations, is_more))
    })?;
    Ok(Timeline {
        title: format!("Who waited and who held: {}", project.root.display()),
        from,
        until,
        operations,
        is_more,
        zone: crate::config::local_zone(),
    })
}

/// The plan is its id here.
fn of_row(past: Past, held: &HashSet<i64>) -> Operation {
    let entry = past.entry;
    let end = match entry.outcome.as_deref() {
        None if held.contains(&entry.id) => End::Holds,
        Some("released") => End::Released,
        Some("cancelled") => End::Cancelled,
        Some("timed out") => End::TimedOut,
        Some("lease expired") => End::LeaseExpired,
        Some("owner died") => End::OwnerDied,
        Some("forced") => End::Forced,
        Some("unconfirmed") => End::Unconfirmed,
        Some("deadlock") => End::Deadlock,
        Some("parent ended") => End::ParentEnded,
        // A row removed by hand leaves no end behind; a newer plandex may have words of its own.
        None | Some(_) => End::Other,
    };
    Operation {
        audit: Some(entry.id),
        ticket: entry.ticket,
        pid: entry.pid,
        command: entry.command,
        actor: actor(&entry.actor).to_owned(),
        plan: entry.plan_id,
        branch: entry.branch,
        title: operation::title_of(&entry.reason).to_owned(),
        is_write: entry.scope != Scope::Read.letter(),
        queued_at: entry.queued_at,
        granted_at: entry.granted_at,
        ended_at: entry.ended_at,
        end,
        ended_by: past.ended_by,
    }
}

fn of_ticket(ticket: &Ticket) -> Operation {
    Operation {
        audit: None,
        ticket: ticket.id,
        pid: ticket.pid,
        command: ticket.command.clone(),
        actor: actor(&ticket.actor).to_owned(),
        plan: ticket.plan_id.clone(),
        branch: ticket.branch.clone(),
        title: operation::title_of(&ticket.reason).to_owned(),
        is_write: ticket.scope == Scope::Write,
        queued_at: ticket.queued_at,
        granted_at: None,
        ended_at: None,
        end: End::Waits,
        ended_by: None,
    }
}
