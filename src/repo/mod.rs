//! A plan's versions: one bare git repository, written so that it survives a power cut.
//!
//! The database row of a branch says where the branch stands; this room holds what stands there.
//! The one hard rule: [`PlanRepo::commit`] returns only when every object of the new version is
//! on the disk, under its name, and was read back. So a row that is set after it can never point
//! nowhere. The order of every change is: objects, then the row, then [`PlanRepo::mirror`].
//!
//! gix knows the formats; the effects are ours, for three reasons. It never calls fsync. It
//! reports success when a file of the object's name is there, whatever that file holds. And its
//! ref updates leave a `*.lock` behind when killed, which blocks the ref for good. So a version
//! is one pack, written under a temporary name, synced, renamed, its directory synced
//! (`pack.rs`), and small packs become one when there are many (`fold.rs`); a ref is one small
//! file that is replaced as a whole (`refs.rs`).
//!
//! Deliberate absences: no work tree, no index, no checkout, no lock file, no git configuration
//! or environment (only packs and loose objects are opened, which need neither), and no object
//! that is trusted because it exists. Plain git reads the result: `git log`, `git show`, `git
//! fsck`.

mod copy;
mod create;
mod fold;
mod history;
mod leftovers;
mod objects;
mod pack;
mod refs;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use gix::ObjectId;
use gix::objs::Kind;
use serde::{Deserialize, Serialize};

pub use copy::Held;
pub use history::LogEntry;
pub use leftovers::{sweep_unfinished, unfinished};
pub use pack::deflated;
pub use verify::{Damage, Depth};

use objects::{NewObjects, Objects};

/// One version of a plan: the id of a commit in its repository.
///
/// Text form: 40 lower-case hexadecimal digits, in the database, in JSON and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(ObjectId);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        objects::parse_id(text)
            .map(Self)
            .with_context(|| format!("{text:?} is not a version"))
    }
}

impl TryFrom<String> for Version {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// One change of a version's tree.
///
/// Paths are relative, their parts separated by `/`; parts that git refuses (empty, `.`, `..`,
/// any spelling of `.git`) are refused. A list of changes is applied in order: the last one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeChange {
    /// Puts a file. A file in the way of its directories, or a directory in its place, goes.
    Put {
        /// Where.
        path: String,
        /// The whole content.
        bytes: Vec<u8>,
    },
    /// Removes the file or the whole directory at `path`; nothing there is no error.
    Remove {
        /// What.
        path: String,
    },
}

/// A file of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// From the root of the version, parts separated by `/`.
    pub path: String,
    /// The id of its content, for [`PlanRepo::blob`].
    pub id: String,
}

/// The bare repository of one plan.
///
/// Cheap to open; open one for each use. It cannot be shared between threads.
pub struct PlanRepo {
    path: PathBuf,
    objects: Objects,
}

