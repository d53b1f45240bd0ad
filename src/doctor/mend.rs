//! `--fix`: each finding is looked at again inside the transaction that repairs it.
//!
//! Locks first, because everything else may stand behind one; then the files of interrupted
//! applies; then one write turn for each plan, in which the repairs run that every writer runs;
//! then what only takes up room. Nothing is waited for: a plan that is busy is left, and said so.
//! Before data is changed the database is copied aside, or it is not changed. A damaged database or
//! repository is never touched: a repair that guesses loses data.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::Limits;
use super::checks::count;
use super::checks::leftovers::temporary;
use super::checks::machine::{Untidy, untidy};
use super::copies;
use super::report::{Issue, Kind, Report};
use crate::lock::{Hung, Patience, grant_step, operation, owner, replace_hung};
use crate::platform::{clock, file};
use crate::project::Project;
use crate::store::{self, plans, tickets};
use crate::workers::{Params, exec_repo_operation};

/// Decides the files of interrupted applies; returns a line for each thing it did. Given by the
/// front door, because doctor does not know the room that applies.
pub type Recovery = fn(&Project) -> Result<Vec<String>>;

/// What [`fix`] came to, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fixed {
    /// What it did: [`Report::fixed`] of the report that is made after.
    pub done: Vec<String>,
    /// What it could not do, and why.
    pub left: Vec<String>,
    /// Where the database is as it was before data was changed; `None` if none was.
    pub copy: Option<PathBuf>,
}

/// What is repaired by changing data: what plans say, and the database's own parts.
const OF_DATA: [Kind; 3] = [Kind::InterruptedApply, Kind::StatusStuck, Kind::Schema];

impl Fixed {
    /// Takes up the lines of one repair, or why it failed.
    fn note(&mut self, what: &str, result: Result<Vec<String>>) {
        match result {
            Ok(lines) => self.done.extend(lines),
            Err(error) => self.left.push(format!("{what}: {error:#}")),
        }
    }
}

/// Repairs what `report` found and offers to repair. What fails is left, and the rest goes on.
///
/// `recoveries` decide the files of interrupted applies. Look again after it
/// ([`super::examine`]): only that tells what remains.
pub fn fix(project: &Arc<Project>, report: &Report, recoveries: &[Recovery]) -> Fixed {
    let mut fixed = Fixed::default();
    let offered = |kind: Kind| {
        let ours = move |issue: &&Issue| issue.kind == kind && issue.action.is_some();
        report.issues.iter().filter(ours)
    };
    if offered(Kind::FileSystem).next().is_some() {
        tidy(project.dir(), &mut fixed);
    }
    let orphaned: Vec<&Issue> = offered(Kind::OrphanedLock).collect();
    remove_orphans(project, &orphaned, &mut fixed);
    for issue in offered(Kind::StaleLock) {
        end_hung(project, issue, &mut fixed);
    }
    let may_change_data = copy_first(project, OF_DATA.into_iter().flat_map(offered), &mut fixed);
    if may_change_data && offered(Kind::Schema).next().is_some() {
        fixed.note("the schema", complete_schema(project));
    }
    if may_change_data && offered(Kind::InterruptedApply).next().is_some() {
        for recovery in recoveries {
            fixed.note("recovering an apply", recovery(project));
        }
    }
    let plans_of = |kinds: &[Kind]| -> BTreeSet<&String> {
        let issues = kinds.iter().flat_map(|kind| offered(*kind));
        issues.filter_map(|issue| issue.plan_id.as_ref()).collect()
    };
    let with_data = plans_of(&OF_DATA);
    let mut plans = plans_of(&[Kind::RefMismatch, Kind::Leftovers]);
    if may_change_data {
        plans.extend(&with_data);
    } else {
        // Whoever is granted their write turn repairs their data.
        plans.retain(|plan| !with_data.contains(plan));
    }
    for plan_id in plans {
        let turn = take_turn(project, plan_id);
        fixed.done.extend(project.take_repaired());
        fixed.note(&name(project, plan_id), turn);
    }
    if offered(Kind::Leftovers).any(|issue| issue.plan_id.is_none()) {
        sweep(project, &mut fixed);
    }
    if offered(Kind::WalSize).next().is_some() {
        fixed.note("the write-ahead log", shorten_wal(project));
    }
    fixed
}

/// Copies the database aside if any of `issues`, whose repair changes data, is there; returns whether
/// they may be repaired.
fn copy_first<'i>(
    project: &Project,
    issues: impl Iterator<Item = &'i Issue>,
    fixed: &mut Fixed,
) -> bool {
    let issues: Vec<&Issue> = issues.collect();
    if issues.is_empty() {
        return true;
    }
    match copies::make(&project.store, "fix") {
        Ok(path) => {
            fixed.copy = Some(path);
            true
        }
        Err(error) => {
            let why = format!("not repaired, because no copy could be made first: {error:#}");
            let of_each = issues.iter();
            let left = of_each.map(|issue| format!("{}: {why}", issue.description));
            fixed.left.extend(left);
            false
        }
    }
}

fn complete_schema(project: &Project) -> Result<Vec<String>> {
    let made = project.store.complete_schema()?;
    Ok(made
        .into_iter()
        .map(|part| format!("made the database's {part} again"))
        .collect())
}

