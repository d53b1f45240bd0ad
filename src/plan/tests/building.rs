//! Files of one reply and of several, composed.

use super::*;
use crate::plan::Op;
use crate::plan::edits::Reason;

#[test]
fn files_are_told_of_in_the_order_of_their_names() {
    let bench = Bench::new(&[("b", "old\n")]);
    let mut edits: Vec<Edit> = (0..40)
        .rev()
        .map(|number| whole(&format!("f{number:02}"), number, "new\n"))
        .collect();
    edits.push(replace("b", 50, "nothing like it\n", "x\n"));
    edits.push(whole("same", 51, "new\n"));
    let turned = bench.turn(edits);
    let mut expected = vec![(FileStatus::Failed, "b".to_owned())];
    expected.extend((0..40).map(|number| (FileStatus::Built, format!("f{number:02}"))));
    expected.push((FileStatus::Built, "same".to_owned()));
    assert_eq!(turned.events, expected);
    assert_eq!(bench.pending().len(), 41);
}

#[test]
fn each_turn_builds_on_the_one_before() {
    let bench = Bench::new(&[("a", "1\n2\n3\n")]);
    bench.turn(vec![replace("a", 1, "2\n", "two\n")]);
    let first = bench.change("a");
    assert_eq!((first.added, first.removed), (1, 1));
    bench.turn(vec![
        replace("a", 1, "two\n", "TWO\n"),
        replace("a", 2, "3\n", "3\n4\n"),
    ]);
    let change = bench.change("a");
    assert_eq!(bench.contents(), texts([("a", Some("1\nTWO\n3\n4\n"))]));
    // Against the file, not one turn's counts and the next one's.
    assert_eq!((change.added, change.removed), (2, 1));
    assert_eq!(change.base_hash, first.base_hash);
    assert_eq!(bench.blob(&change.base_blob.clone().unwrap()), "1\n2\n3\n");
    let files = bench.version_files("pending");
    let names: Vec<&str> = files
        .iter()
        .filter_map(|file| file.rsplit('/').next())
        .collect();
    assert_eq!(names, ["about.json", "base", "content"]);
    assert!(files.iter().all(|file| file.contains(&change.id)));
}

#[test]
fn replies_of_one_run_build_on_each_other() {
    let bench = Bench::new(&[("a", "1\n")]);
    let turned = bench.turns(vec![
        vec![replace("a", 1, "1\n", "2\n")],
        vec![replace("a", 1, "2\n", "3\n"), replace("a", 2, "9\n", "9\n")],
        vec![replace("a", 1, "2\n", "4\n")],
    ]);
    assert_eq!(turned.failed.len(), 1);
    assert_eq!(bench.contents(), texts([("a", Some("4\n"))]));
}

#[test]
fn what_comes_to_nothing_is_pending_no_more() {
    let bench = Bench::new(&[("a", "1\n"), ("b", "x\n")]);
    bench.turn(vec![
        whole("a", 1, "2\n"),
        whole("new", 2, "n\n"),
        delete("b", 3),
    ]);
    assert_eq!(bench.pending().len(), 3);
    let turned = bench.turn(vec![
        whole("a", 1, "1\n"),
        delete("new", 2),
        whole("b", 3, "x\n"),
    ]);
    let ops: Vec<Op> = turned.built.iter().map(|file| file.op).collect();
    assert_eq!(ops, [Op::Undone, Op::Undone, Op::Undone]);
    assert_eq!(bench.contents(), texts([]));
    assert_eq!(bench.version_files("pending"), [""; 0]);
}

#[test]
fn a_file_that_is_made_and_deleted_in_one_reply_is_nothing() {
    let bench = Bench::new(&[]);
    let turned = bench.turn(vec![whole("new", 1, "n\n"), delete("new", 2)]);
    assert_eq!(turned.events, [(FileStatus::Unchanged, "new".to_owned())]);
    assert_eq!(bench.contents(), texts([]));
}

