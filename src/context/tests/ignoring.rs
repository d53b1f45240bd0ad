//! Ignore rules: which apply, which win, and what is said about it.

use super::*;

#[test]
fn ignored_files_are_listed_and_an_ignored_directory_once() {
    let project = Project::with(&["a.rs", "b.log", "target/debug/x", "target/y", "src/c.log"]);
    project.put(".gitignore", "*.log\n/target/\n");
    let gathered = project.gather(&["."], &recursive()).unwrap();
    assert_eq!(paths_of(&gathered), [".gitignore", "a.rs"]);
    let lines: Vec<String> = gathered
        .skipped
        .iter()
        .map(|skipped| format!("{}: {}", skipped.path, skipped.reason))
        .collect();
    assert_eq!(
        lines,
        [
            "b.log: ignored by *.log in .gitignore",
            "src/c.log: ignored by *.log in .gitignore",
            "target/: ignored by /target/ in .gitignore",
        ]
    );
}

#[test]
fn the_nearest_file_wins_and_in_it_the_last_line() {
    let project = Project::with(&[
        "a.log",
        "keep.log",
        "src/b.log",
        "src/keep.log",
        "src/x/c.log",
    ]);
    project.put(".gitignore", "*.log\n!keep.log\n");
    project.put("src/.gitignore", "!*.log\nkeep.log\n");
    let (paths, skipped) = project.paths(&["."], &recursive());
    let loaded = ["keep.log", "src/b.log", "src/x/c.log"];
    assert!(
        loaded
            .iter()
            .all(|path| paths.contains(&(*path).to_owned())),
        "{paths:?}"
    );
    assert_eq!(skipped, "a.log: ignored, src/keep.log: ignored");
}

#[test]
fn the_kinds_of_rule_files_have_an_order() {
    let project = Project::with(&["a", "b", "c", "d", "sub/a", "sub/e"]);
    project.put(".git/info/exclude", "a\nb\nc\nd\n");
    project.put(".gitignore", "!a\n!b\n!c\n");
    project.put(".ignore", "a\n!b\n");
    project.put(".plandexignore", "!a\nsub/e\n");
    // A nearer .gitignore is weaker than a farther .plandexignore.
    project.put("sub/.gitignore", "a\n!e\n");
    let (paths, skipped) = project.paths(&["."], &recursive());
    for path in ["a", "b", "c", "sub/a"] {
        assert!(paths.contains(&path.to_owned()), "{path} in {paths:?}");
    }
    assert_eq!(skipped, "d: ignored, sub/e: ignored");
}

#[test]
fn rules_hold_without_a_git_repository() {
    let project = Project::with(&["a.rs", "b.tmp", "c.tmp"]);
    project.put(".gitignore", "b.tmp\n");
    project.put(".plandexignore", "c.tmp\n");
    let (_, skipped) = project.paths(&["*.*"], &plain());
    assert_eq!(skipped, "b.tmp: ignored, c.tmp: ignored");
}

#[test]
fn a_file_in_an_ignored_directory_cannot_be_brought_back() {
    let project = Project::with(&["out/keep", "logs/keep", "logs/drop"]);
    project.put(".gitignore", "out/\n!out/keep\nlogs/*\n!logs/keep\n");
    let (paths, skipped) = project.paths(&["."], &recursive());
    assert_eq!(paths, [".gitignore", "logs/keep"]);
    assert_eq!(skipped, "logs/drop: ignored, out/: ignored");
}

#[test]
fn what_is_named_and_ignored_needs_the_option_and_the_message_says_so() {
    let project = Project::with(&["a.rs", "b.log", "target/debug/x.rs", "target/y.rs"]);
    project.put(".gitignore", "*.log\n/target\n");
    for (argument, rule) in [
        ("b.log", "*.log"),
        ("target", "/target"),
        ("target/debug/x.rs", "/target"),
        ("target/**/*.rs", "/target"),
    ] {
        let refused = project.refusal(&["a.rs", argument], &recursive());
        assert_eq!(
            refused.to_string(),
            format!("ignored: {argument} ({rule} in .gitignore); -f loads them all the same")
        );
        let (paths, skipped) = project.paths(&[argument], &forced());
        assert!(
            !paths.is_empty() && skipped.is_empty(),
            "{argument}: {paths:?}"
        );
    }
    let (paths, _) = project.paths(&["target"], &forced());
    assert_eq!(paths, ["target/debug/x.rs", "target/y.rs"]);
}

