//! `rewind`: a branch goes back to one of its earlier versions.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION};
use crate::apply::{self, NotUndoable, OnConflict};
use crate::lock::operation;
use crate::plan::rewind::{self, Target, Way};
use crate::project::Turn;
use crate::store::tickets::WritePermit;
use crate::ui::{Confirmed, Preset, Style, Text};

/// `plandex rewind`
#[derive(Debug, Args)]
#[command(
    after_help = "A rewind is a new version with the content of the old one: conversation, context, pending \
        changes, summaries and settings of this branch are as they were then. Nothing leaves the \
        history: `rewind --undo` comes back, and so does `rewind ID`. The version before a rewind is line 1 of \
        the log then, so `rewind` typed twice is where it began: `plandex log` has the numbers.\n\n\
        Files of the project stay as they are, unless applies since then wrote some and you say that \
        they are to go back (--revert, or yes on a terminal): then each of those applies is undone as \
        `apply --undo` does it, and a file that changed since is yours and stays.\n\n\
        Examples:\n  plandex rewind                one version back\n  plandex rewind 3              three \
        versions back: to line 3 of `plandex log`\n  plandex rewind ab5b1f9f52     to that version\n  \
        plandex rewind --undo         to where the last rewind began\n\n\
        Exit codes: 0 rewound; 2 there is no such version, nothing was changed; 10 rewound, and some files could \
        not be put back; 75 the plan is taken."
)]
pub(super) struct Rewind {
    /// How many versions back (its line in `plandex log`), or the beginning of a version's id; 1 if
    /// nothing is given.
    #[arg(value_name = "STEPS|ID")]
    target: Option<String>,
    /// Take back the last rewind, if nothing was done since.
    #[arg(long, conflicts_with = "target")]
    undo: bool,
    /// Put back the files that applies wrote since that version, where they are still as written.
    #[arg(long, conflicts_with = "skip_revert")]
    revert: bool,
    /// Leave the files of the project as they are, and do not ask.
    #[arg(long)]
    skip_revert: bool,
}

/// What became of files that applies had written.
#[derive(Debug, Default)]
struct Reverted {
    files: Vec<String>,
    left: Vec<String>,
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
    /// The files that were put back, and those that were not, with why.
    reverted: Vec<String>,
    left: Vec<String>,
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
    let applies = applies_to_revert(cli, args, &way);
    let (branch, going) = (selected.branch.name.clone(), way.clone());
    let (version, reverted) = operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| {
            let reverted = revert(turn, permit, &branch, &applies)?;
            Ok((rewind::rewind(turn, permit, &branch, &going)?, reverted))
        },
        |()| {},
    )?;
    let code = if reverted.left.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Partial
    };
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
            reverted: reverted.files,
            left: reverted.left,
        });
        return Ok(code);
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
    for path in &reverted.files {
        cli.ui.line(format!("Put back {path}"));
    }
    for line in &reverted.left {
        cli.ui.warning(format!("not put back: {line}"));
    }
    if !way.is_undo {
        cli.ui.hint("`plandex rewind --undo` takes it back");
    }
    Ok(code)
}

/// The applies since the version whose files are to go back, newest first.
fn applies_to_revert(cli: &Cli, args: &Rewind, way: &Way) -> Vec<String> {
    if way.applies.is_empty() || args.skip_revert {
        return Vec::new();
    }
    let question = "Applies since then wrote files. Put back those that are still as written?";
    if args.revert || cli.ui.confirm(question, Preset::No) == Confirmed::Yes {
        return way.applies.clone();
    }
    let hint = "files that applies wrote since then stay as they are; `--revert` puts them back";
    cli.ui.hint(hint);
    Vec::new()
}

/// Undoes `applies`; what cannot be undone is left, and the rewind goes on.
fn revert(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_name: &str,
    applies: &[String],
) -> Result<Reverted> {
    let mut reverted = Reverted::default();
    for id in applies {
        let branch = turn.branch(branch_name)?;
        let apply = match apply::undoable(turn.project, &branch.id, Some(id)) {
            Ok(apply) => apply,
            // Undone already, or its originals are kept no more.
            Err(error) if error.is::<NotUndoable>() => {
                reverted.left.push(format!("apply {id}: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        let undone = apply::undo(
            turn,
            permit,
            branch_name,
            &apply,
            OnConflict::Skip,
            |_, _, _| {},
        )?;
        reverted.files.extend(undone.written);
        let left = undone.skipped.iter().chain(&undone.failed);
        let left = left.map(|one| format!("{} {}", one.path, one.why));
        reverted.left.extend(left);
    }
    Ok(reverted)
}
