//! `--rebuild`: the rows of branches, or a whole lost database, made again from the plans'
//! repositories.
//!
//! The one hard rule: nothing is lost by it. A database that can be opened is copied before a row
//! of it is changed, and one that cannot be is put aside, not removed. What the repositories hold
//! comes back: plans, branches, heads, conversation, builds, context, pending changes, summaries and
//! settings. What only the database held is gone with it, and [`NOT_BACK`] says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use super::checks::{count, database::held_data};
use super::copies;
use crate::lock::{Patience, operation, owner};
use crate::project::content::{self, Content};
use crate::project::{Place, Project, Turn, status_after};
use crate::repo::{PlanRepo, Version};
use crate::store::branches::{self, Branch};
use crate::store::plans::{self, Plan};
use crate::store::rows::{self, Rows};
use crate::store::tickets::WritePermit;
use crate::store::{Integrity, Store, StoreError, WriteTx};
use crate::workers::{Params, exec_repo_operation};

/// What only the database holds.
pub const NOT_BACK: &str = "not in the repositories, so not back: the audit of locks, the events and \
     reports of past runs, the originals of past applies, which changes were applied or rejected when, \
     which plan each terminal had chosen, the project's intervals, deleted branches";

/// What a rebuild came to, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// What was made again.
    pub done: Vec<String>,
    /// What could not be, and why.
    pub left: Vec<String>,
    /// Where the database as it was before is, if it was changed.
    pub copy: Option<PathBuf>,
}

/// Makes the rows of each live branch what the tree of its head says, of the plan with the id
/// `plan_id` or of all, plan by plan in a write turn of its own. Rows that are so already are not
/// touched.
pub fn rebuild_rows(
    project: &Arc<Project>,
    plan_id: Option<&str>,
    patience: Patience,
) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    let mut all = project.store.read(plans::live)?;
    all.retain(|plan| plan_id.is_none_or(|id| id == plan.id));
    for plan in all {
        let copy = rebuilt.copy.clone();
        let params = Params {
            plan_id: plan.id.clone(),
            branch: None,
            operation: operation::REBUILD,
            patience,
            cancel: project.cancel.child()?,
            on_wait: Box::new(|_| {}),
        };
        let of_plan = exec_repo_operation(project, params, move |permit: &WritePermit, turn| {
            rebuild_plan(turn, permit, copy)
        });
        match of_plan {
            Ok(of_plan) => {
                let named = |line: &String| format!("plan \"{}\", {line}", plan.name);
                rebuilt.done.extend(of_plan.done.iter().map(named));
                rebuilt.left.extend(of_plan.left.iter().map(named));
                rebuilt.copy = of_plan.copy;
            }
            Err(error) => rebuilt
                .left
                .push(format!("plan \"{}\": {error:#}", plan.name)),
        }
    }
    Ok(rebuilt)
}

fn rebuild_plan(turn: &Turn<'_>, permit: &WritePermit, copy: Option<PathBuf>) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt {
        copy,
        ..Rebuilt::default()
    };
    let (repo, store) = (turn.repo()?, &turn.project.store);
    for branch in store.read(|tx| branches::of_plan(tx, turn.plan_id))? {
        let name = &branch.name;
        let before = store.read(|tx| Rows::of_branch(tx, &branch.id))?;
        let rows = match head_of(&repo, &branch) {
            Ok(held) => held.rows_after(&before),
            Err(error) => {
                rebuilt.left.push(format!("branch \"{name}\": {error:#}"));
                continue;
            }
        };
        let differences = rows.differences(&before);
        if differences.is_empty() {
            continue;
        }
        if rebuilt.copy.is_none() {
            rebuilt.copy = Some(copies::make(store, "rebuild")?);
        }
        store.write(permit, |tx| rows::replace(tx, &branch.id, &rows))?;
        let differences = differences.join(", ");
        rebuilt
            .done
            .push(format!("branch \"{name}\": {differences}"));
    }
    turn.mend_mirrors(permit)?;
    Ok(rebuilt)
}

fn head_of(repo: &PlanRepo, branch: &Branch) -> Result<Content> {
    let head = branch.head.as_deref().context("it has no version")?;
    content::read(repo, &head.parse()?, &branch.id)
}

/// Whether the project's database is lost: it is not there, it is empty, it is no database (any
/// more), it is damaged, or its tables are gone, while plans are there.
pub fn is_lost(place: &Place) -> Result<bool> {
    let look = || -> Result<bool> {
        let store = super::checks::database::open(place)?;
        let missing = store.missing_in_schema()?;
        let lacks_data = missing.iter().any(|part| held_data(part));
        Ok(lacks_data || !store.integrity(Integrity::Quick)?.is_empty())
    };
    look().or_else(|error| match error.downcast_ref() {
        Some(StoreError::Missing(_) | StoreError::Damaged { .. }) => Ok(true),
        _ => Err(error),
    })
}

