//! What the user has shown a plan: files, notes, piped input, and whether they are still true.
//!
//! The one hard rule: what a plan is shown is one version of each file, all of it, with the size,
//! time and hash of that very version; what cannot be shown is listed with its reason and never
//! dropped in silence. Naming a path that does not exist, or that the rules ignore, loads nothing
//! at all: a prompt built on half of what was asked for is worse than none.
//!
//! This room reads the project and returns values. It writes nothing, knows no branch and counts
//! no limits of one; a file is only opened beneath the project's root, never through a link, and
//! never a file of git's or of the store's.

mod argument;
mod fresh;
mod read;
mod rules;
mod tokens;
mod walk;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub use crate::platform::snapshot::FileKind;
pub use crate::store::contexts::Kind;
pub use fresh::{Freshness, Recorded, freshness};
pub use read::{note, piped};
pub use tokens::estimate_tokens;

use crate::platform::cancel::Cancel;
use crate::platform::snapshot::Tree;

/// No file above this size is loaded, whatever the options say.
pub const FILE_BYTES_MAX: u64 = 25 << 20;
/// Piped input above this size is refused; the limit for whoever reads it.
pub const PIPED_BYTES_MAX: u64 = 10 << 20;

/// Where files are looked for, and what ends the search.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The project's root, absolute.
    pub root: &'a Path,
    /// The directory that arguments are relative to, absolute.
    pub cwd: &'a Path,
    /// Ends a long walk, and a wait for a file that is being written.
    pub cancel: &'a Cancel,
}

/// What a directory among the arguments means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directories {
    /// It is a mistake ([`ContextError::IsDirectory`]).
    Refuse,
    /// All files in it are meant (`-r`).
    Load,
}

/// What becomes of files that the ignore rules name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ignored {
    /// Found ones are listed as skipped; named ones are a mistake ([`ContextError::Ignored`]).
    Skip,
    /// They are loaded like all others (`-f`).
    Include,
}

/// How to load.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// What a directory means.
    pub directories: Directories,
    /// Whether ignore rules hold.
    pub ignored: Ignored,
    /// Longer files are skipped; at most [`FILE_BYTES_MAX`] counts.
    pub max_file_bytes: u64,
    /// More than this in all is refused ([`ContextError::TooMuch`]): everything is in memory.
    pub max_total_bytes: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            directories: Directories::Refuse,
            ignored: Ignored::Skip,
            max_file_bytes: 1 << 20,
            max_total_bytes: 256 << 20,
        }
    }
}

/// One thing to show: UTF-8 text with the facts that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What it was made from.
    pub kind: Kind,
    /// What people call it: the path of a file, else a short name.
    pub name: String,
    /// A file's path relative to the root, with '/'. A link's target, not the link.
    pub path: Option<String>,
    /// The content, byte for byte; valid UTF-8.
    pub body: Vec<u8>,
    /// Bytes of the body; a file's size when it was read.
    pub size: u64,
    /// A file's modification time in nanoseconds since 1970; 0 for what is no file.
    pub mtime_ns: i64,
    /// SHA-256 of the body in hexadecimal.
    pub hash: String,
    /// Estimated tokens ([`estimate_tokens`]).
    pub tokens: u64,
}

/// Something that was asked for, or found, and is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the root, with '/' (and at the end of a directory); not UTF-8: as near as can be.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
}

/// Why something is not shown. [`SkipReason::word`] is for programs, `Display` for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// A NUL byte in its first 8,000, git's rule.
    #[error("binary")]
    Binary,
    /// Text in UTF-16; only UTF-8 can be edited.
    #[error("text in UTF-16, not UTF-8")]
    Utf16,
    /// Neither binary by its beginning nor UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Its name is not UTF-8: it could not be named in a reply.
    #[error("its name is not UTF-8")]
    NameNotUtf8,
    /// Longer than the limit.
    #[error("{bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A line that nobody typed: minified or generated. Loaded when named.
    #[error("a line of {characters} characters; generated? (loaded when named)")]
    LongLines {
        /// The length of the first such line.
        characters: u64,
    },
    /// An ignore rule names it.
    #[error("ignored by {rule}")]
    Ignored {
        /// The rule, and the file it stands in.
        rule: String,
    },
    /// The system refused.
    #[error("{0}")]
    Unreadable(String),
    /// A link in the project that leads out of it.
    #[error("leads out of the project")]
    OutsideProject,
    /// A link that was found (a named one is followed), a pipe, a socket, a device; or a directory
    /// that a pattern matched without `-r`.
    #[error("a {}", .0.word())]
    NotAFile(FileKind),
    /// It changed each time while it was being read.
    #[error("it keeps changing")]
    Changing,
}

