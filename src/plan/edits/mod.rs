//! Edits: what a model wrote, as file changes, and the files they make. Pure: no disk, no model.
//!
//! The one hard rule: a wrong file is worse than a failure. Text is placed only where it fits in
//! exactly one place, text that stands for something left out is never written, and one bad edit
//! fails its whole file (the other files of a reply still build). Nothing is guessed; what does not
//! fit is reported with the closest place.
//!
//! A format is one file that reads lines and yields [`Edit`]s (`whole_file`, `search_replace`,
//! `apply_patch`, `unified_diff`, `plandex_block`).
//! Everything after that (matching, line ends, reports) is shared by all formats.

use serde::{Deserialize, Serialize};

pub use build::build_file;
pub use path::{PathMatch, PathRefusal, check_path, is_auto_run, resolve_path};
pub use report::{describe, remedy};

pub(super) mod apply_patch;
mod build;
mod choice;
mod closest;
mod count;
mod diff_names;
mod elision;
pub(super) mod fence;
mod file;
mod hunk;
mod hunk_header;
mod index;
pub(super) mod label;
mod lines;
mod matcher;
mod numbers;
pub(super) mod patch;
mod path;
pub(super) mod plandex_block;
mod report;
pub(super) mod search_replace;
mod segments;
pub(super) mod steps;
mod text;
pub(super) mod unified_diff;
pub(super) mod whole_file;

#[cfg(test)]
mod tests;

/// The largest file that is built, in bytes, before and after the edits.
pub const FILE_BYTES_MAX: usize = 50_000_000;

/// The most lines a file that is built may have; each costs memory, however short it is.
pub const FILE_LINES_MAX: usize = 5_000_000;

/// One change of one file, as the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The labelled path without a leading `./`; neither resolved nor checked yet.
    pub path: String,
    /// The construct it was written in.
    pub format: Format,
    /// Where the construct starts in the reply, 1-based.
    pub line: usize,
    /// What to do.
    pub body: EditBody,
    /// Other readings of the same block, shortest search first. Only a block whose text holds
    /// divider lines of its own has any; [`build_file`] takes the longest search that is there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_readings: Vec<EditBody>,
}

/// The text of an edit. Every line ends in LF, so no line and one empty line differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditBody {
    /// The file's whole new text.
    Whole {
        /// The new text.
        content: String,
    },
    /// The whole text of a file that must not be there yet.
    Create {
        /// The text; if its last line has no LF, the file's has none.
        content: String,
    },
    /// Lines to find in the file, and the lines to put there.
    Replace {
        /// The lines to find; none at all creates the file or fills an empty one.
        search: String,
        /// The lines to put there.
        replace: String,
    },
    /// One hunk of a patch or a diff.
    Hunk(Hunk),
    /// The file's whole new text, in which some lines stand for parts that stay as they are.
    Segments {
        /// The text with those lines.
        content: String,
    },
    /// The file goes.
    Delete {
        /// What the file must consist of, if the construct says so.
        old: Option<String>,
    },
    /// The file gets another name, with what the other edits of it make of its text.
    Move {
        /// The new path, as labelled; neither resolved nor checked yet.
        to: String,
    },
    /// The file is to be a program, or is not to be one any more.
    Executable {
        /// Which of them.
        executable: bool,
    },
}

impl EditBody {
    /// The lines to find and those to put there, of an edit that has both.
    fn sides(&self) -> Option<(&str, &str)> {
        match self {
            Self::Replace { search, replace } => Some((search, replace)),
            Self::Hunk(hunk) => Some((&hunk.old, &hunk.new)),
            Self::Whole { .. }
            | Self::Create { .. }
            | Self::Segments { .. }
            | Self::Delete { .. }
            | Self::Move { .. }
            | Self::Executable { .. } => None,
        }
    }
}

/// One hunk of a patch or a diff: lines to find, lines to put there, and hints that only choose
/// among places that are equally good.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hunk {
    /// The context and the removed lines, in their order.
    pub old: String,
    /// The context and the added lines, in their order.
    pub new: String,
    /// Lines that stand above the hunk in the file, outermost first: what followed `@@`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anchors: Vec<String>,
    /// The line number the diff gives for the first old line, 1-based.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Whether the old lines are the last of the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_at_end: bool,
    /// Whether the file's last line is to have a line end, where the hunk says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_newline: Option<bool>,
}

