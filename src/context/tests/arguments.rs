//! Files, directories, patterns, links, and mistakes among them.

use std::os::unix::fs::symlink;

use super::*;
use crate::platform::cancel::Reason;
use crate::platform::digest::sha256_hex;

#[test]
fn a_file_is_loaded_with_the_facts_of_its_content() {
    let project = Project::with(&["src/a.rs"]);
    let gathered = project.gather(&["src/a.rs"], &plain()).unwrap();
    let [item] = gathered.loaded.as_slice() else {
        panic!("{gathered:?}");
    };
    let body = b"this is src/a.rs\n";
    assert_eq!(item.body, body);
    assert_eq!(item.kind, Kind::File);
    assert_eq!(item.name, "src/a.rs");
    assert_eq!(item.path.as_deref(), Some("src/a.rs"));
    assert_eq!(item.size, body.len() as u64);
    assert_eq!(item.hash, sha256_hex(body));
    assert_eq!(item.tokens, estimate_tokens("this is src/a.rs\n"));
    let meta = std::fs::metadata(project.at("src/a.rs")).unwrap();
    assert_eq!(item.mtime_ns, crate::platform::snapshot::mtime_ns(&meta));
}

#[test]
fn arguments_are_relative_to_the_current_directory_and_paths_to_the_root() {
    let project = Project::with(&["src/deep/a.rs", "src/b.rs", "c.rs"]);
    let deep = project.at("src/deep");
    let source = Source {
        cwd: &deep,
        ..project.source()
    };
    let absolute = project.at("c.rs").to_str().unwrap().to_owned();
    let words = [owned(&["a.rs", "../b.rs", "./../b.rs"]), vec![absolute]].concat();
    let gathered = gather(&source, &words, &plain(), &mut |_| {}).unwrap();
    assert_eq!(paths_of(&gathered), ["c.rs", "src/b.rs", "src/deep/a.rs"]);

    let gathered = gather(&source, &owned(&["../*.rs"]), &plain(), &mut |_| {}).unwrap();
    assert_eq!(paths_of(&gathered), ["src/b.rs"]);
}

#[test]
fn a_directory_needs_the_option_and_then_gives_all_its_files() {
    let project = Project::with(&["src/a.rs", "src/.hidden", "src/deep/er/b.rs", "c.rs"]);
    assert_eq!(
        project.refusal(&["c.rs", "src"], &plain()),
        ContextError::IsDirectory(owned(&["src"]))
    );
    let (paths, skipped) = project.paths(&["src"], &recursive());
    assert_eq!(paths, ["src/.hidden", "src/a.rs", "src/deep/er/b.rs"]);
    assert_eq!(skipped, "");
    let (all, _) = project.paths(&[".", "src", "c.rs"], &recursive());
    assert_eq!(all.len(), 4);
}

#[test]
fn one_missing_file_loads_nothing_and_all_missing_ones_are_named() {
    let project = Project::with(&["a.rs"]);
    let refused = project.refusal(&["a.rs", "b.rs", "a.rs/c", ""], &plain());
    let missing = owned(&["b.rs", "a.rs/c", "\"\""]);
    assert_eq!(refused, ContextError::Missing(missing));
}

#[test]
fn patterns_that_the_shell_left_alone_match_as_it_would() {
    let project = Project::with(&[
        "a.rs",
        "b.rs",
        "b.txt",
        "src/c.rs",
        "src/deep/d.rs",
        "src/deep/e.txt",
    ]);
    for (pattern, expected) in [
        ("*.rs", vec!["a.rs", "b.rs"]),
        ("b.*", vec!["b.rs", "b.txt"]),
        ("?.txt", vec!["b.txt"]),
        ("[ab].rs", vec!["a.rs", "b.rs"]),
        ("[!a].rs", vec!["b.rs"]),
        ("src/*.rs", vec!["src/c.rs"]),
        ("./src/*.rs", vec!["src/c.rs"]),
        ("*/*.rs", vec!["src/c.rs"]),
        ("src/**/*.rs", vec!["src/c.rs", "src/deep/d.rs"]),
        ("**/*.txt", vec!["b.txt", "src/deep/e.txt"]),
        ("{a,src/c}.rs", vec!["a.rs", "src/c.rs"]),
        (
            "src/**",
            vec!["src/c.rs", "src/deep/d.rs", "src/deep/e.txt"],
        ),
    ] {
        let (paths, skipped) = project.paths(&[pattern], &plain());
        assert_eq!(paths, expected, "{pattern}");
        assert_eq!(skipped, "", "{pattern}");
    }
}

