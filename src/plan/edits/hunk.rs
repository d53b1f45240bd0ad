//! Puts one edit's lines where its searched lines stand.
//!
//! Lines that search and replacement have in common at either end keep the file's own text: its
//! trailing blanks, typographic quotes and line ends are not this edit's business.

use std::borrow::Cow;
use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::choice::{Leads, Pin};
use super::elision::{Old, find_elided, is_elision};
use super::matcher::{Shift, Spot, locate, locate_strictly, without_blank_ends};
use super::report::Flaw;
use super::text::{Row, Text, is_blank};
use super::{FILE_BYTES_MAX, Reason, Tier};

/// Lines with fewer letters and digits than this may stand anywhere by chance.
const TELLING_LETTERS_MIN: usize = 4;

/// Removed text of this many characters that are not blank needs no context (MODEL.md 3.4, T6).
const TELLING_REMOVED_MIN: usize = 10;

/// At most so many context lines are left out on each side.
const PEELED_LINES_MAX: usize = 16;

/// Longer changes are not compared line by line: that takes up to lines x lines steps.
const COMPARED_LINES_MAX: usize = 2_000;

/// What was done.
#[derive(Debug)]
pub(super) struct Placed {
    /// Where the first line of the search stands, or would stand.
    pub(super) start: usize,
    /// The line behind the last new one; context after that does not count.
    pub(super) end: usize,
    /// The line behind all that the edit speaks of.
    pub(super) reach: usize,
    pub(super) tier: Tier,
}

/// Puts lines where the searched ones stand, all together.
pub(super) fn put_whole<'a>(
    path: &str,
    text: &mut Text<'a>,
    search: &[&str],
    replace: &[&'a str],
    leads: &Leads<'_>,
) -> Result<Placed, Flaw> {
    let spot = locate(text, search, leads).map_err(|miss| Flaw::missed(search, miss))?;
    let change = Change::new(path, text, search, replace, &spot)?;
    let placed = Placed {
        start: spot.range.start.saturating_sub(spot.searched.start),
        end: change.end,
        reach: change.reach,
        tier: spot.tier,
    };
    change.put(text);
    Ok(placed)
}

/// Puts a hunk whose outermost context lines are not what the file has: as many as needed are left
/// out on both sides, as long as what remains still tells where it belongs.
///
/// # Errors
/// `missed` if there is no such place, or what is wrong with the place.
pub(super) fn put_peeled<'a>(
    path: &str,
    text: &mut Text<'a>,
    search: &[&str],
    replace: &[&'a str],
    leads: &Leads<'_>,
    missed: Flaw,
) -> Result<Placed, Flaw> {
    let (head, tail) = common_ends(search, replace);
    let removed = &search[head..search.len() - tail];
    let tail_max = match leads.pin {
        Pin::Anywhere => tail,
        // Without its last lines nothing would tell that it is at the end.
        Pin::FileEnd => 0,
    };
    for level in 1..=head.max(tail_max).min(PEELED_LINES_MAX) {
        let (above, below) = (level.min(head), level.min(tail_max));
        let search_left = &search[above..search.len() - below];
        let has_context = search_left.len() > removed.len() && is_telling(search_left);
        if !has_context && characters(removed) < TELLING_REMOVED_MIN {
            break;
        }
        let replace_left = &replace[above..replace.len() - below];
        let spot = match locate(text, search_left, &leads.without(above)) {
            Ok(spot) => spot,
            Err(miss) if miss.places.is_empty() => continue,
            Err(miss) => return Err(Flaw::missed(search, miss).with_tier(Tier::LessContext)),
        };
        let change = Change::new(path, text, search_left, replace_left, &spot)
            .map_err(|flaw| flaw.with_tier(Tier::LessContext))?;
        let skipped = above + spot.searched.start;
        let placed = Placed {
            start: spot.range.start.saturating_sub(skipped),
            end: change.end,
            reach: change.reach,
            tier: Tier::LessContext,
        };
        change.put(text);
        return Ok(placed);
    }
    Err(missed.with_tier(Tier::LessContext))
}

