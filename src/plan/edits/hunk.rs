//! Puts one edit's lines where its searched lines stand.
//!
//! Lines that search and replacement have in common at either end keep the file's own text: its
//! trailing blanks, typographic quotes and line ends are not this edit's business.

use std::borrow::Cow;
use std::ops::Range;

use super::elision::{Old, find_elided, is_elision};
use super::matcher::{Shift, Spot, locate, locate_strictly, without_blank_ends};
use super::report::Flaw;
use super::text::{Text, is_blank};
use super::{FILE_BYTES_MAX, Reason, Tier};

/// A replacement with fewer letters and digits than this may stand anywhere by chance.
const TELLING_LETTERS_MIN: usize = 4;

/// What was done.
#[derive(Debug)]
pub(super) struct Placed {
    /// The line behind the last new one.
    pub(super) end: usize,
    pub(super) tier: Tier,
}

/// Puts lines where the searched ones stand, all together.
pub(super) fn put_whole<'a>(
    path: &str,
    text: &mut Text<'a>,
    search: &[&str],
    replace: &[&'a str],
    after: Option<usize>,
) -> Result<Placed, Flaw> {
    let spot = locate(text, search, after).map_err(|miss| Flaw::missed(search, miss))?;
    let change = Change::new(path, text, search, replace, &spot)?;
    let end = change.end;
    change.put(text);
    Ok(Placed {
        end,
        tier: spot.tier,
    })
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
    let mut end = 0;
    for (search, replace) in searched.into_iter().zip(replaced) {
        if is_all_blank(search) {
            if is_all_blank(replace) {
                continue;
            }
            return Err(Flaw::elided(gap));
        }
        // No edit went before a piece, so that each must be the only one in the whole file.
        let spot = locate(text, search, None)
            .map_err(|miss| Flaw::missed(search, miss).with_tier(Tier::Elision))?;
        if spot.range.start < end {
            return Err(Flaw::out_of_order(search, &spot).with_tier(Tier::Elision));
        }
        end = spot.range.end;
        changes.push(Change::new(path, text, search, replace, &spot)?);
    }
    if changes.is_empty() {
        return Err(Flaw::elided(gap));
    }
    let lines_behind = text.lines().len() - end;
    // From the last to the first, so that the places of those still to come stay true.
    for change in changes.into_iter().rev() {
        change.put(text);
    }
    Ok(Some(Placed {
        end: text.lines().len() - lines_behind,
        tier: Tier::Elision,
    }))
}

/// Where a replacement stands already, if it says enough and stands there once.
pub(super) fn already_there(text: &mut Text<'_>, replace: &[&str]) -> Option<Range<usize>> {
    let core = &replace[without_blank_ends(replace)];
    let letters = core
        .iter()
        .flat_map(|line| line.chars())
        .filter(|c| c.is_alphanumeric());
    if letters.take(TELLING_LETTERS_MIN).count() < TELLING_LETTERS_MIN {
        return None;
    }
    locate_strictly(text, core)
}

/// A change of lines that cannot fail any more.
struct Change<'a> {
    range: Range<usize>,
    lines: Vec<Cow<'a, str>>,
    /// The line behind all that the edit speaks of, once it is put.
    end: usize,
}

impl<'a> Change<'a> {
    fn new(
        path: &str,
        text: &Text<'_>,
        search: &[&str],
        replace: &[&'a str],
        spot: &Spot,
    ) -> Result<Self, Flaw> {
        let replace = without_ignored_blanks(search, replace, &spot.searched);
        let found: Vec<&str> = text.window(spot.range.clone()).collect();
        let file = || text.window(0..text.lines().len()).collect();
        if let Some(at) = find_elided(path, replace, Old::Region(&found), file) {
            return Err(Flaw::elided(replace[at]));
        }
        let (head, tail) = common_ends(&search[spot.searched.clone()], replace);
        let changed = &replace[head..replace.len() - tail];
        let lines = shifted(changed, &spot.shift)
            .map_err(|reason| Flaw::unshiftable(search, spot, reason))?;
        Ok(Self {
            range: spot.range.start + head..spot.range.end - tail,
            lines,
            end: spot.range.start + replace.len(),
        })
    }

    fn put(self, text: &mut Text<'a>) {
        text.replace(self.range, self.lines);
    }
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
fn common_ends(a: &[&str], b: &[&str]) -> (usize, usize) {
    let head = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let tail = a[head..]
        .iter()
        .rev()
        .zip(b[head..].iter().rev())
        .take_while(|(a, b)| a == b);
    (head, tail.count())
}

fn shifted<'a>(lines: &[&'a str], shift: &Shift) -> Result<Vec<Cow<'a, str>>, Reason> {
    let added = match shift {
        Shift::None => return Ok(lines.iter().map(|line| Cow::Borrowed(*line)).collect()),
        Shift::Deeper(more) => more.len(),
        Shift::Shallower(_) => 0,
    };
    if added.saturating_mul(lines.len()) > FILE_BYTES_MAX {
        return Err(Reason::TooLarge);
    }
    lines
        .iter()
        .map(|line| shift.apply(line).map(Cow::Owned).ok_or(Reason::NotFound))
        .collect()
}

fn is_all_blank(lines: &[&str]) -> bool {
    lines.iter().all(|line| is_blank(line))
}
