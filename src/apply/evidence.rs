//! How far a path came, read from what stands at its place and in its slot.
//!
//! A step swaps the two in one system call, so together they always tell: before it the place has
//! the base and the slot the target, after it the other way round. For a new file the base is
//! nothing, for a deletion the target is. Whatever fits neither was done by somebody else.

use super::content::Content;

/// How far a path came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The old content is in place and the new one in the slot.
    Todo,
    /// The new content is in place and the old one in the slot.
    Done,
    /// Somebody's own content came out into the slot and ours stands in its place.
    Swapped,
    /// Nothing is left to do: the target is there, or it was and was changed since.
    Settled,
    /// The place has somebody's own content, or what the slot is to hold is lost.
    Changed,
}

/// Reads the evidence for a path that goes from `base` to `target` (marks, `None` for nothing).
pub(super) fn find(
    base: Option<&str>,
    target: Option<&str>,
    place: &Content,
    slot: &Content,
) -> Found {
    let is_ours = |content: &Content| content.is(base) || content.is(target);
    let is_foreign = !is_ours(slot) && *slot != Content::Absent;
    if place.is(base) && slot.is(target) {
        Found::Todo
    } else if place.is(target) && slot.is(base) {
        Found::Done
    } else if is_foreign && is_ours(place) {
        Found::Swapped
    } else if slot.is(base) || place.is(target) {
        Found::Settled
    } else {
        Found::Changed
    }
}

impl Found {
    /// Whether an apply can be finished although a path was found so.
    pub(super) fn can_go_on(self) -> bool {
        match self {
            Self::Todo | Self::Done | Self::Settled => true,
            Self::Swapped | Self::Changed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::content;

    const B: Option<&str> = Some("b");
    const T: Option<&str> = Some("t");

    fn content(word: &str) -> Content {
        match word {
            "-" => Content::Absent,
            "dir" => Content::Other,
            mark => Content::File {
                hash: content::unmarked(mark).to_owned(),
                is_program: mark.ends_with("+x"),
            },
        }
    }

    #[test]
    fn place_and_slot_tell_how_far_a_path_came() {
        for (base, target, place, slot, found) in [
            // A file that is to change.
            (B, T, "b", "t", Found::Todo),
            (B, T, "t", "b", Found::Done),
            (B, T, "t", "u", Found::Swapped),
            (B, T, "b", "u", Found::Swapped),
            (B, T, "t", "dir", Found::Swapped),
            (B, T, "u", "t", Found::Changed),
            (B, T, "-", "t", Found::Changed),
            (B, T, "dir", "t", Found::Changed),
            (B, T, "b", "-", Found::Changed),
            (B, T, "u", "-", Found::Changed),
            (B, T, "u", "u", Found::Changed),
            (B, T, "u", "b", Found::Settled),
            (B, T, "-", "b", Found::Settled),
            (B, T, "t", "t", Found::Settled),
            (B, T, "t", "-", Found::Settled),
            // A new file.
            (None, T, "-", "t", Found::Todo),
            (None, T, "t", "-", Found::Done),
            (None, T, "-", "-", Found::Settled),
            (None, T, "u", "-", Found::Settled),
            (None, T, "t", "t", Found::Settled),
            (None, T, "u", "t", Found::Changed),
            (None, T, "-", "u", Found::Swapped),
            (None, T, "u", "dir", Found::Changed),
            // A deletion.
            (B, None, "b", "-", Found::Todo),
            (B, None, "-", "b", Found::Done),
            (B, None, "u", "b", Found::Settled),
            (B, None, "b", "b", Found::Settled),
            (B, None, "-", "-", Found::Settled),
            (B, None, "u", "-", Found::Changed),
            (B, None, "-", "u", Found::Swapped),
            // A file that only becomes a program.
            (Some("b-x"), Some("b+x"), "b-x", "b+x", Found::Todo),
            (Some("b-x"), Some("b+x"), "b+x", "b-x", Found::Done),
            (Some("b-x"), Some("b+x"), "b+x", "-", Found::Settled),
            (Some("b-x"), Some("b+x"), "u+x", "b+x", Found::Changed),
            (Some("b-x"), Some("b+x"), "b+x", "u-x", Found::Swapped),
        ] {
            let got = find(base, target, &content(place), &content(slot));
            assert_eq!(
                got, found,
                "{base:?} to {target:?}: place {place}, slot {slot}"
            );
        }
    }
}
