//! The `*** Begin Patch` envelope: operations on files, each under a header of its own.
//!
//! An operation is given out when the next header or the end shows that it is whole. One that
//! cannot be read spoils nothing but its file.

use lines::{Anchor, Star, anchor_of, heredoc_word};

use super::patch::{
    Flow, Found, HUNKS_MAX, Indent, PartFlaw, ROWS_PER_REPORT, Rows, edit, too_large, too_many,
};
use super::{Edit, EditBody, FILE_BYTES_MAX, Format, Reason};

pub(crate) mod lines;

/// An envelope whose end has not come yet.
#[derive(Debug)]
pub(crate) struct Envelope {
    /// Where it starts in the reply, 1-based.
    line: usize,
    indent: Indent,
    /// Whether `indent` is known to be that of all its lines.
    is_indent_sure: bool,
    /// The word that ends the shell's document it stands in.
    heredoc: Option<String>,
    part: Option<Part>,
    /// The last part cannot be read; its lines are passed over.
    is_skipping: bool,
    /// The file of the last part.
    pub(crate) last_path: Option<String>,
}

/// The operation that lines go to.
#[derive(Debug)]
struct Part {
    path: String,
    line: usize,
    op: Op,
    /// Rows so far, and their bytes in chunks that are over.
    rows: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Op {
    Add {
        content: String,
        /// An empty line that has no sign, if any.
        bare: Option<usize>,
    },
    Delete {
        old: String,
    },
    Update {
        to: Option<String>,
        done: Vec<Edit>,
        chunk: Option<Rows>,
        /// The last line was a blank and then the end marker: it may be a row, or the marker.
        may_have_ended: bool,
    },
}

impl Envelope {
    /// Opens at the marker; `above` is the line before it.
    pub(crate) fn open(line: &str, number: usize, above: Option<&str>) -> Self {
        Self {
            line: number,
            indent: Indent::of(line),
            is_indent_sure: false,
            heredoc: above.and_then(heredoc_word),
            part: None,
            is_skipping: false,
            last_path: None,
        }
    }

    /// Takes a line, the `number`-th of the reply.
    pub(crate) fn step(&mut self, line: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        if self
            .heredoc
            .as_deref()
            .is_some_and(|word| line.trim_end() == word)
        {
            self.close_part(found);
            return Flow::Ended;
        }
        if !self.is_indent_sure && Star::read_padded(line).is_some() {
            self.is_indent_sure = true;
            if !line.starts_with(self.indent.0.as_str()) {
                self.indent = Indent::default();
            }
        }
        let unpadded = Star::read(line).map(|_| line);
        let Some(bare) = self.indent.strip(line).or(unpadded) else {
            return self.foreign(number, found);
        };
        let star = Star::read(bare).or_else(|| {
            let padded = Star::read_padded(bare).filter(|_| bare.starts_with([' ', '\t']));
            // Within a chunk a blank before it makes it a row.
            padded.filter(|_| !self.is_in_chunk() || bare.starts_with('\t'))
        });
        match star {
            Some(star) => self.star(star, number, found),
            None if self.is_skipping => Flow::Skipped,
            None => self.row(bare, number, found),
        }
    }

    /// The text is over, and nothing was cut off: a missing end marker is no loss.
    pub(crate) fn finish(mut self, found: &mut Vec<Found>) {
        self.close_part(found);
    }

    /// The text was cut off: what is open is no edit.
    pub(crate) fn cut_off(self, found: &mut Vec<Found>) {
        if self.is_skipping {
            return;
        }
        let (path, line) = self
            .part
            .map_or((None, self.line), |part| (Some(part.path), part.line));
        found.push(Found::Flaw(PartFlaw {
            path,
            line,
            reason: Reason::Incomplete,
            message: format!("the patch at line {line} is cut off"),
        }));
    }

    fn is_in_chunk(&self) -> bool {
        let op = self.part.as_ref().map(|part| &part.op);
        matches!(op, Some(Op::Update { chunk: Some(_), .. }))
    }

    fn star(&mut self, star: Star<'_>, number: usize, found: &mut Vec<Found>) -> Flow {
        if let Some(Part {
            op: Op::Update { may_have_ended, .. },
            ..
        }) = &mut self.part
        {
            *may_have_ended = false;
        }
        match star {
            Star::Begin if self.part.is_none() && !self.is_skipping => {}
            Star::Begin => {
                self.spoil(
                    &format!("another patch begins within it, line {number}"),
                    found,
                );
                return Flow::Foreign;
            }
            Star::End => {
                self.close_part(found);
                return Flow::Ended;
            }
            Star::Add(path) => {
                let (content, bare) = (String::new(), None);
                self.open_part(path, number, Op::Add { content, bare }, found);
            }
            Star::Update(path) => {
                let op = Op::Update {
                    to: None,
                    done: Vec::new(),
                    chunk: None,
                    may_have_ended: false,
                };
                self.open_part(path, number, op, found);
            }
            Star::Delete(path) => {
                let old = String::new();
                self.open_part(path, number, Op::Delete { old }, found);
            }
            Star::MoveTo(_) | Star::EndOfFile if self.is_skipping => return Flow::Skipped,
            Star::MoveTo(path) => self.move_to(path, number, found),
            Star::EndOfFile => self.end_of_file(number, found),
        }
        Flow::Row
    }

