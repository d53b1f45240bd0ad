//! A file in which comments stand for what stays: each part between such comments is placed by its
//! first and its last line, in order, and takes the place of what stands between the two.
//!
//! The parts must fit in one way only. Where a part begins or ends with a mere bracket, that must
//! be the only one there, or close the very block that the part's first line opens.

use std::borrow::Cow;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::elision::{Reference, find_references};
use super::hunk::Placed;
use super::matcher::{Miss, Shift, Sighting, sightings, without_blank_ends};
use super::report::Flaw;
use super::text::{Likeness, Row, Text, form, indent, is_blank};
use super::{Reason, Tier};

/// A part may take the place of this many times its lines, and [`SPARE_LINES`] more.
const REGION_FACTOR_MAX: usize = 3;
const SPARE_LINES: usize = 20;

/// Beginnings times ends of one part: with more, it fits in too many ways to look at.
const WAYS_MAX: usize = 20_000;

/// Lines between two references, without the blank ones around them.
struct Segment<'a> {
    lines: Vec<&'a str>,
    /// What stands for the lines above it; nothing where the text begins with it.
    above: Option<Reference>,
    /// Blank lines between it and the reference above, and those above that reference.
    blanks_above: [usize; 2],
}

/// One way to place a segment.
#[derive(Debug, Clone)]
struct Way {
    range: Range<usize>,
    shift: Shift,
    tier: Tier,
}

/// Puts all parts of `content`, of which at least one is a reference. Nothing is put if any fails.
pub(super) fn put_segments<'a>(
    path: &str,
    text: &mut Text<'a>,
    content: &[&'a str],
) -> Result<Placed, Flaw> {
    let file: Vec<&str> = text.window(0..text.count()).collect();
    let references = find_references(path, content, &file).map_err(|at| {
        Flaw::elided(content[at])
            .with_note("the file itself has such a line, so that it may mean that one")
    })?;
    let (segments, below) = split(content, &references)?;
    let mut ways = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().enumerate() {
        let pinned_below = (index + 1 == segments.len()) && below.is_none();
        ways.push(ways_of(text, segment, pinned_below)?);
    }
    let chosen = only_chain(&ways).map_err(|fault| fault.flaw(&segments, &ways))?;
    for (segment, way) in segments.iter().zip(&chosen) {
        if way.range.len() > REGION_FACTOR_MAX * segment.lines.len() + SPARE_LINES {
            let note = format!(
                "{} lines of the file, from {} to {}, would become {}",
                way.range.len(),
                way.range.start + 1,
                way.range.end,
                segment.lines.len()
            );
            return Err(Flaw::elided(segment.lines[0]).with_note(note));
        }
    }
    let lines_before = text.count();
    let changes = changes(text, &segments, &chosen)?;
    let lines_behind = lines_before - chosen.last().map_or(0, |way| way.range.end);
    for (range, rows) in changes.into_iter().rev() {
        text.replace(range, rows);
    }
    let end = text.count() - lines_behind;
    Ok(Placed {
        start: chosen.first().map_or(0, |way| way.range.start),
        end,
        reach: end,
        tier: Tier::Elision,
    })
}

/// The segments, and what stands for the lines below the last one.
fn split<'a>(
    content: &[&'a str],
    references: &[(usize, Reference)],
) -> Result<(Vec<Segment<'a>>, Option<Reference>), Flaw> {
    let mut segments: Vec<Segment<'a>> = Vec::new();
    let mut above: Option<(usize, Reference)> = None;
    let mut blanks_before = 0;
    let ends = references
        .iter()
        .copied()
        .map(|(at, kind)| (at, Some(kind)));
    let mut start = 0;
    for (end, kind) in ends.chain([(content.len(), None)]) {
        let part = &content[start..end];
        let core = without_blank_ends(part);
        if !core.is_empty() {
            segments.push(Segment {
                lines: part[core.clone()].to_vec(),
                above: above.map(|(_, kind)| kind),
                blanks_above: [core.start, blanks_before],
            });
            blanks_before = part.len() - core.end;
            above = None;
        }
        let Some(kind) = kind else { break };
        match above {
            // Two in a row that differ: where one ends and the other begins nobody knows.
            Some((_, other)) if other != kind => return Err(Flaw::elided(content[end])),
            _ => above = Some((end, kind)),
        }
        if kind == Reference::Removed && segments.is_empty() {
            let note = "nothing above it tells where the removed lines begin";
            return Err(Flaw::elided(content[end]).with_note(note));
        }
        start = end + 1;
    }
    match above {
        Some((at, Reference::Removed)) => {
            let note = "nothing below it tells where the removed lines end";
            Err(Flaw::elided(content[at]).with_note(note))
        }
        _ if segments.is_empty() => Err(Flaw::elided(
            references.first().map_or("", |(at, _)| content[*at]),
        )),
        below => Ok((segments, below.map(|(_, kind)| kind))),
    }
}

