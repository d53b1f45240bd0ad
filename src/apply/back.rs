//! `apply --undo`: what an apply replaced goes back, and its changes are pending again.
//!
//! The one hard rule: an undo is an apply like any other, of the originals that the first one kept.
//! It is journaled, all or nothing, and keeps what it replaces; a file that is not what the first
//! apply left there is somebody's, and stays.

use anyhow::{Context as _, Result};

use super::classify::Kept;
use super::journal::is_to_move;
use super::run::{begin, message, set_back, set_status};
use super::{
    Applied, Classified, Doing, OnConflict, Options, apply, classify, content, plan_writes,
};
use crate::project::{Project, Turn, tree};
use crate::repo::TreeChange;
use crate::store::applies::{self, Apply, ApplyFile, FileState, State};
use crate::store::branches::{self, Status};
use crate::store::changes::{self, Change};
use crate::store::tickets::WritePermit;

/// Why there is nothing to undo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUndoable {
    /// The branch has no apply whose originals are kept and that is not undone yet.
    #[error("there is no apply to undo")]
    Nothing,
    /// No apply of the branch whose originals are kept has this id.
    #[error("no apply \"{0}\" can be undone here")]
    Unknown(String),
    /// The beginning of an id is that of several.
    #[error("\"{0}\" is the beginning of several applies")]
    Ambiguous(String),
}

/// The apply that an undo is of: the newest of the branch that is not undone, or the one called
/// `id` (a part of it is enough where only one has it).
pub fn undoable(project: &Project, branch_id: &str, id: Option<&str>) -> Result<Apply> {
    let known = project.store.read(|tx| applies::undoable(tx, branch_id))?;
    let Some(id) = id else {
        let newest = known.into_iter().find(|(_, is_undone)| !is_undone);
        return Ok(newest.ok_or(NotUndoable::Nothing)?.0);
    };
    let mut found = known
        .into_iter()
        .map(|(apply, _)| apply)
        .filter(|apply| apply.id.starts_with(id) || apply.id.ends_with(id));
    match (found.next(), found.next()) {
        (Some(apply), None) => Ok(apply),
        (None, _) => Err(NotUndoable::Unknown(id.to_owned()).into()),
        (Some(_), Some(_)) => Err(NotUndoable::Ambiguous(id.to_owned()).into()),
    }
}

/// The changes that take the apply `id` back, classified against the files as they are: only what
/// it wrote, each from what it left to what it replaced.
pub fn reversed(project: &Project, apply: &Apply) -> Result<Vec<Classified>> {
    let files = project.store.read(|tx| applies::files(tx, &apply.id))?;
    let written: Vec<ApplyFile> = files
        .into_iter()
        .filter(|file| file.state == FileState::Written && is_to_move(file))
        .collect();
    let changes: Vec<Change> = project.store.read(|tx| {
        written
            .iter()
            .map(|file| {
                let change = changes::by_id(tx, &apply.branch_id, &file.change_id)?;
                Ok(back(file, apply, change))
            })
            .collect()
    })?;
    let mut classified = classify(&project.root, project.dir(), &changes)?;
    for (one, file) in classified.iter_mut().zip(&written) {
        one.kept = Some(Kept {
            apply: apply.id.clone(),
            number: file.number,
        });
    }
    Ok(classified)
}

/// The change that takes one path of an apply back.
fn back(file: &ApplyFile, apply: &Apply, change: Option<Change>) -> Change {
    let hash = |mark: &Option<String>| mark.as_deref().map(content::unmarked).map(str::to_owned);
    let (base_hash, target_hash) = (hash(&file.target_hash), hash(&file.base_hash));
    let (added, removed) = change.as_ref().map_or((0, 0), |c| (c.removed, c.added));
    Change {
        id: file.change_id.clone(),
        branch_id: apply.branch_id.clone(),
        message_id: change.map(|change| change.message_id).unwrap_or_default(),
        path: file.path.clone(),
        executable: file.base_hash.as_deref().and_then(content::program_bit),
        base_hash,
        base_blob: None,
        blob: None,
        target_hash,
        moved_from: None,
        added,
        removed,
        notes: "{}".to_owned(),
        created_at: apply.created_at,
    }
}

