//! What the user has shown a plan: files, notes, piped input, and whether they are still true.
//!
//! The one hard rule: what a plan is shown is one version of each file, all of it, with the size,
//! time and hash of that very version; what cannot be shown is listed with its reason and never
//! dropped in silence. Naming a path that does not exist, or that the rules ignore, loads nothing
//! at all: a prompt built on half of what was asked for is worse than none.
//!
//! Reading the project and adding to a branch (`entries`) are kept apart: what is read are plain
//! values. A file is only opened beneath the project's root, never through a link, and
//! never a file of git's or of the store's.

mod argument;
mod entries;
mod fresh;
mod image;
mod listing;
mod outline;
mod page;
mod read;
mod refresh;
mod rules;
mod selector;
mod walk;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub use crate::platform::snapshot::FileKind;
pub use crate::store::contexts::{Detail, Kind, Origin};
pub use crate::store::tokens::estimate_tokens;
pub use entries::{Budget, ENTRIES_MAX, add, remove};
pub use fresh::{Freshness, freshness};
pub use image::{Counting, Image};
pub use page::{fetch, is_url};
pub use read::{note, piped};
pub use refresh::{Compared, Outdated, Refreshing, Renewal, compare, refresh_branch};
pub use selector::{SelectorError, chosen, select};

use crate::platform::cancel::Cancel;
use crate::platform::snapshot::Tree;

/// No file above this size is loaded, whatever the options say.
pub const FILE_BYTES_MAX: u64 = 25 << 20;
/// One load takes so many items, unless somebody says otherwise.
pub const ITEMS_MAX_DEFAULT: usize = 1000;
/// Piped input above this size is refused; the limit for whoever reads it.
pub const PIPED_BYTES_MAX: u64 = 10 << 20;

/// Whether this binary can make maps (the cargo feature `maps`).
pub const HAS_MAPS: bool = cfg!(feature = "maps");

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

/// What of the files is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Their content, an item each.
    Bodies,
    /// Their paths, an item for each argument.
    Tree,
    /// Their paths with the names they define, an item for each argument.
    Map,
}

/// How to load.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// What of the files is shown.
    pub shape: Shape,
    /// How much of an image a model is to look at.
    pub detail: Detail,
    /// More items than this are refused ([`ContextError::TooManyItems`]).
    pub max_items: usize,
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
            shape: Shape::Bodies,
            detail: Detail::High,
            max_items: ITEMS_MAX_DEFAULT,
            directories: Directories::Refuse,
            ignored: Ignored::Skip,
            max_file_bytes: 1 << 20,
            max_total_bytes: 256 << 20,
        }
    }
}

/// One thing to show: UTF-8 text, or an image, with the facts that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What it was made from.
    pub kind: Kind,
    /// What people call it: the path of a file, else a short name.
    pub name: String,
    /// A path relative to the root, with '/'. A link's target, not the link.
    pub path: Option<String>,
    /// What else it takes to make it again.
    pub origin: Origin,
    /// The content, byte for byte (of UTF-16, converted); UTF-8 but for an image.
    pub body: Vec<u8>,
    /// A file's size when it was read; else bytes of the body.
    pub size: u64,
    /// A file's modification time in nanoseconds since 1970; of a map the newest of its files'; 0 for
    /// what is no file.
    pub mtime_ns: i64,
    /// SHA-256 of the file, else of the body, in hexadecimal.
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
    /// Text in UTF-16 (of files, it is converted).
    #[error("text in UTF-16, not UTF-8")]
    Utf16,
    /// An image. Loaded when named.
    #[error("an image (loaded when named)")]
    Image,
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
            Self::Image => "image",
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
    /// Ignore rules that could not be read or understood, and what was converted, for people.
    pub warnings: Vec<String>,
}

/// Why nothing was loaded at all. Most are mistakes in the arguments.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Named paths that are not there.
    #[error("no such file: {}", listed(.0))]
    Missing(Vec<String>),
    /// Directories, and [`Directories::Refuse`].
    #[error("{}: a directory; -r loads the files in it, --tree their paths, --map an outline", listed(.0))]
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
    /// More items than one load takes.
    #[error("{items} items are more than one load takes ({limit})")]
    TooManyItems {
        /// So many there are.
        items: usize,
        /// The limit.
        limit: usize,
    },
    /// More than the model takes beside its reply.
    #[error(
        "~{total} tokens of context would be more than {model} takes (~{room}): ~{added} of this \
         load beside ~{kept} of what is loaded already"
    )]
    OverBudget {
        /// Who takes no more.
        model: String,
        /// What it takes.
        room: u64,
        /// All together.
        total: u64,
        /// What this load adds.
        added: u64,
        /// What stays of what is there.
        kept: u64,
    },
    /// Maps were not built into this binary.
    #[error("this plandex was built without outlines (the cargo feature \"maps\")")]
    NoMaps,
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

/// How far the reading of files has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many files were read, or found not to be shown.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Reads what `arguments` name: files, directories (see [`Directories`]), and patterns that the
/// shell did not expand (`'src/**/*.rs'`; an existing file of that very name comes first).
///
/// With [`Shape::Tree`] and [`Shape::Map`] each argument becomes one item, which lists or outlines
/// what is below it. `progress` hears of the reading now and then.
///
/// The result is the same for the same tree. Errors that a caller may branch on are
/// [`ContextError`]s; then nothing is loaded.
pub fn gather(
    source: &Source<'_>,
    arguments: &[String],
    options: &LoadOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Gathered> {
    let ground = Ground::of(source)?;
    let mut book = rules::Rulebook::open(&ground, options.ignored);
    let targets = argument::resolve(&ground, &mut book, arguments, options)?;
    if options.shape != Shape::Bodies {
        return listing::list(&ground, book, targets, options);
    }
    let links = targets.links.clone();
    let found = walk::find(&ground, &mut book, targets, options)?;
    let warnings: Vec<String> = book.warnings.into_iter().collect();
    if found.files.len() > options.max_items {
        return Err(ContextError::TooManyItems {
            items: found.files.len(),
            limit: options.max_items,
        }
        .into());
    }
    let mut gathered = read::read_all(&ground, found, options, progress)?;
    gathered.warnings.splice(0..0, warnings);
    for item in &mut gathered.loaded {
        let link = item.path.as_ref().and_then(|path| links.get(path));
        item.origin.link = link.cloned();
    }
    Ok(gathered)
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
