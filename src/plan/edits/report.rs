//! What is said about an edit that could not be built, and about odd ones that could.

use std::fmt;

use super::matcher::{Miss, Spot};
use super::text::edit_lines;
use super::{
    BuildWarning, Closest, Edit, EditBody, EditFailure, FILE_BYTES_MAX, FILE_LINES_MAX, Format,
    Reason, Tier, check_path,
};

/// How many places an ambiguous edit is shown to have.
const CANDIDATES_MAX: usize = 5;

/// Describes a failure for a person: one stanza of plain lines, each ended by LF.
pub fn describe(failure: &EditFailure) -> String {
    let EditFailure {
        path,
        edit,
        of,
        format,
        reason,
        ..
    } = failure;
    let mut lines = vec![format!("{path}  edit {edit}/{of} ({format})  {reason}")];
    lines.push(explain(failure));
    lines.extend(failure.note.clone());
    if let Some(closest) = &failure.closest {
        describe_closest(closest, &mut lines);
    }
    if !failure.candidates.is_empty() {
        let places: Vec<String> = failure.candidates.iter().map(usize::to_string).collect();
        lines.push(format!("found at lines {}", places.join(", ")));
    }
    if !failure.tiers_tried.is_empty() {
        let tiers: Vec<String> = failure.tiers_tried.iter().map(Tier::to_string).collect();
        lines.push(format!("compared {}", tiers.join(", ")));
    }
    if failure.stale {
        let at = failure
            .loaded_at
            .and_then(clock)
            .map(|at| format!(" ({at})"));
        let at = at.unwrap_or_default();
        lines.push(format!("file changed since context was loaded{at}"));
    }
    lines.join("\n  ") + "\n"
}

/// What a person can do about a file's failures: a line that begins with `fix:`.
pub fn remedy(failures: &[EditFailure]) -> String {
    let commands = match failures.iter().any(|failure| failure.stale) {
        // What the model saw is not what the file has now.
        true => "plandex update && plandex build",
        false => "plandex tell --reply -",
    };
    format!("fix: {commands}")
}

/// The time of the day here.
fn clock(wall_ms: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(wall_ms).ok()?;
    let here = at.to_zoned(jiff::tz::TimeZone::system());
    Some(here.strftime("%H:%M").to_string())
}

/// The sentence under the headline.
fn explain(failure: &EditFailure) -> String {
    let searched = quote(&failure.searched_lines);
    match failure.reason {
        Reason::NotFound => format!("the file does not have {searched}"),
        Reason::Ambiguous if failure.searched_lines.is_empty() => {
            "several files have this name".to_owned()
        }
        Reason::Ambiguous => format!("several places in the file have {searched}"),
        Reason::FileMissing => "there are lines to find, but no such file".to_owned(),
        Reason::FileExists => "the file exists already".to_owned(),
        Reason::EmptySearch => "there are no lines to find, and the file is not empty".to_owned(),
        Reason::Malformed => "the block breaks the rules of its format".to_owned(),
        Reason::Incomplete => "the block is not closed".to_owned(),
        Reason::Elided => format!("a line stands for text that was left out: {searched}"),
        Reason::Overlap => "two edits change the same lines".to_owned(),
        Reason::Binary => "the file, or its new text, is not UTF-8 text without NUL".to_owned(),
        Reason::UnsafePath => match check_path(&failure.path) {
            Ok(()) => "the path is not safe to write".to_owned(),
            Err(refusal) => refusal.to_string(),
        },
        Reason::TooLarge => {
            format!("the file is over {FILE_BYTES_MAX} bytes or {FILE_LINES_MAX} lines")
        }
        Reason::CaseTwin => "the path differs only by case from another one".to_owned(),
        Reason::Internal => "building it failed by a mistake of plandex".to_owned(),
    }
}

/// The first line with text, and how many follow it.
fn quote(lines: &[String]) -> String {
    let first = lines
        .iter()
        .position(|line| !line.trim().is_empty())
        .unwrap_or(0);
    let text = lines.get(first).map_or("", |line| line.trim());
    match lines.len().saturating_sub(first + 1) {
        0 => format!("`{text}`"),
        1 => format!("`{text}` and the line after it"),
        more => format!("`{text}` and the {more} lines after it"),
    }
}

/// The first line that differs, and where the whole window is.
fn describe_closest(closest: &Closest, lines: &mut Vec<String>) {
    let Closest {
        start,
        end,
        score,
        diff,
    } = closest;
    lines.push(format!(
        "most alike: lines {start}-{end} ({:.0} %)",
        score * 100.0
    ));
    let rows: Vec<&str> = diff.lines().collect();
    let Some(first) = rows.iter().position(|row| !row.starts_with(' ')) else {
        return;
    };
    // All rows before the first difference are lines of the file.
    lines.push(format!("first difference at line {}:", start + first));
    let changed: Vec<&&str> = rows[first..]
        .iter()
        .take_while(|row| !row.starts_with(' '))
        .collect();
    for sign in ['-', '+'] {
        if let Some(row) = changed.iter().find(|row| row.starts_with(sign)) {
            lines.push(format!("  {row}"));
        }
    }
}

