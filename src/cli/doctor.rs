//! `doctor`: looks at everything, asks or is told to repair, says what remains.

use std::time::Duration;

use anyhow::Result;

use super::args;
use super::exit::ExitCode;
use super::plans::{Sure, prune};
use super::session::{Cli, SCHEMA_VERSION};
use crate::apply;
use crate::doctor::{self, Fix, Line, Options, Report, Verbosity};
use crate::project::{Place, Project};
use crate::ui::{Confirmed, Frame, Preset, Style, Table, Text};

/// What decides the files of interrupted applies.
const RECOVERIES: &[doctor::Recovery] = &[recover_applies];

/// `plandex doctor [--fix] [--dry-run] [--verbose]`
pub(super) fn doctor(cli: &Cli, args: &args::Doctor) -> Result<ExitCode> {
    if args.prune {
        let is_sure = if args.yes { Sure::Yes } else { Sure::Ask };
        return prune(cli, is_sure);
    }
    let place = doctor::locate(&cli.cwd, cli.environment.plandex_dir.as_deref())?;
    if args.rebuild {
        return rebuild(cli, &place);
    }
    let fix = match (args.fix, args.dry_run) {
        (_, true) => Fix::DryRun,
        (true, false) => Fix::Repair,
        (false, false) => Fix::Look,
    };
    let options = Options {
        plan: cli.session().plan,
        fix,
    };
    let mut report = doctor::examine(&place, &options)?;
    if fix == Fix::Repair {
        report = repair(cli, &place, &options, &report)?;
    }
    show(cli, &report, fix);
    if fix == Fix::Look
        && let Some(question) = doctor::question(&report)
        && cli.ui.confirm(question, Preset::No) == Confirmed::Yes
    {
        report = repair(cli, &place, &options, &report)?;
        show(cli, &report, Fix::Repair);
    }
    Ok(if report.healthy {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
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
fn repair(cli: &Cli, place: &Place, options: &Options, found: &Report) -> Result<Report> {
    if !found.is_fixable() {
        return Ok(found.clone());
    }
    let project = match Project::open(place, cli.session()) {
        Ok(project) => project,
        Err(error) => {
            cli.ui.warning(format!("nothing was repaired: {error:#}"));
            return Ok(found.clone());
        }
    };
    let fixed = doctor::fix(&project, found, RECOVERIES);
    drop(project);
    for line in &fixed.left {
        cli.ui.warning(format!("left: {line}"));
    }
    let mut report = doctor::examine(place, options)?;
    report.fixed = fixed.done;
    Ok(report)
}

/// Finishes or undoes the files of interrupted applies, if nobody is at it.
fn recover_applies(project: &Project) -> Result<Vec<String>> {
    let none = Some(Duration::ZERO);
    let turn = apply::Turn::take(&project.store, &project.root, none, &project.cancel)?;
    Ok(turn.recovered().iter().flat_map(apply::words_of).collect())
}

fn show(cli: &Cli, report: &Report, fix: Fix) {
    if cli.json {
        cli.ui.json(report);
        return;
    }
    let verbosity = if cli.verbosity() > 0 {
        Verbosity::Verbose
    } else {
        Verbosity::Normal
    };
    let mut table: Option<Table> = None;
    for line in doctor::render(report, verbosity, fix) {
        match line {
            Line::Row(cells) => match &mut table {
                Some(table) => {
                    table.row(cells);
                }
                None => table = Some(Table::new(Frame::Boxed, cells.iter().map(String::as_str))),
            },
            Line::Text(style, text) => {
                if let Some(table) = table.take() {
                    cli.ui.table(&table);
                }
                cli.ui.line(styled(cli, style, &text));
            }
        }
    }
    if let Some(table) = table {
        cli.ui.table(&table);
    }
}

/// The text in its colour; its mark is one that this locale can show.
fn styled(cli: &Cli, style: doctor::Style, text: &str) -> Text {
    let signs = cli.ui.signs();
    let text = ["\u{2713}", "\u{26a0}", "\u{2717}"]
        .into_iter()
        .zip([signs.ok, signs.warning, signs.failed])
        .find_map(|(mark, sign)| text.strip_prefix(mark).map(|rest| format!("{sign}{rest}")))
        .unwrap_or_else(|| text.to_owned());
    let style = match style {
        doctor::Style::Plain => Style::Plain,
        doctor::Style::Title => Style::Bold,
        doctor::Style::Ok => Style::Green,
        doctor::Style::Warning => Style::Yellow,
        doctor::Style::Error => Style::Red,
    };
    Text::styled(style, text)
}
