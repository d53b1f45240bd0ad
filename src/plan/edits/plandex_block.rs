//! `<PlandexBlock lang="…" path="…">` … `</PlandexBlock>`: a file's text, in which comments may
//! stand for what stays as it is.

use super::elision::is_elision;
use super::fence::{Fence, edit_text};
use super::patch::{Indent, too_large};
use super::search_replace::Marker;
use super::whole_file::is_markdown;
use super::{Edit, EditBody, FILE_BYTES_MAX, Format, apply_patch};

/// The tag that opens a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    /// The path it names.
    pub(crate) path: Option<String>,
}

impl Tag {
    /// Reads a line that is nothing but the tag.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let rest = line
            .trim()
            .strip_prefix("<PlandexBlock")?
            .strip_suffix('>')?;
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return None;
        }
        let value = rest.split_once("path=").map(|(_, value)| value);
        let path = value.and_then(|value| {
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            value[1..].split(quote).next()
        });
        let path = path.map(|path| path.trim().trim_start_matches("./"));
        Some(Self {
            path: path.filter(|path| !path.is_empty()).map(str::to_owned),
        })
    }

    /// Tells whether a line closes a block.
    pub(crate) fn is_end(line: &str) -> bool {
        line.trim() == "</PlandexBlock>"
    }
}

/// A block whose end has not come yet.
#[derive(Debug)]
pub(crate) struct TaggedFile {
    /// The file, if the tag or a label named one.
    pub(crate) path: Option<String>,
    /// Where the tag stands in the reply, 1-based.
    pub(crate) line: usize,
    indent: Indent,
    rows: String,
    row_count: usize,
    flaw: Option<String>,
}

/// What a line was to an open block.
#[derive(Debug)]
pub(crate) enum TagStep {
    /// A line of the file.
    Row,
    /// The closing tag.
    Closed(Edit),
    /// The closing tag of a block that is none, and what is wrong with it.
    Spoiled(String),
    /// Another opening tag: this block was never closed.
    NextBlock,
}

impl TaggedFile {
    pub(crate) fn open(path: Option<String>, line: &str, number: usize) -> Self {
        Self {
            path,
            line: number,
            indent: Indent::of(line),
            rows: String::new(),
            row_count: 0,
            flaw: None,
        }
    }

    /// Takes a line, the `number`-th of the reply.
    pub(crate) fn step(&mut self, line: &str, number: usize) -> TagStep {
        if Tag::is_end(line) {
            return self.close();
        }
        if Tag::read(line).is_some() {
            return TagStep::NextBlock;
        }
        if self.flaw.is_none() {
            self.flaw = self.flaw_of(line, number);
        }
        self.row_count += 1;
        if self.flaw.is_none() {
            self.rows.push_str(line);
            self.rows.push('\n');
        }
        TagStep::Row
    }

    /// How many lines of the file have come.
    pub(crate) fn row_count(&self) -> usize {
        self.row_count
    }

    fn flaw_of(&self, line: &str, number: usize) -> Option<String> {
        if self.rows.len() + line.len() > FILE_BYTES_MAX {
            return Some(too_large(self.line));
        }
        let bare = self.indent.strip(line).unwrap_or(line);
        let marker = Marker::read(bare).filter(|marker| !marker.is_divider());
        (marker.is_some() || apply_patch::lines::is_begin(bare))
            .then(|| format!("a marker of another edit stands in it, line {number}"))
    }

    fn close(&mut self) -> TagStep {
        if let Some(flaw) = self.flaw.take() {
            return TagStep::Spoiled(flaw);
        }
        let path = self.path.take().unwrap_or_default();
        let content = edit_text(&self.rows, &self.indent.0);
        let content = unfenced(&path, &content);
        TagStep::Closed(Edit {
            format: Format::PlandexBlock,
            line: self.line,
            body: body_of(&path, content),
            path,
            other_readings: Vec::new(),
        })
    }
}

/// The text of a file, whole or with lines that stand for others.
pub(crate) fn body_of(path: &str, content: String) -> EditBody {
    match content.lines().any(|line| is_elision(path, line)) {
        true => EditBody::Segments { content },
        false => EditBody::Whole { content },
    }
}

/// Text without a code fence around all of it, which no source file has.
fn unfenced(path: &str, content: &str) -> String {
    let inner = || {
        let (first, rest) = content.split_once('\n')?;
        let fence = Fence::open(first)?;
        let rest = rest.strip_suffix('\n')?;
        let (inner, last) = match rest.rsplit_once('\n') {
            Some((inner, last)) => (format!("{inner}\n"), last),
            None => (String::new(), rest),
        };
        fence.is_closed_by(last).then_some(inner)
    };
    match is_markdown(path) {
        true => content.to_owned(),
        false => inner().unwrap_or_else(|| content.to_owned()),
    }
}
