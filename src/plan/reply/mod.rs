//! Reads a model's reply as it comes: prose, and the edits in it.
//!
//! A machine over whole lines, so that it does not matter where the network cuts the text. A line
//! belongs to the open block, else to the code fence around it, else it is prose. Edits are given
//! out only when their closing marker has come; what is open at the end is never an edit.
//!
//! Text that looks like an edit and cannot be read is never dropped silently: it is [`Malformed`].

use std::collections::VecDeque;

use blocks::Ended;
use code_fence::{CodeFence, Content};

use super::edits::apply_patch::Envelope;
use super::edits::fence::Fence;
use super::edits::plandex_block::{Tag, TaggedFile};
use super::edits::search_replace::{Block, Marker};
use super::edits::steps::steps;
use super::edits::unified_diff::Diff;
use super::edits::whole_file::WholeFile;
use super::edits::{Edit, EditFailure, Format, Reason, label, patch};

mod blocks;
mod code_fence;
mod files;
mod patches;

/// How many lines above a block a label may stand.
const LABEL_LINES: usize = 3;

/// A [`ReplyEvent::FileLines`] is given for every so many lines.
const LINES_PER_EVENT: usize = patch::ROWS_PER_REPORT;

/// A longer line, in bytes, is not kept; no edit has one.
const LINE_BYTES_MAX: usize = 16_000_000;

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
    /// [`Reason::Malformed`] or [`Reason::Incomplete`]; of a diff also [`Reason::Binary`] and
    /// [`Reason::UnsafePath`].
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
    /// That line is too long, and not kept.
    is_long: bool,
    line_count: usize,
    open: Open,
    fence: Option<CodeFence>,
    /// The last lines outside of blocks, fence lines left out: labels stand there.
    recent: VecDeque<String>,
    /// The file of the last block.
    previous: Option<String>,
    /// The last file of the last patch.
    patched: Option<String>,
    /// The file of the last block between tags.
    tagged: Option<String>,
    /// A line outside of blocks that is the start of a diff if the next one goes with it.
    held_name: Option<String>,
    /// The last block that ended.
    ended: Option<Ended>,
    /// Blocks whose REPLACE marker was not as long as their SEARCH marker.
    unmatched: Vec<Ended>,
    events: Vec<ReplyEvent>,
}

/// The block that lines go to.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    File(WholeFile),
    Block(Block),
    Patch(Envelope),
    Diff(Box<Diff>),
    Tagged(TaggedFile),
}

impl ReplyParser {
    /// A parser at the start of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an edit has begun and not ended. A bare diff has no end mark: it is whole if its
    /// last hunk has as many lines as it says.
    pub fn is_in_block(&self) -> bool {
        match &self.open {
            Open::Nothing => false,
            Open::Diff(diff) if self.fence.is_none() => diff.is_short(&self.partial),
            Open::File(_) | Open::Block(_) | Open::Patch(_) | Open::Diff(_) | Open::Tagged(_) => {
                true
            }
        }
    }

    /// Takes the next piece of the reply, and gives what it completes.
    pub fn push(&mut self, text: &str) -> Vec<ReplyEvent> {
        steps(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\n') {
            if self.partial.is_empty() && !self.is_long && at <= LINE_BYTES_MAX {
                self.line(&rest[..at]);
            } else {
                self.keep(&rest[..at]);
                let line = std::mem::take(&mut self.partial);
                steps(line.len());
                match std::mem::take(&mut self.is_long) {
                    true => self.long_line(),
                    false => self.line(&line),
                }
            }
            rest = &rest[at + 1..];
        }
        self.keep(rest);
        std::mem::take(&mut self.events)
    }

    /// Keeps the start of a line, as long as it may be.
    fn keep(&mut self, text: &str) {
        self.is_long |= self.partial.len() + text.len() > LINE_BYTES_MAX;
        match self.is_long {
            true => self.partial = String::new(),
            false => self.partial.push_str(text),
        }
    }

