//! Code fences in a reply: whole files, wrappers around SEARCH/REPLACE blocks, or prose.
//!
//! Which of these a fence is shows at its first line with text, at the latest at the one after a
//! path. Until then its lines are held.

use super::{LABEL_LINES, Open, ReplyEvent, ReplyParser};
use crate::plan::edits::fence::Fence;
use crate::plan::edits::plandex_block::Tag;
use crate::plan::edits::search_replace::Marker;
use crate::plan::edits::whole_file::WholeFile;
use crate::plan::edits::{Format, label};

/// A code fence that is not, or not yet, a whole file.
#[derive(Debug)]
pub(super) struct CodeFence {
    pub(super) fence: Fence,
    pub(super) line: usize,
    /// The path in its info string.
    pub(super) info_label: Option<String>,
    /// The file it is, if its text is that file's text.
    pub(super) file: Option<String>,
    pub(super) content: Content,
    /// Fences with an info string that are open inside it.
    inner: Vec<Fence>,
}

/// What a code fence holds.
#[derive(Debug)]
pub(super) enum Content {
    /// Not known yet: the lines so far, the fence's own first, may be a label or the file's.
    Undecided(Vec<String>),
    /// Text for the reader.
    Prose,
    /// SEARCH/REPLACE blocks.
    Blocks,
}

impl ReplyParser {
    pub(super) fn open_fence(&mut self, fence: Fence, line: &str) {
        let info_label = label::from_info(&fence.info);
        let file = info_label.clone().or_else(|| {
            let above = self.label_above(label::from_line_surely)?;
            may_be_text_of(&above, &label::language(&fence.info)).then_some(above)
        });
        self.fence = Some(CodeFence {
            fence,
            line: self.line_count,
            info_label,
            file,
            content: Content::Undecided(vec![line.to_owned()]),
            inner: Vec::new(),
        });
    }

    pub(super) fn line_of_fence(&mut self, line: &str) {
        if self.begins_patch(line) {
            return;
        }
        let Some(code) = &mut self.fence else {
            return;
        };
        match Marker::read(code.fence.unindented(line)) {
            Some(Marker::Search(_)) => {
                if let Content::Undecided(_) = code.content {
                    code.content = Content::Blocks;
                }
                return self.open_block(line);
            }
            Some(Marker::Replace(_)) => self.stray_end(),
            Some(Marker::Divider(_)) | None => {}
        }
        if let Some(tag) = Tag::read(line) {
            return self.open_tag_in_fence(tag, line);
        }
        self.stray_tag(line);
        self.text_of_fence(line);
    }

    fn open_tag_in_fence(&mut self, tag: Tag, line: &str) {
        let label = self.fence.as_ref().and_then(|code| code.info_label.clone());
        if let Some(code) = &mut self.fence {
            code.content = Content::Blocks;
        }
        let path = tag.path.or(label);
        self.open_tagged(Tag { path }, line);
    }

    /// Takes a line that begins nothing.
    pub(super) fn text_of_fence(&mut self, line: &str) {
        let Some(code) = &mut self.fence else {
            return;
        };
        if code.inner.is_empty() && code.fence.is_closed_by(line) {
            return self.close_fence(line);
        }
        match &mut code.content {
            Content::Undecided(held) => {
                let is_first = held[1..].iter().all(|held| held.trim().is_empty());
                let may_be_label = line.trim().is_empty() || label::from_line(line).is_some();
                if is_first && may_be_label && held.len() <= LABEL_LINES {
                    held.push(line.to_owned());
                    return self.remember(line);
                }
                self.decide_fence();
                if let Open::File(_) = self.open {
                    return self.line_of_file(line);
                }
                self.text_of_fence(line);
            }
            Content::Prose | Content::Blocks => {
                let hidden = code.track_inner(line).map(|path| (path, code.line));
                if let Some((path, outer)) = hidden {
                    self.hidden_file(path, outer);
                }
                self.prose(line);
            }
        }
    }

