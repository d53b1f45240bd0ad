//! Files that cannot be written.

use std::path::PathBuf;

use super::*;

fn locked() -> Sandbox {
    let sandbox = project();
    let edits = [
        ("a.txt", "2", "two"),
        ("b.txt", "b", "B"),
        ("c.txt", "c", "C"),
    ];
    tell(&sandbox, &edits);
    chmod(&sandbox, "b.txt", 0o444);
    sandbox
}

/// A program called sudo that notes how it is called, and runs what it is given.
fn stand_in(sandbox: &Sandbox) -> (String, PathBuf) {
    let bin = sandbox.place().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let log = sandbox.place().join("sudo.log");
    let text = format!(
        "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\" >> '{0}'; done\n\
         printf 'in %s\\n' \"$PWD\" >> '{0}'\nexec \"$@\"\n",
        log.display()
    );
    let path = bin.join("sudo");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let old = std::env::var("PATH").unwrap();
    (format!("{}:{old}", bin.display()), log)
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_others_alone() {
    let sandbox = locked();
    sandbox.write("c.txt", "C\n");
    let dry = sandbox.run(&["apply", "--dry-run"]).exits(10);
    let outcome = sandbox.run(&["apply", "-y"]).exits(10);
    let summary = "Operation partially completed.

Summary:
  ✓ 1 file processed successfully
  ✗ 1 file failed (read-only)
  ○ 1 file skipped (already up to date)

Failed files:
  - b.txt: Read-only

To retry failed files with sudo:
  plandex apply --retry-failed --sudo
";
    assert!(outcome.stdout.ends_with(summary), "{outcome}");
    let would = summary
        .replace("partially", "be partially")
        .replace("Operation", "Operation would");
    assert!(dry.stdout.ends_with(&would), "{dry}");
    assert_eq!(pending(&sandbox), ["b.txt"]);
    // Nothing else is tried again, whatever became pending meanwhile.
    tell(&sandbox, &[("d.txt", "", "d")]);
    sandbox.run(&["apply", "-y", "--retry-failed"]).exits(10);
    chmod(&sandbox, "b.txt", 0o644);
    sandbox.ok(&["apply", "-y", "--retry-failed"]);
    assert_eq!(sandbox.read("b.txt"), "B\n");
    assert_eq!(pending(&sandbox), ["d.txt"]);
    let none = sandbox.ok(&["apply", "-y", "--retry-failed"]);
    assert!(none.stderr.contains("Nothing that failed"), "{none}");
    assert_eq!(pending(&sandbox), ["d.txt"]);
}

#[test]
fn atomic_means_all_or_nothing() {
    let sandbox = locked();
    for args in [
        &["apply", "-y", "--atomic"][..],
        &["apply", "--dry-run", "--atomic"],
    ] {
        let outcome = sandbox.run(args).exits(1);
        assert!(
            outcome
                .stderr
                .contains("nothing was applied: b.txt is read-only"),
            "{outcome}"
        );
    }
    assert_eq!(sandbox.read("a.txt"), numbers());
    assert_eq!(pending(&sandbox).len(), 3);
    chmod(&sandbox, "b.txt", 0o644);
    sandbox.ok(&["apply", "-y", "--atomic"]);
    assert_eq!(sandbox.read("b.txt"), "B\n");
}

#[test]
fn sudo_is_given_the_failed_paths_one_by_one_and_no_shell() {
    let sandbox = locked();
    chmod(&sandbox, "c.txt", 0o440);
    let (path, log) = stand_in(&sandbox);
    sandbox.run(&["apply", "--sudo", "-y"]).exits(2);
    sandbox.run(&["apply", "-y"]).exits(10);
    assert!(!log.exists());
    let sudo = |args: &[&str]| sandbox.plandex(args).env("PATH", &path).finish();
    sudo(&["apply", "--retry-failed", "--sudo"]).exits(9);
    assert!(!log.exists(), "nobody said yes");
    sudo(&["apply", "--retry-failed", "--sudo", "-y"]).ok();
    assert_eq!(
        (sandbox.read("b.txt"), sandbox.read("c.txt")),
        ("B\n".into(), "C\n".into())
    );
    let said = std::fs::read_to_string(&log).unwrap();
    let words: Vec<&str> = said.lines().collect();
    let calls: Vec<&[&str]> = words
        .split_inclusive(|word| word.starts_with("in "))
        .collect();
    assert_eq!(calls.len(), 2, "{said}");
    for (call, (name, mode)) in calls.iter().zip([("./b.txt", "444"), ("./c.txt", "440")]) {
        assert_eq!(call[..3], ["install", "-m", mode], "{said}");
        assert_eq!(call[call.len() - 2], name, "{said}");
    }
    let mode = |path: &str| {
        let meta = std::fs::metadata(sandbox.root().join(path)).unwrap();
        meta.permissions().mode() & 0o7777
    };
    assert_eq!((mode("b.txt"), mode("c.txt")), (0o444, 0o440));
    assert!(pending(&sandbox).is_empty());
    // Nothing that was given to it is left, and the originals are.
    let find = ["-rl", ".", ".plandex/apply"];
    let kept = sandbox.program("grep", find).finish().ok().stdout;
    assert!(!kept.contains(".new"), "{kept}");
}

#[test]
fn a_sudo_that_fails_or_is_killed_beside_leaves_what_was_there() {
    let sandbox = locked();
    let (path, _) = stand_in(&sandbox);
    sandbox.run(&["apply", "-y"]).exits(10);
    let no = sandbox.place().join("bin").join("sudo");
    let text = std::fs::read_to_string(&no).unwrap();
    std::fs::write(
        &no,
        "#!/bin/sh\necho 'a password is required' >&2\nexit 1\n",
    )
    .unwrap();
    let args = ["apply", "--retry-failed", "--sudo", "-y"];
    let failed = sandbox.plandex(args).env("PATH", &path).finish().exits(10);
    assert!(failed.stdout.contains("a password is required"), "{failed}");
    assert_eq!(sandbox.read("b.txt"), "b\n");
    assert_eq!(pending(&sandbox), ["b.txt"]);
    // Killed while sudo is at work, before it did anything and after: whoever comes next says what
    // is there.
    let mut kept = text.lines().collect::<Vec<_>>();
    kept.pop();
    for (last, content) in [("kill -9 $PPID", "b\n"), ("\"$@\"; kill -9 $PPID", "B\n")] {
        let head = kept.join("\n");
        std::fs::write(&no, format!("{head}\n{last}\n")).unwrap();
        let killed = sandbox.plandex(args).env("PATH", &path).finish();
        assert_eq!(killed.signal, Some(9), "{killed}");
        sandbox.run(&["build"]);
        assert_eq!(sandbox.read("b.txt"), content, "{last}");
        assert_eq!(pending(&sandbox).is_empty(), content == "B\n", "{last}");
    }
}

/// While sudo writes the first file somebody edits the second: that one is theirs, and not given to
/// sudo any more.
#[test]
fn a_file_that_changes_while_sudo_writes_another_is_not_given_to_it() {
    let sandbox = locked();
    chmod(&sandbox, "c.txt", 0o440);
    let (path, log) = stand_in(&sandbox);
    sandbox.run(&["apply", "-y"]).exits(10);
    let sudo = sandbox.place().join("bin").join("sudo");
    let text = std::fs::read_to_string(&sudo).unwrap();
    let (head, rest) = text.split_once('\n').unwrap();
    let edit = "rm -f c.txt; echo \"the user's\" > c.txt";
    std::fs::write(&sudo, format!("{head}\n{edit}\n{rest}")).unwrap();
    let args = ["apply", "--retry-failed", "--sudo", "-y"];
    let applied = sandbox.plandex(args).env("PATH", &path).finish().exits(10);
    assert!(applied.stdout.contains("c.txt: Was changed"), "{applied}");
    assert_eq!(sandbox.read("b.txt"), "B\n");
    assert_eq!(sandbox.read("c.txt"), "the user's\n");
    assert_eq!(pending(&sandbox), ["c.txt"]);
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(!said.contains("./c.txt"), "{said}");
}
