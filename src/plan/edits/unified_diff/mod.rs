//! Unified diffs, of one file or several, as git or `diff -u` writes them and as models do: line
//! numbers and counts may be wrong or missing, so that hunks are gathered by their rows' signs.
//!
//! The counts only decide what the signs leave open: whether text behind a diff that stands bare in
//! a reply is text, or a row that lost its sign.

use super::diff_names::{Name, git_pair, unprefixed};
use super::hunk_header::{self, HunkHeader};
use super::patch::{Flow, Found, Indent, PartFlaw, ROWS_PER_REPORT, Rows, too_large};
use super::{FILE_BYTES_MAX, Reason};
use file_diff::FileDiff;

mod file_diff;

/// What a diff stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Around {
    /// A code fence, which ends it.
    Fence,
    /// The reply's text.
    Nothing,
}

/// A diff whose end has not come yet.
#[derive(Debug)]
pub(crate) struct Diff {
    indent: Indent,
    around: Around,
    /// The file of hunks that no header stands above.
    label: Option<String>,
    file: Option<FileDiff>,
    hunk: Option<OpenHunk>,
    /// Rows that may be the header of the next file, with their numbers.
    held: Vec<(String, usize)>,
    is_skipping: bool,
    /// The file of the last part.
    pub(crate) last_path: Option<String>,
}

#[derive(Debug)]
struct OpenHunk {
    rows: Rows,
    counts: Option<(usize, usize)>,
}

