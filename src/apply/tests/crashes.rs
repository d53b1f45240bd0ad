//! Killed at every place where something becomes durable, and again at every such place of the
//! recovery: all old or all new, and nothing left over.

use std::collections::BTreeSet;

use super::site::{EDITED, Edit, Ended, Side, Site, THEIRS, VARIANTS, Variant, check};
use super::*;

/// Applies with a kill at each crash point in turn, and calls `then` on each outcome. Returns how
/// many points there were, and their names.
fn kill_everywhere(
    variant: Variant,
    other: Option<&Mounted>,
    edit: Edit,
    mut then: impl FnMut(&Site, &str),
) -> (usize, BTreeSet<String>) {
    let whole = Site::new(variant, other).run("apply", None);
    assert_eq!(whole.ended, Ended::Normally);
    for kill_at in 1..=whole.passed.len() as u64 {
        let site = Site::new(variant, other);
        let run = site.run("apply", Some(kill_at));
        let what = format!(
            "{variant:?}, killed at {kill_at} ({})",
            run.passed.join(" ")
        );
        assert_eq!(run.ended, Ended::Killed, "{what}: no kill");
        if let Some((path, text)) = edit {
            site.ground().write(path, text);
        }
        then(&site, &what);
    }
    (whole.passed.len(), whole.passed.into_iter().collect())
}

#[test]
fn killed_at_every_point_an_apply_is_all_or_nothing() {
    let mut reached = BTreeSet::new();
    let mounted = Mounted::memory("64m");
    let other = mounted.as_ref();
    for variant in variants(other) {
        let mut sides = Vec::new();
        let (_, points) = kill_everywhere(variant, other, None, |site, what| {
            reached.extend(site.copy(other).run("recover", None).passed);
            sides.push(check(site, None, what));
        });
        reached.extend(points);
        // First always undone, from some point on always finished.
        let turn = sides.iter().position(|side| *side == Side::New).unwrap();
        assert!(turn > 0, "{variant:?}");
        assert!(
            sides[turn..].iter().all(|side| *side == Side::New),
            "{variant:?}: {sides:?}"
        );
        println!(
            "{variant:?}: {} kills, new from the {}th",
            sides.len(),
            turn + 1
        );
    }
    for point in [
        "dir.create",
        "dir.sync",
        "file.create",
        "file.exchange.after",
        "file.exchange.before",
        "file.link",
        "file.remove",
        "file.rename.after",
        "file.rename.before",
        "file.sync",
        "commit.after",
        "commit.before",
    ] {
        assert!(reached.contains(point), "{point} was never reached");
    }
}

/// Somebody edits a file between the last look at it and its step: what came out is theirs and
/// goes back in place, whenever the apply is killed.
#[test]
fn killed_at_every_point_while_somebody_edits_their_content_is_in_place() {
    let mounted = Mounted::memory("64m");
    for variant in variants(mounted.as_ref()) {
        let other = mounted.as_ref();
        let (mut kills, mut edits) = (0, 0);
        for kill_at in 1.. {
            let site = Site::new(variant, other);
            let run = site.run("apply while somebody edits", Some(kill_at));
            let edit = run.was_edited.then_some((EDITED, THEIRS));
            edits += u64::from(run.was_edited);
            let what = format!(
                "{variant:?}, killed at {kill_at} ({})",
                run.passed.join(" ")
            );
            for again_at in (1 + kill_at % 5..).step_by(5) {
                let copy = site.copy(other);
                let again = copy.run("recover", Some(again_at));
                let what = format!("{what}, then at {again_at} ({})", again.passed.join(" "));
                let side = check(&copy, edit, &what);
                assert!(side == Side::Old || edit.is_none(), "{what}");
                if again.ended == Ended::Normally {
                    break;
                }
            }
            check(&site, edit, &what);
            if run.ended == Ended::Normally {
                break;
            }
            kills += 1;
        }
        println!("{variant:?}: {kills} kills, {edits} of them after the edit");
        assert!(edits > 0 && edits < kills);
    }
}

/// Kills the recovery of every killed apply at its own points in turn: with the current kernel on
/// one mount at each, else at every fifth, others for each kill.
fn kill_the_recovery_everywhere(
    variant: Variant,
    other: Option<&Mounted>,
    edit: Edit,
) -> BTreeSet<String> {
    let (mut kills, mut reached, mut outcomes) = (0, BTreeSet::new(), BTreeSet::new());
    let (stride, mut first) = (if variant == VARIANTS[0] { 1 } else { 5 }, 0);
    kill_everywhere(variant, other, edit, |site, what| {
        let mut sides = BTreeSet::new();
        first += 1;
        for again_at in (1 + first % stride..).step_by(stride) {
            let again_at = again_at as u64;
            let copy = site.copy(other);
            let run = copy.run("recover", Some(again_at));
            let what = format!("{what}, then at {again_at} ({})", run.passed.join(" "));
            sides.insert(check(&copy, edit, &what));
            reached.extend(run.passed);
            if run.ended == Ended::Normally {
                break;
            }
            kills += 1;
        }
        assert_eq!(sides.len(), 1, "{what}: the recovery wavers");
        outcomes.extend(sides);
    });
    println!("{variant:?}, edit {edit:?}: {kills} kills of the recovery");
    assert_eq!(outcomes.len(), 2, "{variant:?}: {outcomes:?}");
    reached
}

#[test]
fn killed_at_every_point_a_finishing_recovery_can_be_run_again() {
    let mounted = Mounted::memory("64m");
    for variant in variants(mounted.as_ref()) {
        kill_the_recovery_everywhere(variant, mounted.as_ref(), None);
    }
}

#[test]
fn killed_at_every_point_an_undoing_recovery_can_be_run_again() {
    let mounted = Mounted::memory("64m");
    let mut reached = BTreeSet::new();
    // These are edited before their own steps are taken, so that what was written goes back.
    for (variant, path) in variants(mounted.as_ref()).zip(["zoo/last", "made/deep/new"].repeat(2)) {
        let edit = Some((path, THEIRS));
        reached.extend(kill_the_recovery_everywhere(
            variant,
            mounted.as_ref(),
            edit,
        ));
    }
    for point in ["file.rename.before", "file.exchange.before", "dir.remove"] {
        assert!(reached.contains(point), "{point}: nothing was put back");
    }
}

/// The variants that can be tried here.
fn variants(other: Option<&Mounted>) -> impl Iterator<Item = Variant> {
    let has_other = other.is_some();
    VARIANTS
        .into_iter()
        .filter(move |variant| has_other || !variant.two_mounts)
}
