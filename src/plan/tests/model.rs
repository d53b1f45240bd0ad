//! Any edits over any turns come to what a plain table of files would come to.

use proptest::prelude::*;

use super::*;
use crate::plan::edits::Built;
use crate::plan::{edits, lines};

const PATHS: [&str; 5] = ["a", "b", "c", "d/e", "new"];
const START: [(&str, &str); 4] = [
    ("a", "1\n2\n3\n4\n"),
    ("b", "one\ntwo\n"),
    ("c", ""),
    ("d/e", "last line without end"),
];

/// What may be done to a file.
#[derive(Debug, Clone)]
enum Deed {
    Whole(String),
    Append(String),
    Delete,
    Rename(usize),
    Mode(bool),
}

fn deed() -> impl Strategy<Value = (usize, Deed)> {
    let text = "([1-4]\n){0,4}";
    let deed = prop_oneof![
        3 => text.prop_map(Deed::Whole),
        3 => text.prop_map(Deed::Append),
        2 => Just(Deed::Delete),
        3 => (0..PATHS.len()).prop_map(Deed::Rename),
        1 => any::<bool>().prop_map(Deed::Mode),
    ];
    (0..PATHS.len(), deed)
}

pub(super) type Files = BTreeMap<String, (String, bool)>;

/// The edits of a turn, for the files as they are: what to append to is searched for as a whole.
fn edits_of(files: &Files, deeds: &[(usize, Deed)]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (line, (path, deed)) in deeds.iter().enumerate() {
        let path = PATHS[*path];
        edits.push(match deed {
            Deed::Whole(text) => whole(path, line, text),
            Deed::Append(text) => {
                let old = files.get(path).map_or("nothing", |(text, _)| text);
                replace(path, line, old, &format!("{old}\n{text}"))
            }
            Deed::Delete => delete(path, line),
            Deed::Rename(to) => rename(path, line, PATHS[*to]),
            Deed::Mode(executable) => mode(path, line, *executable),
        });
    }
    edits
}

/// What a turn makes of a plain table of files, where `failed` are the files of which nothing was
/// built: each file by itself, all at once.
fn model(files: &Files, edits: &[Edit], failed: &[String]) -> Files {
    let mut after = files.clone();
    let mut moved: Vec<(String, (String, bool))> = Vec::new();
    let targets: Vec<&str> = edits
        .iter()
        .filter_map(|edit| {
            let EditBody::Move { to } = &edit.body else {
                return None;
            };
            (*to != edit.path).then_some(to.as_str())
        })
        .collect();
    let mut late = Vec::new();
    for path in PATHS {
        if !files.contains_key(path) && targets.contains(&path) {
            late.push(path);
            continue;
        }
        one(files, &mut after, &mut moved, edits, failed, path);
    }
    after.extend(moved);
    // What gets its file in the turn.
    let comes_from = |path: &str| {
        let source = edits.iter().find(
            |edit| matches!(&edit.body, EditBody::Move { to } if to == path && edit.path != path),
        );
        source.map(|edit| edit.path.as_str())
    };
    while !late.is_empty() {
        let is_ready = |path: &&str| comes_from(path).is_none_or(|from| !late.contains(&from));
        // Those that wait for each other are all not there.
        let ready = late.iter().position(is_ready).unwrap_or(0);
        let ready = late.remove(ready);
        let (now, mut moved) = (after.clone(), Vec::new());
        one(&now, &mut after, &mut moved, edits, failed, ready);
        after.extend(moved);
    }
    after
}

fn one(
    files: &Files,
    after: &mut Files,
    moved: &mut Vec<(String, (String, bool))>,
    edits: &[Edit],
    failed: &[String],
    path: &str,
) {
    let of_path: Vec<Edit> = edits
        .iter()
        .filter(|edit| edit.path == path)
        .cloned()
        .collect();
    if of_path.is_empty() || failed.iter().any(|one| one == path) {
        return;
    }
    let before = files.get(path);
    let base = before.map(|(text, _)| text.as_bytes());
    let built: Built = edits::build_file(path, base, &of_path).unwrap();
    // What is made anew under a name that the project has keeps the mode that it has there.
    let was_program = before.map_or(path == "b", |(_, program)| *program);
    after.remove(path);
    let Some(content) = built.content else { return };
    let text = String::from_utf8(content).unwrap();
    let file = (text, built.executable.unwrap_or(was_program));
    let to = built.moved_to.unwrap_or_else(|| path.to_owned());
    moved.push((to, file));
}

fn check(bench: &Bench, files: &Files) -> Result<(), TestCaseError> {
    let start: BTreeMap<&str, &str> = START.into_iter().collect();
    let pending = bench.pending();
    let contents = bench.contents();
    // What is pending, over what is there, is what the table says.
    let mut after: Files = start
        .iter()
        .map(|(path, text)| ((*path).to_owned(), ((*text).to_owned(), *path == "b")))
        .collect();
    for change in &pending {
        after.remove(&change.path);
    }
    for change in &pending {
        let Some(text) = &contents[&change.path] else {
            continue;
        };
        let origin = change.moved_from.as_deref();
        let inherited = match origin {
            Some(from) => from == "b",
            None => change.path == "b" && change.base_hash.is_some(),
        };
        let program = change.executable.unwrap_or(inherited);
        after.insert(change.path.clone(), (text.clone(), program));
    }
    prop_assert_eq!(&after, files);
    for change in &pending {
        let base = start.get(change.path.as_str());
        prop_assert_eq!(change.base_hash.is_some(), base.is_some());
        if let Some(from) = &change.moved_from {
            let other = pending.iter().find(|other| other.path == *from);
            let has_left = other.is_some_and(|o| o.blob.is_none() || o.moved_from.is_some());
            prop_assert!(has_left, "{} was {from}, which is still there", change.path);
        } else if let (Some(base), Some(text)) = (base, &contents[&change.path]) {
            let is_other = base != text || change.executable.is_some();
            prop_assert!(is_other, "{} has not changed", change.path);
            let counted = lines::count(base.as_bytes(), text.as_bytes());
            let counts = (change.added.unsigned_abs(), change.removed.unsigned_abs());
            prop_assert_eq!(counts, (counted.0 as u64, counted.1 as u64));
        }
        prop_assert!(
            base.is_some() || change.blob.is_some(),
            "{} is nothing",
            change.path
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn turns_come_to_what_a_table_of_files_comes_to(
        turns in proptest::collection::vec(proptest::collection::vec(deed(), 1..5), 1..6)
    ) {
        let bench = Bench::new(&START);
        bench.chmod("b", 0o755);
        let mut files: Files = START
            .into_iter()
            .map(|(path, text)| (path.to_owned(), (text.to_owned(), path == "b")))
            .collect();
        for deeds in turns {
            let edits = edits_of(&files, &deeds);
            let turned = bench.turn(edits.clone());
            let failed: Vec<String> =
                turned.failed.iter().map(|file| file.path.clone()).collect();
            files = model(&files, &edits, &failed);
            check(&bench, &files)?;
        }
        // And git makes the same of what `diff` prints.
        prop_assert_eq!(git::applied(&bench), files);
    }
}