#[test]
fn a_directory_that_a_pattern_matches_is_listed_or_with_the_option_loaded() {
    let project = Project::with(&["src/c.rs", "src/deep/d.txt"]);
    let (paths, skipped) = project.paths(&["src/*"], &plain());
    assert_eq!(paths, ["src/c.rs"]);
    assert_eq!(skipped, "src/deep/: not_a_file");
    let (paths, skipped) = project.paths(&["src/*"], &recursive());
    assert_eq!(paths, ["src/c.rs", "src/deep/d.txt"]);
    assert_eq!(skipped, "");
    let (paths, _) = project.paths(&["src/*/"], &recursive());
    assert_eq!(paths, ["src/deep/d.txt"]);
}

#[test]
fn a_pattern_without_a_match_or_meaning_is_a_mistake() {
    let project = Project::with(&["src/a.rs"]);
    for pattern in ["*.py", "none/*.rs", "src/a.rs/*"] {
        let refused = project.refusal(&["src/a.rs", pattern], &plain());
        assert_eq!(refused, ContextError::NoMatch(pattern.to_owned()));
    }
    for pattern in ["src/[a", "*/../src/a.rs", "{a"] {
        let refused = project.refusal(&[pattern], &plain());
        assert!(
            matches!(refused, ContextError::BadPattern { .. }),
            "{refused}"
        );
    }
}

#[test]
fn an_existing_file_comes_before_the_pattern_of_the_same_name() {
    let project = Project::with(&["a[1].rs", "a1.rs", "!b", "#c"]);
    assert_eq!(project.paths(&["a[1].rs"], &plain()).0, ["a[1].rs"]);
    assert_eq!(project.paths(&["a[0-9].rs"], &plain()).0, ["a1.rs"]);
    assert_eq!(project.paths(&["!*", "#*"], &plain()).0, ["!b", "#c"]);
}

#[test]
fn what_lies_outside_the_project_is_refused() {
    let outside = Project::with(&["a.rs"]);
    let project = Project::with(&["b.rs"]);
    let path = outside.at("a.rs").to_str().unwrap().to_owned();
    let pattern = outside.at("*.rs").to_str().unwrap().to_owned();
    for argument in [path.as_str(), pattern.as_str(), "/etc/passwd", "..", "../*"] {
        let refused = project.refusal(&["b.rs", argument], &recursive());
        assert_eq!(refused, ContextError::OutsideProject(argument.to_owned()));
    }
}

#[test]
fn a_link_is_followed_when_named_and_only_inside() {
    let outside = Project::with(&["secret"]);
    let project = Project::with(&["src/a.rs"]);
    symlink("src/a.rs", project.at("inner")).unwrap();
    symlink(outside.at("secret"), project.at("outer")).unwrap();
    symlink(outside.root(), project.at("outer-dir")).unwrap();
    symlink("src", project.at("inner-dir")).unwrap();
    symlink("nowhere", project.at("dangling")).unwrap();
    symlink("loop", project.at("loop")).unwrap();

    // The target's path: that is where an edit would have to go.
    let (paths, skipped) = project.paths(&["inner", "outer", "inner-dir/a.rs"], &plain());
    assert_eq!(paths, ["src/a.rs"]);
    assert_eq!(skipped, "outer: outside_project");
    assert_eq!(project.paths(&["inner-dir"], &recursive()).0, ["src/a.rs"]);
    assert_eq!(
        project.refusal(&["dangling"], &plain()),
        ContextError::Missing(owned(&["dangling"]))
    );
    assert!(matches!(
        project.refusal(&["outer-dir/secret"], &plain()),
        ContextError::OutsideProject(_)
    ));
    assert_eq!(project.paths(&["loop"], &plain()).1, "loop: unreadable");

    let (paths, skipped) = project.paths(&["."], &recursive());
    assert_eq!(paths, ["src/a.rs"]);
    let links = [
        "dangling",
        "inner",
        "inner-dir",
        "loop",
        "outer",
        "outer-dir",
    ];
    assert_eq!(
        skipped,
        links.map(|link| format!("{link}: not_a_file")).join(", ")
    );
}

