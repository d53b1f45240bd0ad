//! Random changes of random files, written in each format as a model would, read again: the same
//! edits, or a refusal of the file.

use proptest::prelude::*;

use super::written::{Change, Changes, Row, Writing, Written, text, write};
use super::{check_starts, read};
use crate::plan::edits::{Edit, EditBody, Format};
use crate::plan::reply::{Ending, ReplyEvent};

/// Names a file may have; each is changed once in a set.
const PATHS: [&str; 5] = ["src/a.rs", "b.py", "my dir/c d.txt", "dé/e.md", "Makefile"];

/// Lines that mean something in some format.
const TELLING: [&str; 30] = [
    "",
    " ",
    "-",
    "+x",
    "-- x",
    "++ x",
    "--- a/z",
    "+++ b/z",
    "@@",
    "@@ -1 +1 @@",
    "diff --git a/z b/z",
    "\\ No newline at end of file",
    "```",
    "```rust",
    "````",
    "*** Begin Patch",
    "*** End Patch",
    "*** Update File: z",
    "*** End of File",
    "<<<<<<< SEARCH",
    "=======",
    ">>>>>>> REPLACE",
    "------- SEARCH",
    "+++++++ REPLACE",
    "<PlandexBlock path=\"z\">",
    "</PlandexBlock>",
    "EOF",
    "rename to z",
    "- an item",
    "...",
];

fn plain_line() -> BoxedStrategy<String> {
    "[a-z]{1,4}( [a-z]{1,3}){0,2}".boxed()
}

fn odd_line() -> BoxedStrategy<String> {
    prop_oneof![
        prop::sample::select(&TELLING[..]).prop_map(str::to_owned),
        plain_line()
    ]
    .boxed()
}

fn any_change(line: fn() -> BoxedStrategy<String>) -> impl Strategy<Value = Change> {
    let lines = move || prop::collection::vec(line(), 1..5);
    let rows = (lines(), lines(), lines(), lines()).prop_map(|(before, old, new, after)| {
        let signed = |sign, lines: Vec<String>| {
            lines
                .into_iter()
                .map(move |text| Row { sign, text })
                .collect::<Vec<_>>()
        };
        [
            signed(' ', before),
            signed('-', old),
            signed('+', new),
            signed(' ', after),
        ]
        .concat()
    });
    prop_oneof![
        (lines(), any::<bool>(), any::<bool>()).prop_map(|(lines, final_newline, executable)| {
            Change::Add {
                lines,
                final_newline,
                executable,
            }
        }),
        (
            prop::collection::vec(rows, 1..3),
            prop::option::of(Just("moved/to it.rs".to_owned())),
            any::<Option<bool>>(),
            any::<bool>(),
        )
            .prop_map(|(hunks, to, executable, final_newline)| Change::Update {
                hunks,
                to,
                executable,
                final_newline,
            }),
        lines().prop_map(|lines| Change::Delete { lines }),
    ]
}

fn any_changes(line: fn() -> BoxedStrategy<String>) -> impl Strategy<Value = Changes> {
    prop::collection::vec(any_change(line), 1..PATHS.len())
        .prop_map(|changes| PATHS.into_iter().zip(changes).collect())
}

fn any_writing() -> impl Strategy<Value = Writing> {
    prop::sample::select(vec![
        Writing::Patch,
        Writing::FencedPatch,
        Writing::BareDiff,
        Writing::FencedDiff,
        Writing::Blocks,
    ])
}

fn edits_of(events: &[ReplyEvent], path: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    for event in events {
        if let ReplyEvent::Edit(edit) = event
            && edit.path == path
        {
            edits.push(edit.clone());
        }
    }
    edits
}

fn is_refused(events: &[ReplyEvent], path: &str) -> bool {
    events.iter().any(|event| {
        matches!(event, ReplyEvent::Malformed(found) if found.path.as_deref() == Some(path))
    })
}