/// Takes the apply `apply` back: what it replaced is in place again, and its changes are pending,
/// in one new version of the branch.
///
/// A file that changed since is the user's: for [`OnConflict::Skip`] it stays and the others go
/// back, else nothing does ([`super::ApplyError::Conflicts`]).
pub fn undo(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_name: &str,
    undone: &Apply,
    on_conflict: OnConflict,
    hear: impl Fn(Doing, usize, usize) + 'static,
) -> Result<Applied> {
    let (branch, files) = begin(turn, permit, branch_name, hear)?;
    let project = turn.project;
    // Somebody may have been faster, or an apply since may have dropped what was kept.
    undoable(project, &branch.id, Some(&undone.id))?;
    let mut decision = plan_writes(reversed(project, undone)?, &Options::all(on_conflict))?;
    decision.undoes = Some(undone.id.clone());
    // What is back already ends nothing: its change stays as it is.
    let back_already: Vec<String> = decision
        .already
        .drain(..)
        .map(|one| one.change.path)
        .collect();
    set_status(turn, permit, &branch, Status::Applying)?;
    let mut applied = apply(
        &project.store,
        permit,
        &files,
        &decision,
        &|_| Ok(None),
        &mut |id, back| finish(turn, permit, &branch.id, id, back),
        &turn.cancel,
    );
    set_back(turn, permit, &branch, &applied);
    if let Ok(applied) = &mut applied {
        applied.already = back_already;
    }
    applied
}

/// Ends an undo in the plan: the changes with the ids `undone` are pending again. One whose path
/// has a newer pending change is part of that one, which was built on it: it is built on what is
/// there now, then.
pub(super) fn finish(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_id: &str,
    apply_id: &str,
    undone: &[String],
) -> Result<()> {
    let (branch, pending, changes, files) = turn.project.store.read(|tx| {
        let branch = branches::by_id(tx, branch_id)?.context("the branch is gone")?;
        let changes: Vec<Change> = undone
            .iter()
            .filter_map(|id| changes::by_id(tx, branch_id, id).transpose())
            .collect::<Result<_>>()?;
        let files = applies::files(tx, apply_id)?;
        Ok((branch, changes::pending(tx, branch_id)?, changes, files))
    })?;
    let newer = |change: &Change| pending.iter().find(|newer| newer.path == change.path);
    let (replaced, again): (Vec<&Change>, Vec<&Change>) =
        changes.iter().partition(|change| newer(change).is_some());
    let rebased: Vec<Change> = replaced
        .into_iter()
        .filter_map(|change| {
            let file = files.iter().find(|file| file.change_id == change.id)?;
            let had = file.base_hash.as_deref().map(content::unmarked);
            let newer = newer(change).filter(|newer| newer.base_hash.as_deref() == had)?;
            let has = file.target_hash.as_deref().map(content::unmarked);
            Some(Change {
                base_hash: has.map(str::to_owned),
                base_blob: None,
                ..newer.clone()
            })
        })
        .collect();
    let repo = turn.repo()?;
    let blob = |id: &Option<String>| id.as_deref().map(|id| repo.blob(id)).transpose();
    let mut tree: Vec<TreeChange> = Vec::new();
    for change in &again {
        tree.extend(tree::pending(
            change,
            blob(&change.blob)?,
            blob(&change.base_blob)?,
        ));
    }
    tree.extend(
        rebased
            .iter()
            .flat_map(|change| tree::pending(change, None, None)),
    );
    let message = message("Undo apply of", changes.iter(), apply_id);
    turn.advance(permit, &branch, &tree, &message, |tx| {
        for change in &again {
            changes::reopen(tx, branch_id, &change.id)?;
        }
        for change in &rebased {
            changes::rebase(tx, branch_id, &change.id, change.base_hash.as_deref())?;
        }
        applies::finish(tx, apply_id, State::Done)?;
        branches::set_status(tx, branch_id, Status::Ready, None)
    })
}
