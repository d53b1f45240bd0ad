//! `apply`: shows, asks, takes the turn, writes, and says what became of each file.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use super::args::{self, Conflict};
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::Unconfirmed;
use super::session::{Cli, SCHEMA_VERSION};
use super::status::op_letter;
use crate::apply::{
    self, Answer, Applied, ApplyError, Class, Classified, OnConflict, Options, Reported,
};
use crate::lock::operation;
use crate::plan::edits::is_auto_run;
use crate::project::{Project, Selected, Turn};
use crate::store::changes;
use crate::store::tickets::WritePermit;
use crate::ui::{Choice, Chosen, Confirmed, Preset, Style, Text, render};

/// SEED.md 4.2.2.
const CHOICES: [Choice<'_>; 3] = [
    Choice {
        letter: 'o',
        title: "Overwrite with planned changes",
    },
    Choice {
        letter: 's',
        title: "Skip this file",
    },
    Choice {
        letter: 'a',
        title: "Abort apply operation",
    },
];

/// `plandex apply`
pub(super) fn apply(cli: &Cli, args: &args::Apply) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let mut classified = look(&project, &selected)?;
    if classified.is_empty() && !args.dry_run {
        // Whoever is at work may be about to leave something to apply.
        turn(cli, &project, &selected)?;
        classified = look(&project, &selected)?;
    }
    if classified.is_empty() {
        report(cli, &Applied::default(), args.dry_run);
        cli.ui.note("No pending changes");
        return Ok(ExitCode::Done);
    }
    show(cli, &classified);
    let Some(mut options) = decide(cli, args, &classified) else {
        return Ok(ExitCode::Declined);
    };
    if args.dry_run {
        return dry_run(cli, classified, &options);
    }
    if !args.yes {
        match cli.ui.confirm("Apply these changes?", Preset::No) {
            Confirmed::Yes => {}
            Confirmed::No | Confirmed::Cancelled => return Ok(ExitCode::Declined),
            Confirmed::NotATerminal => return Err(Unconfirmed.into()),
        }
    }
    loop {
        match write(cli, &project, &selected, &classified, options.clone()) {
            Ok(applied) => {
                report(cli, &applied, args.dry_run);
                let whole = applied.skipped.is_empty() && applied.failed.is_empty();
                return Ok(if whole {
                    ExitCode::Done
                } else {
                    ExitCode::Partial
                });
            }
            // Something changed between the answer and the turn: asked once more, if somebody is
            // there to answer and was not told what to do with conflicts.
            Err(error) if is_conflict(&error) && args.on_conflict.is_none() => {
                classified = look(&project, &selected)?;
                match decide(cli, args, &classified) {
                    Some(again) if again != options => options = again,
                    Some(_) | None => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref(),
        Some(ApplyError::Conflicts(_) | ApplyError::Changed(_))
    )
}

fn look(project: &Project, selected: &Selected) -> Result<Vec<Classified>> {
    let pending = project
        .store
        .read(|tx| changes::pending(tx, &selected.branch.id))?;
    apply::classify(&project.root, project.dir(), &pending)
}

fn show(cli: &Cli, classified: &[Classified]) {
    if cli.json {
        return;
    }
    for one in classified {
        let change = &one.change;
        let (added, removed) = (change.added.unsigned_abs(), change.removed.unsigned_abs());
        let stats = render::stats(added, removed, cli.ui.signs());
        let mut line = Text::from(format!("{} {} ", op_letter(change), change.path)).join(stats);
        if one.class != Class::Clean {
            line = line.then(Style::Yellow, format!("  {}", one.class.words()));
        }
        if is_auto_run(&change.path) {
            line = line.then(
                Style::Yellow,
                "  tools run this file by themselves: read it first",
            );
        }
        cli.ui.line(line);
    }
}

/// What to do with conflicts; `None` if somebody called it off.
fn decide(cli: &Cli, args: &args::Apply, classified: &[Classified]) -> Option<Options> {
    let fixed = |on_conflict| {
        Some(Options {
            on_conflict,
            answers: Vec::new(),
        })
    };
    match args.on_conflict {
        Some(Conflict::Abort) => return fixed(OnConflict::Abort),
        Some(Conflict::Skip) => return fixed(OnConflict::Skip),
        Some(Conflict::Overwrite) => return fixed(OnConflict::Overwrite),
        None => {}
    }
    let mut options = Options {
        on_conflict: OnConflict::Abort,
        answers: Vec::new(),
    };
    let is_conflict =
        |one: &&Classified| matches!(one.class, Class::Drifted | Class::Missing | Class::Exists);
    let mut for_all = None;
    for one in classified.iter().filter(is_conflict) {
        let choice = match for_all {
            Some(choice) => choice,
            None => {
                let path = &one.change.path;
                let question = format!("Warning: {path} {}.", one.class.words());
                match cli.ui.choose(question, &CHOICES) {
                    Chosen::This(index) => choice(index),
                    Chosen::AllThatRemain(index) => *for_all.insert(choice(index)),
                    Chosen::Nothing | Chosen::Cancelled => return None,
                    // Nobody to ask: abort, which plan_writes reports with every path.
                    Chosen::NotATerminal => return Some(options),
                }
            }
        };
        let (path, disk_hash) = (one.change.path.clone(), one.disk_hash.clone());
        options.answers.push(Answer {
            path,
            disk_hash,
            choice,
        });
    }
    Some(options)
}

fn choice(index: usize) -> OnConflict {
    match index {
        0 => OnConflict::Overwrite,
        1 => OnConflict::Skip,
        _ => OnConflict::Abort,
    }
}

fn dry_run(cli: &Cli, classified: Vec<Classified>, options: &Options) -> Result<ExitCode> {
    let decision = apply::plan_writes(classified, options)?;
    let paths = |list: &[Classified]| list.iter().map(|one| one.change.path.clone()).collect();
    let skipped = decision.skip.iter().map(|one| Reported {
        path: one.change.path.clone(),
        why: one.class.words().to_owned(),
    });
    let would = Applied {
        id: None,
        written: paths(&decision.write),
        already: paths(&decision.already),
        skipped: skipped.collect(),
        failed: Vec::new(),
        kept: Vec::new(),
    };
    report(cli, &would, true);
    Ok(if would.skipped.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Partial
    })
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
    project: &Arc<Project>,
    selected: &Selected,
    classified: &[Classified],
    options: Options,
) -> Result<Applied> {
    // Only what was shown is written, whatever became pending meanwhile.
    let wanted: Vec<String> = classified.iter().map(|one| one.change.id.clone()).collect();
    let branch = selected.branch.name.clone();
    operate(
        cli,
        &job(project, selected),
        move |permit, turn, _: &mut dyn FnMut(())| {
            apply::run(turn, permit, &branch, &wanted, &options)
        },
        |()| {},
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: &'static str,
    schema_version: u32,
    dry_run: bool,
    id: Option<&'a str>,
    written: &'a [String],
    already: &'a [String],
    skipped: Vec<ReportedDocument<'a>>,
    failed: Vec<ReportedDocument<'a>>,
    kept: Vec<ReportedDocument<'a>>,
}

#[derive(Serialize)]
struct ReportedDocument<'a> {
    path: &'a str,
    why: &'a str,
}

fn documents(list: &[Reported]) -> Vec<ReportedDocument<'_>> {
    list.iter()
        .map(|one| ReportedDocument {
            path: &one.path,
            why: &one.why,
        })
        .collect()
}