    fn open_part(&mut self, path: &str, number: usize, op: Op, found: &mut Vec<Found>) {
        self.close_part(found);
        self.is_skipping = false;
        if path.is_empty() {
            self.flaw(None, number, "no path is given for it", found);
            return;
        }
        self.last_path = Some(path.to_owned());
        found.push(Found::Started(path.to_owned()));
        self.part = Some(Part {
            path: path.to_owned(),
            line: number,
            op,
            rows: 0,
            bytes: 0,
        });
    }

    fn move_to(&mut self, path: &str, number: usize, found: &mut Vec<Found>) {
        let part = self.part.as_mut();
        match part.map(|part| &mut part.op) {
            Some(Op::Update {
                to: to @ None,
                done,
                chunk: None,
                ..
            }) if done.is_empty() && !path.is_empty() => *to = Some(path.to_owned()),
            _ => self.spoil(&format!("a file cannot be moved at line {number}"), found),
        }
    }

    fn end_of_file(&mut self, number: usize, found: &mut Vec<Found>) {
        let part = self.part.as_mut();
        if let Some(Op::Update {
            chunk: Some(chunk), ..
        }) = part.map(|part| &mut part.op)
        {
            chunk.keep_blanks();
            chunk.hunk.is_at_end = true;
            return self.close_chunk(found);
        }
        let message = format!("no hunk ends at the end of the file, line {number}");
        self.spoil(&message, found);
    }

    fn row(&mut self, row: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        let Some(part) = &mut self.part else {
            return match row.trim().is_empty() {
                true => Flow::Row,
                false => self.foreign(number, found),
            };
        };
        match &mut part.op {
            Op::Add { content, bare } => {
                if row.trim().is_empty() {
                    bare.get_or_insert(number);
                    return Flow::Row;
                }
                let (Some(text), None) = (row.strip_prefix('+'), &bare) else {
                    return self.foreign(number, found);
                };
                content.push_str(text);
                content.push('\n');
            }
            Op::Delete { old } => match row.strip_prefix('-') {
                Some(text) => {
                    old.push_str(text);
                    old.push('\n');
                }
                None if row.trim().is_empty() => return Flow::Row,
                None => return self.foreign(number, found),
            },
            Op::Update { .. } => return self.row_of_update(row, number, found),
        }
        self.counted(found);
        Flow::Row
    }

    fn row_of_update(&mut self, row: &str, number: usize, found: &mut Vec<Found>) -> Flow {
        if let Some(anchor) = anchor_of(row) {
            self.anchor(anchor, number, found);
            return Flow::Row;
        }
        let star = Star::read_padded(row);
        if let Some(Star::Add(_) | Star::Update(_) | Star::Delete(_)) = star {
            let message = format!("line {number} may be a row of it or the start of another");
            self.spoil(&message, found);
            return Flow::Skipped;
        }
        let Some(Part {
            op:
                Op::Update {
                    done,
                    chunk,
                    may_have_ended,
                    ..
                },
            ..
        }) = &mut self.part
        else {
            return Flow::Row;
        };
        if chunk.is_none() && row.is_empty() {
            return Flow::Row;
        }
        // Only the first chunk may do without its `@@`.
        let is_first = done.is_empty();
        let rows = match chunk {
            Some(rows) => rows,
            None if is_first && row.starts_with([' ', '-', '+']) => chunk.insert(Rows::at(number)),
            None => return self.foreign(number, found),
        };
        // Said of the row before it; the file gets a last line end anyway.
        if row.starts_with("\\ No newline") {
            return Flow::Row;
        }
        if !rows.row(row) {
            if *may_have_ended {
                return self.ended_before(found);
            }
            return self.foreign(number, found);
        }
        if !row.is_empty() {
            *may_have_ended = star == Some(Star::End);
        }
        self.counted(found);
        Flow::Row
    }

