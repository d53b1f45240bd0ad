//! Which files, what is asked, what is announced.

use std::time::Duration;

use super::*;

#[test]
fn files_are_chosen_by_name_directory_and_pattern() {
    let sandbox = project();
    let edits = [
        ("a.txt", "2", "two"),
        ("b.txt", "b", "B"),
        ("dir/x.rs", "", "x"),
        ("dir/deep/y.rs", "", "y"),
    ];
    tell(&sandbox, &edits);
    let none = sandbox
        .run(&["apply", "-y", "b.txt", "nothing.rs"])
        .exits(2);
    assert!(
        none.stderr.contains("\"nothing.rs\" is no pending file"),
        "{none}"
    );
    assert!(
        none.stderr.contains("dir/deep/y.rs"),
        "the pending ones are named: {none}"
    );
    assert_eq!(sandbox.read("b.txt"), "b\n");
    sandbox.ok(&["apply", "-y", "b.txt"]);
    assert_eq!(pending(&sandbox), ["a.txt", "dir/deep/y.rs", "dir/x.rs"]);
    sandbox.ok(&["apply", "-y", "dir/*.rs"]);
    assert_eq!(pending(&sandbox), ["a.txt", "dir/deep/y.rs"]);
    let inside = sandbox.root().join("dir");
    sandbox
        .plandex(["apply", "-y", "deep"])
        .cwd(&inside)
        .finish()
        .ok();
    assert_eq!(pending(&sandbox), ["a.txt"]);
    sandbox.ok(&["apply", "-y", "*"]);
    assert!(pending(&sandbox).is_empty());
    let over = sandbox.run(&["apply", "-y", "a.txt"]).exits(2);
    assert!(over.stderr.contains("none is pending"), "{over}");
}

#[test]
fn changes_that_are_apart_merge_and_others_call_for_a_decision() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("b.txt", "b", "B")]);
    sandbox.write("a.txt", numbers().replace("19", "nineteen"));
    sandbox.run(&["apply", "-y"]).exits(7);
    let dry = sandbox.ok(&["apply", "--dry-run", "--on-conflict", "merge"]);
    assert!(dry.stdout.contains("1 of them merged"), "{dry}");
    let outcome = sandbox.ok(&["apply", "-y", "--on-conflict", "merge", "--json"]);
    assert_eq!(
        event(&outcome, "apply.conflict")["files"][0]["canMerge"],
        true
    );
    assert_eq!(event(&outcome, "apply.completed")["merged"][0], "a.txt");
    let both = numbers()
        .replace("19", "nineteen")
        .replacen("2\n", "two\n", 1);
    assert_eq!(sandbox.read("a.txt"), both);
    assert!(pending(&sandbox).is_empty());
    // The same line: nothing is merged, nothing is written.
    tell(&sandbox, &[("a.txt", "5", "five"), ("c.txt", "c", "C")]);
    let mine = both.replace("5\n6", "fünf\n6");
    sandbox.write("a.txt", &mine);
    for extra in [&["-y"][..], &["--dry-run"]] {
        let args = [&["apply", "--on-conflict", "merge"], extra].concat();
        let refused = sandbox.run(&args).exits(7);
        assert!(refused.stderr.contains("does not merge"), "{refused}");
    }
    assert_eq!(sandbox.read("a.txt"), mine);
    assert_eq!(sandbox.read("c.txt"), "c\n");
    // What was merged is as safe as what was overwritten.
    sandbox.ok(&["apply", "-y", "--on-conflict", "overwrite"]);
    sandbox.ok(&["apply", "-y", "--undo"]);
    assert_eq!(sandbox.read("a.txt"), mine);
}

#[test]
fn the_menu_offers_a_merge_only_where_it_can_be_done() {
    let sandbox = project();
    tell(&sandbox, &[("a.txt", "2", "two"), ("b.txt", "b", "B")]);
    sandbox.write("a.txt", numbers().replace("19", "nineteen"));
    sandbox.write("b.txt", "mine\n");
    let mut terminal = sandbox.plandex(["apply"]).on_terminal(100);
    terminal.until_shows("Warning: a.txt was modified since last read.");
    terminal.until_shows("4. Merge with planned changes");
    terminal.until_shows("Choice [1/2/3/4 or o/s/a/m");
    terminal.type_in("M\n");
    // A merge for all that remain is none for one that does not merge.
    terminal.until_shows("Warning: b.txt was modified since last read.");
    terminal.until_shows("Choice [1/2/3 or o/s/a,");
    terminal.type_in("2\n");
    terminal.until_shows("Apply these changes? [y/N]");
    terminal.type_in("y\n");
    terminal.wait(Duration::from_secs(30)).exits(10);
    assert!(sandbox.read("a.txt").contains("two\n"));
    assert!(sandbox.read("a.txt").contains("nineteen\n"));
    assert_eq!(sandbox.read("b.txt"), "mine\n");
}

