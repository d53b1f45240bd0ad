//! Patches and diffs in a reply: where they begin and end. Both stand bare or in a code fence.

use super::code_fence::{CodeFence, Content};
use super::{Ending, Malformed, Open, ReplyEvent, ReplyParser, label};
use crate::plan::edits::Format;
use crate::plan::edits::apply_patch::Envelope;
use crate::plan::edits::apply_patch::lines::{Star, is_begin};
use crate::plan::edits::fence::Fence;
use crate::plan::edits::patch::{Flow, Found};
use crate::plan::edits::plandex_block::Tag;
use crate::plan::edits::search_replace::Marker;
use crate::plan::edits::unified_diff::{self, Around, Diff};

impl ReplyParser {
    /// Opens what a line outside of all blocks begins; `false` if it begins none. A line that may
    /// be the first of two is held.
    pub(super) fn begins_patch(&mut self, line: &str) -> bool {
        if is_begin(line) {
            self.open_envelope(line);
            return true;
        }
        self.stray_star(line);
        if !self.may_be_diff() {
            return false;
        }
        let bare = self.bare(line);
        if unified_diff::is_old_name(bare) {
            self.held_name = Some(line.to_owned());
            return true;
        }
        let is_start = unified_diff::is_git_header(bare) || self.is_headless(bare);
        if is_start {
            self.open_diff(line);
            self.line_of_diff(line);
        }
        is_start
    }

    /// Takes the line after one that was held: both begin a diff, or the held one is another line.
    pub(super) fn after_held(&mut self, held: &str, line: &str) -> bool {
        if !unified_diff::is_new_name(self.bare(line)) {
            self.not_a_patch(held);
            return false;
        }
        self.open_diff(held);
        let number = self.line_count;
        self.step_diff(held, number - 1);
        self.line_of_diff(line);
        true
    }

