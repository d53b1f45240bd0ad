//! Which files that changed meanwhile can be merged with their changes.

use std::io::Read as _;

use anyhow::{Context as _, Result};

use super::{Class, Classified, merge};
use crate::platform::digest;
use crate::platform::root::{Descent, Kernel, Opened, Root};
use crate::project::Project;
use crate::repo::PlanRepo;

/// The largest file that is merged, in bytes.
const BYTES_MAX: u64 = 10_000_000;

/// Merges each change of `classified` whose file was modified with what is there now, where what it
/// was built on is kept and the two do not touch: [`Classified::can_merge`] then. Writes nothing.
pub fn offer_merges(project: &Project, plan_id: &str, classified: &mut [Classified]) -> Result<()> {
    let is_drifted = |one: &Classified| one.class == Class::Drifted;
    if !classified.iter().any(is_drifted) {
        return Ok(());
    }
    let repo = project.repo(plan_id)?;
    let root = Root::open(&project.root, Kernel::Current)
        .with_context(|| format!("opening {}", project.root.display()))?;
    for one in classified.iter_mut().filter(|one| is_drifted(one)) {
        one.merged =
            merged(&root, &repo, one).with_context(|| format!("merging {}", one.change.path))?;
    }
    Ok(())
}

fn merged(root: &Root, repo: &PlanRepo, one: &Classified) -> Result<Option<Vec<u8>>> {
    let change = &one.change;
    let (Some(base), Some(blob)) = (&change.base_blob, &change.blob) else {
        return Ok(None);
    };
    let (Some(base_hash), Some(disk_hash)) = (&change.base_hash, &one.disk_hash) else {
        return Ok(None);
    };
    if one.stamp.is_none_or(|stamp| stamp.size > BYTES_MAX) {
        return Ok(None);
    }
    let Descent::Open(spot) = root.spot(&change.path)? else {
        return Ok(None);
    };
    let Opened::File(mut file, _) = spot.open()? else {
        return Ok(None);
    };
    let mut theirs = Vec::new();
    file.read_to_end(&mut theirs)?;
    let base = repo.blob(base)?;
    // Changed again since it was classified, or not what the change was built on.
    if digest::sha256_hex(&theirs) != *disk_hash || digest::sha256_hex(&base) != *base_hash {
        return Ok(None);
    }
    Ok(merge::merge(&base, &repo.blob(blob)?, &theirs))
}
