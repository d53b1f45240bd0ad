use crate::plan::edits::{
    BuildWarning, Built, Edit, EditBody, EditFailure, Format, LineCount, Reason, Tier, build_file,
};

pub(super) fn replace(search: &str, replace: &str) -> Edit {
    let body = EditBody::Replace {
        search: search.to_owned(),
        replace: replace.to_owned(),
    };
    edit(Format::SearchReplace, body)
}

pub(super) fn whole(content: &str) -> Edit {
    edit(
        Format::WholeFile,
        EditBody::Whole {
            content: content.to_owned(),
        },
    )
}

pub(super) fn edit(format: Format, body: EditBody) -> Edit {
    Edit {
        path: "src/a.rs".to_owned(),
        format,
        line: 1,
        body,
        other_readings: Vec::new(),
    }
}

pub(super) fn build(base: &str, edits: &[Edit]) -> Result<Built, Vec<EditFailure>> {
    build_file("src/a.rs", Some(base.as_bytes()), edits)
}

/// The built text, or the reasons of all failures.
fn outcome(base: Option<&str>, edits: &[Edit]) -> Result<String, Vec<(usize, Reason)>> {
    match build_file("src/a.rs", base.map(str::as_bytes), edits) {
        Ok(built) => Ok(String::from_utf8(built.content.unwrap()).unwrap()),
        Err(failures) => {
            assert!(failures.iter().all(|failure| failure.of == edits.len()));
            Err(failures
                .iter()
                .map(|failure| (failure.edit, failure.reason))
                .collect())
        }
    }
}

fn check(base: &str, edits: &[Edit], expect: &str) {
    assert_eq!(
        outcome(Some(base), edits).as_deref(),
        Ok(expect),
        "{edits:?}"
    );
}

pub(super) fn check_fails(base: &str, edits: &[Edit], expect: &[(usize, Reason)]) {
    assert_eq!(
        outcome(Some(base), edits),
        Err(expect.to_vec()),
        "{edits:?}"
    );
}

#[test]
fn edits_are_applied_in_order() {
    check("a\nb\nc\n", &[replace("b\n", "x\ny\n")], "a\nx\ny\nc\n");
    check("a\nb\nc\n", &[replace("b\n", "")], "a\nc\n");
    check(
        "a\nb\n",
        &[replace("a\n", "b2\n"), replace("b2\n", "c\n")],
        "c\nb\n",
    );
    check("a\n", &[whole("x\ny\n"), replace("y\n", "z\n")], "x\nz\n");
    check("a\n", &[replace("a\n", "b\n"), whole("x\n")], "x\n");
    check("a\n", &[whole("")], "");
    check("a\n", &[whole("\n")], "\n");
}

#[test]
fn of_several_places_the_one_behind_the_last_edit_counts() {
    let base = "f()\nx\ng()\nx\n";
    check(
        base,
        &[replace("g()\n", "h()\n"), replace("x\n", "y\n")],
        "f()\nx\nh()\ny\n",
    );
    check_fails(base, &[replace("x\n", "y\n")], &[(1, Reason::Ambiguous)]);
    check_fails(
        base,
        &[replace("f()\n", "h()\n"), replace("x\n", "y\n")],
        &[(2, Reason::Ambiguous)],
    );
    // Both places in turn: the first edit makes the second one's place the only one left.
    check_fails(
        base,
        &[replace("x\n", "y\n"), replace("x\n", "y\n")],
        &[(1, Reason::Ambiguous), (2, Reason::Ambiguous)],
    );
}

#[test]
fn every_failure_is_reported_and_good_edits_count_for_later_ones() {
    let edits = [
        replace("a\n", "first\n"),
        replace("missing\n", "x\n"),
        replace("first\n", "second\n"),
        replace("gone\n", "x\n"),
    ];
    check_fails(
        "a\nb\n",
        &edits,
        &[(2, Reason::NotFound), (4, Reason::NotFound)],
    );
}

