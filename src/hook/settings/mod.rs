//! The host's settings file, with our hooks in it or without.

mod edit;
mod json;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Event;
use crate::platform::file;
use crate::platform::file_lock::DirLock;

/// What the file says while nothing but our hooks is in it; without them it is removed again.
const BARE: &str = "{\n}\n";
/// How long another install or uninstall is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The user's, for all projects.
    User,
    /// A project's.
    Project,
}

/// The commands that the host is to run.
#[derive(Debug, Clone)]
pub struct Commands {
    /// The program, as a shell takes it.
    pub program: String,
}

impl Commands {
    fn of(&self, event: Event) -> String {
        let word = match event {
            Event::Start => "start",
            Event::End => "end",
        };
        format!("{} hook capture {word}", self.program)
    }
}

/// What became of a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It was as it should be.
    None,
    /// It was changed.
    Changed,
    /// It was made.
    Made,
    /// Nothing was left in it, so it was removed.
    Removed,
}

/// Puts our hooks into the settings file `path`, which need not be there; hooks of ours that run
/// another program are changed. Everything else in it stays, byte for byte.
///
/// Fails, changing nothing, if the file is not JSON of the shape that the host wants.
pub fn install(path: &Path, whose: Whose, commands: &Commands) -> Result<Change> {
    change(path, whose, |text| {
        let mut text = text.to_owned();
        for (event, name, _) in edit::EVENTS {
            text = edit::with(&text, name, &commands.of(event))?;
        }
        Ok(text)
    })
}

/// Takes our hooks out of the settings file `path` again: it is then as it was before [`install`],
/// but for what others changed. Fails as that does.
pub fn uninstall(path: &Path) -> Result<Change> {
    if path.symlink_metadata().is_err() {
        return Ok(Change::None);
    }
    change(path, Whose::User, edit::without)
}

fn change(path: &Path, whose: Whose, edited: impl Fn(&str) -> Result<String>) -> Result<Change> {
    let path = real(path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let _turn = turn(dir)?;
    let before = content(&path)?;
    let text = before.as_deref().unwrap_or(BARE);
    let after = edited(text).with_context(|| format!("{} is left as it is", path.display()))?;
    if after == text {
        return Ok(Change::None);
    }
    // The host does not know of our turn.
    ensure!(
        content(&path)? == before,
        "{} was changed by somebody else at this moment; nothing was written",
        path.display()
    );
    if after == BARE {
        file::remove_file(&path)?;
        file::sync_dir(dir)?;
        return Ok(Change::Removed);
    }
    file::write_atomic(&path, after.as_bytes(), mode(&path, whose)?)?;
    Ok(match before {
        Some(_) => Change::Changed,
        None => Change::Made,
    })
}

/// The file itself: settings are often links into a collection of such files.
fn real(path: &Path) -> Result<PathBuf> {
    if path.symlink_metadata().is_err() {
        return Ok(path.to_owned());
    }
    path.canonicalize()
        .with_context(|| format!("following {}", path.display()))
}

fn content(path: &Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .with_context(|| format!("{} is not UTF-8", path.display())),
    }
}

/// The mode that the file has or is to have; an error if its owner may not write to it.
fn mode(path: &Path, whose: Whose) -> Result<u32> {
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            ensure!(mode & 0o200 != 0, "{} is read-only", path.display());
            Ok(mode)
        }
        Err(_) => Ok(match whose {
            Whose::User => 0o600,
            Whose::Project => 0o644,
        }),
    }
}

/// One at a time; the lock is on the directory, for the file itself is replaced.
fn turn(dir: &Path) -> Result<DirLock> {
    DirLock::take_within(dir, PATIENCE)
        .with_context(|| format!("locking {}", dir.display()))?
        .with_context(|| format!("{} is locked by another process", dir.display()))
}