    fn anchor(&mut self, anchor: Anchor<'_>, number: usize, found: &mut Vec<Found>) {
        let is_stacked = match &self.part {
            Some(Part {
                op: Op::Update {
                    chunk: Some(rows), ..
                },
                ..
            }) => rows.is_empty() && !rows.ends_blank(),
            _ => false,
        };
        if !is_stacked {
            self.close_chunk(found);
        }
        if let Some(Part {
            op: Op::Update { chunk, .. },
            ..
        }) = &mut self.part
        {
            let rows = chunk.get_or_insert_with(|| Rows::at(number));
            rows.hunk.line = anchor.line.or(rows.hunk.line);
            if !anchor.text.is_empty() {
                rows.hunk.anchors.push(anchor.text.to_owned());
            }
        }
    }

    /// A row was taken.
    fn counted(&mut self, found: &mut Vec<Found>) {
        let Some(part) = &mut self.part else {
            return;
        };
        part.rows += 1;
        if part.rows.is_multiple_of(ROWS_PER_REPORT) {
            found.push(Found::Rows(part.path.clone(), part.rows));
        }
        let open = match &part.op {
            Op::Add { content: text, .. } | Op::Delete { old: text } => text.len(),
            Op::Update { chunk, .. } => chunk.as_ref().map_or(0, Rows::bytes),
        };
        if part.bytes + open > FILE_BYTES_MAX {
            let message = too_large(part.line);
            self.spoil(&message, found);
        }
    }

    /// The chunk is over: the next one begins, or its part ends.
    fn close_chunk(&mut self, found: &mut Vec<Found>) {
        let Some(part) = &mut self.part else {
            return;
        };
        let Op::Update { done, chunk, .. } = &mut part.op else {
            return;
        };
        let Some(mut rows) = chunk.take() else {
            return;
        };
        let line = rows.line;
        part.bytes += rows.bytes();
        // A patched file has a last line end.
        rows.hunk.final_newline = Some(true);
        let is_full = done.len() == HUNKS_MAX;
        match rows.close() {
            Ok(_) if is_full => self.spoil(&too_many(), found),
            Ok(hunk) => {
                let body = EditBody::Hunk(hunk);
                done.push(edit(&part.path, Format::ApplyPatch, line, body));
            }
            Err(message) => self.spoil(&message, found),
        }
    }

    /// The part is over, and whole.
    fn close_part(&mut self, found: &mut Vec<Found>) {
        if let Some(Part {
            op:
                Op::Update {
                    chunk: chunk @ Some(_),
                    may_have_ended: true,
                    ..
                },
            ..
        }) = &mut self.part
            && let Some(rows) = chunk
        {
            rows.drop_last_context();
        }
        self.close_chunk(found);
        let Some(part) = self.part.take() else {
            return;
        };
        let whole = |body| edit(&part.path, Format::ApplyPatch, part.line, body);
        match part.op {
            // Nothing at all is no reason to empty a file that is there.
            Op::Add { content, .. } if content.is_empty() => {
                found.push(Found::Edit(whole(EditBody::Create { content })));
            }
            Op::Add { content, .. } => {
                found.push(Found::Edit(whole(EditBody::Whole { content })));
            }
            Op::Delete { old } => {
                let old = Some(old).filter(|old| !old.is_empty());
                found.push(Found::Edit(whole(EditBody::Delete { old })));
            }
            Op::Update { to: None, done, .. } if done.is_empty() => {
                self.flaw(Some(part.path), part.line, "it has no hunk", found);
            }
            Op::Update { to, done, .. } => {
                let moved = to.map(|to| whole(EditBody::Move { to }));
                found.extend(done.into_iter().chain(moved).map(Found::Edit));
            }
        }
    }

    /// The line is none of the patch's.
    fn foreign(&mut self, number: usize, found: &mut Vec<Found>) -> Flow {
        let may_have_ended = match &self.part {
            Some(Part {
                op: Op::Update { may_have_ended, .. },
                ..
            }) => *may_have_ended,
            _ => false,
        };
        if may_have_ended {
            return self.ended_before(found);
        }
        if !self.is_skipping {
            self.spoil(&format!("line {number} does not belong to it"), found);
        }
        Flow::Skipped
    }

    /// The padded marker before this line did end the patch.
    fn ended_before(&mut self, found: &mut Vec<Found>) -> Flow {
        self.close_part(found);
        Flow::Foreign
    }

    /// The open part cannot be read.
    fn spoil(&mut self, message: &str, found: &mut Vec<Found>) {
        self.is_skipping = true;
        match self.part.take() {
            Some(part) => self.flaw(Some(part.path), part.line, message, found),
            None => self.flaw(None, self.line, message, found),
        }
    }

    fn flaw(&self, path: Option<String>, line: usize, what: &str, found: &mut Vec<Found>) {
        found.push(Found::Flaw(PartFlaw {
            path,
            line,
            reason: Reason::Malformed,
            message: format!("the patch at line {line} cannot be read: {what}"),
        }));
    }
}
