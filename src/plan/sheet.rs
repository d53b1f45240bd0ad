//! The files that a run builds on, as the plan has them so far: an earlier pending change if there
//! is one, else the disk.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::edits::{self, Reason};
use super::lines;
use crate::platform::cancel::Cancel;
use crate::platform::digest;
use crate::platform::snapshot::{Tree, Unread};
use crate::project::{Project, Turn};
use crate::repo::PlanRepo;
use crate::store::branches::Branch;
use crate::store::changes::{self, Change};
use crate::store::contexts;

/// How long a file that somebody is writing to is waited for.
const BUSY_FILE: Duration = Duration::from_secs(10);

/// One path as the plan would have it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sheet {
    /// The content; `None` if there is, or will be, no such file.
    pub(super) content: Option<Vec<u8>>,
    /// Whether it is to be a program; `None` leaves that as it is.
    pub(super) executable: Option<bool>,
    /// The file of the project that this was, if it got its name in the plan.
    pub(super) moved_from: Option<String>,
    /// SHA-256 of what was on the disk when it was first built.
    pub(super) base_hash: Option<String>,
    /// That content, where it is known.
    pub(super) base: Option<Vec<u8>>,
    /// When the content that the model was shown was read, if it is another one: wall time in
    /// milliseconds.
    pub(super) stale: Option<i64>,
}

impl Sheet {
    /// What the project has, as it was read.
    fn of_disk(content: Option<Vec<u8>>) -> Self {
        Self {
            base_hash: content.as_deref().map(digest::sha256_hex),
            base: content.clone(),
            content,
            ..Self::default()
        }
    }

    /// Whether there is nothing to do for it: the project has just that.
    pub(super) fn is_as_the_project(&self, disk: &Disk, path: &str) -> bool {
        let hash = self.content.as_deref().map(digest::sha256_hex);
        let is_program = |wanted| hash.is_none() || disk.is_executable(path) == wanted;
        self.moved_from.is_none()
            && hash == self.base_hash
            && self.executable.is_none_or(is_program)
    }
}

/// Why there is no content to build on.
pub(super) enum Unbuilt {
    /// The path's own fault, which fails its file.
    Refused(Reason),
    /// The system's, which fails the run.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Unbuilt {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// The project's files, to be read only, and what the model was shown of them.
pub(super) struct Disk {
    root: PathBuf,
    tree: Tree,
    /// Never set: a build that has begun is finished, also by a run that was stopped.
    never: Cancel,
    project: Arc<Project>,
    branch_id: String,
}

impl Disk {
    fn open(project: &Arc<Project>, branch_id: &str) -> Result<Self> {
        let root = &project.root;
        Ok(Self {
            tree: Tree::open(root).with_context(|| format!("opening {}", root.display()))?,
            never: Cancel::new()?,
            root: root.clone(),
            project: Arc::clone(project),
            branch_id: branch_id.to_owned(),
        })
    }

    /// The paths that were shown.
    pub(super) fn shown(&self) -> Result<Vec<String>> {
        let store = &self.project.store;
        store.read(|tx| contexts::paths(tx, &self.branch_id))
    }

    /// When the model was shown the path, wall time in milliseconds, if that was another content.
    fn stale_since(&self, path: &str, hash: Option<&String>) -> Result<Option<i64>> {
        let entries = self
            .project
            .store
            .read(|tx| contexts::at_path(tx, &self.branch_id, path))?;
        let shown = entries.last().filter(|entry| Some(&entry.hash) != hash);
        Ok(shown.map(|entry| entry.updated_at))
    }

    /// The file as it is now. One that somebody is writing to (another plan's apply, an editor) is
    /// tried for as long as [`BUSY_FILE`].
    pub(super) fn sheet(&self, path: &str) -> Result<Sheet, Unbuilt> {
        let mut sheet = Sheet::of_disk(self.read(path)?);
        sheet.stale = self.stale_since(path, sheet.base_hash.as_ref())?;
        Ok(sheet)
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Unbuilt> {
        let until = Instant::now() + BUSY_FILE;
        loop {
            let limit = edits::FILE_BYTES_MAX as u64;
            return match self.tree.read(Path::new(path), limit, &self.never) {
                Ok(version) => Ok(Some(version.bytes)),
                Err(Unread::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(Unread::TooLarge { .. }) => Err(Unbuilt::Refused(Reason::TooLarge)),
                Err(Unread::Changing) if Instant::now() < until => continue,
                // A link out of the project or a special file: not ours to change.
                Err(Unread::NotAFile(_)) => Err(Unbuilt::Refused(Reason::UnsafePath)),
                Err(Unread::Io(error)) if leads_astray(&error) => {
                    Err(Unbuilt::Refused(Reason::UnsafePath))
                }
                Err(error) => Err(anyhow::Error::from(error)
                    .context(format!("reading {path}"))
                    .into()),
            };
        }
    }

    /// Whether the file is a program now.
    pub(super) fn is_executable(&self, path: &str) -> bool {
        let meta = self.root.join(path).symlink_metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o100 != 0)
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, path: &str) -> bool {
        self.root.join(path).is_file()
    }
}

/// A path that goes through a link, out of the project, or through what is no directory.
fn leads_astray(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotADirectory | ErrorKind::CrossesDevices | ErrorKind::PermissionDenied
    ) || error.to_string().contains("symbolic link")
}

/// The branch's files on their way through a run.
pub(super) struct Sheets {
    pub(super) disk: Disk,
    /// Behind a mutex only because threads share the rest.
    repo: Mutex<PlanRepo>,
    /// What is pending, as the run found it.
    pending: BTreeMap<String, Change>,
    /// What was read so far.
    read: BTreeMap<String, Sheet>,
}

impl Sheets {
    pub(super) fn open(turn: &Turn<'_>, branch: &Branch) -> Result<Self> {
        let store = &turn.project.store;
        let pending = store.read(|tx| changes::pending(tx, &branch.id))?;
        let by_path = |change: Change| (change.path.clone(), change);
        Ok(Self {
            disk: Disk::open(turn.project, &branch.id)?,
            repo: Mutex::new(turn.repo()?),
            pending: pending.into_iter().map(by_path).collect(),
            read: BTreeMap::new(),
        })
    }