#[test]
fn new_files() {
    assert_eq!(outcome(None, &[whole("a\n")]).as_deref(), Ok("a\n"));
    assert_eq!(outcome(None, &[whole("")]).as_deref(), Ok(""));
    assert_eq!(
        outcome(None, &[replace("", "a\nb\n")]).as_deref(),
        Ok("a\nb\n")
    );
    assert_eq!(outcome(None, &[replace("\n", "a\n")]).as_deref(), Ok("a\n"));
    let both = [replace("", "a\nb\n"), replace("b\n", "c\n")];
    assert_eq!(outcome(None, &both).as_deref(), Ok("a\nc\n"));
    assert_eq!(
        outcome(None, &[replace("a\n", "b\n")]),
        Err(vec![(1, Reason::FileMissing)])
    );
}

#[test]
fn an_empty_search_fills_only_an_empty_file() {
    check("", &[replace("", "a\n")], "a\n");
    check("\u{feff}", &[replace("", "a\n")], "\u{feff}a\n");
    check_fails("a\n", &[replace("", "b\n")], &[(1, Reason::EmptySearch)]);
    check_fails(
        "a\n\nb\n",
        &[replace("\n", "c\n")],
        &[(1, Reason::EmptySearch)],
    );
    check_fails("\n", &[replace("", "b\n")], &[(1, Reason::EmptySearch)]);
}

#[test]
fn line_ends_marks_and_last_lines_stay() {
    check("a\r\nb\r\n", &[replace("b\n", "c\nd\n")], "a\r\nc\r\nd\r\n");
    check("a\r\nb", &[replace("b\n", "c\nd\n")], "a\r\nc\r\nd");
    check("a\nb", &[replace("a\n", "x\n")], "x\nb");
    check("a\nb", &[replace("b\n", "")], "a");
    check(
        "\u{feff}a\r\nb\r\n",
        &[replace("a\n", "c\n")],
        "\u{feff}c\r\nb\r\n",
    );
    check(
        "a\r\nb\r\nc\n",
        &[replace("a\nb\nc\n", "a\nx\nc\n")],
        "a\r\nx\r\nc\n",
    );
    check("a\r\nb\r\n", &[whole("x\ny\n")], "x\r\ny\r\n");
    check("\u{feff}a\r\nb", &[whole("x\ny\n")], "\u{feff}x\r\ny");
    check("a", &[whole("x\n")], "x");
    check("\u{feff}a\n", &[whole("\u{feff}x\n")], "\u{feff}x\n");
    check("a\n", &[whole("\u{feff}x\n")], "x\n");
    check("", &[whole("x\n")], "x\n");
}

#[test]
fn a_shift_moves_the_replacement_too() {
    check(
        "fn a() {\n    if b {\n        c();\n    }\n}\n",
        &[replace(
            "if b {\n    c();\n}\n",
            "if b {\n    d();\n\n    e();\n}\n",
        )],
        "fn a() {\n    if b {\n        d();\n\n        e();\n    }\n}\n",
    );
    check(
        "\ta\n\t\tb\n",
        &[replace("a\n\tb\n", "a\n\t\tc\n")],
        "\ta\n\t\t\tc\n",
    );
    check(
        "a\n  b\n",
        &[replace("    a\n      b\n", "    x\n\n      y\n")],
        "x\n\n  y\n",
    );
    check_fails(
        "a\n  b\n",
        &[replace("    a\n      b\n", "x\n")],
        &[(1, Reason::NotFound)],
    );
}

#[test]
fn ignored_blank_lines_are_ignored_in_the_replacement_too() {
    check("a\nb\nc\n", &[replace("\nb\n\n", "\nx\n\n")], "a\nx\nc\n");
    check("a\nb\nc\n", &[replace("\nb\n", "x\n")], "a\nx\nc\n");
    check("a\nb\nc\n", &[replace("\nb\n", "\n\nx\n")], "a\n\nx\nc\n");
    check("a\n\nb\nc\n", &[replace("\nb\n", "x\n")], "a\nx\nc\n");
}

#[test]
fn lines_that_do_not_change_keep_their_text() {
    check("a \nb\n", &[replace("a\nb\n", "a\nx\n")], "a \nx\n");
    check(
        "// “q”\nb\n",
        &[replace("// \"q\"\nb\n", "// \"q\"\nx\n")],
        "// “q”\nx\n",
    );
    check(
        "say(“hi”)\n",
        &[replace("say(\"hi\")\n", "say(\"ho\")\n")],
        "say(\"ho\")\n",
    );
}

