//! What goes wrong with a hunk on its way through a model, while it still says the same.

use super::hunks::{Hunk, Row};
use super::layout::Lines;

/// Numbers from a seed, the same on every machine.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(seed: &str) -> Self {
        let fold = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(seed.bytes().fold(0xcbf2_9ce4_8422_2325, fold) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Trailing blanks that the file does not have, on lines that do not change or go.
pub(super) fn trailing_space(hunks: &[Hunk]) -> Vec<Hunk> {
    each_row(hunks, |row| {
        if row.sign != '+' && !row.text.is_empty() {
            row.text.push_str("  ");
        }
    })
}

/// No trailing blanks, where the file has some.
pub(super) fn no_trailing_space(hunks: &[Hunk]) -> Vec<Hunk> {
    each_row(hunks, |row| {
        if row.sign != '+' {
            row.text.truncate(row.text.trim_end().len());
        }
    })
}

/// All lines four blanks deeper.
pub(super) fn deeper(hunks: &[Hunk]) -> Vec<Hunk> {
    let mut hunks = hunks.to_vec();
    for hunk in hunks.iter_mut().filter(|hunk| has_old_lines(hunk)) {
        for row in &mut hunk.rows {
            if !row.text.trim().is_empty() {
                row.text.insert_str(0, "    ");
            }
        }
    }
    hunks
}

/// Whether there is a line that can tell how deep the new ones belong: an empty file has none.
fn has_old_lines(hunk: &Hunk) -> bool {
    hunk.rows.iter().any(|row| row.sign != '+')
}

/// Without the indentation that all lines of a hunk have.
pub(super) fn shallower(hunks: &[Hunk]) -> Vec<Hunk> {
    let mut hunks = hunks.to_vec();
    for hunk in hunks.iter_mut().filter(|hunk| has_old_lines(hunk)) {
        let texts = || hunk.rows.iter().filter(|row| !row.text.trim().is_empty());
        let depth = texts()
            .map(|row| row.text.len() - row.text.trim_start_matches(' ').len())
            .min();
        for row in &mut hunk.rows {
            let cut = depth.unwrap_or(0).min(row.text.len());
            if !row.text.trim().is_empty() {
                row.text.drain(..cut);
            }
        }
    }
    hunks
}

/// Plain quotes for typographic ones, and so on, in lines that do not change.
pub(super) fn plain_characters(hunks: &[Hunk]) -> Vec<Hunk> {
    each_row(hunks, |row| {
        if row.sign == ' ' {
            let plain = row.text.replace(['“', '”'], "\"").replace(['‘', '’'], "'");
            row.text = plain.replace(['–', '—'], "-").replace('\u{a0}', " ");
        }
    })
}

fn each_row(hunks: &[Hunk], change: impl Fn(&mut Row)) -> Vec<Hunk> {
    let mut hunks = hunks.to_vec();
    hunks
        .iter_mut()
        .flat_map(|hunk| &mut hunk.rows)
        .for_each(change);
    hunks
}

/// Wrong line numbers, in one of the ways that models have.
pub(super) fn wrong_numbers(hunks: &[Hunk], dice: &mut Dice) -> Vec<Hunk> {
    let way = dice.below(4);
    let by = 1 + dice.below(35);
    let mut hunks = hunks.to_vec();
    for hunk in &mut hunks {
        hunk.number = match way {
            0 => 1,
            // The file as it was when the model saw it.
            1 => hunk.number + by,
            2 => hunk.number.saturating_sub(by).max(1),
            _ => (hunk.number + dice.below(30))
                .saturating_sub(dice.below(30))
                .max(1),
        };
    }
    hunks
}

/// Fewer context lines at the outer ends, and not equally many.
pub(super) fn dropped_context(hunks: &[Hunk], dice: &mut Dice) -> Vec<Hunk> {
    let mut hunks = hunks.to_vec();
    for hunk in &mut hunks {
        let above = context_above(hunk).min(dice.below(4));
        if let Some(last) = hunk.rows.drain(..above).next_back() {
            hunk.above = Some(last.text);
        }
        hunk.start += above;
        hunk.number += above;
        let below = context_below(hunk).min(dice.below(4));
        hunk.rows.truncate(hunk.rows.len() - below);
        hunk.is_at_end &= below == 0;
        if below > 0 {
            hunk.bare_ends = (false, false);
        }
    }
    hunks
}

/// One outermost context line is not what the file has.
pub(super) fn stale_context(hunks: &[Hunk], dice: &mut Dice) -> Vec<Hunk> {
    let mut hunks = hunks.to_vec();
    for hunk in &mut hunks {
        let last = hunk.rows.len() - 1;
        let stale = "this line was there when the model looked";
        if dice.below(2) == 0 && context_above(hunk) > 1 {
            hunk.rows[0].text = stale.to_owned();
        } else if context_below(hunk) > 1 {
            hunk.rows[last].text = stale.to_owned();
        }
    }
    hunks
}

fn context_above(hunk: &Hunk) -> usize {
    hunk.rows.iter().take_while(|row| row.sign == ' ').count()
}

fn context_below(hunk: &Hunk) -> usize {
    hunk.rows
        .iter()
        .rev()
        .take_while(|row| row.sign == ' ')
        .count()
}

/// Whether a perturbed hunk says, to the letter, another place of the file: then it is another
/// change, and nobody can tell that it was not meant.
pub(super) fn means_another_place(before: &Lines, hunk: &Hunk) -> bool {
    let old = hunk.old();
    let said = |line: &str| line.trim_end().to_owned();
    let old: Vec<String> = old.iter().map(|line| said(line)).collect();
    if old.is_empty() || old.len() > before.lines.len() {
        return false;
    }
    before
        .lines
        .windows(old.len())
        .enumerate()
        .any(|(at, window)| {
            at != hunk.start
                && window
                    .iter()
                    .zip(&old)
                    .all(|(theirs, ours)| said(theirs) == *ours)
        })
}
