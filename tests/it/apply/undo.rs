//! `apply --undo`.

use super::*;
use crate::crash_points::files;

#[test]
fn what_an_apply_replaced_comes_back_and_its_changes_are_pending_again() {
    let sandbox = project();
    let before = files(&sandbox);
    let nothing = sandbox.run(&["apply", "--undo", "-y"]).exits(1);
    assert!(
        nothing.stderr.contains("there is no apply to undo"),
        "{nothing}"
    );
    tell(
        &sandbox,
        &[("a.txt", "2", "two"), ("new/deep/n.txt", "", "n")],
    );
    sandbox.ok(&["apply", "-y"]);
    let after = files(&sandbox);
    tell(&sandbox, &[("b.txt", "b", "B")]);
    sandbox.ok(&["apply", "-y"]);
    // Newest first; without a yes nothing happens.
    let unasked = sandbox.run(&["apply", "--undo"]).exits(9);
    assert!(
        unasked.stderr.contains("hint: `plandex apply --undo -y`;"),
        "{unasked}"
    );
    let dry = sandbox.ok(&["apply", "--undo", "--dry-run"]);
    assert!(dry.stdout.contains("1 file would be brought back"), "{dry}");
    assert_eq!(sandbox.read("b.txt"), "B\n");
    sandbox.ok(&["apply", "--undo", "-y"]);
    assert_eq!(files(&sandbox), after);
    assert_eq!(pending(&sandbox), ["b.txt"]);
    let undone = sandbox.ok(&["apply", "--undo", "-y", "--json"]);
    let completed = event(&undone, "apply.completed");
    assert_eq!(completed["written"].as_array().unwrap().len(), 2);
    assert!(completed["undone"].is_string());
    assert_eq!(files(&sandbox), before);
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt", "new/deep/n.txt"]);
    sandbox.run(&["apply", "--undo", "-y"]).exits(1);
    // And they can be applied again, and undone again.
    sandbox.ok(&["apply", "-y"]);
    sandbox.ok(&["apply", "--undo", "-y"]);
    assert_eq!(files(&sandbox), before);
    let log = sandbox.ok(&["log"]);
    assert_eq!(log.stdout.matches("Undo apply of").count(), 3, "{log}");
}

#[test]
fn a_file_that_changed_since_is_not_touched() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("b.txt", "b", "B")]);
    let applied = sandbox.ok(&["apply", "-y", "--json"]);
    let id = event(&applied, "apply.completed")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    sandbox.write("b.txt", "mine\n");
    for extra in [&["-y"][..], &["--dry-run"]] {
        let args = [&["apply", "--undo"], extra].concat();
        let refused = sandbox.run(&args).exits(7);
        assert!(refused.stderr.contains("b.txt"), "{refused}");
    }
    assert!(sandbox.read("a.txt").contains("two"));
    sandbox
        .run(&["apply", "--undo", "-y", "--on-conflict", "overwrite"])
        .exits(2);
    let part = sandbox
        .run(&["apply", "--undo", &id, "-y", "--on-conflict", "skip"])
        .exits(10);
    assert!(
        part.stdout.contains("✓ 1 file processed successfully"),
        "{part}"
    );
    assert_eq!(sandbox.read("a.txt"), numbers());
    assert_eq!(sandbox.read("b.txt"), "mine\n");
    assert_eq!(pending(&sandbox), ["a.txt"]);
    // The rest by its id, once the file is what it was.
    sandbox.run(&["apply", "--undo", "-y"]).exits(1);
    sandbox.write("b.txt", "B\n");
    sandbox.ok(&["apply", "--undo", &id, "-y"]);
    assert_eq!(pending(&sandbox), ["a.txt", "b.txt"]);
    assert_eq!(sandbox.read("b.txt"), "b\n");
    sandbox.run(&["apply", "--undo", "nothing", "-y"]).exits(2);
}

#[test]
fn a_newer_change_of_the_file_keeps_its_place() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two")]);
    sandbox.ok(&["apply", "-y"]);
    tell(&sandbox, &[("a.txt", "4", "four")]);
    sandbox.ok(&["apply", "--undo", "-y"]);
    assert_eq!(sandbox.read("a.txt"), numbers());
    assert_eq!(pending(&sandbox), ["a.txt"]);
    // It was built on the first one, so it has both, and is built on what is there now.
    sandbox.ok(&["apply", "-y"]);
    let both = numbers()
        .replacen("2\n", "two\n", 1)
        .replacen("4\n", "four\n", 1);
    assert_eq!(sandbox.read("a.txt"), both);
}

#[test]
fn killed_anywhere_an_undo_is_whole_or_did_not_happen() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("n/n.txt", "", "n")]);
    let before = files(&sandbox);
    let mut ends = [false, false];
    for number in (1..400).step_by(3) {
        if !pending(&sandbox).is_empty() {
            sandbox.ok(&["apply", "-y"]);
        }
        let after = files(&sandbox);
        let run = sandbox
            .plandex(["apply", "--undo", "-y"])
            .env("PLANDEX_CRASH_AT", number.to_string())
            .finish();
        if run.signal != Some(9) {
            run.ok();
            assert!(ends[0] && ends[1], "{ends:?}");
            return;
        }
        // Whoever has the plan next mends it.
        sandbox.run(&["build"]);
        let now = files(&sandbox);
        let is_back = pending(&sandbox).len() == 2;
        ends[usize::from(is_back)] = true;
        assert_eq!(
            now,
            if is_back { &before } else { &after }.clone(),
            "{number}"
        );
    }
    panic!("it never ended by itself");
}