impl fmt::Debug for PlanRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanRepo")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl PlanRepo {
    /// Opens the repository at `path`. Reads no git configuration and no environment.
    ///
    /// Fails when `path` is not a repository that [`PlanRepo::create`] finished.
    pub fn open(path: &Path) -> Result<Self> {
        create::check_finished(path)?;
        Ok(Self {
            path: path.to_owned(),
            objects: Objects::new(path.join("objects")),
        })
    }

    /// Where this repository is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a version: `parent`'s tree with `changes` made to it, and makes it durable.
    ///
    /// Moves no ref. `author` is `Name <email>` or a name alone; empty, and always as committer,
    /// it is `plandex <plandex@localhost>`. `time_ms` is wall-clock milliseconds since 1970, of
    /// which git keeps the whole seconds. What the changes put is written anew even if objects of
    /// that name exist, so a retry after a crash or a failed sync heals what the first try left.
    /// After an error nothing is to be acknowledged; what was written is unreferenced, harmless.
    pub fn commit(
        &self,
        parent: Option<&Version>,
        changes: &[TreeChange],
        author: &str,
        message: &str,
        time_ms: i64,
    ) -> Result<Version> {
        self.commit_on(parent, parent, changes, author, message, time_ms)
    }

    /// As [`Self::commit`], but with `changes` made to the tree of `base`, whatever its place in
    /// the history: how an older version is come back to.
    pub fn commit_on(
        &self,
        base: Option<&Version>,
        parent: Option<&Version>,
        changes: &[TreeChange],
        author: &str,
        message: &str,
        time_ms: i64,
    ) -> Result<Version> {
        let mut new = NewObjects::default();
        let base = base.map(|version| self.tree_of(version)).transpose()?;
        let root = tree::edit(&self.objects, base, changes, &mut new)?;
        let parents: Vec<ObjectId> = parent.map(|version| version.0).into_iter().collect();
        let commit = history::encode(root, parents, author, message, time_ms)?;
        let id = new.add(Kind::Commit, commit.into())?;
        let packs = self.objects.packs_dir();
        let ids = new.ids();
        new.write(&packs)
            .and_then(|()| ids.iter().try_for_each(|id| self.objects.confirm(id)))
            .with_context(|| format!("writing a version to {}", self.path.display()))?;
        // The version stands. A fold that fails leaves more packs than need be, and the next
        // version tries again; a disk that fails is found by what has to be written.
        drop(fold::fold_when_many(&packs));
        Ok(Version(id))
    }

    /// Reads the file at `path` in `version`; `None` if there is none (or a directory).
    pub fn file(&self, version: &Version, path: &str) -> Result<Option<Vec<u8>>> {
        match tree::find(&self.objects, self.tree_of(version)?, path)? {
            Some(found) if !found.is_tree => Ok(Some(self.objects.read(&found.id, Kind::Blob)?)),
            _ => Ok(None),
        }
    }

    /// Lists the files of `version` that are `under` or in the directory `under`, in git's order;
    /// `""` is the root.
    pub fn files(&self, version: &Version, under: &str) -> Result<Vec<TreeEntry>> {
        let root = self.tree_of(version)?;
        let Some(start) = tree::find(&self.objects, root, under)? else {
            return Ok(Vec::new());
        };
        tree::files(&self.objects, start, under)
    }

    /// Lists what `one` and `other` do not have in common: the files of `one` that `other` has not, or
    /// with other content, and those of `other` likewise, in no order. A directory whose path `is_unit`
    /// is listed with all its files if any differs. Takes as long as the difference is large, however
    /// large the versions are.
    pub fn differing(
        &self,
        one: &Version,
        other: &Version,
        is_unit: impl Fn(&str) -> bool,
    ) -> Result<[Vec<TreeEntry>; 2]> {
        let roots = [self.tree_of(one)?, self.tree_of(other)?];
        tree::differing(&self.objects, roots, is_unit)
    }

    /// Reads the content with the id `id` ([`TreeEntry::id`], [`blob_id`]).
    pub fn blob(&self, id: &str) -> Result<Vec<u8>> {
        self.objects.read(&objects::parse_id(id)?, Kind::Blob)
    }

    fn tree_of(&self, version: &Version) -> Result<ObjectId> {
        let commit = self.objects.read(&version.0, Kind::Commit)?;
        let (root, _) = history::links(&commit).with_context(|| format!("decoding {version}"))?;
        Ok(root)
    }
}

/// Computes the id that `bytes` have as the content of a file, before or after it is written.
pub fn blob_id(bytes: &[u8]) -> Result<String> {
    Ok(objects::name_of(Kind::Blob, bytes)?.to_string())
}

/// Refuses ids that are not letters, digits and `-`: they become file names and refs.
fn check_branch_id(id: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if id.is_empty() || id.len() > 64 || id.starts_with('-') || !id.chars().all(plain) {
        bail!("{id:?} is not a branch id");
    }
    Ok(())
}
