use super::{check, prose, read, show};
use crate::plan::reply::Ending;

#[test]
fn tagged_files() {
    let reply = r#"**Updating `src/a.go`**
Type: replace

- src/a.go:

<PlandexBlock lang="go" path="src/a.go">
// ... existing code ...

func b() {
	return
}

// Plandex: removed code

// ... existing code ...
</PlandexBlock>

Then the new one:

- src/new.go:

<PlandexBlock lang="go" path="src/new.go">
package a
</PlandexBlock>
"#;
    check(
        reply,
        &[
            r#"src/a.go:6 Segments { content: "// ... existing code ...\n\nfunc b() {\n\treturn\n}\n\n// Plandex: removed code\n\n// ... existing code ...\n" }"#,
            r#"src/new.go:22 "package a\n""#,
        ],
    );
    assert!(
        prose(&read(&[reply], Ending::Complete))
            .ends_with("\n\nThen the new one:\n\n- src/new.go:\n\n")
    );
}

#[test]
fn tags_find_their_path() {
    for (before, tag) in [
        ("", "<PlandexBlock lang='x' path='./a b.txt'>"),
        ("", "  <PlandexBlock path=\"a b.txt\" lang=\"x\">  "),
        ("File: a b.txt\n", "<PlandexBlock lang=\"x\">"),
        ("```txt path=\"a b.txt\"\n", "<PlandexBlock>"),
    ] {
        let line = before.matches('\n').count() + 1;
        check(
            &format!("{before}{tag}\nx\n</PlandexBlock>\n"),
            &[&format!(r#"a b.txt:{line} "x\n""#)],
        );
    }
    check(
        "<PlandexBlock lang=\"x\">\nx\n</PlandexBlock>\n",
        &["?:1 Malformed: no path is given for the block at line 1"],
    );
}

#[test]
fn a_fence_around_a_tagged_file_is_not_its_text() {
    check(
        "<PlandexBlock lang=\"go\" path=\"a.go\">\n```go\nx\n```\n</PlandexBlock>\n",
        &[r#"a.go:1 "x\n""#],
    );
    check(
        "<PlandexBlock lang=\"md\" path=\"a.md\">\n```go\nx\n```\n</PlandexBlock>\n",
        &[r#"a.md:1 "```go\nx\n```\n""#],
    );
}

#[test]
fn tags_that_do_not_close() {
    let tag = "<PlandexBlock lang=\"go\" path=\"a.go\">\n";
    check(
        &format!("{tag}x\n"),
        &["a.go:1 Incomplete: the block at line 1 has no closing tag"],
    );
    check(
        &format!("{tag}x\n{tag}y\n</PlandexBlock>\n"),
        &[
            "a.go:1 Incomplete: the block at line 1 has no closing tag",
            r#"a.go:3 "y\n""#,
        ],
    );
    check(
        &format!("{tag}<<<<<<< SEARCH\n</PlandexBlock>\n"),
        &[
            "a.go:1 Malformed: the block at line 1 cannot be read: a marker of another edit stands in it, line 2",
        ],
    );
    assert_eq!(
        show(&read(
            &[&format!("{tag}x\n</PlandexBlock>")],
            Ending::CutOff
        )),
        ["a.go:1 Incomplete: the block at line 1 has no closing tag"]
    );
}

#[test]
fn labelled_files_may_have_lines_that_stand_for_others() {
    check(
        "src/a.rs\n```rust\nuse std::fmt;\n\n// ... rest of the file unchanged ...\n```\n",
        &[
            r#"src/a.rs:2 Segments { content: "use std::fmt;\n\n// ... rest of the file unchanged ...\n" }"#,
        ],
    );
}

#[test]
fn a_tagged_block_that_ended_too_early_is_reported_wherever_its_end_is() {
    let reply = "<PlandexBlock lang=\"rust\" path=\"a.rs\">\nx\n</PlandexBlock>\n\
                 ```rust:b.rs\ny\n</PlandexBlock>\n```\n";
    let shown = show(&read(&[reply], Ending::Complete));
    let late = |line: &String| line.starts_with("a.rs:") && line.contains("closing tag at line 6");
    assert!(shown.iter().any(late), "{shown:#?}");
}
