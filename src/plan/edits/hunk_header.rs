//! The `@@` line of a unified diff. Its numbers are hints, and so is the text behind them.

/// What a hunk's first line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HunkHeader<'a> {
    /// The line of the first old row, 1-based.
    pub(super) line: Option<usize>,
    /// How many old and new rows there are.
    pub(super) counts: Option<(usize, usize)>,
    /// A line of the file that stands above the hunk.
    pub(super) section: &'a str,
}

/// Reads a hunk's first line: with numbers, without, or with dots for them.
pub(super) fn read(line: &str) -> Option<HunkHeader<'_>> {
    let rest = line.strip_prefix("@@")?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let (ranges, section) = match rest.split_once("@@") {
        Some((ranges, section)) => (ranges.trim(), section.trim()),
        None => (rest.trim(), ""),
    };
    if let Some((old, new)) = numbers(ranges) {
        // Of no rows the line before them is given.
        let line = if old.1 == 0 { old.0 + 1 } else { old.0 };
        return Some(HunkHeader {
            line: Some(line).filter(|line| *line > 0),
            counts: Some((old.1, new.1)),
            section,
        });
    }
    // Without numbers, the text may stand before the second sign, or do without it.
    let is_filler = |text: &str| text.chars().all(|c| "-+.,… \t".contains(c));
    let section = match (is_filler(ranges), section) {
        (true, section) => section,
        (false, "") => ranges,
        (false, section) => section,
    };
    Some(HunkHeader {
        line: None,
        counts: None,
        section,
    })
}

type Range = (usize, usize);

fn numbers(ranges: &str) -> Option<(Range, Range)> {
    let mut parts = ranges.split_whitespace();
    let old = range(parts.next()?.strip_prefix('-')?)?;
    let new = range(parts.next()?.strip_prefix('+')?)?;
    parts.next().is_none().then_some((old, new))
}

fn range(text: &str) -> Option<Range> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    // A number that is too large is none, and says nothing.
    let number = |text: &str| text.parse::<u32>().ok().map(|number| number as usize);
    Some((number(start)?, number(count)?))
}
