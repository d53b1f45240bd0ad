//! The pending changes of a branch, as a person reads them.

use std::path::Path;

use anyhow::{Context as _, Result};
use similar::TextDiff;

use super::edits::FILE_BYTES_MAX;
use crate::platform::cancel::Cancel;
use crate::platform::digest;
use crate::platform::snapshot::{Tree, Unread};
use crate::project::Project;
use crate::store::branches::Branch;
use crate::store::changes::{self, Change};

/// One pending change against the project's file as it is now.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// The change.
    pub change: Change,
    /// What `git apply` takes: from the file as it is now to the new content.
    pub unified: String,
    /// Whether the file is not (any more) what the change was built on.
    pub has_drifted: bool,
    /// Why the file as it is now cannot be compared; there is no diff then.
    pub problem: Option<String>,
}

/// Lines of context around each hunk, as git has it.
const CONTEXT: usize = 3;

/// The pending changes of `branch` against the files of the project, by path.
pub fn diff(project: &Project, branch: &Branch) -> Result<Vec<FileDiff>> {
    let pending = project.store.read(|tx| changes::pending(tx, &branch.id))?;
    if pending.is_empty() {
        return Ok(Vec::new());
    }
    let repo = project.repo(&branch.plan_id)?;
    let tree =
        Tree::open(&project.root).with_context(|| format!("opening {}", project.root.display()))?;
    let cancel = Cancel::new()?;
    let mut files = Vec::with_capacity(pending.len());
    for change in pending {
        let mut problem = None;
        let old = match tree.read(Path::new(&change.path), FILE_BYTES_MAX as u64, &cancel) {
            Ok(version) => Some(version.bytes),
            Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => None,
            // One path that is not a file any more does not hide the others.
            Err(error) => {
                problem = Some(error.to_string());
                None
            }
        };
        let new = change
            .blob
            .as_deref()
            .map(|blob| repo.blob(blob))
            .transpose()?;
        let has_drifted = old.as_deref().map(digest::sha256_hex) != change.base_hash;
        let unified = match problem {
            None => unified(&change.path, old.as_deref(), new.as_deref()),
            Some(_) => String::new(),
        };
        files.push(FileDiff {
            change,
            unified,
            has_drifted: has_drifted || problem.is_some(),
            problem,
        });
    }
    Ok(files)
}

/// One file's diff with git's head; empty if nothing differs.
fn unified(path: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    if old == new {
        return String::new();
    }
    let mut text = format!("diff --git a/{path} b/{path}\n");
    match (old, new) {
        (None, _) => text.push_str("new file mode 100644\n"),
        (_, None) => text.push_str("deleted file mode 100644\n"),
        _ => {}
    }
    let name = |side: &str, content: Option<&[u8]>| match content {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (before, after) = (old.unwrap_or_default(), new.unwrap_or_default());
    match (std::str::from_utf8(before), std::str::from_utf8(after)) {
        (Ok(before), Ok(after)) => {
            let diff = TextDiff::from_lines(before, after);
            let hunks = diff
                .unified_diff()
                .context_radius(CONTEXT)
                .header(&name("a", old), &name("b", new))
                .to_string();
            text.push_str(&hunks);
        }
        _ => {
            let line = format!("Binary files a/{path} and b/{path} differ\n");
            text.push_str(&line);
        }
    }
    text
}
