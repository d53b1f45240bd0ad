//! `diff`: the pending changes, in git's own syntax or side by side.

use std::collections::HashSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::session::{Cli, SCHEMA_VERSION};
use super::status::op_letter;
use crate::lock::operation;
use crate::plan::pending::{self, FileDiff};
use crate::platform::signal::{self, Signal};
use crate::project::{Project, Selected};
use crate::store::branches;
use crate::ui::{Style, Text, Ui, escape, render};

/// How wide two sides are where there is no terminal.
const WIDTH: usize = 120;

/// `plandex diff`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Diff {
    /// Show these files only: paths, directories, quoted patterns ('src/**/*.rs').
    files: Vec<String>,
    /// A patch without colour and pager, for programs: exact to the byte off a terminal.
    #[arg(long, short, group = "how")]
    plain: bool,
    /// The same: a patch that `git apply` takes.
    #[arg(long, group = "how")]
    git: bool,
    /// The old and the new lines beside each other.
    #[arg(long, short, group = "how")]
    side: bool,
    /// The old and the new lines among each other (the default).
    #[arg(long, short, group = "how")]
    line: bool,
    /// Only how many lines of each file come and go.
    #[arg(long, group = "how")]
    stat: bool,
    /// Do not show it a screen at a time; else PLANDEX_PAGER, PAGER, `less -FRX`.
    #[arg(long)]
    no_pager: bool,
    /// Exit 1 if there are changes, as git does.
    #[arg(long)]
    exit_code: bool,
    /// Show the last finished version without waiting for a running operation.
    #[arg(long)]
    snapshot: bool,
}

const HELP: &str = "\
Examples:
  plandex diff                    every pending change against the files as they are now
  plandex diff src                those below src
  plandex diff -s                 old and new beside each other
  plandex diff --plain > x.patch  `git apply x.patch` makes what `plandex apply` would make
  plandex diff --exit-code --stat || echo there is something to apply

--plain and --git print a patch that is exact to the byte off a terminal: `git apply` takes it, with
names, modes, renames, deletions, missing last newlines and what is no text (a `GIT binary patch`).
Without them, characters that could command a terminal are shown escaped.

Exit code: 0; with --exit-code 1 if there are changes (an error is 1, too: look at stderr).";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    files: Vec<FileDocument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument<'a> {
    path: &'a str,
    op: char,
    /// The name that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<bool>,
    added: i64,
    removed: i64,
    has_drifted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    /// Bytes that are no text stand as U+FFFD here.
    diff: String,
}

impl<'a> FileDocument<'a> {
    fn new(file: &'a FileDiff) -> Self {
        Self {
            path: &file.change.path,
            op: op_letter(&file.change),
            moved_from: file.change.moved_from.as_deref(),
            executable: file.change.executable,
            added: file.change.added,
            removed: file.change.removed,
            has_drifted: file.has_drifted,
            problem: file.problem.as_deref(),
            diff: String::from_utf8_lossy(&file.patch).into_owned(),
        }
    }
}

