//! `rename`, `archive`, `unarchive`: a plan is described anew, in its turn.

use anyhow::Result;
use clap::Args;

use super::super::exit::ExitCode;
use super::super::operate::{Job, operate};
use super::super::report::UsageError;
use super::super::session::{Cli, SCHEMA_VERSION};
use super::which::one;
use super::{document, good_name};
use crate::lock::operation::{self, Operation};
use crate::platform::clock;
use crate::project::Project;
use crate::store::plans::{Plan, Which};
use crate::store::tickets::WritePermit;
use std::sync::Arc;

/// `plandex rename`
#[derive(Debug, Args)]
#[command(after_help = "\
Waits for its turn on the plan.

Examples:
  plandex rename auth
  plandex rename auth --plan draft-2")]
pub(in super::super) struct Rename {
    /// The new name, unique among the plans that are not deleted.
    name: String,
}

/// `plandex archive`, `plandex unarchive`
#[derive(Debug, Args)]
#[command(after_help = "\
An archived plan is not listed by `plandex plans`, and is otherwise as it was: `plandex cd NAME` \
still finds it. Waits for its turn on the plan.

Examples:
  plandex archive
  plandex archive auth
  plandex plans -a
  plandex unarchive auth")]
pub(in super::super) struct Archive {
    /// The plan's name, the beginning of it, its id or its number (`plandex plans`, for unarchive
    /// `plandex plans -a`); else the selected plan.
    plan: Option<String>,
}

/// `plandex rename NAME`
pub(in super::super) fn rename(cli: &Cli, args: &Rename) -> Result<ExitCode> {
    let name = good_name(&args.name, "`plandex rename NAME`")?;
    let (project, selected) = cli.open_selected()?;
    let message = format!("Rename plan to {name}");
    let old = selected.plan.name.clone();
    let wanted = name.clone();
    let change = move |plan: &mut Plan| {
        plan.name.clone_from(&wanted);
        plan.is_draft = false;
    };
    let plan = describe(
        cli,
        &project,
        &selected.plan.id,
        operation::RENAME,
        &message,
        change,
    )?;
    said(cli, &plan, &format!("Renamed plan {old} to {name}"));
    Ok(ExitCode::Done)
}

/// `plandex archive [PLAN]`
pub(in super::super) fn archive(cli: &Cli, args: &Archive) -> Result<ExitCode> {
    let (project, plan) = asked(cli, args, Which::Open)?;
    if plan.archived_at.is_some() {
        said(
            cli,
            &plan,
            &format!("Plan {} is archived already", plan.name),
        );
        return Ok(ExitCode::Done);
    }
    let message = format!("Archive plan {}", plan.name);
    let plan = describe(
        cli,
        &project,
        &plan.id,
        operation::ARCHIVE,
        &message,
        |plan| {
            plan.archived_at = plan.archived_at.or_else(|| Some(clock::wall_ms()));
        },
    )?;
    said(cli, &plan, &format!("Archived plan {}", plan.name));
    if !cli.json {
        let name = crate::config::quoted(&plan.name);
        cli.ui.hint(format!(
            "list archived plans with `plandex plans -a`, take it back with `plandex unarchive {name}`"
        ));
    }
    Ok(ExitCode::Done)
}

/// `plandex unarchive [PLAN]`
pub(in super::super) fn unarchive(cli: &Cli, args: &Archive) -> Result<ExitCode> {
    let (project, plan) = asked(cli, args, Which::Archived)?;
    if plan.archived_at.is_none() {
        said(cli, &plan, &format!("Plan {} is not archived", plan.name));
        return Ok(ExitCode::Done);
    }
    let message = format!("Unarchive plan {}", plan.name);
    let plan = describe(
        cli,
        &project,
        &plan.id,
        operation::UNARCHIVE,
        &message,
        |plan| {
            plan.archived_at = None;
        },
    )?;
    said(cli, &plan, &format!("Unarchived plan {}", plan.name));
    Ok(ExitCode::Done)
}

/// The plan that was asked for: numbers count in the list of `which`, names are found in all.
fn asked(cli: &Cli, args: &Archive, which: Which) -> Result<(Arc<Project>, Plan)> {
    let Some(name) = &args.plan else {
        let (project, selected) = cli.open_selected()?;
        return Ok((project, selected.plan));
    };
    let project = cli.open()?;
    let other = match which {
        Which::Archived => Which::Open,
        Which::Open | Which::Deleted => Which::Archived,
    };
    let plan = one(&project, which, Some(other), name).map_err(|error| match which {
        Which::Archived => {
            let hint = "list them with `plandex plans -a`";
            UsageError::new(format!("{error:#}"), hint).into()
        }
        Which::Open | Which::Deleted => error,
    })?;
    Ok((project, plan))
}

/// Changes a plan in its turn; returns it as it is then.
pub(super) fn describe(
    cli: &Cli,
    project: &Arc<Project>,
    plan_id: &str,
    operation: Operation<WritePermit>,
    message: &str,
    change: impl FnOnce(&mut Plan) + Send + 'static,
) -> Result<Plan> {
    let job = Job {
        project,
        plan_id,
        branch: None,
        operation,
    };
    let message = message.to_owned();
    operate(
        cli,
        &job,
        move |permit, turn, _: &mut dyn FnMut(())| turn.describe(permit, &message, change),
        |()| {},
    )
}

pub(super) fn said(cli: &Cli, plan: &Plan, words: &str) {
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION,
            "plan": document(plan, None, false),
        }));
    } else {
        cli.ui.line(words);
    }
}
