//! `new`, `plans`, `cd`, `current`.

use anyhow::Result;
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339};
use super::waiting::outside_tickets;
use crate::project::{self, Project};
use crate::store::branches;
use crate::store::plans::{self, Plan};
use crate::store::selections::Selection;
use crate::ui::{Frame, Table};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlanDocument {
    id: String,
    name: String,
    created_at: String,
    updated_at: String,
    branch: Option<String>,
    status: Option<&'static str>,
    is_current: bool,
}

/// `plandex new [-n NAME]`
pub(super) fn new(cli: &Cli, args: &args::New) -> Result<ExitCode> {
    let named = cli.environment.plandex_dir.as_deref();
    let (place, is_new) = match project::find(&cli.cwd, named) {
        Ok(place) => (place, false),
        Err(error) if error.is::<project::ProjectError>() => {
            (project::place_for_new(&cli.cwd, named)?, true)
        }
        Err(error) => return Err(error),
    };
    if args
        .name
        .as_ref()
        .is_some_and(|name| name.trim().is_empty())
    {
        return Err(UsageError::new("the plan's name is empty", "`plandex new -n NAME`").into());
    }
    let project = cli.create(&place)?;
    let plan = match &args.name {
        Some(name) => new_plan(cli, &project, name.trim())?,
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
            plan: document(&plan, Some(("main".to_owned(), "draft")), true),
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

fn new_plan(cli: &Cli, project: &Project, name: &str) -> Result<Plan> {
    outside_tickets(cli, project, ("new", ""), |patience, on_wait| {
        project.new_plan(name, patience, on_wait)
    })
}

/// A plan with a free name.
fn draft(cli: &Cli, project: &Project) -> Result<Plan> {
    // Each round that fails, another process has got a plan: so many at once that this does not
    // end cannot be.
    loop {
        match new_plan(cli, project, &free_name(project)?) {
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
    let live = project.store.read(plans::live)?;
    let is_free = |name: &String| !live.iter().any(|plan| plan.name == *name);
    let numbered = (2_usize..).map(|number| format!("draft-{number}"));
    Ok(std::iter::once("draft".to_owned())
        .chain(numbered)
        .find(is_free)
        .unwrap_or_else(|| "draft".to_owned()))
}

/// `plandex plans`
pub(super) fn plans(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    let current = project.selected().ok();
    let is_current = |plan: &Plan| {
        current
            .as_ref()
            .is_some_and(|current| current.plan.id == plan.id)
    };
    let rows = project.store.read(|tx| {
        let live = plans::live(tx)?;
        live.into_iter()
            .map(|plan| {
                let name = match &current {
                    Some(current) if current.plan.id == plan.id => current.branch.name.as_str(),
                    _ => "main",
                };
                let branch = branches::by_name(tx, &plan.id, name)?;
                Ok((
                    plan,
                    branch.map(|branch| (branch.name.clone(), branch.status.word())),
                ))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plans: Vec<PlanDocument>,
        }
        let plans = rows
            .into_iter()
            .map(|(plan, branch)| {
                let is_current = is_current(&plan);
                document(&plan, branch, is_current)
            })
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plans,
        });
        return Ok(ExitCode::Done);
    }
    if rows.is_empty() {
        cli.ui.note("No plans yet");
        cli.ui.hint("create one with `plandex new`");
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(
        Frame::Open,
        ["", "#", "Name", "Branch", "Status", "Updated"],
    );
    for (number, (plan, branch)) in rows.iter().enumerate() {
        let (branch, status) = branch.clone().unwrap_or_default();
        table.row([
            if is_current(plan) {
                "*".to_owned()
            } else {
                String::new()
            },
            (number + 1).to_string(),
            plan.name.clone(),
            branch,
            status.to_owned(),
            clock_time(plan.updated_at),
        ]);
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

/// `plandex cd NAME`
pub(super) fn cd(cli: &Cli, args: &args::Cd) -> Result<ExitCode> {
    let project = cli.open()?;
    let plan = project.find_plan(&args.plan)?;
    let selection = Selection {
        plan_id: plan.id.clone(),
        branch: "main".to_owned(),
    };
    outside_tickets(cli, &project, ("cd", &plan.id), |patience, on_wait| {
        project.choose(&selection, patience, on_wait)
    })?;
    if cli.json {
        return show_current(cli, &project);
    }
    cli.ui.line(format!("Changed to plan {}", plan.name));
    Ok(ExitCode::Done)
}

/// `plandex current`
pub(super) fn current(cli: &Cli) -> Result<ExitCode> {
    let project = cli.open()?;
    show_current(cli, &project)
}

fn show_current(cli: &Cli, project: &Project) -> Result<ExitCode> {
    let selected = project.selected()?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plan: PlanDocument,
            decided_by: &'static str,
            project: String,
        }
        let branch = (selected.branch.name.clone(), selected.branch.status.word());
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plan: document(&selected.plan, Some(branch), true),
            decided_by: selected.decided_by.words(),
            project: project.root.to_string_lossy().into_owned(),
        });
        return Ok(ExitCode::Done);
    }
    for (label, value) in [
        ("Plan", selected.plan.name.as_str()),
        ("Branch", &selected.branch.name),
        ("Status", selected.branch.status.word()),
        ("Decided by", selected.decided_by.words()),
        ("Project", &project.root.to_string_lossy()),
    ] {
        cli.ui.line(format!("{label:<12}{value}"));
    }
    Ok(ExitCode::Done)
}

fn document(plan: &Plan, branch: Option<(String, &'static str)>, is_current: bool) -> PlanDocument {
    let (branch, status) = branch.unzip();
    PlanDocument {
        id: plan.id.clone(),
        name: plan.name.clone(),
        created_at: rfc3339(plan.created_at),
        updated_at: rfc3339(plan.updated_at),
        branch,
        status,
        is_current,
    }
}
