//! Trees and maps: what lies below a path, as its paths alone or with the names the files define.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::argument::Targets;
use super::outline::{self, Symbol};
use super::read::{item, read_all};
use super::rules::Rulebook;
use super::walk::{self, Found, written};
use super::{
    ContextError, Directories, Gathered, Ground, Ignored, Kind, LoadOptions, Loaded, Shape,
    Skipped, estimate_tokens,
};
use crate::platform::digest::sha256_hex;
use crate::platform::snapshot;

/// A map outlines so many files at the most, of so many bytes each.
const MAP_FILES_MAX: usize = 3000;
const MAP_FILE_BYTES_MAX: u64 = 500 << 10;

/// Makes one item of each target.
pub(super) fn list(
    ground: &Ground<'_>,
    mut book: Rulebook<'_>,
    targets: Targets,
    options: &LoadOptions,
) -> Result<Gathered> {
    if options.shape == Shape::Map && !super::HAS_MAPS {
        return Err(ContextError::NoMaps.into());
    }
    let mut gathered = Gathered {
        skipped: targets.skipped,
        ..Gathered::default()
    };
    let files = targets.files.into_iter().map(Target::File);
    let directories = targets.directories.into_iter().map(Target::Directory);
    for target in files.chain(directories) {
        let found = target.find(ground, &mut book, options)?;
        let (loaded, skipped) = listed(ground, target.path(), found, options)?;
        gathered.loaded.push(loaded);
        gathered.skipped.extend(skipped);
    }
    gathered
        .loaded
        .sort_by(|one, other| one.path.cmp(&other.path));
    gathered
        .loaded
        .dedup_by(|one, other| one.path == other.path);
    gathered
        .skipped
        .sort_by(|one, other| one.path.cmp(&other.path));
    gathered.skipped.dedup();
    gathered.warnings = book.warnings.into_iter().collect();
    Ok(gathered)
}

/// Makes the tree or map of `path` again as it was made before; `None` if nothing is there.
pub(super) fn relist(
    ground: &Ground<'_>,
    path: &str,
    options: &LoadOptions,
) -> Result<Option<Loaded>> {
    let Some(found) = find_again(ground, path, options)? else {
        return Ok(None);
    };
    let (loaded, _) = listed(ground, Path::new(path), found, options)?;
    Ok(Some(loaded))
}

/// The listing hash of what is below `path` now; `None` if nothing is there.
pub(super) fn hash_now(
    ground: &Ground<'_>,
    path: &str,
    options: &LoadOptions,
) -> Result<Option<String>> {
    let found = find_again(ground, path, options)?;
    Ok(found.map(|found| listing_hash(ground, &found, options.shape).0))
}

fn find_again(
    ground: &Ground<'_>,
    path: &str,
    options: &LoadOptions,
) -> Result<Option<Found>, ContextError> {
    let at = PathBuf::from(path);
    let target = match std::fs::symlink_metadata(ground.root.join(&at)) {
        Ok(meta) if meta.is_dir() => Target::Directory(at),
        Ok(meta) if meta.is_file() => Target::File(at),
        _ => return Ok(None),
    };
    let mut book = Rulebook::open(ground, options.ignored);
    target.find(ground, &mut book, options).map(Some)
}

enum Target {
    File(PathBuf),
    Directory(PathBuf),
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory(path) => path,
        }
    }

    fn find(
        &self,
        ground: &Ground<'_>,
        book: &mut Rulebook<'_>,
        options: &LoadOptions,
    ) -> Result<Found, ContextError> {
        let mut targets = Targets::default();
        match self {
            Self::File(path) => targets.files.push(path.clone()),
            Self::Directory(path) => targets.directories.push(path.clone()),
        }
        let options = LoadOptions {
            directories: Directories::Load,
            ..*options
        };
        walk::find(ground, book, targets, &options)
    }
}

fn listed(
    ground: &Ground<'_>,
    path: &Path,
    found: Found,
    options: &LoadOptions,
) -> Result<(Loaded, Vec<Skipped>)> {
    let (listing, newest_ns) = listing_hash(ground, &found, options.shape);
    let (kind, (body, skipped)) = match options.shape {
        Shape::Map => (Kind::Map, map(ground, found, options)?),
        Shape::Tree | Shape::Bodies => (Kind::Tree, (tree(&found), ignored_of(found))),
    };
    if body.len() as u64 > options.max_file_bytes {
        return Err(ContextError::TooMuch(options.max_file_bytes).into());
    }
    let path = written(path);
    let name = match path.as_str() {
        "" => ".".to_owned(),
        path => path.to_owned(),
    };
    let tokens = estimate_tokens(&body);
    let mut loaded = item(kind, name, body.into_bytes(), tokens);
    loaded.path = Some(path);
    loaded.mtime_ns = newest_ns;
    loaded.origin.listing = Some(listing);
    loaded.origin.is_forced = options.ignored == Ignored::Include;
    Ok((loaded, skipped))
}

fn tree(found: &Found) -> String {
    let mut text = String::new();
    for path in found.files.keys() {
        text.push_str(path);
        text.push('\n');
    }
    text
}

fn ignored_of(found: Found) -> Vec<Skipped> {
    let skipped = found.skipped.into_iter();
    skipped
        .map(|(path, reason)| Skipped { path, reason })
        .collect()
}

/// Every path; below those of files whose language is known, what they define.
fn map(ground: &Ground<'_>, found: Found, options: &LoadOptions) -> Result<(String, Vec<Skipped>)> {
    if found.files.len() > MAP_FILES_MAX {
        return Err(ContextError::TooMany(MAP_FILES_MAX).into());
    }
    let paths: Vec<String> = found.files.keys().cloned().collect();
    let options = LoadOptions {
        max_file_bytes: MAP_FILE_BYTES_MAX,
        ..*options
    };
    let read = read_all(ground, found, &options, &mut |_| {})?;
    let mut loaded = read.loaded.into_iter().peekable();
    let mut text = String::new();
    for path in paths {
        if ground.cancel.is_set() {
            return Err(ContextError::Cancelled.into());
        }
        text.push_str(&path);
        text.push('\n');
        let is_this = |item: &Loaded| item.path.as_ref() == Some(&path);
        let Some(item) = loaded.next_if(is_this) else {
            continue;
        };
        let body = String::from_utf8_lossy(&item.body);
        for Symbol { depth, text: line } in outline::outline(&path, &body) {
            text.push_str(&"  ".repeat(depth + 1));
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok((text, read.skipped))
}

/// Of a tree the paths alone; of a map also what tells that a file is another one, and the newest
/// of their times.
fn listing_hash(ground: &Ground<'_>, found: &Found, shape: Shape) -> (String, i64) {
    let (mut facts, mut newest_ns) = (String::new(), 0);
    for path in found.files.keys() {
        facts.push_str(path);
        if shape == Shape::Map {
            let meta = std::fs::symlink_metadata(ground.root.join(path)).ok();
            let (size, time) = meta.map_or((0, 0), |meta| (meta.len(), snapshot::mtime_ns(&meta)));
            facts.push_str(&["\0", &size.to_string(), "\0", &time.to_string()].concat());
            newest_ns = newest_ns.max(time);
        }
        facts.push('\n');
    }
    (sha256_hex(facts.as_bytes()), newest_ns)
}
