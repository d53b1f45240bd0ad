//! `update`.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::session::{Cli, SCHEMA_VERSION};
use super::{Halt, SkippedDocument, called_off, skipped_documents, tokens_of};
use crate::context::{self, Compared, Outdated, Renewal, Source};
use crate::lock::operation;
use crate::platform::cancel::Cancel;
use crate::project::{Project, Selected};
use crate::store::contexts::{self, Context, Kind};
use crate::ui::{Confirmed, Preset, Style, Text, render};

/// `plandex update`
#[derive(Debug, Args)]
#[command(after_help = "\
What changed is listed first: M for what is shown as it is now, D for what is gone and is taken out, A
and D below a tree for its paths, each with the tokens that it is more or less. Pages are fetched
again; notes and piped text are as they are. `plandex rewind` takes it back.

Examples:
  plandex update
  plandex update --yes src/main.rs
  plandex update -y 'src/**/*.rs' 7

Exit codes: 0 updated, or nothing was outdated; 2 a word fits nothing, 5 a page could not be fetched, 9
declined, or no terminal to ask on and no --yes; 75 the plan could not be had.")]
pub(in super::super) struct Update {
    /// Only these: names, numbers, ranges, patterns, directories, as for `plandex rm`.
    #[arg(value_name = "ENTRY")]
    entries: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// A change of an entry for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeDocument {
    name: String,
    kind: &'static str,
    /// "modified" or "deleted".
    change: &'static str,
    token_delta: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added_paths: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed_paths: Vec<String>,
}

/// `plandex update`
pub(in super::super) fn update(cli: &Cli, args: &Update) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let mut entries = of_branch(&project, &selected)?;
    if !args.entries.is_empty() {
        let below = super::below(cli, &project);
        let places = context::select(&entries, &args.entries, &below)?;
        entries = places.iter().map(|place| entries[*place].clone()).collect();
    }
    let urls: Vec<String> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Url)
        .filter_map(|entry| entry.origin.url.clone())
        .collect();
    let pages = super::fetch_all(cli, &urls)?;
    let max_file_bytes = cli.settings(&project)?.max_file_size;
    let source = Source {
        root: &project.root,
        cwd: &cli.cwd,
        cancel: &Cancel::new()?,
    };
    let compared = context::compare(&source, &entries, max_file_bytes, &pages)?;
    if compared.outdated.is_empty() {
        report(cli, &project, &selected, &compared)?;
        return Ok(ExitCode::Done);
    }
    if !args.yes {
        show(cli, &project, &selected, &compared);
        match cli.ui.confirm("Update the context?", Preset::Yes) {
            Confirmed::Yes => {}
            Confirmed::No | Confirmed::Cancelled => return Ok(ExitCode::Declined),
            Confirmed::NotATerminal => return Err(Halt::Unconfirmed.into()),
        }
    }
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::UPDATE,
    };
    let name = selected.branch.name.clone();
    let ids: BTreeSet<String> = entries.into_iter().map(|entry| entry.id).collect();
    let (root, cwd) = (project.root.clone(), cli.cwd.clone());
    let updated = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| {
            let source = Source {
                root: &root,
                cwd: &cwd,
                cancel: &turn.cancel,
            };
            let refreshing = context::Refreshing {
                max_file_bytes,
                pages: &pages,
                only: Some(&ids),
            };
            context::refresh_branch(turn, permit, &name, &source, &refreshing)
                .map_err(|error| called_off(error, &turn.cancel))
        },
        |()| {},
    )?;
    report(cli, &project, &selected, &updated)?;
    Ok(ExitCode::Done)
}

pub(super) fn of_branch(project: &Project, selected: &Selected) -> Result<Vec<Context>> {
    let id = &selected.branch.id;
    project.store.read(|tx| contexts::of_branch(tx, id))
}

