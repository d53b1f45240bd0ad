//! What of a branch's context is outdated, and what it becomes.

use std::collections::BTreeSet;

use anyhow::Result;

use super::fresh::{of_entry, options_of};
use super::read::read_one;
use super::{
    ContextError, Freshness, Ground, Kind, LoadOptions, Loaded, SkipReason, Skipped, Source,
    entries, listing,
};
use crate::project::Turn;
use crate::store::contexts::{self, Context};
use crate::store::tickets::WritePermit;

/// An entry that is no longer true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// As it was loaded.
    pub entry: Context,
    /// What becomes of it.
    pub renewal: Renewal,
}

/// What becomes of an outdated entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It is shown as it is now.
    Modified(Box<Loaded>),
    /// There is nothing to show any more.
    Deleted,
}

impl Outdated {
    /// `M` or `D`.
    pub fn mark(&self) -> &'static str {
        match self.renewal {
            Renewal::Modified(_) => "M",
            Renewal::Deleted => "D",
        }
    }

    /// How many estimated tokens more it is than it was.
    pub fn token_delta(&self) -> i64 {
        let now = match &self.renewal {
            Renewal::Modified(item) => i64::try_from(item.tokens).unwrap_or(i64::MAX),
            Renewal::Deleted => 0,
        };
        now.saturating_sub(self.entry.tokens)
    }
}

/// What [`compare`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// What is outdated, in the order of the entries.
    pub outdated: Vec<Outdated>,
    /// What is outdated and cannot be shown as it is now: it stays as it was.
    pub skipped: Vec<Skipped>,
}

/// Compares `entries` with what is in the project now, and with `pages` that were fetched again.
/// Files longer than `max_file_bytes` stay as they were.
pub fn compare(
    source: &Source<'_>,
    entries: &[Context],
    max_file_bytes: u64,
    pages: &[Loaded],
) -> Result<Compared> {
    let ground = Ground::of(source)?;
    let mut compared = Compared::default();
    for entry in entries {
        if source.cancel.is_set() {
            return Err(ContextError::Cancelled.into());
        }
        let options = LoadOptions {
            max_file_bytes,
            ..options_of(entry)
        };
        match renewed(&ground, entry, &options, pages)? {
            None => {}
            Some(Ok(renewal)) => compared.outdated.push(Outdated {
                entry: entry.clone(),
                renewal,
            }),
            Some(Err(reason)) => compared.skipped.push(Skipped {
                path: entry.name.clone(),
                reason,
            }),
        }
    }
    Ok(compared)
}

/// What is looked at, and how.
#[derive(Debug, Clone, Copy)]
pub struct Refreshing<'a> {
    /// Longer files stay as they were.
    pub max_file_bytes: u64,
    /// Pages that were fetched again; others are as they are.
    pub pages: &'a [Loaded],
    /// Only the entries with these ids; all if `None`.
    pub only: Option<&'a BTreeSet<String>>,
}

/// Makes what is outdated on a branch true again, as one version; none if nothing is.
pub fn refresh_branch(
    turn: &Turn<'_>,
    permit: &WritePermit,
    branch_name: &str,
    source: &Source<'_>,
    refreshing: &Refreshing<'_>,
) -> Result<Compared> {
    let branch = turn.branch(branch_name)?;
    let store = &turn.project.store;
    let mut all = store.read(|tx| contexts::of_branch(tx, &branch.id))?;
    if let Some(only) = refreshing.only {
        all.retain(|entry| only.contains(&entry.id));
    }
    let compared = compare(source, &all, refreshing.max_file_bytes, refreshing.pages)?;
    if !compared.outdated.is_empty() {
        entries::refresh(turn, permit, &branch, &compared.outdated)?;
    }
    Ok(compared)
}

/// `None` if it is true, or cannot become outdated.
fn renewed(
    ground: &Ground<'_>,
    entry: &Context,
    options: &LoadOptions,
    pages: &[Loaded],
) -> Result<Option<Result<Renewal, SkipReason>>> {
    let modified = |item: Loaded| Some(Ok(Renewal::Modified(Box::new(item))));
    if entry.kind == Kind::Url {
        let page = pages
            .iter()
            .find(|page| page.origin.url == entry.origin.url);
        let page = page.filter(|page| page.hash != entry.hash);
        return Ok(page.cloned().and_then(modified));
    }
    let path = match (of_entry(ground, entry), &entry.path) {
        (None | Some(Freshness::Fresh), _) | (_, None) => return Ok(None),
        (Some(Freshness::Missing), _) => return Ok(Some(Ok(Renewal::Deleted))),
        (Some(Freshness::Unknown(why)), _) => return Ok(Some(Err(SkipReason::Unreadable(why)))),
        (Some(Freshness::Changed), Some(path)) => path,
    };
    let item = match entry.kind {
        Kind::Tree | Kind::Map => match listing::relist(ground, path, options)? {
            Some(item) => Ok(item),
            None => return Ok(Some(Ok(Renewal::Deleted))),
        },
        Kind::File | Kind::Image | Kind::Note | Kind::Piped | Kind::Url => {
            read_one(ground, path, options)?
        }
    };
    Ok(Some(item.map(|mut item| {
        item.name.clone_from(&entry.name);
        item.origin.link.clone_from(&entry.origin.link);
        item.origin.is_forced = entry.origin.is_forced;
        Renewal::Modified(Box::new(item))
    })))
}
