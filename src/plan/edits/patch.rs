//! What patches and diffs have in common: rows that are kept, removed or added, gathered to hunks,
//! and what a parser of them tells about each line.

use super::{Edit, EditBody, FILE_BYTES_MAX, Format, Hunk, Reason};

/// A [`Found::Rows`] is given for every so many rows.
pub(crate) const ROWS_PER_REPORT: usize = 20;

/// The most hunks of one file; each costs memory, however short it is.
pub(crate) const HUNKS_MAX: usize = 100_000;

/// What the lines of a patch came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A part for this file has begun.
    Started(String),
    /// So many rows of that part have come: a multiple of [`ROWS_PER_REPORT`].
    Rows(String, usize),
    /// An edit of a part that is over.
    Edit(Edit),
    /// A part that is no edit.
    Flaw(PartFlaw),
}

/// A part of a patch that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartFlaw {
    /// The file, if it is known.
    pub(crate) path: Option<String>,
    /// Where the part starts in the reply, 1-based.
    pub(crate) line: usize,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// What a line was to an open patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It belongs to the patch, which goes on.
    Row,
    /// It belongs to the patch, and ends it.
    Ended,
    /// It belongs to a part that was found to be none; another construct may begin here.
    Skipped,
    /// The patch was over before it.
    Foreign,
}

/// The indentation that a whole patch shares, because the fence or list around it has it.
#[derive(Debug, Default)]
pub(crate) struct Indent(pub(crate) String);

impl Indent {
    /// The blanks a line starts with.
    pub(crate) fn of(line: &str) -> Self {
        let bare = line.trim_start_matches([' ', '\t']);
        Self(line[..line.len() - bare.len()].to_owned())
    }

    /// The line without it, or `None` if it has not got it. A blank line may be shorter.
    pub(crate) fn strip<'a>(&self, line: &'a str) -> Option<&'a str> {
        match line.strip_prefix(self.0.as_str()) {
            Some(bare) => Some(bare),
            None if line.trim().is_empty() => Some(""),
            None => None,
        }
    }
}

/// The side of a hunk that a last row without a line end belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
    Both,
}

/// A hunk whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Where it starts in the reply, 1-based.
    pub(crate) line: usize,
    pub(crate) hunk: Hunk,
    /// Rows of the old and of the new side so far.
    pub(crate) old_count: usize,
    pub(crate) new_count: usize,
    pub(crate) removed: usize,
    pub(crate) added: usize,
    /// Empty lines that are context if a row follows them.
    blanks: usize,
    last: Option<Side>,
    old_lacks_end: bool,
    new_lacks_end: bool,
}

impl Rows {
    pub(crate) fn at(line: usize) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// Takes a row by its first character; gives `false` if no row starts so.
    pub(crate) fn row(&mut self, row: &str) -> bool {
        let (Some(sign), Some(text)) = (row.get(..1), row.get(1..)) else {
            if row.is_empty() {
                self.blanks += 1;
            }
            return row.is_empty();
        };
        if !matches!(sign, " " | "-" | "+") {
            return false;
        }
        self.keep_blanks();
        if sign != "+" {
            self.hunk.old.push_str(text);
            self.hunk.old.push('\n');
            self.old_count += 1;
        }
        if sign != "-" {
            self.hunk.new.push_str(text);
            self.hunk.new.push('\n');
            self.new_count += 1;
        }
        self.last = Some(match sign {
            "-" => {
                self.removed += 1;
                Side::Old
            }
            "+" => {
                self.added += 1;
                Side::New
            }
            _ => Side::Both,
        });
        true
    }

    /// Empty lines so far are context: the hunk goes on, or says itself where it ends.
    pub(crate) fn keep_blanks(&mut self) {
        for _ in 0..std::mem::take(&mut self.blanks) {
            self.hunk.old.push('\n');
            self.hunk.new.push('\n');
            self.old_count += 1;
            self.new_count += 1;
            self.last = Some(Side::Both);
        }
    }

    /// Takes the last row back, which was context.
    pub(crate) fn drop_last_context(&mut self) {
        for (text, count) in [
            (&mut self.hunk.old, &mut self.old_count),
            (&mut self.hunk.new, &mut self.new_count),
        ] {
            let start = text
                .trim_end_matches('\n')
                .rfind('\n')
                .map_or(0, |at| at + 1);
            text.truncate(start);
            *count = count.saturating_sub(1);
        }
    }

    /// Whether an empty line was the last one.
    pub(crate) fn ends_blank(&self) -> bool {
        self.blanks > 0
    }

    /// The row before this line has no line end. Gives `false` if there is no such row.
    pub(crate) fn lacks_end(&mut self) -> bool {
        let Some(side) = self.last else {
            return false;
        };
        self.old_lacks_end |= side != Side::New;
        self.new_lacks_end |= side != Side::Old;
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.hunk.old.len() + self.hunk.new.len()
    }

    /// Whether the old side's last row, and the new one's, have no line end.
    pub(crate) fn lack_ends(&self) -> (bool, bool) {
        (self.old_lacks_end, self.new_lacks_end)
    }

    /// The hunk, or what is wrong with it.
    pub(crate) fn close(mut self) -> Result<Hunk, String> {
        if self.removed + self.added == 0 {
            return Err(format!("the hunk at line {} changes nothing", self.line));
        }
        if self.old_lacks_end || self.new_lacks_end {
            self.hunk.is_at_end = true;
            self.hunk.final_newline = Some(!self.new_lacks_end);
        }
        Ok(self.hunk)
    }
}

/// Why a part is not gathered any further.
pub(crate) fn too_large(line: usize) -> String {
    format!(
        "the part that starts at line {line} is larger than {} MB",
        FILE_BYTES_MAX / 1_000_000
    )
}

/// Why a part with [`HUNKS_MAX`] hunks takes no more.
pub(crate) fn too_many() -> String {
    format!("it has more than {HUNKS_MAX} hunks")
}

/// An edit with one reading.
pub(crate) fn edit(path: &str, format: Format, line: usize, body: EditBody) -> Edit {
    Edit {
        path: path.to_owned(),
        format,
        line,
        body,
        other_readings: Vec::new(),
    }
}
