//! `diff`, `apply`.

use std::time::Duration;

use plandex::store::tickets::Ticket;

use super::{edit, expect, greeting, pending, project, tell};
use crate::crash_points::{self, Template, files, killed_at};
use crate::support::Sandbox;

/// Whatever an interrupted apply left to do, the next one says what became of the changes.
#[test]
fn an_apply_after_an_interrupted_one_says_what_became_of_it() {
    let sandbox = crash_points::project();
    sandbox.ok(&["tell", crash_points::TWO_FILES]);
    let template = Template::new(sandbox);
    let apply = ["apply", "-y"];
    let (points, _) = template.points(&apply);
    let mut repaired = 0;
    for at in 1..=points.len() {
        let sandbox = template.copy();
        killed_at(&sandbox, &apply, at).expect("it passes there");
        let next = sandbox.ok(&apply);
        let words = next.text();
        let says = |what: &str| words.contains(what);
        repaired += usize::from(says("Nothing was left to write"));
        assert!(
            says("files written")
                || says("Nothing was left to write")
                || says("No pending changes"),
            "killed at {}: {words}",
            points[at - 1]
        );
    }
    assert!(
        repaired > 0,
        "no kill was between the decision and the rows"
    );
}

#[test]
fn git_apply_takes_what_diff_prints() {
    let sandbox = project();
    sandbox.write("no-newline.txt", "one\ntwo");
    sandbox.write("crlf.txt", "one\r\ntwo\r\n");
    sandbox.write("with space.txt", "old\n");
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "more"]);
    let reply = [
        greeting("diffed"),
        edit("new/deep/file.txt", "", "made"),
        edit("no-newline.txt", "two", "2"),
        edit("crlf.txt", "two", "2"),
        edit("`with space.txt`", "old", "new"),
    ]
    .join("\n");
    tell(&sandbox, &reply).ok();
    let diff = sandbox.ok(&["diff"]).stdout;
    let patch = sandbox.write_beside("patch", &diff);
    let patch = patch.to_str().unwrap();
    sandbox.git(&["apply", "--check", patch]);
    // What git makes of it is what apply makes of it.
    let by_git = Sandbox::new();
    // Git's objects are read-only, and only root may write over them.
    std::fs::remove_dir_all(by_git.root().join(".git")).unwrap();
    by_git
        .program("cp", ["-a", ".", by_git.root().to_str().unwrap()])
        .cwd(sandbox.root())
        .finish()
        .ok();
    by_git.git(&["apply", patch]);
    sandbox.ok(&["apply", "-y"]);
    assert_eq!(files(&by_git), files(&sandbox));
    assert_eq!(sandbox.read("crlf.txt"), "one\r\n2\r\n");
    assert_eq!(sandbox.read("no-newline.txt"), "one\n2");
}

/// Without anything pending it still waits: the tell before it may be about to leave something.
#[test]
fn apply_waits_for_a_tell_that_has_not_left_anything_yet() {
    let sandbox = project();
    let mut held = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    let holds = |line: &[Ticket]| line.iter().any(|ticket| ticket.state.word() == "held");
    sandbox.until_queue("the tell holds the plan", holds);
    sandbox.run(&["apply", "-y", "--no-wait"]).exits(75);
    let none = sandbox.ok(&["apply", "--dry-run"]);
    assert!(none.stderr.contains("No pending changes"), "{none}");
    let applying = sandbox.plandex(["apply", "-y"]).start();
    sandbox.until_queue("the apply waits", |line| line.len() == 2);
    held.say(&greeting("waited for"));
    held.close_stdin();
    held.wait(Duration::from_secs(30)).ok();
    let applied = applying.finish().ok();
    assert!(applied.stdout.contains("1 file written"), "{applied}");
    assert!(sandbox.read("src/lib.rs").contains("waited for"));
}