    /// The fence holds no block: it is a whole file if it is labelled, else prose.
    pub(super) fn decide_fence(&mut self) {
        let Some(code) = &mut self.fence else {
            return;
        };
        let Content::Undecided(held) = &mut code.content else {
            return;
        };
        let held = std::mem::take(held);
        code.content = Content::Prose;
        let is_diff = code.is_diff();
        match code.file.take() {
            Some(path) if !is_diff || is_diff_file(&path) => {
                let mut file = WholeFile::open(path.clone(), code.line, code.fence.clone());
                for (line, number) in held[1..].iter().zip(code.line + 1..) {
                    file.step(line, number);
                }
                self.open = Open::File(file);
                self.start_file(path, Format::WholeFile);
            }
            file => {
                let at = code.line;
                self.give_back(held);
                if let Some(path) = file {
                    let message = format!("the text at line {at} is a diff, not a whole file");
                    self.malformed(Some(path), Format::WholeFile, at, message);
                }
            }
        }
    }

    /// The text is over before the fence is.
    pub(super) fn undecided_fence(&mut self, code: CodeFence) {
        if let Content::Undecided(held) = code.content {
            match code.file {
                Some(path) => self.incomplete_file(path, code.line),
                None => self.give_back(held),
            }
        }
    }

    /// A labelled fence inside a fence of the same kind is an example, or shows that the outer one
    /// was not closed.
    fn hidden_file(&mut self, path: String, outer: usize) {
        let line = self.line_count;
        let message =
            format!("the code fence at line {line} stands inside the one at line {outer}");
        self.malformed(Some(path), Format::WholeFile, line, message);
    }

    fn close_fence(&mut self, line: &str) {
        self.decide_fence();
        self.recent.clear();
        if let Open::File(_) = self.open {
            return self.line_of_file(line);
        }
        if let Some(CodeFence {
            content: Content::Prose,
            ..
        }) = self.fence.take()
        {
            self.events.push(ReplyEvent::Prose(format!("{line}\n")));
        }
    }
}

impl CodeFence {
    /// Whether its language says that it holds a diff.
    fn is_diff(&self) -> bool {
        matches!(
            label::language(&self.fence.info).as_str(),
            "diff" | "patch" | "udiff"
        )
    }

    fn label(&self) -> Option<&str> {
        self.info_label.as_deref().or(self.file.as_deref())
    }

    /// Whether a diff in it is one: not among commands, nor in a file that is a diff.
    pub(super) fn may_hold_diff(&self) -> bool {
        !SHELLS.contains(&label::language(&self.fence.info).as_str())
            && !self.label().is_some_and(is_diff_file)
    }

    /// Whether a hunk in it may do without a header: the fence says that it holds a diff, or the
    /// hunk's numbers show that its first line is no file's.
    pub(super) fn may_be_headless(&self, line: &str) -> bool {
        self.is_diff()
            || (self.label().is_some()
                && matches!(self.content, Content::Undecided(_))
                && line.starts_with("@@ -"))
    }

    /// Keeps account of fences inside this one, so that their ends are not taken for its own.
    /// Gives the label of one that opens, unless this is a document that shows it.
    fn track_inner(&mut self, line: &str) -> Option<String> {
        let innermost = self.inner.last().unwrap_or(&self.fence);
        if !self.inner.is_empty() && innermost.is_closed_by(line) {
            self.inner.pop();
            return None;
        }
        let inner = innermost.opens_inside(line)?;
        let is_document = matches!(
            label::language(&self.fence.info).as_str(),
            "md" | "markdown"
        );
        let label = label::from_info(&inner.info).filter(|_| !is_document);
        self.inner.push(inner);
        label
    }
}

/// Languages of commands.
const SHELLS: [&str; 12] = [
    "sh",
    "bash",
    "zsh",
    "fish",
    "shell",
    "console",
    "shellsession",
    "terminal",
    "powershell",
    "ps1",
    "bat",
    "cmd",
];

/// Tells whether a fence in this language may hold the text of the file on the line above it.
/// Commands under a file's name are commands about it, unless the file is a script.
fn may_be_text_of(path: &str, language: &str) -> bool {
    const SCRIPTS: [&str; 7] = ["sh", "bash", "zsh", "fish", "ps1", "bat", "cmd"];
    !SHELLS.contains(&language)
        || SCRIPTS.contains(&label::extension(path).to_ascii_lowercase().as_str())
        || label::is_dot_file(path)
}

fn is_diff_file(path: &str) -> bool {
    matches!(label::extension(path), "diff" | "patch")
}