#[test]
fn a_pattern_that_matches_only_ignored_files_says_that_they_are_ignored() {
    let project = Project::with(&["a.log", "b.log", "c.rs"]);
    project.put(".gitignore", "*.log\n");
    let refused = project.refusal(&["*.log"], &plain());
    let expected = owned(&["a.log (*.log in .gitignore)", "b.log (*.log in .gitignore)"]);
    let ContextError::Ignored(mut paths) = refused else {
        panic!("{refused}");
    };
    paths.sort();
    assert_eq!(paths, expected);
    assert_eq!(project.paths(&["?.log"], &forced()).0, ["a.log", "b.log"]);
}

#[test]
fn the_rules_of_the_project_hold_in_a_repository_inside_it_unless_that_one_differs() {
    let project = Project::with(&["vendor/lib/a.log", "vendor/lib/.env", "a.log", ".env"]);
    project.put(".git/HEAD", "");
    project.put(".gitignore", "*.log\n.env\n");
    project.put("vendor/lib/.git/HEAD", "");
    project.put("vendor/lib/.gitignore", "!*.log\n");
    let (paths, skipped) = project.paths(&["."], &recursive());
    assert!(paths.contains(&"vendor/lib/a.log".to_owned()), "{paths:?}");
    assert_eq!(
        skipped,
        ".env: ignored, a.log: ignored, vendor/lib/.env: ignored"
    );
}

#[test]
fn a_project_inside_a_repository_obeys_the_repository_and_nothing_above_it() {
    let outer = Project::with(&["repo/part/a.log", "repo/part/b.tmp", "repo/part/c.rs"]);
    outer.put(".gitignore", "*.rs\n");
    outer.put("repo/.git/HEAD", "");
    outer.put("repo/.gitignore", "/part/*.log\n");
    outer.put("repo/.git/info/exclude", "*.tmp\n");
    let root = outer.at("repo/part");
    let source = Source {
        root: &root,
        cwd: &root,
        ..outer.source()
    };
    let gathered = gather(&source, &owned(&["."]), &recursive(), &mut |_| {}).unwrap();
    assert_eq!(paths_of(&gathered), ["c.rs"]);
    assert_eq!(skipped_of(&gathered), "a.log: ignored, b.tmp: ignored");
}

#[test]
fn a_linked_work_tree_uses_the_excludes_of_its_repository() {
    let outer = Project::with(&["main/.git/worktrees/w/HEAD", "w/a.rs", "w/b.tmp"]);
    outer.put("main/.git/info/exclude", "*.tmp\n");
    outer.put("main/.git/worktrees/w/commondir", "../..\n");
    outer.put("w/.git", "gitdir: ../main/.git/worktrees/w\n");
    let root = outer.at("w");
    let source = Source {
        root: &root,
        cwd: &root,
        ..outer.source()
    };
    let gathered = gather(&source, &owned(&["."]), &recursive(), &mut |_| {}).unwrap();
    assert_eq!(paths_of(&gathered), ["a.rs"]);
    assert_eq!(skipped_of(&gathered), "b.tmp: ignored");
}

#[test]
fn rules_that_cannot_be_used_are_reported_and_the_others_hold() {
    let project = Project::with(&["a.log", "b.rs"]);
    project.put(".gitignore", "{x\n*.log\n");
    let pipe = project.at(".plandexignore");
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe, rustix::fs::Mode::RWXU).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", project.at(".ignore")).unwrap();
    let gathered = project.gather(&["?.*"], &plain()).unwrap();
    assert_eq!(paths_of(&gathered), ["b.rs"]);
    let [bad_line, link, pipe] = gathered.warnings.as_slice() else {
        panic!("{:?}", gathered.warnings);
    };
    assert!(bad_line.contains(".gitignore:1: "), "{bad_line}");
    assert_eq!(link, "ignore rules not used: .ignore: a symbolic link");
    assert_eq!(pipe, "ignore rules not used: .plandexignore: a named pipe");
}

#[test]
fn a_rule_file_from_another_system_is_understood() {
    let project = Project::with(&["a.log", "b.tmp", "c.rs"]);
    project.put(".gitignore", "\u{feff}*.log\r\n# *.rs\r\n\r\n*.tmp  \r\n");
    let (_, skipped) = project.paths(&["."], &recursive());
    assert_eq!(skipped, "a.log: ignored, b.tmp: ignored");
}
