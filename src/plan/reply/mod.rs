//! Reads a model's reply as it comes: prose, and the edits in it.
//!
//! A machine over whole lines, so that it does not matter where the network cuts the text. A line
//! belongs to the open block, else to the code fence around it, else it is prose. Edits are given
//! out only when their closing marker has come; what is open at the end is never an edit.
//!
//! Text that looks like an edit and cannot be read is never dropped silently: it is [`Malformed`].

use std::collections::VecDeque;

use code_fence::{CodeFence, Content};

use super::edits::fence::Fence;
use super::edits::search_replace::{Block, BlockStep, Marker, Signs};
use super::edits::whole_file::{FileStep, WholeFile};
use super::edits::{Edit, EditFailure, Format, Reason, label};

mod code_fence;

/// How many lines above a block a label may stand.
const LABEL_LINES: usize = 3;

/// A [`ReplyEvent::FileLines`] is given for every so many lines.
const LINES_PER_EVENT: usize = 20;

/// How a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The model finished. A last line without a line end is a line.
    Complete,
    /// Stopped, truncated or disconnected. A last line without a line end may be half of one.
    CutOff,
}

/// What came in a reply. The same text gives the same events however it is cut up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyEvent {
    /// A line of prose with its line end (LF), which only the very last line may lack.
    Prose(String),
    /// A block for this file has begun.
    FileStarted {
        /// As labelled; see [`Edit::path`].
        path: String,
        /// The construct it is written in.
        format: Format,
    },
    /// So many lines of the file's open block have come.
    FileLines {
        /// As in `FileStarted`.
        path: String,
        /// A multiple of twenty.
        lines: usize,
    },
    /// A block is complete.
    Edit(Edit),
    /// A block is not an edit.
    Malformed(Malformed),
}

/// A block that cannot be read. A file it names must not be built from this reply, other blocks
/// for it included: one of them may end too early, or the missing one may belong between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The file, if the block is labelled.
    pub path: Option<String>,
    /// The construct it seems to be.
    pub format: Format,
    /// Where it starts in the reply, 1-based.
    pub line: usize,
    /// [`Reason::Malformed`] or [`Reason::Incomplete`].
    pub reason: Reason,
    /// What is wrong, as a fragment that names the line.
    pub message: String,
}

impl Malformed {
    /// The same as a failure of the file's `edit`-th of `of` edits, for reports.
    pub fn failure(&self, edit: usize, of: usize) -> EditFailure {
        EditFailure {
            path: self.path.clone().unwrap_or_default(),
            edit,
            of,
            format: self.format,
            reason: self.reason,
            searched_lines: Vec::new(),
            closest: None,
            candidates: Vec::new(),
            stale: false,
            loaded_at: None,
            tiers_tried: Vec::new(),
            note: None,
        }
    }
}

/// Reads a reply piece by piece.
#[derive(Debug, Default)]
pub struct ReplyParser {
    /// The start of a line whose end has not come.
    partial: String,
    line_count: usize,
    open: Open,
    fence: Option<CodeFence>,
    /// The last lines outside of blocks, fence lines left out: labels stand there.
    recent: VecDeque<String>,
    /// The file of the last block.
    previous: Option<String>,
    /// Blocks whose REPLACE marker was not as long as their SEARCH marker.
    unmatched: Vec<Unmatched>,
    events: Vec<ReplyEvent>,
}

/// A block that was closed by a marker of another length. Models miscount; but if the marker was
/// text, the block's true end is still to come.
#[derive(Debug)]
struct Unmatched {
    path: Option<String>,
    signs: Signs,
}

/// The block that lines go to.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    File(WholeFile),
    Block(Block),
}

impl ReplyParser {
    /// A parser at the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an edit has begun and not ended.
    pub fn is_in_block(&self) -> bool {
        !matches!(self.open, Open::Nothing)
    }

    /// Takes the next piece of the reply, and gives what it completes.
    pub fn push(&mut self, text: &str) -> Vec<ReplyEvent> {
        let mut rest = text;
        while let Some(at) = rest.find('\n') {
            if self.partial.is_empty() {
                self.line(&rest[..at]);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.push_str(&rest[..at]);
                self.line(&line);
            }
            rest = &rest[at + 1..];
        }
        self.partial.push_str(rest);
        std::mem::take(&mut self.events)
    }

