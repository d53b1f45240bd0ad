//! Somebody else edits the project at every single place of an apply: whatever they wrote is in
//! place afterwards, nothing outside is touched, and the other files are all old or all new.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;

use super::writing::Grounds;
use super::*;
use crate::platform::crash::watched::watch;

const THEIRS: &str = "the user's";

/// What somebody else does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meddling {
    /// Truncates and writes.
    WriteInPlace,
    /// Writes another file and renames it over.
    Replace,
    /// Appends through a descriptor opened before the apply.
    AppendLate,
    /// Removes it.
    Remove,
    /// Puts a directory with a file in its place.
    MakeDirectory,
    /// Puts a link to a file outside in its place.
    MakeLink,
    /// Moves its directory away and puts a link to one outside in its place.
    LinkDirectory,
    /// Moves its directory out of the project.
    MoveOut,
}

const ALL: [Meddling; 8] = [
    Meddling::WriteInPlace,
    Meddling::Replace,
    Meddling::AppendLate,
    Meddling::Remove,
    Meddling::MakeDirectory,
    Meddling::MakeLink,
    Meddling::LinkDirectory,
    Meddling::MoveOut,
];

#[expect(clippy::disallowed_methods, reason = "the user's own writing")]
fn meddle(how: Meddling, path: &Path, outside: &Path, open: Option<&std::fs::File>) {
    let dir = path.parent().unwrap();
    if !matches!(how, Meddling::LinkDirectory | Meddling::MoveOut) {
        std::fs::create_dir_all(dir).unwrap();
    }
    match how {
        Meddling::WriteInPlace => std::fs::write(path, THEIRS).unwrap(),
        Meddling::Replace => {
            let beside = dir.join("editor.tmp");
            std::fs::write(&beside, THEIRS).unwrap();
            std::fs::rename(&beside, path).unwrap();
        }
        Meddling::AppendLate => {
            if let Some(mut open) = open {
                open.write_all(THEIRS.as_bytes()).unwrap();
            }
        }
        Meddling::Remove => drop(std::fs::remove_file(path)),
        Meddling::MakeDirectory => {
            drop(std::fs::remove_file(path));
            std::fs::create_dir(path).unwrap();
            std::fs::write(path.join("inner"), THEIRS).unwrap();
        }
        Meddling::MakeLink => {
            drop(std::fs::remove_file(path));
            std::os::unix::fs::symlink(outside.join("f"), path).unwrap();
        }
        Meddling::MoveOut => {
            if dir.is_dir() {
                let away = outside.with_extension("out");
                std::fs::rename(dir, &away).unwrap();
                // As it was when it left.
                drop(std::fs::copy(
                    away.join(path.file_name().unwrap()),
                    away.join("at-leaving"),
                ));
            }
        }
        Meddling::LinkDirectory => {
            if dir.is_dir() {
                std::fs::rename(dir, dir.with_extension("away")).unwrap();
                std::os::unix::fs::symlink(outside, dir).unwrap();
            }
        }
    }
}

/// The files of a meddled apply: (path, before, after). Each has its own directory, so that moving
/// one away moves no other.
const FILES: [(&str, Option<&str>, Option<&str>); 3] = [
    ("a/changed", Some("old"), Some("new")),
    ("b/new", None, Some("new too")),
    ("c/removed", Some("old one"), None),
];

