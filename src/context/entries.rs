//! What was gathered becomes entries of a branch: bodies in the repository, rows in the database.

use anyhow::Result;

use super::{ContextError, Loaded};
use crate::platform::clock;
use crate::project::{Turn, tree};
use crate::repo::{self, TreeChange};
use crate::store::branches::Branch;
use crate::store::contexts::{self, Context};
use crate::store::new_id;
use crate::store::tickets::AppendPermit;

/// So many entries a branch has at the most.
pub const ENTRIES_MAX: usize = 1000;

/// Adds `loaded` to the branch as one version. A path that was loaded before is replaced and keeps
/// its id and place. Fails with [`ContextError::TooMany`] above [`ENTRIES_MAX`].
pub fn add(
    turn: &Turn<'_>,
    permit: &AppendPermit,
    branch_name: &str,
    loaded: &[Loaded],
) -> Result<Vec<Context>> {
    let message = headline(loaded);
    turn.append(
        permit,
        branch_name,
        &message,
        |branch| prepare(turn, branch, loaded),
        |tx, entries| {
            entries
                .iter()
                .try_for_each(|entry| contexts::put(tx, entry))
        },
    )
}

fn prepare(
    turn: &Turn<'_>,
    branch: &Branch,
    loaded: &[Loaded],
) -> Result<(Vec<TreeChange>, Vec<Context>)> {
    let known = turn
        .project
        .store
        .read(|tx| contexts::of_branch(tx, &branch.id))?;
    let now = clock::wall_ms();
    let mut entries = Vec::with_capacity(loaded.len());
    let mut changes = Vec::with_capacity(loaded.len() * 2);
    let mut new = 0;
    for item in loaded {
        let earlier = item
            .path
            .as_ref()
            .and_then(|path| known.iter().find(|entry| entry.path.as_ref() == Some(path)));
        new += usize::from(earlier.is_none());
        let entry = Context {
            id: earlier.map_or_else(new_id, |entry| entry.id.clone()),
            branch_id: branch.id.clone(),
            kind: item.kind,
            name: item.name.clone(),
            path: item.path.clone(),
            blob: repo::blob_id(&item.body)?,
            hash: item.hash.clone(),
            size: signed(item.size),
            mtime_ns: item.mtime_ns,
            tokens: signed(item.tokens),
            created_at: earlier.map_or(now, |entry| entry.created_at),
            updated_at: now,
        };
        changes.extend(tree::context(&entry, item.body.clone()));
        entries.push(entry);
    }
    if known.len() + new > ENTRIES_MAX {
        return Err(ContextError::TooMany(ENTRIES_MAX).into());
    }
    Ok((changes, entries))
}

fn headline(loaded: &[Loaded]) -> String {
    match loaded {
        [one] => format!("Load {}", one.name),
        many => {
            let names: Vec<&str> = many.iter().map(|item| item.name.as_str()).collect();
            format!("Load {} entries\n\n{}", many.len(), names.join("\n"))
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
