//! Copies of the database, made before a repair changes data in it.
//!
//! A copy gets its name when it is whole and on the disk. The newest few are kept.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::platform::{clock, file};
use crate::store::Store;

/// How many copies are kept, the one just made among them.
pub(super) const KEPT: usize = 3;

/// Makes a copy beside the database and removes older ones than the newest [`KEPT`]; `work` is what
/// it is made before.
///
/// Fails, leaving nothing, where there is no room for it.
pub(super) fn make(store: &Store, work: &str) -> Result<PathBuf> {
    let dir = store.dir();
    let path = dir.join(format!("before-{work}-{}.db", clock::wall_ms()));
    let unfinished = file::temporary_beside(&path);
    let copied = store.copy_to(&unfinished).and_then(|()| {
        file::rename(&unfinished, &path)?;
        file::sync_dir(dir)
    });
    if let Err(error) = copied {
        // What cannot be removed now is swept as a leftover.
        drop(std::fs::remove_file(&unfinished));
        return Err(error);
    }
    for old in found(dir)?.into_iter().skip(KEPT) {
        file::remove_file(&old)?;
    }
    Ok(path)
}

/// All copies in `dir`, the newest first.
pub(super) fn found(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>();
    let entries = list().with_context(|| format!("listing {}", dir.display()))?;
    let mut copies: Vec<(i64, PathBuf)> = entries
        .iter()
        .filter_map(|entry| Some((made_ms(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    copies.sort_by(|one, two| two.cmp(one));
    Ok(copies.into_iter().map(|(_, path)| path).collect())
}

/// When a copy of this name was made; `None` of another file.
fn made_ms(name: &str) -> Option<i64> {
    let stem = name.strip_prefix("before-")?.strip_suffix(".db")?;
    stem.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::made_ms;

    #[test]
    fn a_copy_tells_when_it_was_made() {
        assert_eq!(
            made_ms("before-fix-1795415416000.db"),
            Some(1_795_415_416_000)
        );
        assert_eq!(made_ms("before-rebuild-7.db"), Some(7));
        for other in [
            "plandex.db",
            "before-fix-.db",
            "before-fix-1.db-wal",
            ".before-fix-1.db.x.tmp",
            "lost-1.db",
        ] {
            assert_eq!(made_ms(other), None, "{other}");
        }
    }
}