/// One apply in which `path` is meddled with at the `at`-th point; the number of points passed.
fn meddled(
    mut ground: Ground,
    on_conflict: OnConflict,
    how: Meddling,
    path: &str,
    at: usize,
    what: &str,
) -> usize {
    // Where the project is, so that directories can be moved there.
    let outside = tempfile::tempdir_in(ground.root.parent().unwrap()).unwrap();
    for name in ["f", "changed", "new", "removed"] {
        #[expect(clippy::disallowed_methods, reason = "the user's own writing")]
        std::fs::write(outside.path().join(name), "canary").unwrap();
    }
    for (path, before, after) in FILES {
        if let Some(before) = before {
            ground.write(path, before);
        }
        ground.change(path, before, after);
    }
    let full = ground.path(path);
    let open = std::fs::File::options().append(true).open(&full).ok();
    let passed = Rc::new(RefCell::new(Vec::new()));
    let watcher = {
        let (passed, outside) = (Rc::clone(&passed), outside.path().to_owned());
        move |name: &'static str| {
            passed.borrow_mut().push(name);
            if passed.borrow().len() == at {
                meddle(how, &full, &outside, open.as_ref());
            }
        }
    };
    let permit = ground.permit();
    let turn = ground.turn().unwrap();
    let options = Options::all(on_conflict);
    let decision = plan_writes(ground.classify(), &options).unwrap();
    let applied = watch(watcher, || ground.write_decision(&permit, &turn, &decision));
    drop(turn);
    ground.release(&permit);
    let passed = passed.borrow();
    let point = at
        .checked_sub(1)
        .and_then(|at| passed.get(at))
        .unwrap_or(&"never");
    let what = format!("{what}, {how:?} of {path} at {at} ({point}): {applied:?}");
    // The original on another mount loses its last name in the end. Who has it open still and
    // writes to it then, writes to a file that is gone, as after any other removal.
    let is_gone = how == Meddling::AppendLate
        && what.starts_with("two mounts")
        && passed[..at].contains(&"file.remove");
    if *point != "never" && !is_gone {
        check(&ground, how, path, &applied, &what);
    }
    check_outside(outside.path(), path, &what);
    let undecided = ground
        .store
        .read(|tx| applies::standing(tx, applies::UNDECIDED))
        .unwrap();
    assert_eq!(undecided, [], "{what}");
    passed.len()
}

/// Checks that nothing outside was touched, but for what was moved there, which is as it was.
fn check_outside(outside: &Path, path: &str, what: &str) {
    for entry in std::fs::read_dir(outside).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert_eq!(text, "canary", "{what}");
    }
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 4, "{what}");
    let (out, file) = (
        outside.with_extension("out"),
        Path::new(path).file_name().unwrap(),
    );
    if out.is_dir() {
        let text = |name: &std::ffi::OsStr| std::fs::read_to_string(out.join(name)).ok();
        let before = FILES
            .into_iter()
            .find(|file| file.0 == path)
            .unwrap()
            .1
            .map(str::to_owned);
        let (now, at_leaving) = (text(file), text("at-leaving".as_ref()));
        assert!(
            now == at_leaving || now == before,
            "{what}: {at_leaving:?} became {now:?}"
        );
    }
}

fn check(ground: &Ground, how: Meddling, path: &str, applied: &Result<Applied>, what: &str) {
    let tree = ground.tree();
    let away = |path: &str| {
        let (dir, name) = path.split_once('/').unwrap();
        let away = tree.get(&format!("{dir}.away/{name}"));
        away.or_else(|| tree.get(path)).map(String::as_str)
    };
    let (_, before, after) = FILES.into_iter().find(|file| file.0 == path).unwrap();
    let here = tree.get(path).map(String::as_str);
    match how {
        Meddling::WriteInPlace | Meddling::Replace => assert_eq!(here, Some(THEIRS), "{what}"),
        Meddling::MakeDirectory => {
            let inner = tree.get(&format!("{path}/inner")).map(String::as_str);
            assert_eq!(inner, Some(THEIRS), "{what}");
        }
        Meddling::MakeLink => assert!(here.is_some_and(|text| text.starts_with("->")), "{what}"),
        Meddling::AppendLate => {
            let anywhere = tree
                .values()
                .chain(ground.kept().values())
                .any(|text| text.contains(THEIRS));
            assert!(before.is_none() || anywhere, "{what}");
        }
        // Who removes a file that came or went meanwhile finds it as it was, or gone.
        Meddling::Remove => assert!([None, before, after].contains(&here), "{what}"),
        Meddling::LinkDirectory => assert!([before, after].contains(&away(path)), "{what}"),
        Meddling::MoveOut => {}
    }
    let others: Vec<_> = FILES.into_iter().filter(|file| file.0 != path).collect();
    let is_all = |new: bool| {
        others.iter().all(|(path, before, after)| {
            tree.get(*path).map(String::as_str) == if new { *after } else { *before }
        })
    };
    match applied {
        Ok(applied) => {
            assert!(is_all(true), "{what}: {tree:?}");
            let reported = applied
                .skipped
                .iter()
                .chain(&applied.failed)
                .any(|one| one.path == path);
            assert_eq!(
                reported,
                !applied.written.iter().any(|one| one == path),
                "{what}"
            );
        }
        Err(error) => {
            let is_changed = matches!(error.downcast_ref(), Some(ApplyError::Changed(_)));
            assert!(is_changed, "{what}");
            assert!(is_all(false), "{what}: {tree:?}");
        }
    }
    // Written to after the last look, among the user's files: it stays there, and is reported.
    let is_stray = |one: &&String| one.contains(".plandex-");
    let stray: Vec<&String> = tree.keys().filter(is_stray).collect();
    let kept = applied.as_ref().map_or(0, |applied| applied.kept.len());
    // Or it was moved away by whoever moved the directory: nobody can know where to.
    let is_explained = how == Meddling::AppendLate && kept == 1
        || how == Meddling::LinkDirectory && stray.iter().all(|one| one.contains(".away/"));
    assert!(stray.is_empty() || is_explained, "{what}: {tree:?}");
}

