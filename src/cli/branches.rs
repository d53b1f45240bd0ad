//! `branches`, `checkout`.

use anyhow::{Result, bail};
use serde::Serialize;

use super::args;
use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::UsageError;
use super::session::{Cli, SCHEMA_VERSION, clock_time, rfc3339};
use super::waiting::outside_tickets;
use crate::lock::operation;
use crate::project::SelectError;
use crate::store::branches;
use crate::store::selections::Selection;
use crate::ui::{Frame, Table};

/// `plandex branches`
pub(super) fn branches(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let all = project
        .store
        .read(|tx| branches::of_plan(tx, &selected.plan.id))?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            branches: Vec<BranchDocument>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct BranchDocument {
            name: String,
            status: &'static str,
            head: Option<String>,
            updated_at: String,
            is_current: bool,
        }
        let branches = all
            .into_iter()
            .map(|branch| BranchDocument {
                is_current: branch.id == selected.branch.id,
                status: branch.status.word(),
                updated_at: rfc3339(branch.updated_at),
                name: branch.name,
                head: branch.head,
            })
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            branches,
        });
        return Ok(ExitCode::Done);
    }
    let mut table = Table::new(Frame::Open, ["", "Name", "Status", "Updated"]);
    for branch in &all {
        let mark = if branch.id == selected.branch.id {
            "*"
        } else {
            ""
        };
        let updated = clock_time(branch.updated_at);
        table.row([mark, &branch.name, branch.status.word(), &updated]);
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

/// `plandex checkout [-b] NAME`
pub(super) fn checkout(cli: &Cli, args: &args::Checkout) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let name = args.name.trim().to_owned();
    if name.is_empty() {
        return Err(UsageError::new("the branch's name is empty", "`plandex branches`").into());
    }
    let known = project
        .store
        .read(|tx| branches::by_name(tx, &selected.plan.id, &name))?;
    if args.create && known.is_some() {
        let message = format!("the plan has already a branch \"{name}\"");
        let hint = format!("`plandex checkout {name}`, or choose another name");
        return Err(UsageError::new(message, hint).into());
    }
    if args.create {
        let job = Job {
            project: &project,
            plan_id: &selected.plan.id,
            branch: None,
            operation: operation::CREATE_BRANCH,
        };
        let (from, new) = (selected.branch.name.clone(), name.clone());
        operate(
            cli,
            &job,
            move |permit, turn, _: &mut dyn FnMut(())| {
                let from = turn.branch(&from)?;
                turn.project
                    .store
                    .write(permit, |tx| branches::fork(tx, &from, &new))?;
                turn.mend_mirrors(permit)?;
                Ok(())
            },
            |()| {},
        )?;
    }
    let found = project
        .store
        .read(|tx| branches::by_name(tx, &selected.plan.id, &name))?;
    if found.is_none() {
        return Err(SelectError::NoBranch(name).into());
    }
    let selection = Selection {
        plan_id: selected.plan.id,
        branch: name.clone(),
    };
    let about = ("checkout", selection.plan_id.as_str());
    let chosen = outside_tickets(cli, &project, about, |patience, on_wait| {
        project.choose(&selection, patience, on_wait)
    });
    match chosen {
        // Not as "nothing was changed".
        Err(error) if args.create => {
            bail!("created branch {name}, but did not change to it: {error:#}")
        }
        chosen => chosen?,
    }
    let made = if args.create {
        "Created and changed to"
    } else {
        "Changed to"
    };
    if cli.json {
        cli.ui
            .json(&serde_json::json!({"schemaVersion": SCHEMA_VERSION, "branch": name}));
    } else {
        cli.ui.line(format!("{made} branch {name}"));
    }
    Ok(ExitCode::Done)
}
