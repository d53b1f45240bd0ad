use super::{check, prose, read, show};
use crate::plan::reply::Ending;

#[test]
fn a_diff_of_several_files() {
    let reply = r"The fix touches three files:

```diff
diff --git a/src/a.rs b/src/a.rs
index 83db48f..bf269f4 100644
--- a/src/a.rs
+++ b/src/a.rs
@@ -1,3 +1,3 @@
 one

-two
+2
@@ -20 +20,2 @@ impl A {
 x
+y
diff --git a/new.sh b/new.sh
new file mode 100755
index 0000000..bf269f4
--- /dev/null
+++ b/new.sh
@@ -0,0 +1,2 @@
+#!/bin/sh
+ls
\ No newline at end of file
diff --git a/old.txt b/old.txt
deleted file mode 100644
index bf269f4..0000000
--- a/old.txt
+++ /dev/null
@@ -1,2 +0,0 @@
-a
-b
```

That is all.
";
    check(
        reply,
        &[
            r#"src/a.rs:8 @ at 1 "one\n\ntwo\n" -> "one\n\n2\n""#,
            r#"src/a.rs:13 @ impl A { at 20 "x\n" -> "x\ny\n""#,
            r##"new.sh:16 Create { content: "#!/bin/sh\nls" }"##,
            "new.sh:16 Executable { executable: true }",
            r#"old.txt:25 Delete { old: Some("a\nb\n") }"#,
        ],
    );
    assert_eq!(
        prose(&read(&[reply], Ending::Complete)),
        "The fix touches three files:\n\n\nThat is all.\n"
    );
}

