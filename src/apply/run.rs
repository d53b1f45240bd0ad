//! One apply from its turn to its rows, and the rows of one that died in between.

use std::collections::HashSet;

use anyhow::{Context as _, Result};

use super::{
    Applied, ApplyError, Doing, Options, Outcome, Recovered, Turn as ApplyTurn, apply, back,
    classify, content, offer_merges, plan_writes, sudo,
};
use crate::project::{APPLY, Turn, tree};
use crate::repo::TreeChange;
use crate::store::applies::{self, Apply, ApplyFile, FileState, State};
use crate::store::branches::{self, Branch, Status};
use crate::store::changes::{self, Change, Ended};
use crate::store::tickets::WritePermit;

/// Who puts the files where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// This process.
    Ours,
    /// Sudo, file by file: for those that this user may not write (see `sudo`).
    Sudo,
}

/// Applies the pending changes with the ids `wanted` (those that are still pending) of a branch.
///
/// Classifies them anew: only what `options` decides is written, and a file that differs from what
/// was answered for is an [`ApplyError::Conflicts`].
pub fn run(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_name: &str,
    wanted: &[String],
    options: &Options,
    hand: Hand,
    hear: impl Fn(Doing, usize, usize) + 'static,
) -> Result<Applied> {
    let (branch, files) = begin(turn, permit, branch_name, hear)?;
    let project = turn.project;
    let wanted: HashSet<&str> = wanted.iter().map(String::as_str).collect();
    let pending = project.store.read(|tx| changes::pending(tx, &branch.id))?;
    let pending: Vec<Change> = pending
        .into_iter()
        .filter(|change| wanted.contains(change.id.as_str()))
        .collect();
    let mut classified = classify(&project.root, project.dir(), &pending)?;
    if options.merges() {
        offer_merges(project, turn.plan_id, &mut classified)?;
    }
    let decision = plan_writes(classified, options)?;
    set_status(turn, permit, &branch, Status::Applying)?;
    let repo = turn.repo()?;
    let contents = |change: &Change| {
        let blob = change.blob.as_deref().map(|blob| repo.blob(blob));
        blob.transpose()
    };
    let write = match hand {
        Hand::Ours => apply,
        Hand::Sudo => sudo::apply,
    };
    let applied = write(
        &project.store,
        permit,
        &files,
        &decision,
        &contents,
        &mut |id, written| finish(turn, permit, &branch.id, id, written, &[]),
        &turn.cancel,
    );
    set_back(turn, permit, &branch, &applied);
    applied
}

/// The branch, and the project's files to write, once what a dead apply left is settled.
pub(super) fn begin(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_name: &str,
    hear: impl Fn(Doing, usize, usize) + 'static,
) -> Result<(Branch, ApplyTurn)> {
    let branch = turn.branch(branch_name)?;
    let project = turn.project;
    let patience = Some(project.locks().intervals().lease);
    let files = ApplyTurn::take(&project.store, &project.root, patience, &turn.cancel)?;
    let files = files.heard_by(hear);
    settle_rows(turn, permit)?;
    Ok((branch, files))
}

/// Sets the branch's status back where no rows followed the files: then all is as before, and so is
/// the status. Or something waits for the next write turn: then the status says so, and even a
/// reader takes that turn first.
pub(super) fn set_back(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    applied: &Result<Applied>,
) {
    let is_followed = applied.as_ref().is_ok_and(Applied::has_followed);
    if !is_followed && !waits(turn, branch).unwrap_or(true) {
        set_status(turn, permit, branch, branch.status).ok();
    }
}

/// Whether files or rows of an apply of the branch wait to be settled.
fn waits(turn: &Turn<'_>, branch: &Branch) -> Result<bool> {
    let open = [applies::UNDECIDED, applies::UNSETTLED].concat();
    let standing = turn.project.store.read(|tx| applies::standing(tx, &open))?;
    Ok(standing.iter().any(|apply| apply.branch_id == branch.id))
}

/// What a dead apply left, mended by the next writer of its plan: files first, under the apply
/// lock (if it is free: whoever has it is mending already), then the rows.
pub fn settle(turn: &Turn<'_>, permit: &WritePermit) -> Result<Vec<String>> {
    let project = turn.project;
    let undecided = project
        .store
        .read(|tx| applies::standing(tx, applies::UNDECIDED))?;
    let mut lines = Vec::new();
    if !undecided.is_empty() {
        let none = Some(std::time::Duration::ZERO);
        match ApplyTurn::take(&project.store, &project.root, none, &turn.cancel) {
            Ok(files) => lines.extend(files.recovered().iter().flat_map(words_of)),
            Err(error) if matches!(error.downcast_ref(), Some(ApplyError::Busy(_))) => {}
            Err(error) => return Err(error),
        }
    }
    settle_rows(turn, permit)?;
    let stuck = project.store.read(|tx| {
        let undecided = applies::standing(tx, applies::UNDECIDED)?;
        let mut branches = branches::of_plan(tx, turn.plan_id)?;
        branches.retain(|branch| {
            branch.status == Status::Applying
                && !undecided.iter().any(|apply| apply.branch_id == branch.id)
        });
        Ok(branches)
    })?;
    for branch in stuck {
        set_status(turn, permit, &branch, Status::Ready)?;
        lines.push(format!(
            "branch \"{}\": an apply died; its files are settled",
            branch.name
        ));
    }
    Ok(lines)
}

