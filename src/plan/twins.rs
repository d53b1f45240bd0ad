//! Names that a new file may not have beside others: one that differs only by case (on some file
//! systems the two would be one), and one below a file, or above one.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::edits::Reason;
use super::place::Made;
use super::sheet::Sheets;
use crate::platform::root::{Descent, Kernel, Root, fold_case};

/// Why a name is refused.
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) note: String,
}

/// The names of the project and of what is pending.
pub(super) struct Names {
    root: Root,
    /// By directory: its names by their folded form.
    listed: HashMap<String, HashMap<String, String>>,
    /// The files of the plan; `None` until somebody asks.
    files: Option<BTreeSet<String>>,
    /// Those files and their directories, by their folded form.
    folded: HashMap<String, String>,
}

impl Names {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let opened = Root::open(root, Kernel::Current)
            .with_context(|| format!("opening {}", root.display()))?;
        Ok(Self {
            root: opened,
            listed: HashMap::new(),
            files: None,
            folded: HashMap::new(),
        })
    }

    /// Fails if what was made of `path` would be a new file under a name that it may not have;
    /// else the name is taken from now on.
    pub(super) fn check(
        &mut self,
        sheets: &Sheets,
        made: &Made,
        path: &str,
    ) -> Result<(), Refusal> {
        if made.content.is_none() {
            return Ok(());
        }
        let path = made.target.as_deref().unwrap_or(path);
        self.gather(sheets);
        let there = sheets.get(path);
        let is_new = there.is_none_or(|sheet| sheet.content.is_none() && sheet.base_hash.is_none());
        if is_new {
            if let Some(other) = self.in_the_way(sheets, path) {
                let note = format!("{other} is a file, and nothing can be below a file");
                let reason = Reason::FileExists;
                return Err(Refusal { reason, note });
            }
            if let Some(twin) = self.twin(path) {
                let note = format!("the other one is {twin}");
                let reason = Reason::CaseTwin;
                return Err(Refusal { reason, note });
            }
        }
        self.take(path);
        Ok(())
    }

    fn gather(&mut self, sheets: &Sheets) {
        if self.files.is_some() {
            return;
        }
        self.files = Some(BTreeSet::new());
        let all = sheets.all().into_keys();
        for path in all.filter(|path| sheets.holds(path) == Some(true)) {
            self.take(path);
        }
    }

    fn take(&mut self, path: &str) {
        for prefix in prefixes(path) {
            self.folded
                .entry(fold_case(prefix))
                .or_insert_with(|| prefix.to_owned());
        }
        self.files.get_or_insert_default().insert(path.to_owned());
    }

    /// A file of the plan above `path`, or `path` if there is one below it.
    fn in_the_way(&self, sheets: &Sheets, path: &str) -> Option<String> {
        let files = self.files.as_ref()?;
        let is_file = |path: &str| files.contains(path) && sheets.holds(path) != Some(false);
        let above = prefixes(path).find(|prefix| *prefix != path && is_file(prefix));
        let start = format!("{path}/");
        let mut below = files.range(start.clone()..);
        let is_below = below
            .next()
            .is_some_and(|other| other.starts_with(&start) && is_file(other));
        above.or(is_below.then_some(path)).map(str::to_owned)
    }

    /// A name that differs from `path`, or from a directory of it that would be new, only by case.
    fn twin(&mut self, path: &str) -> Option<String> {
        for prefix in prefixes(path) {
            if let Some(other) = self.folded.get(&fold_case(prefix))
                && other != prefix
            {
                return Some(other.clone());
            }
        }
        // A directory that cannot be looked at fails the file where it is read.
        let existing = self.root.existing_parents(path).ok()?;
        let prefix = prefixes(path).nth(existing)?;
        let (dir, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        if !self.listed.contains_key(dir) {
            let names = match self.root.dir(dir) {
                Ok(Descent::Open(opened)) => opened.names().unwrap_or_default(),
                _ => Vec::new(),
            };
            let by_fold = names.into_iter().map(|name| (fold_case(&name), name));
            self.listed.insert(dir.to_owned(), by_fold.collect());
        }
        let other = self.listed.get(dir)?.get(&fold_case(name))?;
        let slash = if dir.is_empty() { "" } else { "/" };
        (other != name).then(|| format!("{dir}{slash}{other}"))
    }
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end])
}