/// SEED.md 8.3.2.
fn report(cli: &Cli, applied: &Applied, dry_run: bool) {
    if cli.json {
        cli.ui.json(&cli.stamped(&Document {
            r#type: "apply.completed",
            schema_version: SCHEMA_VERSION,
            dry_run,
            id: applied.id.as_deref(),
            written: &applied.written,
            already: &applied.already,
            skipped: documents(&applied.skipped),
            failed: documents(&applied.failed),
            kept: documents(&applied.kept),
        }));
        return;
    }
    let signs = cli.ui.signs();
    let files = |count: usize| render::counted(count as u64, "file");
    let done = if dry_run {
        "would be written"
    } else {
        "written"
    };
    let lines = [
        (applied.written.len(), Style::Green, signs.ok, done),
        (
            applied.already.len(),
            Style::Dim,
            signs.skipped,
            "already up to date",
        ),
        (
            applied.skipped.len(),
            Style::Yellow,
            signs.skipped,
            "skipped, still pending",
        ),
        (
            applied.failed.len(),
            Style::Red,
            signs.failed,
            "failed, still pending",
        ),
    ];
    for (count, style, sign, words) in lines.into_iter().filter(|(count, ..)| *count > 0) {
        cli.ui
            .line(Text::styled(style, sign).plain(format!(" {} {words}", files(count))));
    }
    let noted = applied.skipped.iter().chain(&applied.failed);
    for one in noted.chain(&applied.kept) {
        cli.ui.line(format!("  - {}: {}", one.path, one.why));
    }
}

/// What an apply's error means to whoever called.
pub(super) fn verdict(error: &ApplyError) -> (ExitCode, &'static str, &'static str) {
    match error {
        ApplyError::Conflicts(_) | ApplyError::Changed(_) => (
            ExitCode::Drifted,
            "conflict",
            "nothing was written; look with `plandex diff`, then `plandex apply --on-conflict \
             skip` or `overwrite`, or `plandex tell` again",
        ),
        ApplyError::Busy(_) => (
            ExitCode::NotAcquired,
            "lock_timeout",
            "nothing was written; try again",
        ),
        ApplyError::Cancelled(reason) => (ExitCode::from(*reason), "cancelled", ""),
    }
}
