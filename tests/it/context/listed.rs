//! Trees, show, rm, clear, and the words about them.

use serde_json::Value;

use super::{entries, expect, names, project, subject};

#[test]
fn a_tree_is_listed_shown_and_loaded_again() {
    let sandbox = project();
    expect(
        &sandbox.run(&["load", "--tree", "src", "."]),
        r"$ plandex load --tree src .
--- stdout
loaded . (~21 tokens)
loaded src (~12 tokens)
--- stderr
2 items, ~33 tokens; ~33 loaded
--- exit 0
",
    );
    expect(
        &sandbox.run(&["show", "src"]),
        "$ plandex show src\n--- stdout\nsrc/lib.rs\nsrc/main.rs\n--- exit 0\n",
    );
    sandbox.write("src/new.rs", "");
    let fresh: Vec<Value> = entries(&sandbox)
        .into_iter()
        .map(|entry| entry["freshness"].clone())
        .collect();
    assert_eq!(fresh, ["outdated", "outdated"]);
    sandbox.ok(&["load", "--tree", "src"]);
    assert_eq!(names(&sandbox), [".", "src"]);
    sandbox.ok(&["update", "-y"]);
    let show = sandbox.ok(&["show", "1"]);
    assert!(show.stdout.contains("src/new.rs\n"), "{show}");
}

#[test]
fn a_directory_alone_is_a_mistake_that_names_the_ways() {
    let sandbox = project();
    let refused = sandbox.run(&["load", "src"]).exits(2);
    for words in ["src: a directory", "-r", "--tree", "--map"] {
        assert!(refused.stderr.contains(words), "{refused}");
    }
    for flags in [["--tree", "--map"], ["-r", "--tree"]] {
        sandbox.run(&["load", "src", flags[0], flags[1]]).exits(2);
    }
    assert!(names(&sandbox).is_empty());
}

#[cfg(not(feature = "maps"))]
#[test]
fn a_map_without_the_feature_is_a_clear_error() {
    let sandbox = project();
    let refused = sandbox.run(&["load", "--map", "src"]).exits(2);
    refused
        .says("built without outlines (the cargo feature \"maps\")")
        .says("--features maps");
}

#[cfg(feature = "maps")]
#[test]
fn a_map_names_what_the_code_defines() {
    let sandbox = project();
    sandbox.ok(&["load", "--map", "src"]);
    let show = sandbox.ok(&["show", "src"]);
    let expected = "src/lib.rs\n  pub fn greeting() -> &'static str\nsrc/main.rs\n  fn main()\n";
    assert_eq!(show.stdout, expected);
}

#[test]
fn entries_are_removed_by_name_number_range_pattern_and_directory() {
    let sandbox = project();
    for path in ["a/1.md", "a/2.md", "b/3.md", "b/4.rs"] {
        sandbox.write(path, "text\n");
    }
    for (words, left) in [
        (
            &["README.md"][..],
            &["a/1.md", "a/2.md", "b/3.md", "b/4.rs"][..],
        ),
        (&["2"], &["README.md", "a/2.md", "b/3.md", "b/4.rs"]),
        (&["1-2"], &["a/2.md", "b/3.md", "b/4.rs"]),
        (&["a"], &["README.md", "b/3.md", "b/4.rs"]),
        (&["**/*.md"], &["b/4.rs"]),
        (&["a/*", "5"], &["README.md", "b/3.md"]),
    ] {
        sandbox.run(&["clear"]).ok();
        sandbox.ok(&["load", "-r", "a", "b", "README.md"]);
        let removed = sandbox.ok(&[&["rm"], words].concat());
        assert!(removed.stdout.starts_with("removed "), "{removed}");
        assert_eq!(names(&sandbox), left, "{words:?}");
    }
}