impl fmt::Display for Reason {
    /// The words of a failure's headline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "NOT FOUND",
            Self::Ambiguous => "AMBIGUOUS",
            Self::FileMissing => "FILE MISSING",
            Self::FileExists => "FILE EXISTS",
            Self::EmptySearch => "EMPTY SEARCH",
            Self::Malformed => "MALFORMED",
            Self::Incomplete => "INCOMPLETE",
            Self::Elided => "ELIDED",
            Self::Overlap => "OVERLAP",
            Self::Binary => "BINARY",
            Self::UnsafePath => "UNSAFE PATH",
            Self::TooLarge => "TOO LARGE",
            Self::CaseTwin => "CASE TWIN",
            Self::Internal => "INTERNAL ERROR",
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WholeFile => "whole file",
            Self::SearchReplace => "search/replace",
            Self::ApplyPatch => "patch",
            Self::UnifiedDiff => "diff",
            Self::PlandexBlock => "file with references",
        })
    }
}

impl fmt::Display for Tier {
    /// Fits after "matched" and "compared".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exactly",
            Self::TrailingSpace => "ignoring trailing space",
            Self::Indentation => "ignoring indentation",
            Self::BlankLines => "ignoring blank lines around it",
            Self::Typography => "ignoring typographic characters",
            Self::Elision => "in pieces around `...`",
            Self::LessContext => "with less context",
        })
    }
}

impl fmt::Display for BuildWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyApplied { edit, start, end } => {
                write!(
                    f,
                    "edit {edit}: the replacement is already at {start}-{end}"
                )
            }
            Self::Shrinks {
                from_lines,
                to_lines,
            } => {
                write!(f, "shrinks from {from_lines} to {to_lines} lines")
            }
        }
    }
}

/// What is wrong with an edit, before it is known which one of how many it is.
#[derive(Debug)]
pub(super) struct Flaw {
    reason: Reason,
    pub(super) searched_lines: Vec<String>,
    candidates: Vec<usize>,
    note: Option<String>,
    tiers_tried: Vec<Tier>,
}

impl Flaw {
    pub(super) fn of(reason: Reason) -> Self {
        Self {
            reason,
            searched_lines: Vec::new(),
            candidates: Vec::new(),
            note: None,
            tiers_tried: Vec::new(),
        }
    }

    /// Lines and where they are, or could be: line indices.
    pub(super) fn placed(reason: Reason, lines: &[&str], places: &[usize]) -> Self {
        let places = places.iter().take(CANDIDATES_MAX);
        Self {
            searched_lines: owned(lines),
            candidates: places.map(|at| at + 1).collect(),
            ..Self::of(reason)
        }
    }

    pub(super) fn missed(search: &[&str], miss: Miss) -> Self {
        let reason = if miss.places.is_empty() {
            Reason::NotFound
        } else {
            Reason::Ambiguous
        };
        Self {
            tiers_tried: miss.tiers_tried,
            ..Self::placed(reason, search, &miss.places)
        }
    }

    pub(super) fn elided(line: &str) -> Self {
        Self {
            searched_lines: vec![line.to_owned()],
            ..Self::of(Reason::Elided)
        }
    }

    /// The piece is there, but before the one that should precede it.
    pub(super) fn out_of_order(search: &[&str], spot: &Spot) -> Self {
        Self::unshiftable(search, spot, Reason::NotFound)
    }

    /// The lines are there, but what replaces them cannot be put there.
    pub(super) fn unshiftable(search: &[&str], spot: &Spot, reason: Reason) -> Self {
        Self {
            tiers_tried: ALL_TIERS
                .iter()
                .copied()
                .filter(|tier| *tier <= spot.tier)
                .collect(),
            ..Self::placed(reason, search, &[spot.range.start])
        }
    }

    pub(super) fn with_tier(mut self, tier: Tier) -> Self {
        self.tiers_tried.push(tier);
        self
    }

    pub(super) fn has_note(&self) -> bool {
        self.note.is_some()
    }

    pub(super) fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// The same trouble seen as an elision, which a line of a whole file is.
    pub(super) fn into_elided(self, line: &str) -> Self {
        let note = self.note.or_else(|| {
            let lines = quote(&self.searched_lines);
            (self.reason != Reason::Elided).then(|| match self.candidates.is_empty() {
                true => format!("the file does not have {lines}"),
                false => format!("several places in the file have {lines}"),
            })
        });
        Self {
            note,
            ..Self::elided(line)
        }
    }

    pub(super) fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether what the edit speaks of is not there at all, so that another reading may fit.
    pub(super) fn is_absence(&self) -> bool {
        self.candidates.is_empty()
            && matches!(
                self.reason,
                Reason::NotFound | Reason::FileMissing | Reason::EmptySearch
            )
    }

    pub(super) fn report(
        self,
        path: &str,
        edit: &Edit,
        (index, of): (usize, usize),
        closest: Option<Closest>,
    ) -> EditFailure {
        let searched_lines = match &edit.body {
            EditBody::Replace { search, .. } if self.searched_lines.is_empty() => {
                owned(&edit_lines(search))
            }
            EditBody::Hunk(hunk) if self.searched_lines.is_empty() => owned(&edit_lines(&hunk.old)),
            EditBody::Replace { .. }
            | EditBody::Hunk(_)
            | EditBody::Whole { .. }
            | EditBody::Create { .. }
            | EditBody::Segments { .. }
            | EditBody::Delete { .. }
            | EditBody::Move { .. }
            | EditBody::Executable { .. } => self.searched_lines,
        };
        EditFailure {
            path: path.to_owned(),
            edit: index + 1,
            of,
            format: edit.format,
            reason: self.reason,
            searched_lines,
            closest,
            candidates: self.candidates,
            stale: false,
            loaded_at: None,
            note: self.note,
            tiers_tried: self.tiers_tried,
        }
    }
}

const ALL_TIERS: [Tier; 5] = [
    Tier::Exact,
    Tier::TrailingSpace,
    Tier::Indentation,
    Tier::BlankLines,
    Tier::Typography,
];

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
