//! What stood on two terminals, moment by moment.

use crate::support::OnTerminal;

/// How wide each terminal is.
pub(super) const COLUMNS: u16 = 66;
/// How many of its rows are shown.
pub(super) const ROWS: u16 = 15;

/// Characters side by side that look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) column: u16,
    pub(super) text: String,
    /// The words of its style: a colour, "bold", "dim".
    pub(super) style: Vec<&'static str>,
}

/// A row of a terminal.
pub(super) type Row = Vec<Run>;

/// Both terminals at one moment.
#[derive(Debug)]
pub(super) struct Frame {
    /// From the beginning of the film.
    pub(super) at_ms: u32,
    pub(super) panes: [Vec<Row>; 2],
}

#[derive(Debug, Default)]
pub(super) struct Film {
    pub(super) frames: Vec<Frame>,
    pub(super) length_ms: u32,
    /// The frame that is shown where nothing moves.
    pub(super) still: usize,
}

impl Film {
    /// Shows both terminals as they are now for so long.
    pub(super) fn hold(&mut self, ms: u32, one: &OnTerminal<'_>, two: &OnTerminal<'_>) {
        self.frames.push(Frame {
            at_ms: self.length_ms,
            panes: [rows(one), rows(two)],
        });
        self.length_ms += ms;
    }

    /// The last frame is the one for paper.
    pub(super) fn still_is_here(&mut self) {
        self.still = self.frames.len() - 1;
    }
}

fn rows(terminal: &OnTerminal<'_>) -> Vec<Row> {
    let parser = terminal.drawn();
    let screen = parser.screen();
    (0..ROWS)
        .map(|row| {
            let mut runs: Row = Vec::new();
            for column in 0..COLUMNS {
                let Some(cell) = screen.cell(row, column) else {
                    continue;
                };
                let mut style = Vec::new();
                match cell.fgcolor() {
                    vt100::Color::Idx(1 | 9) => style.push("red"),
                    vt100::Color::Idx(2 | 10) => style.push("green"),
                    vt100::Color::Idx(3 | 11) => style.push("yellow"),
                    vt100::Color::Idx(6 | 14) => style.push("cyan"),
                    _ => {}
                }
                if cell.bold() {
                    style.push("bold");
                }
                if cell.dim() {
                    style.push("dim");
                }
                let text = if cell.contents().is_empty() {
                    " "
                } else {
                    cell.contents()
                };
                match runs.last_mut() {
                    Some(run) if run.style == style => run.text.push_str(text),
                    _ => runs.push(Run {
                        column,
                        text: text.to_owned(),
                        style,
                    }),
                }
            }
            // Blanks at the end are nothing.
            if let Some(last) = runs.last_mut() {
                last.text.truncate(last.text.trim_end().len());
            }
            runs.retain(|run| !run.text.trim().is_empty());
            runs
        })
        .collect()
}
