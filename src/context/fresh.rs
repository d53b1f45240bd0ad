//! Whether what a plan was shown is still what is there.
//!
//! A look at size and time settles it for most files. A time that lies close before the load
//! proves nothing (on many file systems another write then leaves the same time), so such a file
//! is compared by its content each time, as git does with its index. Trees and maps are compared by
//! the hash of their listing. Notes, piped text and pages are as they are.

use std::fs::Metadata;
use std::path::Path;

use anyhow::Result;

use super::{Directories, FileKind, Ground, Ignored, Kind, LoadOptions, Shape, Source, listing};
use crate::platform::digest::sha256_hex;
use crate::platform::snapshot::{self, Unread};
use crate::store::contexts::Context;

/// The coarsest time stamps that file systems have (FAT).
const RACY_NS: i64 = 2_000_000_000;

/// How an entry compares with what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freshness {
    /// The same content.
    Fresh,
    /// Another content.
    Changed,
    /// There is no such file any more, or something else stands there.
    Missing,
    /// It cannot be told; why.
    Unknown(String),
}

/// Compares each entry with what is in the project now; `None` for what cannot become outdated.
/// Reads a file only when its size is the same and its time does not settle it.
pub fn freshness(source: &Source<'_>, entries: &[Context]) -> Result<Vec<Option<Freshness>>> {
    let ground = Ground::of(source)?;
    Ok(entries
        .iter()
        .map(|entry| of_entry(&ground, entry))
        .collect())
}

pub(super) fn of_entry(ground: &Ground<'_>, entry: &Context) -> Option<Freshness> {
    let path = entry.path.as_deref()?;
    match entry.kind {
        Kind::File | Kind::Image => Some(of_file(ground, path, entry)),
        Kind::Tree | Kind::Map => Some(of_listing(ground, path, entry)),
        Kind::Note | Kind::Piped | Kind::Url => None,
    }
}

fn of_file(ground: &Ground<'_>, path: &str, entry: &Context) -> Freshness {
    match std::fs::symlink_metadata(ground.root.join(path)) {
        Ok(meta) if FileKind::of(meta.file_type()) != FileKind::File => Freshness::Missing,
        Ok(meta) if meta.len() != entry.size.unsigned_abs() => Freshness::Changed,
        Ok(meta) if is_settled(&meta, entry) => Freshness::Fresh,
        Ok(_) => by_content(ground, path, entry).unwrap_or_else(of_unread),
        Err(error) => of_unread(Unread::Io(error)),
    }
}

fn is_settled(meta: &Metadata, entry: &Context) -> bool {
    snapshot::mtime_ns(meta) == entry.mtime_ns && !is_racy(entry.mtime_ns, entry)
}

/// Whether a change right after the load could have left the same time.
fn is_racy(mtime_ns: i64, entry: &Context) -> bool {
    let loaded_at_ns = entry.updated_at.saturating_mul(1_000_000);
    mtime_ns > loaded_at_ns.saturating_sub(RACY_NS)
}

fn by_content(
    ground: &Ground<'_>,
    path: &str,
    entry: &Context,
) -> std::result::Result<Freshness, Unread> {
    let size = entry.size.unsigned_abs();
    let version = ground.tree.read(Path::new(path), size, ground.cancel)?;
    Ok(if sha256_hex(&version.bytes) == entry.hash {
        Freshness::Fresh
    } else {
        Freshness::Changed
    })
}

/// The same listing is the same tree. A map whose listing differs may still say the same, and one
/// whose files were written a moment before it was made may not.
fn of_listing(ground: &Ground<'_>, path: &str, entry: &Context) -> Freshness {
    let options = options_of(entry);
    match listing::hash_now(ground, path, &options) {
        Ok(None) => return Freshness::Missing,
        Ok(hash) if hash == entry.origin.listing && entry.kind == Kind::Tree => {
            return Freshness::Fresh;
        }
        Ok(hash) if hash == entry.origin.listing && !is_racy(entry.mtime_ns, entry) => {
            return Freshness::Fresh;
        }
        Ok(_) => {}
        Err(error) => return Freshness::Unknown(format!("{error:#}")),
    }
    match listing::relist(ground, path, &options) {
        Ok(Some(now)) if now.hash == entry.hash => Freshness::Fresh,
        Ok(Some(_)) => Freshness::Changed,
        Ok(None) => Freshness::Missing,
        Err(error) => Freshness::Unknown(format!("{error:#}")),
    }
}

/// How an entry is made again.
pub(super) fn options_of(entry: &Context) -> LoadOptions {
    let default = LoadOptions::default();
    LoadOptions {
        shape: match entry.kind {
            Kind::Tree => Shape::Tree,
            Kind::Map => Shape::Map,
            Kind::File | Kind::Note | Kind::Piped | Kind::Url | Kind::Image => Shape::Bodies,
        },
        detail: entry.origin.detail.unwrap_or(default.detail),
        directories: Directories::Load,
        ignored: match entry.origin.is_forced {
            true => Ignored::Include,
            false => Ignored::Skip,
        },
        ..default
    }
}

fn of_unread(unread: Unread) -> Freshness {
    match unread {
        Unread::NotAFile(_) => Freshness::Missing,
        // It grew since the look, or it is being written: it is not what it was.
        Unread::TooLarge { .. } | Unread::Changing => Freshness::Changed,
        Unread::Io(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Freshness::Missing
        }
        Unread::Io(_) | Unread::Cancelled => Freshness::Unknown(unread.to_string()),
    }
}