    /// The pending change of a path, as the run found it.
    pub(super) fn was(&self, path: &str) -> Option<&Change> {
        self.pending.get(path)
    }

    /// What was read or made of a path so far.
    pub(super) fn get(&self, path: &str) -> Option<&Sheet> {
        self.read.get(path)
    }

    /// Takes what a path has become, or what it was read as.
    pub(super) fn put(&mut self, path: &str, sheet: Sheet) {
        self.read.insert(path.to_owned(), sheet);
    }

    /// Reads a path that something is pending for; nothing for any other.
    pub(super) fn open_pending(&mut self, path: &str) -> Result<()> {
        let Some(change) = self.pending.get(path) else {
            return Ok(());
        };
        if self.read.contains_key(path) {
            return Ok(());
        }
        let repo = self.repo.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = |id: &String| repo.blob(id);
        let mut base = change.base_blob.as_ref().map(blob).transpose()?;
        if let (None, Some(hash)) = (&base, &change.base_hash)
            && let Ok(Some(bytes)) = self.disk.read(path)
            && digest::sha256_hex(&bytes) == *hash
        {
            base = Some(bytes);
        }
        let sheet = Sheet {
            content: change.blob.as_ref().map(blob).transpose()?,
            executable: change.executable,
            moved_from: change.moved_from.clone(),
            base_hash: change.base_hash.clone(),
            base,
            ..Sheet::default()
        };
        drop(repo);
        self.put(path, sheet);
        Ok(())
    }

    /// A path as it is now, read if need be.
    pub(super) fn sheet(&mut self, path: &str) -> Result<&mut Sheet, Unbuilt> {
        self.open_pending(path)?;
        if !self.read.contains_key(path) {
            let sheet = self.disk.sheet(path)?;
            self.put(path, sheet);
        }
        Ok(self.read.entry(path.to_owned()).or_default())
    }

    /// Whether the plan has a file at `path`, as far as is known without reading the disk.
    pub(super) fn holds(&self, path: &str) -> Option<bool> {
        let read = self.read.get(path).map(|sheet| sheet.content.is_some());
        read.or_else(|| self.pending.get(path).map(|change| change.blob.is_some()))
    }

    /// What is pending on the branch, what this run made of it included: each path with the file
    /// that it was before it got its name.
    pub(super) fn all(&self) -> BTreeMap<&str, Option<&str>> {
        let mut all: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for (path, change) in &self.pending {
            all.insert(path, change.moved_from.as_deref());
        }
        for (path, sheet) in &self.read {
            all.insert(path, sheet.moved_from.as_deref());
        }
        all
    }

    /// Whether the file `path` of the project is not there any more in the plan, or another one is.
    pub(super) fn has_left(&self, path: &str) -> bool {
        let of_sheet = |sheet: &Sheet| {
            let is_gone = sheet.content.is_none() && sheet.base_hash.is_some();
            is_gone || sheet.moved_from.is_some()
        };
        let of_change = |change: &Change| change.blob.is_none() || change.moved_from.is_some();
        let read = self.read.get(path).map(of_sheet);
        read.or_else(|| self.pending.get(path).map(of_change))
            .unwrap_or(false)
    }

    /// Where the file `path` went, if the plan has it under another name.
    pub(super) fn moved_to(&self, path: &str) -> Option<&str> {
        let is_it = |(to, from): &(&str, Option<&str>)| *from == Some(path) && *to != path;
        self.all().into_iter().find(is_it).map(|(to, _)| to)
    }

    /// The names that a label may mean: of what was `shown` and what is pending, but for what is
    /// gone.
    pub(super) fn names<'a>(&'a self, shown: &'a [String]) -> Vec<&'a str> {
        let shown = shown.iter().map(String::as_str);
        let pending = self.pending.keys().chain(self.read.keys());
        let all = shown.chain(pending.map(String::as_str));
        all.filter(|path| self.holds(path) != Some(false)).collect()
    }

    /// Lines added and removed by what is pending of a path: against what it was before it got its
    /// name, or what stood there.
    pub(super) fn count(&self, path: &str, sheet: &Sheet) -> Option<(usize, usize)> {
        let origin = match (&sheet.moved_from, &sheet.base_hash) {
            (Some(from), None) => self.read.get(from)?,
            _ => sheet,
        };
        if sheet.content.is_none() && self.moved_to(path).is_some() {
            return Some((0, 0));
        }
        let base = match (&origin.base, &origin.base_hash) {
            (None, Some(_)) => return None,
            (base, _) => base.as_deref().unwrap_or_default(),
        };
        let content = sheet.content.as_deref().unwrap_or_default();
        Some(lines::count(base, content))
    }
}
