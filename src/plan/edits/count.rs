//! Counts the lines that a change adds and removes.

use std::collections::HashMap;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::LineCount;

/// With more lines that both sides have, their order is not looked at: a diff of those may take
/// lines x lines steps.
const ORDERED_LINES_MAX: usize = 8_000;

/// What a diff counts, of lines given by their hashes.
pub(super) fn count_lines(old: &[u64], new: &[u64]) -> LineCount {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev());
    let tail = tail.take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    // A line that only one side has is removed or added, wherever it stands.
    let (old_common, new_common) = (common(old, new), common(new, old));
    let mut count = LineCount {
        added: new.len() - new_common.len(),
        removed: old.len() - old_common.len(),
    };
    if old_common.len() + new_common.len() > ORDERED_LINES_MAX {
        let (added, removed) = unmatched(&old_common, &new_common);
        count.added += added;
        count.removed += removed;
        return count;
    }
    for op in capture_diff_slices(Algorithm::Myers, &old_common, &new_common) {
        if op.tag() != DiffTag::Equal {
            count.removed += op.old_range().len();
            count.added += op.new_range().len();
        }
    }
    count
}

/// The lines of one side that the other has, too.
fn common(lines: &[u64], others: &[u64]) -> Vec<u64> {
    let others: std::collections::HashSet<&u64> = others.iter().collect();
    let both = lines.iter().filter(|line| others.contains(line));
    both.copied().collect()
}

/// How many lines of each side have no partner on the other, whatever their order.
fn unmatched(old: &[u64], new: &[u64]) -> (usize, usize) {
    let mut left: HashMap<u64, usize> = HashMap::new();
    for line in old {
        *left.entry(*line).or_default() += 1;
    }
    let mut added = 0;
    for line in new {
        match left.get_mut(line) {
            Some(count) if *count > 0 => *count -= 1,
            _ => added += 1,
        }
    }
    (added, left.values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_a_diffs() {
        let check = |old: &[u64], new: &[u64], added, removed| {
            assert_eq!(count_lines(old, new), LineCount { added, removed });
        };
        check(&[], &[], 0, 0);
        check(&[1, 2, 3], &[1, 4, 5, 3], 2, 1);
        check(&[1, 2], &[2, 1], 1, 1);
        check(&[1, 1, 1], &[1], 0, 2);
        check(&[1, 2, 3], &[4, 5], 2, 3);
    }

    #[test]
    fn the_order_of_very_many_common_lines_does_not_count() {
        let old: Vec<u64> = (0..30_000).collect();
        let mut new: Vec<u64> = old.iter().rev().copied().collect();
        new.push(99_999);
        let count = count_lines(&old, &new);
        assert_eq!((count.added, count.removed), (1, 0));
    }
}
