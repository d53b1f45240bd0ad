use super::{check, prose, read, show};
use crate::plan::reply::Ending;

const BLOCK: &str = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n";

#[test]
fn blocks_find_their_path() {
    for (before, after) in [
        ("src/a.rs\n", ""),
        ("**src/a.rs**\n\n", ""),
        ("src/a.rs\n```rust\n", "```\n"),
        ("```rust\nsrc/a.rs\n", "```\n"),
        ("```diff\nsrc/a.rs\n", "```\n"),
        ("```rust:src/a.rs\n", "```\n"),
        ("wrong.rs\n```rust:src/a.rs\n", "```\n"),
        ("wrong.rs\n```rust\n# src/a.rs\n", "```\n"),
        ("```rust path=src/a.rs\n\n", "\n```\n"),
        ("Some text.\n\nFile: src/a.rs\n```\n", "```\nMore.\n"),
    ] {
        let line = before.matches('\n').count() + 1;
        let reply = format!("{before}{BLOCK}{after}");
        check(&reply, &[&format!(r#"src/a.rs:{line} "a\n" -> "b\n""#)]);
    }
}

#[test]
fn blocks_without_a_label_take_the_last_path() {
    let edit = r#""a\n" -> "b\n""#;
    check(
        &format!("a.rs\n{BLOCK}\nAnd:\n{BLOCK}"),
        &[&format!("a.rs:2 {edit}"), &format!("a.rs:9 {edit}")],
    );
    check(
        &format!("```rust:a.rs\nx\n```\n{BLOCK}"),
        &[r#"a.rs:1 "x\n""#, &format!("a.rs:4 {edit}")],
    );
    check(
        &format!("```\na.rs\n{BLOCK}b.rs\n{BLOCK}{BLOCK}```\n"),
        &[
            &format!("a.rs:3 {edit}"),
            &format!("b.rs:9 {edit}"),
            &format!("b.rs:14 {edit}"),
        ],
    );
    check(
        &format!("a.rs\n{BLOCK}\nThe same in `src/a.rs`, line 3.\n{BLOCK}"),
        &[
            &format!("a.rs:2 {edit}"),
            "?:9 Malformed: no path is given for the block at line 9",
        ],
    );
    check(
        &format!("src/a.rs\n{BLOCK}\nOnce more in `a.rs`, and/or elsewhere:\n{BLOCK}"),
        &[&format!("src/a.rs:2 {edit}"), &format!("src/a.rs:9 {edit}")],
    );
    check(
        BLOCK,
        &["?:1 Malformed: no path is given for the block at line 1"],
    );
}

#[test]
fn the_wrapping_fence_of_blocks_is_not_prose() {
    let reply = format!("Text.\n\na.rs\n```rust\n{BLOCK}\n{BLOCK}```\nEnd.");
    assert_eq!(
        prose(&read(&[&reply], Ending::Complete)),
        "Text.\n\na.rs\n\nEnd."
    );
}

#[test]
fn markers_are_tolerant() {
    for (start, middle, end) in [
        ("<<<<< SEARCH", "=====", ">>>>> REPLACE"),
        ("<<<<<<<<< SEARCH>", "=========", ">>>>>>>>> REPLACE>"),
        ("------- SEARCH", "=======", "+++++++ REPLACE"),
        ("<<<<<<< SEARCH  ", "=======\t", ">>>>>>> REPLACE "),
        ("<<<<<<< SEARCH", "======", ">>>>>>>> REPLACE"),
        ("<<<<<<< SEARCH\r", "=======\r", ">>>>>>> REPLACE\r"),
    ] {
        check(
            &format!("a.rs\n{start}\na\n{middle}\nb\n{end}\n"),
            &[r#"a.rs:2 "a\n" -> "b\n""#],
        );
    }
    for marker in [
        "<<<< SEARCH",
        "<<<<<<<<<< SEARCH",
        "<<<<<<<SEARCH",
        "<<<<<<< search",
        "<<<<<<< HEAD",
    ] {
        check(&format!("a.rs\n{marker}\n"), &[]);
    }
}

#[test]
fn block_text_may_hold_markers_and_fences() {
    check(
        "a.md\n<<<<<<< SEARCH\n```sh\nx\n```\n=======\n```\ny\n>>>>>>> REPLACE\n",
        &[r#"a.md:2 "```sh\nx\n```\n" -> "```\ny\n""#],
    );
    check(
        "a.md\n<<<<<<< SEARCH\nT\n=====\n=======\nU\n=====\n>>>>>>> REPLACE\n",
        &[r#"a.md:2 "T\n=====\n" -> "U\n=====\n""#],
    );
    check(
        "a.md\n<<<<<<<< SEARCH\n<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n========\nx\n>>>>>>>> REPLACE\n",
        &[r#"a.md:2 "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n" -> "x\n""#],
    );
}

#[test]
fn dividers_that_look_alike_give_readings() {
    check(
        "a.md\n<<<<<<< SEARCH\nT\n=======\nU\n=======\n>>>>>>> REPLACE\n",
        &[r#"a.md:2 "T\n" -> "U\n=======\n" or ["\"T\\n=======\\nU\\n\" -> \"\""]"#],
    );
    let nine = "=======\n".repeat(9);
    check(
        &format!("a.md\n<<<<<<< SEARCH\n{nine}>>>>>>> REPLACE\n"),
        &[
            "a.md:2 Malformed: the block at line 2 cannot be read: 9 lines of it could be the divider",
        ],
    );
}

#[test]
fn broken_blocks_are_malformed() {
    let unclosed = "is not closed; what follows it was taken as its text";
    check(
        "a.rs\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n",
        &["a.rs:2 Malformed: the block at line 2 cannot be read: there is no ======= line in it"],
    );
    check(
        "a.rs\n<<<<<<< SEARCH\na\n=======\nb\n",
        &[&format!("a.rs:2 Malformed: the block at line 2 {unclosed}")],
    );
    check(
        &format!("a.rs\n<<<<<<< SEARCH\na\n=======\nb\n{BLOCK}"),
        &[
            "a.rs:2 Malformed: the block at line 2 is not closed before the next one, line 6",
            r#"a.rs:6 "a\n" -> "b\n""#,
        ],
    );
    check(
        &format!("a.rs\n{BLOCK}c\n>>>>>>> REPLACE\n"),
        &[
            r#"a.rs:2 "a\n" -> "b\n""#,
            "a.rs:8 Malformed: the REPLACE marker at line 8 ends no block",
        ],
    );
    check(
        "a.rs\n<<<<<<<< SEARCH\n<<<<<<< SEARCH\n========\nx\n>>>>>>>> REPLACE\n",
        &[
            "a.rs:2 Malformed: the block at line 2 cannot be read: a SEARCH marker inside it has no REPLACE marker",
        ],
    );
}

#[test]
fn a_block_that_ended_too_early_is_reported_wherever_its_end_is() {
    let early = "a.rs\n<<<<<<<< SEARCH\na\n========\nb\n>>>>>>> REPLACE\n";
    for (between, extra) in [
        (
            "c\n",
            Some("a.rs:8 Malformed: the REPLACE marker at line 8 ends no block"),
        ),
        ("```md:b.md\n```sh\nx\n", None),
    ] {
        let line = 7 + between.matches('\n').count();
        let events = read(
            &[&format!("{early}{between}>>>>>>>> REPLACE\n")],
            Ending::Complete,
        );
        let shown = show(&events);
        let report = format!(
            "a.rs:{line} Malformed: the REPLACE marker at line {line} ends a block that had ended"
        );
        assert!(shown.contains(&report), "{shown:?}");
        assert!(
            extra.is_none_or(|extra| shown.iter().any(|line| line == extra)),
            "{shown:?}"
        );
    }
    check(
        &format!("{early}\n<<<<<<<< SEARCH\nc\n========\nd\n>>>>>>>> REPLACE\n"),
        &[r#"a.rs:2 "a\n" -> "b\n""#, r#"a.rs:8 "c\n" -> "d\n""#],
    );
}