#[test]
fn diff_snapshot_does_not_wait_for_a_tell_and_diff_does() {
    let sandbox = project();
    tell(&sandbox, &greeting("pending")).ok();
    let mut held = sandbox
        .plandex(["tell", "wait", "--reply", "-"])
        .held_stdin()
        .start();
    sandbox.until_queue("the tell holds the plan", |line| {
        line.iter().any(|ticket| ticket.state.word() == "held")
    });
    let snapshot = sandbox.ok(&["diff", "--snapshot"]);
    assert!(snapshot.stdout.contains("+    \"pending\""), "{snapshot}");
    expect(
        &sandbox.run(&["diff", "--no-wait"]),
        r#"$ plandex diff --no-wait
--- stderr
error: lock conflict: cannot acquire read lock: Tell operation by pid [PID] (plandex tell wait --reply -) is in progress
hint: nothing was changed; wait for it with `--wait 30s`, or look with `plandex status`
--- exit 75
"#,
    );
    let ps = sandbox.ok(&["ps", "--json"]).json();
    assert_eq!(ps["locks"][0]["title"], "Tell operation");
    assert_eq!(ps["locks"][0]["pid"], held.pid());
    for (command, words) in [
        ("status", "Running"),
        ("ps", "Tell operation"),
        ("locks", "held"),
    ] {
        let outcome = sandbox.ok(&[command]);
        assert!(outcome.stdout.contains(words), "{outcome}");
    }
    assert!(held.is_running());
    held.say("No edits.\n");
    held.finish().ok();
    expect(
        &sandbox.run(&["ps"]),
        r#"$ plandex ps
--- stderr
Nothing runs
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["locks"]),
        r#"$ plandex locks
--- stderr
No operation runs or waits
--- exit 0
"#,
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "mostly what is printed")]
fn apply_writes_what_was_shown_and_asks_first() {
    let sandbox = project();
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stderr
No pending changes
--- exit 0
"#,
    );
    let prompt = greeting("applied") + "\n" + &edit("new/b.txt", "", "b");
    tell(&sandbox, &prompt).ok();
    let before = files(&sandbox);
    expect(
        &sandbox.run(&["apply"]),
        r#"$ plandex apply
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
--- stderr
error: apply needs a confirmation, and there is no terminal to ask on
hint: `plandex apply -y`; nothing was written
--- exit 9
"#,
    );
    expect(
        &sandbox.run(&["apply", "--dry-run"]),
        r#"$ plandex apply --dry-run
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
✓ 2 files would be written
--- exit 0
"#,
    );
    assert_eq!(files(&sandbox), before);
    assert_eq!(pending(&sandbox).len(), 2);
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stdout
A new/b.txt +1 −0
M src/lib.rs +1 −1
✓ 2 files written
--- exit 0
"#,
    );
    assert_eq!(sandbox.read("new/b.txt"), "b\n");
    assert_eq!(
        sandbox.git(&["status", "--porcelain"]),
        " M src/lib.rs\n?? new/\n"
    );
    expect(
        &sandbox.run(&["log"]),
        r#"$ plandex log
--- stdout
  0  [SHORT]  [AGE] ago  Apply 2 changes
     plandex apply -y (apply changes)
  1  [SHORT]  [AGE] ago  Tell #1: src/lib.rs
     plandex tell -f [PLACE]/tmp/prompt (tell execution)
  2  [SHORT]  [AGE] ago  Load src/lib.rs
     plandex load src/lib.rs (load context)
  3  [SHORT]  [AGE] ago  New plan draft
     plandex new -n draft
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["status"]),
        r#"$ plandex status
--- stdout
Plan draft, branch main: ready
Last run: ready [AGE] ago, 2 of 2 files built
No pending changes
--- exit 0
"#,
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "mostly what is printed")]
fn a_file_that_changed_since_the_tell_is_never_overwritten_unasked() {
    let sandbox = project();
    let prompt = greeting("planned") + "\n" + &edit("new.txt", "", "new");
    tell(&sandbox, &prompt).ok();
    let mine = "// mine\n".to_owned() + &sandbox.read("src/lib.rs");
    sandbox.write("src/lib.rs", &mine);
    let before = files(&sandbox);
    expect(
        &sandbox.run(&["diff"]),
        r#"$ plandex diff
--- stdout
diff --git a/new.txt b/new.txt
new file mode 100644
index 0000000..3e75765
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+new
diff --git a/src/lib.rs b/src/lib.rs
--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,4 +1,3 @@
-// mine
 pub fn greeting() -> &'static str {
-    "hello"
+    "planned"
 }
--- stderr
warning: src/lib.rs was modified since last read
--- exit 0
"#,
    );
    expect(
        &sandbox.run(&["apply", "-y"]),
        r#"$ plandex apply -y
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "abort"]),
        r#"$ plandex apply -y --on-conflict abort
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    expect(
        &sandbox.run(&["apply", "--dry-run"]),
        r#"$ plandex apply --dry-run
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
--- stderr
error: a decision is needed: src/lib.rs was modified since last read
hint: nothing was written; look with `plandex diff`, then `plandex apply --on-conflict skip` or `overwrite`, or `plandex tell` again
--- exit 7
"#,
    );
    assert_eq!(files(&sandbox), before);
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "skip"]),
        r#"$ plandex apply -y --on-conflict skip
--- stdout
A new.txt +1 −0
M src/lib.rs +1 −1  was modified since last read
Operation partially completed.

Summary:
  ✓ 1 file processed successfully
  ○ 1 file skipped (still pending)

Skipped files:
  - src/lib.rs: Was modified since last read
--- stderr
hint: what was skipped is pending still: see `plandex diff`, then `plandex apply --on-conflict overwrite` (or merge), or `plandex reject FILES`
--- exit 10
"#,
    );
    assert_eq!(sandbox.read("src/lib.rs"), mine);
    assert_eq!(sandbox.read("new.txt"), "new\n");
    assert_eq!(pending(&sandbox), ["src/lib.rs"]);
    expect(
        &sandbox.run(&["apply", "-y", "--on-conflict", "overwrite"]),
        r#"$ plandex apply -y --on-conflict overwrite
--- stdout
M src/lib.rs +1 −1  was modified since last read
✓ 1 file written
--- exit 0
"#,
    );
    assert!(sandbox.read("src/lib.rs").contains("planned"));
    // What the user wrote is kept aside.
    let kept = sandbox
        .program("grep", ["-rlF", "// mine", ".plandex/apply"])
        .finish()
        .ok();
    assert_eq!(kept.stdout.lines().count(), 1, "{kept}");
}

/// HAZARDS.md H15: what tools run by themselves is named where somebody says yes to it.
#[test]
fn a_file_that_tools_run_by_themselves_is_named_before_it_is_written() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["new", "-n", "draft"]);
    sandbox.ok(&[
        "tell",
        "```sh path=.envrc\necho hi\n```\n```rust path=src/x.rs\nfn x() {}\n```\n",
    ]);
    let asked = sandbox.run(&["apply"]).exits(9);
    let named: Vec<&str> = asked
        .stdout
        .lines()
        .filter(|line| line.contains("by themselves"))
        .collect();
    assert!(
        matches!(named[..], [line] if line.contains(".envrc")),
        "{asked}"
    );
}
