//! The tree itself: what STYLE asks of it and no compiler checks.
//!
//! Each rule is a function from what it reads to what it found, so that each has a test of its
//! own with a planted violation: a rule that cannot fail is worthless.

mod layers;
mod names;
mod source;

use std::path::Path;

use source::Source;

/// A file longer than this is two.
const LINES_MAX: usize = 500;

/// What may stand at the top besides dotfiles.
const AT_THE_TOP: [&str; 13] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "schema.sql",
    "hooks",
    "docs",
    "tests",
    "scripts",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
];

/// Crates of which two would be one too many: two SQLites in a process drop each other's locks.
const ONCE: [&str; 2] = ["libsqlite3-sys", "gix"];

/// Crates that may not come in with another (.deny.toml says why of each).
const NEVER: [&str; 4] = ["openssl-sys", "native-tls", "tokio", "git2"];

/// Where every crate comes from.
const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All of `src` as one text, tests left out.
pub(crate) fn sources(root: &Path) -> String {
    let all = source::all(root);
    all.iter().map(|source| source.text.as_str()).collect()
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn arrows_point_down() {
    let sources = source::all(root());
    assert!(
        sources.len() > 50,
        "only {} sources were found",
        sources.len()
    );
    assert_none(&layers::check(&sources));
}

#[test]
fn dangerous_names_stay_with_their_owners() {
    assert_none(&names::check_owners(&source::all(root())));
}

#[test]
fn nobody_but_sqlite_opens_the_database() {
    assert_none(&names::check_database(&source::all(root())));
}

#[test]
fn the_eleven_crates_are_used_where_they_are_meant_to_be() {
    assert_none(&names::check_eleven(
        &read("Cargo.toml"),
        &source::all(root()),
    ));
}

#[test]
fn files_are_short() {
    assert_none(&check_sizes(&source::all(root())));
}

#[test]
fn every_room_says_at_its_door_what_it_is_for() {
    assert_none(&check_doors(&source::all(root())));
}

#[test]
fn what_must_be_there_once_is() {
    assert_none(&check_lock(&read("Cargo.lock")));
}

#[test]
fn the_top_of_the_tree_is_as_it_was_laid_out() {
    assert_none(&check_top(&at_the_top(root())));
}

fn check_sizes(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.lines > LINES_MAX)
        .map(|source| {
            let Source { path, lines, .. } = source;
            format!("{path}: {lines} lines without tests; {LINES_MAX} are the most")
        })
        .collect()
}

fn check_doors(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| {
            let parts = source.path.split('/').count();
            parts == 2 || (parts == 3 && source.path.ends_with("/mod.rs"))
        })
        .filter(|source| source.path != "src/main.rs")
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: does not open with `//!`", source.path))
        .collect()
}

fn check_lock(cargo_lock: &str) -> Vec<String> {
    let lock: toml::Table = cargo_lock.parse().unwrap();
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let count = |name: &str| {
        packages.map_or(0, |packages| {
            let named = |package: &&toml::Value| {
                package.get("name").and_then(toml::Value::as_str) == Some(name)
            };
            packages.iter().filter(named).count()
        })
    };
    let twice = ONCE.iter().filter(|name| count(name) != 1);
    let twice = twice.map(|name| format!("Cargo.lock: {name} is there {} times", count(name)));
    let banned = NEVER.iter().filter(|name| count(name) != 0);
    let banned = banned.map(|name| format!("Cargo.lock: {name} may not be there"));
    let sources = packages.into_iter().flatten().filter_map(|package| {
        let source = package.get("source")?.as_str()?;
        let name = package.get("name")?.as_str()?;
        (source != SOURCE).then(|| format!("Cargo.lock: {name} comes from {source}"))
    });
    twice.chain(banned).chain(sources).collect()
}

fn check_top(entries: &[String]) -> Vec<String> {
    entries
        .iter()
        .filter(|name| !name.starts_with('.') && !AT_THE_TOP.contains(&name.as_str()))
        .map(|name| format!("{name}: does not belong at the top of the tree"))
        .collect()
}

/// The tracked names at the top; in a tree without git, all but what a build leaves.
fn at_the_top(root: &Path) -> Vec<String> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output();
    let mut names: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| {
                let path = String::from_utf8_lossy(path);
                path.split('/').next().unwrap_or_default().to_owned()
            })
            .collect(),
        _ => std::fs::read_dir(root)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name != "target")
            .collect(),
    };
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = "fn f() {}\n".repeat(501);
    assert_eq!(check_sizes(&[Source::new("src/a/b.rs", &long)]).len(), 1);
    let short = "fn f() {}\n".repeat(490);
    let tested = format!("{short}#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_none(&check_sizes(&[Source::new("src/a/b.rs", &tested)]));
}

#[test]
fn a_room_without_words_at_its_door_is_found() {
    let silent = ["src/a/mod.rs", "src/a.rs", "src/lib.rs"].map(|path| Source::new(path, "use x;"));
    assert_eq!(check_doors(&silent).len(), 3);
    let fine = [
        ("src/a/mod.rs", "//! For a.\n"),
        ("src/a/b.rs", ""),
        ("src/main.rs", ""),
    ];
    assert_none(&check_doors(
        &fine.map(|(path, text)| Source::new(path, text)),
    ));
}

#[test]
fn a_second_sqlite_is_found() {
    let package = |name: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n");
    let once = package("gix") + &package("libsqlite3-sys") + &package("gix-ref");
    assert_none(&check_lock(&once));
    let twice = once.clone() + &package("libsqlite3-sys");
    assert!(check_lock(&twice)[0].contains("libsqlite3-sys is there 2 times"));
    assert!(check_lock(&package("libsqlite3-sys"))[0].contains("gix is there 0 times"));
    let banned = check_lock(&(once.clone() + &package("tokio")));
    assert_eq!(banned, ["Cargo.lock: tokio may not be there"]);
    let git = once + &package("x") + "source = \"git+https://localhost/x\"\n";
    assert_eq!(
        check_lock(&git),
        ["Cargo.lock: x comes from git+https://localhost/x"]
    );
}

#[test]
fn a_stray_file_at_the_top_is_found() {
    let entries = [".ci", "README.md", "STATUS_REPORT.md", "src", "notes.txt"].map(str::to_owned);
    let found = check_top(&entries);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("STATUS_REPORT.md"));
}

#[test]
fn sources_are_read_without_comments_strings_and_tests() {
    let text = "//! a\nfn f<'a>(x: &'a str) -> char { /* b /* c */ d */ '\"' }\nconst S: &str = \
                r#\"e \" f\"#; // g\n#[cfg(test)]\nmod tests {\n    fn h() { \"}\" }\n}\nfn i() {}\n";
    let source = Source::new("src/a/b.rs", text);
    let kept: String = source.code.split_whitespace().collect();
    assert_eq!(kept, "fnf<'a>(x:&'astr)->char{}constS:&str=;fni(){}");
    assert!(source.uncommented.contains("r#\"e \" f\"#") && !source.uncommented.contains('g'));
    assert_eq!(source.code.len(), text.len());
    assert_eq!((source.room(), source.depth()), ("a", 2));
    assert_eq!(
        source.place(source.code.find("fn i").unwrap()),
        "src/a/b.rs:8"
    );
    assert_eq!(Source::new("src/a/mod.rs", "").depth(), 1);
    assert_eq!(Source::new("src/workers.rs", "").room(), "workers");
}
