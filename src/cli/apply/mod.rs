//! `apply`: shows, asks, takes the turn, writes, and says what became of each file.

pub(super) mod args;
mod asking;
mod commit;
mod pick;
mod report;
mod show;
mod undo;
mod verdict;

use std::cell::OnceCell;
use std::sync::Arc;

use anyhow::Result;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::Unasked;
use super::session::Cli;
use crate::apply::{self, Applied, ApplyError, Classified, Doing, OnFailure, Options, Reported};
use crate::lock::operation;
use crate::project::{Project, Selected, Turn};
use crate::store::tickets::WritePermit;
use crate::ui::{Bar, Confirmed, Preset, Progress, Ui};
use args::Apply;
use report::Told;

pub(super) use verdict::{git, not_undoable, unknown, verdict};

/// So many files are written with a bar.
const BAR_FROM: usize = 200;

/// `plandex apply`
pub(super) fn apply(cli: &Cli, args: &Apply) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    if let Some(id) = &args.undo {
        return undo::undo(cli, args, &project, &selected, id);
    }
    let mut picked = pick::pick(cli, args, &project, &selected)?;
    if picked.is_empty() && !args.dry_run {
        // Whoever is at work may be about to leave something to apply.
        turn(cli, &project, &selected)?;
        picked = pick::pick(cli, args, &project, &selected)?;
    }
    let mut classified = picked.named(cli, args)?;
    if classified.is_empty() {
        report::report(cli, &Told::new(&Applied::default(), args));
        cli.ui.note(match args.retry_failed {
            true => "Nothing that failed in the last apply is pending",
            false => "No pending changes",
        });
        return Ok(ExitCode::Done);
    }
    show::show(cli, args, &project, &selected, &classified)?;
    let before = commit::wanted(cli, args, &project, &classified)?;
    let Some(mut options) = asking::decide(cli, args, &classified) else {
        return Ok(ExitCode::Declined);
    };
    if args.dry_run {
        return dry_run(cli, args, &project, classified, &options);
    }
    if let Some(code) = confirm(cli, args, "Apply these changes?")? {
        return Ok(code);
    }
    if args.sudo {
        asking::sudo(cli);
    }
    let applied = loop {
        match write(cli, args, (&project, &selected), &classified, &options) {
            Ok(applied) => break applied,
            // Something changed between the answer and the turn: asked once more, if somebody is
            // there to answer, was not told what to do with conflicts and did not call it off.
            Err(error)
                if is_conflict(&error)
                    && args.on_conflict.is_none()
                    && !asking::is_called_off(&options) =>
            {
                classified = pick::again(&project, &selected, &classified)?;
                match asking::decide(cli, args, &classified) {
                    Some(again) if again != options => options = again,
                    Some(_) | None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    };
    let committed = before.map(|before| {
        let message = args.message.as_deref();
        commit::commit(cli, &project, &selected, &before, (&applied, message))
    });
    let mut told = Told::new(&applied, args);
    told.committed = committed.transpose()?;
    report::report(cli, &told);
    let is_nothing_left = applied.skipped.is_empty() && applied.failed.is_empty();
    if applied.id.is_none() && is_nothing_left {
        // The repair of an interrupted apply wrote it, or somebody else did or gave it up.
        cli.ui
            .note("Nothing was left to write when the turn came: see `plandex log`");
    }
    Ok(told.code())
}

/// Asks, unless -y was given; the exit code if the answer is no.
fn confirm(cli: &Cli, args: &Apply, question: &str) -> Result<Option<ExitCode>> {
    if args.yes {
        return Ok(None);
    }
    match cli.ui.confirm(question, Preset::No) {
        Confirmed::Yes => Ok(None),
        Confirmed::No | Confirmed::Cancelled => Ok(Some(ExitCode::Declined)),
        Confirmed::NotATerminal => Err(match args.undo {
            None => Unasked {
                what: "apply",
                hint: "`plandex apply -y`; nothing was written",
            },
            Some(_) => Unasked {
                what: "apply --undo",
                hint: "`plandex apply --undo -y`; nothing was brought back",
            },
        }
        .into()),
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(ApplyError::Conflicts(_) | ApplyError::Changed(_))
    )
}

fn dry_run(
    cli: &Cli,
    args: &Apply,
    project: &Project,
    classified: Vec<Classified>,
    options: &Options,
) -> Result<ExitCode> {
    let decision = apply::plan_writes(classified, options)?;
    let mut failed = apply::foresee(&project.root, &decision)?;
    if args.sudo {
        failed.clear();
    }
    if options.on_failure == OnFailure::UndoAll && !failed.is_empty() {
        return Err(ApplyError::Failed(failed).into());
    }
    let fails = |path: &String| failed.iter().any(|one| one.path == *path);
    let paths = |list: &[Classified]| list.iter().map(|one| one.change.path.clone()).collect();
    let mut written: Vec<String> = paths(&decision.write);
    written.retain(|path| !fails(path));
    let merged = |one: &&Classified| one.can_merge() && !fails(&one.change.path);
    let would = Applied {
        id: None,
        written,
        merged: decision
            .write
            .iter()
            .filter(merged)
            .map(|one| one.change.path.clone())
            .collect(),
        already: paths(&decision.already),
        skipped: decision
            .skip
            .iter()
            .map(|one| Reported {
                path: one.change.path.clone(),
                why: one.class.words().to_owned(),
            })
            .collect(),
        failed,
        kept: Vec::new(),
    };
    let told = Told::new(&would, args);
    report::report(cli, &told);
    Ok(told.code())
}

fn job<'a>(project: &'a Arc<Project>, selected: &'a Selected) -> Job<'a, WritePermit> {
    Job {
        project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::APPLY,
    }
}

/// Waits for what is before it in line, and does nothing in its turn.
fn turn(cli: &Cli, project: &Arc<Project>, selected: &Selected) -> Result<()> {
    let nothing = |_: &_, _: &Turn<'_>, _: &mut dyn FnMut(())| Ok(());
    operate(cli, &job(project, selected), nothing, |()| {})
}

fn write(
    cli: &Cli,
    args: &Apply,
    (project, selected): (&Arc<Project>, &Selected),
    classified: &[Classified],
    options: &Options,
) -> Result<Applied> {
    // Only what was shown is written, whatever became pending meanwhile.
    let wanted: Vec<(String, String)> = classified
        .iter()
        .map(|one| (one.change.id.clone(), one.change.path.clone()))
        .collect();
    let (branch, options, by_sudo) = (selected.branch.name.clone(), options.clone(), args.sudo);
    let bars = Bars::new(&cli.ui);
    operate(
        cli,
        &job(project, selected),
        move |permit, turn, _: &mut dyn FnMut(())| {
            let ids: Vec<String> = wanted.iter().map(|(id, _)| id.clone()).collect();
            let hear = move |doing, _, total| bars.advance(doing, total);
            let applied = apply::run(
                turn,
                permit,
                &branch,
                &ids,
                &options,
                apply::Hand::Ours,
                hear,
            )?;
            if !by_sudo || applied.failed.is_empty() {
                return Ok(applied);
            }
            let failed = |path: &String| applied.failed.iter().any(|one| one.path == *path);
            let ids: Vec<String> = wanted
                .into_iter()
                .filter(|(_, path)| failed(path))
                .map(|(id, _)| id)
                .collect();
            let unheard = |_, _, _| {};
            let more = apply::run(
                turn,
                permit,
                &branch,
                &ids,
                &options,
                apply::Hand::Sudo,
                unheard,
            )?;
            Ok(together(applied, more))
        },
        |()| {},
    )
}

/// What was written plainly, and of what failed then, what sudo wrote.
fn together(plainly: Applied, by_sudo: Applied) -> Applied {
    let both = |one: Vec<_>, two: Vec<_>| [one, two].concat();
    Applied {
        id: by_sudo.id.or(plainly.id),
        written: both(plainly.written, by_sudo.written),
        merged: both(plainly.merged, by_sudo.merged),
        already: both(plainly.already, by_sudo.already),
        skipped: [plainly.skipped, by_sudo.skipped].concat(),
        failed: by_sudo.failed,
        kept: [plainly.kept, by_sudo.kept].concat(),
    }
}

/// A bar for each thing that is done with many files.
struct Bars {
    progress: Progress,
    staging: OnceCell<Bar>,
    writing: OnceCell<Bar>,
}

impl Bars {
    fn new(ui: &Ui) -> Self {
        Self {
            progress: ui.progress(),
            staging: OnceCell::new(),
            writing: OnceCell::new(),
        }
    }

    fn advance(&self, doing: Doing, total: usize) {
        if total < BAR_FROM {
            return;
        }
        let (bar, label) = match doing {
            Doing::Staging => (&self.staging, "files prepared"),
            Doing::Writing => (&self.writing, "files written"),
        };
        bar.get_or_init(|| self.progress.bar(total as u64, label))
            .advance();
    }
}
