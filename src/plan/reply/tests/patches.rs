use super::{check, prose, read, show};
use crate::plan::reply::Ending;

#[test]
fn an_envelope_of_several_files() {
    let reply = r"I'll add a flag and drop the old helper.

*** Begin Patch
*** Update File: src/main.rs
@@ fn main() {
     let args = Args::parse();
-    run(args);
+    run(args, Mode::Fast);

     done();
*** Add File: src/mode.rs
+pub enum Mode {
+    Fast,
+}
+
*** Delete File: src/old.rs
*** End Patch

Run the tests now.
";
    check(
        reply,
        &[
            r#"src/main.rs:5 @ fn main() { +LF "    let args = Args::parse();\n    run(args);\n\n    done();\n" -> "    let args = Args::parse();\n    run(args, Mode::Fast);\n\n    done();\n""#,
            r#"src/mode.rs:11 "pub enum Mode {\n    Fast,\n}\n\n""#,
            "src/old.rs:16 Delete { old: None }",
        ],
    );
    assert_eq!(
        prose(&read(&[reply], Ending::Complete)),
        "I'll add a flag and drop the old helper.\n\n\nRun the tests now.\n"
    );
}

#[test]
fn hunks_are_edits_of_their_own() {
    check(
        r"*** Begin Patch
*** Update File: ./lib/a.py
*** Move to: lib/b.py
-import os
+import sys
@@ class A:
@@     def f(self):
-        return 1
+        return 2
@@
 last
-end
+END
*** End of File
*** End Patch",
        &[
            r#"lib/a.py:4 @ +LF "import os\n" -> "import sys\n""#,
            r#"lib/a.py:6 @ class A: def f(self): +LF "        return 1\n" -> "        return 2\n""#,
            r#"lib/a.py:10 @ $ +LF "last\nend\n" -> "last\nEND\n""#,
            r#"lib/a.py:2 Move { to: "lib/b.py" }"#,
        ],
    );
    check(
        "*** Begin Patch\n*** Update File: a\n*** Move to: b\n*** End Patch\n",
        &[r#"a:2 Move { to: "b" }"#],
    );
}

#[test]
fn an_envelope_stands_bare_in_a_fence_or_in_a_shell_document() {
    let patch = "*** Begin Patch\n*** Update File: a.rs\n@@\n-x\n+y\n";
    let end = "*** End Patch\n";
    for (before, after) in [
        ("", end.to_owned()),
        ("```\n", format!("{end}```\n")),
        ("```patch\n", format!("{end}```\n")),
        ("```diff\n", "```\n".to_owned()),
        (
            "```bash\napply_patch <<'EOF'\n",
            format!("{end}EOF\n```\nDone.\n"),
        ),
        ("```sh\ncat <<EOF | apply_patch\n", "EOF\n```\n".to_owned()),
        ("$ apply_patch << \"PATCH\"\n", "PATCH\nDone.\n".to_owned()),
        ("", String::new()),
        ("", "\n\n".to_owned()),
        ("", "*** End Patch   \n".to_owned()),
        ("", "  *** End Patch\n".to_owned()),
        ("", "  *** End Patch\n\nDone: it works.\n".to_owned()),
        ("```\n", " *** End Patch\n```\n".to_owned()),
    ] {
        let line = 3 + before.matches('\n').count();
        let reply = format!("{before}{patch}{after}");
        check(&reply, &[&format!(r#"a.rs:{line} @ +LF "x\n" -> "y\n""#)]);
    }
}

#[test]
fn markers_may_be_padded_and_envelopes_indented() {
    check(
        "1. First:\n\n   ```\n   *** Begin Patch\n   *** Update File: a.py\n   @@\n    def f():\n   -    1\n   +    2\n   *** End Patch\n   ```\n",
        &[r#"a.py:6 @ +LF "def f():\n    1\n" -> "def f():\n    2\n""#],
    );
    check(
        "  *** Begin Patch  \n*** Update File: `a.py`\t\n@@\n-1\n+2\n*** End Patch\n",
        &[r#"a.py:3 @ +LF "1\n" -> "2\n""#],
    );
    check(
        " *** Begin Patch\n *** Delete File: a.py\n *** End Patch\n",
        &["a.py:2 Delete { old: None }"],
    );
}

#[test]
fn headers_of_a_diff_are_taken_for_anchors() {
    check(
        "*** Begin Patch\n*** Update File: a\n@@ -10,2 +10,2 @@ fn f()\n a\n-b\n+c\n@@ fn g() @@\n-d\n@@ ... @@\n+e\n*** End Patch\n",
        &[
            r#"a:3 @ fn f() at 10 +LF "a\nb\n" -> "a\nc\n""#,
            r#"a:7 @ fn g() +LF "d\n" -> """#,
            r#"a:9 @ +LF "" -> "e\n""#,
        ],
    );
}

#[test]
fn a_part_that_cannot_be_read_spoils_its_file_alone() {
    let cannot = "cannot be read:";
    for (part, flaw) in [
        (
            "*** Update File: bad\n@@\n-x\ny\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} line 5 does not belong to it"),
        ),
        (
            "*** Update File: bad\n@@\n x\n",
            format!(
                "bad:2 Malformed: the patch at line 2 {cannot} the hunk at line 3 changes nothing"
            ),
        ),
        (
            "*** Update File: bad\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} it has no hunk"),
        ),
        (
            "*** Add File: bad\n+x\n\n+y\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} line 5 does not belong to it"),
        ),
        (
            "*** Add File: bad\nfn main() {}\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} line 3 does not belong to it"),
        ),
        (
            "*** Delete File: bad\n+x\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} line 3 does not belong to it"),
        ),
        (
            "*** Update File: bad\n@@\n-x\n+y\n *** Delete File: c\n",
            format!(
                "bad:2 Malformed: the patch at line 2 {cannot} line 6 may be a row of it or the start of another"
            ),
        ),
        (
            "*** Update File: bad\n@@\n-x\n*** Move to: c\n",
            format!(
                "bad:2 Malformed: the patch at line 2 {cannot} a file cannot be moved at line 5"
            ),
        ),
        (
            "*** Update File: bad\n@@\n-x\n*** End of File\n+y\n",
            format!("bad:2 Malformed: the patch at line 2 {cannot} line 6 does not belong to it"),
        ),
        (
            "*** Rename File: bad\n",
            format!("?:1 Malformed: the patch at line 1 {cannot} line 2 does not belong to it"),
        ),
        (
            "*** Update File:\n@@\n-x\n",
            format!("?:2 Malformed: the patch at line 2 {cannot} no path is given for it"),
        ),
    ] {
        let line = 2 + part.matches('\n').count();
        let reply = format!("*** Begin Patch\n{part}*** Delete File: good\n*** End Patch\n");
        let shown = show(&read(&[&reply], Ending::Complete));
        let good = format!("good:{line} Delete {{ old: None }}");
        assert!(shown.contains(&good), "{shown:?}");
        assert_eq!(shown[0], flaw, "{reply}");
        assert_eq!(
            shown.len(),
            if flaw.starts_with("?:2") { 3 } else { 2 },
            "{shown:?}"
        );
    }
}

#[test]
fn a_cut_envelope_gives_its_whole_parts() {
    let reply = "*** Begin Patch\n*** Delete File: a\n*** Update File: b\n@@\n-x\n+y\n";
    assert_eq!(
        show(&read(&[reply], Ending::CutOff)),
        [
            "a:2 Delete { old: None }",
            "b:3 Incomplete: the patch at line 3 is cut off"
        ]
    );
}

#[test]
fn lines_of_a_patch_outside_of_one_are_reported() {
    check(
        "*** Update File: a\n@@\n-x\n+y\n",
        &["a:1 Malformed: the line of a patch at line 1 stands in none"],
    );
    check(
        "```\n*** Begin Patch\n*** Update File: a\n@@\n-x\n+```\n+y\n```\nmore\n*** End Patch\n",
        &[
            r#"a:4 @ +LF "x\n" -> "```\ny\n""#,
            "a:10 Malformed: the line of a patch at line 10 stands in none",
        ],
    );
    check(
        "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\nDone.\n\nb.rs\n<<<<<<< SEARCH\n1\n=======\n2\n>>>>>>> REPLACE\n",
        &[
            "a:2 Malformed: the patch at line 2 cannot be read: line 6 does not belong to it",
            r#"b.rs:9 "1\n" -> "2\n""#,
        ],
    );
}

#[test]
fn an_envelope_goes_before_a_file_but_not_into_one() {
    check(
        "src/a.rs\n```rust\n*** Begin Patch\n*** Delete File: b\n*** End Patch\n```\n",
        &["b:4 Delete { old: None }"],
    );
    check(
        "```rust:src/a.rs\nfn f() {}\n*** Begin Patch\n*** Delete File: b\n*** End Patch\n```\n",
        &["src/a.rs:1 Malformed: the file at line 1 cannot be read: a patch stands in it, line 3"],
    );
}

#[test]
fn an_empty_new_file_does_not_empty_an_old_one() {
    check(
        "*** Begin Patch\n*** Add File: a/__init__.py\n*** End Patch\n",
        &[r#"a/__init__.py:2 Create { content: "" }"#],
    );
}
