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
    packs.retain(|found| found.pack.ids().all(|id| found.pack.read_own(&id).is_ok()));
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

/// How many of the packs with these sizes, ascending, to fold: so many that each of the others is
/// at least twice as large as all smaller ones together. So an object is copied again only when
/// the whole has doubled.
fn how_many(sizes: impl Iterator<Item = u64>) -> usize {
    let (mut sum, mut fold) = (0, 0);
    for (n, size) in sizes.enumerate() {
        if sum + size > FOLD_BYTES_MAX {
            break;
        }
        if size < 2 * sum {
            fold = n + 1;
        }
        sum += size;
    }
    fold
}

fn fold(dir: &Path, packs: &[Found]) -> Result<()> {
    let mut from = BTreeMap::new();
    for found in packs {
        from.extend(found.pack.ids().map(|id| (id, found)));
    }
    let objects = from.iter().map(|(id, found)| found.pack.read_own(id));
    let folded = pack::write(dir, from.len(), objects)?;
    let copy = Pack::open(&folded)?;
    from.keys().try_for_each(|id| copy.read_own(id).map(drop))?;
    // If one pack held all the objects of the others, the result is that pack.
    for found in packs.iter().filter(|found| found.index != folded) {
        file::remove_file(&found.index)?;
        file::remove_file(&found.index.with_extension("pack"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_packs_are_folded_until_the_next_is_large() {
        let check = |sizes: &[u64], expect| {
            assert_eq!(how_many(sizes.iter().copied()), expect, "{sizes:?}");
        };
        check(&[], 0);
        check(&[5], 0);
        check(&[5, 5], 2);
        check(&[5, 10, 30, 90], 0);
        check(&[5, 10, 29, 90], 3);
        check(&[1, 100, 100, 100], 4);
        check(&[5, 5, 5, 1000], 3);
        check(&[5, 5, 5, FOLD_BYTES_MAX], 3);
        check(&[FOLD_BYTES_MAX / 2, FOLD_BYTES_MAX / 2], 2);
        check(&[FOLD_BYTES_MAX, FOLD_BYTES_MAX], 0);
    }
}