    /// Ends the reply, and gives what is left of it.
    pub fn finish(&mut self, ending: Ending) -> Vec<ReplyEvent> {
        let last = std::mem::take(&mut self.partial);
        if ending == Ending::Complete {
            if self.is_long {
                self.long_line();
            } else if !last.is_empty() {
                self.line(&last);
            }
        }
        if let Some(held) = self.held_name.take() {
            self.not_a_patch(&held);
        }
        let fence = self.fence.take();
        match std::mem::take(&mut self.open) {
            Open::File(file) => self.incomplete_file(file.path, file.line),
            Open::Block(block) => self.unclosed_block(block, ending),
            Open::Tagged(file) => self.incomplete_tagged(file.path, file.line),
            open @ Open::Patch(_) => {
                self.open = open;
                self.end_patch(ending);
            }
            open @ Open::Diff(_) => {
                self.open = open;
                // The end of the text is none of a fence.
                let is_over = fence.is_none() && ending == Ending::Complete;
                self.end_patch(if is_over { ending } else { Ending::CutOff });
            }
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
            && last
                .trim_end_matches('\r')
                .ends_with(prose.trim_end_matches('\n'))
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
        steps(1 + self.unmatched.len() + self.recent.len());
        self.look_for_late_end(line);
        self.look_for_late_tag(line);
        if let Some(held) = self.held_name.take()
            && self.after_held(&held, line)
        {
            return;
        }
        self.dispatch(line);
    }

    /// A line that was not kept: whatever it belongs to cannot be read.
    fn long_line(&mut self) {
        self.line_count += 1;
        if let Some(held) = self.held_name.take() {
            self.not_a_patch(&held);
        }
        let is_outside = matches!(self.open, Open::Nothing);
        let (mut path, format) = match std::mem::take(&mut self.open) {
            Open::Nothing => (None, Format::WholeFile),
            Open::File(file) => (Some(file.path), Format::WholeFile),
            Open::Block(block) => (block.path, Format::SearchReplace),
            Open::Patch(envelope) => (envelope.last_path, Format::ApplyPatch),
            Open::Diff(diff) => (diff.last_path, Format::UnifiedDiff),
            Open::Tagged(file) => (file.path, Format::PlandexBlock),
        };
        // A fence may turn out to be a file.
        if is_outside {
            self.decide_fence();
        }
        if let Open::File(file) = std::mem::take(&mut self.open) {
            path = Some(file.path);
        }
        if let Some(code) = &mut self.fence {
            code.content = Content::Blocks;
        }
        let line = self.line_count;
        let message = format!(
            "line {line} is longer than {} MB",
            LINE_BYTES_MAX / 1_000_000
        );
        self.malformed(path, format, line, message);
    }

    fn dispatch(&mut self, line: &str) {
        steps(1 + line.len());
        match &mut self.open {
            Open::File(_) => self.line_of_file(line),
            Open::Block(_) => self.line_of_block(line),
            Open::Patch(_) => self.line_of_patch(line),
            Open::Diff(_) => self.line_of_diff(line),
            Open::Tagged(_) => self.line_of_tagged(line),
            Open::Nothing if self.fence.is_some() => self.line_of_fence(line),
            Open::Nothing => self.line_of_prose(line),
        }
    }

    fn line_of_prose(&mut self, line: &str) {
        if self.begins_patch(line) {
            return;
        }
        match Marker::read(line) {
            Some(Marker::Search(_)) => return self.open_block(line),
            Some(Marker::Replace(_)) => self.stray_end(),
            Some(Marker::Divider(_)) | None => {}
        }
        if let Some(tag) = Tag::read(line) {
            return self.open_tagged(tag, line);
        }
        self.stray_tag(line);
        match Fence::open(line) {
            Some(fence) => self.open_fence(fence, line),
            None => self.prose(line),
        }
    }

    /// A line that was held is none of a diff's, and nothing else is it either.
    fn not_a_patch(&mut self, held: &str) {
        match self.fence.is_some() {
            true => self.text_of_fence(held),
            false => self.prose(held),
        }
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

    fn remember(&mut self, line: &str) {
        if self.recent.len() == LABEL_LINES {
            self.recent.pop_front();
        }
        self.recent.push_back(line.to_owned());
    }

    fn prose(&mut self, line: &str) {
        steps(1 + line.len());
        self.remember(line);
        self.events.push(ReplyEvent::Prose(format!("{line}\n")));
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
