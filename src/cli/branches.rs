//! `branches`, `checkout`, `delete-branch`.
//!
//! Every plan has the branch "main" for good: whoever changes to the plan begins there.

use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;

use super::exit::ExitCode;
use super::operate::{Job, operate};
use super::report::{Unasked, UsageError};
use super::session::{Cli, SCHEMA_VERSION, rfc3339, since};
use super::waiting::outside_tickets;
use crate::config;
use crate::lock::operation;
use crate::project::{Project, SelectError, Selected, Turn};
use crate::store::branches::{self, Branch, Listed};
use crate::store::selections::Selection;
use crate::store::tickets::WritePermit;
use crate::ui::{Confirmed, Frame, Preset, Table, render};

/// The branch that every plan has.
const MAIN: &str = "main";

/// `plandex checkout`
#[derive(Debug, Args)]
#[command(after_help = "\
Other terminals stay on their branches. A new branch begins as the one that you are on: with its \
context, its conversation and its pending changes; making it waits for its turn on the plan.

Examples:
  plandex checkout try-it          asks if there is no such branch
  plandex checkout -b try-it       makes it; fails if it is there
  plandex checkout -y try-it       makes it if it is not there
  plandex checkout 2               the second of `plandex branches`

Exit codes: 2 if there is no such branch (or with -b, if there is); 9 if making it was declined.")]
pub(super) struct Checkout {
    /// The branch's name, or its number in `plandex branches`.
    name: String,
    /// Make it, from the branch that this terminal is on.
    #[arg(short = 'b', long)]
    create: bool,
    /// Make it if it is not there, without asking.
    #[arg(short, long, conflicts_with = "create")]
    yes: bool,
}

/// `plandex delete-branch`
#[derive(Debug, Args)]
#[command(after_help = "\
\"main\" cannot be deleted: whoever changes to a plan begins there. Who deletes the branch that it \
is on is on main then; another terminal that was on it is told so by its next command. Waits for \
its turn on the plan.

Examples:
  plandex delete-branch try-it
  plandex dlb 2 -y

Exit codes: 9 if it was declined, or nobody could be asked and -y was not given.")]
pub(super) struct Delete {
    /// The branch's name, or its number in `plandex branches`.
    name: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BranchDocument {
    name: String,
    status: &'static str,
    head: Option<String>,
    parent: Option<String>,
    pending: u64,
    created_at: String,
    updated_at: String,
    is_current: bool,
}

/// `plandex branches`
pub(super) fn branches(cli: &Cli) -> Result<ExitCode> {
    let (project, selected) = cli.open_selected()?;
    let mut all = project
        .store
        .read(|tx| branches::list(tx, &selected.plan.id))?;
    for one in &mut all {
        one.branch.status = project.status_now(&selected.plan.id, one.branch.status)?;
    }
    if cli.json {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            schema_version: u32,
            branches: Vec<BranchDocument>,
        }
        let branches = all
            .into_iter()
            .map(|one| document(one, &selected))
            .collect();
        cli.ui.json(&Document {
            schema_version: SCHEMA_VERSION,
            branches,
        });
        return Ok(ExitCode::Done);
    }
    let headings = ["", "#", "Name", "From", "Status", "Pending", "Updated"];
    let mut table = Table::new(Frame::Open, headings);
    for (number, one) in all.iter().enumerate() {
        let branch = &one.branch;
        let is_current = branch.id == selected.branch.id;
        table.row([
            if is_current { "*" } else { "" }.to_owned(),
            (number + 1).to_string(),
            branch.name.clone(),
            one.parent.clone().unwrap_or_default(),
            branch.status.word().to_owned(),
            one.pending.to_string(),
            format!("{} ago", render::age(since(branch.updated_at))),
        ]);
    }
    cli.ui.table(&table);
    Ok(ExitCode::Done)
}

fn document(one: Listed, selected: &Selected) -> BranchDocument {
    let branch = one.branch;
    BranchDocument {
        is_current: branch.id == selected.branch.id,
        status: branch.status.word(),
        updated_at: rfc3339(branch.updated_at),
        created_at: rfc3339(one.created_at),
        name: branch.name,
        head: branch.head,
        parent: one.parent,
        pending: one.pending,
    }
}

/// The live branch that a word means: its name, else its number.
fn find(project: &Project, plan_id: &str, word: &str) -> Result<Option<Branch>> {
    project.store.read(|tx| {
        let mut all = branches::of_plan(tx, plan_id)?;
        let named = all.iter().position(|branch| branch.name == word);
        let numbered = || word.parse::<usize>().ok()?.checked_sub(1);
        let place = named.or_else(numbered).filter(|place| *place < all.len());
        Ok(place.map(|place| all.swap_remove(place)))
    })
}

/// `plandex checkout [-b] NAME`
pub(super) fn checkout(cli: &Cli, args: &Checkout) -> Result<ExitCode> {
    let (project, selected) = at_hand(cli)?;
    let name = args.name.trim().to_owned();
    if name.is_empty() {
        return Err(UsageError::new("the branch's name is empty", "`plandex branches`").into());
    }
    if name.chars().any(char::is_control) {
        return Err(UsageError::new("that is no name of a branch", "`plandex branches`").into());
    }
    let known = find(&project, &selected.plan.id, &name)?;
    if let (true, Some(known)) = (args.create, &known) {
        let name = &known.name;
        let message = format!("the plan has already a branch \"{name}\"");
        let hint = format!(
            "`plandex checkout {}`, or choose another name",
            config::quoted(name)
        );
        return Err(UsageError::new(message, hint).into());
    }
    let is_new = known.is_none();
    if is_new {
        if !args.create && !args.yes && !may_create(cli, &selected, &name)? {
            return Ok(ExitCode::Declined);
        }
        create(cli, &project, &selected, &name)?;
    }
    let name = known.map_or(name, |known| known.name);
    let chosen = choose(cli, &project, &selected, &name);
    match chosen {
        // Not as "nothing was changed".
        Err(error) if is_new => {
            bail!("created branch {name}, but did not change to it: {error:#}")
        }
        chosen => chosen?,
    }
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "branch": name, "created": is_new,
        }));
    } else {
        let made = if is_new {
            "Created and changed to"
        } else {
            "Changed to"
        };
        cli.ui.line(format!("{made} branch {name}"));
    }
    Ok(ExitCode::Done)
}

