//! Whole files: a code fence labelled with a path, whose text is the file's new text.

use super::fence::{Fence, edit_text};
use super::search_replace::Marker;
use super::{Edit, EditBody, Format, label};

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
}

/// What a line was to an open labelled fence.
#[derive(Debug)]
pub(crate) enum FileStep {
    /// A line of the file.
    Row,
    /// The closing fence.
    Closed(Edit),
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
        }
    }

    pub(crate) fn step(&mut self, line: &str) -> FileStep {
        if let Some(inner) = self.inner.last() {
            if inner.is_closed_by(line) {
                self.inner.pop();
            } else if let Some(deeper) = inner.opens_inside(line) {
                self.inner.push(deeper);
            }
            return self.row(line);
        }
        if self.fence.is_closed_by(line) {
            return FileStep::Closed(self.close());
        }
        if Marker::read(self.fence.unindented(line)).is_some_and(|marker| !marker.is_divider()) {
            return FileStep::Marker;
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
        self.rows.push_str(line);
        self.rows.push('\n');
        self.row_count += 1;
        FileStep::Row
    }

    fn close(&mut self) -> Edit {
        let content = edit_text(&self.rows, &self.fence.indent);
        Edit {
            path: std::mem::take(&mut self.path),
            format: Format::WholeFile,
            line: self.line,
            body: EditBody::Whole { content },
            other_readings: Vec::new(),
        }
    }
}

/// Documents that may hold labelled fences of their own.
fn is_markdown(path: &str) -> bool {
    let extension = label::extension(path).to_ascii_lowercase();
    matches!(
        extension.as_str(),
        "md" | "markdown" | "mdx" | "mdc" | "qmd" | "rmd" | "rst" | "adoc" | "txt"
    )
}
