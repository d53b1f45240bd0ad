//! Few packs: every version adds one, so now and then the small ones become one.
//!
//! Folding copies; nothing is removed before its copy is on the disk and was read back. It may
//! run beside readers (one whose pack went opens the store again), beside another fold and beside
//! another commit: whoever is second finds the same objects in another file. A fold that is
//! killed or fails leaves objects in two packs, no more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::pack::{self, Pack};
use crate::platform::file;

/// Packs of ours that may stand before the small ones are folded.
const PACKS_MAX: usize = 16;

/// The most that one fold copies; it bounds how long the commit that folds takes.
const FOLD_BYTES_MAX: u64 = 16 << 20;

/// Folds the small packs in the directory `dir` into one, if there are many packs.
pub(super) fn fold_when_many(dir: &Path) -> Result<()> {
    // Somebody ran git's own maintenance, whose lists name the packs that are there.
    if dir.join("multi-pack-index").exists() {
        return Ok(());
    }
    let mut packs = ours(dir)?;
    if packs.len() <= PACKS_MAX {
        return Ok(());
    }
    packs.sort_by_key(|found| found.bytes);
    packs.truncate(how_many(packs.iter().map(|found| found.bytes)));
    // A damaged one stays as it is, for `doctor` to find.
    packs.retain(|found| found.pack.ids().all(|id| found.pack.read(&id).is_ok()));
    if packs.len() < 2 {
        return Ok(());
    }
    fold(dir, &packs)
}

struct Found {
    index: PathBuf,
    bytes: u64,
    pack: Pack,
}

/// Finds the packs that plandex wrote and nobody asked to keep.
fn ours(dir: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let index = entry?.path();
        if index.extension().is_none_or(|extension| extension != "idx")
            || index.with_extension("keep").exists()
        {
            continue;
        }
        // One that cannot be opened may just have been folded by somebody else.
        let Ok(metadata) = fs::metadata(index.with_extension("pack")) else {
            continue;
        };
        if let Ok(pack) = Pack::open(&index)
            && pack.is_ours()
        {
            found.push(Found {
                index,
                bytes: metadata.len(),
                pack,
            });
        }
    }
    Ok(found)
}

/// How many of the packs with these sizes, ascending, to fold: so many that the next one is
/// twice as large as all of them. So an object is copied as often as the whole doubles.
fn how_many(sizes: impl Iterator<Item = u64>) -> usize {
    let mut sum = 0;
    sizes
        .take_while(|size| {
            let fold = sum == 0 || (*size < 2 * sum && sum + size <= FOLD_BYTES_MAX);
            sum += size;
            fold
        })
        .count()
}

fn fold(dir: &Path, packs: &[Found]) -> Result<()> {
    let mut from = BTreeMap::new();
    for found in packs {
        from.extend(found.pack.ids().map(|id| (id, found)));
    }
    let objects = from.iter().map(|(id, found)| found.pack.read(id));
    let folded = pack::write(dir, from.len(), objects)?;
    let copy = Pack::open(&folded)?;
    from.keys().try_for_each(|id| copy.read(id).map(drop))?;
    // If one pack held all the objects of the others, the result is that pack.
    for found in packs.iter().filter(|found| found.index != folded) {
        file::remove_file(&found.index)?;
        file::remove_file(&found.index.with_extension("pack"))?;
    }
    Ok(())
}
