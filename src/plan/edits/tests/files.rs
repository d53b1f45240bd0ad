//! Edits of whole files: creation, removal, new names, modes; and files that are no text.

use super::build::{edit, replace, whole};
use crate::plan::edits::{
    BuildWarning, Edit, EditBody, EditFailure, Format, Hunk, Reason, build_file,
};

fn op(body: EditBody) -> Edit {
    edit(Format::UnifiedDiff, body)
}

fn create(content: &str) -> Edit {
    let content = content.to_owned();
    op(EditBody::Create { content })
}

fn delete(old: Option<&str>) -> Edit {
    let old = old.map(str::to_owned);
    op(EditBody::Delete { old })
}

fn move_to(to: &str) -> Edit {
    let to = to.to_owned();
    op(EditBody::Move { to })
}

#[track_caller]
fn fails(base: Option<&[u8]>, edits: &[Edit], expect: Reason) -> EditFailure {
    let mut failures = build_file("src/a.rs", base, edits).unwrap_err();
    assert_eq!(failures[0].reason, expect, "{failures:?}");
    failures.remove(0)
}

#[test]
fn a_file_is_created_where_there_is_none() {
    let built = build_file("a", None, &[create("x\n")]).unwrap();
    assert_eq!(built.content.unwrap(), b"x\n");
    fails(Some(b"y\n"), &[create("x\n")], Reason::FileExists);
    fails(Some(b"\0"), &[create("x\n")], Reason::FileExists);
    fails(Some(b""), &[create("x\n")], Reason::FileExists);
    let built = build_file("a", Some(b"x\r\ny"), &[create("x\ny\n")]).unwrap();
    assert_eq!(built.content.unwrap(), b"x\r\ny");
    let (edit, start, end) = (1, 1, 2);
    assert_eq!(
        built.warnings,
        [BuildWarning::AlreadyApplied { edit, start, end }]
    );
    fails(
        None,
        &[create("// ... existing code ...\n")],
        Reason::Elided,
    );
}

#[test]
fn only_the_file_that_is_meant_is_deleted() {
    let gone = |base: &[u8], old: Option<&str>| {
        build_file("a", Some(base), &[delete(old)]).unwrap().content
    };
    assert_eq!(gone(b"a\nb\n", None), None);
    assert_eq!(gone(b"a\r\nb", Some("a\nb\n")), None);
    assert_eq!(gone(b"\0", None), None);
    assert_eq!(gone(b"", Some("")), None);
    let failure = fails(Some(b"a\nb\n"), &[delete(Some("a\nc\n"))], Reason::NotFound);
    assert_eq!(failure.searched_lines, ["c"]);
    assert!(failure.note.unwrap().contains("line 2"));
    fails(Some(b"a\nb\n"), &[delete(Some("a\n"))], Reason::NotFound);
    fails(Some(b"a\n"), &[delete(Some("a\nb\n"))], Reason::NotFound);
    fails(Some(b"\0"), &[delete(Some("a\n"))], Reason::Binary);
    fails(None, &[delete(None)], Reason::FileMissing);
    // What goes can come again.
    let built = build_file("a", Some(b"a\n"), &[delete(None), create("b\n")]).unwrap();
    assert_eq!(built.content.unwrap(), b"b\n");
}

#[test]
fn a_file_moves_with_what_its_edits_make_of_it() {
    let built = build_file(
        "a",
        Some(b"x\ny\n"),
        &[replace("x\n", "z\n"), move_to("b/c")],
    )
    .unwrap();
    assert_eq!(built.content.unwrap(), b"z\ny\n");
    assert_eq!(built.moved_to.as_deref(), Some("b/c"));
    let built = build_file("a", Some(b"\0\xff"), &[move_to("b")]).unwrap();
    assert_eq!(
        (built.content.unwrap(), built.moved_to.as_deref()),
        (b"\0\xff".to_vec(), Some("b"))
    );
    fails(None, &[move_to("b")], Reason::FileMissing);
    let failure = fails(Some(b"a\n"), &[move_to("../b")], Reason::UnsafePath);
    assert!(failure.note.unwrap().starts_with("to ../b:"));
    fails(Some(b"a\n"), &[move_to("b"), move_to("c")], Reason::Overlap);
    fails(Some(b"a\n"), &[move_to("b"), delete(None)], Reason::Overlap);
}

