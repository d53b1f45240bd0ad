//! Few packs: every version adds one, so now and then the small ones become one. A repository
//! has some dozens of them, however many versions.
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

/// Fewer packs than this are not worth a fold.
const PACKS_MIN: usize = 16;

/// The most that one fold copies; it bounds how much longer the commit that folds takes (a few
/// tenths of a second). What has grown beyond it stays as it is.
const FOLD_COST_MAX: u64 = 8 << 20;

/// What handling an object costs, in bytes that could be copied in the same time.
const OBJECT_COST: u64 = 1 << 10;

/// What an object takes in the index of a pack of ours.
const BYTES_PER_NAME: u64 = 24;

/// Folds the small packs in the directory `dir` into one, if there are many.
pub(super) fn fold_when_many(dir: &Path) -> Result<()> {
    // Somebody ran git's own maintenance, whose lists name the packs that are there.
    if dir.join("multi-pack-index").exists() {
        return Ok(());
    }
    let mut packs = list(dir)?;
    packs.sort();
    packs.truncate(how_many(packs.iter().map(|(cost, _)| *cost)));
    if packs.len() < PACKS_MIN {
        return Ok(());
    }
    let mut sound = Vec::new();
    for (_, index) in packs {
        // One that cannot be opened may just have been folded by somebody else. A damaged one
        // stays as it is, for `doctor` to find.
        if let Ok(pack) = Pack::open(&index)
            && pack.is_ours()
            && pack.ids().all(|id| pack.read_own(&id).is_ok())
        {
            sound.push((index, pack));
        }
    }
    if sound.len() < 2 {
        Ok(())
    } else {
        fold(dir, &sound)
    }
}

/// Lists the packs that nobody asked to keep: what each costs to copy, and its index.
fn list(dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let index = entry?.path();
        let is_index = index
            .extension()
            .is_some_and(|extension| extension == "idx");
        if !is_index || index.with_extension("keep").exists() {
            continue;
        }
        let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
        // One that is gone was folded by somebody else.
        if let (Ok(names), Ok(bytes)) = (length(&index), length(&index.with_extension("pack"))) {
            found.push((bytes + OBJECT_COST * (names / BYTES_PER_NAME), index));
        }
    }
    Ok(found)
}

/// How many of the packs with these costs, ascending, to fold: so many that each of the others
/// costs at least twice as much as all smaller ones together. So an object is copied again only
/// when the whole has doubled.
fn how_many(costs: impl Iterator<Item = u64>) -> usize {
    let (mut sum, mut fold) = (0, 0);
    for (n, cost) in costs.enumerate() {
        if sum + cost > FOLD_COST_MAX {
            break;
        }
        if cost < 2 * sum {
            fold = n + 1;
        }
        sum += cost;
    }
    fold
}

fn fold(dir: &Path, packs: &[(PathBuf, Pack)]) -> Result<()> {
    let mut from = BTreeMap::new();
    for (_, pack) in packs {
        from.extend(pack.ids().map(|id| (id, pack)));
    }
    let objects = from.iter().map(|(id, pack)| pack.read_own(id));
    let folded = pack::write(dir, from.len(), objects)?;
    let copy = Pack::open(&folded)?;
    from.keys().try_for_each(|id| copy.read_own(id).map(drop))?;
    // If one pack held all the objects of the others, the result is that pack.
    for (index, _) in packs.iter().filter(|(index, _)| *index != folded) {
        pack::remove(index)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_packs_are_folded_until_the_next_is_large() {
        let check = |costs: &[u64], expect| {
            assert_eq!(how_many(costs.iter().copied()), expect, "{costs:?}");
        };
        check(&[], 0);
        check(&[5], 0);
        check(&[5, 5], 2);
        check(&[5, 10, 30, 90], 0);
        check(&[5, 10, 29, 90], 3);
        check(&[1, 100, 100, 100], 4);
        check(&[5, 5, 5, 1000], 3);
        check(&[5, 5, 5, FOLD_COST_MAX], 3);
        check(&[FOLD_COST_MAX / 2, FOLD_COST_MAX / 2], 2);
        check(&[FOLD_COST_MAX, FOLD_COST_MAX], 0);
    }
}