#[test]
fn what_belongs_to_git_or_plandex_is_never_opened() {
    let project = Project::with(&[
        "a.rs",
        ".git/config",
        ".plandex/config.toml",
        "sub/.git",
        "state/plandex.db",
        "state/owners/1",
        "plandex.db",
        "plandex.db-wal",
    ]);
    let (opened, ()) = project.opened(&[".", ".plandex", "state", "state/owners"], || {
        let (paths, skipped) = project.paths(&["."], &forced());
        assert_eq!(paths, ["a.rs"]);
        assert_eq!(skipped, "");
        for path in [
            ".git/config",
            ".plandex",
            "plandex.db",
            "state",
            "state/plandex.db",
            ".git/*",
        ] {
            let refused = project.refusal(&[path], &forced());
            assert_eq!(refused, ContextError::Reserved(path.to_owned()));
        }
    });
    assert_eq!(opened, ["a.rs"]);
}

#[test]
fn a_cancelled_load_ends_and_gives_nothing() {
    let project = Project::with(&["src/a.rs"]);
    project.cancel.set(Reason::Interrupted);
    for argument in ["src", "src/a.rs", "src/*.rs"] {
        let refused = project.refusal(&[argument], &recursive());
        assert_eq!(refused, ContextError::Cancelled);
    }
}

#[test]
fn ten_thousand_files_give_the_same_result_twice() {
    let project = Project::with(&[]);
    for number in 0..10_000 {
        let path = format!("d{}/d{}/f{number}.rs", number % 10, number % 100);
        project.put(&path, format!("fn f{number}() {{}}\n").repeat(100));
    }
    let start = std::time::Instant::now();
    let first = project.gather(&["."], &recursive()).unwrap();
    println!("10,000 files of 1.5 KB loaded in {:?}", start.elapsed());
    let second = project.gather(&["d*", "."], &recursive()).unwrap();
    assert_eq!(first.loaded.len(), 10_000);
    assert!(first.loaded.is_sorted_by(|one, two| one.path < two.path));
    assert!(first.loaded == second.loaded && first.skipped == second.skipped);
}

#[test]
fn more_than_fits_in_memory_is_refused() {
    let project = Project::with(&["a", "b"]);
    let options = LoadOptions {
        max_total_bytes: "this is a\nthis is b\n".len() as u64,
        ..plain()
    };
    assert_eq!(project.paths(&["a", "b"], &options).0, ["a", "b"]);
    project.put("b", "this is b, longer");
    assert_eq!(
        project.refusal(&["a", "b"], &options),
        ContextError::TooMuch(options.max_total_bytes)
    );
}

#[test]
fn notes_and_piped_input_are_items_without_a_path() {
    let item = note("\n  Keep the API stable, whatever happens to the rest\nmore").unwrap();
    assert_eq!(item.name, "Keep the API stable, whatever happens to…");
    assert_eq!((item.kind, item.path, item.mtime_ns), (Kind::Note, None, 0));
    assert_eq!(item.hash, sha256_hex(&item.body));

    let item = piped("piped-1", b"error: it broke\n".to_vec()).unwrap();
    assert_eq!(
        (item.kind, item.name.as_str(), item.size),
        (Kind::Piped, "piped-1", 16)
    );
    assert!(matches!(note(" \n"), Err(ContextError::Empty(_))));
    assert!(matches!(
        piped("p", Vec::new()),
        Err(ContextError::Empty(_))
    ));
    let refused = piped("p", b"\x7fELF\0\0".to_vec()).unwrap_err();
    assert_eq!(refused.to_string(), "p: binary");
}
