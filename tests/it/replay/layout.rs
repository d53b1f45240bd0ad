//! A file as lines, and lines as a file.

/// A file's lines, and whether the last one has an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) lines: Vec<String>,
    pub(super) final_newline: bool,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let final_newline = text.is_empty() || lines.last().is_some_and(String::is_empty);
        if lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        Self {
            lines,
            final_newline,
        }
    }

    /// The file with these line ends.
    pub(super) fn text(&self, end: &str) -> String {
        let mut text = self.lines.join(end);
        if self.final_newline && !self.lines.is_empty() {
            text.push_str(end);
        }
        text
    }

    /// The lines as a diff compares them: a last one without an end is another line.
    pub(super) fn keyed(&self) -> Vec<(&str, bool)> {
        let last = self.lines.len();
        let keyed = self.lines.iter().zip(1..);
        keyed
            .map(|(line, number)| (line.as_str(), number == last && !self.final_newline))
            .collect()
    }
}
