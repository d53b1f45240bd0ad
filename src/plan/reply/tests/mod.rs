//! Tests of the parser: here whole files and prose, then each other format, then how a reply is
//! cut up.

mod blocks;
mod cuts;
mod diffs;
mod long;
mod patches;
mod references;
mod round_trip;
mod written;

use super::*;
use crate::plan::edits::{EditBody, Hunk};

/// The events of a reply that comes in these pieces.
fn read(pieces: &[&str], ending: Ending) -> Vec<ReplyEvent> {
    let mut parser = ReplyParser::new();
    let mut events: Vec<ReplyEvent> = pieces.iter().flat_map(|text| parser.push(text)).collect();
    events.extend(parser.finish(ending));
    events
}

/// One line for each event that is not prose.
fn show(events: &[ReplyEvent]) -> Vec<String> {
    let body = |body: &EditBody| {
        if let EditBody::Whole { content } = body {
            return format!("{content:?}");
        }
        if let EditBody::Replace { search, replace } = body {
            return format!("{search:?} -> {replace:?}");
        }
        if let EditBody::Hunk(hunk) = body {
            return show_hunk(hunk);
        }
        format!("{body:?}")
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

/// A hunk in one line: where it is, what it takes away, what it brings.
fn show_hunk(hunk: &Hunk) -> String {
    let mut shown = vec!["@".to_owned()];
    shown.extend(hunk.anchors.iter().cloned());
    shown.extend(hunk.line.map(|line| format!("at {line}")));
    shown.extend(hunk.is_at_end.then(|| "$".to_owned()));
    let end = |is_there| if is_there { "+LF" } else { "-LF" };
    shown.extend(hunk.final_newline.map(end).map(str::to_owned));
    format!("{} {:?} -> {:?}", shown.join(" "), hunk.old, hunk.new)
}

fn check(reply: &str, expect: &[&str]) {
    let events = read(&[reply], Ending::Complete);
    assert_eq!(show(&events), expect, "{reply}");
    check_starts(&events);
}

/// Every edit was announced, with its path and format, be it the only one of its file or not. That
/// a file has lines which stand for others shows later.
fn check_starts(events: &[ReplyEvent]) {
    let mut started = None;
    for event in events {
        match event {
            ReplyEvent::FileStarted { path, format } => started = Some((path, *format)),
            ReplyEvent::Edit(edit) => {
                let format = match (&edit.body, started) {
                    (EditBody::Segments { .. }, Some((_, Format::WholeFile))) => Format::WholeFile,
                    _ => edit.format,
                };
                assert_eq!(started, Some((&edit.path, format)), "{edit:?}");
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
