//! Which pending changes the arguments of a command mean.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::report::UsageError;
use super::session::Cli;
use crate::project::Project;
use crate::store::changes::Change;

/// So many pending files are named where another one was asked for.
const NAMED: usize = 10;

/// The pending paths that `files` mean: files, or directories with all that is pending below them.
pub(super) fn chosen(
    cli: &Cli,
    project: &Project,
    pending: &[Change],
    files: &[PathBuf],
) -> Result<Vec<String>> {
    let mut chosen = Vec::new();
    for file in files {
        let path = in_project(cli, project, file);
        let below = format!("{path}/");
        let is_meant = |change: &&Change| {
            change.path == path || change.path.starts_with(&below) || path.is_empty()
        };
        let before = chosen.len();
        chosen.extend(
            pending
                .iter()
                .filter(is_meant)
                .map(|change| change.path.clone()),
        );
        if chosen.len() == before {
            return Err(not_pending(&file.to_string_lossy(), pending));
        }
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

/// A path as the project has it: from its root, parts separated by `/`. What is given is seen from
/// the current directory; what is not below the project stays as it is.
pub(super) fn in_project(cli: &Cli, project: &Project, file: &Path) -> String {
    let mut whole = PathBuf::new();
    for component in cli.cwd.join(file).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                whole.push(component);
            }
        }
    }
    let root = project.root.canonicalize();
    let roots = [Some(&project.root), root.as_ref().ok()];
    let relative = roots
        .into_iter()
        .flatten()
        .find_map(|root| whole.strip_prefix(root).ok());
    relative.unwrap_or(file).to_string_lossy().into_owned()
}

fn not_pending(file: &str, pending: &[Change]) -> anyhow::Error {
    if pending.is_empty() {
        return UsageError::new(
            format!("{file} is not pending: nothing is"),
            "ask for changes with `plandex tell`",
        )
        .into();
    }
    let mut names: Vec<&str> = pending.iter().map(|change| change.path.as_str()).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    let mut names = names.join(", ");
    if more > 0 {
        names = format!("{names} and {more} more");
    }
    UsageError::new(
        format!("{file} is not pending; pending: {names}"),
        "see all with `plandex status`",
    )
    .into()
}