#[test]
fn what_is_written_late_to_an_original_is_put_back_in_place() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let mut ground = grounds.fresh(name);
        ground.write("a", "old");
        ground.change("a", Some("old"), Some("new"));
        ground.change("b", None, Some("new"));
        // Somebody has the file open; they write after it was swapped out and found unchanged.
        let open = std::fs::File::options()
            .append(true)
            .open(ground.path("a"))
            .unwrap();
        let second = ground.path("b");
        let watcher = move |_: &'static str| {
            if second.exists() && open.metadata().unwrap().len() == 3 {
                (&open).write_all(THEIRS.as_bytes()).unwrap();
            }
        };
        let error = watch(watcher, || ground.apply(OnConflict::Abort)).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(ApplyError::Changed(_))),
            "{error:#}"
        );
        let expected = BTreeMap::from([("a".to_owned(), format!("old{THEIRS}"))]);
        assert_eq!(ground.tree(), expected, "{name}");
        assert_eq!(ground.pending().len(), 2);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the user's own writing")]
fn what_is_written_twice_while_it_is_swapped_is_kept_twice() {
    let grounds = Grounds::new();
    for name in grounds
        .names()
        .iter()
        .filter(|name| !name.ends_with("old kernel"))
    {
        let mut ground = grounds.fresh(name);
        ground.write("a", "old");
        ground.change("a", Some("old"), Some("new"));
        let path = ground.path("a");
        let mut exchanges = 0;
        // Before the first exchange, and onto ours before it is taken back.
        let watcher = move |point: &'static str| {
            if point == "file.exchange.before" {
                exchanges += 1;
                let text = ["first of the user's", "second of the user's"];
                if let Some(text) = text.get(exchanges - 1) {
                    std::fs::write(&path, text).unwrap();
                }
            }
        };
        let applied = watch(watcher, || ground.apply(OnConflict::Skip)).unwrap();
        assert_eq!(
            ground.text("a").as_deref(),
            Some("second of the user's"),
            "{name}"
        );
        let why = &applied.skipped[0].why;
        let (_, place) = why.split_once("is kept in ").unwrap();
        let kept = std::fs::read_to_string(ground.root.join(place)).unwrap();
        assert_eq!(kept, "first of the user's", "{name}");
        assert_eq!(ground.pending().len(), 1);
    }
}

/// Meddles at every `stride`-th point, at others for each kind and path.
fn meddle_everywhere(grounds: &Grounds, name: &str, on_conflict: OnConflict, stride: usize) {
    let mut first = 0;
    for how in ALL {
        for (path, _, _) in FILES {
            let points = meddled(grounds.fresh(name), on_conflict, how, path, 0, name);
            first += 1;
            for at in (1 + first % stride..=points).step_by(stride) {
                meddled(grounds.fresh(name), on_conflict, how, path, at, name);
            }
        }
    }
}

#[test]
fn nothing_that_somebody_else_does_meanwhile_is_lost() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        let stride = if *name == "one mount" { 1 } else { 3 };
        meddle_everywhere(&grounds, name, OnConflict::Abort, stride);
    }
}

#[test]
fn what_somebody_else_does_meanwhile_is_skipped_if_so_wanted() {
    let grounds = Grounds::new();
    for name in grounds.names() {
        meddle_everywhere(&grounds, name, OnConflict::Skip, 5);
    }
}
