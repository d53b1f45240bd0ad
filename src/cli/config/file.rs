//! A settings file, changed in one step: read, edited and replaced while nobody else is at it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::super::report::UsageError;
use super::super::session::Cli;
use crate::config::{self, Key};
use crate::platform::cancel::Cancel;
use crate::platform::file_lock::DirLock;
use crate::platform::{file, wait};
use crate::project::Project;

/// Between two attempts at the lock.
const TICK: Duration = Duration::from_millis(2);
/// Whoever changes a file is done in milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The project's settings.
pub(super) fn of_project(project: &Project) -> PathBuf {
    project.dir().join("config.toml")
}

/// Sets `key` in the settings file `path` to `value`, or takes it out (`None`).
///
/// The lock is that of the directory: the file itself is replaced, and whoever waited for a lock on
/// it would hold one on what is gone.
pub(super) fn change(
    cli: &Cli,
    cancel: &Cancel,
    path: &Path,
    key: &Key,
    value: Option<&str>,
) -> Result<()> {
    let path = &followed(path);
    let dir = path.parent().unwrap_or(path);
    if value.is_none() && !path.exists() {
        return Ok(());
    }
    make(dir)?;
    let lock = take(cli, cancel, dir)?;
    let (before, mode) = match std::fs::read_to_string(path) {
        Ok(text) => (text, mode_of(path)?),
        Err(error) if error.kind() == ErrorKind::NotFound => (String::new(), 0o600),
        Err(error) => {
            return Err(error).with_context(|| format!("reading settings {}", path.display()));
        }
    };
    let after = config::edited(path, &before, key, value).map_err(|error| {
        // It names the file, or the value and what the key takes.
        UsageError::new(error.to_string(), "see `plandex set-config --help`")
    })?;
    if after != before {
        file::write_atomic(path, after.as_bytes(), mode)?;
    }
    drop(lock);
    Ok(())
}

/// Where a link leads that somebody put in the file's place: what it leads to is replaced, not it.
fn followed(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn mode_of(path: &Path) -> Result<u32> {
    let meta = std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    Ok(meta.permissions().mode() & 0o7777)
}

/// Makes the directory, and those above it, for this user alone.
fn make(dir: &Path) -> Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    missing
        .into_iter()
        .rev()
        .try_for_each(file::create_dir_private)
}

fn take(cli: &Cli, cancel: &Cancel, dir: &Path) -> Result<DirLock> {
    let until = Instant::now() + PATIENCE;
    loop {
        let taken = DirLock::try_take(dir).with_context(|| format!("locking {}", dir.display()))?;
        if let Some(lock) = taken {
            return Ok(lock);
        }
        if Instant::now() >= until || cancel.is_set() {
            let words = format!("somebody else has been changing {} for 10 s", dir.display());
            let again = format!("`{}` again", cli.command_line());
            return Err(UsageError::new(words, again).into());
        }
        wait::readable(&[], TICK)?;
    }
}
