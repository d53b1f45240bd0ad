//! Files in which comments stand for what stays.

use super::build::{edit, whole};
use crate::plan::edits::{Edit, EditBody, EditFailure, Format, Reason, Tier, build_file};

const BASE: &str = "use a;\n\nfn one() {\n    first();\n    second();\n}\n\n\
                    fn two() {\n    third();\n}\n\nfn three() {\n    fourth();\n}\n";

const KEPT: &str = "// ... existing code ...\n";

fn segments(content: &str) -> Edit {
    let content = content.to_owned();
    edit(Format::PlandexBlock, EditBody::Segments { content })
}

#[track_caller]
fn check(base: &str, content: &str, expect: &str) {
    let built = build_file("src/a.rs", Some(base.as_bytes()), &[segments(content)]).unwrap();
    assert_eq!(String::from_utf8(built.content.unwrap()).unwrap(), expect);
    assert_eq!(built.tier, Tier::Elision);
}

#[track_caller]
fn fails(base: &str, content: &str, expect: Reason) -> EditFailure {
    let built = build_file("src/a.rs", Some(base.as_bytes()), &[segments(content)]);
    let mut failures = built.unwrap_err();
    assert_eq!(failures[0].reason, expect, "{failures:?}");
    failures.remove(0)
}

#[test]
fn a_part_takes_the_place_between_its_first_and_last_line() {
    check(
        BASE,
        &format!("{KEPT}    first();\n    more();\n    second();\n{KEPT}"),
        &BASE.replace("first();\n", "first();\n    more();\n"),
    );
    check(
        BASE,
        &format!("{KEPT}\nfn two() {{\n    new();\n}}\n\n{KEPT}"),
        &BASE.replace("third", "new"),
    );
    check(
        BASE,
        &format!("use a;\nuse b;\n\nfn one() {{\n{KEPT}"),
        &BASE.replace("use a;\n", "use a;\nuse b;\n"),
    );
    check(
        BASE,
        &format!("{KEPT}    fourth();\n    fifth();\n}}\n"),
        &BASE.replace("fourth();\n", "fourth();\n    fifth();\n"),
    );
}

#[test]
fn parts_stand_in_their_order() {
    let content =
        format!("{KEPT}fn one() {{\n    changed();\n}}\n{KEPT}fn three() {{\n    too();\n}}\n");
    let expect = BASE
        .replace("    first();\n    second();\n", "    changed();\n")
        .replace("fourth", "too");
    check(BASE, &content, &expect);
    let content =
        format!("{KEPT}fn three() {{\n    too();\n}}\n{KEPT}fn one() {{\n    x();\n}}\n{KEPT}");
    let failure = fails(BASE, &content, Reason::NotFound);
    assert!(failure.note.unwrap().contains("order"));
}

#[test]
fn removed_code_goes() {
    let removed = "// Plandex: removed code\n";
    check(
        BASE,
        &format!(
            "{KEPT}fn one() {{\n    first();\n    second();\n}}\n\n{removed}\nfn three() {{\n{KEPT}"
        ),
        &BASE.replace("fn two() {\n    third();\n}\n\n", ""),
    );
    fails(
        BASE,
        &format!("{removed}fn two() {{\n{KEPT}"),
        Reason::Elided,
    );
    fails(
        BASE,
        &format!("{KEPT}fn two() {{\n{removed}"),
        Reason::Elided,
    );
    fails(
        BASE,
        &format!("{KEPT}fn one() {{\n{removed}{KEPT}fn two() {{\n{KEPT}"),
        Reason::Elided,
    );
}

