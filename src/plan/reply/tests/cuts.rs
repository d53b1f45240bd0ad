use proptest::prelude::*;

use super::{check_starts, read};
use crate::plan::edits::Edit;
use crate::plan::reply::{Ending, ReplyEvent, ReplyParser};

const SAMPLES: [&str; 13] = [
    "I will add a greeting.\n\nsrc/main.rs\n```rust\nfn main() {\n    println!(\"hé\");\n}\n```\n\nRun it:\n```sh\ncargo run\n```\n",
    "**src/lib.rs**\r\n```rust\r\n<<<<<<< SEARCH\r\npub fn a() {}\r\n=======\r\npub fn b() {}\r\n>>>>>>> REPLACE\r\n```\r\nDone.",
    "```\na.rs\n<<<<<<< SEARCH\n=======\nnew\n>>>>>>> REPLACE\n\nb.rs\n------- SEARCH\nx\n=======\ny\n+++++++ REPLACE\n```\n",
    "````md:README.md\n# T\n```sh\nls\n```\n````\n~~~py file='a b.py'\nx\n~~~\n",
    "```rust:a.rs\nx\n```rust:b.rs\ny\n```\n>>>>>>> REPLACE\n",
    "a.md\n<<<<<<<< SEARCH\nT\n=======\n========\n<<<<<<< SEARCH\n>>>>>>> REPLACE\n>>>>>>>> REPLACE\ntail",
    "*** Begin Patch\n*** Update File: a.rs\n@@ fn é() {\n-a\n+b\n*** Add File: b\n+x\n*** End Patch\nDone.\n*** Begin Patch\n*** Delete File: c\n",
    "```sh\r\napply_patch <<'EOF'\r\n*** Begin Patch\r\n*** Update File: a\r\n*** Move to: b\r\n-x\r\n+y\r\nlost\r\n*** Delete File: c\r\nEOF\r\n```\r\n",
    "Raw:\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+é\n\\ No newline at end of file\n\nThen\n--- not\n+++ b\n@@\n-1\n+2\n--- a/z\n+++ b/z\n@@\n-1\n+2",
    "```diff\ndiff --git a/r b/s\nrename from r\nrename to s\ndiff --git a/m b/m\nold mode 100644\nnew mode 100755\n--- a/m\n+++ b/m\n@@ ... @@\n 1\n\n-2\ndiff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+3\n```\nEnd.\n",
    "- a.go:\n\n<PlandexBlock lang=\"go\" path=\"a.go\">\n// ... existing code ...\nx\n</PlandexBlock>\n\n<PlandexBlock lang=\"go\" path=\"b.go\">\ny\n",
    "```diff path=a.rs\n--- x\n@@ -1 +1 @@\n-a\n+b\n*** Begin Patch\n*** Delete File: q\n*** End Patch\n```\n*** End Patch\n",
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
        "*** Begin Patch",
        "*** Update File: a.rs",
        "  *** Add File: b.rs",
        "*** Delete File: c",
        "*** Move to: d",
        "*** End of File",
        "*** End Patch",
        " *** End Patch",
        "diff --git a/x.rs b/x.rs",
        "--- a/x.rs",
        "+++ b/x.rs",
        "+++ /dev/null",
        "rename to y.rs",
        "new mode 100755",
        "@@ -1,2 +1,2 @@",
        "@@ fn f()",
        " row",
        "-row",
        "+row",
        "\\ No newline at end of file",
        "<PlandexBlock lang=\"go\" path=\"a.go\">",
        "</PlandexBlock>",
        "apply_patch <<'EOF'",
        "EOF",
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
    let odd = |unit| repeat(unit, 1_000_000);
    let replies = [
        large("x"),
        large("some text of a usual length, as prose has it, line by line\n"),
        format!(
            "```rust:a.rs\n{}```\n",
            large("    let value = compute(input);\n")
        ),
        format!(
            "a.rs\n{}",
            odd("<<<<<<< SEARCH\nlet a = 1;\n=======\nb\n>>>>>>>> REPLACE\n")
        ),
        odd("\n"),
        format!("```rust:a.rs\n{}", odd("```a\n")),
        format!("```\n{}", odd("```a\n")),
        format!("```rust:a.rs\n{}", odd("\n")),
        format!("a.rs\n<<<<<<< SEARCH\n{}", odd("=======\n")),
        format!("a.rs\n{}", odd("<<<<<<< SEARCH\n")),
        format!("a.rs\n{}", odd("<<<<<< SEARCH\n>>>>> REPLACE\n")),
        format!(
            "*** Begin Patch\n*** Update File: a\n{}",
            large("-let a = 1;\n")
        ),
        format!("*** Begin Patch\n*** Update File: a\n{}", odd("@@ f\n-a\n")),
        format!("*** Begin Patch\n*** Update File: a\n{}", odd("@@\n")),
        format!("*** Begin Patch\n{}", odd("*** Delete File: a\n")),
        format!(
            "*** Begin Patch\n*** Add File: a\nx\n{}",
            large("spoiled text of a usual length\n")
        ),
        format!("--- a/x\n+++ b/x\n@@\n{}", large("+let a = 1;\n")),
        format!(
            "--- a/x\n+++ b/x\n@@\n{}",
            odd("--- a/x\n+++ b/x\n@@\n-a\n")
        ),
        format!("--- a/x\n+++ b/x\n@@\n-a\n{}", large("\n")),
        format!("```diff\n--- a/x\n+++ b/x\n@@\nx\n{}", odd("--- a/x\n")),
        odd("--- a/x\n"),
        odd("diff --git a/x b/x\n"),
        format!("diff --git {}\n", odd("a b/")),
        format!("--- {}\n+++ x\n", odd("2026-01-02 ")),
        format!("--- \"{}\n+++ x\n@@\n", odd("\\303\\251")),
        odd("<PlandexBlock path=\"a\">\n"),
        format!(
            "<PlandexBlock path=\"a\">\n{}</PlandexBlock>\n",
            large("// ... x\n")
        ),
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

#[test]
fn a_line_that_is_too_long_spoils_what_it_stands_in() {
    let long = "x".repeat(16_000_001);
    for (before, after, path) in [
        ("```rust:a.rs\n", "\n```\n", Some("a.rs")),
        ("a.rs\n<<<<<<< SEARCH\n", "\n=======\nb\n", Some("a.rs")),
        ("*** Begin Patch\n*** Add File: a.rs\n+", "\n", Some("a.rs")),
        ("--- a/a.rs\n+++ b/a.rs\n@@\n-", "\n+b\n", Some("a.rs")),
        ("<PlandexBlock path=\"a.rs\">\n", "\n", Some("a.rs")),
        ("", "\ntext\n", None),
    ] {
        let reply = format!("{before}{long}{after}");
        let whole = read(&[&reply], Ending::Complete);
        let flaw = whole.iter().find_map(|event| match event {
            ReplyEvent::Malformed(found) => Some(found.path.as_deref()),
            ReplyEvent::Prose(_)
            | ReplyEvent::FileStarted { .. }
            | ReplyEvent::FileLines { .. }
            | ReplyEvent::Edit(_) => None,
        });
        assert_eq!(flaw, Some(path), "{before}");
        let (head, tail) = reply.split_at(before.len() + 9_000_000);
        assert_eq!(read(&[head, tail], Ending::Complete), whole, "{before}");
    }
}

/// A bare diff has no end mark: where a source has no last word, its numbers tell.
#[test]
fn a_bare_diff_is_open_while_rows_are_missing() {
    let head = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n";
    for (rows, is_open) in [
        ("", true),
        ("+c", false),
        ("+c\n", false),
        ("+c\n\n", false),
    ] {
        let mut parser = ReplyParser::new();
        drop(parser.push(&format!("{head}{rows}")));
        assert_eq!(parser.is_in_block(), is_open, "{rows}");
    }
    let mut parser = ReplyParser::new();
    drop(parser.push("*** Begin Patch\n*** Delete File: a\n"));
    assert!(parser.is_in_block());
    drop(parser.push("*** End Patch\n"));
    assert!(!parser.is_in_block());
}
