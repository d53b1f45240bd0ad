//! Finding files: what is in a directory, and what a pattern matches.
//!
//! One thread lists directories (no file is looked at, the listing tells the kinds); links are not
//! followed, so the walk ends. What is found and cannot be shown is noted with its reason: an
//! ignored directory once, not each file in it. The walk is ours and not the `ignore` crate's
//! because that one drops what it ignores without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::argument::{Pattern, Targets};
use super::rules::{Present, Rulebook, Rules, STORE_MARK, is_reserved};
use super::{ContextError, Directories, FileKind, Ground, LoadOptions, SkipReason};

/// More paths than this are refused: the list itself would not fit.
const PATHS_MAX: usize = 1_000_000;

/// How a file came to be loaded; a name is a stronger wish than a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// It lies in a directory that was named.
    Found,
    /// A pattern matches it.
    Matched,
    /// It was named.
    ByName,
}

/// What is to be read, and what will not be.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: BTreeMap<String, Asked>,
    pub(super) skipped: BTreeMap<String, SkipReason>,
    /// Directories that are in `files` as a whole.
    walked: BTreeSet<PathBuf>,
}

impl Found {
    fn file(&mut self, path: &Path, asked: Asked) {
        let entry = self.files.entry(written(path)).or_insert(asked);
        *entry = asked.max(*entry);
    }

    fn skip(&mut self, path: &Path, kind: FileKind, reason: SkipReason) {
        let mut path = written(path);
        if kind == FileKind::Directory {
            path.push('/');
        }
        self.skipped.entry(path).or_insert(reason);
    }

    fn check_size(&self) -> Result<(), ContextError> {
        if self.files.len() + self.skipped.len() > PATHS_MAX {
            return Err(ContextError::TooMany(PATHS_MAX));
        }
        Ok(())
    }

    fn has_below(&self, directory: &Path) -> bool {
        let prefix = format!("{}/", written(directory));
        let starts = |path: &String| path.starts_with(&prefix);
        let file = self.files.range(prefix.clone()..).next();
        let skipped = self.skipped.range(prefix.clone()..).next();
        file.is_some_and(|(path, _)| starts(path)) || skipped.is_some_and(|(path, _)| starts(path))
    }
}

/// A path as it is stored and shown.
pub(super) fn written(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Finds all files that `targets` mean.
pub(super) fn find(
    ground: &Ground<'_>,
    book: &mut Rulebook<'_>,
    targets: Targets,
    options: &LoadOptions,
) -> Result<Found, ContextError> {
    let mut found = Found::default();
    for skipped in targets.skipped {
        found.skipped.insert(skipped.path, skipped.reason);
    }
    for file in &targets.files {
        found.file(file, Asked::ByName);
    }
    let mut walk = Walk {
        ground,
        book,
        found,
        directories: options.directories,
        pattern: None,
        tally: Tally::default(),
    };
    for directory in targets.directories {
        walk.below(directory, Extent::Whole)?;
    }
    for pattern in &targets.patterns {
        walk.pattern = Some(pattern);
        walk.below(pattern.base.clone(), Extent::Matching)?;
        walk.end_pattern(pattern)?;
    }
    Ok(walk.found)
}

/// How much of a directory is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    /// What the pattern names.
    Matching,
}

/// What one pattern matched.
#[derive(Default)]
struct Tally {
    matches: usize,
    ignored: Vec<String>,
    directories: Vec<PathBuf>,
}

/// A directory that is yet to be listed, with the rules around it.
struct Pending {
    directory: PathBuf,
    around: Arc<Rules>,
    extent: Extent,
}

struct Walk<'a, 'b, 'c> {
    ground: &'a Ground<'a>,
    book: &'a mut Rulebook<'b>,
    found: Found,
    directories: Directories,
    pattern: Option<&'c Pattern>,
    tally: Tally,
}

