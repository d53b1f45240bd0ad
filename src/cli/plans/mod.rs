//! Plans: made, listed, chosen, named, put aside, deleted and brought back.

mod change;
mod delete;
mod globs;
mod list;
mod which;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

pub(super) use change::{Archive, Rename, archive, rename, unarchive};
pub(super) use delete::{Delete, Sure, Undelete, delete, prune, undelete};
pub(super) use list::{Plans, plans};

use super::exit::ExitCode;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, rfc3339};
use super::waiting::outside_tickets;
use crate::project::{self, Project, Selected};
use crate::store::plans::{self as rows, Plan};
use crate::store::selections::Selection;
use crate::store::{contexts, messages};
use crate::ui::render;

/// `plandex new`
#[derive(Debug, Args)]
#[command(after_help = "\
A plan that was given no name is called \"draft\" (or the next free \"draft-2\", …) until its first \
prompt names it: \"Add a --json flag\" makes it add-a-json-flag.

Examples:
  plandex new
  plandex new -n auth")]
pub(super) struct New {
    /// The plan's name, unique among the plans that are not deleted.
    #[arg(long, short)]
    name: Option<String>,
}

/// `plandex cd`
#[derive(Debug, Args)]
#[command(after_help = "\
Other terminals stay where they are. A script without a terminal chooses for the project: for all \
that have not chosen themselves.

Examples:
  plandex cd auth
  plandex cd au       if no other plan begins so
  plandex cd 2        the second of `plandex plans`")]
pub(super) struct Cd {
    /// The plan's name, the beginning of it, its id or its number in `plandex plans`.
    plan: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanDocument {
    id: String,
    name: String,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<String>,
    branch: Option<String>,
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<u64>,
    is_current: bool,
}

/// A name as it is kept. Fails on one that is empty or has a line break in it.
fn good_name(name: &str, hint: &'static str) -> Result<String> {
    let name = name.trim();
    let problem = match name {
        "" => "the plan's name is empty",
        name if name.chars().any(char::is_control) => "the plan's name has control characters",
        _ => return Ok(name.to_owned()),
    };
    Err(UsageError::new(problem, hint).into())
}

/// `plandex new [-n NAME]`
pub(super) fn new(cli: &Cli, args: &New) -> Result<ExitCode> {
    let named = cli.environment.plandex_dir.as_deref();
    let (place, is_new) = match project::find(&cli.cwd, named) {
        Ok(place) => (place, false),
        Err(error) if error.is::<project::ProjectError>() => {
            (project::place_for_new(&cli.cwd, named)?, true)
        }
        Err(error) => return Err(error),
    };
    let name = args.name.as_deref();
    let name = name.map(|name| good_name(name, "`plandex new -n NAME`"));
    let name = name.transpose()?;
    let project = cli.create(&place)?;
    let plan = match &name {
        Some(name) => outside_tickets(cli, &project, ("new", ""), |patience, on_wait| {
            project.new_plan(name, patience, on_wait)
        })?,
        None => draft(cli, &project)?,
    };
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            schema_version: u32,
            plan: PlanDocument,
            project: String,
        }
        cli.ui.json(&Created {
            schema_version: SCHEMA_VERSION,
            plan: document(&plan, Some(("main".to_owned(), "draft".to_owned())), true),
            project: place.root.to_string_lossy().into_owned(),
        });
        return Ok(ExitCode::Done);
    }
    if is_new {
        cli.ui.note(format!(
            "Started a plandex project in {}",
            place.root.display()
        ));
        if place.dir.parent() != Some(&place.root) {
            cli.ui
                .note(format!("Its state is kept in {}", place.dir.display()));
        }
    }
    cli.ui
        .line(format!("Created plan {} and made it current", plan.name));
    cli.ui
        .hint("show it files with `plandex load PATHS`, then `plandex tell \"what to do\"`");
    Ok(ExitCode::Done)
}

/// A plan with a free name, until its first prompt names it.
fn draft(cli: &Cli, project: &Project) -> Result<Plan> {
    // Each round that fails, another process has got a plan: so many at once that this does not
    // end cannot be.
    loop {
        let name = free_name(project)?;
        let made = outside_tickets(cli, project, ("new", ""), |patience, on_wait| {
            project.new_draft(&name, patience, on_wait)
        });
        match made {
            Err(error) if is_taken(&error) => {}
            other => return other,
        }
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(project::SelectError::Taken(_)))
}

