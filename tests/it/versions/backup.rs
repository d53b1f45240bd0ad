//! `backup` while others work, and `restore` of what is whole and of what is not.

use std::os::unix::fs::PermissionsExt as _;

use super::rebuild::{back, expect_same};
use super::trees;
use crate::crash_points::{TWO_FILES, check_mirrors, check_sound, project};
use crate::support::Sandbox;

fn empty() -> Sandbox {
    Sandbox::without_git()
}

#[test]
fn what_was_backed_up_is_restored() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    sandbox.ok(&["checkout", "-b", "side"]);
    sandbox.ok(&["apply", "--yes"]);
    sandbox.ok(&["new", "-n", "gone"]);
    sandbox.ok(&["delete-plan", "-y", "gone"]);
    let file = sandbox.place().join("io/all.plandex");
    let at = file.to_str().unwrap();
    let before = back(&sandbox);
    let document = sandbox.ok(&["backup", at, "--json"]).json();
    assert_eq!(document["plans"], 2);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    expect_same(&back(&sandbox), &before, "a backup changes nothing");
    let again = sandbox.run(&["backup", at]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("exists already"), "{}", again.text());

    let other = empty();
    other.ok(&["restore", at]);
    expect_same(&back(&other), &before, "restored");
    trees::check(&other, "restored");
    check_sound(&other, "restored");
    let mode = std::fs::metadata(other.state_dir())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o700);
    other.write("a.txt", "one\ntwo\n");
    other.ok(&["apply", "--yes", "--plan", "1", "--branch", "main"]);
    other.ok(&["doctor"]);
    other.ok(&["undelete", "gone"]);

    // In the place of another: only if asked, and that one is kept.
    let refused = other.run(&["restore", at]);
    assert_eq!(refused.code, Some(2), "{}", refused.text());
    let document = other.ok(&["restore", at, "--force", "--json"]).json();
    let aside = document["movedAside"].as_str().unwrap();
    assert!(std::path::Path::new(aside).join("plandex.db").exists());
    expect_same(&back(&other), &before, "restored again");
    check_mirrors_of_live(&other);
}

fn check_mirrors_of_live(sandbox: &Sandbox) {
    // Two branches: each ref is its own row's.
    for (repo, branch) in crate::crash_points::heads(sandbox) {
        let name = format!("refs/heads/{}", branch.id);
        let shown = crate::crash_points::git(sandbox, &repo, &["rev-parse", &name]).ok();
        assert_eq!(Some(shown.stdout.trim()), branch.head.as_deref());
    }
}

#[test]
fn a_project_that_somebody_works_on_is_not_moved_aside() {
    let sandbox = project();
    let file = sandbox.place().join("io/all.plandex");
    let at = file.to_str().unwrap();
    let tell = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    sandbox.until_queue("the tell holds the plan", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    // A backup waits for nobody.
    sandbox.ok(&["backup", at]);
    let refused = sandbox.run(&["restore", at, "--force"]);
    assert_eq!(refused.code, Some(75), "{}", refused.text());
    drop(tell);
    // What ran then does not run here: the next writer says so.
    let other = empty();
    other.write("a.txt", "one\ntwo\n");
    other.ok(&["restore", at]);
    assert!(other.tickets().is_empty());
    other.ok(&["tell", TWO_FILES, "--plan", "1"]);
    trees::check(&other, "restored under a tell");
    check_mirrors(&other, "restored under a tell");
}

#[test]
fn what_is_cut_off_or_changed_is_refused_and_changes_nothing() {
    let sandbox = project();
    sandbox.ok(&["tell", TWO_FILES]);
    let file = sandbox.place().join("io/all.plandex");
    sandbox.ok(&["backup", file.to_str().unwrap()]);
    let whole = std::fs::read(&file).unwrap();
    let bad = sandbox.place().join("io/bad.plandex");
    let mut tried = 0;
    let mut refuse = |bytes: &[u8], what: &str| {
        std::fs::write(&bad, bytes).unwrap();
        let other = empty();
        let refused = other.run(&["restore", bad.to_str().unwrap()]);
        assert_eq!(refused.code, Some(1), "{what}: {}", refused.text());
        assert!(
            refused.stderr.contains("is not a whole backup"),
            "{what}: {}",
            refused.text()
        );
        let left: Vec<_> = std::fs::read_dir(other.root()).unwrap().collect();
        assert!(left.is_empty(), "{what}: {left:?}");
        tried += 1;
    };
    refuse(b"", "empty");
    refuse(b"nonsense", "nonsense");
    for part in 1..8 {
        refuse(&whole[..whole.len() * part / 8], "cut off");
    }
    // A byte of the content of every eighth block: headers, database, packs.
    let end = whole.windows(8).rposition(|w| w == b"end.json").unwrap();
    for at in (512..end).step_by(whole.len() / 12) {
        let mut changed = whole.clone();
        // Past the header of the block, where content is.
        let at = at - at % 512 + 100;
        changed[at] ^= 0x55;
        if changed[at - at % 512..][..512]
            .iter()
            .all(|byte| *byte == 0)
        {
            continue;
        }
        std::fs::write(&bad, &changed).unwrap();
        let other = empty();
        let outcome = other.run(&["restore", bad.to_str().unwrap()]);
        // The padding after a file's end is nobody's content.
        if outcome.code == Some(0) {
            trees::check(&other, "padding");
            continue;
        }
        refuse(&changed, "a changed byte");
    }
    assert!(tried >= 12, "{tried}");
}
