//! Finds where an edit's lines stand in a file: the tiers, and the rule that a place must be the
//! only one. Shared by all formats.
//!
//! Lines are hashed once for each likeness and searched by their hashes. A tier with a hit ends the
//! search; if it had several, only what else the edit says may choose, never a looser tier.

use std::ops::Range;

use super::Tier;
use super::choice::{Leads, Pin, choose};
use super::text::{Likeness, Text, fold, form, indent, is_blank, key};

/// Above this size only the tiers up to [`Tier::TrailingSpace`] are tried.
const LOOSE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The one place where the lines were found.
#[derive(Debug)]
pub(super) struct Spot {
    /// The file's lines.
    pub(super) range: Range<usize>,
    /// The searched lines that stand there; fewer than all if blank ones around them were ignored.
    pub(super) searched: Range<usize>,
    /// What the file's lines have more or less at the left.
    pub(super) shift: Shift,
    /// How loosely they were compared.
    pub(super) tier: Tier,
}

/// The lines have no place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Miss {
    /// Where they could stand, as line indices; none if they are nowhere.
    pub(super) places: Vec<usize>,
    pub(super) tiers_tried: Vec<Tier>,
}

/// A difference in indentation that all lines have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shift {
    None,
    /// The file's lines have this text before the searched ones.
    Deeper(String),
    /// The searched lines have this text before the file's.
    Shallower(String),
}

impl Shift {
    /// Moves a line as the file's lines are moved, or gives `None` if it lacks what must go.
    pub(super) fn apply(&self, line: &str) -> Option<String> {
        match self {
            _ if is_blank(line) => Some(line.to_owned()),
            Self::None => Some(line.to_owned()),
            Self::Deeper(more) => Some(format!("{more}{line}")),
            Self::Shallower(less) => line.strip_prefix(less.as_str()).map(str::to_owned),
        }
    }
}

/// Finds the only place of lines in a text, of which at least one must not be blank.
///
/// # Errors
/// No place, or more than one and nothing in `leads` that tells which.
pub(super) fn locate(
    text: &mut Text<'_>,
    search: &[&str],
    leads: &Leads<'_>,
) -> Result<Spot, Miss> {
    let all = 0..search.len();
    let core = without_blank_ends(search);
    let mut tiers_tried = Vec::new();
    for attempt in &ATTEMPTS {
        let searched = match attempt.lines {
            Lines::All => all.clone(),
            Lines::Core if core == all => continue,
            Lines::Core => core.clone(),
        };
        if attempt.tier > Tier::TrailingSpace && text.size() > LOOSE_BYTES_MAX {
            break;
        }
        if tiers_tried.last() != Some(&attempt.tier) {
            tiers_tried.push(attempt.tier);
        }
        let lines = &search[searched.clone()];
        let mut hits = find_all(text, lines, attempt.likeness);
        if leads.pin == Pin::FileEnd {
            hits.starts
                .retain(|start| is_end(text, start + lines.len(), attempt.tier));
        }
        if hits.starts.is_empty() {
            continue;
        }
        let chosen = match hits.are_all {
            true => {
                let leads = leads.without(searched.start);
                choose(text, &hits.starts, lines.len(), &leads)
            }
            false => None,
        };
        let Some(start) = chosen else {
            return Err(Miss {
                places: hits.starts,
                tiers_tried,
            });
        };
        let range = start..start + lines.len();
        // The hashes were a hint; this is the proof, and tells the shift.
        let Some(shift) = compare(text, range.clone(), lines, attempt.likeness) else {
            continue;
        };
        return Ok(Spot {
            range,
            searched,
            shift,
            tier: attempt.tier,
        });
    }
    Err(Miss {
        places: Vec::new(),
        tiers_tried,
    })
}

/// Where lines stand as they are, but for trailing blanks: as they are, if that is anywhere.
pub(super) fn locate_strictly(text: &mut Text<'_>, lines: &[&str]) -> Vec<Range<usize>> {
    for likeness in [Likeness::Exact, Likeness::UpToTrailingSpace] {
        let hits = find_all(text, lines, likeness);
        let ranges = hits.starts.iter().map(|start| *start..start + lines.len());
        let ranges = ranges.filter(|range| compare(text, range.clone(), lines, likeness).is_some());
        let ranges: Vec<Range<usize>> = ranges.collect();
        if !ranges.is_empty() {
            return ranges;
        }
    }
    Vec::new()
}

/// A place of one line.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) at: usize,
    pub(super) shift: Shift,
    pub(super) tier: Tier,
}

