//! Names that git is told of for one commit, on record until that is made.
//!
//! `commit --only` takes paths that git knows; a new file is therefore added by name first
//! (`--intent-to-add`). Killed between the two, the name would stay in the user's index. The other
//! ways are worse: a commit from an index of our own leaves the user's without the new files, which
//! git then shows as removed, and a kill there cannot be mended by whoever does not know of it.
//!
//! A note is locked for as long as its process lives, and git, which inherits the lock. One that
//! nobody has locked is of a process that died: its names are taken out of the index again, if they
//! are still only announced.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{GitError, Waiting, forget, listed, run};
use crate::platform::file;
use crate::platform::file_lock::{self, Attempt};
use crate::store::new_id;

/// The names that this process announces to git.
pub(super) struct Note {
    path: PathBuf,
    /// Has the lock.
    _file: File,
}

impl Note {
    /// Records that `paths` are about to be announced.
    pub(super) fn write(state_dir: &Path, paths: &[&str]) -> Result<Self> {
        let dir = dir(state_dir);
        file::create_dir_private(&dir)?;
        let path = dir.join(new_id());
        let made = file::write_new(&path, b"", 0o600)?;
        if file_lock::try_exclusive(&made).context("locking a note")? != Attempt::Locked {
            bail!("somebody else has locked {}", path.display());
        }
        // Whoever mends may have taken the empty one for a dead one's, just before.
        if made.metadata().context("looking at a note")?.nlink() == 0 {
            bail!("somebody else has removed {}", path.display());
        }
        file_lock::let_children_inherit(&made).context("handing a note on")?;
        std::io::Write::write_all(&mut &made, &listed(paths))
            .with_context(|| format!("writing {}", path.display()))?;
        file::sync_file(&made, &path)?;
        file::sync_dir(&dir)?;
        Ok(Self { path, _file: made })
    }

    /// Nothing is announced any more.
    pub(super) fn end(self) -> Result<()> {
        file::remove_file(&self.path)
    }
}

fn dir(state_dir: &Path) -> PathBuf {
    state_dir.join("commits")
}

/// Takes out of the index of the repository around `root` what dead processes announced there and
/// did not commit. A repository that somebody is at work in is left for the next time. How many
/// notes were mended.
pub fn mend(root: &Path, state_dir: &Path, waiting: &Waiting<'_>) -> Result<usize, GitError> {
    let Ok(entries) = std::fs::read_dir(dir(state_dir)) else {
        return Ok(0);
    };
    let mut mended = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some((paths, _lock)) = read(&path) else {
            continue;
        };
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let is_there = run(root, &["rev-parse", "--git-dir"], &[])?
            .status
            .success();
        if is_there {
            match forget(root, &paths, waiting) {
                Err(GitError::Locked(_)) => continue,
                forgotten => forgotten?,
            }
        }
        file::remove_file(&path).map_err(GitError::Unrecorded)?;
        mended += 1;
    }
    Ok(mended)
}

/// The names in a note that nobody has locked, and the lock on it.
fn read(path: &Path) -> Option<(Vec<String>, File)> {
    let mut note = File::open(path).ok()?;
    let is_free = matches!(file_lock::try_exclusive(&note), Ok(Attempt::Locked));
    if !is_free || note.metadata().ok()?.nlink() == 0 {
        return None;
    }
    let mut text = String::new();
    note.read_to_string(&mut text).ok()?;
    // What is not ended was not written to its end, and so not announced either.
    let names = text.split_inclusive('\0');
    let names = names.filter_map(|name| name.strip_suffix('\0'));
    Some((names.map(str::to_owned).collect(), note))
}