/// Removes the tickets of dead owners, plan by plan, each in one transaction with its grants.
fn remove_orphans(project: &Project, issues: &[&Issue], fixed: &mut Fixed) {
    let plans: BTreeSet<&String> = issues.iter().filter_map(|i| i.plan_id.as_ref()).collect();
    for plan_id in plans {
        let ids: Vec<i64> = issues
            .iter()
            .filter(|issue| issue.plan_id.as_ref() == Some(plan_id))
            .filter_map(|issue| ticket_of(issue))
            .collect();
        let name = name(project, plan_id);
        let removed = || -> Result<Vec<String>> {
            let before = standing(project, &ids)?;
            grant_step(&project.store, plan_id)?;
            let after = standing(project, &ids)?;
            let gone = before.into_iter().filter(|id| !after.contains(id));
            Ok(gone
                .map(|id| format!("{name}: removed lock {id} of a dead process"))
                .collect())
        };
        fixed.note(&name, removed());
    }
}

fn standing(project: &Project, ids: &[i64]) -> Result<Vec<i64>> {
    project.store.read(|tx| {
        let mut found = Vec::new();
        for id in ids {
            found.extend(tickets::by_id(tx, *id)?.map(|ticket| ticket.id));
        }
        Ok(found)
    })
}

/// Ends the lock of a process that hangs, as the first one waiting for it would.
fn end_hung(project: &Project, issue: &Issue, fixed: &mut Fixed) {
    let (Some(id), Some(plan_id)) = (ticket_of(issue), &issue.plan_id) else {
        return;
    };
    let what = format!("{}: lock {id}", name(project, plan_id));
    match replace_hung(&project.store, id, &project.cancel) {
        Ok(Hung::Unsure) => fixed.left.push(format!(
            "{what} was left alone: others kept the database busy; run it again"
        )),
        Ok(Hung::Replaced) => fixed
            .done
            .push(format!("{what} was expired and is removed")),
        Ok(Hung::Gone) => {}
        Ok(Hung::CameBack) => fixed
            .left
            .push(format!("{what} was left alone: its process has renewed it")),
        Ok(Hung::Stays) => fixed.left.push(format!(
            "{what} stays: what its process started still runs, or cannot be seen from here"
        )),
        Err(error) => fixed.left.push(format!("{what}: {error:#}")),
    }
}

/// Takes the plan's write turn, if it is free: the repairs run by themselves when it is granted;
/// then the refs follow their rows, and what is older than the turn goes.
fn take_turn(project: &Arc<Project>, plan_id: &str) -> Result<Vec<String>> {
    let params = Params {
        plan_id: plan_id.to_owned(),
        branch: None,
        operation: operation::REPAIR,
        patience: Patience::None,
        cancel: project.cancel.child()?,
        on_wait: Box::new(|_| {}),
    };
    let (mended, swept) = exec_repo_operation(project, params, |permit, turn| {
        let granted_ms = clock::wall_ms();
        let mended = turn.mend_mirrors(permit)?;
        Ok((mended, turn.repo()?.sweep(granted_ms)?))
    })?;
    let name = name(project, plan_id);
    let mut lines: Vec<String> = mended
        .iter()
        .map(|branch| format!("{name}: the git ref of branch \"{branch}\" follows its row again"))
        .collect();
    if swept > 0 {
        let files = count(swept, "file", "files");
        lines.push(format!("{name}: removed {files} that a dead process left"));
    }
    Ok(lines)
}

fn sweep(project: &Project, fixed: &mut Fixed) {
    let owners = || -> Result<Vec<String>> {
        let swept = owner::sweep(&project.store)?;
        let files = count(swept, "owner file", "owner files");
        let line = format!("removed {files} of dead processes");
        Ok(Some(line).filter(|_| swept > 0).into_iter().collect())
    };
    fixed.note("owner files", owners());
    let before_ms = clock::wall_ms() - Limits::default().leftover_ms;
    for path in temporary(project.dir(), before_ms) {
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path).context("removing it")
        } else {
            file::remove_file(&path)
        };
        let shown = path.display().to_string();
        fixed.note(&shown, removed.map(|()| vec![format!("removed {shown}")]));
    }
}

fn shorten_wal(project: &Project) -> Result<Vec<String>> {
    project.store.checkpoint()?;
    let path = project.dir().join(store::FILES[1]);
    let left = std::fs::metadata(&path).map_or(0, |meta| meta.len());
    anyhow::ensure!(
        left <= Limits::default().wal.0,
        "somebody reads it; it is shortened after the next commit that finds it unused"
    );
    Ok(vec![
        "moved the write-ahead log into the database".to_owned(),
    ])
}

fn tidy(dir: &Path, fixed: &mut Fixed) {
    for problem in untidy(dir) {
        let result = match &problem {
            Untidy::Missing(path) => file::create_dir_private(path),
            // By path: the database's files are never opened.
            Untidy::Open(path, mode) => {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode))
                    .context("changing its mode")
            }
        };
        let action = problem.action();
        fixed.note(&action, result.map(|()| vec![action.clone()]));
    }
}

fn ticket_of(issue: &Issue) -> Option<i64> {
    issue.lock_id.as_deref()?.parse().ok()
}

fn name(project: &Project, plan_id: &str) -> String {
    let plan = project.store.read(|tx| plans::by_id(tx, plan_id));
    let plan = plan.ok().flatten();
    let name = plan.map_or_else(|| plan_id.to_owned(), |plan| plan.name);
    format!("plan \"{name}\"")
}