fn report(cli: &Cli, project: &Project, selected: &Selected, compared: &Compared) -> Result<()> {
    let total = tokens_of(&of_branch(project, selected)?);
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            updated: Vec<ChangeDocument>,
            skipped: Vec<SkippedDocument>,
            total_tokens: u64,
        }
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            updated: documents(project, selected, &compared.outdated),
            skipped: skipped_documents(&compared.skipped),
            total_tokens: total,
        });
        return Ok(());
    }
    for skipped in &compared.skipped {
        let (path, reason) = (&skipped.path, &skipped.reason);
        cli.ui
            .note(format!("{path} stays as it was loaded: {reason}"));
    }
    if compared.outdated.is_empty() {
        cli.ui.note("Nothing is outdated");
        return Ok(());
    }
    for line in lines(project, selected, &compared.outdated) {
        cli.ui.line(line);
    }
    let items = render::counted(compared.outdated.len() as u64, "item");
    let total = render::tokens(total);
    cli.ui
        .note(format!("{items} updated; {total} tokens loaded"));
    Ok(())
}

/// Lists on stderr what is outdated.
pub(super) fn show(cli: &Cli, project: &Project, selected: &Selected, compared: &Compared) {
    for line in lines(project, selected, &compared.outdated) {
        cli.ui.note(line);
    }
}

/// `M src/a.rs  +12 tokens`
fn lines(project: &Project, selected: &Selected, outdated: &[Outdated]) -> Vec<Text> {
    let mut lines = Vec::new();
    for one in outdated {
        let style = match one.renewal {
            Renewal::Modified(_) => Style::Yellow,
            Renewal::Deleted => Style::Red,
        };
        let delta = one.token_delta();
        let tokens = render::tokens(delta.unsigned_abs());
        let sign = if delta < 0 { "-" } else { "+" };
        lines.push(Text::styled(style, one.mark()).plain(format!(
            " {}  {sign}{} {}",
            one.entry.name,
            tokens.trim_start_matches('~'),
            if delta.abs() == 1 { "token" } else { "tokens" }
        )));
        let (added, removed) = paths(project, selected, one);
        let marked = |mark, style, paths: Vec<String>| {
            let line = move |path| Text::from("  ").then(style, mark).plain(format!(" {path}"));
            paths.into_iter().map(line)
        };
        lines.extend(marked("A", Style::Green, added));
        lines.extend(marked("D", Style::Red, removed));
    }
    lines
}

pub(super) fn documents(
    project: &Project,
    selected: &Selected,
    all: &[Outdated],
) -> Vec<ChangeDocument> {
    let document = |one: &Outdated| {
        let (added_paths, removed_paths) = paths(project, selected, one);
        ChangeDocument {
            name: one.entry.name.clone(),
            kind: one.entry.kind.word(),
            change: match one.renewal {
                Renewal::Modified(_) => "modified",
                Renewal::Deleted => "deleted",
            },
            token_delta: one.token_delta(),
            added_paths,
            removed_paths,
        }
    };
    all.iter().map(document).collect()
}

/// The paths that a tree has gained and lost.
fn paths(project: &Project, selected: &Selected, one: &Outdated) -> (Vec<String>, Vec<String>) {
    let (Kind::Tree, Renewal::Modified(item)) = (one.entry.kind, &one.renewal) else {
        return Default::default();
    };
    // They only explain: without them the change is listed still.
    let repo = project.repo(&selected.plan.id);
    let Ok(before) = repo.and_then(|repo| repo.blob(&one.entry.blob)) else {
        return Default::default();
    };
    let (before, now) = (
        String::from_utf8_lossy(&before),
        String::from_utf8_lossy(&item.body),
    );
    let set = |text: &'_ str| -> BTreeSet<String> { text.lines().map(str::to_owned).collect() };
    let (before, now) = (set(&before), set(&now));
    let without = |these: &BTreeSet<String>, those: &BTreeSet<String>| {
        these.difference(those).cloned().collect()
    };
    (without(&now, &before), without(&before, &now))
}
