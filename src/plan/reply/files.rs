//! Whole files in a reply: in labelled fences, and between tags.

use super::code_fence::Content;
use super::{LINES_PER_EVENT, Malformed, Open, ReplyEvent, ReplyParser, label};
use crate::plan::edits::plandex_block::{Tag, TagStep, TaggedFile};
use crate::plan::edits::search_replace::Marker;
use crate::plan::edits::whole_file::FileStep;
use crate::plan::edits::{Format, Reason};

impl ReplyParser {
    pub(super) fn line_of_file(&mut self, line: &str) {
        let number = self.line_count;
        let Open::File(file) = &mut self.open else {
            return;
        };
        match file.step(line, number) {
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
            FileStep::Spoiled(what) => {
                let (path, at) = (file.path.clone(), file.line);
                self.open = Open::Nothing;
                self.fence = None;
                let message = format!("the file at line {at} cannot be read: {what}");
                self.malformed(Some(path), Format::WholeFile, at, message);
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

    pub(super) fn incomplete_file(&mut self, path: String, line: usize) {
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

    pub(super) fn open_tagged(&mut self, tag: Tag, line: &str) {
        let path = tag.path.or_else(|| self.label_above(label::from_line));
        if let Some(path) = &path {
            self.start_file(path.clone(), Format::PlandexBlock);
        }
        self.recent.clear();
        self.tagged.clone_from(&path);
        self.open = Open::Tagged(TaggedFile::open(path, line, self.line_count));
    }

    pub(super) fn line_of_tagged(&mut self, line: &str) {
        let number = self.line_count;
        let Open::Tagged(file) = &mut self.open else {
            return;
        };
        let (path, at) = (file.path.clone(), file.line);
        let step = file.step(line, number);
        if let TagStep::Row = step {
            let lines = file.row_count();
            if let Some(path) = path.filter(|_| lines.is_multiple_of(LINES_PER_EVENT)) {
                self.events.push(ReplyEvent::FileLines { path, lines });
            }
            return;
        }
        self.open = Open::Nothing;
        match step {
            TagStep::Row => {}
            TagStep::Closed(edit) if path.is_some() => self.events.push(ReplyEvent::Edit(edit)),
            TagStep::Closed(_) => {
                let message = format!("no path is given for the block at line {at}");
                self.malformed(None, Format::PlandexBlock, at, message);
            }
            TagStep::Spoiled(what) => {
                let message = format!("the block at line {at} cannot be read: {what}");
                self.malformed(path, Format::PlandexBlock, at, message);
            }
            TagStep::NextBlock => {
                self.incomplete_tagged(path, at);
                if let Some(tag) = Tag::read(line) {
                    self.open_tagged(tag, line);
                }
            }
        }
    }

    /// Reports a block between tags that was taken to end before its end, which stands in another
    /// edit. A tag that opens there has an end of its own.
    pub(super) fn look_for_late_tag(&mut self, line: &str) {
        if self.tagged.is_none() || matches!(self.open, Open::Nothing | Open::Tagged(_)) {
            return;
        }
        if Tag::read(line).is_some() {
            self.tagged = None;
        }
        if Tag::is_end(line) {
            self.stray_tag(line);
        }
    }

    /// A closing tag outside of a block: the one before it ended too early, or never began.
    pub(super) fn stray_tag(&mut self, line: &str) {
        if Tag::is_end(line) {
            let number = self.line_count;
            let message = format!("the closing tag at line {number} ends no block");
            self.malformed(self.tagged.clone(), Format::PlandexBlock, number, message);
        }
    }

    pub(super) fn incomplete_tagged(&mut self, path: Option<String>, line: usize) {
        self.events.push(ReplyEvent::Malformed(Malformed {
            path,
            format: Format::PlandexBlock,
            line,
            reason: Reason::Incomplete,
            message: format!("the block at line {line} has no closing tag"),
        }));
    }
}
