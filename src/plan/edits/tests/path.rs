use proptest::prelude::*;

use PathRefusal::{
    Control, Device, Empty, Internal, Invisible, NotPortable, NotRelative, TooLong,
    TrailingDotOrSpace, Traversal,
};

use crate::plan::edits::{PathMatch, PathRefusal, check_path, is_auto_run, resolve_path};

#[test]
fn ordinary_paths_are_taken() {
    for path in [
        "a",
        "src/main.rs",
        "a/b/c/d.txt",
        ".gitignore",
        ".github/workflows/ci.yml",
        ".gitattributes",
        ".envrc",
        "..a/b",
        "a..b",
        "...a",
        "my file.txt",
        "git/hooks",
        "plandex/db",
        "café/日本.md",
        "app/(group)/[id]/page.tsx",
        "cond/console.rs",
        "comet/com10.txt",
        "nullable.rs",
        "git~x",
        "~backup/a",
        "-rf",
        "a+b=c@d,e;f'g&h#i%j!k{l}",
    ] {
        assert_eq!(check_path(path), Ok(()), "{path}");
    }
    assert_eq!(check_path(&"a".repeat(255)), Ok(()));
    assert_eq!(check_path(&["abc"; 1024].join("/")), Ok(()));
}

const HOSTILE: &[(&str, PathRefusal)] = &[
    ("", Empty),
    ("/etc/passwd", NotRelative),
    ("//host/share", NotRelative),
    ("/", NotRelative),
    ("~", NotRelative),
    ("~/.bashrc", NotRelative),
    ("C:\\Windows\\x", NotRelative),
    ("c:x", NotRelative),
    ("c:/x", NotRelative),
    ("..", Traversal),
    ("../x", Traversal),
    ("a/../b", Traversal),
    ("a/../../b", Traversal),
    ("a/..", Traversal),
    (".", Traversal),
    ("./a", Traversal),
    ("a/./b", Traversal),
    ("a//b", Traversal),
    ("a/", Traversal),
    ("a\0b", Control),
    ("a\nb", Control),
    ("a\u{1b}[31m", Control),
    ("a\u{7f}", Control),
    ("a\u{9b}b", Control),
    ("a\\b", NotPortable),
    ("..\\..\\x", NotPortable),
    ("ab:c", NotPortable),
    ("a/.git::$INDEX_ALLOCATION/config", NotPortable),
    ("a*", NotPortable),
    ("what?", NotPortable),
    ("a|b", NotPortable),
    ("<a>", NotPortable),
    ("\"a\"", NotPortable),
    (".git", Internal),
    (".git/config", Internal),
    (".GIT/config", Internal),
    (".gIt/hooks/pre-commit", Internal),
    ("sub/module/.git", Internal),
    (".git./config", Internal),
    (".git /config", Internal),
    (".git.. ./config", Internal),
    ("git~1/config", Internal),
    ("GIT~1", Internal),
    ("a/git~12/b", Internal),
    (".plandex/plandex.db", Internal),
    (".Plandex/config.toml", Internal),
    ("PLANDE~1/config.toml", Internal),
    (".g\u{200c}it/config", Invisible),
    (".git\u{200d}/config", Invisible),
    ("\u{feff}.git/config", Invisible),
    (".plan\u{2064}dex/x", Invisible),
    ("a\u{202e}gnp.exe", Invisible),
    ("a.", TrailingDotOrSpace),
    ("a ", TrailingDotOrSpace),
    ("dir./a", TrailingDotOrSpace),
    ("...", TrailingDotOrSpace),
    ("con", Device),
    ("NUL", Device),
    ("con.d/a", Device),
    ("a/aux.rs", Device),
    ("com1", Device),
    ("LPT9.txt", Device),
    ("lpt².log", Device),
    ("prn .txt", Device),
    ("CONIN$", Device),
];

#[test]
fn hostile_paths_are_refused() {
    for (path, refusal) in HOSTILE {
        assert_eq!(check_path(path), Err(*refusal), "{path:?}");
    }
    assert_eq!(check_path(&"a".repeat(256)), Err(TooLong));
    assert_eq!(check_path(&format!("x/{}", "é".repeat(128))), Err(TooLong));
    assert_eq!(check_path(&["abcd"; 1000].join("/")), Err(TooLong));
}

proptest! {
    /// What is taken stays in the project by the plainest reading of a path.
    #[test]
    fn taken_paths_stay_inside(parts in prop::collection::vec(
        prop::sample::select(vec![
            "a", "b.rs", "..", ".", "", ".git", ".GIT", "~", "C:", "git~1", "nul", " ", "é",
        ]),
        1..6,
    )) {
        let path = parts.join("/");
        if check_path(&path).is_ok() {
            let depth = std::path::Path::new(&path).components().try_fold(0, |depth, part| {
                match part {
                    std::path::Component::Normal(name) => {
                        let name = name.to_string_lossy().to_lowercase();
                        (name != ".git" && name != "git~1").then_some(depth + 1)
                    }
                    std::path::Component::Prefix(_)
                    | std::path::Component::RootDir
                    | std::path::Component::CurDir
                    | std::path::Component::ParentDir => None,
                }
            });
            prop_assert_eq!(depth, Some(parts.len()));
        }
    }
}

#[test]
fn a_bare_name_means_the_one_known_file_of_that_name() {
    let known = [
        "src/main.rs",
        "src/a/mod.rs",
        "src/b/mod.rs",
        "lib.rs",
        "x/lib.rs",
    ];
    let file = |path: &str| PathMatch::File(path.to_owned());
    for (label, expect) in [
        ("src/main.rs", file("src/main.rs")),
        ("main.rs", file("src/main.rs")),
        ("./main.rs", file("src/main.rs")),
        ("lib.rs", file("lib.rs")),
        ("new.rs", file("new.rs")),
        ("other/main.rs", file("other/main.rs")),
        ("Main.rs", file("Main.rs")),
        ("ain.rs", file("ain.rs")),
        (
            "mod.rs",
            PathMatch::Several(vec!["src/a/mod.rs".into(), "src/b/mod.rs".into()]),
        ),
    ] {
        assert_eq!(resolve_path(label, &known), expect, "{label}");
    }
    assert_eq!(
        resolve_path("main.rs", &["src/main.rs", "src/main.rs"]),
        file("src/main.rs")
    );
}

#[test]
fn what_runs_by_itself_is_known() {
    for path in [
        ".envrc",
        "sub/.envrc",
        ".bashrc",
        "home/.zshrc",
        ".profile",
        ".vscode/tasks.json",
        "sub/.VSCode/Tasks.json",
        ".github/workflows/ci.yml",
        ".github/workflows/deep/x",
        ".github/actions/build/action.yml",
        ".husky/pre-commit",
        ".githooks/pre-push",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        ".pre-commit-config.yaml",
        ".devcontainer/devcontainer.json",
        ".claude/settings.json",
    ] {
        assert!(is_auto_run(path), "{path}");
    }
    for path in [
        "Makefile",
        "build.rs",
        "package.json",
        "src/envrc",
        "envrc",
        "tasks.json",
        "docs/vscode/tasks.json",
        ".github/CODEOWNERS",
        "workflows/ci.yml",
        "a/.github.d/workflows/x",
        "hooks/pre-commit",
        "",
        "/",
    ] {
        assert!(!is_auto_run(path), "{path}");
    }
}