    /// Ends the reply, and gives what is left of it.
    pub fn finish(&mut self, ending: Ending) -> Vec<ReplyEvent> {
        let last = std::mem::take(&mut self.partial);
        if !last.is_empty() && ending == Ending::Complete {
            self.line(&last);
        }
        let fence = self.fence.take();
        match std::mem::take(&mut self.open) {
            Open::File(file) => self.incomplete_file(file.path, file.line),
            Open::Block(block) => self.unclosed_block(block, ending),
            Open::Nothing => {
                if let Some(code) = fence {
                    self.undecided_fence(code);
                }
                if ending == Ending::CutOff && !last.is_empty() {
                    self.give_back(vec![last.clone()]);
                }
            }
        }
        if !last.is_empty()
            && let Some(ReplyEvent::Prose(prose)) = self.events.last_mut()
        {
            prose.pop();
        }
        std::mem::take(&mut self.events)
    }

    fn line(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        self.line_count += 1;
        let line = match line.strip_prefix('\u{feff}') {
            Some(unmarked) if self.line_count == 1 => unmarked,
            _ => line,
        };
        if !self.unmatched.is_empty() {
            self.look_for_late_end(line);
        }
        self.dispatch(line);
    }

    fn dispatch(&mut self, line: &str) {
        match &mut self.open {
            Open::File(_) => self.line_of_file(line),
            Open::Block(_) => self.line_of_block(line),
            Open::Nothing if self.fence.is_some() => self.line_of_fence(line),
            Open::Nothing => self.line_of_prose(line),
        }
    }

    fn line_of_prose(&mut self, line: &str) {
        match Marker::read(line) {
            Some(Marker::Search(_)) => return self.open_block(line),
            Some(Marker::Replace(_)) => self.stray_end(),
            Some(Marker::Divider(_)) | None => {}
        }
        match Fence::open(line) {
            Some(fence) => self.open_fence(fence, line),
            None => self.prose(line),
        }
    }

    fn line_of_file(&mut self, line: &str) {
        let Open::File(file) = &mut self.open else {
            return;
        };
        match file.step(line) {
            FileStep::Row if file.row_count().is_multiple_of(LINES_PER_EVENT) => {
                let (path, lines) = (file.path.clone(), file.row_count());
                self.events.push(ReplyEvent::FileLines { path, lines });
            }
            FileStep::Row => {}
            FileStep::Closed(edit) => {
                self.open = Open::Nothing;
                self.fence = None;
                self.events.push(ReplyEvent::Edit(edit));
            }
            FileStep::Marker => self.marker_in_file(line),
            FileStep::NextFile => {
                let (path, at) = (file.path.clone(), file.line);
                self.open = Open::Nothing;
                self.fence = None;
                self.incomplete_file(path, at);
                self.line_of_prose(line);
            }
        }
    }

    /// A whole file with a block's markers in it is not written. The block may still be read.
    fn marker_in_file(&mut self, line: &str) {
        if let Open::File(file) = std::mem::take(&mut self.open) {
            let message = format!(
                "a SEARCH/REPLACE marker stands in a whole file, line {}",
                self.line_count
            );
            self.malformed(Some(file.path), Format::WholeFile, file.line, message);
        }
        if let Some(code) = &mut self.fence {
            code.content = Content::Blocks;
            if let Some(Marker::Search(_)) = Marker::read(code.fence.unindented(line)) {
                self.open_block(line);
            }
        }
    }

    fn line_of_block(&mut self, line: &str) {
        let Open::Block(block) = &mut self.open else {
            return;
        };
        let step = block.step(line);
        if let BlockStep::Row = step {
            if let Some(path) = &block.path
                && block.row_count().is_multiple_of(LINES_PER_EVENT)
            {
                let (path, lines) = (path.clone(), block.row_count());
                self.events.push(ReplyEvent::FileLines { path, lines });
            }
            return;
        }
        let (path, at) = (block.path.take(), block.line);
        if let Some(signs) = block.unmatched() {
            self.unmatched.push(Unmatched {
                path: path.clone(),
                signs,
            });
        }
        self.open = Open::Nothing;
        match step {
            BlockStep::Row => {}
            BlockStep::Closed(edit) => match path {
                Some(_) => self.events.push(ReplyEvent::Edit(edit)),
                None => {
                    let message = format!("no path is given for the block at line {at}");
                    self.malformed(None, Format::SearchReplace, at, message);
                }
            },
            BlockStep::Spoiled(what) => {
                let message = format!("the block at line {at} cannot be read: {what}");
                self.malformed(path, Format::SearchReplace, at, message);
            }
            BlockStep::NextBlock => {
                let message = format!(
                    "the block at line {at} is not closed before the next one, line {}",
                    self.line_count
                );
                self.malformed(path, Format::SearchReplace, at, message);
                self.open_block(line);
            }
        }
    }
}