/// `plandex diff [FILES…]`
pub(super) fn diff(cli: &Cli, args: &Diff) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let mut files = look(cli, args, &project, &selected)?;
    if !args.files.is_empty() {
        let pending = files.iter().map(|file| file.change.clone()).collect();
        let chosen = super::pending::chosen(cli, &project, pending, &args.files)?;
        // Half of a move is a change that nobody made: whoever names one has both.
        let ids: HashSet<String> = chosen.into_iter().map(|change| change.id).collect();
        files.retain(|file| ids.contains(&file.change.id));
    }
    let code = match args.exit_code && !files.is_empty() {
        true => ExitCode::Failed,
        false => ExitCode::Done,
    };
    if cli.json {
        let files = files.iter().map(FileDocument::new).collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            files,
        });
        return Ok(code);
    }
    if files.is_empty() {
        cli.ui.note("No pending changes");
    }
    for file in &files {
        warn(cli, file);
    }
    let is_escaped = |file: &FileDiff| escape::bytes(&file.patch).as_bytes() != file.patch;
    let is_patch = !args.side && !args.stat && !args.plain && !args.git;
    if is_patch && !cli.ui.can_page() && files.iter().any(is_escaped) {
        cli.ui.warning(
            "some characters are shown escaped; `plandex diff --plain` prints all as they are",
        );
    }
    let pager = cli.environment.pager();
    let is_paged =
        cli.ui.can_page() && !args.no_pager && !args.plain && !args.git && !files.is_empty();
    match pager.filter(|_| is_paged) {
        Some(pager) => {
            // Ctrl-C is for the pager.
            let ears = signal::watch_these(&[Signal::Interrupt], |_| {})?;
            cli.ui.paged(&pager, |ui| show(ui, args, &files));
            drop(ears);
        }
        None => show(&cli.ui, args, &files),
    }
    Ok(code)
}

fn look(
    cli: &Cli,
    args: &Diff,
    project: &std::sync::Arc<Project>,
    selected: &Selected,
) -> Result<Vec<FileDiff>> {
    if args.snapshot {
        return pending::diff(project, &selected.branch);
    }
    let job = Job {
        project,
        plan_id: &selected.plan.id,
        branch: Some(&selected.branch.name),
        operation: operation::DIFF,
    };
    let id = selected.branch.id.clone();
    operate(
        cli,
        &job,
        move |_, turn, _: &mut dyn FnMut(())| {
            // Read under the ticket: the head may have moved while this waited.
            let branch = turn.project.store.read(|tx| branches::by_id(tx, &id))?;
            branch.map_or_else(|| Ok(Vec::new()), |b| pending::diff(turn.project, &b))
        },
        |()| {},
    )
}

fn warn(cli: &Cli, file: &FileDiff) {
    let path = &file.change.path;
    if let Some(problem) = &file.problem {
        cli.ui
            .warning(format!("{path} cannot be compared: {problem}"));
    } else if file.has_drifted {
        cli.ui
            .warning(format!("{path} was modified since last read"));
    }
}

fn show(ui: &Ui, args: &Diff, files: &[FileDiff]) {
    if args.stat {
        let is_shown = |file: &&FileDiff| !file.is_renamed_away;
        let stat = |file: &FileDiff| render::FileStat {
            name: file.name("=>"),
            lines: file
                .lines
                .map(|(added, removed)| (added as u64, removed as u64)),
        };
        let stats: Vec<_> = files.iter().filter(is_shown).map(stat).collect();
        if !stats.is_empty() {
            let rows = render::stat(&stats, ui.width().unwrap_or(80), ui.signs());
            rows.into_iter().for_each(|row| ui.line(row));
        }
        return;
    }
    for file in files {
        match args.side {
            true => beside(ui, file),
            false if args.plain || args.git => ui.patch(&file.patch),
            false => ui.diff(&file.patch),
        }
    }
}

fn beside(ui: &Ui, file: &FileDiff) {
    if file.patch.is_empty() {
        return;
    }
    let width = ui.width().unwrap_or(WIDTH);
    let name = file.name(ui.signs().arrow);
    let head = format!("{} {name}", op_letter(&file.change));
    ui.line(Text::styled(Style::Bold, head));
    if file.lines.is_none() {
        ui.line("  no text: see its patch with `plandex diff --plain`");
    }
    for hunk in file.beside() {
        ui.line(Text::styled(Style::Cyan, "-".repeat(width.min(WIDTH))));
        for row in &hunk {
            ui.line(render::beside(
                row.old
                    .as_ref()
                    .map(|(number, line)| (*number, line.as_str())),
                row.new
                    .as_ref()
                    .map(|(number, line)| (*number, line.as_str())),
                width,
                ui.signs(),
            ));
        }
    }
    ui.line("");
}
