//! Hunks of patches and diffs: where they go, and when they are refused.

use super::build::edit;
use crate::plan::edits::{
    BuildWarning, Built, Edit, EditBody, EditFailure, Format, Hunk, Reason, Tier, build_file,
};

fn hunk(rows: &str) -> Hunk {
    let side = |sign: char| -> String {
        let rows = rows.lines().filter(|row| !row.starts_with(sign));
        rows.map(|row| format!("{}\n", row.get(1..).unwrap_or_default()))
            .collect()
    };
    Hunk {
        old: side('+'),
        new: side('-'),
        ..Hunk::default()
    }
}

fn diff(hunk: Hunk) -> Edit {
    edit(Format::UnifiedDiff, EditBody::Hunk(hunk))
}

fn patch(hunk: Hunk) -> Edit {
    edit(Format::ApplyPatch, EditBody::Hunk(hunk))
}

fn build(base: &str, edits: &[Edit]) -> Result<Built, Vec<EditFailure>> {
    build_file("src/a.rs", Some(base.as_bytes()), edits)
}

#[track_caller]
fn check(base: &str, edits: &[Edit], expect: &str) -> Tier {
    let built = build(base, edits).unwrap();
    assert_eq!(String::from_utf8(built.content.unwrap()).unwrap(), expect);
    built.tier
}

#[track_caller]
fn fails(base: &str, edits: &[Edit], expect: Reason) -> EditFailure {
    let mut failures = build(base, edits).unwrap_err();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].reason, expect, "{failures:?}");
    failures.remove(0)
}

fn anchored(rows: &str, anchors: &[&str]) -> Hunk {
    Hunk {
        anchors: anchors.iter().map(|anchor| (*anchor).to_owned()).collect(),
        ..hunk(rows)
    }
}

fn numbered(rows: &str, line: usize) -> Hunk {
    Hunk {
        line: Some(line),
        ..hunk(rows)
    }
}

#[test]
fn a_hunk_goes_where_its_old_lines_are() {
    let base = "one\ntwo\nthree\nfour\n";
    let tier = check(
        base,
        &[diff(hunk(" two\n-three\n+3\n four\n"))],
        "one\ntwo\n3\nfour\n",
    );
    assert_eq!(tier, Tier::Exact);
    check(
        base,
        &[diff(numbered(" two\n+2.5\n three\n", 900))],
        "one\ntwo\n2.5\nthree\nfour\n",
    );
    fails(base, &[diff(numbered("-five\n+5\n", 2))], Reason::NotFound);
}

#[test]
fn anchors_choose_among_equal_places() {
    let base = "fn a() {\n    run();\n}\n\nfn b() {\n    run();\n}\n\nfn c() {\n    run();\n}\n";
    let rows = "-    run();\n+    stop();\n";
    fails(base, &[patch(hunk(rows))], Reason::Ambiguous);
    let b = base
        .replacen("run", "RUN", 1)
        .replacen("run", "stop", 1)
        .replace("RUN", "run");
    check(base, &[patch(anchored(rows, &["fn b() {"]))], &b);
    // A part of the line will do, but not of a word.
    check(base, &[patch(anchored(rows, &["fn b"]))], &b);
    fails(base, &[patch(anchored(rows, &["f"]))], Reason::Ambiguous);
    fails(
        base,
        &[patch(anchored(rows, &["fn z() {"]))],
        Reason::Ambiguous,
    );
    // An anchor with no such place below it contradicts them all.
    fails(
        "run();\nrun();\nfn a\n",
        &[patch(anchored("-run();\n+x\n", &["fn a"]))],
        Reason::Ambiguous,
    );
    // The only place counts, whatever the anchors say.
    check(
        "x = 1\nfn a\n",
        &[patch(anchored("-x = 1\n+x = 2\n", &["fn a"]))],
        "x = 2\nfn a\n",
    );
}