#[test]
fn what_was_deleted_can_be_made_anew_and_edited() {
    let bench = Bench::new(&[("a", "1\n2\n")]);
    bench.turn(vec![delete("a", 1)]);
    let gone = bench.turn(vec![replace("a", 1, "1\n", "x\n")]);
    assert_eq!(gone.failed[0].failures[0].reason, Reason::FileMissing);
    bench.turn(vec![whole("a", 1, "3\n")]);
    bench.turn(vec![replace("a", 1, "3\n", "4\n")]);
    let change = bench.change("a");
    assert_eq!(bench.contents(), texts([("a", Some("4\n"))]));
    assert_eq!((change.added, change.removed), (1, 2));
    assert!(change.base_hash.is_some());
}

#[test]
fn a_mode_alone_is_a_change_and_ends_with_its_opposite() {
    let bench = Bench::new(&[("a", "1\n"), ("tool", "2\n")]);
    bench.chmod("tool", 0o755);
    let turned = bench.turn(vec![
        mode("a", 1, true),
        mode("tool", 2, true),
        whole("new", 3, "n\n"),
        mode("new", 4, true),
    ]);
    let ops: Vec<(&str, Op, bool)> = turned
        .built
        .iter()
        .map(|file| (file.path.as_str(), file.op, file.auto_run))
        .collect();
    let expected = [
        ("a", Op::Update, true),
        ("new", Op::Add, true),
        ("tool", Op::Unchanged, false),
    ];
    assert_eq!(ops, expected);
    assert_eq!(bench.change("a").executable, Some(true));
    assert_eq!(bench.change("new").executable, Some(true));
    // An edit of the text leaves the mode that is pending.
    bench.turn(vec![whole("a", 1, "x\n")]);
    assert_eq!(bench.change("a").executable, Some(true));
    bench.turn(vec![whole("a", 1, "1\n"), mode("a", 2, false)]);
    assert_eq!(bench.contents(), texts([("new", Some("n\n"))]));
}

#[test]
fn names_that_differ_only_by_case_are_refused() {
    let bench = Bench::new(&[("Src/main.rs", "1\n"), ("straße", "2\n")]);
    let turned = bench.turn(vec![
        whole("src/other.rs", 1, "x\n"),
        whole("Src/MAIN.rs", 2, "x\n"),
        whole("STRASSE", 3, "x\n"),
        whole("new/a", 4, "x\n"),
        whole("NEW/b", 5, "x\n"),
        whole("Src/other.rs", 6, "x\n"),
    ]);
    let refused: Vec<(&str, Reason, &str)> = turned
        .failed
        .iter()
        .map(|file| {
            let failure = &file.failures[0];
            (
                file.path.as_str(),
                failure.reason,
                failure.note.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        refused,
        [
            ("STRASSE", Reason::CaseTwin, "the other one is straße"),
            (
                "Src/MAIN.rs",
                Reason::CaseTwin,
                "the other one is Src/main.rs"
            ),
            ("new/a", Reason::CaseTwin, "the other one is NEW"),
            ("src/other.rs", Reason::CaseTwin, "the other one is Src"),
        ]
    );
    // Of two that are new the first one is.
    let paths: Vec<String> = bench.contents().into_keys().collect();
    assert_eq!(paths, ["NEW/b", "Src/other.rs"]);
    let later = bench.turn(vec![
        whole("src/later.rs", 1, "x\n"),
        whole("nEW", 2, "x\n"),
    ]);
    assert_eq!(later.failed.len(), 2);
}

#[test]
fn nothing_is_below_a_file() {
    let bench = Bench::new(&[("there", "1\n")]);
    let turned = bench.turn(vec![
        whole("a", 1, "x\n"),
        whole("a/b", 2, "x\n"),
        whole("there/b", 3, "x\n"),
    ]);
    let refused: Vec<&str> = turned
        .failed
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(refused, ["a/b", "there/b"]);
    assert_eq!(bench.contents(), texts([("a", Some("x\n"))]));
    let above = bench.turns(vec![
        vec![whole("d/e", 1, "x\n")],
        vec![whole("d", 1, "x\n")],
    ]);
    assert_eq!(above.failed[0].path, "d");
}
