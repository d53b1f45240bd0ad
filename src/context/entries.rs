//! What was gathered becomes entries of a branch: bodies in the repository, rows in the database.

use std::collections::{HashMap, HashSet};

use anyhow::Result;

use super::{ContextError, Kind, Loaded, Outdated, Renewal};
use crate::platform::clock;
use crate::project::{Turn, tree};
use crate::repo::{self, TreeChange};
use crate::store::branches::Branch;
use crate::store::contexts::{self, Context};
use crate::store::tickets::{AppendPermit, WritePermit};
use crate::store::{ReadTx, new_id, ratios};

/// So many entries a branch has at the most.
pub const ENTRIES_MAX: usize = 20_000;

/// What a model takes beside its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The model's name.
    pub model: String,
    /// Tokens, as the model counts them.
    pub room: u64,
    /// What the model counts where we estimate 1,000 ([`ratios::permille`]).
    pub permille: u32,
}

/// Adds `loaded` to the branch as one version. What was loaded before, by its path or URL, is
/// replaced and keeps its id and place. Fails with [`ContextError::TooMany`] above [`ENTRIES_MAX`],
/// and with [`ContextError::OverBudget`] if the branch then held more than `budget`.
pub fn add(
    turn: &Turn<'_>,
    permit: &AppendPermit,
    branch_name: &str,
    loaded: &[Loaded],
    budget: Option<&Budget>,
) -> Result<Vec<Context>> {
    let message = headline("Load", loaded.iter().map(|item| item.name.as_str()));
    turn.append(
        permit,
        branch_name,
        &message,
        |branch| prepare(turn, branch, loaded, budget),
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
    budget: Option<&Budget>,
) -> Result<(Vec<TreeChange>, Vec<Context>)> {
    let store = &turn.project.store;
    let now = clock::wall_ms();
    let mut entries = Vec::with_capacity(loaded.len());
    let mut changes = Vec::with_capacity(loaded.len() * 2);
    let (earlier, (count, tokens)) = store.read(|tx| {
        let earlier = loaded.iter().map(|item| earlier(tx, branch, item));
        let earlier: Vec<Option<Context>> = earlier.collect::<Result<_>>()?;
        Ok((earlier, contexts::sum(tx, &branch.id)?))
    })?;
    for (item, earlier) in loaded.iter().zip(&earlier) {
        let entry = row(branch, item, earlier.as_ref(), now)?;
        changes.extend(tree::context(&entry, item.body.clone()));
        entries.push(entry);
    }
    let replaced: HashMap<&str, u64> = earlier
        .iter()
        .flatten()
        .map(|entry| (entry.id.as_str(), entry.tokens.unsigned_abs()))
        .collect();
    let kept = (
        count - replaced.len(),
        tokens.saturating_sub(replaced.values().sum()),
    );
    check_room(kept, &entries, budget)?;
    Ok((changes, entries))
}

/// What makes an entry the same as an earlier one. A file that became an image is still itself.
fn place_of<'a>(
    kind: Kind,
    path: Option<&'a str>,
    url: Option<&'a str>,
) -> Option<(&'static str, &'a str)> {
    match kind {
        Kind::File | Kind::Image => Some(("file", path?)),
        Kind::Tree => Some(("tree", path?)),
        Kind::Map => Some(("map", path?)),
        Kind::Url => Some(("url", url?)),
        Kind::Note | Kind::Piped => None,
    }
}

/// The entry of the branch that `item` is again.
fn earlier(tx: &ReadTx<'_>, branch: &Branch, item: &Loaded) -> Result<Option<Context>> {
    let (path, url) = (item.path.as_deref(), item.origin.url.as_deref());
    let place = place_of(item.kind, path, url);
    let found = match place {
        None => Vec::new(),
        Some(("url", url)) => Vec::from_iter(contexts::at_url(tx, &branch.id, url)?),
        Some((_, path)) => contexts::at_path(tx, &branch.id, path)?,
    };
    let is_it = |entry: &Context| {
        place_of(
            entry.kind,
            entry.path.as_deref(),
            entry.origin.url.as_deref(),
        ) == place
    };
    // Where there are two, as a file and as an image, the newer one.
    Ok(found.into_iter().rfind(is_it))
}