#[test]
fn stacked_anchors_narrow_in_order() {
    let base = "class A:\n  def run(self):\n    pass\n  def stop(self):\n    pass\n\
                class B:\n  def run(self):\n    pass\n  def stop(self):\n    pass\n";
    let rows = "-    pass\n+    go()\n";
    let lines: Vec<&str> = base.lines().collect();
    let expect = |at: usize| -> String {
        let lines = lines.iter().enumerate();
        lines
            .map(|(index, line)| {
                if index == at {
                    "    go()\n".to_owned()
                } else {
                    format!("{line}\n")
                }
            })
            .collect()
    };
    check(
        base,
        &[patch(anchored(rows, &["class B:", "def run(self):"]))],
        &expect(7),
    );
    check(
        base,
        &[patch(anchored(rows, &["class A:", "def stop(self):"]))],
        &expect(4),
    );
    fails(
        base,
        &[patch(anchored(rows, &["def run(self):"]))],
        Reason::Ambiguous,
    );
}

#[test]
fn a_hunk_comes_behind_the_one_before() {
    let base = "a1\nx\nb1\nx\n";
    let edits = [diff(hunk("-b1\n+b2\n")), diff(hunk("-x\n+y\n"))];
    check(base, &edits, "a1\nx\nb2\ny\n");
}

#[test]
fn numbers_choose_only_where_they_cannot_mean_another_place() {
    let base = |gap: usize| format!("x\n{}x\n{}x\n", "-\n".repeat(gap), "-\n".repeat(200));
    let near = base(9);
    let built = |base: &str, line: usize| build(base, &[diff(numbered("-x\n+y\n", line))]);
    let at = |built: Built| {
        let text = String::from_utf8(built.content.unwrap()).unwrap();
        text.lines().position(|line| line == "y").unwrap() + 1
    };
    // To the line: right.
    assert_eq!(at(built(&near, 11).unwrap()), 11);
    // Some lines off, and another place is not far.
    assert_eq!(built(&near, 10).unwrap_err()[0].reason, Reason::Ambiguous);
    // Some lines off, and no other place is near.
    assert_eq!(at(built(&near, 230).unwrap()), 212);
    assert!(built(&near, 300).is_err());
    // What models write that do not count.
    assert!(built(&near, 1).is_err());
    assert!(built(&near, 0).is_err());
}

#[test]
fn numbers_follow_what_earlier_hunks_added_and_their_error() {
    let base = "start\nx\nmid\nx\nend\nx\n";
    let first = |line| numbered(" start\n+1\n+2\n+3\n", line);
    // In the old file's numbers, line 4 is the second x.
    check(
        base,
        &[diff(first(1)), diff(numbered("-x\n+y\n", 4))],
        "start\n1\n2\n3\nx\nmid\ny\nend\nx\n",
    );
    // All numbers are 7 too high: the model saw another file.
    check(
        base,
        &[diff(first(8)), diff(numbered("-x\n+y\n", 11))],
        "start\n1\n2\n3\nx\nmid\ny\nend\nx\n",
    );
    fails(
        base,
        &[diff(first(8)), diff(numbered("-x\n+y\n", 12))],
        Reason::Ambiguous,
    );
}

#[test]
fn outer_context_is_left_out_as_a_last_resort() {
    let base = "a\nb\nold line of text\nc\nd\n";
    let expect = "a\nb\nnew\nc\nd\n";
    let tier = check(
        base,
        &[diff(hunk(" stale\n b\n-old line of text\n+new\n c\n d\n"))],
        expect,
    );
    assert_eq!(tier, Tier::LessContext);
    // Enough is removed to know the place without any context.
    check(
        base,
        &[diff(hunk(" stale\n-old line of text\n+new\n other\n"))],
        expect,
    );
    fails(
        "a\nb\nold\nc\n",
        &[diff(hunk(" stale\n-old\n+new\n other\n"))],
        Reason::NotFound,
    );
    // What is left must say something.
    fails(
        "{\nold\n}\n",
        &[diff(hunk(" stale\n {\n+new\n other\n"))],
        Reason::NotFound,
    );
    // And be the only such place.
    let twice = format!("{base}{base}");
    fails(
        &twice,
        &[diff(hunk(" stale\n b\n-old line of text\n+new\n"))],
        Reason::Ambiguous,
    );
    // A search/replace block has no context that could be left out.
    let block = super::build::replace("stale\nb\nold line of text\n", "stale\nb\nnew\n");
    fails(base, &[block], Reason::NotFound);
}

