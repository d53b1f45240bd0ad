use proptest::prelude::*;

use super::*;
use crate::plan::edits::EditBody;

/// The events of a reply that comes in these pieces.
fn read(pieces: &[&str], ending: Ending) -> Vec<ReplyEvent> {
    let mut parser = ReplyParser::new();
    let mut events: Vec<ReplyEvent> = pieces.iter().flat_map(|text| parser.push(text)).collect();
    events.extend(parser.finish(ending));
    events
}

/// One line for each event that is not prose.
fn show(events: &[ReplyEvent]) -> Vec<String> {
    let body = |body: &EditBody| match body {
        EditBody::Whole { content } => format!("{content:?}"),
        EditBody::Replace { search, replace } => format!("{search:?} -> {replace:?}"),
    };
    events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Prose(_) | ReplyEvent::FileStarted { .. } => None,
            ReplyEvent::FileLines { path, lines } => Some(format!("{path} at {lines}")),
            ReplyEvent::Edit(edit) => {
                let others: Vec<String> = edit.other_readings.iter().map(body).collect();
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!(" or {others:?}")
                };
                Some(format!(
                    "{}:{} {}{others}",
                    edit.path,
                    edit.line,
                    body(&edit.body)
                ))
            }
            ReplyEvent::Malformed(block) => {
                let path = block.path.as_deref().unwrap_or("?");
                Some(format!(
                    "{path}:{} {:?}: {}",
                    block.line, block.reason, block.message
                ))
            }
        })
        .collect()
}

fn check(reply: &str, expect: &[&str]) {
    let events = read(&[reply], Ending::Complete);
    assert_eq!(show(&events), expect, "{reply}");
    check_starts(&events);
}

/// Every edit was announced, with its path and format.
fn check_starts(events: &[ReplyEvent]) {
    let mut started = None;
    for event in events {
        match event {
            ReplyEvent::FileStarted { path, format } => started = Some((path, format)),
            ReplyEvent::Edit(edit) => {
                assert_eq!(started.take(), Some((&edit.path, &edit.format)), "{edit:?}");
            }
            ReplyEvent::Prose(_) | ReplyEvent::FileLines { .. } | ReplyEvent::Malformed(_) => {}
        }
    }
}

fn prose(events: &[ReplyEvent]) -> String {
    let prose = |event: &ReplyEvent| {
        if let ReplyEvent::Prose(line) = event {
            Some(line.clone())
        } else {
            None
        }
    };
    events.iter().filter_map(prose).collect()
}

