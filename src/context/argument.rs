//! What the words of a command line mean: files, directories, patterns, or mistakes.
//!
//! All arguments are looked at before anything is read, so that a mistake in the last one loads
//! nothing, and one message can name all paths that share it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::rules::{Rulebook, STORE_MARK, is_reserved};
use super::walk::written;
use super::{ContextError, Directories, FileKind, Ground, LoadOptions, Shape, SkipReason, Skipped};

/// What the arguments mean; paths are relative to the root and free of links.
#[derive(Default)]
pub(super) struct Targets {
    pub(super) files: Vec<PathBuf>,
    pub(super) directories: Vec<PathBuf>,
    pub(super) patterns: Vec<Pattern>,
    /// Named, there, and nothing that could be read.
    pub(super) skipped: Vec<Skipped>,
    /// The links by whose names files are meant, by their targets.
    pub(super) links: BTreeMap<String, String>,
}

/// A pattern that the shell left to us.
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    /// The directory below which it matches, relative to the root.
    pub(super) base: PathBuf,
    matcher: Gitignore,
    /// How many directories deep a match can lie; unlimited if `None`.
    pub(super) depth: Option<usize>,
}

impl Pattern {
    /// Whether the pattern names `path` (relative to the root) itself.
    pub(super) fn names(&self, path: &Path, kind: FileKind) -> bool {
        let below = path.strip_prefix(&self.base).unwrap_or(path);
        // The matcher is made for ignoring; here a match is what is wanted.
        self.matcher
            .matched(below, kind == FileKind::Directory)
            .is_ignore()
    }
}

enum Meaning {
    Path(PathBuf, FileKind),
    Pattern(Pattern),
    Skipped(Skipped),
    Missing,
}

/// Finds out what each argument means, and whether it may be loaded.
pub(super) fn resolve(
    ground: &Ground<'_>,
    book: &mut Rulebook<'_>,
    arguments: &[String],
    options: &LoadOptions,
) -> Result<Targets, ContextError> {
    let mut targets = Targets::default();
    let (mut missing, mut directories, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    for argument in arguments {
        let (path, kind) = match meaning(ground, argument)? {
            Meaning::Path(path, kind) => (path, kind),
            Meaning::Pattern(_) if options.shape != Shape::Bodies => {
                return Err(ContextError::BadPattern {
                    pattern: argument.clone(),
                    reason: "--tree and --map take directories and files".to_owned(),
                });
            }
            Meaning::Pattern(pattern) => {
                match rule_against(book, &pattern.base, FileKind::Directory) {
                    Some(rule) => ignored.push(format!("{argument} ({rule})")),
                    None => targets.patterns.push(pattern),
                }
                continue;
            }
            Meaning::Skipped(skipped) => {
                targets.skipped.push(skipped);
                continue;
            }
            Meaning::Missing => {
                missing.push(shown(argument));
                continue;
            }
        };
        if has_reserved_part(&path) || is_store(ground, &path) {
            return Err(ContextError::Reserved(argument.clone()));
        }
        if let Some(rule) = rule_against(book, &path, kind) {
            ignored.push(format!("{argument} ({rule})"));
        } else if kind != FileKind::Directory {
            if let Some(link) = link_to(ground, argument, &path) {
                targets.links.insert(written(&path), link);
            }
            targets.files.push(path);
        } else if options.directories == Directories::Load || options.shape != Shape::Bodies {
            targets.directories.push(path);
        } else {
            directories.push(argument.clone());
        }
    }
    if !missing.is_empty() {
        return Err(ContextError::Missing(missing));
    }
    if !ignored.is_empty() {
        return Err(ContextError::Ignored(ignored));
    }
    if !directories.is_empty() {
        return Err(ContextError::IsDirectory(directories));
    }
    Ok(targets)
}

/// The path of the link that `argument` is, if it is one that leads to `path`.
fn link_to(ground: &Ground<'_>, argument: &str, path: &Path) -> Option<String> {
    let link = link_inside(ground, &ground.cwd.join(argument))?;
    (link != path).then(|| written(&link))
}

fn shown(argument: &str) -> String {
    if argument.is_empty() {
        "\"\"".to_owned()
    } else {
        argument.to_owned()
    }
}

fn rule_against(book: &mut Rulebook<'_>, path: &Path, kind: FileKind) -> Option<String> {
    match book.around(path) {
        Ok(around) => book.ignoring(&around, path, kind),
        Err(rule) => Some(rule),
    }
}

fn has_reserved_part(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str().to_str().is_some_and(is_reserved))
}