#[test]
fn a_number_is_that_of_the_first_line_whatever_is_left_out() {
    let number = |rows: &str, line| [diff(numbered(rows, line))];
    // The first two lines of three are meant by 4, of which the first is not there any more.
    let stale = " gone\n call()\n+new()\n call()\n";
    let base = "1\n2\n3\ncall()\ncall()\ncall()\n7\n";
    let expect = "1\n2\n3\ncall()\ncall()\nnew()\ncall()\n7\n";
    assert_eq!(check(base, &number(stale, 4), expect), Tier::LessContext);
    // Of a blank line that is not there, the same.
    let blank = " \n-call()\n+new()\n";
    let expect = "1\n2\n3\ncall()\nnew()\ncall()\n7\n";
    assert_eq!(check(base, &number(blank, 4), expect), Tier::BlankLines);
}

#[test]
fn a_number_does_not_choose_beside_another_place_that_it_may_mean() {
    let lines = |count: usize| "-\n".repeat(count);
    let base = format!("x\n{}x\n", lines(68));
    let edits = [diff(numbered("-x\n+y\n", 20))];
    fails(&base, &edits, Reason::Ambiguous);
    // Far from that one it does.
    let far = |x: &str| format!("{x}\n{}x\n", lines(150));
    check(&far("x"), &edits, &far("y"));
}

#[test]
fn the_last_lines_of_a_file_are_never_left_out() {
    let at_end = Hunk {
        is_at_end: true,
        ..hunk(" gone\n-old line of text\n+new\n last\n")
    };
    let base = "first\nold line of text\n";
    fails(base, &[patch(at_end)], Reason::NotFound);
}

#[test]
fn a_hunk_for_the_end_of_the_file_goes_there() {
    let end = |rows: &str| {
        patch(Hunk {
            is_at_end: true,
            ..hunk(rows)
        })
    };
    check("x\ny\nx\n", &[end("-x\n+z\n")], "x\ny\nz\n");
    check("x\ny\nx\n\n\n", &[end(" \n-x\n+z\n \n")], "x\ny\nz\n\n\n");
    fails("x\ny\n", &[end("-x\n+z\n")], Reason::NotFound);
    check("x\ny\n", &[end("+z\n")], "x\ny\nz\n");
}

#[test]
fn a_hunk_without_old_lines_is_not_put_by_its_number() {
    let failure = fails(
        "a\nb\nc\n",
        &[diff(numbered("+x\n", 2))],
        Reason::EmptySearch,
    );
    assert!(failure.note.unwrap().contains("line number"));
    // That the file is just what it adds does not say that it was added.
    fails("a\n", &[diff(numbered("+a\n", 2))], Reason::EmptySearch);
    fails(
        "a\n\nc\n",
        &[diff(numbered(" \n+x\n", 2))],
        Reason::EmptySearch,
    );
    // A diff's section heading only says what the place belongs to.
    fails(
        "fn a\nb\nc\n",
        &[diff(anchored("+x\n", &["fn a"]))],
        Reason::EmptySearch,
    );
    let built = build_file("a", None, &[diff(hunk("+x\n"))]).unwrap();
    assert_eq!(built.content.unwrap(), b"x\n");
    check("", &[diff(hunk("+x\n"))], "x\n");
}

#[test]
fn a_patch_adds_below_its_anchor_if_that_is_one_line() {
    check(
        "use a;\nuse b;\n",
        &[patch(anchored("+use c;\n", &["use a;"]))],
        "use a;\nuse c;\nuse b;\n",
    );
    fails(
        "use a;\nuse a;\n",
        &[patch(anchored("+x\n", &["use a;"]))],
        Reason::Ambiguous,
    );
    fails(
        "use a;\n",
        &[patch(anchored("+x\n", &["use b;"]))],
        Reason::NotFound,
    );
    fails(
        "use a::b;\n",
        &[patch(anchored("+x\n", &["use a"]))],
        Reason::EmptySearch,
    );
    let failure = fails(
        "fn a() {\n    b();\n}\n",
        &[patch(anchored("+x\n", &["fn a() {"]))],
        Reason::EmptySearch,
    );
    assert!(failure.note.unwrap().contains("heads a block"));
}

