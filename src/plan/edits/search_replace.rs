//! SEARCH/REPLACE blocks: lines to find, a divider, the lines to put there.
//!
//! A block's text may hold markers of its own, as when this very format is documented. Markers as
//! long as the block's own are the block's; those of another length are text if they come in
//! pairs. What cannot be told apart is malformed, or, for dividers, left for the file to decide.

use super::fence::{edit_text, shares_indent};
use super::patch::too_large;
use super::steps::steps;
use super::{Edit, EditBody, FILE_BYTES_MAX, Format};

/// A block with more possible dividers is malformed; each is a reading to try.
const DIVIDERS_MAX: usize = 8;

/// A line that separates the parts of a block: five to nine signs and a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `<<<<<<< SEARCH` or `------- SEARCH`.
    Search(Signs),
    /// `=======`.
    Divider(usize),
    /// `>>>>>>> REPLACE` or `+++++++ REPLACE`.
    Replace(Signs),
}

/// Which signs a marker is made of, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    family: Family,
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Angles,
    DashPlus,
}

impl Marker {
    /// Reads a line that is nothing but a marker.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let sign = line.chars().next().filter(|sign| "<>=-+".contains(*sign))?;
        let rest = line.trim_start_matches(sign);
        let length = line.len() - rest.len();
        if !(5..=9).contains(&length) {
            return None;
        }
        let word = rest.strip_prefix([' ', '\t']).map(str::trim_start);
        let is =
            |name: &str| word.is_some_and(|word| word.strip_suffix('>').unwrap_or(word) == name);
        let signs = |family| Signs { family, length };
        match sign {
            '=' => rest.is_empty().then_some(Self::Divider(length)),
            '<' => is("SEARCH").then_some(Self::Search(signs(Family::Angles))),
            '-' => is("SEARCH").then_some(Self::Search(signs(Family::DashPlus))),
            '>' => is("REPLACE").then_some(Self::Replace(signs(Family::Angles))),
            _ => is("REPLACE").then_some(Self::Replace(signs(Family::DashPlus))),
        }
    }

    pub(crate) fn is_divider(self) -> bool {
        matches!(self, Self::Divider(_))
    }
}

/// A block whose end has not come yet.
#[derive(Debug)]
pub(crate) struct Block {
    /// The file, if any label named one.
    pub(crate) path: Option<String>,
    /// Where the block opens in the reply, 1-based.
    pub(crate) line: usize,
    signs: Signs,
    /// The indentation of the fence around it.
    indent: String,
    /// The lines so far, each with an LF.
    rows: String,
    row_count: usize,
    dividers: Vec<Divider>,
    /// Markers of blocks inside this one's text that are still open.
    depth: usize,
    /// Whether a part ended while such a marker was open.
    is_uneven: bool,
    /// Whether its ends are alike, as far as is known.
    is_matched: bool,
    /// Its text is larger than any file may be.
    is_too_large: bool,
}

#[derive(Debug, Clone, Copy)]
struct Divider {
    /// Its line, as bytes of the rows.
    start: usize,
    end: usize,
    length: usize,
}

/// What a line was to an open block.
#[derive(Debug)]
pub(crate) enum BlockStep {
    /// A line of the block.
    Row,
    /// The end of the block.
    Closed(Edit),
    /// The end of a block that cannot be read, and what is wrong with it.
    Spoiled(String),
    /// The start of another block: this one was never closed.
    NextBlock,
}

impl Block {
    pub(crate) fn open(path: Option<String>, line: usize, signs: Signs, indent: String) -> Self {
        Self {
            path,
            line,
            signs,
            indent,
            rows: String::new(),
            row_count: 0,
            dividers: Vec::new(),
            depth: 0,
            is_uneven: false,
            is_matched: true,
            is_too_large: false,
        }
    }

    pub(crate) fn step(&mut self, line: &str) -> BlockStep {
        let bare = line.strip_prefix(self.indent.as_str()).unwrap_or(line);
        match Marker::read(bare) {
            Some(Marker::Search(signs)) if signs == self.signs => return BlockStep::NextBlock,
            Some(Marker::Replace(by)) if by == self.signs => {
                self.is_uneven |= self.depth > 0;
                return self.close(by);
            }
            Some(Marker::Replace(by)) if self.depth == 0 => return self.close(by),
            Some(Marker::Search(_)) => self.depth += 1,
            Some(Marker::Replace(_)) => self.depth -= 1,
            Some(Marker::Divider(length)) if self.depth == 0 || length == self.signs.length => {
                self.is_uneven |= self.depth > 0;
                let start = self.rows.len();
                self.dividers.push(Divider {
                    start,
                    end: start + line.len() + 1,
                    length,
                });
            }
            Some(Marker::Divider(_)) | None => {}
        }
        self.row_count += 1;
        self.is_too_large |= self.rows.len() + line.len() > 2 * FILE_BYTES_MAX;
        if !self.is_too_large {
            self.rows.push_str(line);
            self.rows.push('\n');
        }
        BlockStep::Row
    }

    /// The marker that should have closed the block, if another one did.
    pub(crate) fn unmatched(&self) -> Option<Signs> {
        (!self.is_matched).then_some(self.signs)
    }

    /// What its SEARCH marker is made of.
    pub(crate) fn signs(&self) -> Signs {
        self.signs
    }

    /// How many lines of the block have come.
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    fn close(&mut self, by: Signs) -> BlockStep {
        self.is_matched = by == self.signs;
        if self.is_uneven {
            let reason = "a SEARCH marker inside it has no REPLACE marker";
            return BlockStep::Spoiled(reason.to_owned());
        }
        if self.is_too_large {
            return BlockStep::Spoiled(too_large(self.line));
        }
        let own: Vec<Divider> = self
            .dividers
            .iter()
            .copied()
            .filter(|d| d.length == self.signs.length)
            .collect();
        let dividers = if own.is_empty() { &self.dividers } else { &own };
        match dividers.len() {
            0 => return BlockStep::Spoiled("there is no ======= line in it".to_owned()),
            count if count > DIVIDERS_MAX => {
                let reason = format!("{count} lines of it could be the divider");
                return BlockStep::Spoiled(reason);
            }
            _ => {}
        }
        // For both parts together, so that they lose the same indentation.
        let is_shared = shares_indent(&self.rows, &self.indent);
        let indent = if is_shared { self.indent.as_str() } else { "" };
        let mut readings: Vec<EditBody> = dividers
            .iter()
            .map(|divider| self.reading(*divider, indent))
            .collect();
        // A heading's underline in both parts leaves the divider in the middle.
        let body = readings.remove((readings.len() - 1) / 2);
        BlockStep::Closed(Edit {
            path: self.path.clone().unwrap_or_default(),
            format: Format::SearchReplace,
            line: self.line,
            body,
            other_readings: readings,
        })
    }

    fn reading(&self, divider: Divider, indent: &str) -> EditBody {
        steps(self.rows.len());
        EditBody::Replace {
            search: edit_text(&self.rows[..divider.start], indent),
            replace: edit_text(&self.rows[divider.end..], indent),
        }
    }
}
