//! Code fences, as CommonMark has them, but for two things: a fence may be indented as deep as it
//! likes (lists), and the closing one stands no deeper than the opening one, so that an indented
//! fence inside a file's text is text.

/// The line that opens a code fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: char,
    length: usize,
    /// The blanks before it, which the lines inside may share.
    pub(crate) indent: String,
    /// What follows the marks, trimmed.
    pub(crate) info: String,
}

impl Fence {
    /// Reads an opening line.
    pub(crate) fn open(line: &str) -> Option<Self> {
        let inner = line.trim_start_matches([' ', '\t']);
        let mark = inner
            .chars()
            .next()
            .filter(|mark| matches!(mark, '`' | '~'))?;
        let info = inner.trim_start_matches(mark);
        let length = inner.len() - info.len();
        let is_open = length >= 3 && !(mark == '`' && info.contains('`'));
        is_open.then(|| Self {
            mark,
            length,
            indent: line[..line.len() - inner.len()].to_owned(),
            info: info.trim().to_owned(),
        })
    }

    /// Tells whether a line closes this fence: the same mark, no fewer, and nothing else.
    pub(crate) fn is_closed_by(&self, line: &str) -> bool {
        let inner = line.trim_start_matches([' ', '\t']);
        let rest = inner.trim_start_matches(self.mark);
        line.len() - inner.len() <= self.indent.len()
            && inner.len() - rest.len() >= self.length
            && rest.trim().is_empty()
    }

    /// Tells whether a line opens a fence inside this one that could be taken for its end: one
    /// with an info string, which no closing line has.
    pub(crate) fn opens_inside(&self, line: &str) -> Option<Self> {
        Self::open(line).filter(|inner| {
            !inner.info.is_empty()
                && inner.mark == self.mark
                && inner.length >= self.length
                && inner.indent.len() <= self.indent.len()
        })
    }

    /// A line without the fence's own indentation, as far as it has it.
    pub(crate) fn unindented<'a>(&self, line: &'a str) -> &'a str {
        let has = line.len() - line.trim_start_matches([' ', '\t']).len();
        &line[has.min(self.indent.len())..]
    }
}

/// Lines as an edit's text, without the indentation they all share with their fence. If any line
/// lacks it, the model indented only the fence, and all lines are as they should be.
pub(crate) fn edit_text(lines: &str, indent: &str) -> String {
    if indent.is_empty() || !shares_indent(lines, indent) {
        return lines.to_owned();
    }
    let mut text = String::with_capacity(lines.len());
    for line in lines.split_inclusive('\n') {
        // A blank line may be shorter.
        text.push_str(line.strip_prefix(indent).unwrap_or("\n"));
    }
    text
}

/// Tells whether all lines that are not blank start with an indentation.
pub(crate) fn shares_indent(lines: &str, indent: &str) -> bool {
    lines
        .lines()
        .all(|line| line.starts_with(indent) || line.trim().is_empty())
}