/// "draft", or the first of "draft-2", "draft-3", … that no live plan has.
fn free_name(project: &Project) -> Result<String> {
    project.store.read(|tx| {
        let mut name = "draft".to_owned();
        let mut number = 1_u64;
        // Bounded by the plans that there are.
        while rows::by_name(tx, &name)?.is_some() {
            number += 1;
            name = format!("draft-{number}");
        }
        Ok(name)
    })
}

/// `plandex cd NAME`
pub(super) fn cd(cli: &Cli, args: &Cd) -> Result<ExitCode> {
    let project = cli.open()?;
    let plan = project.find_plan(&args.plan)?;
    // Who is on the plan already stays on its branch.
    let kept = project.selected().ok();
    let kept = kept.filter(|selected| selected.plan.id == plan.id && cli.has_chosen(selected));
    let selection = Selection {
        plan_id: plan.id.clone(),
        branch: kept.map_or_else(|| "main".to_owned(), |selected| selected.branch.name),
    };
    outside_tickets(cli, &project, ("cd", &plan.id), |patience, on_wait| {
        project.choose(&selection, patience, on_wait)
    })?;
    if cli.json {
        return show_current(cli, &project);
    }
    cli.ui.line(format!("Changed to plan {}", plan.name));
    if plan.archived_at.is_some() {
        cli.ui
            .hint("it is archived: `plandex unarchive` lists it again");
    }
    Ok(ExitCode::Done)
}

/// `plandex current`
pub(super) fn current(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    show_current(cli, &project)
}

/// The tokens of what a branch was shown, and of what was said on it.
fn tokens(project: &Project, branch_id: &str) -> Result<(u64, u64)> {
    project.store.read(|tx| {
        let (_, shown) = contexts::sum(tx, branch_id)?;
        Ok((shown, messages::tokens(tx, branch_id, i64::MAX)?))
    })
}

fn show_current(cli: &Cli, project: &Project) -> Result<ExitCode> {
    let selected = project.selected()?;
    let (context, convo) = tokens(project, &selected.branch.id)?;
    let (by, branch_by) = cli.decided_by(&selected);
    let status = project.status_now(&selected.plan.id, selected.branch.status)?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plan: PlanDocument,
            decided_by: &'static str,
            branch_decided_by: &'static str,
            context_tokens: u64,
            convo_tokens: u64,
            project: String,
        }
        let branch = (selected.branch.name.clone(), status.word().to_owned());
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan: document(&selected.plan, Some(branch), true),
            decided_by: by,
            branch_decided_by: branch_by,
            context_tokens: context,
            convo_tokens: convo,
            project: project.root.to_string_lossy().into_owned(),
        });
        return Ok(ExitCode::Done);
    }
    let tokens = |count: u64| format!("{} tokens", render::count(count));
    for (label, value) in [
        ("Plan", shown_name(&selected)),
        ("Branch", selected.branch.name.clone()),
        ("Status", status.word().to_owned()),
        ("Decided by", decided(by, branch_by)),
        ("Context", tokens(context)),
        ("Convo", tokens(convo)),
        ("Project", project.root.to_string_lossy().into_owned()),
    ] {
        cli.ui.line(format!("{label:<12}{value}"));
    }
    Ok(ExitCode::Done)
}

fn shown_name(selected: &Selected) -> String {
    let name = &selected.plan.name;
    match selected.plan.archived_at {
        Some(_) => format!("{name} (archived)"),
        None => name.clone(),
    }
}

/// Who decided the plan, and who its branch if that is somebody else.
fn decided(by: &str, branch_by: &str) -> String {
    match branch_by {
        same if same == by => by.to_owned(),
        // That it is the branch which every plan begins with needs no words.
        "default" => by.to_owned(),
        other => format!("{by}, the branch by {other}"),
    }
}

fn document(plan: &Plan, branch: Option<(String, String)>, is_current: bool) -> PlanDocument {
    let (branch, status) = branch.unzip();
    PlanDocument {
        id: plan.id.clone(),
        name: plan.name.clone(),
        created_at: rfc3339(plan.created_at),
        updated_at: rfc3339(plan.updated_at),
        archived_at: plan.archived_at.map(rfc3339),
        deleted_at: plan.deleted_at.map(rfc3339),
        deleted_by: plan.deleted_by.clone().filter(|by| !by.is_empty()),
        branch,
        status,
        pending: None,
        is_current,
    }
}
