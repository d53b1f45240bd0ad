//! What of a branch's context is outdated, and what it becomes.

use anyhow::Result;

use super::fresh::{of_entry, options_of};
use super::read::read_one;
use super::{
    ContextError, Freshness, Ground, Kind, LoadOptions, Loaded, SkipReason, Skipped, Source, listing,
};
use crate::store::contexts::Context;

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

/// `None` if it is true, or cannot become outdated.
fn renewed(
    ground: &Ground<'_>,
    entry: &Context,
    options: &LoadOptions,
    pages: &[Loaded],
) -> Result<Option<Result<Renewal, SkipReason>>> {
    let modified = |item: Loaded| Some(Ok(Renewal::Modified(Box::new(item))));
    if entry.kind == Kind::Url {
        let page = pages.iter().find(|page| page.origin.url == entry.origin.url);
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