#[test]
fn the_loosest_tier_is_told() {
    let tier = |edits: &[Edit]| build("a\n  b\nc \n“d”\n", edits).unwrap().tier;
    assert_eq!(tier(&[replace("a\n", "x\n")]), Tier::Exact);
    assert_eq!(tier(&[replace("c\n", "x\n")]), Tier::TrailingSpace);
    assert_eq!(
        tier(&[replace("b\n", "x\n"), replace("a\n", "y\n")]),
        Tier::Indentation
    );
    assert_eq!(tier(&[replace("\na\n", "x\n")]), Tier::BlankLines);
    assert_eq!(tier(&[replace("\"d\"\n", "x\n")]), Tier::Typography);
    assert_eq!(tier(&[whole("x\n")]), Tier::Exact);
}

#[test]
fn paired_dots_keep_what_they_stand_for() {
    let base = "fn a() {\n    one();\n    two();\n    three();\n}\n";
    let build = |search: &str, with: &str| outcome(Some(base), &[replace(search, with)]);
    assert_eq!(
        build(
            "fn a() {\n...\n    three();\n",
            "fn b() {\n...\n    four();\n"
        )
        .as_deref(),
        Ok("fn b() {\n    one();\n    two();\n    four();\n}\n")
    );
    assert_eq!(
        build(
            "fn a() {\n    // ... existing code ...\n}\n",
            "fn c() {\n    // ...\n}\n"
        )
        .as_deref(),
        Ok("fn c() {\n    one();\n    two();\n    three();\n}\n")
    );
    assert_eq!(
        build("fn a() {\n...\n", "fn b() {\n...\n").as_deref(),
        Ok("fn b() {\n    one();\n    two();\n    three();\n}\n")
    );
    for (search, with, reason) in [
        ("fn a() {\n...\n}\n", "fn b() {\n}\n", Reason::Elided),
        (
            "fn a() {\n...\n",
            "fn b() {\n...\nmore();\n",
            Reason::Elided,
        ),
        ("...\n", "...\n", Reason::Elided),
        (
            "three();\n...\none();\n",
            "3();\n...\n1();\n",
            Reason::NotFound,
        ),
        (
            "fn a() {\n...\nfour();\n",
            "fn b() {\n...\nfive();\n",
            Reason::NotFound,
        ),
    ] {
        assert_eq!(build(search, with), Err(vec![(1, reason)]), "{search}");
    }
    let twice = "x\na\ny\na\n";
    check_fails(
        twice,
        &[replace("x\n...\na\n", "z\n...\nb\n")],
        &[(1, Reason::Ambiguous)],
    );
    let tier = build_file(
        "a",
        Some(b"a\nb\nc\n"),
        &[replace("a\n...\nc\n", "x\n...\nz\n")],
    );
    assert_eq!(tier.unwrap().tier, Tier::Elision);
}

#[test]
fn an_edit_after_dots_starts_behind_them() {
    let base = "a\nb\nx\nc\nx\n";
    let edits = [
        replace("a\n...\nc\n", "1\n2\n...\n3\n"),
        replace("x\n", "y\n"),
    ];
    check(base, &edits, "1\n2\nb\nx\n3\ny\n");
}

#[test]
fn elided_text_is_never_written() {
    let dots = "// ... existing code ...\n";
    check_fails(
        "a\nb\n",
        &[whole(&format!("x\n{dots}"))],
        &[(1, Reason::Elided)],
    );
    check_fails(
        "a\nb\n",
        &[replace("a\n", &format!("x\n{dots}"))],
        &[(1, Reason::Elided)],
    );
    check_fails(
        "a\nb\n",
        &[replace("a\n", "x\n...\n")],
        &[(1, Reason::Elided)],
    );
    assert_eq!(
        outcome(None, &[whole(&format!("fn a() {{\n    {dots}}}\n"))]),
        Err(vec![(1, Reason::Elided)])
    );
    assert_eq!(
        outcome(None, &[replace("", "...\n")]),
        Err(vec![(1, Reason::Elided)])
    );
    // What the file says itself is not an elision.
    check(
        "a\n...\nb\n",
        &[replace("a\n...\n", "x\n...\n")],
        "x\n...\nb\n",
    );
    let failures = build("a\n", &[whole(&format!("x\n{dots}"))]).unwrap_err();
    assert_eq!(failures[0].searched_lines, [dots.trim_end()]);
}

