//! `diff`: the pending changes as a unified diff.

use anyhow::Result;
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::session::{Cli, SCHEMA_VERSION};
use super::status::op_letter;
use crate::lock::operation;
use crate::plan::pending::{self, FileDiff};
use crate::store::branches;

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
    added: i64,
    removed: i64,
    has_drifted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    diff: &'a str,
}

impl<'a> FileDocument<'a> {
    fn new(file: &'a FileDiff) -> Self {
        Self {
            path: &file.change.path,
            op: op_letter(&file.change),
            added: file.change.added,
            removed: file.change.removed,
            has_drifted: file.has_drifted,
            problem: file.problem.as_deref(),
            diff: &file.unified,
        }
    }
}

/// `plandex diff [--snapshot]`
pub(super) fn diff(cli: &Cli, args: &args::Diff) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let files = if args.snapshot {
        pending::diff(&project, &selected.branch)?
    } else {
        let job = Job {
            project: &project,
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
        )?
    };
    if cli.json {
        let files = files.iter().map(FileDocument::new).collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            files,
        });
        return Ok(ExitCode::Done);
    }
    if files.is_empty() {
        cli.ui.note("No pending changes");
    }
    for file in &files {
        if let Some(problem) = &file.problem {
            let path = &file.change.path;
            cli.ui
                .warning(format!("{path} cannot be compared: {problem}"));
        } else if file.has_drifted {
            cli.ui
                .warning(format!("{} was modified since last read", file.change.path));
        }
        cli.ui.diff(&file.unified);
    }
    Ok(ExitCode::Done)
}