#[test]
fn a_hunk_that_is_there_is_not_put_again() {
    let base = "a\nnew line of text\nc\n\nother\nold line of text\nother\n";
    let built = build(
        base,
        &[diff(hunk(" a\n-old line of text\n+new line of text\n c\n"))],
    )
    .unwrap();
    // Without its context the old line would be found elsewhere.
    assert_eq!(built.content.unwrap(), base.as_bytes());
    let (edit, start, end) = (1, 1, 3);
    assert_eq!(
        built.warnings,
        [BuildWarning::AlreadyApplied { edit, start, end }]
    );
}

#[test]
fn the_last_line_end_is_as_the_hunk_says() {
    let ends = |final_newline| {
        diff(Hunk {
            final_newline: Some(final_newline),
            ..hunk(" a\n-b\n+c\n")
        })
    };
    check("a\nb\n", &[ends(false)], "a\nc");
    check("a\nb", &[ends(true)], "a\nc\n");
    check("a\nb\nd", &[ends(true)], "a\nc\nd");
    check("a\nb", &[diff(hunk("-b\n+c\n"))], "a\nc");
    // Patches have no words for a missing one.
    check("a\nb", &[patch(hunk("-a\n+c\n"))], "c\nb\n");
    // Nothing else may change.
    let same = Hunk {
        final_newline: Some(false),
        ..hunk(" a\n b\n")
    };
    check("a\nb\n", &[diff(same)], "a\nb");
}

#[test]
fn lines_between_changes_stay_as_the_file_has_them() {
    let base = b"a\r\nb \nc\r\nd \r\n";
    let edit = diff(hunk("-a\n+1\n b\n-c\n+3\n d\n"));
    let built = build_file("a", Some(base), &[edit]).unwrap();
    assert_eq!(built.content.unwrap(), b"1\r\nb \n3\r\nd \r\n");
}

#[test]
fn an_edit_of_what_an_earlier_one_changed_overlaps() {
    let edits = [diff(hunk(" a\n-b\n+x\n")), diff(hunk("-b\n-c\n+y\n"))];
    let failures = build("a\nb\nc\n", &edits).unwrap_err();
    assert_eq!((failures[0].edit, failures[0].reason), (2, Reason::Overlap));
    assert!(failures[0].note.as_deref().unwrap().contains("lines 2-3"));
    let block = super::build::replace("b\nc\n", "y\n");
    let failure = fails(
        "a\nb\nc\n",
        &[diff(hunk("-b\n+x\n")), block],
        Reason::Overlap,
    );
    assert_eq!(failure.edit, 2);
    // Lines that never were there are not found.
    fails(
        "a\nb\n",
        &[diff(hunk("-b\n+x\n")), diff(hunk("-z\n+y\n"))],
        Reason::NotFound,
    );
}

#[test]
fn text_that_stands_for_other_text_is_not_written_by_hunks() {
    for rows in ["-b\n+// ... existing code ...\n", " a\n+...\n b\n"] {
        fails("a\nb\n", &[diff(hunk(rows))], Reason::Elided);
    }
    let end = Hunk {
        is_at_end: true,
        ..hunk("+// ... existing code ...\n")
    };
    fails("a\n", &[patch(end)], Reason::Elided);
    let built = build_file("a", None, &[diff(hunk("+// ... rest of the file ...\n"))]);
    assert_eq!(built.unwrap_err()[0].reason, Reason::Elided);
}

#[test]
fn lines_that_a_diff_moved_are_not_its_next_hunks() {
    let base = "fn a() {\n}\n\nfn b() {\n    moved();\n}\n";
    let to_a = diff(hunk(" fn a() {\n+    moved();\n+}\n+\n+fn c() {\n }\n"));
    let expect = "fn a() {\n    moved();\n}\n\nfn c() {\n}\n\nfn b() {\n}\n";
    // Without a number nobody knows, whatever the anchor says.
    let rows = "-    moved();\n";
    let edits = [to_a.clone(), diff(anchored(rows, &["fn a() {"]))];
    fails(base, &edits, Reason::Ambiguous);
    check(base, &[to_a.clone(), diff(numbered(rows, 5))], expect);
    // What only an earlier hunk wrote may still be meant.
    let edits = [
        diff(hunk("-fn a() {\n+fn aa() {\n")),
        diff(hunk("-fn aa() {\n+fn aaa() {\n")),
    ];
    check(base, &edits, &base.replace("fn a()", "fn aaa()"));
}
