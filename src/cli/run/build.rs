//! `build`: replies that were kept, and files that failed, into pending changes.

use anyhow::Result;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::session::Cli;
use super::ending;
use super::show::RunView;
use crate::lock::operation;
use crate::plan;

/// `plandex build`
pub(in super::super) fn build(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let job = Job {
        project: &project,
        plan_id: &selected.plan.id,
        branch: None,
        operation: operation::BUILD,
    };
    let branch = selected.branch.name.clone();
    let mut view = RunView::new(cli);
    let told = operate(
        cli,
        &job,
        move |permit, turn, events| plan::rebuild(turn, permit, &branch, events),
        |recorded| view.show(&recorded),
    );
    drop(view);
    match told? {
        Some(told) => ending::conclude(cli, told),
        None => {
            cli.ui.note("Nothing to build");
            Ok(ExitCode::Done)
        }
    }
}
