//! Which pending changes the arguments of a command mean: one rule for apply, diff and reject.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::session::Cli;
use crate::apply;
use crate::project::Project;
use crate::store::changes::Change;

/// Those of `pending` that `words` mean (all for none), seen from the current directory; says which
/// files came with them because they are moved.
pub(super) fn chosen(
    cli: &Cli,
    project: &Project,
    pending: Vec<Change>,
    words: &[String],
) -> Result<Vec<Change>> {
    let below = below(cli, project);
    // A whole path means the same wherever it is said.
    let word = |word: &String| match Path::new(word).is_absolute() {
        true => in_project(cli, project, Path::new(word)),
        false => word.clone(),
    };
    let words: Vec<String> = words.iter().map(word).collect();
    let chosen = apply::choose(pending, &words, &below)?;
    for path in &chosen.pulled_in {
        cli.ui
            .note(format!("{path} belongs to it: a file is moved as a whole"));
    }
    Ok(chosen.changes)
}

/// Where the current directory is in the project; "" for its root.
fn below(cli: &Cli, project: &Project) -> String {
    let below = || {
        let root = project.root.canonicalize().ok()?;
        let here = cli.cwd.canonicalize().ok()?;
        Some(here.strip_prefix(root).ok()?.to_str()?.to_owned())
    };
    below().unwrap_or_default()
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