#[test]
fn what_fits_in_several_ways_fails() {
    let twice = format!("{BASE}{BASE}");
    let failure = fails(
        &twice,
        &format!("{KEPT}fn two() {{\n    new();\n}}\n{KEPT}"),
        Reason::Ambiguous,
    );
    assert_eq!(failure.candidates, [8, 22]);
    // A bracket that does not close the first line's block may be any of them.
    fails(
        BASE,
        &format!("{KEPT}    third();\n    new();\n}}\n{KEPT}"),
        Reason::Ambiguous,
    );
    fails(
        BASE,
        &format!("{KEPT}}}\n\nfn new() {{\n}}\n{KEPT}"),
        Reason::Ambiguous,
    );
    // Between two parts there may be only one.
    check(
        BASE,
        &format!("{KEPT}    third();\n    new();\n}}\n{KEPT}fn three() {{\n{KEPT}"),
        &BASE.replace("third();\n", "third();\n    new();\n"),
    );
}

#[test]
fn a_part_with_other_ends_than_the_file_fails() {
    // Without a reference above it the file begins with it.
    fails(
        BASE,
        &format!("fn two() {{\n    new();\n}}\n{KEPT}"),
        Reason::NotFound,
    );
    fails(
        BASE,
        &format!("{KEPT}fn two() {{\n    new();\n}}\n"),
        Reason::NotFound,
    );
    fails(
        BASE,
        &format!("{KEPT}fn four() {{\n}}\n{KEPT}"),
        Reason::NotFound,
    );
    fails(BASE, KEPT, Reason::Elided);
}

#[test]
fn a_part_does_not_swallow_far_more_than_it_says() {
    let base = format!("start();\n{}end();\n", "line();\n".repeat(30));
    let failure = fails(&base, &format!("start();\nend();\n{KEPT}"), Reason::Elided);
    assert!(
        failure
            .note
            .unwrap()
            .contains("32 lines of the file, from 1 to 32, would become 2")
    );
    let base = format!("start();\n{}end();\n", "line();\n".repeat(20));
    check(
        &base,
        &format!("start();\nend();\n{KEPT}"),
        "start();\nend();\n",
    );
}

#[test]
fn a_part_is_shifted_and_keeps_what_does_not_change() {
    let base = "mod m {\n    fn a() {\n        b(); \n        c();\n    }\n}\n";
    check(
        base,
        &format!("{KEPT}fn a() {{\n    b();\n    d();\n}}\n{KEPT}"),
        &base.replace("c();", "d();"),
    );
    let crlf = "one();\r\ntwo();\r\nthree();\r\n";
    check(
        crlf,
        &format!("one();\n2;\nthree();\n{KEPT}"),
        "one();\r\n2;\r\nthree();\r\n",
    );
}

#[test]
fn a_whole_file_with_references_is_read_so() {
    let build = |content: String| build_file("src/a.rs", Some(BASE.as_bytes()), &[whole(&content)]);
    let built = build(format!("use a;\n{KEPT}\nfn three() {{\n    new();\n}}\n")).unwrap();
    assert_eq!(
        built.content.unwrap(),
        BASE.replace("fourth", "new").as_bytes()
    );
    for content in [
        format!("use b;\n{KEPT}"),
        format!("fn two() {{\n{KEPT}}}\n"),
    ] {
        assert_eq!(build(content).unwrap_err()[0].reason, Reason::Elided);
    }
}

#[test]
fn a_reference_that_the_file_has_itself_is_not_guessed() {
    let base = format!("a();\n{KEPT}b();\n");
    let failure = fails(&base, &format!("a();\nx();\n{KEPT}b();\n"), Reason::Elided);
    assert!(failure.note.unwrap().contains("itself"));
    fails("", &format!("a();\n{KEPT}"), Reason::Elided);
    let built = build_file("src/a.rs", None, &[segments(&format!("a();\n{KEPT}"))]);
    assert_eq!(built.unwrap_err()[0].reason, Reason::Elided);
}

#[test]
fn a_part_that_fits_everywhere_is_refused_before_all_ways_are_tried() {
    let base = "alpha\nbeta\n".repeat(300);
    let content = format!("{KEPT}alpha\nnew\nbeta\n{KEPT}");
    let failure = fails(&base, &content, Reason::Ambiguous);
    // All lines of the part are named where its ways were compared.
    assert_eq!(failure.searched_lines, ["alpha"]);
}
