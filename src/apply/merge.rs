//! The merge of two changes of one file, line by line. Pure.
//!
//! The one hard rule: a merge is clean or there is none. Where the two sides touch the same lines,
//! or lines beside each other, somebody has to look.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

/// A difference that takes longer is told by larger pieces, which at worst do not merge.
const PATIENCE: Duration = Duration::from_secs(2);

/// Lines of the base that one side replaced, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece<'t> {
    old: Range<usize>,
    new: Vec<&'t [u8]>,
}

/// Brings what `ours` changed of `base` into `theirs`; `None` if the two changed the same lines, or
/// one of the three is no text. Lines are compared with their ends, so that a line end or a mark of
/// one side stays.
pub(super) fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<Vec<u8>> {
    if [base, ours, theirs].iter().any(|text| text.contains(&0)) {
        return None;
    }
    let lines = lines(base);
    let (ours, theirs) = (pieces(&lines, ours), pieces(&lines, theirs));
    let mut merged: Vec<u8> = Vec::new();
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    let mut at = 0;
    // Bounded by the pieces: each round takes one of them at least.
    loop {
        let piece = match (ours.peek(), theirs.peek()) {
            (None, None) => break,
            (Some(one), Some(two)) if one == two => {
                ours.next();
                theirs.next()
            }
            (Some(one), Some(two)) if touch(&one.old, &two.old) => return None,
            (Some(one), Some(two)) if two.old.start < one.old.start => theirs.next(),
            (Some(_), _) => ours.next(),
            (None, Some(_)) => theirs.next(),
        }?;
        push(&mut merged, lines.get(at..piece.old.start)?);
        push(&mut merged, &piece.new);
        at = piece.old.end;
    }
    push(&mut merged, lines.get(at..)?);
    Some(merged)
}

fn touch(one: &Range<usize>, two: &Range<usize>) -> bool {
    one.start <= two.end && two.start <= one.end
}

fn push(merged: &mut Vec<u8>, lines: &[&[u8]]) {
    for line in lines {
        merged.extend_from_slice(line);
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn pieces<'t>(base: &[&[u8]], side: &'t [u8]) -> Vec<Piece<'t>> {
    let side = lines(side);
    let deadline = Instant::now().checked_add(PATIENCE);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, base, &side, deadline);
    let mut pieces: Vec<Piece<'t>> = Vec::new();
    for op in ops {
        if matches!(op, DiffOp::Equal { .. }) {
            continue;
        }
        let (old, new) = (op.old_range(), side[op.new_range()].to_vec());
        match pieces.last_mut() {
            Some(last) if last.old.end == old.start => {
                last.old.end = old.end;
                last.new.extend(new);
            }
            _ => pieces.push(Piece { old, new }),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes());
        merged.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_is_apart_merges_and_what_touches_does_not() {
        let base = "a\nb\nc\nd\ne\n";
        for (ours, theirs, expected) in [
            (
                "A\nb\nc\nd\ne\n",
                "a\nb\nc\nd\nE\n",
                Some("A\nb\nc\nd\nE\n"),
            ),
            (
                "a\nb\nc\nd\nE\n",
                "A\nb\nc\nd\ne\n",
                Some("A\nb\nc\nd\nE\n"),
            ),
            // An insertion at the top, a line gone below.
            (
                "new\na\nb\nc\nd\ne\n",
                "a\nb\nc\ne\n",
                Some("new\na\nb\nc\ne\n"),
            ),
            // The same on both sides.
            (
                "a\nB\nc\nd\ne\n",
                "a\nB\nc\nd\nE\n",
                Some("a\nB\nc\nd\nE\n"),
            ),
            // The same lines, and lines beside each other.
            ("a\nX\nc\nd\ne\n", "a\nY\nc\nd\ne\n", None),
            ("a\nX\nc\nd\ne\n", "a\nb\nY\nd\ne\n", None),
            ("a\nb\nX\nc\nd\ne\n", "a\nb\nY\nc\nd\ne\n", None),
            ("", "a\nb\nc\nd\nE\n", None),
            // A line apart is enough.
            (
                "a\nX\nc\nd\ne\n",
                "a\nb\nc\nY\ne\n",
                Some("a\nX\nc\nY\ne\n"),
            ),
            // The last line lost its end on one side.
            ("A\nb\nc\nd\ne\n", "a\nb\nc\nd\ne", Some("A\nb\nc\nd\ne")),
            ("a\nb\nc\nd\ne", "a\nb\nc\nd\nE\n", None),
        ] {
            assert_eq!(
                merged(base, ours, theirs).as_deref(),
                expected,
                "{ours:?} {theirs:?}"
            );
        }
    }

    #[test]
    fn line_ends_and_marks_stay_and_what_is_no_text_does_not_merge() {
        let base = "\u{feff}a\r\nb\r\nc\r\nd\r\n";
        let ours = base.replace("a\r", "A\r");
        let theirs = base.replace("d\r", "D\r");
        let both = ours.replace("d\r", "D\r");
        assert_eq!(merged(base, &ours, &theirs), Some(both));
        assert_eq!(merged("a\n\0\nc\n", "A\n\0\nc\n", "a\n\0\nC\n"), None);
    }

    proptest! {
        /// Two sets of lines that lie apart: both are in the result, whoever is asked first.
        #[test]
        fn changes_apart_are_both_there(
            count in 1_usize..30,
            one in proptest::collection::btree_set(0_usize..30, 0..6),
            two in proptest::collection::btree_set(0_usize..30, 0..6),
        ) {
            let text = |mine: &dyn Fn(usize) -> Option<&'static str>| -> String {
                (0..count)
                    .map(|line| format!("{}{line}\n", mine(line).unwrap_or_default()))
                    .collect()
            };
            let near = |line: usize| two.iter().any(|other| other.abs_diff(line) < 2);
            let one: Vec<usize> = one.into_iter().filter(|line| !near(*line)).collect();
            let base = text(&|_| None);
            let ours = text(&|line| one.contains(&line).then_some("ours "));
            let theirs = text(&|line| two.contains(&line).then_some("theirs "));
            let both = text(&|line| {
                if one.contains(&line) {
                    Some("ours ")
                } else {
                    two.contains(&line).then_some("theirs ")
                }
            });
            prop_assert_eq!(merged(&base, &ours, &theirs), Some(both.clone()));
            prop_assert_eq!(merged(&base, &theirs, &ours), Some(both));
        }

        #[test]
        fn a_side_that_changed_nothing_decides_nothing(
            base in "[abc\n]{0,40}",
            side in "[abc\n]{0,40}",
        ) {
            prop_assert_eq!(merged(&base, &side, &base), Some(side.clone()));
            prop_assert_eq!(merged(&base, &base, &side), Some(side.clone()));
            prop_assert_eq!(merged(&base, &side, &side), Some(side));
        }
    }
}