/// All ways to place one segment by itself.
fn ways_of(
    text: &mut Text<'_>,
    segment: &Segment<'_>,
    pinned_below: bool,
) -> Result<Vec<Way>, Flaw> {
    let lines = &segment.lines;
    let (first, last) = (lines[0], lines[lines.len() - 1]);
    let count = text.count();
    let is_text = |line: &str| !is_blank(line);
    // Where no reference stands for more of the file, the file must begin or end with it.
    let top = text.window(0..count).position(is_text);
    let bottom = (0..count).rev().find(|at| is_text(text.line(*at)));
    let is_top = |at: usize| segment.above.is_some() || Some(at) == top;
    let is_bottom = |at: usize| !pinned_below || Some(at) == bottom;

    let mut starts = sightings(text, first).map_err(|tried| nowhere(first, tried))?;
    starts.retain(|start| is_top(start.at));
    if lines.len() == 1 {
        starts.retain(|start| is_bottom(start.at));
        return Ok(starts.iter().map(|start| way(start, start)).collect());
    }
    let closes = is_block(lines) && is_trivial(last);
    let mut ways = Vec::new();
    // With the first line's shift the last one is looked for as the file would have it.
    let mut ends: Vec<(Shift, Vec<Sighting>)> = Vec::new();
    for start in &starts {
        if !ends.iter().any(|(shift, _)| *shift == start.shift) {
            let found = ends_of(text, last, &start.shift)?;
            ends.push((start.shift.clone(), found));
        }
        let known = ends.iter().find(|(shift, _)| *shift == start.shift);
        let only = closes.then(|| block_end(text, start.at));
        let fitting = known.into_iter().flat_map(|(_, ends)| ends).filter(|end| {
            let is_close = only.is_none_or(|only| only == Some(end.at));
            end.at >= start.at && is_bottom(end.at) && is_close
        });
        ways.extend(fitting.map(|end| way(start, end)));
        if ways.len() > WAYS_MAX {
            let places: Vec<usize> = starts.iter().map(|start| start.at).collect();
            return Err(Flaw::placed(Reason::Ambiguous, &[first], &places));
        }
    }
    Ok(ways)
}

/// Where a segment's last line stands if the file has the segment shifted so.
fn ends_of(text: &mut Text<'_>, last: &str, shift: &Shift) -> Result<Vec<Sighting>, Flaw> {
    let Some(shifted) = shift.apply(last) else {
        return Ok(Vec::new());
    };
    let mut ends = sightings(text, &shifted).map_err(|tried| nowhere(last, tried))?;
    ends.retain(|end| end.shift == Shift::None);
    Ok(ends)
}

fn nowhere(line: &str, tiers_tried: Vec<Tier>) -> Flaw {
    let places = Vec::new();
    Flaw::missed(
        &[line],
        Miss {
            places,
            tiers_tried,
        },
    )
}

fn way(start: &Sighting, end: &Sighting) -> Way {
    Way {
        range: start.at..end.at + 1,
        shift: start.shift.clone(),
        tier: start.tier.max(end.tier),
    }
}

/// Whether a line says too little to tell one place from another: brackets, or hardly a word.
fn is_trivial(line: &str) -> bool {
    line.chars()
        .filter(|c| c.is_alphanumeric() || *c == '_')
        .count()
        < 4
}

/// Whether the first line opens a block that the last one closes: all between stands deeper.
fn is_block(lines: &[&str]) -> bool {
    let depth = indent(lines[0]);
    let last = lines.len() - 1;
    let is_deeper = |line: &&str| is_blank(line) || indent(line).len() > depth.len();
    let opens = lines[0].trim_end().ends_with(['{', '[', '(', ':']);
    let has_inside = lines[1..last].iter().any(|line| !is_blank(line));
    (opens || has_inside) && indent(lines[last]) == depth && lines[1..last].iter().all(is_deeper)
}

/// The first line behind `start` that stands no deeper.
fn block_end(text: &Text<'_>, start: usize) -> Option<usize> {
    let depth = indent(text.line(start)).len();
    let mut behind = text.window(start + 1..text.count());
    let end = behind.position(|line| !is_blank(line) && indent(line).len() <= depth);
    end.map(|lines| start + 1 + lines)
}

/// Why segments do not fit together.
enum Fault {
    /// No way for this one behind the others.
    None(usize),
    /// Several ways for this one.
    Several(usize),
}

