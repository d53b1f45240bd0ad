//! `doctor`: looks at everything, asks or is told to repair, says what remains.

pub(super) mod args;
mod model;
mod request;
mod show;

use std::time::Duration;

use anyhow::Result;

use self::args::Doctor;
use self::show::show;
use super::exit::ExitCode;
use super::plans::{Sure, prune};
use super::session::{Cli, SCHEMA_VERSION};
use crate::apply;
use crate::doctor::{self, Fix, Options, Report};
use crate::project::{Place, Project};
use crate::ui::{Confirmed, Preset};

/// What decides the files of interrupted applies.
const RECOVERIES: &[doctor::Recovery] = &[recover_applies];

/// How often it repairs and looks again while that brings something to light: the work of a process
/// that hung is seen to be dead when its lock is gone.
const ROUNDS: usize = 3;

/// `plandex doctor [--fix] [--dry-run] [--verbose]`
pub(super) fn doctor(cli: &Cli, args: &Doctor) -> Result<ExitCode> {
    if args.prune {
        let is_sure = if args.yes { Sure::Yes } else { Sure::Ask };
        return prune(cli, is_sure);
    }
    let place = doctor::locate(&cli.cwd, cli.environment.plandex_dir.as_deref())?;
    if args.rebuild {
        return rebuild(cli, &place);
    }
    let options = request::options(cli, args, &place.dir)?;
    let mut report = look(cli, &place, &options)?;
    if options.fix == Fix::Repair {
        report = repair(cli, &place, &options, report)?;
    }
    show(cli, &report, options.fix);
    if options.fix == Fix::Look && is_repair_wanted(cli, &report) {
        report = repair(cli, &place, &options, report)?;
        show::outcome(cli, &report);
    }
    Ok(if report.healthy {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

/// Asks whoever sits at a terminal, unless they want it quiet.
fn is_repair_wanted(cli: &Cli, report: &Report) -> bool {
    let Some(question) = doctor::question(report) else {
        return false;
    };
    if cli.ui.is_quiet() || !cli.ui.can_ask() {
        return false;
    }
    cli.ui.line("");
    cli.ui.confirm(question, Preset::No) == Confirmed::Yes
}

/// Looks at everything, the model among it.
fn look(cli: &Cli, place: &Place, options: &Options) -> Result<Report> {
    let mut report = doctor::examine(place, options)?;
    model::check(cli, place, &mut report);
    Ok(report)
}

/// `plandex doctor --rebuild`
fn rebuild(cli: &Cli, place: &Place) -> Result<ExitCode> {
    let is_lost = doctor::is_lost(place)?;
    let rebuilt = if is_lost {
        doctor::recreate(place)?
    } else {
        let project = Project::open(place, cli.session())?;
        let named = cli.session().plan;
        let plan = named.map(|name| project.find_plan(&name)).transpose()?;
        let patience = cli.patience(&project)?;
        doctor::rebuild_rows(
            &project,
            plan.as_ref().map(|plan| plan.id.as_str()),
            patience,
        )?
    };
    let code = if rebuilt.left.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::Failed
    };
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "databaseWasLost": is_lost,
            "rebuilt": rebuilt.done, "left": rebuilt.left, "before": rebuilt.copy,
        }));
        return Ok(code);
    }
    for line in &rebuilt.done {
        cli.ui.line(format!("Rebuilt {line}"));
    }
    for line in &rebuilt.left {
        cli.ui.error(format!("could not be rebuilt: {line}"));
    }
    if rebuilt.done.is_empty() && rebuilt.left.is_empty() {
        cli.ui
            .line("Nothing to rebuild: all rows are what the repositories say");
    }
    if let Some(copy) = &rebuilt.copy {
        cli.ui
            .note(format!("The database as it was is in {}", copy.display()));
    }
    if is_lost {
        cli.ui.note(doctor::NOT_BACK);
        cli.ui.hint("`plandex plans`, then `plandex cd NAME`");
    }
    Ok(code)
}

/// Repairs and looks again: only that tells what remains.
fn repair(cli: &Cli, place: &Place, options: &Options, mut found: Report) -> Result<Report> {
    if !found.is_fixable() {
        return Ok(found);
    }
    let project = match Project::open(place, cli.session()) {
        Ok(project) => project,
        Err(error) => {
            found.left.push(format!("nothing was repaired: {error:#}"));
            return Ok(found);
        }
    };
    let (mut done, mut copy) = (Vec::new(), None);
    for _ in 0..ROUNDS {
        let fixed = doctor::fix(&project, &found, RECOVERIES);
        let is_moving = !fixed.done.is_empty();
        done.extend(fixed.done);
        copy = copy.or(fixed.copy);
        found = look(cli, place, options)?;
        found.left = fixed.left;
        if !is_moving || !found.is_fixable() {
            break;
        }
    }
    found.fixed = done;
    found.copy = copy;
    Ok(found)
}

/// Finishes or undoes the files of interrupted applies, if nobody is at it.
fn recover_applies(project: &Project) -> Result<Vec<String>> {
    let none = Some(Duration::ZERO);
    let turn = apply::Turn::take(&project.store, &project.root, none, &project.cancel)?;
    Ok(turn.recovered().iter().flat_map(apply::words_of).collect())
}
