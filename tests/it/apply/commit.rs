//! `apply --commit`.

use std::time::Duration;

use super::*;
use crate::crash_points::{Template, killed_at, sweep};

fn head(sandbox: &Sandbox) -> String {
    sandbox.git(&["rev-parse", "HEAD"]).trim().to_owned()
}

fn in_head(sandbox: &Sandbox) -> String {
    sandbox.git(&["show", "--format=%s", "--name-status", "HEAD"])
}

fn index(sandbox: &Sandbox) -> String {
    sandbox.git(&["ls-files", "--stage"]) + &sandbox.git(&["diff", "--cached"])
}

#[test]
fn a_commit_has_what_was_written_and_nothing_of_anybody_elses() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("new/n.txt", "", "n")]);
    // Somebody's work: staged, not staged, and not known to git.
    sandbox.write("b.txt", "staged\n");
    sandbox.write("s.txt", "staged and new\n");
    sandbox.git(&["add", "b.txt", "s.txt"]);
    sandbox.write("c.txt", "not staged\n");
    sandbox.write("u.txt", "unknown\n");
    let foreign = sandbox.git(&["diff", "--cached"]);
    let outcome = sandbox
        .plandex(["apply", "-y", "--commit", "-m", "Two\n\nIt is."])
        // An index of somebody else's, and a repository that is none (HAZARDS.md H47).
        .env("GIT_INDEX_FILE", sandbox.place().join("other-index"))
        .env("GIT_DIR", sandbox.place().join("nowhere"))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "user.name")
        .env("GIT_CONFIG_VALUE_0", "nobody")
        .finish();
    let outcome = outcome.ok();
    assert!(outcome.stdout.contains("committed as"), "{outcome}");
    let shown = in_head(&sandbox);
    assert!(
        shown.contains("M\ta.txt") && shown.contains("A\tnew/n.txt"),
        "{shown}"
    );
    assert!(
        !shown.contains("b.txt") && !shown.contains("s.txt"),
        "{shown}"
    );
    assert_eq!(sandbox.git(&["diff", "--cached"]), foreign);
    let status = sandbox.git(&["status", "--porcelain"]);
    assert!(
        status.contains(" M c.txt") && status.contains("?? u.txt"),
        "{status}"
    );
    assert!(!sandbox.place().join("other-index").exists());
}

#[test]
fn a_hook_that_says_no_leaves_files_applied_and_the_index_as_it_was() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("new/n.txt", "", "n")]);
    sandbox.write("b.txt", "staged\n");
    sandbox.git(&["add", "b.txt"]);
    let hook = sandbox.write(
        ".git/hooks/pre-commit",
        "#!/bin/sh\necho 'lint says no' >&2\nexit 1\n",
    );
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (before, old) = (index(&sandbox), head(&sandbox));
    let outcome = sandbox.run(&["apply", "-y", "--commit"]).exits(10);
    assert!(outcome.stderr.contains("lint says no"), "{outcome}");
    assert!(
        outcome.stderr.contains("applied, and not committed"),
        "{outcome}"
    );
    assert_eq!((index(&sandbox), head(&sandbox)), (before, old));
    assert!(sandbox.read("a.txt").contains("two"));
    assert!(pending(&sandbox).is_empty());
}

#[test]
fn a_busy_index_is_waited_for_and_its_lock_never_removed() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("new/n.txt", "", "n")]);
    let lock = sandbox.write(".git/index.lock", "");
    let outcome = sandbox
        .run(&["apply", "-y", "--commit", "--wait", "1s"])
        .exits(10);
    assert!(outcome.stderr.contains("index.lock"), "{outcome}");
    assert!(lock.exists());
    assert!(sandbox.read("a.txt").contains("two"));
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]),
        " M a.txt\n?? new/\n"
    );
}

#[test]
fn a_lock_that_goes_away_lets_the_commit_through() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two")]);
    let lock = sandbox.write(".git/index.lock", "");
    let mut applying = sandbox.start(&["apply", "-y", "--commit"]);
    sandbox.until("the file is written", || {
        sandbox.read("a.txt").contains("two").then_some(())
    });
    assert!(applying.is_running());
    std::fs::remove_file(lock).unwrap();
    applying.wait(Duration::from_secs(30)).ok();
    assert!(in_head(&sandbox).contains("M\ta.txt"));
}

#[test]
fn what_was_the_users_or_git_ignores_is_left_out_and_named() {
    let sandbox = project();
    tell(
        &sandbox,
        &[
            ("a.txt", "2", "two"),
            ("b.txt", "b", "B"),
            ("target/x", "", "x"),
        ],
    );
    sandbox.write("a.txt", numbers().replace("19", "mine"));
    let outcome = sandbox
        .run(&["apply", "-y", "--commit", "--on-conflict", "merge"])
        .exits(10);
    assert!(
        outcome.stderr.contains("a.txt is not in the commit"),
        "{outcome}"
    );
    assert!(
        outcome
            .stderr
            .contains("target/x is not in the commit: it is ignored"),
        "{outcome}"
    );
    let shown = in_head(&sandbox);
    assert!(
        shown.contains("b.txt") && !shown.contains("a.txt"),
        "{shown}"
    );
}

#[test]
fn without_a_repository_nothing_is_written() {
    let sandbox = Sandbox::without_git();
    sandbox.write("a.txt", "a\n");
    sandbox.ok(&["new"]);
    tell(&sandbox, &[("a.txt", "a", "b")]);
    for args in [
        &["apply", "-y", "-c"][..],
        &["apply", "--dry-run", "--commit"],
    ] {
        let outcome = sandbox.run(args).exits(1);
        assert!(
            outcome.stderr.contains("not in a git work tree"),
            "{outcome}"
        );
    }
    assert_eq!(sandbox.read("a.txt"), "a\n");
}