impl ReplyParser {
    fn open_block(&mut self, line: &str) {
        let code = self.fence.as_ref();
        let bare = code.map_or(line, |code| code.fence.unindented(line));
        let Some(Marker::Search(signs)) = Marker::read(bare) else {
            return;
        };
        let indent = code
            .map(|code| code.fence.indent.clone())
            .unwrap_or_default();
        let path = code
            .and_then(|code| code.info_label.clone())
            .or_else(|| self.label_above(label::from_line))
            .or_else(|| {
                self.previous
                    .clone()
                    .filter(|path| !self.names_another(path))
            });
        if let Some(path) = &path {
            self.start_file(path.clone(), Format::SearchReplace);
        }
        self.recent.clear();
        self.open = Open::Block(Block::open(path, self.line_count, signs, indent));
    }

    fn start_file(&mut self, path: String, format: Format) {
        self.recent.clear();
        self.previous = Some(path.clone());
        self.events.push(ReplyEvent::FileStarted { path, format });
    }

    /// The label on the nearest line with text, if it stands near enough.
    fn label_above(&self, read: fn(&str) -> Option<String>) -> Option<String> {
        self.recent
            .iter()
            .rev()
            .find(|line| !line.trim().is_empty())
            .and_then(|line| read(line))
    }

    /// Tells whether the lines above speak of another file, so that a block without a label may
    /// well be meant for that one.
    fn names_another(&self, path: &str) -> bool {
        let files = self.recent.iter().flat_map(|line| label::mentioned(line));
        files
            .into_iter()
            .any(|file| file != path && !path.ends_with(&format!("/{file}")))
    }

    fn remember(&mut self, line: &str) {
        if self.recent.len() == LABEL_LINES {
            self.recent.pop_front();
        }
        self.recent.push_back(line.to_owned());
    }

    fn prose(&mut self, line: &str) {
        self.remember(line);
        self.events.push(ReplyEvent::Prose(format!("{line}\n")));
    }
}

impl ReplyParser {
    /// A REPLACE marker outside of a block: the one before it ended too early, or never began.
    fn stray_end(&mut self) {
        let line = self.line_count;
        let message = format!("the REPLACE marker at line {line} ends no block");
        self.malformed(self.previous.clone(), Format::SearchReplace, line, message);
    }

    /// Reports a block that was taken to end before its end. Another block with such a SEARCH
    /// marker shows that the model had miscounted.
    fn look_for_late_end(&mut self, line: &str) {
        let (is_start, signs) = match Marker::read(line.trim_start()) {
            Some(Marker::Search(signs)) => (true, signs),
            Some(Marker::Replace(signs)) => (false, signs),
            Some(Marker::Divider(_)) | None => return,
        };
        let ended: Vec<Unmatched> = self
            .unmatched
            .extract_if(.., |block| block.signs == signs)
            .collect();
        let at = self.line_count;
        for block in ended.into_iter().filter(|_| !is_start) {
            let message = format!("the REPLACE marker at line {at} ends a block that had ended");
            self.malformed(block.path, Format::SearchReplace, at, message);
        }
    }

    fn incomplete_file(&mut self, path: String, line: usize) {
        let message = format!(
            "the code fence at line {line} is not closed; what follows it was taken as its text"
        );
        let (path, format, reason) = (Some(path), Format::WholeFile, Reason::Incomplete);
        self.events.push(ReplyEvent::Malformed(Malformed {
            path,
            format,
            line,
            reason,
            message,
        }));
    }

    fn undecided_fence(&mut self, code: CodeFence) {
        if let Content::Undecided(held) = code.content {
            match code.file {
                Some(path) => self.incomplete_file(path, code.line),
                None => self.give_back(held),
            }
        }
    }

    fn unclosed_block(&mut self, block: Block, ending: Ending) {
        let line = block.line;
        let message = format!(
            "the block at line {line} is not closed; what follows it was taken as its text"
        );
        let reason = match ending {
            Ending::Complete => Reason::Malformed,
            Ending::CutOff => Reason::Incomplete,
        };
        let (path, format) = (block.path, Format::SearchReplace);
        self.events.push(ReplyEvent::Malformed(Malformed {
            path,
            format,
            line,
            reason,
            message,
        }));
    }

    /// A labelled fence inside a fence of the same kind is an example, or shows that the outer one
    /// was not closed.
    fn hidden_file(&mut self, path: String, outer: usize) {
        let line = self.line_count;
        let message =
            format!("the code fence at line {line} stands inside the one at line {outer}");
        self.malformed(Some(path), Format::WholeFile, line, message);
    }

    fn give_back(&mut self, held: Vec<String>) {
        self.events
            .extend(held.into_iter().map(|line| ReplyEvent::Prose(line + "\n")));
    }

    fn malformed(&mut self, path: Option<String>, format: Format, line: usize, message: String) {
        let reason = Reason::Malformed;
        self.events.push(ReplyEvent::Malformed(Malformed {
            path,
            format,
            line,
            reason,
            message,
        }));
    }
}

#[cfg(test)]
mod tests;
