//! `rewind`: a branch goes back to one of its earlier versions.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::lock::operation;
use crate::plan::rewind::{self, Target};
use crate::ui::{Style, Text};

/// `plandex rewind`
#[derive(Debug, Args)]
#[command(
    after_help = "A rewind is a new version with the content of the old one: conversation, context, pending \
        changes, summaries and settings of this branch are as they were then. Nothing leaves the \
        history: `rewind --undo` comes back, and so does `rewind ID`. Files of the project stay as \
        they are.\n\n\
        Examples:\n  plandex rewind                one version back\n  plandex rewind 3              three \
        versions back: to line 3 of `plandex log`\n  plandex rewind ab5b1f9f52     to that version\n  \
        plandex rewind --undo         to where the last rewind began\n\n\
        Exit codes: 0 rewound; 2 there is no such version, nothing was changed; 75 the plan is taken."
)]
pub(super) struct Rewind {
    /// How many versions back (its line in `plandex log`), or the beginning of a version's id; 1 if
    /// nothing is given.
    #[arg(value_name = "STEPS|ID")]
    target: Option<String>,
    /// Take back the last rewind, if nothing was done since.
    #[arg(long, conflicts_with = "target")]
    undo: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    plan: String,
    branch: String,
    /// The head before, the version whose content it has now, and the new head.
    from: String,
    to: String,
    version: String,
    steps: usize,
    title: String,
    undo: bool,
}

/// `plandex rewind [STEPS|ID] [--undo]`
pub(super) fn rewind(cli: &Cli, args: &Rewind) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let target = match (&args.target, args.undo) {
        (_, true) => Target::BeforeRewind,
        (None, false) => Target::Steps(1),
        (Some(text), false) => Target::parse(text).ok_or_else(|| {
            let message = format!("\"{text}\" is neither a number of steps nor a version");
            UsageError::new(message, "`plandex log` lists both")
        })?,
    };
    let way = rewind::way(&project, &selected, &target)?;
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::REWIND,
    };
    let (branch, going) = (selected.branch.name.clone(), way.clone());
    let version = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| rewind::rewind(turn, permit, &branch, &going),
        |()| {},
    )?;
    if cli.json {
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan: selected.plan.name,
            branch: selected.branch.name,
            from: way.from.version.to_string(),
            to: way.to.version.to_string(),
            version: version.to_string(),
            steps: way.to.steps,
            title: way.to.title().to_owned(),
            undo: way.is_undo,
        });
        return Ok(ExitCode::Done);
    }
    let short: String = way.to.version.to_string().chars().take(10).collect();
    let how = if way.is_undo {
        "Took the rewind back, to ".to_owned()
    } else {
        format!("Rewound {} to ", rewind::steps(way.to.steps))
    };
    cli.ui.line(
        Text::from(how)
            .then(Style::Yellow, short)
            .plain(format!(": {}", way.to.title())),
    );
    if !way.is_undo {
        cli.ui.hint("`plandex rewind --undo` takes it back");
    }
    Ok(ExitCode::Done)
}
