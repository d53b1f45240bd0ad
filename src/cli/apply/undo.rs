//! `apply --undo`: shows what would go back, asks, and brings it back.

use std::sync::Arc;

use anyhow::Result;

use super::args::{Apply, Conflict};
use super::report::{Told, report};
use super::{Bars, confirm, job};
use crate::apply::{self, Applied, Class, Classified, OnConflict, Options, Reported};
use crate::cli::exit::ExitCode;
use crate::cli::operate::operate;
use crate::cli::report::UsageError;
use crate::cli::session::{Cli, clock_time};
use crate::cli::status::op_letter;
use crate::project::{Project, Selected};
use crate::ui::{Style, Text, render};

/// `plandex apply --undo [ID]`
pub(super) fn undo(
    cli: &Cli,
    args: &Apply,
    project: &Arc<Project>,
    selected: &Selected,
    id: &str,
) -> Result<ExitCode> {
    let on_conflict = match args.on_conflict {
        None | Some(Conflict::Abort) => OnConflict::Abort,
        Some(Conflict::Skip) => OnConflict::Skip,
        Some(Conflict::Overwrite | Conflict::Merge) => {
            let message = "an undo leaves a file alone that changed since";
            let hint = "`plandex apply --undo --on-conflict skip` brings the others back";
            return Err(UsageError::new(message, hint).into());
        }
    };
    let id = Some(id).filter(|id| !id.is_empty());
    let apply = apply::undoable(project, &selected.branch.id, id)?;
    let classified = apply::reversed(project, &apply)?;
    if !cli.json && (!cli.ui.is_quiet() || !args.yes || args.dry_run) {
        let time = clock_time(apply.created_at);
        cli.ui.line(format!("Undo the apply of {time}:"));
        classified
            .iter()
            .for_each(|one| cli.ui.line(line(cli, one)));
    }
    if args.dry_run {
        let would = foreseen(project, classified, on_conflict)?;
        let mut told = Told::new(&would, args);
        told.undone = Some(&apply.id);
        report(cli, &told);
        return Ok(told.code());
    }
    if let Some(code) = confirm(cli, args, "Bring these files back?")? {
        return Ok(code);
    }
    let (branch, undone) = (selected.branch.name.clone(), apply.clone());
    let bars = Bars::new(&cli.ui);
    let applied = operate(
        cli,
        &job(project, selected),
        move |permit, turn, _: &mut dyn FnMut(())| {
            let hear = move |doing, _, total| bars.advance(doing, total);
            apply::undo(turn, permit, &branch, &undone, on_conflict, hear)
        },
        |()| {},
    )?;
    let mut told = Told::new(&applied, args);
    told.undone = Some(&apply.id);
    report(cli, &told);
    Ok(told.code())
}

fn line(cli: &Cli, one: &Classified) -> Text {
    let change = &one.change;
    let (added, removed) = (change.added.unsigned_abs(), change.removed.unsigned_abs());
    let stats = render::stats(added, removed, cli.ui.signs());
    let letter = match change.target_hash {
        None => 'D',
        Some(_) if change.base_hash.is_none() => 'A',
        Some(_) => op_letter_of(change),
    };
    let line = Text::from(format!("{letter} {} ", change.path)).join(stats);
    match &one.class {
        Class::Clean => line,
        Class::Already => line.then(Style::Dim, "  is back already"),
        Class::Drifted => line.then(Style::Yellow, "  was changed since"),
        Class::Missing | Class::Exists | Class::TypeChanged | Class::Refused(_) => {
            line.then(Style::Yellow, format!("  {}", one.class.words()))
        }
    }
}

fn op_letter_of(change: &crate::store::changes::Change) -> char {
    match op_letter(change) {
        'D' => 'M',
        letter => letter,
    }
}

fn foreseen(
    project: &Project,
    classified: Vec<Classified>,
    on_conflict: OnConflict,
) -> Result<Applied> {
    let decision = apply::plan_writes(classified, &Options::all(on_conflict))?;
    let failed = apply::foresee(&project.root, &decision)?;
    let path = |one: &Classified| one.change.path.clone();
    let fails = |path: &String| failed.iter().any(|one| one.path == *path);
    Ok(Applied {
        written: decision
            .write
            .iter()
            .map(path)
            .filter(|path| !fails(path))
            .collect(),
        already: decision.already.iter().map(path).collect(),
        skipped: decision
            .skip
            .iter()
            .map(|one| Reported {
                path: path(one),
                why: one.class.words().to_owned(),
            })
            .collect(),
        failed,
        ..Applied::default()
    })
}
