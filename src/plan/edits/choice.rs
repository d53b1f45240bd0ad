//! Chooses among places where lines stand equally well: by the anchors of a hunk, by the edit
//! before it, by a line number. None of these makes a place that the lines do not have.
//!
//! Models are bad at counting, so a line number has to be right, or far from every other place.

use std::ops::{Range, RangeInclusive};

use super::text::{Text, indent, is_blank};

/// A line number this far from a place may still mean it.
const NEAR_LINES_MAX: usize = 40;

/// No other place may be this near: a number that is wrong by less can then not choose wrongly.
const OTHERS_LINES_MIN: usize = 2 * NEAR_LINES_MAX;

/// Anchors of this size may be the start of their line only: diffs cut them off at 80 bytes.
const CUT_ANCHOR_BYTES_MIN: usize = 60;

/// What an edit says of its place beside its lines.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Leads<'a> {
    /// Lines above the place, outermost first.
    pub(super) anchors: &'a [String],
    /// Where the edit before this one ended: a line index.
    pub(super) after: Option<usize>,
    /// Where the edit says its first line is.
    pub(super) number: Option<Number>,
    /// Where the lines must end, if that is known.
    pub(super) pin: Pin,
    /// Which text its lines are of.
    pub(super) of: Of,
}

impl Leads<'_> {
    /// The same without so many lines at the top: what the number says is then the line below them.
    pub(super) fn without(self, lines: usize) -> Self {
        let below = |number: Number| Number {
            at: number.at + lines,
            ..number
        };
        Self {
            number: self.number.map(below),
            ..self
        }
    }
}

/// Which text an edit's lines are of, if earlier edits changed the file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The file as it is.
    #[default]
    Now,
    /// The file as it was before: hunks of one diff do not speak of each other's lines.
    Before,
}

/// A line number, as an index into the lines as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) at: usize,
    pub(super) trust: Trust,
}

/// What is known of an edit's line numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing speaks against them.
    Fair,
    /// Others were wrong, and this one is corrected by as much: it must be right now.
    Corrected,
}

/// Whether lines must be the last of their file.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    #[default]
    Anywhere,
    FileEnd,
}

/// The one place of several for so many lines, or `None` if nothing tells which.
pub(super) fn choose(
    text: &Text<'_>,
    starts: &[usize],
    lines: usize,
    leads: &Leads<'_>,
) -> Option<usize> {
    if let [only] = starts {
        return Some(*only);
    }
    let mut left = starts.to_vec();
    if leads.of == Of::Before {
        // Lines that were moved: they are where they were put, and still where they were.
        left.retain(|start| !text.is_new(*start..start + lines));
        if left.len() < starts.len() {
            let number = leads.number?.at;
            return left.contains(&number).then_some(number);
        }
    }
    if let Some(behind) = behind_anchors(text, leads.anchors) {
        keep(&mut left, |start| {
            behind
                .sections
                .iter()
                .any(|section| section.contains(&start))
        });
        // Anchors that are there but have no place below them contradict all of these.
        left.retain(|start| *start >= behind.first);
    }
    if let Some(end) = leads.after {
        keep(&mut left, |start| start >= end);
    }
    match (left.as_slice(), leads.number) {
        ([only], _) => Some(*only),
        (several, Some(number)) => by_number(several, number),
        _ => None,
    }
}

/// Keeps what passes, or all if nothing does.
fn keep(starts: &mut Vec<usize>, is_kept: impl Fn(usize) -> bool) {
    if starts.iter().any(|start| is_kept(*start)) {
        starts.retain(|start| is_kept(*start));
    }
}

fn by_number(starts: &[usize], number: Number) -> Option<usize> {
    if starts.contains(&number.at) {
        return Some(number.at);
    }
    let within = |lines: usize| {
        let near = starts
            .iter()
            .filter(move |start| start.abs_diff(number.at) <= lines);
        near.copied().collect::<Vec<usize>>()
    };
    let near = within(NEAR_LINES_MAX);
    match (near.as_slice(), number.trust) {
        ([only], Trust::Fair) if within(OTHERS_LINES_MIN) == near => Some(*only),
        _ => None,
    }
}

/// Where anchors stand.
struct Behind {
    /// The innermost anchor's first line that has all others above it.
    first: usize,
    /// The lines from each such anchor to the end of what it heads.
    sections: Vec<RangeInclusive<usize>>,
}

/// Narrows the file by each anchor in turn; `None` without anchors, or if one is not there.
fn behind_anchors(text: &Text<'_>, anchors: &[String]) -> Option<Behind> {
    let count = text.count();
    let mut behind: Option<Behind> = None;
    for anchor in anchors.iter().filter(|anchor| !anchor.trim().is_empty()) {
        let from = behind.as_ref().map_or(0, |behind| behind.first);
        let places = anchor_lines(text, from..count, anchor);
        let first = *places.first()?;
        let within = |place: &usize| match &behind {
            Some(outer) => outer.sections.iter().any(|section| section.contains(place)),
            None => true,
        };
        let sections = places.iter().filter(|place| within(place));
        let sections = sections.map(|place| *place..=section_end(text, *place));
        let sections: Vec<_> = sections.collect();
        behind = Some(Behind { first, sections });
    }
    behind
}

/// The lines that an anchor means: those that say the same, else those that go on where it ends.
pub(super) fn anchor_lines(text: &Text<'_>, range: Range<usize>, anchor: &str) -> Vec<usize> {
    let anchor = anchor.trim();
    let lines = || range.clone().zip(text.window(range.clone()));
    let same = lines().filter(|(_, line)| line.trim() == anchor);
    let same: Vec<usize> = same.map(|(at, _)| at).collect();
    if !same.is_empty() {
        return same;
    }
    let goes_on = |line: &str| {
        line.trim().strip_prefix(anchor).is_some_and(|rest| {
            let is_cut = anchor.len() >= CUT_ANCHOR_BYTES_MIN;
            is_cut || !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    };
    lines()
        .filter(|(_, line)| goes_on(line))
        .map(|(at, _)| at)
        .collect()
}

/// The next line that is headed by something else: a name that stands no deeper, as diffs see it.
fn section_end(text: &Text<'_>, anchor: usize) -> usize {
    let count = text.count();
    let depth = text
        .window(anchor..anchor + 1)
        .next()
        .map_or(0, |line| indent(line).len());
    let is_heading = |line: &str| {
        let starts_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        !is_blank(line) && indent(line).len() <= depth && line.trim_start().starts_with(starts_name)
    };
    let next = text.window(anchor + 1..count).position(is_heading);
    next.map_or(count, |lines| anchor + 1 + lines)
}

/// The one line that anchors lead to.
///
/// # Errors
/// The lines that they may lead to; none if one of the anchors is not there.
pub(super) fn only_anchor(text: &Text<'_>, anchors: &[String]) -> Result<usize, Vec<usize>> {
    let places: Vec<usize> = behind_anchors(text, anchors)
        .map(|behind| {
            behind
                .sections
                .iter()
                .map(|section| *section.start())
                .collect()
        })
        .unwrap_or_default();
    match places.as_slice() {
        [only] => Ok(*only),
        _ => Err(places),
    }
}

/// Whether the next line with text stands deeper.
pub(super) fn heads_block(text: &Text<'_>, at: usize) -> bool {
    let depth = |line: &str| indent(line).len();
    let mut lines = text.window(at..text.count());
    let own = lines.next().map_or(0, depth);
    let next = lines.find(|line| !is_blank(line));
    next.is_some_and(|line| depth(line) > own)
}
