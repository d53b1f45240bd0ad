//! Paths, names of the code, variables, settings and links: what a document names is there.

use std::collections::BTreeSet;
use std::path::Path;

use super::blocks::{Document, anchor};

/// What the names are looked up in.
pub(super) struct Tree {
    /// Tracked files, from the top.
    files: Vec<String>,
    /// Words of the sources and scripts.
    words: BTreeSet<String>,
    /// Those of `src` alone.
    in_sources: BTreeSet<String>,
    /// Keys of settings.
    keys: BTreeSet<String>,
}

impl Tree {
    pub(super) fn read(root: &Path, keys: BTreeSet<String>) -> Self {
        let mut files = Vec::new();
        walk(root, "", &mut files);
        let (mut words, mut in_sources) = (BTreeSet::new(), BTreeSet::new());
        for path in &files {
            let is_code = ["src/", "tests/", "scripts/", ".ci/", ".github/", "hooks/"]
                .iter()
                .any(|room| path.starts_with(room));
            // The tests of this room name what is not there.
            let is_code = is_code && !path.starts_with("tests/it/documents/");
            if is_code || path == "schema.sql" || path == "Cargo.toml" {
                let text = std::fs::read(root.join(path)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let split = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                let split = split.filter(|word| !word.is_empty()).map(str::to_owned);
                let of_file: Vec<String> = split.collect();
                if path.starts_with("src/") && !path.contains("/tests") {
                    in_sources.extend(of_file.iter().cloned());
                }
                words.extend(of_file);
            }
        }
        Self {
            files,
            words,
            in_sources,
            keys,
        }
    }

    /// The variables of ours that users may set.
    pub(super) fn variables(&self) -> BTreeSet<String> {
        let inner = ["CRASH", "PANIC", "TEST", "BACKGROUND"];
        let ours = self.words.iter().filter_map(|word| {
            let name = word.strip_prefix("PLANDEX_")?;
            let is_inner = name.is_empty() || inner.iter().any(|inner| name.starts_with(inner));
            (!is_inner && self.in_sources.contains(word)).then(|| word.clone())
        });
        ours.collect()
    }

    /// Whether a path names something: from the top or from `src`, with `*` for any letters.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        ["", "src/", "tests/it/"].iter().any(|from| {
            let wanted = format!("{from}{path}");
            self.files.iter().any(|file| {
                let inside = file.strip_prefix(&wanted);
                let is_it = inside
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest == ".rs");
                is_it || is_like(&wanted, file)
            })
        })
    }
}

fn is_like(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => false,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.ends_with(after) && !rest[..rest.len() - after.len()].contains('/')
        }),
    }
}

fn walk(dir: &Path, below: &str, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if ["target", ".git", ".plandex"].contains(&name.as_str()) {
            continue;
        }
        let path = format!("{below}{name}");
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{path}/"), files);
        } else {
            files.push(path);
        }
    }
}

/// The folders and files at the top, which a path of this tree begins with.
const TOPS: [&str; 8] = [
    "src",
    "tests",
    "scripts",
    "hooks",
    "docs",
    ".github",
    ".ci",
    "schema.sql",
];

/// Paths that are not there.
pub(super) fn check_paths(document: &Document, tree: &Tree, is_about_code: bool) -> Vec<String> {
    let mut found = Vec::new();
    for span in &document.spans {
        let word = span.text.split(' ').next().unwrap_or_default();
        let word = word.trim_start_matches("./");
        let first = word.split('/').next().unwrap_or_default();
        let is_ours = TOPS.contains(&first) && (word.contains('/') || word.contains('.'));
        let looks_so = word.contains('/')
            && !word
                .contains(|c: char| !(c.is_ascii_lowercase() || "_-/.*{},0123456789".contains(c)));
        // In the README, "src/main.rs" is the reader's; what a build makes is not there yet.
        let is_readers = (!is_about_code && first == "src") || first == "target";
        if is_readers
            || !(is_ours || (is_about_code && looks_so && !word.starts_with(['/', '.', '~', '-'])))
        {
            continue;
        }
        if !braces(word).iter().all(|path| tree.has(path)) {
            found.push(format!(
                "{}:{}: there is no {word}",
                document.name, span.line
            ));
        }
    }
    found
}

/// `a/{b,c}` as `a/b` and `a/c`.
fn braces(word: &str) -> Vec<String> {
    match (word.find('{'), word.find('}')) {
        (Some(open), Some(close)) if open < close => word[open + 1..close]
            .split(',')
            .map(|one| format!("{}{one}{}", &word[..open], &word[close + 1..]))
            .collect(),
        _ => vec![word.to_owned()],
    }
}

