//! `build`: replies that were kept, and files that failed, into pending changes.

use anyhow::Result;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report;
use super::super::session::Cli;
use super::after::Wishes;
use super::args;
use super::background::{self, Input};
use super::ending;
use super::prompt::about;
use super::show::RunView;
use crate::lock::operation;
use crate::plan;

/// `plandex build`
pub(in super::super) fn build(cli: &Cli, args: &args::Build) -> Result<ExitCode> {
    if args.background.is_wanted(cli) {
        return background::start(cli, Input::Prompt);
    }
    let (project, selected) = cli.open_selected()?;
    let wishes = Wishes::of_build(cli, &project, &args.applying)?;
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::BUILD,
    };
    let branch = selected.branch.name.clone();
    cli.stream_about(about(&selected, None));
    let (mut view, mut code) = (RunView::new(cli, args.stream), None);
    let told = operate(
        cli,
        &job,
        move |permit, turn, events| plan::rebuild(turn, permit, &branch, events),
        |recorded| {
            view.show(&recorded);
            code = report::run_ended(&recorded.event).or(code);
        },
    )
    .inspect_err(|error| background::failed(cli, &project, &selected.branch.id, error));
    drop(view);
    match told? {
        Some(told) => {
            let report = told.report.clone();
            let code = ending::conclude(cli, told, code)?;
            wishes.follow(cli, &selected, &report, code)
        }
        None => {
            cli.ui.note("Nothing to build");
            background::had_nothing_to_do(cli, &project, &selected.branch.id);
            Ok(ExitCode::Done)
        }
    }
}