impl Walk<'_, '_, '_> {
    fn below(&mut self, base: PathBuf, extent: Extent) -> Result<(), ContextError> {
        let Ok(around) = self.book.around(&base) else {
            // An ignored base was refused when the arguments were looked at.
            return Ok(());
        };
        let mut stack = vec![Pending {
            directory: base,
            around,
            extent,
        }];
        while let Some(pending) = stack.pop() {
            if self.ground.cancel.is_set() {
                return Err(ContextError::Cancelled);
            }
            self.list(&pending, &mut stack);
            self.found.check_size()?;
        }
        Ok(())
    }

    fn list(&mut self, pending: &Pending, stack: &mut Vec<Pending>) {
        let directory = &pending.directory;
        let is_whole = pending.extent == Extent::Whole;
        if is_whole && !self.found.walked.insert(directory.clone()) {
            return;
        }
        let entries = match entries(&self.ground.root.join(directory)) {
            Ok(entries) => entries,
            Err(error) => {
                let reason = SkipReason::Unreadable(error.to_string());
                self.found.skip(directory, FileKind::Directory, reason);
                return;
            }
        };
        let mut present = Present::default();
        let names = || entries.iter().filter_map(|(name, _)| name.to_str());
        names().for_each(|name| present.see(name));
        if !directory.as_os_str().is_empty() && names().any(|name| name == STORE_MARK) {
            return;
        }
        let rules = self.book.enter(&pending.around, directory, present);
        for (name, kind) in &entries {
            if name.to_str().is_some_and(is_reserved) {
                continue;
            }
            let path = directory.join(name);
            if let Some(extent) = self.take(&path, *kind, pending.extent, &rules) {
                stack.push(Pending {
                    directory: path,
                    around: Arc::clone(&rules),
                    extent,
                });
            }
        }
    }

    /// Notes one entry; says how much of it is meant if it is a directory to be listed.
    fn take(
        &mut self,
        path: &Path,
        kind: FileKind,
        extent: Extent,
        rules: &Rules,
    ) -> Option<Extent> {
        let is_meant = extent == Extent::Whole
            || self
                .pattern
                .is_some_and(|pattern| pattern.names(path, kind));
        if let Some(rule) = self.book.ignoring(rules, path, kind) {
            if is_meant {
                self.tally
                    .ignored
                    .push(format!("{} ({rule})", written(path)));
                self.found.skip(path, kind, SkipReason::Ignored { rule });
            }
            return None;
        }
        if path.to_str().is_none() {
            self.found.skip(path, kind, SkipReason::NameNotUtf8);
            return None;
        }
        if kind == FileKind::Directory {
            return self.take_directory(path, extent, is_meant);
        }
        if is_meant {
            self.tally.matches += 1;
            if kind == FileKind::File {
                let asked = match extent {
                    Extent::Whole => Asked::Found,
                    Extent::Matching => Asked::Matched,
                };
                self.found.file(path, asked);
            } else {
                self.found.skip(path, kind, SkipReason::NotAFile(kind));
            }
        }
        None
    }

    fn take_directory(&mut self, path: &Path, extent: Extent, is_meant: bool) -> Option<Extent> {
        if is_meant && (extent == Extent::Whole || self.directories == Directories::Load) {
            self.tally.matches += 1;
            return Some(Extent::Whole);
        }
        if is_meant {
            self.tally.directories.push(path.to_owned());
        }
        let pattern = self.pattern?;
        let below = path.strip_prefix(&pattern.base).unwrap_or(path);
        let is_deep = |depth: usize| below.components().count() >= depth;
        (!pattern.depth.is_some_and(is_deep)).then_some(Extent::Matching)
    }

    /// Settles what a pattern matched that was no file.
    fn end_pattern(&mut self, pattern: &Pattern) -> Result<(), ContextError> {
        let tally = std::mem::take(&mut self.tally);
        if tally.matches + tally.directories.len() == 0 {
            return Err(if tally.ignored.is_empty() {
                ContextError::NoMatch(pattern.text.clone())
            } else {
                ContextError::Ignored(tally.ignored)
            });
        }
        for directory in tally.directories {
            // One whose files matched themselves ("src/**") needs no word.
            if !self.found.has_below(&directory) {
                let reason = SkipReason::NotAFile(FileKind::Directory);
                self.found.skip(&directory, FileKind::Directory, reason);
            }
        }
        Ok(())
    }
}

fn entries(directory: &Path) -> std::io::Result<Vec<(OsString, FileKind)>> {
    std::fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), FileKind::of(entry.file_type()?)))
        })
        .collect()
}
