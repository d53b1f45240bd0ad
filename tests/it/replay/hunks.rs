//! A change as hunks, and what may go wrong with hunks on their way through a model.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use plandex::plan::edits::Format;

use super::layout::Lines;

/// One line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// ' ', '-' or '+'.
    pub(super) sign: char,
    pub(super) text: String,
}

/// Some rows, and what a diff says of their place.
#[derive(Debug, Clone, Default)]
pub(super) struct Hunk {
    pub(super) rows: Vec<Row>,
    /// Where the old lines begin: a line index in the old file.
    pub(super) start: usize,
    /// What the diff gives for it, 1-based; a perturbed one is wrong.
    pub(super) number: usize,
    /// The last line above that starts with a name, as git has it.
    pub(super) heading: Option<String>,
    /// The line above.
    pub(super) above: Option<String>,
    /// Whether the old, and the new, last line is in here and has no line end.
    pub(super) bare_ends: (bool, bool),
    /// Whether the old rows reach the end of the file.
    pub(super) is_at_end: bool,
}

impl Hunk {
    pub(super) fn side(&self, sign: char) -> Vec<&str> {
        let rows = self.rows.iter().filter(|row| row.sign != sign);
        rows.map(|row| row.text.as_str()).collect()
    }

    /// What follows `@@`. A careful model leads a patch that only adds to the very line above.
    pub(super) fn anchor(&self, format: Format) -> Option<String> {
        if format == Format::ApplyPatch && self.old().is_empty() {
            self.above.clone()
        } else {
            self.heading.clone()
        }
    }

    pub(super) fn old(&self) -> Vec<&str> {
        self.side('+')
    }

    pub(super) fn new_lines(&self) -> Vec<&str> {
        self.side('-')
    }
}

/// The hunks between two files with so many lines of context.
pub(super) fn hunks(before: &Lines, after: &Lines, context: usize) -> Vec<Hunk> {
    let (old, new) = (before.keyed(), after.keyed());
    let ops = capture_diff_slices(Algorithm::Myers, &old, &new);
    let groups = similar::group_diff_ops(ops, context);
    let groups = groups.iter().filter(|group| group.iter().any(is_change));
    groups.map(|group| hunk(before, after, group)).collect()
}

fn is_change(op: &DiffOp) -> bool {
    !matches!(op, DiffOp::Equal { .. })
}

fn hunk(before: &Lines, after: &Lines, ops: &[DiffOp]) -> Hunk {
    let mut rows = Vec::new();
    let mut put = |sign: char, lines: &[String]| {
        rows.extend(lines.iter().map(|text| Row {
            sign,
            text: text.clone(),
        }));
    };
    for op in ops {
        match op {
            DiffOp::Equal { .. } => put(' ', &before.lines[op.old_range()]),
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                put('-', &before.lines[op.old_range()]);
                put('+', &after.lines[op.new_range()]);
            }
        }
    }
    let start = ops.first().map_or(0, |op| op.old_range().start);
    let old_end = ops.last().map_or(0, |op| op.old_range().end);
    let new_end = ops.last().map_or(0, |op| op.new_range().end);
    let is_at_end = old_end == before.lines.len();
    let heading = before.lines[..start]
        .iter()
        .rev()
        .find(|line| line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$'));
    // Where nothing is removed, a diff gives the line before.
    let is_insertion = rows.iter().all(|row| row.sign == '+');
    Hunk {
        number: start + usize::from(!is_insertion),
        rows,
        start,
        above: start
            .checked_sub(1)
            .map(|above| before.lines[above].clone()),
        heading: heading.map(|line| {
            line.chars()
                .take(80)
                .collect::<String>()
                .trim_end()
                .to_owned()
        }),
        bare_ends: (
            is_at_end && !before.final_newline,
            new_end == after.lines.len() && !after.final_newline,
        ),
        is_at_end,
    }
}