/// Makes a lost database again, in one transaction. What there is of it is put aside.
pub fn recreate(place: &Place) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    let living = owner::living(&place.dir).len();
    ensure!(
        living == 0,
        "{} at work on the damaged database: end them first",
        count(living, "plandex process is", "plandex processes are")
    );
    let found = repositories(&place.dir.join("plans"))?;
    let filled = Store::recreate(&place.dir, |tx| {
        for (id, path) in &found {
            // A plan that cannot be read leaves the others as they are.
            match plan_of(path, id).and_then(|(plan, branches)| add(tx, plan, &branches)) {
                Ok(line) => rebuilt.done.push(line),
                Err(error) => rebuilt.left.push(format!("plan {id}: {error:#}")),
            }
        }
        Ok(())
    });
    let aside = filled.context("making the database again")?;
    rebuilt.copy = aside;
    Ok(rebuilt)
}

/// The plans' repositories: their ids and where they are.
fn repositories(plans: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = || std::fs::read_dir(plans)?.collect::<std::io::Result<Vec<_>>>();
    let entries = list().with_context(|| format!("listing {}", plans.display()))?;
    let mut found: Vec<(String, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_suffix(".git")?;
            (!id.starts_with('.')).then(|| (id.to_owned(), entry.path()))
        })
        .collect();
    // Ids are in the order of their making.
    found.sort();
    Ok(found)
}

/// A plan and its branches with their rows, as its repository tells them.
fn plan_of(path: &Path, id: &str) -> Result<(Plan, Vec<(Branch, Rows)>)> {
    let repo = PlanRepo::open(path)?;
    let main = repo.head_branch()?;
    let mut branches = Vec::new();
    let mut newest: Option<(i64, crate::project::tree::PlanAbout)> = None;
    let mut oldest = i64::MAX;
    for (branch_id, head) in repo.mirrors()? {
        let held = content::read(&repo, &head, &branch_id)?;
        let (made_at, changed_at) = times(&repo, &head)?;
        oldest = oldest.min(made_at);
        if let Some(about) = held.plan
            && newest.as_ref().is_none_or(|(at, _)| *at <= changed_at)
        {
            newest = Some((changed_at, about));
        }
        // Versions made before schema version 2 do not tell their branch.
        let short: String = branch_id.chars().rev().take(4).collect();
        let name = match &held.branch {
            Some(about) => about.name.clone(),
            None if branch_id == main => "main".to_owned(),
            None => format!("branch-{}", short.chars().rev().collect::<String>()),
        };
        let branch = Branch {
            id: branch_id,
            plan_id: id.to_owned(),
            name,
            parent_id: held
                .branch
                .as_ref()
                .and_then(|about| about.parent_id.clone()),
            head: Some(head.to_string()),
            status: status_after(held.rows.messages.last()),
            error: None,
            created_at: held.branch.map_or(made_at, |about| about.created_at),
            updated_at: changed_at,
        };
        branches.push((branch, held.rows));
    }
    let (updated_at, about) = newest.context("no version of it tells the plan")?;
    let plan = Plan {
        id: id.to_owned(),
        name: about.name,
        is_draft: about.is_draft,
        created_at: if about.created_at == 0 {
            oldest
        } else {
            about.created_at
        },
        updated_at,
        archived_at: about.archived_at,
        deleted_at: about.deleted_at,
        deleted_by: about.deleted_by,
    };
    Ok((plan, branches))
}

/// When the first and the newest version of a line were made.
fn times(repo: &PlanRepo, head: &Version) -> Result<(i64, i64)> {
    let newest = repo.entry(head)?.time_ms;
    let mut first = newest;
    for entry in repo.history(head) {
        first = entry?.time_ms;
    }
    Ok((first, newest))
}

fn add(tx: &WriteTx<'_>, mut plan: Plan, of_plan: &[(Branch, Rows)]) -> Result<String> {
    let name = plan.name.clone();
    let mut number = 1;
    // Bounded by the plans: names were unique before.
    while plan.deleted_at.is_none() && plans::by_name(tx, &plan.name)?.is_some() {
        number += 1;
        plan.name = format!("{name}-{number}");
    }
    plans::put(tx, &plan)?;
    for (branch, rows) in of_plan {
        branches::put(tx, branch)?;
        rows::replace(tx, &branch.id, rows)?;
    }
    let state = if plan.deleted_at.is_some() {
        " (deleted)"
    } else {
        ""
    };
    let names: Vec<&str> = of_plan
        .iter()
        .map(|(branch, _)| branch.name.as_str())
        .collect();
    Ok(format!(
        "plan \"{}\"{state}: {}",
        plan.name,
        names.join(", ")
    ))
}