/// The project and what is selected; who is on a branch that was deleted is on main, for choosing
/// another.
fn at_hand(cli: &Cli) -> Result<(Arc<Project>, Selected)> {
    let project = cli.open()?;
    match project.selected() {
        Err(error) if matches!(error.downcast_ref(), Some(SelectError::BranchGone { .. })) => {
            let selected = project.selected_on(MAIN)?;
            Ok((project, selected))
        }
        selected => Ok((project, selected?)),
    }
}

/// Asks whether a branch that is not there is to be made. Fails where nobody can be asked.
fn may_create(cli: &Cli, selected: &Selected, name: &str) -> Result<bool> {
    let from = &selected.branch.name;
    let question = format!("There is no branch \"{name}\". Make it from \"{from}\"?");
    match cli.ui.confirm(question, Preset::Yes) {
        Confirmed::Yes => Ok(true),
        Confirmed::No | Confirmed::Cancelled => Ok(false),
        Confirmed::NotATerminal => Err(SelectError::NoBranch(name.to_owned()).into()),
    }
}

fn job<'a>(
    project: &'a Arc<Project>,
    selected: &'a Selected,
    operation: operation::Operation<WritePermit>,
) -> Job<'a, WritePermit> {
    Job {
        project,
        plan_id: &selected.plan.id,
        branch: None,
        operation,
    }
}

fn create(cli: &Cli, project: &Arc<Project>, selected: &Selected, name: &str) -> Result<()> {
    let (from, new) = (selected.branch.name.clone(), name.to_owned());
    operate(
        cli,
        &job(project, selected, operation::CREATE_BRANCH),
        move |permit, turn, _: &mut dyn FnMut(())| {
            let from = turn.branch(&from)?;
            turn.fork(permit, &from, &new)
        },
        |()| {},
    )
}

fn choose(cli: &Cli, project: &Project, selected: &Selected, name: &str) -> Result<()> {
    let selection = Selection {
        plan_id: selected.plan.id.clone(),
        branch: name.to_owned(),
    };
    let about = ("checkout", selection.plan_id.as_str());
    outside_tickets(cli, project, about, |patience, on_wait| {
        project.choose(&selection, patience, on_wait)
    })
}

/// `plandex delete-branch NAME`
pub(super) fn delete(cli: &Cli, args: &Delete) -> Result<ExitCode> {
    let (project, selected) = at_hand(cli)?;
    let word = args.name.trim();
    let Some(branch) = find(&project, &selected.plan.id, word)? else {
        return Err(SelectError::NoBranch(word.to_owned()).into());
    };
    let name = branch.name.clone();
    if name == MAIN {
        let words =
            "the branch \"main\" cannot be deleted: whoever changes to the plan begins there";
        let hint = "delete the plan with `plandex delete-plan`";
        return Err(UsageError::new(words, hint).into());
    }
    if !args.yes {
        let plan = &selected.plan.name;
        let question = format!("Delete branch {name} of plan {plan}?");
        match cli.ui.confirm(question, Preset::No) {
            Confirmed::Yes => {}
            Confirmed::No | Confirmed::Cancelled => return Ok(ExitCode::Declined),
            Confirmed::NotATerminal => {
                return Err(Unasked {
                    what: "deleting a branch",
                    hint: "`plandex delete-branch -y NAME`; nothing was deleted",
                }
                .into());
            }
        }
    }
    let id = branch.id.clone();
    let asked_for = name.clone();
    operate(
        cli,
        &job(&project, &selected, operation::DELETE_BRANCH),
        move |permit, turn, _: &mut dyn FnMut(())| remove(permit, turn, &id, &asked_for),
        |()| {},
    )?;
    let was_here = selected.branch.id == branch.id && cli.has_chosen(&selected);
    if was_here {
        choose(cli, &project, &selected, MAIN)?;
    }
    if cli.json {
        cli.ui.json(&serde_json::json!({
            "schemaVersion": SCHEMA_VERSION, "deleted": name, "id": branch.id,
        }));
    } else {
        cli.ui.line(format!("Deleted branch {name}"));
        if was_here {
            cli.ui.line(format!("Changed to branch {MAIN}"));
        }
    }
    Ok(ExitCode::Done)
}

/// Deletes the branch `id` if it still is there: its name may be another's by now. Its versions
/// stay in the repository, without a ref.
fn remove(permit: &WritePermit, turn: &Turn<'_>, id: &str, name: &str) -> Result<()> {
    let branch = turn.branch(name)?;
    if branch.id != id {
        bail!("branch \"{name}\" was deleted meanwhile, and another is called so now");
    }
    turn.project
        .store
        .write(permit, |tx| branches::delete(tx, id))?;
    // The row is the truth; a ref that is left points at versions that nobody asks for.
    drop(turn.repo()?.remove_mirror(id));
    Ok(())
}
