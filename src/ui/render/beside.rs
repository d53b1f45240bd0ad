//! Two versions of a file beside each other.

use super::{columns, truncated};
use crate::ui::style::{Signs, Style, Text};

/// A line with its number; none where the other side stands alone.
pub type Cell<'a> = Option<(usize, &'a str)>;

/// One row: the old line, the new line, cut to `width` columns together.
pub fn beside(old: Cell<'_>, new: Cell<'_>, width: usize, signs: &Signs) -> Text {
    let is_same = matches!((old, new), (Some((_, a)), Some((_, b))) if a == b);
    let half = width.saturating_sub(3).max(20) / 2;
    let styles = match is_same {
        true => [Style::Plain; 2],
        false => [Style::Red, Style::Green],
    };
    let mark = match (old, new) {
        _ if is_same => " ",
        (Some(_), Some(_)) => "|",
        (Some(_), None) => "<",
        _ => ">",
    };
    let left = cell(old, half, signs);
    let gap = " ".repeat(half.saturating_sub(columns(&left)));
    let right = cell(new, half, signs);
    let row = Text::styled(styles[0], left).plain(gap);
    let row = row.then(Style::Dim, format!(" {mark} "));
    row.then(styles[1], right)
}

fn cell(cell: Cell<'_>, width: usize, signs: &Signs) -> String {
    let Some((number, line)) = cell else {
        return String::new();
    };
    // A tab would be as wide as where it stands says.
    let line = line.trim_end_matches('\r').replace('\t', "    ");
    let line = crate::ui::escape::text(&line).into_owned();
    truncated(&format!("{number:>5} {line}"), width, signs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::ASCII;

    #[test]
    fn both_sides_have_half_of_the_width() {
        let row = |old, new| beside(old, new, 43, &ASCII).unstyled();
        assert_eq!(
            row(Some((1, "a")), Some((1, "a"))),
            format!("{:<20}   {}", "    1 a", "    1 a")
        );
        assert_eq!(row(Some((2, "b")), None), format!("{:<20} < ", "    2 b"));
        assert_eq!(
            row(None, Some((3, "c\td"))),
            format!("{:<20} >     3 c    d", "")
        );
        let long = row(Some((4, &"x".repeat(99))), Some((4, &"文".repeat(50))));
        assert!(columns(&long) <= 43, "{long}");
        assert!(long.contains("..."), "{long}");
    }

    #[test]
    fn nothing_of_a_line_reaches_the_terminal_as_it_is() {
        let row = beside(Some((1, "\x1b[2Jx")), None, 80, &ASCII);
        assert!(!row.unstyled().contains('\x1b'));
    }
}
