//! The birth of a repository: all of it or nothing of it is there, whenever the power goes.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{PlanRepo, check_branch_id, refs};
use crate::platform::file;

/// Nothing here is read by us. `git gc` must keep what no ref points at: rows may point at it
/// before (or, after a crash, without) the ref that follows them.
const CONFIG: &str = "\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
\tlogallrefupdates = false
[gc]
\tauto = 0
\tpruneExpire = never
";

const DIRS: [&str; 4] = ["objects", "objects/pack", "refs", "refs/heads"];

impl PlanRepo {
    /// Creates the repository at `path`, whose `HEAD` names the branch `head_ref`, durably.
    ///
    /// It is made under a temporary name beside `path` and renamed when all of it is on the disk.
    /// One that is there already is opened: a retry after a crash is safe.
    pub fn create(path: &Path, head_ref: &str) -> Result<Self> {
        check_branch_id(head_ref)?;
        let context = || format!("creating {}", path.display());
        let plans = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let plans = plans.unwrap_or_else(|| Path::new("."));
        if !path.exists() {
            build_and_rename(path, head_ref).with_context(context)?;
        }
        let repo = Self::open(path)?;
        // Also when it was there: the process that renamed it may not have lived to this line.
        file::sync_dir(plans).with_context(context)?;
        Ok(repo)
    }
}

fn build_and_rename(path: &Path, head_ref: &str) -> Result<()> {
    let unfinished = file::temporary_beside(path);
    let built = build(&unfinished, head_ref).and_then(|()| file::rename(&unfinished, path));
    if built.is_err() {
        // What cannot be removed now is swept later.
        drop(std::fs::remove_dir_all(&unfinished));
    }
    match built {
        // Somebody else's rename came first.
        Err(_) if check_finished(path).is_ok() => Ok(()),
        other => other,
    }
}

fn build(dir: &Path, head_ref: &str) -> Result<()> {
    file::create_dir_private(dir)?;
    for name in DIRS {
        file::create_dir_private(&dir.join(name))?;
    }
    let head = format!("ref: {}\n", refs::ref_name(head_ref));
    for (name, text) in [("HEAD", head.as_str()), ("config", CONFIG)] {
        let path = dir.join(name);
        let written = file::write_new(&path, text.as_bytes(), 0o600)?;
        file::sync_file(&written, &path)?;
    }
    for name in DIRS {
        file::sync_dir(&dir.join(name))?;
    }
    file::sync_dir(dir)
}

/// Fails if `path` is not a whole repository.
pub(super) fn check_finished(path: &Path) -> Result<()> {
    let head = path.join("HEAD");
    let text = std::fs::read_to_string(&head)
        .with_context(|| format!("opening the plan repository: reading {}", head.display()))?;
    ensure!(
        text.starts_with("ref: refs/heads/"),
        "{} is damaged: {text:?}",
        head.display()
    );
    for name in DIRS {
        let dir = path.join(name);
        ensure!(dir.is_dir(), "{} is missing", dir.display());
    }
    Ok(())
}
