//! Which of the pending changes are meant, and what they would meet.

use std::collections::HashSet;

use anyhow::Result;

use super::args::Apply;
use crate::apply::{self, Classified};
use crate::cli::pending;
use crate::cli::session::Cli;
use crate::project::{Project, Selected};
use crate::store::applies;
use crate::store::changes::{self, Change};

/// What is pending, before anybody chose of it.
pub(super) struct Picked<'p> {
    project: &'p Project,
    plan_id: &'p str,
    pending: Vec<Change>,
}

/// The pending changes of the branch; with --retry-failed those that failed in its last apply.
pub(super) fn pick<'p>(
    _cli: &Cli,
    args: &Apply,
    project: &'p Project,
    selected: &'p Selected,
) -> Result<Picked<'p>> {
    let branch_id = &selected.branch.id;
    let pending = project.store.read(|tx| {
        let mut pending = changes::pending(tx, branch_id)?;
        if args.retry_failed {
            let failed: HashSet<String> =
                applies::failed_last(tx, branch_id)?.into_iter().collect();
            pending.retain(|change| failed.contains(&change.id));
        }
        Ok(pending)
    })?;
    Ok(Picked {
        project,
        plan_id: &selected.plan.id,
        pending,
    })
}

impl Picked<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Those that the command names, classified.
    pub(super) fn named(self, cli: &Cli, args: &Apply) -> Result<Vec<Classified>> {
        let chosen = pending::chosen(cli, self.project, self.pending, &args.files)?;
        classified(self.project, self.plan_id, &chosen)
    }
}

/// The same changes as they are now.
pub(super) fn again(
    project: &Project,
    selected: &Selected,
    shown: &[Classified],
) -> Result<Vec<Classified>> {
    let shown: HashSet<&str> = shown.iter().map(|one| one.change.id.as_str()).collect();
    let branch_id = &selected.branch.id;
    let mut pending = project.store.read(|tx| changes::pending(tx, branch_id))?;
    pending.retain(|change| shown.contains(change.id.as_str()));
    classified(project, &selected.plan.id, &pending)
}

fn classified(project: &Project, plan_id: &str, changes: &[Change]) -> Result<Vec<Classified>> {
    let mut classified = apply::classify(&project.root, project.dir(), changes)?;
    apply::offer_merges(project, plan_id, &mut classified)?;
    Ok(classified)
}
