//! Which files the project does not want to be shown: the ignore rules, and what nobody reads.
//!
//! A path is judged by `.plandexignore`, `.ignore`, `.gitignore`, the repository's `info/exclude`
//! and git's own global excludes, in that order; within one kind the nearest directory wins, and
//! in one file the last line. That is ripgrep's order with `require_git(false)`: git's rules hold
//! without a repository, and also inside one that lies in the project. Where the project is a part of a larger repository, that one's rules hold too; nothing
//! above it is looked at. Rules are read through [`Tree`], so no link or pipe that is called
//! `.gitignore` is followed or waited for: it is reported instead.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};

use super::{Ground, Ignored};
use crate::platform::cancel::Cancel;
use crate::platform::snapshot::{FileKind, Tree, Unread, Version};

/// The rule files of a directory, the strongest first.
const RULE_FILES: [&str; 3] = [".plandexignore", ".ignore", ".gitignore"];
/// The place of `info/exclude` in [`Rules::sets`], after the rule files.
const EXCLUDE: usize = 3;
const SETS: usize = 4;
/// A rule file is read up to this size.
const RULE_BYTES_MAX: u64 = 1 << 20;

/// Files of the store: no code but SQLite may open them (HAZARDS.md H3).
const STORE_FILES: [&str; 4] = [
    "plandex.db",
    "plandex.db-wal",
    "plandex.db-shm",
    "plandex.db-journal",
];

/// A directory with an entry of this name is a store (PLANDEX_DIR may call it anything).
pub(super) const STORE_MARK: &str = "plandex.db";

/// Whether a directory entry belongs to git or plandex, and is never read whatever is asked.
pub(super) fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case(".git")
        || name.eq_ignore_ascii_case(".plandex")
        || STORE_FILES.contains(&name)
}

/// The rules of one directory and, through `above`, of those around it.
#[derive(Debug)]
pub(super) struct Rules {
    above: Option<Arc<Self>>,
    sets: [Gitignore; SETS],
}

/// What a directory holds that makes rules.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Present {
    rule_files: bool,
    git: bool,
}

impl Present {
    /// Takes note of a directory entry.
    pub(super) fn see(&mut self, name: &str) {
        self.rule_files |= RULE_FILES.contains(&name);
        self.git |= name == ".git";
    }

    /// What is in the directory `path`, where it was not listed.
    fn look(path: &Path) -> Self {
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        Self {
            rule_files: RULE_FILES.into_iter().any(has),
            git: has(".git"),
        }
    }
}

/// All rules of a project, read as far as they were asked for.
pub(super) struct Rulebook<'a> {
    ground: &'a Ground<'a>,
    ignored: Ignored,
    global: Gitignore,
    /// The rules of the directories around the project's root.
    around_root: Arc<Rules>,
    inside: HashMap<PathBuf, Arc<Rules>>,
    /// Rule files that could not be used, for people.
    pub(super) warnings: BTreeSet<String>,
}

impl<'a> Rulebook<'a> {
    /// Opens the rules of the project; with [`Ignored::Include`] the book stays empty.
    pub(super) fn open(ground: &'a Ground<'a>, ignored: Ignored) -> Self {
        let mut book = Self {
            ground,
            ignored,
            global: Gitignore::empty(),
            around_root: Arc::new(Rules {
                above: None,
                sets: std::array::from_fn(|_| Gitignore::empty()),
            }),
            inside: HashMap::new(),
            warnings: BTreeSet::new(),
        };
        if ignored == Ignored::Include {
            return book;
        }
        let (global, trouble) = GitignoreBuilder::new(&ground.root).build_global();
        book.global = global;
        if let Some(trouble) = trouble {
            book.warn("git's global excludes", &trouble);
        }
        for directory in larger_repository(&ground.root) {
            book.around_root = book.enter_outside(&directory);
        }
        book
    }

    /// The rules by which the entry `path` (relative to the root) is judged, or the rule that
    /// ignores a directory above it.
    pub(super) fn around(&mut self, path: &Path) -> Result<Arc<Rules>, String> {
        let Some(parent) = path.parent() else {
            return Ok(Arc::clone(&self.around_root));
        };
        if let Some(known) = self.inside.get(parent) {
            return Ok(Arc::clone(known));
        }
        let around = self.around(parent)?;
        if let Some(rule) = self.ignoring(&around, parent, FileKind::Directory) {
            return Err(rule);
        }
        let present = Present::look(&self.ground.root.join(parent));
        let inside = self.enter(&around, parent, present);
        self.inside.insert(parent.to_owned(), Arc::clone(&inside));
        Ok(inside)
    }

    /// The rule that ignores `path` itself, given the rules around it.
    pub(super) fn ignoring(&self, around: &Rules, path: &Path, kind: FileKind) -> Option<String> {
        if path.as_os_str().is_empty() {
            // The root is the project, whatever a repository around it says.
            return None;
        }
        let path = self.ground.root.join(path);
        let is_dir = kind == FileKind::Directory;
        let verdict = around.verdict(&path, is_dir);
        let ignore::Match::Ignore(glob) = verdict.or(self.global.matched(&path, is_dir)) else {
            return None;
        };
        let from = glob
            .from()
            .map_or_else(String::new, |from| self.name_of(from));
        Some(format!("{} in {from}", glob.original()))
    }

