//! Files that get other names.

use super::*;
use crate::plan::Op;
use crate::plan::edits::Reason;

/// The pending changes as (path, where from, whether there is content).
fn shape(bench: &Bench) -> Vec<(String, Option<String>, bool)> {
    let pending = bench.pending().into_iter();
    pending
        .map(|change| (change.path, change.moved_from, change.blob.is_some()))
        .collect()
}

fn of<const N: usize>(
    shape: [(&str, Option<&str>, bool); N],
) -> Vec<(String, Option<String>, bool)> {
    let owned = shape.into_iter();
    owned
        .map(|(path, from, there)| (path.to_owned(), from.map(str::to_owned), there))
        .collect()
}

#[test]
fn a_move_is_a_pair_and_later_edits_name_the_new_path() {
    let bench = Bench::new(&[("a", "1\n2\n3\n")]);
    let turned = bench.turn(vec![
        rename("a", 1, "dir/b"),
        replace("a", 2, "2\n", "two\n"),
    ]);
    assert_eq!(turned.built[0].op, Op::Rename);
    assert_eq!(turned.built[0].moved_to.as_deref(), Some("dir/b"));
    assert_eq!(
        shape(&bench),
        of([("a", None, false), ("dir/b", Some("a"), true)])
    );
    let (old, new) = (bench.change("a"), bench.change("dir/b"));
    // Counted once, and as git does.
    assert_eq!(
        (old.added, old.removed, new.added, new.removed),
        (0, 0, 1, 1)
    );
    let stale = bench.turn(vec![replace("a", 1, "two\n", "zwei\n")]);
    let failure = &stale.failed[0].failures[0];
    assert_eq!(failure.reason, Reason::FileMissing);
    assert_eq!(
        failure.note.as_deref(),
        Some("it is dir/b by now: the edits must name it so")
    );
    bench.turn(vec![replace("dir/b", 1, "two\n", "zwei\n")]);
    assert_eq!(
        bench.contents(),
        texts([("a", None), ("dir/b", Some("1\nzwei\n3\n"))])
    );
    assert_eq!(bench.change("dir/b").moved_from.as_deref(), Some("a"));
    // On, and back.
    bench.turn(vec![rename("dir/b", 1, "c")]);
    assert_eq!(
        shape(&bench),
        of([("a", None, false), ("c", Some("a"), true)])
    );
    bench.turn(vec![rename("c", 1, "a")]);
    assert_eq!(bench.contents(), texts([("a", Some("1\nzwei\n3\n"))]));
    assert_eq!(bench.change("a").moved_from, None);
}

#[test]
fn names_are_exchanged_and_passed_on_in_one_reply() {
    let bench = Bench::new(&[("a", "A\n"), ("b", "B\n"), ("c", "C\n")]);
    bench.turn(vec![rename("a", 1, "b"), rename("b", 2, "a")]);
    assert_eq!(
        bench.contents(),
        texts([("a", Some("B\n")), ("b", Some("A\n"))])
    );
    let expected = of([("a", Some("b"), true), ("b", Some("a"), true)]);
    assert_eq!(shape(&bench), expected);
    bench.turn(vec![rename("a", 1, "b"), rename("b", 2, "a")]);
    assert_eq!(bench.contents(), texts([]));
    // a to b, b to c, c to d, each way round in the reply.
    for lines in [[1, 2, 3], [3, 2, 1]] {
        let bench = Bench::new(&[("a", "A\n"), ("b", "B\n"), ("c", "C\n")]);
        bench.turn(vec![
            rename("a", lines[0], "b"),
            rename("b", lines[1], "c"),
            rename("c", lines[2], "d"),
        ]);
        assert_eq!(
            bench.contents(),
            texts([
                ("a", None),
                ("b", Some("A\n")),
                ("c", Some("B\n")),
                ("d", Some("C\n"))
            ])
        );
    }
}

#[test]
fn a_move_takes_the_place_of_a_file_that_is_there() {
    let bench = Bench::new(&[("a", "A\n"), ("b", "B\n")]);
    let turned = bench.turn(vec![rename("a", 1, "b")]);
    assert!(turned.built[0].overwrites);
    let b = bench.change("b");
    assert_eq!(bench.blob(&b.base_blob.unwrap()), "B\n");
    assert_eq!((b.added, b.removed), (1, 1));
    // Deleted first, it is no surprise.
    let bench = Bench::new(&[("a", "A\n"), ("b", "B\n")]);
    let turned = bench.turn(vec![delete("b", 1), rename("a", 2, "b")]);
    assert!(turned.built.iter().all(|file| !file.overwrites));
    assert_eq!(bench.contents(), texts([("a", None), ("b", Some("A\n"))]));
}

