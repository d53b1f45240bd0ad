//! Whether a file is still what the plan was shown.
//!
//! A look at size and time settles it for most files. A time that lies close before the load
//! proves nothing (on many file systems another write then leaves the same time), so such a file
//! is compared by its content each time, as git does with its index.

use std::fs::Metadata;
use std::path::Path;

use super::{FileKind, Source};
use crate::platform::digest::sha256_hex;
use crate::platform::snapshot::{self, Tree, Unread};

/// The coarsest time stamps that file systems have (FAT).
const RACY_NS: i64 = 2_000_000_000;

/// What is known of a file that was loaded.
#[derive(Debug, Clone, Copy)]
pub struct Recorded<'a> {
    /// Relative to the root, with '/'.
    pub path: &'a str,
    /// Its size then.
    pub size: u64,
    /// Its modification time then, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// SHA-256 of its content then.
    pub hash: &'a str,
    /// When it was loaded, in milliseconds since 1970.
    pub loaded_at_ms: i64,
}

/// How a loaded file compares with what is on disk.
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

/// Compares what was loaded with what is in the project now. Reads the file only when its size
/// is the same and its time does not settle it.
pub fn freshness(source: &Source<'_>, recorded: &Recorded<'_>) -> Freshness {
    match std::fs::symlink_metadata(source.root.join(recorded.path)) {
        Ok(meta) if FileKind::of(meta.file_type()) != FileKind::File => Freshness::Missing,
        Ok(meta) if meta.len() != recorded.size => Freshness::Changed,
        Ok(meta) if is_settled(&meta, recorded) => Freshness::Fresh,
        Ok(_) => by_content(source, recorded).unwrap_or_else(of_unread),
        Err(error) => of_unread(Unread::Io(error)),
    }
}

fn is_settled(meta: &Metadata, recorded: &Recorded<'_>) -> bool {
    let loaded_at_ns = recorded.loaded_at_ms.saturating_mul(1_000_000);
    let is_racy = recorded.mtime_ns > loaded_at_ns.saturating_sub(RACY_NS);
    snapshot::mtime_ns(meta) == recorded.mtime_ns && !is_racy
}

fn by_content(source: &Source<'_>, recorded: &Recorded<'_>) -> Result<Freshness, Unread> {
    let tree = Tree::open(source.root)?;
    let version = tree.read(Path::new(recorded.path), recorded.size, source.cancel)?;
    Ok(if sha256_hex(&version.bytes) == recorded.hash {
        Freshness::Fresh
    } else {
        Freshness::Changed
    })
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
