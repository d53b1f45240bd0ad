//! Which run is meant.

use std::time::Duration;

use anyhow::{Result, bail};

use super::super::report::UsageError;
use super::super::session::since;
use crate::lock::operation;
use crate::project::{Project, SelectError, find_plan};
use crate::store::audit::Entry;
use crate::store::plans::Plan;
use crate::store::streams::{self, Stream};
use crate::store::tickets::{self, State};
use crate::store::{ReadTx, branches, history, plans};

/// A run that was over before it was one is recorded within this time.
const JUST: Duration = Duration::from_secs(10);
/// An id's beginning that is shorter than this is the name of a plan.
const PREFIX_MIN: usize = 8;

/// A run, or the ticket that one is to begin under.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) plan: Plan,
    /// The branch's name; not known of one that waits.
    pub(super) branch: Option<String>,
    pub(super) run: Option<Stream>,
    pub(super) ticket: i64,
    /// Whether it was named itself.
    is_named: bool,
}

impl Found {
    /// Whether it has ended, and was found only for want of one at work.
    pub(super) fn is_over_unasked(&self) -> bool {
        let is_over = |run: &Stream| run.finished_at.is_some();
        !self.is_named && self.run.as_ref().is_some_and(is_over)
    }

    pub(super) fn branch(&self) -> &str {
        self.branch.as_deref().unwrap_or_default()
    }
}

/// Finds the run that (RUN or PLAN, BRANCH) name; without them, that of the selected plan and branch:
/// the one at work, else the one that waits, else the last one.
pub(super) fn find(project: &Project, wanted: (Option<&str>, Option<&str>)) -> Result<Found> {
    let (name, branch) = wanted;
    if let Some(name) = name
        && let Some(found) = project.store.read(|tx| named(tx, name))?
    {
        if branch.is_some() {
            let hint = "give the run alone, or a plan and its branch";
            return Err(UsageError::new("a run has a branch of its own", hint).into());
        }
        return Ok(found);
    }
    let (plan, branch) = place(project, name, branch)?;
    project.store.read(|tx| at_work(tx, &plan, &branch))
}

/// The run with this number or id; `None` if it is neither.
fn named(tx: &ReadTx<'_>, name: &str) -> Result<Option<Found>> {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    if let Ok(number) = name.parse::<i64>() {
        let run = streams::of_ticket(tx, number)?;
        let ticket = tickets::by_id(tx, number)?.filter(|ticket| operation::is_run(&ticket.reason));
        return match (run, ticket) {
            (Some(run), _) => of_run(tx, run).map(Some),
            (None, Some(ticket)) => of_ticket(tx, number, &ticket.plan_id).map(Some),
            (None, None) => {
                // Its ticket is gone, and its last words are on their way.
                let past = history::of_ticket(tx, number)?.map(|past| past.entry);
                if let Some(past) = past.filter(has_just_ended) {
                    return of_ticket(tx, number, &past.plan_id).map(Some);
                }
                let hint = "see `plandex ps` for what runs; a plan's number goes with `--plan`";
                Err(UsageError::new(format!("there is no run {number}"), hint).into())
            }
        };
    }
    if name.len() < PREFIX_MIN || !name.chars().all(is_id) {
        return Ok(None);
    }
    let mut runs = streams::beginning_with(tx, &name.to_ascii_lowercase())?;
    match (runs.pop(), runs.is_empty()) {
        (Some(run), true) => of_run(tx, run).map(Some),
        (Some(_), false) => {
            let words = format!("several runs begin with {name}");
            Err(UsageError::new(words, "give more of the id").into())
        }
        (None, _) => Ok(None),
    }
}

fn of_run(tx: &ReadTx<'_>, run: Stream) -> Result<Found> {
    let branch = branches::by_id(tx, &run.branch_id)?;
    let plan = match &branch {
        Some(branch) => plans::by_id(tx, &branch.plan_id)?,
        None => None,
    };
    let (Some(branch), Some(plan)) = (branch, plan) else {
        bail!("the plan of run {} is gone", run.ticket);
    };
    Ok(Found {
        plan,
        branch: Some(branch.name),
        ticket: run.ticket,
        run: Some(run),
        is_named: true,
    })
}

fn has_just_ended(past: &Entry) -> bool {
    operation::is_run(&past.reason) && past.ended_at.is_some_and(|at| since(at) < JUST)
}

fn of_ticket(tx: &ReadTx<'_>, ticket: i64, plan_id: &str) -> Result<Found> {
    let Some(plan) = plans::by_id(tx, plan_id)? else {
        bail!("the plan of run {ticket} is gone");
    };
    Ok(Found {
        plan,
        branch: None,
        run: None,
        ticket,
        is_named: true,
    })
}

/// The plan and the branch's name.
fn place(project: &Project, plan: Option<&str>, branch: Option<&str>) -> Result<(Plan, String)> {
    let selected = project.selected();
    let (plan, chosen) = match (plan, selected) {
        (Some(name), selected) => {
            let plan = project.store.read(|tx| find_plan(tx, name))?;
            let of_it = selected.ok().filter(|chosen| chosen.plan.id == plan.id);
            (plan, of_it.map(|chosen| chosen.branch.name))
        }
        (None, selected) => {
            let selected = selected?;
            (selected.plan, Some(selected.branch.name))
        }
    };
    let name = branch.map(str::to_owned).or(chosen);
    Ok((plan, name.unwrap_or_else(|| "main".to_owned())))
}

fn at_work(tx: &ReadTx<'_>, plan: &Plan, branch: &str) -> Result<Found> {
    let Some(row) = branches::by_name(tx, &plan.id, branch)? else {
        return Err(SelectError::NoBranch(branch.to_owned()).into());
    };
    let found = |run: Option<Stream>, ticket| Found {
        plan: plan.clone(),
        branch: Some(row.name.clone()),
        run,
        ticket,
        is_named: false,
    };
    if let Some(run) = streams::unfinished(tx, &row.id)?.pop() {
        let ticket = run.ticket;
        return Ok(found(Some(run), ticket));
    }
    // A ticket says no branch: it is for the whole plan.
    let mut others = Vec::new();
    for ticket in tickets::of_plan(tx, &plan.id)? {
        let is_there = ticket.state.blocks() || ticket.state == State::Waiting;
        if !is_there || !operation::is_run(&ticket.reason) {
            continue;
        }
        match streams::of_ticket(tx, ticket.id)? {
            None => {
                return Ok(Found {
                    branch: None,
                    ..found(None, ticket.id)
                });
            }
            Some(run) if run.finished_at.is_none() => others.push(run.ticket),
            Some(_) => {}
        }
    }
    if let Some(run) = streams::last(tx, &row.id)? {
        let ticket = run.ticket;
        return Ok(found(Some(run), ticket));
    }
    let words = format!(
        "there was no run yet on plan {}, branch {branch}",
        plan.name
    );
    let hint = match others.first() {
        Some(number) => format!("one is at work on another branch: `plandex connect {number}`"),
        None => "begin one with `plandex tell`".to_owned(),
    };
    Err(UsageError::new(words, hint).into())
}
