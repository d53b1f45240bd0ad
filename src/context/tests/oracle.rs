//! Our walk against ripgrep's, on random trees of ignore rules: the same files, and every file
//! that ripgrep leaves out is accounted for.

use ignore::WalkBuilder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const DIRECTORIES: [&str; 5] = ["", "a/", "a/b/", "a/b/a/", "c/"];
const FILES: [&str; 4] = ["f.x", "g.y", ".h", "a.x"];
const RULE_FILES: [&str; 3] = [".plandexignore", ".ignore", ".gitignore"];
const LINES: [&str; 24] = [
    "*.x",
    "!*.x",
    "/a",
    "a",
    "a/",
    "!a/",
    "b/",
    "!b/",
    "f.*",
    "!f.x",
    "**/b",
    "a/**",
    "c/f.x",
    "/f.x",
    "!g.y",
    "*",
    "!*/",
    ".*",
    "!.h",
    "a/b/*",
    "!/a/b/f.x",
    "# a",
    "",
    "[fg].?",
];

#[derive(Debug, Clone)]
struct Tree {
    rules: Vec<(&'static str, &'static str, Vec<&'static str>)>,
    repositories: Vec<&'static str>,
    exclude: Vec<&'static str>,
}

fn tree() -> impl Strategy<Value = Tree> {
    let lines = || vec(select(&LINES[..]), 1..5);
    let rule = (select(&DIRECTORIES[..]), select(&RULE_FILES[..]), lines());
    let repositories = vec(select(&DIRECTORIES[..]), 0..3);
    (vec(rule, 0..6), repositories, lines()).prop_map(|(rules, repositories, exclude)| Tree {
        rules,
        repositories,
        exclude,
    })
}

fn build(tree: &Tree) -> Project {
    let project = Project::with(&[]);
    for directory in DIRECTORIES {
        for file in FILES {
            project.put(&format!("{directory}{file}"), file);
        }
    }
    for (directory, file, lines) in &tree.rules {
        project.put(&format!("{directory}{file}"), lines.join("\n"));
    }
    for directory in &tree.repositories {
        project.put(&format!("{directory}.git/HEAD"), "ref: refs/heads/main\n");
        project.put(
            &format!("{directory}.git/info/exclude"),
            tree.exclude.join("\n"),
        );
    }
    project
}

fn by_ripgrep(project: &Project) -> Vec<String> {
    let walk = WalkBuilder::new(project.root())
        .hidden(false)
        .require_git(false)
        .parents(false)
        .add_custom_ignore_filename(".plandexignore")
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut paths: Vec<String> = walk
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        .map(|entry| {
            let path = entry.path().strip_prefix(project.root()).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    paths.sort();
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_files_are_found_as_by_ripgrep(tree in tree()) {
        let project = build(&tree);
        let gathered = project.gather(&["."], &recursive()).unwrap();
        let loaded = paths_of(&gathered);
        prop_assert_eq!(&loaded, &by_ripgrep(&project));

        let all = project.gather(&["."], &forced()).unwrap();
        for path in paths_of(&all) {
            let is_listed = gathered.skipped.iter().any(|skipped| {
                let path_and_more = format!("{path}/");
                path == skipped.path || path_and_more.starts_with(&skipped.path)
            });
            prop_assert!(loaded.contains(&path) != is_listed, "{}", path);
        }

        // A named file is judged as a found one is.
        for path in paths_of(&all) {
            let named = project.gather(&[&path], &plain());
            prop_assert_eq!(named.is_ok(), loaded.contains(&path), "{}", path);
        }
    }
}
