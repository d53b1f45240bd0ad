//! The mirror of a branch's head: `refs/heads/<branch id>`, for plain git's eyes.
//!
//! One loose file, replaced as a whole under a unique temporary name; no lock file, so nothing
//! that a killed process leaves can block the next. It is always written from the database row,
//! so a lost or lagging mirror loses nothing. `git gc` may move it to `packed-refs`, of which a
//! loose file takes precedence.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use gix::objs::Kind;

use super::{PlanRepo, Version, check_branch_id};
use crate::platform::file;

impl PlanRepo {
    /// Makes the branch's ref point at `version`, durably. Fails if `version` is not readable.
    pub fn mirror(&self, branch_id: &str, version: &Version) -> Result<()> {
        if self.mirrored(branch_id)? == Some(*version) {
            return Ok(());
        }
        self.objects.read(&version.0, Kind::Commit)?;
        let line = format!("{version}\n");
        file::write_atomic(&self.ref_path(branch_id), line.as_bytes(), 0o600)
    }

    /// Reads where the branch's ref points; `None` if there is none, or if what is there is no
    /// version (mirroring replaces it).
    pub fn mirrored(&self, branch_id: &str) -> Result<Option<Version>> {
        check_branch_id(branch_id)?;
        if let Some(line) = read(&self.ref_path(branch_id))? {
            return Ok(line.trim_end().parse().ok());
        }
        let name = ref_name(branch_id);
        let packed = read(&self.packed_path())?.unwrap_or_default();
        let found = packed
            .lines()
            .find_map(|line| line.strip_suffix(&name)?.strip_suffix(' '));
        Ok(found.and_then(|id| id.parse().ok()))
    }

    /// The id of the branch that `HEAD` names: the one that the repository was made with.
    pub fn head_branch(&self) -> Result<String> {
        let path = self.path.join("HEAD");
        let line = read(&path)?.unwrap_or_default();
        let id = line.trim_end().strip_prefix("ref: refs/heads/");
        Ok(id
            .with_context(|| format!("{} is damaged", path.display()))?
            .to_owned())
    }

    /// Lists the refs of all branches: their ids, and where they point.
    pub fn mirrors(&self) -> Result<Vec<(String, Version)>> {
        let mut ids = std::collections::BTreeSet::new();
        let heads = self.path.join("refs/heads");
        let list = || std::fs::read_dir(&heads)?.collect::<std::io::Result<Vec<_>>>();
        let entries = list().with_context(|| format!("listing {}", heads.display()))?;
        ids.extend(entries.iter().map(std::fs::DirEntry::file_name));
        let packed = read(&self.packed_path())?.unwrap_or_default();
        let names = packed.lines().filter_map(|line| line.split_once(' '));
        ids.extend(
            names
                .filter_map(|(_, name)| name.strip_prefix("refs/heads/"))
                .map(Into::into),
        );
        let mut found = Vec::new();
        for id in ids.iter().filter_map(|id| id.to_str()) {
            // Not ours, or half a temporary file.
            if check_branch_id(id).is_err() {
                continue;
            }
            if let Some(version) = self.mirrored(id)? {
                found.push((id.to_owned(), version));
            }
        }
        Ok(found)
    }

    /// Removes the branch's ref; none there is no error.
    pub fn remove_mirror(&self, branch_id: &str) -> Result<()> {
        check_branch_id(branch_id)?;
        let name = ref_name(branch_id);
        let packed = read(&self.packed_path())?.unwrap_or_default();
        let is_ours = |line: &&str| line.split_once(' ').is_some_and(|(_, rest)| rest == name);
        if packed.lines().any(|line| is_ours(&line)) {
            // First the packed one: without the loose file, its older value would come back.
            let kept: String = packed
                .lines()
                .filter(|line| !is_ours(line))
                .flat_map(|line| [line, "\n"])
                .collect();
            file::write_atomic(&self.packed_path(), kept.as_bytes(), 0o600)?;
        }
        file::remove_file(&self.ref_path(branch_id))?;
        file::sync_dir(&self.path.join("refs/heads"))
    }

    fn ref_path(&self, branch_id: &str) -> PathBuf {
        self.path.join(ref_name(branch_id))
    }

    fn packed_path(&self) -> PathBuf {
        self.path.join("packed-refs")
    }
}

/// The name of a branch's ref.
pub(super) fn ref_name(branch_id: &str) -> String {
    format!("refs/heads/{branch_id}")
}

/// Reads a text file; `None` if it is not there. What is not UTF-8 becomes what is no version.
fn read(path: &std::path::Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}
