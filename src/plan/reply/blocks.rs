//! SEARCH/REPLACE blocks in a reply: where they begin and end, and whose they are.

use super::{Ending, LINES_PER_EVENT, Malformed, Open, ReplyEvent, ReplyParser, label};
use crate::plan::edits::search_replace::{Block, BlockStep, Marker, Signs};
use crate::plan::edits::{Format, Reason};

/// A block that was closed. If the marker that did it was text, the block's true end is still to
/// come.
#[derive(Debug)]
pub(super) struct Ended {
    path: Option<String>,
    signs: Signs,
}

impl ReplyParser {
    pub(super) fn open_block(&mut self, line: &str) {
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

    pub(super) fn line_of_block(&mut self, line: &str) {
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
            self.unmatched.push(Ended {
                path: path.clone(),
                signs,
            });
        }
        self.ended = Some(Ended {
            path: path.clone(),
            signs: block.signs(),
        });
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

    /// Tells whether the lines above speak of another file, so that a block without a label may
    /// well be meant for that one.
    fn names_another(&self, path: &str) -> bool {
        let files = self.recent.iter().flat_map(|line| label::mentioned(line));
        files
            .into_iter()
            .any(|file| file != path && !path.ends_with(&format!("/{file}")))
    }

    /// A REPLACE marker outside of a block: the one before it ended too early, or never began.
    pub(super) fn stray_end(&mut self) {
        let line = self.line_count;
        let message = format!("the REPLACE marker at line {line} ends no block");
        let ended = self.ended.as_ref().and_then(|block| block.path.clone());
        let path = ended.or_else(|| self.previous.clone());
        self.malformed(path, Format::SearchReplace, line, message);
    }

    /// Reports a block that was taken to end before its end. Another block with such a SEARCH
    /// marker shows that the model had miscounted, or that what follows is that one's.
    pub(super) fn look_for_late_end(&mut self, line: &str) {
        if self.unmatched.is_empty() && (self.ended.is_none() || !self.is_in_other()) {
            return;
        }
        let (is_start, signs) = match Marker::read(line.trim_start()) {
            Some(Marker::Search(signs)) => (true, signs),
            Some(Marker::Replace(signs)) => (false, signs),
            Some(Marker::Divider(_)) | None => return,
        };
        let is_alike = |block: &mut Ended| block.signs == signs;
        let mut ended: Vec<Ended> = self
            .unmatched
            .extract_if(.., |block| is_alike(block))
            .collect();
        // Outside of any block such a marker is reported anyway.
        if self.is_in_other() {
            ended.extend(self.ended.take_if(is_alike));
        }
        let at = self.line_count;
        for block in ended.into_iter().filter(|_| !is_start) {
            let message = format!("the REPLACE marker at line {at} ends a block that had ended");
            self.malformed(block.path, Format::SearchReplace, at, message);
        }
    }

    /// Tells whether an edit of another kind is open.
    fn is_in_other(&self) -> bool {
        !matches!(self.open, Open::Nothing | Open::Block(_))
    }

    pub(super) fn unclosed_block(&mut self, block: Block, ending: Ending) {
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
}