/// Puts the pieces between `...` lines, of which search and replacement have equally many. What
/// the dots stand for is kept. `None` if the search has no such line.
pub(super) fn put_pieces<'a>(
    path: &str,
    text: &mut Text<'a>,
    search: &[&str],
    replace: &[&'a str],
) -> Result<Option<Placed>, Flaw> {
    let is_gap = |line: &&str| is_elision(path, line);
    let Some(gap) = search.iter().find(|line| is_gap(line)) else {
        return Ok(None);
    };
    let searched: Vec<&[&str]> = search.split(is_gap).collect();
    let replaced: Vec<&[&'a str]> = replace.split(is_gap).collect();
    if searched.len() != replaced.len() {
        return Err(Flaw::elided(gap));
    }
    let mut changes = Vec::new();
    let (mut start, mut end) = (None, 0);
    for (search, replace) in searched.into_iter().zip(replaced) {
        if is_all_blank(search) {
            if is_all_blank(replace) {
                continue;
            }
            return Err(Flaw::elided(gap));
        }
        // No edit went before a piece, so that each must be the only one in the whole file.
        let spot = locate(text, search, &Leads::default())
            .map_err(|miss| Flaw::missed(search, miss).with_tier(Tier::Elision))?;
        if spot.range.start < end {
            return Err(Flaw::out_of_order(search, &spot).with_tier(Tier::Elision));
        }
        start.get_or_insert(spot.range.start);
        end = spot.range.end;
        changes.push(Change::new(path, text, search, replace, &spot)?);
    }
    if changes.is_empty() {
        return Err(Flaw::elided(gap));
    }
    let lines_behind = text.count() - end;
    // From the last to the first, so that the places of those still to come stay true.
    for change in changes.into_iter().rev() {
        change.put(text);
    }
    let end = text.count() - lines_behind;
    Ok(Some(Placed {
        start: start.unwrap_or(end),
        end,
        reach: end,
        tier: Tier::Elision,
    }))
}

/// Where a replacement stands already, if it says enough to be looked for.
pub(super) fn standing(text: &mut Text<'_>, replace: &[&str]) -> Vec<Range<usize>> {
    let core = &replace[without_blank_ends(replace)];
    match is_telling(core) {
        true => locate_strictly(text, core),
        false => Vec::new(),
    }
}

/// The only place of those.
pub(super) fn already_there(text: &mut Text<'_>, replace: &[&str]) -> Option<Range<usize>> {
    match standing(text, replace).as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// Whether lines say enough to be looked for by themselves.
pub(super) fn is_telling(lines: &[&str]) -> bool {
    let letters = lines
        .iter()
        .flat_map(|line| line.chars())
        .filter(|c| c.is_alphanumeric());
    letters.take(TELLING_LETTERS_MIN).count() == TELLING_LETTERS_MIN
}

fn characters(lines: &[&str]) -> usize {
    let all = lines.iter().flat_map(|line| line.chars());
    all.filter(|c| !c.is_whitespace()).count()
}

/// A change of lines that cannot fail any more.
pub(super) struct Change<'a> {
    range: Range<usize>,
    rows: Vec<Row<'a>>,
    /// The line behind the last new one, once it is put.
    end: usize,
    /// The line behind all that the edit speaks of, once it is put.
    pub(super) reach: usize,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        path: &str,
        text: &Text<'_>,
        search: &[&str],
        replace: &[&'a str],
        spot: &Spot,
    ) -> Result<Self, Flaw> {
        let replace = without_ignored_blanks(search, replace, &spot.searched);
        let found: Vec<&str> = text.window(spot.range.clone()).collect();
        let file = || text.window(0..text.count()).collect();
        if let Some(at) = find_elided(path, replace, Old::Region(&found), file) {
            return Err(Flaw::elided(replace[at]));
        }
        let searched = &search[spot.searched.clone()];
        let (head, tail) = common_ends(searched, replace);
        let rows = rows(
            &searched[head..searched.len() - tail],
            &replace[head..replace.len() - tail],
            spot.range.start + head,
            &spot.shift,
        )
        .map_err(|reason| Flaw::unshiftable(search, spot, reason))?;
        let reach = spot.range.start + replace.len();
        Ok(Self {
            range: spot.range.start + head..spot.range.end - tail,
            rows,
            end: reach - tail,
            reach,
        })
    }

    pub(super) fn put(self, text: &mut Text<'a>) {
        text.replace(self.range, self.rows);
    }
}

/// What stands in the place of searched lines that begin at the file's line `start`: lines that do
/// not change stay as the file has them.
pub(super) fn rows<'a>(
    searched: &[&str],
    replace: &[&'a str],
    start: usize,
    shift: &Shift,
) -> Result<Vec<Row<'a>>, Reason> {
    let added = match shift {
        Shift::Deeper(more) => more.len(),
        Shift::None | Shift::Shallower(_) => 0,
    };
    if added.saturating_mul(replace.len()) > FILE_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    let new = |range: Range<usize>| {
        replace[range].iter().map(|line| match shift {
            Shift::None => Ok(Row::New(Cow::Borrowed(*line))),
            Shift::Deeper(_) | Shift::Shallower(_) => {
                let line = shift.apply(line).ok_or(Reason::NotFound)?;
                Ok(Row::New(Cow::Owned(line)))
            }
        })
    };
    if searched.len() + replace.len() > COMPARED_LINES_MAX {
        return new(0..replace.len()).collect();
    }
    let mut rows = Vec::with_capacity(replace.len());
    for op in capture_diff_slices(Algorithm::Myers, searched, replace) {
        match op {
            DiffOp::Equal { old_index, len, .. } => {
                rows.extend((old_index..old_index + len).map(|at| Row::Kept(start + at)));
            }
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                for row in new(op.new_range()) {
                    rows.push(row?);
                }
            }
        }
    }
    Ok(rows)
}

/// Drops from the replacement the blank lines at its ends that were ignored in the search.
fn without_ignored_blanks<'r, 'a>(
    search: &[&str],
    replace: &'r [&'a str],
    searched: &Range<usize>,
) -> &'r [&'a str] {
    let blanks = |lines: &mut dyn Iterator<Item = &&'a str>, max: usize| {
        lines.take(max).take_while(|line| is_blank(line)).count()
    };
    let head = blanks(&mut replace.iter(), searched.start);
    let replace = &replace[head..];
    let tail = blanks(&mut replace.iter().rev(), search.len() - searched.end);
    &replace[..replace.len() - tail]
}

/// How many lines two lists have in common at their starts, and at their ends behind those.
pub(super) fn common_ends(a: &[&str], b: &[&str]) -> (usize, usize) {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let tail = a[head..]
        .iter()
        .rev()
        .zip(b[head..].iter().rev())
        .take_while(|(a, b)| a == b);
    (head, tail.count())
}

fn is_all_blank(lines: &[&str]) -> bool {
    lines.iter().all(|line| is_blank(line))
}
