//! Differences between two contents by their lines, as bytes: what no text is, is compared too.

use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline};

/// From then on a difference need not be the shortest any more.
const LIMIT: Duration = Duration::from_secs(3);
/// Git's rule: a NUL in the first so many bytes means that it is no text.
const LOOKED_AT: usize = 8_000;

/// The lines of a content, each with its end.
pub(super) fn split(content: &[u8]) -> Vec<&[u8]> {
    content.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Whether git takes it for something else than text.
pub(super) fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(LOOKED_AT)].contains(&0)
}

/// How `new` comes from `old`.
pub(super) fn compare(old: &[&[u8]], new: &[&[u8]]) -> Vec<DiffOp> {
    let deadline = Some(Instant::now() + LIMIT);
    capture_diff_slices_deadline(Algorithm::Myers, old, new, deadline)
}

/// The lines added and removed; none for what is no text.
pub(super) fn count(old: &[u8], new: &[u8]) -> (usize, usize) {
    if old == new || is_binary(old) || is_binary(new) {
        return (0, 0);
    }
    let mut counts = (0, 0);
    for op in compare(&split(old), &split(new)) {
        if op.tag() != DiffTag::Equal {
            counts.0 += op.new_range().len();
            counts.1 += op.old_range().len();
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_git_does() {
        for (old, new, counts) in [
            ("", "", (0, 0)),
            ("", "a\nb", (2, 0)),
            ("a\nb\n", "", (0, 2)),
            ("a\nb\n", "a\nb", (1, 1)),
            ("a\nb\nc\n", "a\nx\nc\n", (1, 1)),
            ("a\0", "b", (0, 0)),
        ] {
            assert_eq!(
                count(old.as_bytes(), new.as_bytes()),
                counts,
                "{old:?} {new:?}"
            );
        }
    }
}