#[test]
fn edits_of_a_file_that_gets_its_name_in_the_reply_are_built_on_it() {
    let bench = Bench::new(&[("a", "A\nx\n")]);
    let turned = bench.turn(vec![rename("a", 1, "b"), replace("b", 2, "x\n", "y\n")]);
    assert_eq!(turned.failed, []);
    assert_eq!(
        bench.contents(),
        texts([("a", None), ("b", Some("A\ny\n"))])
    );
    assert_eq!(bench.change("b").moved_from.as_deref(), Some("a"));
}

#[test]
fn two_files_of_one_name_are_neither() {
    for edits in [
        vec![rename("a", 1, "x"), rename("b", 2, "x")],
        vec![rename("a", 1, "b"), whole("b", 2, "other\n")],
        vec![whole("b", 1, "other\n"), rename("a", 2, "b")],
        // Whichever is meant, one of them is lost.
        vec![rename("a", 1, "b"), delete("b", 2)],
        // Nothing makes room.
        vec![
            rename("a", 1, "b"),
            rename("b", 2, "c"),
            replace("b", 3, "no\n", "n\n"),
        ],
    ] {
        let bench = Bench::new(&[("a", "A\n"), ("b", "B\n")]);
        let turned = bench.turn(edits.clone());
        assert_eq!(turned.failed.len(), 2, "{edits:?}");
        let reasons = turned.failed.iter().map(|file| file.failures[0].reason);
        assert!(
            reasons.into_iter().any(|reason| reason == Reason::Overlap),
            "{edits:?}"
        );
        assert_eq!(bench.contents(), texts([]), "{edits:?}");
    }
}

#[test]
fn a_name_that_may_not_be_fails_the_whole_file() {
    let bench = Bench::new(&[("a", "A\n"), ("d/x", "X\n")]);
    for (to, reason) in [
        ("../a", Reason::UnsafePath),
        ("/etc/passwd", Reason::UnsafePath),
        (".git/config", Reason::UnsafePath),
        ("d", Reason::UnsafePath),
        ("D/y", Reason::CaseTwin),
        ("A", Reason::CaseTwin),
    ] {
        let turned = bench.turn(vec![replace("a", 1, "A\n", "B\n"), rename("a", 2, to)]);
        let [failed] = turned.failed.as_slice() else {
            panic!("{to}: {:?}", turned.failed)
        };
        assert_eq!(
            (failed.path.as_str(), failed.failures[0].reason),
            ("a", reason),
            "{to}"
        );
        assert_eq!(bench.contents(), texts([]), "{to}");
    }
    let missing = bench.turn(vec![rename("nothing", 1, "b")]);
    assert_eq!(missing.failed[0].failures[0].reason, Reason::FileMissing);
}

#[test]
fn the_other_side_of_a_move_follows() {
    // What was moved is deleted: only the deletion is left, with its lines.
    let bench = Bench::new(&[("a", "1\n2\n")]);
    bench.turn(vec![rename("a", 1, "b")]);
    bench.turn(vec![delete("b", 1)]);
    assert_eq!(shape(&bench), of([("a", None, false)]));
    assert_eq!(bench.change("a").removed, 2);
    // The old name is taken again: the moved file is a new one, a program as it was.
    let bench = Bench::new(&[("a", "1\n2\n")]);
    bench.chmod("a", 0o755);
    assert!(is_program(&bench.path("a")));
    bench.turn(vec![rename("a", 1, "b")]);
    bench.turn(vec![whole("a", 1, "other\n")]);
    assert_eq!(shape(&bench), of([("a", None, true), ("b", None, true)]));
    assert_eq!(bench.change("b").executable, Some(true));
    assert_eq!(bench.change("b").added, 2);
    // A file that only the plan has leaves nothing behind.
    let bench = Bench::new(&[]);
    bench.turn(vec![whole("new", 1, "n\n")]);
    bench.turn(vec![rename("new", 1, "newer")]);
    assert_eq!(shape(&bench), of([("newer", None, true)]));
}
