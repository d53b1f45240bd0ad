//! The layer table: arrows point down only.

use super::source::Source;

/// The rooms and their rows (ARCHITECTURE.md draws them).
const ROWS: [(&str, u8); 15] = [
    ("cli", 6),
    ("ui", 6),
    ("doctor", 5),
    ("hook", 5),
    ("plan", 4),
    ("apply", 4),
    ("context", 4),
    ("project", 3),
    ("workers", 3),
    ("lock", 2),
    ("repo", 2),
    ("model", 2),
    ("store", 1),
    ("config", 0),
    ("platform", 0),
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let room = source.room();
        if matches!(room, "main" | "lib") {
            continue;
        }
        let Some(row) = row_of(room) else {
            let path = &source.path;
            found.push(format!(
                "{path}: the room `{room}` has no row in the layer table"
            ));
            continue;
        };
        for (at, other) in rooms_named(source) {
            if let Some(why) = forbidden(room, row, &other) {
                found.push(format!(
                    "{}: `{room}` names `{other}`: {why}",
                    source.place(at)
                ));
            }
        }
    }
    found
}

fn row_of(room: &str) -> Option<u8> {
    ROWS.iter()
        .find(|(name, _)| *name == room)
        .map(|(_, row)| *row)
}

/// Why the room `from` in `row` may not use the room `to`.
fn forbidden(from: &str, row: u8, to: &str) -> Option<&'static str> {
    let to_row = row_of(to)?;
    match (from, to) {
        _ if from == to => None,
        ("plan", "context") | ("project", "workers") | ("workers", "project") | ("cli", "ui") => {
            None
        }
        ("ui", _) if to_row > 0 => Some("ui uses only config and platform"),
        (_, "ui") => Some("only cli uses ui"),
        _ if to_row < row => None,
        _ if to_row == row => Some("it stands beside it"),
        _ => Some("it stands above it"),
    }
}

/// Every room that a source names by `crate::…`, `use crate::{…}` or enough `super::`.
fn rooms_named(source: &Source) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut found = Vec::new();
    for at in super::source::places(code, "crate::") {
        found.extend(heads(code, at + "crate::".len()));
    }
    for at in super::source::places(code, "super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let mut end = at;
        let mut steps = 0;
        while code[end..].starts_with("super::") {
            end += "super::".len();
            steps += 1;
        }
        // An inline module is one deeper than its file, so more steps may still end at the top.
        if steps >= source.depth() {
            found.extend(heads(code, end));
        }
    }
    found.retain(|(_, name)| row_of(name).is_some());
    found
}

/// The first names of the path or of the group of paths at `at`.
fn heads(code: &str, at: usize) -> Vec<(usize, String)> {
    let Some(group) = code[at..].strip_prefix('{') else {
        return vec![(at, word(&code[at..]))];
    };
    let mut found = Vec::new();
    let (mut depth, mut fresh) = (1, true);
    for (offset, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            _ if c.is_whitespace() => {}
            _ if fresh => {
                found.push((at + 1 + offset, word(&group[offset..])));
                fresh = false;
            }
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn an_arrow_that_points_up_or_sideways_is_found() {
    let check = |path: &str, text: &str| check(&[Source::new(path, text)]);
    let cases = [
        ("src/store/mod.rs", "use crate::lock::Hold;", "above"),
        ("src/store/open.rs", "fn f() { crate::cli::run() }", "above"),
        ("src/lock/mod.rs", "use crate::repo::PlanRepo;", "beside"),
        (
            "src/lock/wait.rs",
            "use crate::{platform::clock, store::Store, plan};",
            "above",
        ),
        (
            "src/lock/wait.rs",
            "use crate::{store::{plan, Store}, model::{A, B}};",
            "beside",
        ),
        ("src/apply/mod.rs", "use super::plan::Tell;", "beside"),
        (
            "src/repo/tree.rs",
            "use super::super::project::Project;",
            "above",
        ),
        ("src/workers.rs", "use super::plan;", "above"),
        ("src/context/mod.rs", "use crate::plan::tell;", "beside"),
        ("src/ui/mod.rs", "use crate::store::Store;", "only config"),
        ("src/doctor/mod.rs", "use crate::ui::Ui;", "only cli"),
        ("src/config/mod.rs", "use crate::platform::file;", "beside"),
        ("src/cache/mod.rs", "", "no row"),
    ];
    for (path, text, words) in cases {
        let found = check(path, text);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].contains(words), "{found:?}");
    }
}

#[test]
fn arrows_that_point_down_are_not_found() {
    let sources = [
        (
            "src/cli/mod.rs",
            "use crate::{doctor, ui::Ui, platform::clock, project};",
        ),
        (
            "src/plan/tell.rs",
            "use crate::context; use super::edits::model; use crate::model;",
        ),
        ("src/project/mod.rs", "use crate::workers::Workers;"),
        (
            "src/workers.rs",
            "use crate::project::Project; use crate::lock::rules;",
        ),
        (
            "src/store/mod.rs",
            "// use crate::cli;\nconst A: &str = \"crate::cli\";",
        ),
        (
            "src/store/mod.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::project::Project;\n}",
        ),
        (
            "src/lock/mod.rs",
            "use super::lock::rules; mod plan; use self::plan::x;",
        ),
        ("src/main.rs", "fn main() { plandex::cli::main() }"),
    ];
    for (path, text) in sources {
        assert_eq!(check(&[Source::new(path, text)]), [""; 0], "{path}: {text}");
    }
}