/// The row of `item`, in the place of `earlier` if there was one.
fn row(branch: &Branch, item: &Loaded, earlier: Option<&Context>, now: i64) -> Result<Context> {
    Ok(Context {
        id: earlier.map_or_else(new_id, |entry| entry.id.clone()),
        branch_id: branch.id.clone(),
        kind: item.kind,
        name: item.name.clone(),
        path: item.path.clone(),
        origin: item.origin.clone(),
        blob: repo::blob_id(&item.body)?,
        hash: item.hash.clone(),
        size: signed(item.size),
        mtime_ns: item.mtime_ns,
        tokens: signed(item.tokens),
        created_at: earlier.map_or(now, |entry| entry.created_at),
        updated_at: now,
    })
}

/// Whether there is room for `entries` beside those that stay: how many, and their tokens.
fn check_room(
    (count, kept): (usize, u64),
    entries: &[Context],
    budget: Option<&Budget>,
) -> Result<()> {
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    if count + ids.len() > ENTRIES_MAX {
        return Err(ContextError::TooMany(ENTRIES_MAX).into());
    }
    let Some(budget) = budget else {
        return Ok(());
    };
    let corrected = |tokens| ratios::corrected(tokens, budget.permille);
    let kept = corrected(kept);
    let added = entries.iter().map(|entry| entry.tokens.unsigned_abs());
    let added = corrected(added.sum());
    if kept.saturating_add(added) > budget.room {
        return Err(ContextError::OverBudget {
            model: budget.model.clone(),
            room: budget.room,
            total: kept.saturating_add(added),
            added,
            kept,
        }
        .into());
    }
    Ok(())
}

/// Makes the entries of `outdated` what they are now, as one version.
pub(super) fn refresh(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    outdated: &[Outdated],
) -> Result<()> {
    let now = clock::wall_ms();
    let (mut changes, mut rows) = (Vec::new(), Vec::new());
    for one in outdated {
        match &one.renewal {
            Renewal::Modified(item) => {
                let entry = row(branch, item, Some(&one.entry), now)?;
                changes.extend(tree::context(&entry, item.body.clone()));
                rows.push(entry);
            }
            Renewal::Deleted => changes.extend(tree::without_context(&one.entry.id)),
        }
    }
    let names: Vec<String> = outdated
        .iter()
        .map(|one| format!("{} {}", one.mark(), one.entry.name))
        .collect();
    let message = match outdated {
        [one] => match one.renewal {
            Renewal::Modified(_) => format!("Update {}", one.entry.name),
            Renewal::Deleted => format!("Update: {} is gone", one.entry.name),
        },
        many => format!("Update {} entries\n\n{}", many.len(), names.join("\n")),
    };
    turn.advance(permit, branch, &changes, &message, |tx| {
        for one in outdated {
            if one.renewal == Renewal::Deleted {
                contexts::remove(tx, &branch.id, &one.entry.id)?;
            }
        }
        rows.iter().try_for_each(|entry| contexts::put(tx, entry))
    })
}

/// Removes entries from the branch as one version, whose message begins with `what`.
pub fn remove(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch: &Branch,
    entries: &[Context],
    what: &str,
) -> Result<()> {
    let changes: Vec<TreeChange> = entries
        .iter()
        .flat_map(|entry| tree::without_context(&entry.id))
        .collect();
    let message = headline(what, entries.iter().map(|entry| entry.name.as_str()));
    turn.advance(permit, branch, &changes, &message, |tx| {
        entries
            .iter()
            .try_for_each(|entry| contexts::remove(tx, &branch.id, &entry.id))
    })
}

/// "Load src/a.rs", or "Load 2 entries" and their names.
fn headline<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [one] => format!("{what} {one}"),
        many => format!("{what} {} entries\n\n{}", many.len(), many.join("\n")),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
