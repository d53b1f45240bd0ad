//! Where the project is, also where its database is not what it should be.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::platform::process;
use crate::project::{self, Place};

/// Finds the project as every command does ([`project::find`]), but also one whose database is
/// missing or cannot be opened: the state directory alone is enough.
///
/// Fails with [`project::ProjectError`] if there is none either.
pub fn locate(cwd: &Path, named: Option<&Path>) -> Result<Place> {
    if let Some(dir) = named {
        let dir = std::path::absolute(cwd.join(dir))?;
        // Its recorded root is in the database, which an empty file is not.
        let found = if is_empty(&dir.join("plandex.db")) {
            None
        } else {
            project::find(cwd, Some(&dir)).ok()
        };
        if found.is_none() && !dir.is_dir() {
            return project::find(cwd, Some(&dir));
        }
        return Ok(found.unwrap_or_else(|| place_of(dir)));
    }
    let lost = || {
        let mut dirs = cwd.ancestors().map(|root| root.join(".plandex"));
        dirs.find(|dir| dir.join("plans").is_dir() && is_ours(dir))
    };
    match (project::find(cwd, None), lost()) {
        // The nearer one: a lost project inside another is not looked for in the outer one.
        (Ok(found), Some(lost)) if lost.starts_with(&found.root) && lost != found.dir => {
            Ok(place_of(lost))
        }
        (Err(_), Some(lost)) => Ok(place_of(lost)),
        (found, _) => found,
    }
}

fn place_of(dir: PathBuf) -> Place {
    let root = dir.parent().unwrap_or(&dir).to_owned();
    Place { root, dir }
}

fn is_ours(dir: &Path) -> bool {
    std::fs::metadata(dir).is_ok_and(|meta| meta.uid() == process::effective_user())
}

fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.len() == 0)
}