/// Text that ends a block and begins another one makes two blocks of it, and a file does not begin
/// with a hunk's numbers. No reader could tell.
fn reads_as_others(changes: &Changes) -> bool {
    const ENDS: [&str; 3] = [">>>>>>> REPLACE", "+++++++ REPLACE", "</PlandexBlock>"];
    const STARTS: [&str; 9] = [
        "<<<<<<< SEARCH",
        "------- SEARCH",
        "<PlandexBlock path=\"z\">",
        "*** Begin Patch",
        "diff --git a/z b/z",
        "--- a/z",
        "```",
        "```rust",
        "````",
    ];
    let text: String = changes
        .iter()
        .map(|(_, change)| match change {
            Change::Add { lines, .. } | Change::Delete { lines } => text(lines),
            Change::Update { hunks, .. } => {
                let rows = hunks.iter().flatten();
                rows.map(|row| format!("{}\n", row.text)).collect()
            }
        })
        .collect();
    let has = |lines: &[&str]| text.lines().any(|own| lines.contains(&own));
    has(&["@@ -1 +1 @@"]) || (has(&ENDS) && has(&STARTS))
}

/// The text with line ends as a file of another system has them, in a reply that has them too.
fn with_line_ends(text: &str, is_dos: bool) -> String {
    if is_dos {
        text.replace('\n', "\r\n")
    } else {
        text.to_owned()
    }
}

proptest! {
    #[test]
    fn plain_changes_read_back_as_they_are(
        changes in any_changes(plain_line),
        writing in any_writing(),
        is_dos: bool,
    ) {
        let Written { text: body, edits: expect } = write(&changes, writing);
        let reply = with_line_ends(&format!("I change this.\n\n{body}\nDone.\n"), is_dos);
        let events = read(&[&reply], Ending::Complete);
        check_starts(&events);
        for (path, _) in &changes {
            prop_assert!(!is_refused(&events, path), "{} {:?}", reply, events);
            let bodies: Vec<EditBody> =
                edits_of(&events, path).into_iter().map(|edit| edit.body).collect();
            let expect: Vec<EditBody> = expect
                .iter()
                .filter(|(of, _)| of == path)
                .map(|(_, body)| body.clone())
                .collect();
            prop_assert_eq!(bodies, expect, "{}", reply);
        }
    }

    #[test]
    fn odd_changes_read_back_as_they_are_or_are_refused(
        changes in any_changes(odd_line),
        writing in any_writing(),
        is_dos: bool,
    ) {
        prop_assume!(!matches!(writing, Writing::Blocks) || !reads_as_others(&changes));
        let Written { text: body, edits: expect } = write(&changes, writing);
        let reply = with_line_ends(&format!("I change this.\n\n{body}\nDone.\n"), is_dos);
        let events = read(&[&reply], Ending::Complete);
        check_starts(&events);
        for (path, _) in &changes {
            if is_refused(&events, path) {
                continue;
            }
            for (edit, (_, body)) in edits_of(&events, path)
                .iter()
                .zip(expect.iter().filter(|(of, _)| of == path))
            {
                let is_same = edit.body == *body || edit.other_readings.contains(body);
                let is_elided = matches!(edit.body, EditBody::Segments { .. });
                // A fence around all of a tagged file is not its text.
                let is_unfenced = edit.format == Format::PlandexBlock
                    && matches!(body, EditBody::Whole { content } if content.starts_with("```"));
                prop_assert!(is_same || is_elided || is_unfenced, "{}\n{:?}\n{:?}", reply, edit, body);
            }
        }
    }

    /// H16: only parts that were whole by then are edits.
    #[test]
    fn a_cut_gives_a_part_of_the_whole(
        changes in any_changes(odd_line),
        writing in any_writing(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut reply = write(&changes, writing).text;
        reply.push_str("Done.\n");
        let whole = read(&[&reply], Ending::Complete);
        let ends: Vec<usize> = reply.match_indices('\n').map(|(at, _)| at + 1).collect();
        let at = ends[cut.index(ends.len())];
        let cut = read(&[&reply[..at]], Ending::CutOff);
        for (path, _) in &changes {
            let (cut, whole) = (edits_of(&cut, path), edits_of(&whole, path));
            prop_assert!(whole.starts_with(&cut), "{}\n{:?}\n{:?}", &reply[..at], cut, whole);
        }
    }
}

#[test]
fn every_format_is_told_apart() {
    let change = Change::Add {
        lines: vec!["x".to_owned()],
        final_newline: true,
        executable: false,
    };
    let changes: Changes = vec![("src/a.rs", change)];
    for (writing, format) in [
        (Writing::Patch, Format::ApplyPatch),
        (Writing::BareDiff, Format::UnifiedDiff),
        (Writing::Blocks, Format::WholeFile),
    ] {
        let events = read(&[&write(&changes, writing).text], Ending::Complete);
        let edits = edits_of(&events, "src/a.rs");
        assert_eq!(edits[0].format, format);
    }
}