/// The rows of applies whose files are decided: only changes still pending are marked. One that took
/// the place of a change which was written all the same (its apply was suspended and robbed) was
/// built on what stands in the file now.
pub(super) fn settle_rows(turn: &Turn<'_>, permit: &WritePermit) -> Result<()> {
    let unsettled = turn
        .project
        .store
        .read(|tx| applies::unsettled(tx, turn.plan_id))?;
    for (
        Apply {
            id,
            branch_id,
            state,
            undoes,
            ..
        },
        files,
    ) in unsettled
    {
        if state == State::FilesDone {
            let is_written = |file: &&ApplyFile| file.state == FileState::Written;
            let files: Vec<ApplyFile> = files.iter().filter(is_written).cloned().collect();
            if undoes.is_some() {
                let undone: Vec<String> = files.iter().map(|file| file.change_id.clone()).collect();
                back::finish(turn, permit, &branch_id, &id, &undone)
                    .context("settling an interrupted undo")?;
                continue;
            }
            let written: Vec<String> = files.iter().map(|file| file.change_id.clone()).collect();
            finish(turn, permit, &branch_id, &id, &written, &files)
                .context("settling an interrupted apply")?;
        } else {
            turn.project
                .store
                .write(permit, |tx| applies::finish(tx, &id, State::Undone))?;
        }
    }
    Ok(())
}

/// Ends an apply in the plan: the changes with the ids `written` are in the project now, and changes
/// that took their place since are of what was `left` there.
fn finish(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_id: &str,
    apply_id: &str,
    written: &[String],
    left: &[ApplyFile],
) -> Result<()> {
    let (branch, pending) = turn.project.store.read(|tx| {
        let branch = branches::by_id(tx, branch_id)?.context("the branch is gone")?;
        Ok((branch, changes::pending(tx, branch_id)?))
    })?;
    let written: HashSet<&str> = written.iter().map(String::as_str).collect();
    let ended: Vec<&Change> = pending
        .iter()
        .filter(|change| written.contains(change.id.as_str()))
        .collect();
    let is_built_on = |change: &Change, file: &ApplyFile| {
        let (is_other, is_same_path) = (change.id != file.change_id, change.path == file.path);
        let had = file.base_hash.as_deref().map(content::unmarked);
        is_other && is_same_path && change.base_hash.as_deref() == had
    };
    let rebased: Vec<Change> = pending
        .iter()
        .filter_map(|change| {
            let file = left.iter().find(|file| is_built_on(change, file))?;
            let has = file.target_hash.as_deref().map(content::unmarked);
            let base_hash = has.map(str::to_owned);
            let change = change.clone();
            Some(Change {
                base_hash,
                base_blob: None,
                ..change
            })
        })
        .collect();
    let gone = ended
        .iter()
        .flat_map(|change| tree::without_pending(change));
    let still = rebased
        .iter()
        .flat_map(|change| tree::pending(change, None, None));
    let tree: Vec<TreeChange> = gone.chain(still).collect();
    let message = message("Apply", ended.iter().copied(), apply_id);
    turn.advance(permit, &branch, &tree, &message, |tx| {
        for change in &ended {
            changes::end(tx, branch_id, &change.id, Ended::Applied)?;
        }
        for change in &rebased {
            changes::rebase(tx, branch_id, &change.id, change.base_hash.as_deref())?;
        }
        applies::finish(tx, apply_id, State::Done)?;
        branches::set_status(tx, branch_id, Status::Ready, None)
    })
}

/// A version's message: what was done to how many changes, which files, and by which apply.
pub(super) fn message<'c>(
    done: &str,
    changes: impl Iterator<Item = &'c Change>,
    apply_id: &str,
) -> String {
    let paths: Vec<&str> = changes.map(|change| change.path.as_str()).collect();
    let noun = match paths.len() {
        1 => "change",
        _ => "changes",
    };
    let (count, paths) = (paths.len(), paths.join("\n"));
    format!("{done} {count} {noun}\n\n{paths}\n\n{APPLY}: {apply_id}")
}

pub(super) fn set_status(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    status: Status,
) -> Result<()> {
    turn.project.store.write(permit, |tx| {
        branches::set_status(tx, &branch.id, status, branch.error.as_deref())
    })
}

/// What became of an apply that died, a line for it and one for each path that needs a look.
pub fn words_of(recovered: &Recovered) -> Vec<String> {
    let what = match recovered.outcome {
        Outcome::Finished => "an interrupted apply was finished: all its files are new",
        Outcome::Undone => "an interrupted apply was undone: all its files are as before",
    };
    let noted = recovered.left.iter().chain(&recovered.failed);
    let paths = noted.map(|one| format!("{} {}", one.path, one.why));
    std::iter::once(what.to_owned()).chain(paths).collect()
}