    /// A line without the indentation of the fence around it.
    fn bare<'a>(&self, line: &'a str) -> &'a str {
        self.fence
            .as_ref()
            .map_or(line, |code| code.fence.unindented(line))
    }

    /// Tells whether a diff may stand here: not among commands, nor in a file that is a diff.
    fn may_be_diff(&self) -> bool {
        self.fence.as_ref().is_none_or(|code| code.may_hold_diff())
    }

    /// Tells whether a line is a hunk's first one in a fence that stands for a diff without header.
    fn is_headless(&self, bare: &str) -> bool {
        self.fence
            .as_ref()
            .is_some_and(|code| unified_diff::is_hunk_header(bare) && code.may_be_headless(bare))
    }

    fn open_envelope(&mut self, line: &str) {
        let above = self.recent.back().map(String::as_str);
        let envelope = Envelope::open(line, self.line_count, above);
        self.enter(Open::Patch(envelope));
    }

    fn open_diff(&mut self, line: &str) {
        let (around, label) = match &self.fence {
            Some(code) => (Around::Fence, self.label_of_diff(code)),
            None => (Around::Nothing, None),
        };
        let diff = Diff::open(line, around, label);
        self.enter(Open::Diff(Box::new(diff)));
    }

    fn label_of_diff(&self, code: &CodeFence) -> Option<String> {
        let label = code.info_label.clone().or_else(|| code.file.clone());
        label.or_else(|| self.label_above(label::from_line))
    }

    fn enter(&mut self, open: Open) {
        if let Some(code) = &mut self.fence {
            code.content = Content::Blocks;
        }
        self.recent.clear();
        self.open = open;
    }

    /// A line of an envelope outside of one: it never began, or ended too early.
    fn stray_star(&mut self, line: &str) {
        let number = self.line_count;
        let path = match Star::read_padded(line).filter(|_| line.starts_with("***")) {
            Some(Star::Add(path) | Star::Update(path) | Star::Delete(path)) => {
                Some(path.to_owned()).filter(|path| !path.is_empty())
            }
            Some(Star::End) => self.patched.clone(),
            Some(Star::Begin | Star::MoveTo(_) | Star::EndOfFile) | None => return,
        };
        let message = format!("the line of a patch at line {number} stands in none");
        self.malformed(path, Format::ApplyPatch, number, message);
    }

    pub(super) fn line_of_patch(&mut self, line: &str) {
        if self.is_fence_end(line) {
            self.end_patch(Ending::Complete);
            return self.line_of_fence(line);
        }
        let number = self.line_count;
        let mut found = Vec::new();
        let Open::Patch(envelope) = &mut self.open else {
            return;
        };
        let flow = envelope.step(line, number, &mut found);
        self.patched.clone_from(&envelope.last_path);
        self.tell(found, Format::ApplyPatch);
        self.follow(flow, line);
    }

    pub(super) fn line_of_diff(&mut self, line: &str) {
        if self.is_fence_end(line) {
            self.end_patch(Ending::Complete);
            return self.line_of_fence(line);
        }
        let flow = self.step_diff(line, self.line_count);
        self.follow(flow, line);
    }

    fn step_diff(&mut self, line: &str, number: usize) -> Flow {
        let mut found = Vec::new();
        let Open::Diff(diff) = &mut self.open else {
            return Flow::Foreign;
        };
        let flow = diff.step(line, number, &mut found);
        self.tell(found, Format::UnifiedDiff);
        flow
    }

    fn is_fence_end(&self, line: &str) -> bool {
        self.fence
            .as_ref()
            .is_some_and(|code| code.fence.is_closed_by(line))
    }

    /// Goes on after a line as the open patch says.
    fn follow(&mut self, flow: Flow, line: &str) {
        match flow {
            Flow::Row => {}
            Flow::Ended => self.open = Open::Nothing,
            Flow::Foreign => {
                self.open = Open::Nothing;
                self.dispatch(line);
            }
            Flow::Skipped if self.begins_other(line) => {
                self.open = Open::Nothing;
                self.dispatch(line);
            }
            Flow::Skipped => self.prose(line),
        }
    }

    /// Tells whether a line begins another construct, so that a patch which cannot be read is over.
    fn begins_other(&self, line: &str) -> bool {
        let bare = self.bare(line);
        matches!(Marker::read(bare), Some(Marker::Search(_)))
            || is_begin(bare)
            || Tag::read(bare).is_some()
            || unified_diff::is_git_header(bare)
            || (self.fence.is_none() && Fence::open(line).is_some())
    }

    /// Ends the open patch or diff: after its last line, or where the text was cut.
    pub(super) fn end_patch(&mut self, ending: Ending) {
        let mut found = Vec::new();
        match (std::mem::take(&mut self.open), ending) {
            (Open::Patch(envelope), Ending::Complete) => envelope.finish(&mut found),
            (Open::Patch(envelope), Ending::CutOff) => envelope.cut_off(&mut found),
            (Open::Diff(diff), ending) => {
                match ending {
                    Ending::Complete => diff.finish(&mut found),
                    Ending::CutOff => diff.cut_off(&mut found),
                }
                return self.tell(found, Format::UnifiedDiff);
            }
            (other, _) => self.open = other,
        }
        self.tell(found, Format::ApplyPatch);
    }

    fn tell(&mut self, found: Vec<Found>, format: Format) {
        for found in found {
            match found {
                Found::Started(path) => self.start_file(path, format),
                Found::Rows(path, lines) => {
                    self.events.push(ReplyEvent::FileLines { path, lines });
                }
                Found::Edit(edit) => self.events.push(ReplyEvent::Edit(edit)),
                Found::Flaw(flaw) => self.events.push(ReplyEvent::Malformed(Malformed {
                    path: flaw.path,
                    format,
                    line: flaw.line,
                    reason: flaw.reason,
                    message: flaw.message,
                })),
            }
        }
    }
}