/// Whether `path` is the store's directory under another name.
fn is_store(ground: &Ground<'_>, path: &Path) -> bool {
    let database = ground.root.join(path).join(STORE_MARK);
    !path.as_os_str().is_empty() && database.symlink_metadata().is_ok()
}

fn meaning(ground: &Ground<'_>, argument: &str) -> Result<Meaning, ContextError> {
    let named = ground.cwd.join(argument);
    if argument.is_empty() {
        return Ok(Meaning::Missing);
    }
    let error = match std::fs::canonicalize(&named) {
        Ok(path) => return inside(ground, argument, &named, &path),
        Err(error) => error,
    };
    let is_absent = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
    );
    if is_absent && has_wildcard(argument) {
        return pattern(ground, argument);
    }
    if is_absent {
        return Ok(Meaning::Missing);
    }
    let path = named.strip_prefix(&ground.root).unwrap_or(&named);
    skipped(path, SkipReason::Unreadable(error.to_string()))
}

fn skipped(path: &Path, reason: SkipReason) -> Result<Meaning, ContextError> {
    Ok(Meaning::Skipped(Skipped {
        path: path.to_string_lossy().into_owned(),
        reason,
    }))
}

/// Tells what stands at `path`, the end of all links from `named`.
fn inside(
    ground: &Ground<'_>,
    argument: &str,
    named: &Path,
    path: &Path,
) -> Result<Meaning, ContextError> {
    let Ok(relative) = path.strip_prefix(&ground.root) else {
        return match link_inside(ground, named) {
            Some(link) => skipped(&link, SkipReason::OutsideProject),
            None => Err(ContextError::OutsideProject(argument.to_owned())),
        };
    };
    if relative.to_str().is_none() {
        return skipped(relative, SkipReason::NameNotUtf8);
    }
    match std::fs::symlink_metadata(path).map(|meta| FileKind::of(meta.file_type())) {
        Ok(kind @ (FileKind::File | FileKind::Directory)) => {
            Ok(Meaning::Path(relative.to_owned(), kind))
        }
        Ok(kind) => skipped(relative, SkipReason::NotAFile(kind)),
        Err(error) => skipped(relative, SkipReason::Unreadable(error.to_string())),
    }
}

/// The path of `named` relative to the root, if it is a link that itself lies in the project.
fn link_inside(ground: &Ground<'_>, named: &Path) -> Option<PathBuf> {
    let parent = std::fs::canonicalize(named.parent()?).ok()?;
    let link = parent.join(named.file_name()?);
    Some(link.strip_prefix(&ground.root).ok()?.to_owned())
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Splits a pattern at its first part with a wildcard: what is before is a directory.
fn pattern(ground: &Ground<'_>, argument: &str) -> Result<Meaning, ContextError> {
    let bad = |reason: &str| ContextError::BadPattern {
        pattern: argument.to_owned(),
        reason: reason.to_owned(),
    };
    let no_match = || ContextError::NoMatch(argument.to_owned());
    let parts: Vec<Component<'_>> = Path::new(argument).components().collect();
    let first = parts
        .iter()
        .position(|part| part.as_os_str().to_str().is_some_and(has_wildcard))
        .unwrap_or(0);
    let (before, after) = parts.split_at(first);
    let base = ground.cwd.join(before.iter().collect::<PathBuf>());
    let base = std::fs::canonicalize(base).map_err(|_error| no_match())?;
    let Ok(base) = base.strip_prefix(&ground.root) else {
        return Err(ContextError::OutsideProject(argument.to_owned()));
    };
    if has_reserved_part(base) {
        return Err(ContextError::Reserved(argument.to_owned()));
    }
    if after.contains(&Component::ParentDir) {
        return Err(bad("'..' after a wildcard"));
    }
    let rest: PathBuf = after.iter().collect();
    let rest = rest.to_str().ok_or_else(no_match)?;
    // Braces may hold a '/', and "**" any number of directories.
    let depth = (!rest.contains("**") && !rest.contains('{')).then_some(after.len());
    // The '/' ties the pattern to its base, and keeps '!' and '#' from meaning anything.
    let only_directories = if argument.ends_with('/') { "/" } else { "" };
    let mut builder = GitignoreBuilder::new("");
    builder.allow_unclosed_class(false);
    builder
        .add_line(None, &format!("/{rest}{only_directories}"))
        .map_err(|error| bad(&error.to_string()))?;
    let matcher = builder.build().map_err(|error| bad(&error.to_string()))?;
    Ok(Meaning::Pattern(Pattern {
        text: argument.to_owned(),
        base: base.to_owned(),
        matcher,
        depth,
    }))
}