#[test]
fn hunk_headers_may_be_wrong_or_have_no_numbers() {
    for (header, place) in [
        ("@@", "@"),
        ("@@ @@", "@"),
        ("@@ ... @@", "@"),
        ("@@ -,+ @@", "@"),
        ("@@ ... @@ fn f()", "@ fn f()"),
        ("@@ fn f()", "@ fn f()"),
        ("@@ -7,99 +3,1 @@ fn f() @@", "@ fn f() @@ at 7"),
        ("@@ -0,0 +1 @@", "@ at 1"),
        (
            "@@ -99999999999999999999 +1 @@",
            "@ -99999999999999999999 +1",
        ),
    ] {
        check(
            &format!("```diff\n--- a/x\n+++ b/x\n{header}\n a\n-b\n+c\n```\n"),
            &[&format!(r#"x:4 {place} "a\nb\n" -> "a\nc\n""#)],
        );
    }
}

#[test]
fn a_bare_diff_ends_where_no_row_can_be() {
    let diff = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n";
    let edit = r#"x.py:4 @ at 1 "a\nb\n" -> "a\nc\n""#;
    for after in [
        "",
        "\n",
        "\nDone.\n",
        "Done.\n",
        "\n- It works now.\n- So does that.\n",
        "-- \n2.40.1\n",
        "```sh\nmake\n```\n",
    ] {
        check(&format!("Fix:\n{diff}{after}"), &[edit]);
    }
    // Its numbers say that there is more: a row may have lost its sign.
    check(
        "--- a/x.py\n+++ b/x.py\n@@ -1,4 +1,4 @@\n a\n-b\n+c\nlost\n d\n",
        &["x.py:1 Malformed: the diff at line 1 cannot be read: line 7 does not belong to it"],
    );
    check(
        "--- a/x.py\n+++ b/x.py\n@@ -1,4 +1,4 @@\n a\n-b\n+c\n\n--- a/y\n+++ b/y\n@@\n-1\n+2\n",
        &[
            r#"x.py:3 @ at 1 "a\nb\n" -> "a\nc\n""#,
            r#"y:10 @ "1\n" -> "2\n""#,
        ],
    );
}

#[test]
fn names_are_read_as_git_writes_them() {
    for (header, expect) in [
        ("--- a/x\n+++ b/x\n", "x"),
        ("--- x\n+++ x\n", "x"),
        ("--- ./x\n+++ ./x\n", "x"),
        ("--- a/x\n+++ a/x\n", "a/x"),
        ("--- b/x\n+++ b/x\n", "b/x"),
        ("--- a/x\n+++ x\n", "x"),
        ("--- a/my file\n+++ b/my file\n", "my file"),
        (
            "--- a/x\t2026-01-02 03:04:05.6 +0000\n+++ b/x\t2026-01-02\n",
            "x",
        ),
        (
            "--- a/x 2026-01-02 03:04:05\n+++ b/x 2026-01-02 03:04:06\n",
            "x",
        ),
        (
            "--- \"a/\\303\\251 \\\"\\t.rs\"\n+++ \"b/\\303\\251 \\\"\\t.rs\"\n",
            "é \"\t.rs",
        ),
        ("diff --git a/b/x b/b/x\n--- a/b/x\n+++ b/b/x\n", "b/x"),
        ("diff --git b/x b/x\n--- b/x\n+++ b/x\n", "b/x"),
    ] {
        let line = header.matches('\n').count() + 1;
        check(
            &format!("{header}@@ -1 +1 @@\n-a\n+b\n"),
            &[&format!(r#"{expect}:{line} @ at 1 "a\n" -> "b\n""#)],
        );
    }
    for (header, flaw) in [
        (
            "--- old/x\n+++ new/x\n",
            "new/x:1 Malformed: the diff at line 1 cannot be read: it names two files, old/x and new/x",
        ),
        ("diff --git a/x b/x\n--- a/y\n+++ b/y\n", "y:1 Malformed: "),
        (
            "--- \"a/\\377\"\n+++ \"b/\\377\"\n",
            "a/\u{fffd}:1 UnsafePath: the diff at line 1 cannot be read: its path is not UTF-8",
        ),
        (
            "--- /dev/null\n+++ /dev/null\n",
            "?:1 Malformed: the diff at line 1 cannot be read: it names no file",
        ),
    ] {
        let shown = show(&read(
            &[&format!("{header}@@ -1 +1 @@\n-a\n+b\n")],
            Ending::Complete,
        ));
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with(flaw), "{shown:?}");
    }
}

#[test]
fn moves_and_modes() {
    check(
        "```diff\ndiff --git a/my old b/my new\nsimilarity index 90%\nrename from my old\nrename to my new\nindex 1..2 100644\n--- a/my old\n+++ b/my new\n@@ -1 +1 @@\n-a\n+b\ndiff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\ndiff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\ndiff --git a/g b/g\ndeleted file mode 100644\nindex e69de29..0000000\ndiff --git a/c b/d\nsimilarity index 100%\nrename from c\nrename to d\n```\n",
        &[
            r#"my old:9 @ at 1 "a\n" -> "b\n""#,
            r#"my old:2 Move { to: "my new" }"#,
            "run.sh:12 Executable { executable: true }",
            r#"e:15 Create { content: "" }"#,
            "g:18 Delete { old: None }",
            r#"c:21 Move { to: "d" }"#,
        ],
    );
    check(
        "diff --git a/x b/x\nold mode 100755\nnew mode 100644\n--- a/x\n+++ b/x\n@@\n-a\n+b\n",
        &[
            r#"x:6 @ "a\n" -> "b\n""#,
            "x:1 Executable { executable: false }",
        ],
    );
}

#[test]
fn the_last_line_end() {
    let no = "\\ No newline at end of file\n";
    for (rows, expect) in [
        (format!("-a\n{no}+b\n"), r#"@ $ +LF "a\n" -> "b\n""#),
        (format!("-a\n+b\n{no}"), r#"@ $ -LF "a\n" -> "b\n""#),
        (format!("-a\n{no}+b\n{no}"), r#"@ $ -LF "a\n" -> "b\n""#),
        (format!("+b\n a\n{no}"), r#"@ $ -LF "a\n" -> "b\na\n""#),
        ("-a\n+b\n".to_owned(), r#"@ "a\n" -> "b\n""#),
    ] {
        check(
            &format!("--- a/x\n+++ b/x\n@@\n{rows}"),
            &[&format!("x:3 {expect}")],
        );
    }
}

#[test]
fn what_a_diff_cannot_say_is_refused() {
    for (diff, flaw) in [
        (
            "diff --git a/x b/x\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKcmZQzU|?\n\nliteral 0\nHcmV\n\n",
            "x:1 Binary: ",
        ),
        (
            "diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\n",
            "x:1 Binary: ",
        ),
        (
            "diff --git a/x b/y\nsimilarity index 100%\ncopy from x\ncopy to y\n",
            "y:1 Malformed: the diff at line 1 cannot be read: a copy of a file cannot be made",
        ),
        (
            "diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+y\n",
            "x:1 Malformed: the diff at line 1 cannot be read: a symbolic link cannot be made",
        ),
        (
            "--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+y\n z\n",
            "x:1 Malformed: the diff at line 1 cannot be read: a new file has nothing but added rows",
        ),
        (
            "--- a/x\n+++ /dev/null\n@@ -1,2 +1 @@\n-y\n z\n",
            "x:1 Malformed: the diff at line 1 cannot be read: a deleted file has nothing but removed rows",
        ),
        (
            "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n y\n z\n",
            "x:1 Malformed: the diff at line 1 cannot be read: the hunk at line 3 changes nothing",
        ),
        (
            "--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n--a\n++b\n",
            "x:1 Malformed: the diff at line 1 cannot be read: a diff of several parents",
        ),
        (
            "diff --git a/x b/x\nindex 1..2 100644\n",
            "x:1 Malformed: the diff at line 1 cannot be read: it has no hunk",
        ),
    ] {
        for reply in [diff.to_owned(), format!("```diff\n{diff}```\n")] {
            let shown = show(&read(&[&reply], Ending::Complete));
            assert_eq!(shown.len(), 1, "{shown:?}");
            let flaw = if reply.starts_with("```") {
                let up = |text: &str, from: &str, to: &str| text.replacen(from, to, 1);
                let flaw = up(&up(flaw, ":1 ", ":2 "), "at line 1 ", "at line 2 ");
                up(&flaw, "the hunk at line 3", "the hunk at line 4")
            } else {
                flaw.to_owned()
            };
            assert!(shown[0].starts_with(&flaw), "{shown:?} {flaw}");
        }
    }
}

#[test]
fn hunks_without_a_header_take_the_label_of_their_fence() {
    for before in [
        "src/a.rs\n```diff\n",
        "```diff path=src/a.rs\n",
        "```diff:src/a.rs\n",
        "```diff\nsrc/a.rs\n",
        "src/a.rs:\n```rust\n",
    ] {
        let line = before.matches('\n').count() + 1;
        check(
            &format!("{before}@@ -1,2 +1,2 @@\n a\n-b\n+c\n```\n"),
            &[&format!(r#"src/a.rs:{line} @ at 1 "a\nb\n" -> "a\nc\n""#)],
        );
    }
    check(
        "In words:\n```diff\n@@ -1 +1 @@\n-a\n+b\n```\n",
        &[
            "?:3 Malformed: the diff at line 3 cannot be read: no path is given for the diff at line 3",
        ],
    );
}

#[test]
fn what_only_looks_like_a_diff_is_prose() {
    for reply in [
        "```diff\n-a\n+b\n```\n",
        "--- a title ---\n\ntext\n",
        "--- a\n--- b\n+++\n",
        "```sh\ngit diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n",
        "```yaml\n--- # first\na: 1\n```\n",
        "--- x",
        "```\n--- x",
    ] {
        let events = read(&[reply], Ending::Complete);
        assert_eq!(show(&events), [""; 0], "{reply}");
        assert_eq!(prose(&events), reply);
    }
    check(
        "```lua:a.lua\n--- A module.\n--- It is short.\nreturn {}\n```\n",
        &[r#"a.lua:1 "--- A module.\n--- It is short.\nreturn {}\n""#],
    );
}

#[test]
fn rows_that_look_like_headers_are_rows() {
    check(
        "```diff\n--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,3 @@\n select\n--- old\n+++ new\n 1\n@@ -9,2 +9,2 @@\n--- more\n+++ rows\n@@ -20 +20 @@\n-a\n+b\n```\n",
        &[
            r#"q.sql:4 @ at 1 "select\n-- old\n1\n" -> "select\n++ new\n1\n""#,
            "q.sql:9 @ at 9 \"-- more\\n\" -> \"++ rows\\n\"",
            r#"q.sql:12 @ at 20 "a\n" -> "b\n""#,
        ]
        .map(|line| line),
    );
}

#[test]
fn in_a_fence_a_row_without_a_sign_spoils_its_file() {
    check(
        "```diff\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\nlost\n-b\n+c\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-1\n+2\n```\n",
        &[
            "x:2 Malformed: the diff at line 2 cannot be read: line 6 does not belong to it",
            r#"y:11 @ at 1 "1\n" -> "2\n""#,
        ],
    );
}

#[test]
fn an_unclosed_fence_or_a_cut_leaves_the_last_file_out() {
    let first = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    let second = "diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n";
    for (fence, ending, line) in [
        ("```diff\n", Ending::Complete, 1),
        ("```diff\n", Ending::CutOff, 1),
        ("", Ending::CutOff, 0),
    ] {
        let (first_at, second_at) = (line + 4, line + 7);
        assert_eq!(
            show(&read(&[&format!("{fence}{first}{second}")], ending)),
            [
                format!(r#"x:{first_at} @ at 1 "a\n" -> "b\n""#),
                format!("y:{second_at} Incomplete: the diff at line {second_at} is cut off"),
            ]
        );
    }
}

#[test]
fn diffs_in_lists_lose_the_indentation_of_their_fence() {
    check(
        "1. It:\n   ```diff\n   --- a/x\n   +++ b/x\n   @@ -1,2 +1,2 @@\n    a\n\n   -  b\n   +  c\n   ```\n",
        &[r#"x:5 @ at 1 "a\n\n  b\n" -> "a\n\n  c\n""#],
    );
    check(
        "  ```diff\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n   a\n-  b\n+  c\n  ```\n",
        &[r#"x:4 @ at 1 "  a\n  b\n" -> "  a\n  c\n""#],
    );
}