/// The constructs a reply may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A code fence labelled with a path.
    WholeFile,
    /// A SEARCH/REPLACE block.
    SearchReplace,
    /// The `*** Begin Patch` envelope.
    ApplyPatch,
    /// A unified diff.
    UnifiedDiff,
    /// A file with comments in the place of what stays as it is.
    PlandexBlock,
}

/// How loosely an edit's lines were compared with the file's, strictest first. Each tier keeps the
/// tolerance of those before it, and none is tried once a stricter one had a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// T0: the same lines, whatever the line ends.
    Exact,
    /// T1: trailing spaces and tabs ignored.
    TrailingSpace,
    /// T2: all lines indented more, or all less, by the same text.
    Indentation,
    /// T3: blank lines around the search ignored.
    BlankLines,
    /// T4: typographic quotes, dashes and spaces taken for plain ones.
    Typography,
    /// T5: `...` lines in search and replacement stand for the same kept text.
    Elision,
    /// T6: outer context lines of a diff or patch left out.
    LessContext,
}

/// Why an edit could not be built, or a block could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The searched lines are nowhere in the file.
    NotFound,
    /// The searched lines are in several places, or the path means several files.
    Ambiguous,
    /// Lines to find, but no file.
    FileMissing,
    /// The file must not exist, but does.
    FileExists,
    /// No lines to find, but the file has text.
    EmptySearch,
    /// The construct breaks its own rules.
    Malformed,
    /// The construct is not closed.
    Incomplete,
    /// The text holds a line that stands for text left out.
    Elided,
    /// Two edits change the same lines.
    Overlap,
    /// Not text: a NUL, or bytes that are not UTF-8.
    Binary,
    /// [`check_path`] refuses the path.
    UnsafePath,
    /// Over [`FILE_BYTES_MAX`] or [`FILE_LINES_MAX`].
    TooLarge,
    /// The new path differs only by case from another one, with which it would be one file on some
    /// systems.
    CaseTwin,
    /// Building the file failed by a mistake of plandex.
    Internal,
}

/// One edit that could not be built. Its JSON form is an interface: keep the names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditFailure {
    /// The file.
    pub path: String,
    /// Which edit of the file, 1-based.
    pub edit: usize,
    /// Of how many.
    pub of: usize,
    /// The construct it was written in.
    pub format: Format,
    /// What is wrong.
    pub reason: Reason,
    /// The lines that were looked for; with [`Reason::Elided`] the lines that stand for others.
    pub searched_lines: Vec<String>,
    /// The place in the file that is most like them. Shown, never applied.
    pub closest: Option<Closest>,
    /// With [`Reason::Ambiguous`], the first few places, as 1-based line numbers.
    pub candidates: Vec<usize>,
    /// The file changed after the model saw it. Set by the caller, who knows; false here.
    pub stale: bool,
    /// With `stale`, when the model's copy was read: wall time in milliseconds. Set by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<i64>,
    /// The tiers that were tried, strictest first.
    pub tiers_tried: Vec<Tier>,
    /// What else there is to say, as a sentence without a period: where the file went, which other
    /// path is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The place in a file most like the lines that were not found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closest {
    /// First line, 1-based.
    pub start: usize,
    /// Last line, 1-based, inclusive.
    pub end: usize,
    /// How much of it is alike, 0.6 to 1.
    pub score: f64,
    /// From the searched lines (`-`) to the file's (`+`), with the common ones (a space); LF ends.
    pub diff: String,
}

/// A file as its edits make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The file.
    pub path: String,
    /// Its new bytes; `None` if the file goes.
    pub content: Option<Vec<u8>>,
    /// Where the content goes instead, as labelled: the file at `path` goes then.
    pub moved_to: Option<String>,
    /// Whether it is to be a program; `None` leaves that as it is.
    pub executable: Option<bool>,
    /// The loosest tier any edit needed.
    pub tier: Tier,
    /// What a person should be told, in the order of the edits.
    pub warnings: Vec<BuildWarning>,
    /// Lines added and removed against the base.
    pub lines: LineCount,
}

/// Something odd that did not stop a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildWarning {
    /// The searched lines are gone and the replacement is there already, once.
    AlreadyApplied {
        /// Which edit of the file, 1-based.
        edit: usize,
        /// First line of the replacement, 1-based.
        start: usize,
        /// Its last line, inclusive.
        end: usize,
    },
    /// A whole file with fewer than half the lines it replaces.
    Shrinks {
        /// Lines before.
        from_lines: usize,
        /// Lines after.
        to_lines: usize,
    },
}

/// Lines added and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineCount {
    /// Lines only the new text has.
    pub added: usize,
    /// Lines only the old text had.
    pub removed: usize,
}