    /// The rules inside `directory` (relative to the root), given those around it.
    pub(super) fn enter(
        &mut self,
        around: &Arc<Rules>,
        directory: &Path,
        present: Present,
    ) -> Arc<Rules> {
        let ground = self.ground;
        let path = ground.root.join(directory);
        self.add_rules(around, present, &path, |name| {
            ground
                .tree
                .read(&directory.join(name), RULE_BYTES_MAX, ground.cancel)
        })
    }

    /// The rules inside a directory that lies above the project's root.
    fn enter_outside(&mut self, directory: &Path) -> Arc<Rules> {
        let around = Arc::clone(&self.around_root);
        let cancel = self.ground.cancel;
        self.add_rules(&around, Present::look(directory), directory, |name| {
            Tree::open(directory)?.read(Path::new(name), RULE_BYTES_MAX, cancel)
        })
    }

    fn add_rules(
        &mut self,
        around: &Arc<Rules>,
        present: Present,
        directory: &Path,
        read: impl Fn(&str) -> Result<Version, Unread>,
    ) -> Arc<Rules> {
        let makes_rules = present.rule_files || present.git;
        if self.ignored == Ignored::Include || !makes_rules {
            return Arc::clone(around);
        }
        let mut sets = std::array::from_fn(|_| Gitignore::empty());
        for (set, name) in sets.iter_mut().zip(RULE_FILES) {
            *set = self.parse(directory, &directory.join(name), read(name));
        }
        if present.git
            && let Some(exclude) = exclude_of(directory, self.ground.cancel)
        {
            sets[EXCLUDE] = self.parse(directory, &exclude.path, exclude.content);
        }
        Arc::new(Rules {
            above: Some(Arc::clone(around)),
            sets,
        })
    }

    /// The rules that the content of `file` makes for `directory`. One bad line costs that line.
    fn parse(
        &mut self,
        directory: &Path,
        file: &Path,
        content: Result<Version, Unread>,
    ) -> Gitignore {
        let bytes = match content {
            Ok(version) => version.bytes,
            Err(Unread::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                return Gitignore::empty();
            }
            Err(trouble) => {
                self.warn(&self.name_of(file), &trouble);
                return Gitignore::empty();
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut builder = GitignoreBuilder::new(directory);
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            if let Err(trouble) = builder.add_line(Some(file.to_owned()), line) {
                self.warn(&format!("{}:{number}", self.name_of(file)), &trouble);
            }
        }
        builder.build().unwrap_or_else(|trouble| {
            self.warn(&self.name_of(file), &trouble);
            Gitignore::empty()
        })
    }

    fn warn(&mut self, place: &str, trouble: &dyn std::fmt::Display) {
        self.warnings
            .insert(format!("ignore rules not used: {place}: {trouble}"));
    }

    /// What people call a rule file: relative to the project where it is inside.
    fn name_of(&self, file: &Path) -> String {
        let inside = file.strip_prefix(&self.ground.root);
        inside.unwrap_or(file).display().to_string()
    }
}

impl Rules {
    fn verdict(&self, path: &Path, is_dir: bool) -> ignore::Match<&Glob> {
        let mut found: [Option<ignore::Match<&Glob>>; SETS] = [const { None }; SETS];
        let mut rules = Some(self);
        while let Some(here) = rules {
            for (found, set) in found.iter_mut().zip(&here.sets) {
                if found.is_none() {
                    let verdict = set.matched(path, is_dir);
                    *found = (!verdict.is_none()).then_some(verdict);
                }
            }
            rules = here.above.as_deref();
        }
        found
            .into_iter()
            .flatten()
            .next()
            .unwrap_or(ignore::Match::None)
    }
}

/// The directories from the top of the repository around `root` down to its parent; none if the
/// project is a repository itself, or in none.
fn larger_repository(root: &Path) -> Vec<PathBuf> {
    let is_top = |path: &Path| path.join(".git").symlink_metadata().is_ok();
    let depth = root.ancestors().position(is_top).unwrap_or(0);
    let mut around: Vec<PathBuf> = root
        .ancestors()
        .take(depth + 1)
        .skip(1)
        .map(Path::to_owned)
        .collect();
    around.reverse();
    around
}

struct Exclude {
    path: PathBuf,
    content: Result<Version, Unread>,
}

/// The repository's own excludes. In a linked work tree `.git` is a file that names the directory,
/// and that one names the common directory.
fn exclude_of(directory: &Path, cancel: &Cancel) -> Option<Exclude> {
    let read = |directory: &Path, name: &str| {
        Tree::open(directory)?.read(Path::new(name), RULE_BYTES_MAX, cancel)
    };
    let line = |directory: &Path, name: &str| {
        let bytes = read(directory, name).ok()?.bytes;
        Some(String::from_utf8(bytes).ok()?.trim_end().to_owned())
    };
    let mut git = directory.join(".git");
    if !git.is_dir() {
        let pointer = line(directory, ".git")?;
        git = directory.join(pointer.strip_prefix("gitdir:")?.trim());
        if let Some(common) = line(&git, "commondir") {
            git = git.join(common);
        }
    }
    Some(Exclude {
        path: git.join("info/exclude"),
        content: read(&git, "info/exclude"),
    })
}