impl Fault {
    fn flaw(self, segments: &[Segment<'_>], ways: &[Vec<Way>]) -> Flaw {
        let (index, reason, note) = match self {
            Self::None(index) => {
                let note = "its first and last line are not there in this order";
                (index, Reason::NotFound, note)
            }
            Self::Several(index) => {
                let note = "its first and last line fit in several ways";
                (index, Reason::Ambiguous, note)
            }
        };
        let lines = &segments[index].lines;
        let mut places: Vec<usize> = ways[index].iter().map(|way| way.range.start).collect();
        places.dedup();
        Flaw::placed(reason, lines, &places).with_note(note)
    }
}

/// The only way to place all segments in their order.
fn only_chain(ways: &[Vec<Way>]) -> Result<Vec<Way>, Fault> {
    // For each way, in how many ways (two is many) the segments up to it can be placed.
    let mut counts: Vec<Vec<u8>> = Vec::with_capacity(ways.len());
    for (index, here) in ways.iter().enumerate() {
        let before = index.checked_sub(1).map(|at| (&ways[at], &counts[at]));
        let count = |way: &Way| match before {
            None => 1,
            Some((ways, counts)) => {
                let fitting = ways.iter().zip(counts);
                let fitting = fitting.filter(|(other, _)| other.range.end <= way.range.start);
                fitting
                    .map(|(_, count)| u32::from(*count))
                    .sum::<u32>()
                    .min(2)
            }
        };
        // Both lists are bounded; two long ones in a row have too many ways anyhow.
        if before.is_some_and(|(ways, _)| ways.len().saturating_mul(here.len()) > 100 * WAYS_MAX) {
            return Err(Fault::Several(index));
        }
        let here: Vec<u8> = here
            .iter()
            .map(|way| u8::try_from(count(way)).unwrap_or(2))
            .collect();
        if here.iter().all(|count| *count == 0) {
            return Err(Fault::None(index));
        }
        counts.push(here);
    }
    let mut chain: Vec<Way> = Vec::with_capacity(ways.len());
    let mut until = usize::MAX;
    for (index, here) in ways.iter().enumerate().rev() {
        let fitting = here.iter().zip(&counts[index]);
        let mut fitting = fitting.filter(|(way, count)| **count > 0 && way.range.end <= until);
        match (fitting.next(), fitting.next()) {
            (Some((way, _)), None) => {
                until = way.range.start;
                chain.push(way.clone());
            }
            (None, _) => return Err(Fault::None(index)),
            _ => return Err(Fault::Several(index)),
        }
    }
    chain.reverse();
    Ok(chain)
}

type Rows<'a> = Vec<(Range<usize>, Vec<Row<'a>>)>;

/// What takes the place of what, from top to bottom.
fn changes<'a>(
    text: &Text<'a>,
    segments: &[Segment<'a>],
    chosen: &[Way],
) -> Result<Rows<'a>, Flaw> {
    let mut changes = Vec::new();
    let mut end = 0;
    for (segment, way) in segments.iter().zip(chosen) {
        if segment.above == Some(Reference::Removed) {
            let [below, above] = segment.blanks_above;
            let blanks = if above > 0 { above } else { below };
            let rows = (0..blanks).map(|_| Row::New(Cow::Borrowed(""))).collect();
            changes.push((end..way.range.start, rows));
        }
        changes.push((way.range.clone(), rows(text, &segment.lines, way)?));
        end = way.range.end;
    }
    Ok(changes)
}

/// The lines of a segment, those that the file has there as the file has them.
fn rows<'a>(text: &Text<'a>, lines: &[&'a str], way: &Way) -> Result<Vec<Row<'a>>, Flaw> {
    let shifted = |line: &&'a str| match &way.shift {
        Shift::None => Some(Cow::Borrowed(*line)),
        shift @ (Shift::Deeper(_) | Shift::Shallower(_)) => shift.apply(line).map(Cow::Owned),
    };
    let lines: Option<Vec<Cow<'a, str>>> = lines.iter().map(shifted).collect();
    let Some(lines) = lines else {
        return Err(Flaw::of(Reason::NotFound));
    };
    let likeness = if way.tier == Tier::Exact {
        Likeness::Exact
    } else {
        Likeness::UpToTrailingSpace
    };
    let theirs: Vec<_> = text
        .window(way.range.clone())
        .map(|line| form(line, likeness))
        .collect();
    let ours: Vec<_> = lines.iter().map(|line| form(line, likeness)).collect();
    let start = way.range.start;
    let mut rows = Vec::with_capacity(lines.len());
    for op in capture_diff_slices(Algorithm::Myers, &theirs, &ours) {
        match op {
            DiffOp::Equal { old_index, len, .. } => {
                rows.extend((old_index..old_index + len).map(|at| Row::Kept(start + at)));
            }
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                rows.extend(lines[op.new_range()].iter().cloned().map(Row::New));
            }
        }
    }
    // Both were found: they are the file's own lines, however loosely they were compared.
    let last = rows.len() - 1;
    rows[0] = Row::Kept(start);
    rows[last] = Row::Kept(way.range.end - 1);
    Ok(rows)
}