/// Names of the code (`a::b`, `SomeType`, `some_function`) and variables that nothing is called.
pub(super) fn check_names(document: &Document, tree: &Tree, is_about_code: bool) -> Vec<String> {
    let mut found = Vec::new();
    for span in &document.spans {
        let word = span
            .text
            .split([' ', '=', '(', '<'])
            .next()
            .unwrap_or_default();
        let is_variable = word.starts_with("PLANDEX_");
        let is_name = !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let is_code = is_name
            && (word.contains("::")
                || word.contains('_')
                || (word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word.chars().any(|c| c.is_ascii_lowercase())));
        if !(is_variable || (is_about_code && is_code)) {
            continue;
        }
        let word = word.trim_end_matches('…');
        if let Some(prefix) = word.strip_suffix('_') {
            if !tree.words.iter().any(|known| known.starts_with(prefix)) {
                found.push(format!(
                    "{}:{}: nothing begins with {word}",
                    document.name, span.line
                ));
            }
            continue;
        }
        for part in word.split("::").filter(|part| !part.is_empty()) {
            if !tree.words.contains(part) {
                found.push(format!(
                    "{}:{}: nothing is called {part}",
                    document.name, span.line
                ));
            }
        }
    }
    found
}

/// Settings of a section (`lock.lease`) that are none.
pub(super) fn check_settings(document: &Document, tree: &Tree) -> Vec<String> {
    let rooms: BTreeSet<&str> = tree
        .keys
        .iter()
        .filter_map(|key| key.split_once('.'))
        .map(|(room, _)| room)
        .collect();
    let mut found = Vec::new();
    for span in &document.spans {
        // `lock.waiting` is an event, `lock.lease` a setting: an event is a word of the code.
        let Some((room, _)) = span.text.split_once('.') else {
            continue;
        };
        let is_key = span
            .text
            .chars()
            .all(|c| c.is_ascii_lowercase() || ".-".contains(c));
        let is_event = span.around.contains("`lock.waiting`");
        if is_key && rooms.contains(room) && !is_event && !tree.keys.contains(&span.text) {
            found.push(format!(
                "{}:{}: there is no setting {}",
                document.name, span.line, span.text
            ));
        }
    }
    found
}

/// Links to files and sections that are not there.
pub(super) fn check_links(document: &Document, all: &[Document], tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (line, target) in &document.links {
        if target.contains("://") {
            continue;
        }
        let (file, section) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() {
            &document.name
        } else {
            file
        };
        if !tree.files.iter().any(|known| known == file) {
            found.push(format!("{}:{line}: there is no {file}", document.name));
        }
        let other = all.iter().find(|other| other.name == *file);
        let sections = other.map(|other| {
            other
                .headings
                .iter()
                .map(|heading| anchor(heading))
                .collect::<Vec<_>>()
        });
        if !section.is_empty()
            && !sections.is_some_and(|sections| sections.iter().any(|known| known == section))
        {
            found.push(format!(
                "{}:{line}: {file} has no section {section}",
                document.name
            ));
        }
    }
    found
}

#[test]
fn what_is_not_there_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = Tree::read(root, BTreeSet::from(["lock.lease".to_owned()]));
    let read = |text: &str| super::blocks::read("README.md", text);
    let count = |text: &str| {
        let document = read(text);
        let all = [read("# There\n")];
        check_paths(&document, &tree, true).len()
            + check_names(&document, &tree, true).len()
            + check_settings(&document, &tree).len()
            + check_links(&document, &all, &tree).len()
    };
    let good = "`src/lock/mod.rs` `lock/graph.rs` `plan/reply` `tests/it/*_crash.rs` `src/main.rs` \
                `WritePermit` `cli::tell` `PLANDEX_PLAN` `lock.lease` [a](README.md) [b](#there)";
    assert_eq!(count(good), 0);
    let bad = [
        "`src/lock/nothing.rs`",
        "`lock/grapf.rs`",
        "`tests/it/*_crush.rs`",
        "`WritePermission`",
        "`cli::tellme`",
        "`PLANDEX_PLANN`",
        "`lock.leaze`",
        "[a](READ.md)",
        "[b](#here)",
    ];
    for text in bad {
        assert_eq!(count(text), 1, "{text}");
    }
}