#[test]
fn a_project_in_another_work_tree_commits_there() {
    let outer = Sandbox::new();
    let tree = outer.place().join("tree");
    let at = tree.to_str().unwrap();
    outer.git(&["worktree", "add", "--quiet", "-b", "side", at]);
    let run = |args: &[&str]| outer.plandex(args).cwd(&tree).finish().ok();
    run(&["new"]);
    let blocks = [
        edit("README.md", "# Scratch", "# Side"),
        edit("n.txt", "", "n"),
    ];
    let prompt = outer.write_beside("prompt", &blocks.join("\n"));
    run(&["tell", "-f", prompt.to_str().unwrap()]);
    let main = head(&outer);
    let outcome = run(&["apply", "-y", "--commit", "--json"]);
    let commit = event(&outcome, "apply.completed")["commit"].clone();
    assert_eq!(head(&outer), main);
    let side = outer.git(&["show", "--format=%H %s", "--name-only", "side"]);
    assert!(side.starts_with(commit.as_str().unwrap()), "{side}");
    assert!(
        side.contains("README.md") && side.contains("n.txt"),
        "{side}"
    );
}

#[test]
fn a_project_below_its_repository_commits_its_own_paths() {
    let sandbox = Sandbox::without_git();
    sandbox.write("a.txt", "a\n");
    sandbox.ok(&["new"]);
    let above = |args: &[&str]| {
        let git = sandbox.program("git", args).cwd(sandbox.place());
        git.finish().ok().stdout
    };
    above(&["init", "--quiet"]);
    above(&["add", "project/a.txt"]);
    above(&["commit", "--quiet", "--message", "start"]);
    tell(&sandbox, &[("a.txt", "a", "b"), ("n.txt", "", "n")]);
    sandbox.ok(&["apply", "-y", "--commit"]);
    let shown = above(&["show", "--format=%s", "--name-status"]);
    let expected = "M\tproject/a.txt\nA\tproject/n.txt";
    assert!(shown.contains(expected), "{shown}");
}

/// Staged by somebody, and two changes of which one is a new file.
fn staged_and_told() -> Sandbox {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("new/n.txt", "", "n")]);
    sandbox.write("b.txt", "staged\n");
    sandbox.git(&["add", "b.txt"]);
    sandbox
}

#[test]
fn killed_around_a_commit_the_index_has_only_what_is_committed_or_was_in_it() {
    let sandbox = staged_and_told();
    let (before, old) = (index(&sandbox), head(&sandbox));
    let foreign = sandbox.git(&["diff", "--cached"]);
    let template = Template::new(sandbox);
    let args = &["apply", "-y", "--commit"];
    let (points, _) = template.points(args);
    let at_git = points.iter().position(|name| name == "git.before").unwrap();
    // From the commit's own record on: directory, file, two syncs.
    let first = at_git - 3;
    assert!(points[first..].iter().any(|name| name == "git.after"));
    let committed = sweep(points.len() - first, |number| {
        let at = first + number;
        let what = format!("killed at {} ({at})", points[at - 1]);
        let sandbox = template.copy();
        killed_at(&sandbox, args, at).unwrap();
        sandbox.ok(&["diff"]);
        let notes = sandbox.state_dir().join("commits");
        let left = notes.read_dir().map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what}");
        let is_committed = head(&sandbox) != old;
        if is_committed {
            assert!(in_head(&sandbox).contains("A\tnew/n.txt"), "{what}");
            assert_eq!(sandbox.git(&["diff", "--cached"]), foreign, "{what}");
        } else {
            assert_eq!(index(&sandbox), before, "{what}");
        }
        assert_eq!(sandbox.read("new/n.txt"), "n\n", "{what}");
        is_committed
    });
    assert!(committed.contains(&true) && committed.contains(&false));
}

/// Plandex is killed, and git, which it started, goes on: whoever comes meanwhile leaves the names
/// alone that the commit is about to have.
#[test]
fn a_commit_that_outlives_its_plandex_is_not_disturbed() {
    let sandbox = staged_and_told();
    let foreign = sandbox.git(&["diff", "--cached"]);
    let plandex = env!("CARGO_BIN_EXE_plandex");
    let hook = format!(
        "#!/bin/sh\nread -r _ _ _ parent _ < /proc/$PPID/stat\nkill -9 $parent\n\
         while grep -q '^State:.[RSD]' /proc/$parent/status 2>/dev/null; do :; done\n\
         unset GIT_INDEX_FILE\n{plandex} diff --stat > .git/met 2>&1\nexit 0\n"
    );
    let hook = sandbox.write(".git/hooks/pre-commit", hook);
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let killed = sandbox.run(&["apply", "-y", "--commit"]);
    assert_eq!(killed.signal, Some(9), "{killed}");
    sandbox.until("git is done", || {
        let is_done = !sandbox.root().join(".git/index.lock").exists();
        (is_done && in_head(&sandbox).contains("A\tnew/n.txt")).then_some(())
    });
    let met = std::fs::read_to_string(sandbox.root().join(".git/met")).unwrap();
    assert!(!met.contains("Repaired: an interrupted commit"), "{met}");
    sandbox.ok(&["diff"]);
    assert_eq!(sandbox.git(&["diff", "--cached"]), foreign);
    let notes = sandbox.state_dir().join("commits");
    assert_eq!(notes.read_dir().unwrap().count(), 0);
}
