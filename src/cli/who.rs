//! `who`: which plans want a file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::locks::{self, Seen, actor};
use super::pending::in_project;
use super::session::{Cli, SCHEMA_VERSION, rfc3339, since};
use super::status::{op_letter, op_word};
use crate::project::Project;
use crate::store::changes::{self, Wanted};
use crate::store::tickets::Scope;
use crate::ui::{Style, Text, render};

/// `plandex who`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Who {
    /// The files; none for all that more than one plan wants.
    files: Vec<PathBuf>,
}

const HELP: &str = "\
Examples:
  plandex who src/main.rs   every plan and branch on which it is pending, and what runs there now
  plandex who               the files that more than one plan wants
  plandex who a.txt -q && echo somebody wants it

Exit codes: 0 somebody wants one of the files (or there are files that several plans want), 1 nobody
does.";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    files: Vec<FileDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument {
    path: String,
    wanted_by: Vec<WantedDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WantedDocument {
    plan: String,
    plan_id: String,
    branch: String,
    op: &'static str,
    added: i64,
    removed: i64,
    pending_since: String,
    /// What changes that plan right now.
    running: Option<RunningDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RunningDocument {
    ticket: i64,
    title: String,
    actor: String,
    pid: u32,
}

/// `plandex who [FILES…]`
pub(super) fn who(cli: &Cli, args: &Who) -> Result<ExitCode> {
    let project = cli.open()?;
    let files = wanted(cli, args, &project)?;
    let running: Vec<Seen> = locks::seen(&project)?
        .into_iter()
        .filter(|seen| seen.ticket.scope == Scope::Write && seen.ticket.state.blocks())
        .collect();
    let code = match files.iter().all(|(_, wanted)| wanted.is_empty()) {
        true => ExitCode::Failed,
        false => ExitCode::Done,
    };
    if cli.json {
        let files = files.into_iter().map(|file| document(file, &running));
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            files: files.collect(),
        });
        return Ok(code);
    }
    if files.is_empty() {
        cli.ui.note("No file is wanted by more than one plan");
    }
    for (path, wanted) in &files {
        if wanted.is_empty() {
            cli.ui.note(format!("Nobody wants {path}"));
            continue;
        }
        cli.ui.line(Text::styled(Style::Bold, path));
        for one in wanted {
            cli.ui.line(line(cli, one, &running));
        }
    }
    Ok(code)
}

fn wanted(cli: &Cli, args: &Who, project: &Project) -> Result<Vec<(String, Vec<Wanted>)>> {
    if !args.files.is_empty() {
        let paths = args.files.iter().map(|file| in_project(cli, project, file));
        let of = |path: String| {
            let wanted = project.store.read(|tx| changes::wanting(tx, &path))?;
            Ok((path, wanted))
        };
        return paths.map(of).collect();
    }
    let mut files: Vec<(String, Vec<Wanted>)> = Vec::new();
    for wanted in project.store.read(changes::wanted_twice)? {
        match files.last_mut() {
            Some((path, all)) if *path == wanted.change.path => all.push(wanted),
            _ => files.push((wanted.change.path.clone(), vec![wanted])),
        }
    }
    Ok(files)
}

fn running_on<'s>(running: &'s [Seen], wanted: &Wanted) -> Option<&'s Seen> {
    running
        .iter()
        .find(|seen| seen.ticket.plan_id == wanted.plan_id && seen.is_alive)
}

fn line(cli: &Cli, wanted: &Wanted, running: &[Seen]) -> Text {
    let change = &wanted.change;
    let stats = render::stats(
        change.added.unsigned_abs(),
        change.removed.unsigned_abs(),
        cli.ui.signs(),
    );
    let head = format!(
        "  {} plan {}, branch {} ",
        op_letter(change),
        wanted.plan,
        wanted.branch
    );
    let age = render::age(since(change.created_at));
    let mut line = Text::from(head)
        .join(stats)
        .plain(format!(", pending for {age}"));
    if let Some(seen) = running_on(running, wanted) {
        let ticket = &seen.ticket;
        let by = match actor(&ticket.actor) {
            "" => format!("pid {}", ticket.pid),
            name => name.to_owned(),
        };
        line = line.then(
            Style::Yellow,
            format!("; {} runs there now ({by})", seen.operation()),
        );
    }
    line
}

fn document((path, wanted): (String, Vec<Wanted>), running: &[Seen]) -> FileDocument {
    let one = |wanted: Wanted| {
        let running = running_on(running, &wanted).map(|seen| RunningDocument {
            ticket: seen.ticket.id,
            title: seen.operation().to_string(),
            actor: seen.ticket.actor.clone(),
            pid: seen.ticket.pid,
        });
        WantedDocument {
            op: op_word(&wanted.change),
            added: wanted.change.added,
            removed: wanted.change.removed,
            pending_since: rfc3339(wanted.change.created_at),
            plan: wanted.plan,
            plan_id: wanted.plan_id,
            branch: wanted.branch,
            running,
        }
    };
    FileDocument {
        path,
        wanted_by: wanted.into_iter().map(one).collect(),
    }
}