#[test]
fn a_mode_changes_without_the_text() {
    let executable = op(EditBody::Executable { executable: true });
    let built = build_file("a", Some(b"\0"), std::slice::from_ref(&executable)).unwrap();
    assert_eq!(
        (built.content.unwrap(), built.executable),
        (b"\0".to_vec(), Some(true))
    );
    let built = build_file(
        "a",
        Some(b"x\n"),
        &[replace("x\n", "y\n"), executable.clone()],
    )
    .unwrap();
    assert_eq!(
        (built.content.unwrap(), built.executable),
        (b"y\n".to_vec(), Some(true))
    );
    fails(None, &[executable], Reason::FileMissing);
}

#[test]
fn utf_16_is_told_from_other_bytes() {
    let little: Vec<u8> = "a line\r\nb\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xff\xfe", little.as_slice()].concat();
    let hunk = op(EditBody::Hunk(Hunk {
        old: "b\n".to_owned(),
        new: "c\n".to_owned(),
        ..Hunk::default()
    }));
    let segments = edit(
        Format::PlandexBlock,
        EditBody::Segments {
            content: "b\n// ...\n".to_owned(),
        },
    );
    for base in [&little, &marked] {
        for edit in [replace("b\n", "c\n"), hunk.clone(), segments.clone()] {
            let failure = fails(Some(base), &[edit], Reason::Binary);
            assert!(failure.note.unwrap().contains("UTF-16"));
        }
    }
    for base in [
        &b"a\0b\n"[..],
        b"\0\0\0\0\0\0",
        b"caf\xe9\n",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
    ] {
        assert_eq!(
            fails(Some(base), &[replace("b\n", "c\n")], Reason::Binary).note,
            None
        );
    }
}

#[test]
fn utf_16_stays_utf_16_when_it_is_written_anew() {
    type Order = fn(u16) -> [u8; 2];
    let of =
        |text: &str, order: Order| -> Vec<u8> { text.encode_utf16().flat_map(order).collect() };
    for order in [u16::to_le_bytes as Order, u16::to_be_bytes] {
        for mark in ["", "\u{feff}"] {
            let base = of(&format!("{mark}a line\r\nb\r\n"), order);
            let edits = [whole("gr\u{fc}n \u{1f600}\nc\n"), replace("c\n", "d\n")];
            let built = build_file("a", Some(&base), &edits).unwrap();
            let expect = of(&format!("{mark}gr\u{fc}n \u{1f600}\r\nd\r\n"), order);
            assert_eq!(built.content.unwrap(), expect);
            // Lines left out of such a file are nowhere to be taken from.
            let elided = whole("x\n// ... existing code ...\n");
            fails(Some(&base), &[elided], Reason::Elided);
        }
    }
    // Half a character, or half of a pair, is no text of any kind.
    for base in [&b"\xff\xfea\0b"[..], b"\xff\xfe\0\xd8a\0"] {
        let built = build_file("a", Some(base), &[whole("x\n")]).unwrap();
        assert_eq!(built.content.unwrap(), b"x\n");
    }
}

#[test]
fn a_patch_that_adds_a_file_gives_it_a_last_newline() {
    let add = |format| Edit {
        format,
        ..whole("x\ny\n")
    };
    for (format, expect) in [
        (Format::ApplyPatch, "x\r\ny\r\n"),
        (Format::WholeFile, "x\r\ny"),
    ] {
        let built = build_file("a", Some(b"1\r\n2\r\n3"), &[add(format)]).unwrap();
        assert_eq!(built.content.unwrap(), expect.as_bytes(), "{format:?}");
    }
}
