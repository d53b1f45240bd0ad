//! Whole files: a code fence labelled with a path, whose text is the file's new text.

use super::fence::{Fence, edit_text};
use super::patch::too_large;
use super::plandex_block::body_of;
use super::search_replace::Marker;
use super::{Edit, EditBody, FILE_BYTES_MAX, Format, apply_patch, label};

/// A labelled fence whose end has not come yet.
#[derive(Debug)]
pub(crate) struct WholeFile {
    pub(crate) path: String,
    /// Where the fence opens in the reply, 1-based.
    pub(crate) line: usize,
    fence: Fence,
    /// The lines so far, each with an LF.
    rows: String,
    row_count: usize,
    /// Fences with an info string that are open inside the file's text.
    inner: Vec<Fence>,
    /// Why it cannot be written, if it cannot.
    flaw: Option<String>,
}

/// What a line was to an open labelled fence.
#[derive(Debug)]
pub(crate) enum FileStep {
    /// A line of the file.
    Row,
    /// The closing fence.
    Closed(Edit),
    /// The closing fence of a file that cannot be written, and why.
    Spoiled(String),
    /// A marker of a SEARCH/REPLACE block, which no file should be given.
    Marker,
    /// A labelled fence: this one was never closed.
    NextFile,
}

impl WholeFile {
    pub(crate) fn open(path: String, line: usize, fence: Fence) -> Self {
        Self {
            path,
            line,
            fence,
            rows: String::new(),
            row_count: 0,
            inner: Vec::new(),
            flaw: None,
        }
    }

    /// Takes a line, the `number`-th of the reply.
    pub(crate) fn step(&mut self, line: &str, number: usize) -> FileStep {
        if let Some(inner) = self.inner.last() {
            if inner.is_closed_by(line) {
                self.inner.pop();
            } else if let Some(deeper) = inner.opens_inside(line) {
                self.inner.push(deeper);
            }
            return self.row(line);
        }
        if self.fence.is_closed_by(line) {
            return match self.flaw.take() {
                Some(flaw) => FileStep::Spoiled(flaw),
                None => FileStep::Closed(self.close()),
            };
        }
        if Marker::read(self.fence.unindented(line)).is_some_and(|marker| !marker.is_divider()) {
            return FileStep::Marker;
        }
        if apply_patch::lines::is_begin(line) {
            let flaw = format!("a patch stands in it, line {number}");
            self.flaw.get_or_insert(flaw);
        }
        if let Some(inner) = self.fence.opens_inside(line) {
            if !is_markdown(&self.path) && label::from_info(&inner.info).is_some() {
                return FileStep::NextFile;
            }
            self.inner.push(inner);
        }
        self.row(line)
    }

    /// How many lines of the file have come.
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    fn row(&mut self, line: &str) -> FileStep {
        self.row_count += 1;
        if self.rows.len() + line.len() > FILE_BYTES_MAX {
            self.flaw.get_or_insert(too_large(self.line));
        }
        if self.flaw.is_none() {
            self.rows.push_str(line);
            self.rows.push('\n');
        }
        FileStep::Row
    }

    fn close(&mut self) -> Edit {
        let content = edit_text(&self.rows, &self.fence.indent);
        let path = std::mem::take(&mut self.path);
        let body = body_of(&path, content);
        let format = if matches!(body, EditBody::Segments { .. }) {
            Format::PlandexBlock
        } else {
            Format::WholeFile
        };
        Edit {
            path,
            format,
            line: self.line,
            body,
            other_readings: Vec::new(),
        }
    }
}

/// Documents that may hold labelled fences of their own.
pub(super) fn is_markdown(path: &str) -> bool {
    let extension = label::extension(path).to_ascii_lowercase();
    matches!(
        extension.as_str(),
        "md" | "markdown" | "mdx" | "mdc" | "qmd" | "rmd" | "rst" | "adoc" | "txt"
    )
}
