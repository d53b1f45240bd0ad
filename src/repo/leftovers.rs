//! What killed processes leave: temporary files of ours, and lock files of foreign git commands.
//!
//! Neither blocks us: our names are unique and we take no `*.lock`. A foreign one would block the
//! next plain git command for good, so it goes too. The caller holds the plan's write ticket, and
//! `before_ms` is when it was granted: what is younger may belong to a living process.

use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};

use super::PlanRepo;
use crate::platform::file;

impl PlanRepo {
    /// Lists the leftovers in this repository, whatever their age. Only looks.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        collect(&self.path, &mut found, is_leftover)?;
        collect(&self.path.join("objects"), &mut found, is_leftover)?;
        let packs = self.path.join("objects/pack");
        collect(&packs, &mut found, |path| {
            is_leftover(path) || is_half_a_pack(path)
        })?;
        collect_below(&self.path.join("refs"), &mut found)?;
        Ok(found)
    }

    /// Removes the leftovers whose wall-clock time of change is before `before_ms`. Returns how
    /// many.
    pub fn sweep(&self, before_ms: i64) -> Result<usize> {
        let mut swept = 0;
        for path in self.leftovers()? {
            if is_older(&path, before_ms)? {
                file::remove_file(&path)?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// Lists the repositories in the directory `plans` whose creation was never finished.
pub fn unfinished(plans: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(plans, &mut found, |path| {
        has_our_temporary_name(path) && path.is_dir()
    })?;
    Ok(found)
}

/// Removes the unfinished repositories in `plans` that are older than `before_ms`. Returns how
/// many.
pub fn sweep_unfinished(plans: &Path, before_ms: i64) -> Result<usize> {
    let mut swept = 0;
    for path in unfinished(plans)? {
        if is_older(&path, before_ms)? {
            fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let temporary = has_our_temporary_name(path) || name.starts_with(b"tmp_");
    (temporary || path.extension() == Some(OsStr::new("lock"))) && path.is_file()
}

/// The names of [`file::temporary_beside`].
fn has_our_temporary_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") && path.extension() == Some(OsStr::new("tmp"))
}

/// Of a pack whose writer was killed between the names of its two files, or that was being removed.
fn is_half_a_pack(path: &Path) -> bool {
    let has = |extension| path.extension() == Some(OsStr::new(extension));
    (has("pack") && !path.with_extension("idx").exists())
        || (has("idx") && !path.with_extension("pack").exists())
}

fn collect_below(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    collect(dir, found, is_leftover)?;
    for entry in entries(dir)? {
        if entry.path().is_dir() {
            collect_below(&entry.path(), found)?;
        }
    }
    Ok(())
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>, take: impl Fn(&Path) -> bool) -> Result<()> {
    let paths = entries(dir)?.into_iter().map(|entry| entry.path());
    found.extend(paths.filter(|path| take(path)));
    Ok(())
}

fn entries(dir: &Path) -> Result<Vec<DirEntry>> {
    let list = || fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>();
    list().with_context(|| format!("listing {}", dir.display()))
}

fn is_older(path: &Path, before_ms: i64) -> Result<bool> {
    let changed = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    let changed = changed.with_context(|| format!("looking at {}", path.display()))?;
    let age = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(age.as_millis()).unwrap_or(i64::MAX) < before_ms)
}