#[test]
fn rm_says_what_went_and_refuses_what_is_not_there() {
    let sandbox = project();
    sandbox.ok(&["load", "README.md", "src/lib.rs"]);
    expect(
        &sandbox.run(&["rm", "src/lib.rs", "nothing"]),
        r"$ plandex rm src/lib.rs nothing
--- stderr
error: nothing that is loaded fits nothing
hint: list what is loaded with `plandex ls`; nothing was changed
--- exit 2
",
    );
    expect(
        &sandbox.run(&["remove", "2"]),
        r"$ plandex remove 2
--- stdout
removed src/lib.rs (~15 tokens)
--- stderr
1 item removed; ~11 tokens loaded
--- exit 0
",
    );
    assert_eq!(subject(&sandbox), "Remove src/lib.rs");
    let json = sandbox.ok(&["unload", "README.md", "--json"]).json();
    assert_eq!(json["removed"][0]["name"], "README.md");
    assert_eq!(json["totalTokens"], 0);
    expect(
        &sandbox.run(&["clear"]),
        "$ plandex clear\n--- stderr\nNothing is loaded\n--- exit 0\n",
    );
    sandbox.ok(&["load", "README.md", "src/lib.rs"]);
    let json = sandbox.ok(&["clear", "--json"]).json();
    assert_eq!(json["removed"].as_array().unwrap().len(), 2);
    assert_eq!(subject(&sandbox), "Clear 2 entries");
    assert!(sandbox.read("README.md").starts_with("# Scratch"));
    let error = sandbox.run(&["rm", "9", "--json"]).exits(2);
    assert!(error.stderr.contains("\"exitCode\":2"), "{error}");
}

#[test]
fn show_prints_the_body_as_it_was_loaded() {
    let sandbox = project();
    sandbox.ok(&["load", "README.md"]);
    sandbox.ok(&["load", "-n", "mind the gap"]);
    let was = sandbox.read("README.md");
    sandbox.write("README.md", "other\n");
    assert_eq!(sandbox.ok(&["show", "README.md"]).stdout, was);
    let below = sandbox.root().join("src");
    let shown = sandbox.plandex(["show", "../README.md"]).cwd(&below);
    assert_eq!(shown.finish().ok().stdout, was);
    assert_eq!(sandbox.ok(&["show", "2"]).stdout, "mind the gap");
    let json = sandbox.ok(&["show", "2", "--json"]).json();
    assert_eq!(json["contexts"][0]["body"], "mind the gap");
    assert_eq!(json["contexts"][0]["kind"], "note");
    sandbox
        .run(&["show", "3"])
        .exits(2)
        .says("there is no number 3; the last one is 2");
}

#[test]
fn piped_texts_have_names_of_their_own() {
    let sandbox = project();
    for text in ["one\n", "two\n"] {
        sandbox.plandex(["load"]).stdin(text).finish().ok();
    }
    sandbox.ok(&["rm", "piped-1"]);
    sandbox.plandex(["load"]).stdin("three\n").finish().ok();
    assert_eq!(names(&sandbox), ["piped-2", "piped-3"]);
}

#[test]
fn the_same_path_is_loaded_in_each_shape_and_forks_have_their_own() {
    let sandbox = project();
    sandbox.ok(&["load", "-r", "src"]);
    sandbox.ok(&["load", "--tree", "src"]);
    let on_main = names(&sandbox);
    assert_eq!(on_main, ["src/lib.rs", "src/main.rs", "src"]);
    sandbox.ok(&["checkout", "-b", "side"]);
    sandbox.ok(&["rm", "src/lib.rs"]);
    sandbox.write("src/main.rs", "fn main() {}\n");
    sandbox.ok(&["update", "--yes"]);
    assert_eq!(names(&sandbox), ["src/main.rs", "src"]);
    sandbox.ok(&["checkout", "main"]);
    assert_eq!(names(&sandbox), on_main);
    let lib = sandbox.ok(&["show", "src/main.rs"]);
    assert!(lib.stdout.contains("println"), "{lib}");
}
