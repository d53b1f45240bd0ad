//! `delete-plan`, `undelete`, and `doctor --prune`, after which there is no undeleting.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::locks::by;
use super::super::report::{self, Unasked, UsageError};
use super::super::session::{Cli, SCHEMA_VERSION};
use super::super::waiting::outside_tickets;
use super::change::{describe, said};
use super::{good_name, which};
use crate::config;
use crate::lock::{self, operation};
use crate::platform::clock;
use crate::project::Project;
use crate::store::ChooseTx;
use crate::store::plans::{self, Plan, Which};
use crate::ui::{Confirmed, Preset, render};

/// `plandex delete-plan`
#[derive(Debug, Args)]
#[command(after_help = "\
Waits for its turn on each plan: what runs there ends first. `plandex undelete` brings a plan back \
until `plandex doctor --prune` removes it for good.

Examples:
  plandex delete-plan auth
  plandex dp 2-4            the second to the fourth of `plandex plans`
  plandex dp 'draft*'       all whose names begin so (quoted, so that the shell leaves it alone)
  plandex dp --all -y

Exit codes: 9 if it was declined, or nobody could be asked and -y was not given.")]
pub(in super::super) struct Delete {
    /// Names, beginnings of names, ids, numbers and ranges (2-4) of `plandex plans`, patterns.
    #[arg(value_name = "PLAN", required_unless_present = "all")]
    plans: Vec<String>,
    /// All plans that `plandex plans` lists (not the archived ones).
    #[arg(long, conflicts_with = "plans")]
    all: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// `plandex undelete`
#[derive(Debug, Args)]
#[command(after_help = "\
The plan comes back as it was, with all its branches and versions.

Examples:
  plandex plans --deleted
  plandex undelete auth
  plandex undelete 1 -n auth-2    if another plan is called so by now")]
pub(in super::super) struct Undelete {
    /// The plan's name, the beginning of it, its id or its number in `plandex plans --deleted`.
    plan: String,
    /// Give it this name.
    #[arg(long, short)]
    name: Option<String>,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

fn named(plans: &[Plan]) -> Vec<Named<'_>> {
    plans
        .iter()
        .map(|plan| Named {
            id: &plan.id,
            name: &plan.name,
        })
        .collect()
}

/// `plandex delete-plan PLAN…`
pub(in super::super) fn delete(cli: &Cli, args: &Delete) -> Result<ExitCode> {
    let project = cli.open()?;
    let chosen = match args.all {
        true => which::all(&project)?,
        false => which::many(&project, &args.plans)?,
    };
    if chosen.is_empty() {
        if cli.json {
            print_deleted(cli, &[]);
        }
        cli.ui.note("No plans to delete");
        return Ok(ExitCode::Done);
    }
    if !args.yes && !confirmed(cli, &chosen)? {
        return Ok(ExitCode::Declined);
    }
    let (mut deleted, mut code) = (Vec::new(), ExitCode::Done);
    for plan in chosen {
        match delete_one(cli, &project, &plan) {
            Ok(plan) => {
                if !cli.json {
                    cli.ui.line(format!("Deleted plan {}", plan.name));
                }
                deleted.push(plan);
            }
            // The others have turns of their own; whoever calls it off calls all of it off.
            Err(error) => {
                let one =
                    report::error(cli, &error.context(format!("deleting plan {}", plan.name)));
                if code == ExitCode::Done {
                    code = one;
                }
                if project.cancel.is_set() {
                    break;
                }
            }
        }
    }
    if cli.json {
        print_deleted(cli, &deleted);
    } else if let [first, ..] = deleted.as_slice() {
        let name = config::quoted(&first.name);
        cli.ui.hint(format!(
            "`plandex undelete {name}` brings it back, until `plandex doctor --prune`"
        ));
    }
    Ok(code)
}

fn print_deleted(cli: &Cli, deleted: &[Plan]) {
    cli.ui.json(&serde_json::json!({
        "schemaVersion": SCHEMA_VERSION,
        "deleted": named(deleted),
    }));
}

/// Asks; the plans stand above the question. Fails where nobody can be asked.
fn confirmed(cli: &Cli, plans: &[Plan]) -> Result<bool> {
    let question = match plans {
        [plan] => format!("Delete plan {}?", plan.name),
        many => {
            let names: Vec<String> = many
                .iter()
                .map(|plan| format!("  {}\n", plan.name))
                .collect();
            let count = render::counted(many.len() as u64, "plan");
            format!("{}Delete {count}?", names.concat())
        }
    };
    match cli.ui.confirm(question, Preset::No) {
        Confirmed::Yes => Ok(true),
        Confirmed::No | Confirmed::Cancelled => Ok(false),
        Confirmed::NotATerminal => Err(Unasked {
            what: "deleting a plan",
            hint: "`plandex delete-plan -y …`; nothing was deleted",
        }
        .into()),
    }
}

fn delete_one(cli: &Cli, project: &Arc<Project>, plan: &Plan) -> Result<Plan> {
    let (message, who) = (format!("Delete plan {}", plan.name), by(project));
    describe(
        cli,
        project,
        &plan.id,
        operation::DELETE_PLAN,
        &message,
        move |plan| {
            plan.deleted_at = Some(clock::wall_ms());
            plan.deleted_by = Some(who);
        },
    )
}

/// `plandex undelete PLAN`
pub(in super::super) fn undelete(cli: &Cli, args: &Undelete) -> Result<ExitCode> {
    let project = cli.open()?;
    let name = args.name.as_deref();
    let name = name.map(|name| good_name(name, "`plandex undelete PLAN -n NAME`"));
    let name = name.transpose()?;
    let plan = which::one(&project, Which::Deleted, None, &args.plan).map_err(|error| {
        let words = format!("{error:#} among those that were deleted");
        UsageError::new(words, "list them with `plandex plans --deleted`")
    })?;
    let wanted = name.unwrap_or_else(|| plan.name.clone());
    let message = format!("Undelete plan {wanted}");
    let plan = describe(
        cli,
        &project,
        &plan.id,
        operation::UNDELETE,
        &message,
        move |plan| {
            plan.name = wanted;
            plan.deleted_at = None;
            plan.deleted_by = None;
        },
    )?;
    said(cli, &plan, &format!("Brought back plan {}", plan.name));
    if !cli.json {
        let name = config::quoted(&plan.name);
        cli.ui.hint(format!("choose it with `plandex cd {name}`"));
    }
    Ok(ExitCode::Done)
}

/// `plandex doctor --prune`: the rows first, in one transaction a plan, then the repository. A plan
/// that somebody is in line for stays.
pub(in super::super) fn prune(cli: &Cli, is_sure: Sure) -> Result<ExitCode> {
    let project = cli.open()?;
    let deleted = project.store.read(plans::deleted)?;
    if is_sure == Sure::Ask && !deleted.is_empty() {
        let count = render::counted(deleted.len() as u64, "deleted plan");
        let names: Vec<String> = deleted
            .iter()
            .map(|one| format!("  {}\n", one.name))
            .collect();
        let question = format!("{}Remove {count} for good?", names.concat());
        match cli.ui.confirm(question, Preset::No) {
            Confirmed::Yes => {}
            Confirmed::No | Confirmed::Cancelled => return Ok(ExitCode::Declined),
            Confirmed::NotATerminal => {
                return Err(Unasked {
                    what: "removing plans for good",
                    hint: "`plandex doctor --prune -y`; nothing was removed",
                }
                .into());
            }
        }
    }
    let (mut pruned, mut left) = (Vec::new(), Vec::new());
    for plan in deleted {
        let is_gone = outside_tickets(cli, &project, ("prune", &plan.id), |patience, on_wait| {
            lock::retrying(patience, &project.cancel, on_wait, |gate, busy| {
                let prune = |tx: &ChooseTx<'_>| plans::prune(tx, &plan.id);
                project.store.choose_trying(gate, busy, prune)
            })
        })?;
        if !is_gone {
            left.push(plan);
            continue;
        }
        let path = project.repo_path(&plan.id);
        std::fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        if !cli.json {
            cli.ui.line(format!("Removed plan {} for good", plan.name));
        }
        pruned.push(plan);
    }
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "pruned": named(&pruned), "left": named(&left),
        }));
    } else if pruned.is_empty() && left.is_empty() {
        cli.ui.note("No deleted plans");
    }
    for plan in &left {
        cli.ui.warning(format!(
            "plan {} stays: somebody waits for it, it was brought back, or an apply of it is not settled",
            plan.name
        ));
    }
    Ok(match left.is_empty() {
        true => ExitCode::Done,
        false => ExitCode::Failed,
    })
}

/// Whether somebody has to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Sure {
    /// First.
    Ask,
    /// -y was given.
    Yes,
}