/// All places of one line that is not blank, in the strictest tier that has any; never none.
///
/// # Errors
/// The tiers that were tried in vain.
pub(super) fn sightings(text: &mut Text<'_>, line: &str) -> Result<Vec<Sighting>, Vec<Tier>> {
    let mut tried = Vec::new();
    for attempt in ATTEMPTS
        .iter()
        .filter(|attempt| matches!(attempt.lines, Lines::All))
    {
        if attempt.tier > Tier::TrailingSpace && text.size() > LOOSE_BYTES_MAX {
            break;
        }
        tried.push(attempt.tier);
        let hits = find_all(text, &[line], attempt.likeness);
        let found: Vec<Sighting> = hits
            .starts
            .iter()
            .filter_map(|&at| {
                let shift = compare(text, at..at + 1, &[line], attempt.likeness)?;
                let tier = attempt.tier;
                Some(Sighting { at, shift, tier })
            })
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(tried)
}

/// The lines but for blank ones at both ends.
pub(super) fn without_blank_ends(lines: &[&str]) -> Range<usize> {
    let start = lines
        .iter()
        .position(|line| !is_blank(line))
        .unwrap_or(lines.len());
    let end = lines
        .iter()
        .rposition(|line| !is_blank(line))
        .map_or(start, |last| last + 1);
    start..end
}

struct Attempt {
    tier: Tier,
    likeness: Likeness,
    lines: Lines,
}

#[derive(Clone, Copy)]
enum Lines {
    All,
    Core,
}

/// The tiers from strict to loose. Ignoring blank ends and folding start again with what is
/// strictest beside them.
const ATTEMPTS: [Attempt; 8] = {
    use Likeness::{Exact, FoldedInner, Inner, UpToTrailingSpace};
    use Lines::{All, Core};
    [
        Attempt {
            tier: Tier::Exact,
            likeness: Exact,
            lines: All,
        },
        Attempt {
            tier: Tier::TrailingSpace,
            likeness: UpToTrailingSpace,
            lines: All,
        },
        Attempt {
            tier: Tier::Indentation,
            likeness: Inner,
            lines: All,
        },
        Attempt {
            tier: Tier::BlankLines,
            likeness: Exact,
            lines: Core,
        },
        Attempt {
            tier: Tier::BlankLines,
            likeness: UpToTrailingSpace,
            lines: Core,
        },
        Attempt {
            tier: Tier::BlankLines,
            likeness: Inner,
            lines: Core,
        },
        Attempt {
            tier: Tier::Typography,
            likeness: FoldedInner,
            lines: All,
        },
        Attempt {
            tier: Tier::Typography,
            likeness: FoldedInner,
            lines: Core,
        },
    ]
};

struct Hits {
    starts: Vec<usize>,
    /// Every start was looked at. If not, the lines count as being in several places.
    are_all: bool,
}

/// Tells whether a file ends there, but for blank lines if those do not count.
fn is_end(text: &Text<'_>, end: usize, tier: Tier) -> bool {
    let count = text.count();
    end == count || (tier >= Tier::BlankLines && text.window(end..count).all(is_blank))
}

fn find_all(text: &mut Text<'_>, lines: &[&str], likeness: Likeness) -> Hits {
    let wanted: Vec<u64> = lines.iter().map(|line| key(line, likeness)).collect();
    let starts = text.find(&wanted, likeness);
    match likeness {
        Likeness::Exact | Likeness::UpToTrailingSpace => Hits {
            starts,
            are_all: true,
        },
        Likeness::Inner | Likeness::FoldedInner => keep_shifted(text, lines, likeness, &starts),
    }
}

/// Keeps the hits with one shift for all lines. Looking is bounded, because a file of equal lines
/// with unequal indentation would take lines x lines steps.
fn keep_shifted(text: &Text<'_>, lines: &[&str], likeness: Likeness, starts: &[usize]) -> Hits {
    let mut lines_left = 8 * (text.count() + lines.len()) + 100_000;
    let mut kept = Vec::new();
    for &start in starts {
        if lines_left == 0 {
            return Hits {
                starts: starts.to_vec(),
                are_all: false,
            };
        }
        lines_left = lines_left.saturating_sub(lines.len());
        if compare(text, start..start + lines.len(), lines, likeness).is_some() {
            kept.push(start);
        }
    }
    Hits {
        starts: kept,
        are_all: true,
    }
}

/// The shift between searched lines and the file's, or `None` if they are not alike.
fn compare(
    text: &Text<'_>,
    range: Range<usize>,
    lines: &[&str],
    likeness: Likeness,
) -> Option<Shift> {
    let may_shift = matches!(likeness, Likeness::Inner | Likeness::FoldedInner);
    let mut common: Option<Shift> = None;
    for (theirs, ours) in text.window(range).zip(lines) {
        if form(theirs, likeness) != form(ours, likeness) {
            return None;
        }
        if !may_shift || is_blank(ours) {
            continue;
        }
        let shift = match likeness {
            Likeness::FoldedInner => shift_between(indent(&fold(theirs)), indent(&fold(ours)))?,
            Likeness::Exact | Likeness::UpToTrailingSpace | Likeness::Inner => {
                shift_between(indent(theirs), indent(ours))?
            }
        };
        if *common.get_or_insert_with(|| shift.clone()) != shift {
            return None;
        }
    }
    Some(common.unwrap_or(Shift::None))
}

fn shift_between(theirs: &str, ours: &str) -> Option<Shift> {
    if theirs == ours {
        return Some(Shift::None);
    }
    if let Some(more) = theirs.strip_suffix(ours) {
        return Some(Shift::Deeper(more.to_owned()));
    }
    ours.strip_suffix(theirs)
        .map(|less| Shift::Shallower(less.to_owned()))
}
