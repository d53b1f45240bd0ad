//! Where a project is: found by walking up, as git does.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::platform::process;
use crate::store::{Store, settings};

/// Why there is no project to open.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// No `.plandex` above the current directory.
    #[error("no plandex project in {0} or above it")]
    NotFound(PathBuf),
    /// PLANDEX_DIR names something else.
    #[error("PLANDEX_DIR is {0}, and there is no plandex project in it")]
    NotAtDir(PathBuf),
    /// The project's directory cannot hold one.
    #[error("{path} cannot hold a plandex project: {problem}")]
    BadPlace {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// A project's two directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The user's tree.
    pub root: PathBuf,
    /// The state directory, usually `<root>/.plandex`.
    pub dir: PathBuf,
}

/// The setting that tells PLANDEX_DIR's project root.
const ROOT: &str = "project.root";

/// Finds the project of `cwd`: `PLANDEX_DIR` (`named`) if it is set, else the nearest directory
/// upward with a `.plandex/plandex.db`. The walk stops at a directory of another owner.
pub fn find(cwd: &Path, named: Option<&Path>) -> Result<Place> {
    if let Some(dir) = named {
        let dir = absolute(cwd, dir)?;
        if !dir.join("plandex.db").is_file() {
            return Err(ProjectError::NotAtDir(dir).into());
        }
        let root = recorded_root(&dir)?.unwrap_or_else(|| parent(&dir));
        return Ok(Place { root, dir });
    }
    let us = process::effective_user();
    for root in cwd.ancestors() {
        let dir = root.join(".plandex");
        if dir.join("plandex.db").is_file() {
            return Ok(Place {
                root: root.to_owned(),
                dir,
            });
        }
        let foreign = std::fs::metadata(root).is_ok_and(|meta| meta.uid() != us);
        if foreign {
            break;
        }
    }
    Err(ProjectError::NotFound(cwd.to_owned()).into())
}

/// Where `new` makes a project that does not exist yet: at the top of the enclosing git work tree,
/// else in `cwd`; PLANDEX_DIR (`named`) overrides where its state is kept.
pub fn place_for_new(cwd: &Path, named: Option<&Path>) -> Result<Place> {
    let us = process::effective_user();
    let ours = |dir: &&Path| std::fs::metadata(dir).is_ok_and(|meta| meta.uid() == us);
    let root = cwd
        .ancestors()
        .take_while(ours)
        .find(|dir| dir.join(".git").exists())
        .unwrap_or(cwd)
        .to_owned();
    let dir = match named {
        Some(dir) => absolute(cwd, dir)?,
        None => root.join(".plandex"),
    };
    let not_a_directory = [&root, &dir]
        .into_iter()
        .find(|path| path.exists() && !path.is_dir());
    if let Some(path) = not_a_directory {
        let problem = "it is not a directory".to_owned();
        return Err(ProjectError::BadPlace {
            path: path.clone(),
            problem,
        }
        .into());
    }
    Ok(Place { root, dir })
}

/// Records the root of a project whose state is kept elsewhere.
pub(super) fn record_root(store: &Store, place: &Place) -> Result<()> {
    if place.dir.parent() == Some(&place.root) {
        return Ok(());
    }
    if store.read(|tx| settings::get(tx, ROOT))?.is_some() {
        return Ok(());
    }
    let root = place.root.to_string_lossy().into_owned();
    store.choose(Duration::from_secs(30), |tx| {
        if settings::get(tx, ROOT)?.is_none() {
            settings::put(tx, ROOT, &root)?;
        }
        Ok(())
    })
}

fn recorded_root(dir: &Path) -> Result<Option<PathBuf>> {
    let store = Store::open(dir, crate::store::Connections::One)?;
    Ok(store.read(|tx| settings::get(tx, ROOT))?.map(PathBuf::from))
}

fn absolute(cwd: &Path, dir: &Path) -> Result<PathBuf> {
    let joined = cwd.join(dir);
    std::path::absolute(&joined).with_context(|| format!("resolving {}", joined.display()))
}

fn parent(dir: &Path) -> PathBuf {
    dir.parent().unwrap_or(dir).to_owned()
}