#[test]
fn a_replacement_that_is_there_is_already_applied() {
    let built = build(
        "one\nnew line\ntwo\n",
        &[replace("old line\n", "new line\n")],
    )
    .unwrap();
    assert_eq!(built.content.unwrap(), b"one\nnew line\ntwo\n");
    assert_eq!(built.lines, LineCount::default());
    let warning = BuildWarning::AlreadyApplied {
        edit: 1,
        start: 2,
        end: 2,
    };
    assert_eq!(built.warnings, [warning]);
    let built = build("full text\n", &[replace("", "full text\n")]).unwrap();
    assert_eq!(
        built.warnings,
        [BuildWarning::AlreadyApplied {
            edit: 1,
            start: 1,
            end: 1
        }]
    );
    for (base, search, with) in [
        ("new line\nnew line\n", "old\n", "new line\n"),
        ("one\n}\n", "old\n", "}\n"),
        ("one\n", "old\n", ""),
        ("  new line\n", "old\n", "new line\n"),
    ] {
        check_fails(base, &[replace(search, with)], &[(1, Reason::NotFound)]);
    }
    let base = "x\nnew line\nx\n";
    check(
        base,
        &[replace("old\n", "new line\n"), replace("x\n", "y\n")],
        "x\nnew line\ny\n",
    );
}

#[test]
fn of_several_readings_the_longest_search_that_is_there_counts() {
    let body = |search: &str, replace: &str| EditBody::Replace {
        search: search.to_owned(),
        replace: replace.to_owned(),
    };
    let mut edit = replace("T\n===\nold\n", "T\n===\nnew\n");
    edit.other_readings = vec![
        body("T\n", "old\n===\nT\n===\nnew\n"),
        body("T\n===\nold\n===\nT\n", "new\n"),
    ];
    check("T\n===\nold\nend\n", &[edit.clone()], "T\n===\nnew\nend\n");
    check("T\nend\n", &[edit.clone()], "old\n===\nT\n===\nnew\nend\n");
    // The last line of a wrong reading is there, but that proves nothing.
    check_fails("new\n", &[edit.clone()], &[(1, Reason::NotFound)]);
    let failures = build("new\n", &[edit]).unwrap_err();
    assert_eq!(failures[0].searched_lines, ["T", "===", "old"]);
    let mut created = replace("", "T\n===\ntext\n");
    created.other_readings = vec![body("===\nT\n", "text\n")];
    assert_eq!(outcome(None, &[created]).as_deref(), Ok("T\n===\ntext\n"));
}

#[test]
fn a_whole_file_of_less_than_half_the_lines_is_told() {
    let warnings = |base: &str, content: &str| build(base, &[whole(content)]).unwrap().warnings;
    assert_eq!(
        warnings("a\nb\nc\n", "a\n"),
        [BuildWarning::Shrinks {
            from_lines: 3,
            to_lines: 1
        }]
    );
    assert_eq!(warnings("a\nb\n", "a\n"), []);
    assert_eq!(warnings("a\n", "a\nb\n"), []);
}

#[test]
fn lines_are_counted_as_a_diff_counts_them() {
    let count = |base: &str, edits: &[Edit]| {
        let LineCount { added, removed } = build(base, edits).unwrap().lines;
        (added, removed)
    };
    assert_eq!(
        count("a\nb\nc\n", &[replace("a\nb\nc\n", "a\nx\ny\nc\n")]),
        (2, 1)
    );
    assert_eq!(count("a\nb\n", &[whole("a\nb\n")]), (0, 0));
    assert_eq!(count("a\nb\nc\n", &[whole("b\n")]), (0, 2));
    assert_eq!(
        count("a\nb\n", &[replace("a\n", "x\n"), replace("x\n", "a\n")]),
        (0, 0)
    );
    let built = build_file("a", None, &[whole("a\nb\n")]).unwrap();
    assert_eq!(
        built.lines,
        LineCount {
            added: 2,
            removed: 0
        }
    );
}
