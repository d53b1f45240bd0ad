//! Tables of text.

use comfy_table::{Cell, CellAlignment, ContentArrangement, presets};
use comfy_table::{ContentLineStyle, LineStyle, TableStyle};

use super::escape;
use super::render::head;

/// What is drawn around the cells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Columns two spaces apart.
    Open,
    /// `+---+` lines around and below the headings, which are centred (SEED.md B.5).
    Boxed,
}

/// Rows of cells below headings. Cells may hold any text; each is escaped to one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    frame: Frame,
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

const BOXED: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('+', '-', '+', '+'))
    .header_lines(ContentLineStyle::new('|', '|', '|'))
    .header_separator(LineStyle::new('+', '-', '+', '+'))
    .content_lines(ContentLineStyle::new('|', '|', '|'))
    .bottom_border(LineStyle::new('+', '-', '+', '+'));

impl Table {
    /// A table without rows.
    pub fn new<'a>(frame: Frame, headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            frame,
            headings: headings.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing at its end are empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }

    /// The lines of the table, never wider than `width` columns: cells are wrapped, and where
    /// there is no room even for that, lines are cut. Without a width nothing is.
    pub(super) fn shown(&self, width: Option<usize>) -> String {
        let mut table = comfy_table::Table::new();
        match self.frame {
            Frame::Open => table.load_style(presets::NOTHING),
            Frame::Boxed => table.load_style(BOXED),
        };
        if let Some(width) = width {
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        let centred = match self.frame {
            Frame::Open => CellAlignment::Left,
            Frame::Boxed => CellAlignment::Center,
        };
        let heading = |text: &String| Cell::new(escape::line(text)).set_alignment(centred);
        table.set_header(self.headings.iter().map(heading));
        for row in &self.rows {
            table.add_row(row.iter().map(|text| Cell::new(escape::line(text))));
        }
        if self.frame == Frame::Open {
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        let mut shown = String::new();
        for line in table.lines() {
            let line = line.trim_end();
            shown.push_str(width.map_or(line, |width| head(line, width)));
            shown.push('\n');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn a_boxed_table_looks_as_the_seed_draws_it() {
        let mut table = Table::new(Frame::Boxed, ["Plan", "Scope", "Branch", "Age"]);
        table.row(["my-feature", "write", "main", "2 hours"]);
        let expected = "\
+------------+-------+--------+---------+
|    Plan    | Scope | Branch |   Age   |
+------------+-------+--------+---------+
| my-feature | write | main   | 2 hours |
+------------+-------+--------+---------+
";
        assert_eq!(table.shown(None), expected);
        assert_eq!(table.shown(Some(80)), expected);
    }

    #[test]
    fn an_open_table_has_columns_and_nothing_else() {
        let mut table = Table::new(Frame::Open, ["PLAN", "STATUS"]);
        table
            .row(["日本", "ready"])
            .row(["a", "b\x1b[2J\nc"])
            .row(["short"]);
        let expected = "PLAN   STATUS\n日本   ready\na      b\\x1b[2J\\nc\nshort\n";
        assert_eq!(table.shown(None), expected);
    }

    #[test]
    fn cells_are_wrapped_before_anything_is_lost() {
        let mut table = Table::new(Frame::Open, ["ID", "NAME"]);
        table.row(["1", "a name that is longer than the terminal"]);
        let shown = table.shown(Some(20));
        assert!(shown.lines().all(|line| line.width() <= 20), "{shown}");
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "ID NAME 1 a name that is longer than the terminal"
        );
    }

    #[test]
    fn a_cell_beyond_all_bounds_does_no_harm() {
        let mut table = Table::new(Frame::Open, ["A"]);
        table.row(["x".repeat(70_000)]);
        assert!(table.shown(Some(40)).lines().all(|line| line.len() <= 40));
        assert!(table.shown(None).contains(&"x".repeat(60_000)));
    }

    proptest! {
        #[test]
        fn no_table_is_wider_than_its_terminal(
            rows in prop::collection::vec(prop::collection::vec("\\PC{0,20}", 0..5), 0..5),
            width in 1..60_usize,
        ) {
            for frame in [Frame::Open, Frame::Boxed] {
                let mut table = Table::new(frame, ["one", "two", "three"]);
                for row in &rows {
                    table.row(row);
                }
                let shown = table.shown(Some(width));
                prop_assert!(shown.lines().all(|line| line.width() <= width), "{}", shown);
            }
        }
    }
}
