//! `plans`: which there are.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::super::exit::ExitCode;
use super::super::session::{Cli, SCHEMA_VERSION, since};
use super::{PlanDocument, document};
use crate::project::{Project, Selected};
use crate::store::changes;
use crate::store::plans::{self, Listed, Which};
use crate::ui::{Frame, Table, render};

/// `plandex plans`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plandex plans
  plandex plans -a           those that are archived
  plandex plans --deleted    those that `plandex undelete` can bring back")]
pub(in super::super) struct Plans {
    /// List the archived plans.
    #[arg(long, short, conflicts_with = "deleted")]
    archived: bool,
    /// List the deleted plans that are not pruned yet.
    #[arg(long)]
    deleted: bool,
}

/// A plan, and of its branch the name, the status and how many changes are pending.
struct Row {
    listed: Listed,
    branch: String,
    is_current: bool,
}

/// `plandex plans [-a] [--deleted]`
pub(in super::super) fn plans(cli: &Cli, args: &Plans) -> Result<ExitCode> {
    let which = match (args.archived, args.deleted) {
        (true, _) => Which::Archived,
        (_, true) => Which::Deleted,
        _ => Which::Open,
    };
    let project = cli.open()?;
    let current = project.selected().ok();
    let (listed, pending) = project.store.read(|tx| {
        let pending = match &current {
            Some(current) => changes::pending(tx, &current.branch.id)?.len(),
            None => 0,
        };
        Ok((plans::list(tx, which)?, pending as u64))
    })?;
    let rows: Vec<Row> = listed
        .into_iter()
        .map(|listed| row(&project, listed, current.as_ref(), pending))
        .collect::<Result<_>>()?;
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            plans: Vec<PlanDocument>,
        }
        let plans = rows.iter().map(of_row).collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            plans,
        });
        return Ok(ExitCode::Done);
    }
    if rows.is_empty() {
        let (what, hint) = match which {
            Which::Open if is_any(&project, Which::Archived)? => (
                "No plans but archived ones",
                "list those with `plandex plans -a`, or create one with `plandex new`",
            ),
            Which::Open => ("No plans yet", "create one with `plandex new`"),
            Which::Archived => ("No archived plans", "archive one with `plandex archive`"),
            Which::Deleted => ("No deleted plans", "list the others with `plandex plans`"),
        };
        cli.ui.note(what);
        cli.ui.hint(hint);
        return Ok(ExitCode::Done);
    }
    cli.ui.table(&match which {
        Which::Open | Which::Archived => live(&rows),
        Which::Deleted => deleted(&rows),
    });
    Ok(ExitCode::Done)
}

fn is_any(project: &Project, which: Which) -> Result<bool> {
    let listed = project.store.read(|tx| plans::list(tx, which))?;
    Ok(!listed.is_empty())
}

/// The branch shown is that which the plan is worked on here: of the current plan the chosen one,
/// of the others "main".
fn row(
    project: &Project,
    mut listed: Listed,
    current: Option<&Selected>,
    pending: u64,
) -> Result<Row> {
    let current = current.filter(|current| current.plan.id == listed.plan.id);
    if let Some(current) = current {
        listed.main = Some((current.branch.status, pending));
    }
    if let Some((status, _)) = &mut listed.main {
        *status = project.status_now(&listed.plan.id, *status)?;
    }
    Ok(Row {
        branch: current.map_or_else(|| "main".to_owned(), |one| one.branch.name.clone()),
        is_current: current.is_some(),
        listed,
    })
}

fn of_row(row: &Row) -> PlanDocument {
    let main = row.listed.main;
    let branch = main.map(|(status, _)| (row.branch.clone(), status.word().to_owned()));
    PlanDocument {
        pending: main.map(|(_, pending)| pending),
        ..document(&row.listed.plan, branch, row.is_current)
    }
}

fn ago(ms: i64) -> String {
    format!("{} ago", render::age(since(ms)))
}

fn live(rows: &[Row]) -> Table {
    let headings = ["", "#", "Name", "Branch", "Status", "Pending", "Updated"];
    let mut table = Table::new(Frame::Open, headings);
    for (number, row) in rows.iter().enumerate() {
        let (status, pending) = match row.listed.main {
            Some((status, pending)) => (status.word().to_owned(), pending),
            None => Default::default(),
        };
        table.row([
            if row.is_current { "*" } else { "" }.to_owned(),
            (number + 1).to_string(),
            row.listed.plan.name.clone(),
            row.branch.clone(),
            status,
            pending.to_string(),
            ago(row.listed.plan.updated_at),
        ]);
    }
    table
}

fn deleted(rows: &[Row]) -> Table {
    let mut table = Table::new(Frame::Open, ["#", "Name", "Deleted", "By"]);
    for (number, row) in rows.iter().enumerate() {
        let plan = &row.listed.plan;
        table.row([
            (number + 1).to_string(),
            plan.name.clone(),
            ago(plan.deleted_at.unwrap_or(plan.updated_at)),
            plan.deleted_by.clone().unwrap_or_default(),
        ]);
    }
    table
}