#[test]
fn whole_files_by_info_string() {
    check(
        "```rust:src/a.rs\nfn a() {}\n```\n",
        &[r#"src/a.rs:1 "fn a() {}\n""#],
    );
    check("```src/a.rs\nx\n```", &[r#"src/a.rs:1 "x\n""#]);
    check(
        "```rust path=./src/a.rs\nx\n\ny\n```\n",
        &[r#"src/a.rs:1 "x\n\ny\n""#],
    );
    check(
        "~~~~js title=\"my dir/a.js\"\n```\n~~~\n~~~~~\n",
        &[r#"my dir/a.js:1 "```\n~~~\n""#],
    );
    check(
        "Make it empty:\n```py:a/__init__.py\n```\n",
        &[r#"a/__init__.py:2 """#],
    );
    check(
        "```toml:a.toml\n\n[a]\n\n```\n",
        &[r#"a.toml:1 "\n[a]\n\n""#],
    );
}

#[test]
fn whole_files_by_the_line_above() {
    for label in [
        "src/a.rs",
        "src/a.rs:",
        "`src/a.rs`",
        "**src/a.rs**",
        "**`src/a.rs`**:",
        "### `src/a.rs`",
        "- src/a.rs:",
        "1. `src/a.rs`:",
        "File: src/a.rs",
        "**File:** `src/a.rs`",
        "src/a.rs\n",
        "### src/a.rs\n\n",
    ] {
        let reply = format!("Here it is.\n\n{label}\n```rust\nx\n```\nDone.\n");
        let line = 4 + label.matches('\n').count();
        check(&reply, &[&format!(r#"src/a.rs:{line} "x\n""#)]);
    }
}

#[test]
fn fences_without_a_sure_label_are_prose() {
    for reply in [
        "```\nx\n```\n",
        "```rust\nx\n```\n",
        "Like this:\n```rust\nx\n```\n",
        "src/a.rs\nNow:\n```rust\nx\n```\n",
        "src/a.rs\n\n\n\n```rust\nx\n```\n",
        "Input/Output:\n```\nx\n```\n",
        "Changed:\n- src/a.rs\n- src/b.rs\n```rust\nx\n```\n",
        "Cargo.toml:\n```sh\ncargo add serde\n```\n",
        "Makefile:\n```sh\nmake test\n```\n",
        "```12:15:src/a.rs\nx\n```\n",
        "```rust:src/a.rs:10-20\nx\n```\n",
        "```console\n$ cat src/a.rs\n```\n",
        "src/a.rs\n```rust\nx\n```\n```rust\ny\n```\n"
            .split_at(27)
            .1,
        "use `src/a.rs`\n",
        "```one`two```\n",
    ] {
        let events = read(&[reply], Ending::Complete);
        assert_eq!(show(&events), [""; 0], "{reply}");
        assert_eq!(prose(&events), reply);
    }
}

#[test]
fn a_label_is_for_one_fence() {
    check("a.rs\n```\nx\n```\n```\ny\n```\n", &[r#"a.rs:2 "x\n""#]);
    check("a.rs\n```sh\nx\n```\n```\ny\n```\n", &[]);
}

#[test]
fn scripts_may_be_shell_fences_and_diffs_are_not_files() {
    check("run.sh\n```sh\nls\n```\n", &[r#"run.sh:2 "ls\n""#]);
    check("```sh:bin/run.sh\nls\n```\n", &[r#"bin/run.sh:1 "ls\n""#]);
    check(".envrc\n```bash\nls\n```\n", &[r#".envrc:2 "ls\n""#]);
    check(
        "src/a.rs\n```diff\n-a\n+b\n```\n",
        &["src/a.rs:2 Malformed: the text at line 2 is a diff, not a whole file"],
    );
    check(
        "```diff:fix.patch\n-a\n+b\n```\n",
        &[r#"fix.patch:1 "-a\n+b\n""#],
    );
}

#[test]
fn inner_fences_are_text() {
    check(
        "````md:README.md\n# T\n```\ncode\n```\n````\n",
        &[r##"README.md:1 "# T\n```\ncode\n```\n""##],
    );
    check(
        "```md:README.md\n# T\n```sh\ncode\n```\nend\n```\n",
        &[r##"README.md:1 "# T\n```sh\ncode\n```\nend\n""##],
    );
    check(
        "```py:a.py\ns = '''\n```js\nx\n```\n'''\n```\n",
        &[r#"a.py:1 "s = '''\n```js\nx\n```\n'''\n""#],
    );
    check(
        "```rust:a.rs\n/// doc\n    ```\n  ```\n```\n",
        &[r#"a.rs:1 "/// doc\n    ```\n  ```\n""#],
    );
    check(
        "```md:a.md\n```rust:src/b.rs\nx\n```\n```\n",
        &[r#"a.md:1 "```rust:src/b.rs\nx\n```\n""#],
    );
}

#[test]
fn indented_fences_lose_what_all_lines_share() {
    check(
        "1. It:\n   ```rust:a.rs\n   fn a() {\n       b\n\n   }\n   ```\n",
        &[r#"a.rs:2 "fn a() {\n    b\n\n}\n""#],
    );
    check(
        "   ```rust:a.rs\nfn a() {\n    b\n}\n   ```\n",
        &[r#"a.rs:1 "fn a() {\n    b\n}\n""#],
    );
    check(
        "  ```rust:a.rs\n  <<<<<<< SEARCH\n  a\n  =======\n    b\n  >>>>>>> REPLACE\n  ```\n",
        &[r#"a.rs:2 "a\n" -> "  b\n""#],
    );
}

#[test]
fn unclosed_files_are_incomplete() {
    let message = "is not closed; what follows it was taken as its text";
    for reply in [
        "```rust:a.rs\nx\n",
        "```rust:a.rs\nx\n``\n",
        "```rust:a.rs",
        "```rust:a.rs\n\n",
    ] {
        check(
            reply,
            &[&format!(
                "a.rs:1 Incomplete: the code fence at line 1 {message}"
            )],
        );
    }
    check(
        "```rust:a.rs\nx\n```rust:b.rs\ny\n```\n",
        &[
            &format!("a.rs:1 Incomplete: the code fence at line 1 {message}"),
            r#"b.rs:3 "y\n""#,
        ],
    );
    check(
        "```\nquoted\n```rust:b.rs\ny\n```\n",
        &["b.rs:3 Malformed: the code fence at line 3 stands inside the one at line 1"],
    );
    check("````\nquoted\n```rust:b.rs\ny\n```\n````\n", &[]);
}

#[test]
fn markers_in_a_whole_file_spoil_it() {
    check(
        "```rust:a.rs\n// first\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```\n",
        &[
            "a.rs:1 Malformed: a SEARCH/REPLACE marker stands in a whole file, line 3",
            r#"a.rs:3 "a\n" -> "b\n""#,
        ],
    );
    check(
        "```rust:a.rs\nb\n>>>>>>> REPLACE\n```\n",
        &["a.rs:1 Malformed: a SEARCH/REPLACE marker stands in a whole file, line 3"],
    );
    check(
        "````md:a.md\ntext\n````sh\n<<<<<<< SEARCH\n````\n=======\n````\n",
        &[r#"a.md:1 "text\n````sh\n<<<<<<< SEARCH\n````\n=======\n""#],
    );
}

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

#[test]
fn what_is_open_at_a_cut_is_never_an_edit() {
    for reply in [
        "```rust:a.rs\nx\n```",
        "```rust:a.rs\nx\n``",
        "```rust:a.rs\n",
        "a.rs\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE",
        "a.rs\n<<<<<<< SEARCH\na\n=======\nb\n",
        "a.rs\n<<<<<<< SEARCH\na",
    ] {
        let events = read(&[reply], Ending::CutOff);
        let [.., ReplyEvent::Malformed(last)] = events.as_slice() else {
            panic!("{reply}: {events:?}");
        };
        assert_eq!(
            (last.path.as_deref(), last.reason),
            (Some("a.rs"), Reason::Incomplete)
        );
        assert_eq!(show(&events).len(), 1, "{reply}");
    }
    let events = read(&["```rust:a.rs\nx\n```\nAnd th"], Ending::CutOff);
    assert_eq!(show(&events), [r#"a.rs:1 "x\n""#]);
    assert_eq!(prose(&events), "And th");
}

#[test]
fn prose_comes_back_as_it_was() {
    for reply in [
        "",
        "a",
        "a\n",
        "\n",
        "a\n\nb",
        "```\nx\n```",
        "```sh\n\nls\n",
        "a\n```",
    ] {
        assert_eq!(prose(&read(&[reply], Ending::Complete)), reply);
        assert_eq!(prose(&read(&[reply], Ending::CutOff)), reply);
    }
    assert_eq!(
        prose(&read(&["\u{feff}a\r\nb\r\n"], Ending::Complete)),
        "a\nb\n"
    );
}

#[test]
fn progress_is_given_every_twenty_lines() {
    let rows = "x\n".repeat(45);
    check(
        &format!("```rust:a.rs\n{rows}```\n"),
        &["a.rs at 20", "a.rs at 40", &format!("a.rs:1 {rows:?}")],
    );
}

#[test]
fn a_malformed_block_makes_a_failure() {
    let events = read(&["a.rs\n<<<<<<< SEARCH\n"], Ending::CutOff);
    let Some(ReplyEvent::Malformed(block)) = events.last() else {
        panic!("{events:?}");
    };
    let failure = block.failure(2, 3);
    assert_eq!(
        (failure.path.as_str(), failure.edit, failure.of),
        ("a.rs", 2, 3)
    );
    assert_eq!(
        (failure.format, failure.reason),
        (Format::SearchReplace, Reason::Incomplete)
    );
}

const SAMPLES: [&str; 7] = [
    "I will add a greeting.\n\nsrc/main.rs\n```rust\nfn main() {\n    println!(\"hé\");\n}\n```\n\nRun it:\n```sh\ncargo run\n```\n",
    "**src/lib.rs**\r\n```rust\r\n<<<<<<< SEARCH\r\npub fn a() {}\r\n=======\r\npub fn b() {}\r\n>>>>>>> REPLACE\r\n```\r\nDone.",
    "```\na.rs\n<<<<<<< SEARCH\n=======\nnew\n>>>>>>> REPLACE\n\nb.rs\n------- SEARCH\nx\n=======\ny\n+++++++ REPLACE\n```\n",
    "````md:README.md\n# T\n```sh\nls\n```\n````\n~~~py file='a b.py'\nx\n~~~\n",
    "```rust:a.rs\nx\n```rust:b.rs\ny\n```\n>>>>>>> REPLACE\n",
    "a.md\n<<<<<<<< SEARCH\nT\n=======\n========\n<<<<<<< SEARCH\n>>>>>>> REPLACE\n>>>>>>>> REPLACE\ntail",
    "\u{feff}1. a.rs:\n   ```rust\n\n   src/x.rs\n   y\n   ```\n```\nopen\n",
];

#[test]
fn any_cut_in_two_gives_the_same_events() {
    for sample in SAMPLES {
        let whole = read(&[sample], Ending::Complete);
        for at in (0..=sample.len()).filter(|at| sample.is_char_boundary(*at)) {
            let (head, tail) = sample.split_at(at);
            assert_eq!(
                read(&[head, tail], Ending::Complete),
                whole,
                "cut at {at}: {sample}"
            );
        }
        let letters: Vec<String> = sample.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert_eq!(read(&letters, Ending::Complete), whole, "{sample}");
    }
}

/// H16: wherever a reply is cut, only blocks that were whole by then are edits.
#[test]
fn a_cut_reply_gives_only_its_first_edits() {
    for sample in SAMPLES {
        let edits = |events: Vec<ReplyEvent>| -> Vec<Edit> {
            let edit = |event| {
                if let ReplyEvent::Edit(edit) = event {
                    Some(edit)
                } else {
                    None
                }
            };
            events.into_iter().filter_map(edit).collect()
        };
        let whole = edits(read(&[sample], Ending::Complete));
        for at in (0..sample.len()).filter(|at| sample.is_char_boundary(*at)) {
            let cut = edits(read(&[&sample[..at]], Ending::CutOff));
            assert!(whole.starts_with(&cut), "cut at {at}: {sample}\n{cut:?}");
            // The last line is not whole, so that no marker on it counts.
            let lines = sample[..at].rfind('\n').map_or(0, |end| end + 1);
            assert_eq!(
                cut,
                edits(read(&[&sample[..lines]], Ending::CutOff)),
                "cut at {at}"
            );
        }
    }
}

/// Lines that mean something to the parser, beside ordinary ones.
fn any_line() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(vec![
        "",
        "x",
        "    y",
        "src/a.rs",
        "**`b.md`**:",
        "- c.py:",
        "File: d",
        "```",
        "````",
        "~~~",
        "```rust",
        "```sh",
        "```diff",
        "```rust:src/a.rs",
        "````md:b.md",
        "  ```py path=c.py",
        "  ```",
        "<<<<<<< SEARCH",
        "<<<<< SEARCH",
        "------- SEARCH",
        "=======",
        "=====",
        ">>>>>>> REPLACE",
        ">>>>> REPLACE",
        "+++++++ REPLACE",
        "// ... existing code ...",
        "é\u{301}",
        "a\r",
        "\u{feff}",
    ]);
    telling.prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        lines in prop::collection::vec(any_line(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        final_newline: bool,
        complete: bool,
    ) {
        let mut reply = lines.join("\n");
        if final_newline {
            reply.push('\n');
        }
        let ending = if complete { Ending::Complete } else { Ending::CutOff };
        let mut at: Vec<usize> = cuts
            .iter()
            .map(|cut| cut.index(reply.len() + 1))
            .filter(|at| reply.is_char_boundary(*at))
            .collect();
        at.push(0);
        at.push(reply.len());
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|pair| &reply[pair[0]..pair[1]]).collect();
        let whole = read(&[&reply], ending);
        check_starts(&whole);
        prop_assert_eq!(read(&pieces, ending), whole);
    }

    #[test]
    fn any_text_can_be_read(reply in "\\PC{0,200}", complete: bool) {
        read(&[&reply], if complete { Ending::Complete } else { Ending::CutOff });
    }
}

/// Much of what a careless parser is slow at. A quadratic one would take hours.
#[test]
fn large_replies_are_read_in_linear_time() {
    let repeat = |unit: &str, size: usize| unit.repeat(size / unit.len());
    let large = |unit| repeat(unit, 10_000_000);
    let odd = |unit| repeat(unit, 2_000_000);
    let replies = [
        large("x"),
        large("some text of a usual length, as prose has it, line by line\n"),
        format!(
            "```rust:a.rs\n{}```\n",
            large("    let value = compute(input);\n")
        ),
        format!(
            "a.rs\n{}",
            large("<<<<<<< SEARCH\nlet a = 1;\n=======\nb\n>>>>>>>> REPLACE\n")
        ),
        odd("\n"),
        format!("```rust:a.rs\n{}", odd("```a\n")),
        format!("```\n{}", odd("```a\n")),
        format!("```rust:a.rs\n{}", odd("\n")),
        format!("a.rs\n<<<<<<< SEARCH\n{}", odd("=======\n")),
        format!("a.rs\n{}", odd("<<<<<<< SEARCH\n")),
        format!("a.rs\n{}", odd("<<<<<< SEARCH\n>>>>> REPLACE\n")),
    ];
    for reply in replies {
        let started = std::time::Instant::now();
        let mut parser = ReplyParser::new();
        let mut rest = reply.as_str();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(4096));
            drop(parser.push(head));
            rest = tail;
        }
        drop(parser.finish(Ending::Complete));
        assert!(started.elapsed().as_secs() < 60, "{}", &reply[..40]);
    }
}