impl SkipReason {
    /// A stable word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Utf16 => "utf16",
            Self::NotUtf8 => "not_utf8",
            Self::NameNotUtf8 => "name_not_utf8",
            Self::TooLarge { .. } => "too_large",
            Self::LongLines { .. } => "long_lines",
            Self::Ignored { .. } => "ignored",
            Self::Unreadable(_) => "unreadable",
            Self::OutsideProject => "outside_project",
            Self::NotAFile(_) => "not_a_file",
            Self::Changing => "changing",
        }
    }
}

/// What [`gather`] found. Both lists are sorted by path and hold each path once.
#[derive(Debug, Default)]
pub struct Gathered {
    /// What can be shown.
    pub loaded: Vec<Loaded>,
    /// What cannot, and why.
    pub skipped: Vec<Skipped>,
    /// Ignore rules that could not be read or understood, for people.
    pub warnings: Vec<String>,
}

/// Why nothing was loaded at all. All but the last three are mistakes in the arguments.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Named paths that are not there.
    #[error("no such file: {}", listed(.0))]
    Missing(Vec<String>),
    /// Directories, and [`Directories::Refuse`].
    #[error("{}: a directory; -r loads the files in it", listed(.0))]
    IsDirectory(Vec<String>),
    /// Named paths that the rules ignore, each as "path (rule)".
    #[error("ignored: {}; -f loads them all the same", listed(.0))]
    Ignored(Vec<String>),
    /// A path outside the project.
    #[error("{0} is outside the project")]
    OutsideProject(String),
    /// A file of git's or plandex's own.
    #[error("{0} belongs to git or plandex and is never loaded")]
    Reserved(String),
    /// A pattern without a match.
    #[error("no file matches {0}")]
    NoMatch(String),
    /// A pattern that cannot be understood.
    #[error("not a pattern: {pattern}: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A note or an input without text.
    #[error("{0} is empty")]
    Empty(String),
    /// Piped input that is no text.
    #[error("{name}: {reason}")]
    NotText {
        /// What it was called.
        name: String,
        /// What it is.
        reason: SkipReason,
    },
    /// More files than can be listed.
    #[error("more than {0} files")]
    TooMany(usize),
    /// More than fits in memory.
    #[error("more than {0} bytes in all")]
    TooMuch(u64),
    /// The caller's flag was set.
    #[error("cancelled")]
    Cancelled,
}

/// The first few of `names` with commas.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let first = names.iter().take(SHOWN).cloned();
    let text = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// Reads what `arguments` name: files, directories (see [`Directories`]), and patterns that the
/// shell did not expand (`'src/**/*.rs'`; an existing file of that very name comes first).
///
/// The result is the same for the same tree. Errors that a caller may branch on are
/// [`ContextError`]s; then nothing is loaded.
pub fn gather(
    source: &Source<'_>,
    arguments: &[String],
    options: &LoadOptions,
) -> Result<Gathered> {
    let ground = Ground::of(source)?;
    let mut book = rules::Rulebook::open(&ground, options.ignored);
    let targets = argument::resolve(&ground, &mut book, arguments, options)?;
    let found = walk::find(&ground, &mut book, targets, options)?;
    let warnings = book.warnings.into_iter().collect();
    let (loaded, skipped) = read::read_all(&ground, found, options)?;
    Ok(Gathered {
        loaded,
        skipped,
        warnings,
    })
}

/// The project as the modules of this room see it.
struct Ground<'a> {
    /// Without links, so that what lies inside can be told by its path.
    root: PathBuf,
    cwd: &'a Path,
    tree: Tree,
    cancel: &'a Cancel,
}

impl<'a> Ground<'a> {
    fn of(source: &Source<'a>) -> Result<Self> {
        let doing = || format!("opening the project {}", source.root.display());
        let root = std::fs::canonicalize(source.root).with_context(doing)?;
        let tree = Tree::open(&root).with_context(doing)?;
        Ok(Self {
            root,
            cwd: source.cwd,
            tree,
            cancel: source.cancel,
        })
    }
}