#[test]
fn another_plan_that_wants_the_same_file_is_announced() {
    let sandbox = project();
    tell(&sandbox, &[("b.txt", "b", "one")]);
    sandbox.ok(&["new", "-n", "second"]);
    tell(&sandbox, &[("b.txt", "b", "two"), ("c.txt", "c", "C")]);
    let asked = sandbox.run(&["apply"]).exits(9);
    assert!(asked.stderr.contains("b.txt is pending on plan"), "{asked}");
    assert!(!asked.stderr.contains("c.txt is pending"), "{asked}");
    let planned = sandbox.run(&["apply", "--json", "--dry-run"]);
    let planned = event(&planned, "apply.planned");
    assert_eq!(planned["overlaps"][0]["path"], "b.txt");
    assert_eq!(planned["files"].as_array().unwrap().len(), 2);
    assert_eq!(planned["files"][0]["state"], "clean");
    // After one is applied, the other's file is drifted, and not overwritten.
    sandbox.ok(&["apply", "-y"]);
    let first = sandbox.ok(&["plans", "--json"]).json();
    let names: Vec<&str> = first["plans"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|plan| plan["name"].as_str())
        .filter(|name| *name != "second")
        .collect();
    let outcome = sandbox.run(&["apply", "-y", "--plan", names[0]]).exits(7);
    assert!(outcome.stderr.contains("b.txt was modified"), "{outcome}");
    assert_eq!(sandbox.read("b.txt"), "two\n");
}

#[test]
fn what_runs_by_itself_is_warned_of_also_where_nobody_is_asked() {
    let sandbox = project();
    tell(&sandbox, &[(".envrc", "", "echo hi"), ("d.txt", "", "d")]);
    let written = sandbox.ok(&["apply", "-y"]);
    let warnings: Vec<&str> = written
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning:"))
        .collect();
    assert_eq!(
        warnings,
        ["warning: .envrc: tools run this file by themselves"]
    );
}

#[test]
fn many_files_are_told_of_in_few_lines() {
    let sandbox = project();
    let names: Vec<String> = (0..220)
        .map(|number| format!("many/{number}.txt"))
        .collect();
    let edits: Vec<(&str, &str, &str)> =
        names.iter().map(|name| (name.as_str(), "", "x")).collect();
    tell(&sandbox, &edits);
    let outcome = sandbox.ok(&["apply", "-y"]);
    let told: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("files "))
        .collect();
    assert_eq!(told.last(), Some(&"files written 220/220"), "{outcome}");
    assert!(told.len() < 10, "{told:?}");
    let quiet = sandbox.ok(&["apply", "-y", "--undo", "-q"]);
    assert!(!quiet.stderr.contains("files "), "{quiet}");
    assert!(
        !sandbox.root().join("many").exists(),
        "its directory is gone with its files"
    );
    // A person is asked below the first of them, not below them all.
    let mut terminal = sandbox.plandex(["apply"]).on_terminal(100);
    terminal.until_shows("and 180 more files: `plandex diff --stat` lists all");
    terminal.until_shows("Apply these changes? [y/N]");
    terminal.type_in("n\n");
    terminal.wait(Duration::from_secs(30)).exits(9);
    let shown = sandbox.run(&["apply"]).exits(9).stdout;
    assert_eq!(
        shown.lines().count(),
        names.len(),
        "a program gets them all"
    );
}

#[test]
fn quiet_leaves_out_lists_that_nobody_decides_by() {
    let sandbox = project();
    let edits = [("b.txt", "b", "B"), ("c.txt", "c", "C")];
    tell(&sandbox, &edits);
    let applied = sandbox.ok(&["apply", "-y", "-q"]);
    assert_eq!(applied.stdout, "✓ 2 files written\n");
    let undone = sandbox.ok(&["apply", "--undo", "-y", "-q"]);
    assert_eq!(undone.stdout, "✓ 2 files brought back, pending again\n");
    // What is asked of is listed.
    let dry = sandbox.ok(&["apply", "--dry-run", "-q"]);
    assert!(dry.stdout.contains("b.txt"), "{dry}");
    let rejected = sandbox.ok(&["reject", "-a", "-y", "-q"]);
    assert_eq!(rejected.stdout, "Rejected 2 files\n");
    let loaded = sandbox.ok(&["load", "a.txt", "b.txt", "-q"]);
    assert!(loaded.stdout.starts_with("loaded 2 items (~"), "{loaded}");
    assert_eq!(loaded.stdout.lines().count(), 1, "{loaded}");
}

#[test]
fn after_a_skip_the_next_command_is_named() {
    let sandbox = project();
    tell(&sandbox, &[("b.txt", "b", "B"), ("c.txt", "c", "C")]);
    sandbox.write("b.txt", "mine\n");
    let outcome = sandbox
        .run(&["apply", "-y", "--on-conflict", "skip"])
        .exits(10);
    let hint = "hint: what was skipped is pending still: see `plandex diff`, then `plandex apply \
                --on-conflict overwrite` (or merge), or `plandex reject FILES`";
    assert!(outcome.stderr.contains(hint), "{outcome}");
}
