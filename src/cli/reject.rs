//! `reject`: gives up pending changes.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::pending::chosen;
use super::report::{Unasked, UsageError};
use super::session::{Cli, SCHEMA_VERSION};
use super::status::pending_line;
use crate::lock::operation;
use crate::plan::pending::reject as end;
use crate::store::changes::{self, Change};
use crate::ui::{Confirmed, Preset, render};

/// `plandex reject`
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Reject {
    /// The files, directories with all that is pending below them, or quoted patterns ('src/**/*.rs').
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    files: Vec<String>,
    /// Everything that is pending.
    #[arg(long, short)]
    all: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

const HELP: &str = "\
Examples:
  plandex reject src/main.rs   give up what is pending of one file
  plandex reject -a -y         give up everything, without a question

The project's files are not touched. What was rejected is not built again by `plandex build`; it is
in the versions of the plan still (`plandex log`). Both names of a file that was to be renamed go
together.

Exit codes: 0 done (or nothing was pending), 2 a file is not pending, 9 declined, or nobody to ask.";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema_version: u32,
    rejected: Vec<&'a str>,
}

/// `plandex reject FILES…`
pub(super) fn reject(cli: &Cli, args: &Reject) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let pending = project
        .store
        .read(|tx| changes::pending(tx, &selected.branch.id))?;
    // With --all no file is named, which means all.
    let meant = chosen(cli, &project, pending, &args.files)?;
    if meant.is_empty() {
        say(cli, &[]);
        return Ok(ExitCode::Done);
    }
    if !args.yes {
        if !cli.json {
            for change in &meant {
                cli.ui.note(pending_line(cli, change));
            }
        }
        let files = render::counted(meant.len() as u64, "pending change");
        match cli.ui.confirm(format!("Reject {files}?"), Preset::No) {
            Confirmed::Yes => {}
            Confirmed::No | Confirmed::Cancelled => return Ok(ExitCode::Declined),
            Confirmed::NotATerminal => {
                return Err(Unasked {
                    what: "reject",
                    hint: "the same command with -y; nothing was rejected",
                }
                .into());
            }
        }
    }
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::REJECT,
    };
    let branch = selected.branch.name.clone();
    // Only what was shown, unless somebody asked for all there is.
    let shown: Vec<String> = meant.iter().map(|change| change.id.clone()).collect();
    let is_all = args.all && args.yes;
    let rejected = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| {
            let is_meant = |change: &Change| is_all || shown.contains(&change.id);
            end(turn, permit, &branch, &is_meant)
        },
        |()| {},
    )?;
    if rejected.is_empty() && !is_all {
        let message = "what was to be rejected is not pending any more";
        return Err(UsageError::new(message, "see what is with `plandex status`").into());
    }
    say(cli, &rejected);
    Ok(ExitCode::Done)
}

fn say(cli: &Cli, rejected: &[Change]) {
    let paths: Vec<&str> = rejected.iter().map(|change| change.path.as_str()).collect();
    if cli.json {
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            rejected: paths,
        });
        return;
    }
    if rejected.is_empty() {
        cli.ui.note("No pending changes");
        return;
    }
    if cli.ui.is_quiet() {
        let files = render::counted(paths.len() as u64, "file");
        cli.ui.line(format!("Rejected {files}"));
        return;
    }
    for path in &paths {
        cli.ui.line(format!("Rejected {path}"));
    }
}
