//! Each guard alone, by the one interleaving that needs it: what chance finds now and then in
//! thousands of rounds happens here every time.

use std::cell::Cell;
use std::rc::Rc;

use super::metadata::moved;
use super::writing::Grounds;
use super::*;
use crate::platform::crash::watched::watch;
use crate::platform::root::Dir;

const THEIRS: &str = "the user's";

#[expect(clippy::disallowed_methods, reason = "the user's own writing")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// Applies with `act` called once, at the first `point` at which `is_time` says so.
fn apply_while(
    ground: &mut Ground,
    on_conflict: OnConflict,
    is_time: impl Fn(&'static str) -> bool + 'static,
    act: impl Fn() + 'static,
) -> (Result<Applied>, bool) {
    let acted = Rc::new(Cell::new(false));
    let watcher = {
        let acted = Rc::clone(&acted);
        move |point: &'static str| {
            if !acted.get() && is_time(point) {
                acted.set(true);
                act();
            }
        }
    };
    let applied = watch(watcher, || ground.apply(on_conflict));
    (applied, acted.get())
}

/// One file is new already when its owner edits it; then another one is found changed, and all is
/// to go back.
#[test]
fn what_is_edited_after_it_was_written_stays_when_the_others_go_back() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        for (path, text) in [("a", "old"), ("b", "old"), ("c", "old")] {
            ground.write(path, text);
            ground.change(path, Some("old"), Some("new"));
        }
        ground.change("made", None, Some("new"));
        let [b, c, made] = ["b", "c", "made"].map(|path| ground.path(path));
        let (is_new, made_is) = (b.clone(), made.clone());
        let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        // The last of the four is about to be written.
        let is_time =
            move |_: &'static str| text(&is_new) == "new" && text(&c) == "new" && !made_is.exists();
        let act = move || {
            write(&b, THEIRS);
            write(&made, THEIRS);
        };
        let (applied, acted) = apply_while(&mut ground, OnConflict::Abort, is_time, act);
        assert!(acted, "{name}");
        let error = applied.unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(ApplyError::Changed(_))),
            "{name}: {error:#}"
        );
        let found = ["a", "b", "c", "made"].map(|path| ground.text(path));
        let expected = ["old", THEIRS, "old", THEIRS].map(|text| Some(text.to_owned()));
        assert_eq!(found, expected, "{name}");
    }
}

/// Killed while an original was aside, by a kernel without exchange, and its owner wrote the file
/// anew: what is aside is theirs, too, unless it is known.
#[test]
fn what_is_aside_is_kept_unless_it_is_the_old_or_the_new_content() {
    for (aside, is_kept) in [("old", false), ("new", false), (THEIRS, true)] {
        let dir = tempfile::tempdir().unwrap();
        let opened = std::sync::Arc::new(Dir::open(dir.path(), Kernel::Old).unwrap());
        let (place, slot) = (opened.spot("place"), opened.spot("slot"));
        let path = |name: &str| dir.path().join(name);
        write(&path("place"), "written anew");
        write(&path("slot"), "new");
        write(&path("slot.aside"), aside);
        let (base, target) = (sha256_hex(b"old"), sha256_hex(b"new"));
        step::tidy(Some(&place), &slot, Some(&base), Some(&target)).unwrap();
        let text = |name: &str| std::fs::read_to_string(path(name)).ok();
        assert_eq!(text("place").as_deref(), Some("written anew"));
        assert_eq!(text("slot").as_deref(), Some("new"));
        assert_eq!(text("slot.aside"), None);
        let kept = is_kept.then(|| THEIRS.to_owned());
        assert_eq!(text("slot.kept"), kept, "{aside}");
    }
}

/// The second half of a move is taken by its owner once the first half is written: that goes back,
/// whichever half it is.
#[test]
fn the_written_half_of_a_move_goes_back_if_the_other_one_is_taken() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        for (from, to) in [("z/from", "a/to"), ("a/from", "z/to")] {
            let mut ground = grounds.fresh(name);
            ground.write(from, "old");
            ground.write("a/other", "old");
            ground.write("z/other", "old");
            moved(&mut ground, from, to);
            let (source, target) = (ground.path(from), ground.path(to));
            let is_new_first = to < from;
            let taken = if is_new_first { &source } else { &target }.clone();
            let is_time = move |_: &'static str| match is_new_first {
                true => target.exists(),
                false => !source.exists(),
            };
            let act = move || write(&taken, THEIRS);
            let (applied, acted) = apply_while(&mut ground, OnConflict::Skip, is_time, act);
            let applied = applied.unwrap();
            let what = format!("{name}, {from} to {to}: {applied:?}");
            assert!(acted && applied.written.is_empty(), "{what}");
            let (at_from, at_to) = (ground.text(from), ground.text(to));
            let theirs = Some(THEIRS.to_owned());
            let old = Some("old".to_owned());
            let expected = if is_new_first {
                (theirs, None)
            } else {
                (old, theirs)
            };
            assert_eq!((at_from, at_to), expected, "{what}");
            assert_eq!(ground.pending().len(), 2, "{what}");
        }
    }
}