impl OpenHunk {
    /// How its rows compare with its header's numbers.
    fn size(&self) -> Size {
        let (old, new) = (self.rows.old_count, self.rows.new_count);
        match self.counts {
            None => Size::Unknown,
            Some(counts) if counts == (old, new) => Size::Whole,
            Some((stated_old, stated_new)) if old < stated_old || new < stated_new => Size::Short,
            Some(_) => Size::Long,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Unknown,
    Short,
    Whole,
    Long,
}

/// Tells whether a line starts a diff by itself.
pub(crate) fn is_git_header(line: &str) -> bool {
    line.strip_prefix("diff --git ").is_some_and(|names| {
        // Two names with blanks are told apart by the lines below.
        git_pair(names).is_some() || (names.starts_with("a/") && names.contains(" b/"))
    })
}

/// Tells whether a line may be the first of the two that name a file.
pub(crate) fn is_old_name(line: &str) -> bool {
    line.starts_with("--- ") && !line[4..].trim().is_empty()
}

/// Tells whether a line may be the second of them.
pub(crate) fn is_new_name(line: &str) -> bool {
    line.starts_with("+++ ") && !line[4..].trim().is_empty()
}

/// Tells whether a line is the first one of a hunk.
pub(crate) fn is_hunk_header(line: &str) -> bool {
    hunk_header::read(line).is_some()
}

impl Diff {
    /// Opens at the first line of a header or a hunk, which is still to be given to it.
    pub(crate) fn open(line: &str, around: Around, label: Option<String>) -> Self {
        Self {
            indent: Indent::of(line),
            around,
            label,
            file: None,
            hunk: None,
            held: Vec::new(),
            is_skipping: false,
            last_path: None,
        }
    }

    /// Takes a line, the `number`-th of the reply.
    pub(crate) fn step(&mut self, line: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        let Some(bare) = self.indent.strip(line) else {
            self.release(found);
            return self.foreign(number, found);
        };
        if self.hunk.is_some() || self.is_skipping {
            if self.may_be_name(bare) {
                self.held.push((bare.to_owned(), number));
                return Flow::Row;
            }
            if self.held.len() == 2 && is_hunk_header(bare) && !self.are_rows() {
                return self.next_file(bare, number, found);
            }
            self.release(found);
        }
        self.line(bare, number, found)
    }

    /// The diff is over, and nothing was cut off.
    pub(crate) fn finish(mut self, found: &mut Vec<Found>) {
        self.release(found);
        self.close_file(found);
    }

    /// The text was cut off: what is open is no edit.
    pub(crate) fn cut_off(self, found: &mut Vec<Found>) {
        let Some(file) = self.file.filter(|_| !self.is_skipping) else {
            return;
        };
        found.push(Found::Flaw(PartFlaw {
            path: file.path(),
            line: file.line,
            reason: Reason::Incomplete,
            message: format!("the diff at line {} is cut off", file.line),
        }));
    }

    /// Tells whether more rows must come, by the numbers of the hunk; `partial` is the row whose
    /// end has not come.
    pub(crate) fn is_short(&self, partial: &str) -> bool {
        let Some(hunk) = &self.hunk else {
            return true;
        };
        let (old, new) = match partial.chars().next() {
            None => (0, 0),
            Some('-') => (1, 0),
            Some('+') => (0, 1),
            Some(_) => (1, 1),
        };
        let (old, new) = (hunk.rows.old_count + old, hunk.rows.new_count + new);
        hunk.counts
            .is_some_and(|counts| old < counts.0 || new < counts.1)
    }

    fn may_be_name(&self, bare: &str) -> bool {
        match self.held.len() {
            0 => is_old_name(bare),
            1 => is_new_name(bare),
            _ => false,
        }
    }

    /// Tells whether the held lines are a removed and an added row: the hunk's numbers say so, or
    /// it has no such row yet, or they would name two files.
    fn are_rows(&self) -> bool {
        let Some(hunk) = &self.hunk else {
            return false;
        };
        let (old, new) = (hunk.rows.old_count, hunk.rows.new_count);
        hunk.counts == Some((old + 1, new + 1))
            || hunk.rows.removed + hunk.rows.added == 0
            || !self.are_names()
    }

    fn are_names(&self) -> bool {
        let name = |at: usize| self.held.get(at).and_then(|(row, _)| Name::read(&row[4..]));
        match (name(0), name(1)) {
            (Some(Name::File(old)), Some(Name::File(new))) => {
                let (old, new) = unprefixed(&old, &new);
                old == new
            }
            (Some(_), Some(_)) => true,
            (None, _) | (_, None) => false,
        }
    }

    /// The held lines are rows.
    fn release(&mut self, found: &mut Vec<Found>) {
        for (row, number) in std::mem::take(&mut self.held) {
            self.line(&row, number, found);
        }
    }

    /// The held lines are the header of another file, whose first hunk begins here.
    fn next_file(&mut self, bare: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        let held = std::mem::take(&mut self.held);
        self.close_file(found);
        self.is_skipping = false;
        for (name, number) in held {
            self.line(&name, number, found);
        }
        self.line(bare, number, found)
    }

    fn line(&mut self, bare: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        if is_git_header(bare) {
            self.close_file(found);
            self.is_skipping = false;
            self.file = Some(FileDiff::open(number, Some(bare), None));
            return Flow::Row;
        }
        // What `diff -r` and others write between two files.
        if ["diff ", "Index: ", "Only in "]
            .iter()
            .any(|head| bare.starts_with(head))
        {
            self.close_file(found);
            self.is_skipping = false;
            return Flow::Row;
        }
        if self.is_skipping {
            return Flow::Skipped;
        }
        if bare.starts_with("@@@") {
            let message = "a diff of several parents at once cannot be applied";
            self.spoil(number, message, found);
            return Flow::Skipped;
        }
        if let Some(header) = hunk_header::read(bare) {
            self.open_hunk(&header, number, found);
            return Flow::Row;
        }
        match self.hunk {
            Some(_) => self.row(bare, number, found),
            None => self.header(bare, number, found),
        }
    }

    fn header(&mut self, bare: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        if self.file.is_none() && is_rule(bare) {
            return Flow::Row;
        }
        let label = self.label.clone();
        let file = self
            .file
            .get_or_insert_with(|| FileDiff::open(number, None, label));
        if file.header(bare) || (bare.is_empty() && self.around == Around::Fence) {
            return Flow::Row;
        }
        self.foreign(number, found)
    }

    fn open_hunk(&mut self, header: &HunkHeader<'_>, number: usize, found: &mut Vec<Found>) {
        self.close_hunk(found);
        if self.is_skipping {
            return;
        }
        let label = self.label.clone();
        let file = self
            .file
            .get_or_insert_with(|| FileDiff::open(number, None, label));
        if !file.is_started {
            file.is_started = true;
            if let Some(path) = file.path() {
                self.last_path = Some(path.clone());
                found.push(Found::Started(path));
            }
        }
        let mut rows = Rows::at(number);
        rows.hunk.line = header.line;
        if !header.section.is_empty() {
            rows.hunk.anchors.push(header.section.to_owned());
        }
        self.hunk = Some(OpenHunk {
            rows,
            counts: header.counts,
        });
    }

    fn row(&mut self, bare: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        let (Some(hunk), Some(file)) = (&mut self.hunk, &mut self.file) else {
            return Flow::Row;
        };
        let size = hunk.size();
        let is_bare = self.around == Around::Nothing;
        // A mail's signature follows a patch that git made for it.
        let is_over = size == Size::Whole
            && (bare == "-- " || (is_bare && hunk.rows.ends_blank() && is_list_item(bare)));
        if is_over {
            return self.over(found);
        }
        if bare.starts_with("\\ ") && hunk.rows.lacks_end() {
            return Flow::Row;
        }
        if !hunk.rows.row(bare) {
            return self.foreign(number, found);
        }
        file.rows += 1;
        if let Some(path) = &self.last_path
            && file.rows.is_multiple_of(ROWS_PER_REPORT)
        {
            found.push(Found::Rows(path.clone(), file.rows));
        }
        if file.bytes + hunk.rows.bytes() > FILE_BYTES_MAX {
            let (line, message) = (file.line, too_large(file.line));
            self.spoil(line, &message, found);
        }
        Flow::Row
    }

    /// The diff was over before this line.
    fn over(&mut self, found: &mut Vec<Found>) -> Flow {
        self.close_file(found);
        match self.around {
            Around::Nothing => Flow::Foreign,
            Around::Fence => {
                self.is_skipping = true;
                Flow::Skipped
            }
        }
    }

    /// The line is none of the diff's. A bare diff is over, unless rows are missing; in a fence
    /// there should be nothing else.
    fn foreign(&mut self, number: usize, found: &mut Vec<Found>) -> Flow {
        if self.is_skipping {
            return match self.around {
                Around::Nothing => Flow::Foreign,
                Around::Fence => Flow::Skipped,
            };
        }
        let is_short = self
            .hunk
            .as_ref()
            .is_some_and(|hunk| hunk.size() == Size::Short);
        if self.around == Around::Nothing && !is_short {
            self.close_file(found);
            return Flow::Foreign;
        }
        let message = format!("line {number} does not belong to it");
        self.spoil(number, &message, found);
        match self.around {
            Around::Nothing => Flow::Foreign,
            Around::Fence => Flow::Skipped,
        }
    }

    fn close_hunk(&mut self, found: &mut Vec<Found>) {
        let (Some(hunk), Some(file)) = (self.hunk.take(), &mut self.file) else {
            return;
        };
        file.bytes += hunk.rows.bytes();
        if let Err(message) = file.take(hunk.rows) {
            let line = file.line;
            self.spoil(line, &message, found);
        }
    }

    fn close_file(&mut self, found: &mut Vec<Found>) {
        self.close_hunk(found);
        let Some(file) = self.file.take() else {
            return;
        };
        let (line, path, is_started) = (file.line, file.path(), file.is_started);
        match file.edits() {
            Ok(edits) => {
                if let (Some(path), false) = (&path, is_started) {
                    found.push(Found::Started(path.clone()));
                }
                self.last_path = path;
                found.extend(edits.into_iter().map(Found::Edit));
            }
            Err((reason, message)) => found.push(flaw(path, line, reason, &message)),
        }
    }

    /// The part that is open cannot be read.
    fn spoil(&mut self, number: usize, message: &str, found: &mut Vec<Found>) {
        self.is_skipping = true;
        self.hunk = None;
        let (path, line) = match self.file.take() {
            Some(file) => (file.path(), file.line),
            None => (self.label.clone(), number),
        };
        found.push(flaw(path, line, Reason::Malformed, message));
    }
}

fn flaw(path: Option<String>, line: usize, reason: Reason, what: &str) -> Found {
    Found::Flaw(PartFlaw {
        path,
        line,
        reason,
        message: format!("the diff at line {line} cannot be read: {what}"),
    })
}

/// The line below `Index:`.
fn is_rule(line: &str) -> bool {
    line.len() > 9 && line.bytes().all(|byte| byte == b'=')
}

/// An item of a list in the text behind a diff, which could also be a row.
fn is_list_item(line: &str) -> bool {
    let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("+ ")) else {
        return false;
    };
    text.starts_with(|c: char| !c.is_whitespace())
}
