//! Random changes of random files, written in each format as a model would, read again: the same
//! edits, or a refusal of the file.

use proptest::prelude::*;

use super::{check_starts, read};
use crate::plan::edits::{Edit, EditBody, Format, Hunk};
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

#[derive(Debug, Clone)]
struct Row {
    sign: char,
    text: String,
}

/// What happens to a file.
#[derive(Debug, Clone)]
enum Change {
    Add {
        lines: Vec<String>,
        final_newline: bool,
        executable: bool,
    },
    Update {
        hunks: Vec<Vec<Row>>,
        to: Option<String>,
        executable: Option<bool>,
        /// What the last hunk says of the last line: what the old and the new one lack.
        lacks_end: Option<(bool, bool)>,
    },
    Delete {
        lines: Vec<String>,
    },
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
            any::<Option<(bool, bool)>>(),
        )
            .prop_map(|(hunks, to, executable, lacks_end)| {
                let lacks_end = lacks_end.filter(|lacks| lacks.0 && lacks.1);
                Change::Update {
                    hunks,
                    to,
                    executable,
                    lacks_end,
                }
            }),
        lines().prop_map(|lines| Change::Delete { lines }),
    ]
}

type Changes = Vec<(&'static str, Change)>;

fn any_changes(line: fn() -> BoxedStrategy<String>) -> impl Strategy<Value = Changes> {
    prop::collection::vec(any_change(line), 1..PATHS.len())
        .prop_map(|changes| PATHS.into_iter().zip(changes).collect())
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn side(rows: &[Row], without: char) -> String {
    let kept = rows.iter().filter(|row| row.sign != without);
    kept.map(|row| format!("{}\n", row.text)).collect()
}

fn write_rows(out: &mut String, rows: &[Row]) {
    for row in rows {
        *out += &format!("{}{}\n", row.sign, row.text);
    }
}

/// A patch, and the edits it says.
fn as_patch(changes: &Changes) -> (String, Vec<(String, EditBody)>) {
    let mut out = "*** Begin Patch\n".to_owned();
    let mut edits = Vec::new();
    for (path, change) in changes {
        let mut push = |body| edits.push(((*path).to_owned(), body));
        match change {
            Change::Add { lines, .. } => {
                out += &format!("*** Add File: {path}\n");
                lines.iter().for_each(|line| out += &format!("+{line}\n"));
                push(EditBody::Whole {
                    content: text(lines),
                });
            }
            Change::Delete { .. } => {
                out += &format!("*** Delete File: {path}\n");
                push(EditBody::Delete { old: None });
            }
            Change::Update { hunks, to, .. } => {
                out += &format!("*** Update File: {path}\n");
                if let Some(to) = to {
                    out += &format!("*** Move to: {to}\n");
                }
                for (index, rows) in hunks.iter().enumerate() {
                    let is_at_end = index == 1;
                    out += "@@ fn f() {\n";
                    write_rows(&mut out, rows);
                    if is_at_end {
                        out += "*** End of File\n";
                    }
                    push(EditBody::Hunk(Hunk {
                        old: side(rows, '+'),
                        new: side(rows, '-'),
                        anchors: vec!["fn f() {".to_owned()],
                        line: None,
                        is_at_end,
                        final_newline: Some(true),
                    }));
                }
                if let Some(to) = to {
                    push(EditBody::Move { to: to.clone() });
                }
            }
        }
    }
    (out + "*** End Patch\n", edits)
}

/// A name as git writes it.
fn quoted(prefix: &str, path: &str) -> String {
    if path.is_ascii() {
        return format!("{prefix}{path}");
    }
    let escaped: String = path
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(byte).to_string(),
            byte => format!("\\{byte:03o}"),
        })
        .collect();
    format!("\"{prefix}{escaped}\"")
}

const NO_END: &str = "\\ No newline at end of file\n";

/// A diff, and the edits it says.
fn as_diff(changes: &Changes) -> (String, Vec<(String, EditBody)>) {
    let mut out = String::new();
    let mut edits = Vec::new();
    for (path, change) in changes {
        let mut push = |body| edits.push(((*path).to_owned(), body));
        let (old, new) = (quoted("a/", path), quoted("b/", path));
        match change {
            Change::Add {
                lines,
                final_newline,
                executable,
            } => {
                let mode = if *executable { "100755" } else { "100644" };
                out += &format!(
                    "diff --git {old} {new}\nnew file mode {mode}\n--- /dev/null\n+++ {new}\n"
                );
                out += &format!("@@ -0,0 +1,{} @@\n", lines.len());
                lines.iter().for_each(|line| out += &format!("+{line}\n"));
                let mut content = text(lines);
                if !final_newline {
                    out += NO_END;
                    content.pop();
                }
                push(EditBody::Create { content });
                if *executable {
                    push(EditBody::Executable { executable: true });
                }
            }
            Change::Delete { lines } => {
                out += &format!(
                    "diff --git {old} {new}\ndeleted file mode 100644\n--- {old}\n+++ /dev/null\n"
                );
                out += &format!("@@ -1,{} +0,0 @@\n", lines.len());
                lines.iter().for_each(|line| out += &format!("-{line}\n"));
                push(EditBody::Delete {
                    old: Some(text(lines)),
                });
            }
            Change::Update {
                hunks,
                to,
                executable,
                lacks_end,
            } => {
                let target = to.as_deref().unwrap_or(path);
                let new = quoted("b/", target);
                out += &format!("diff --git {old} {new}\n");
                if let Some(executable) = executable {
                    let modes = if *executable {
                        ("100644", "100755")
                    } else {
                        ("100755", "100644")
                    };
                    out += &format!("old mode {}\nnew mode {}\n", modes.0, modes.1);
                }
                if let Some(to) = to {
                    out += &format!(
                        "similarity index 90%\nrename from {}\nrename to {to}\n",
                        quoted("", path)
                    );
                }
                out += &format!("--- {old}\n+++ {new}\n");
                for (index, rows) in hunks.iter().enumerate() {
                    let count = |without| rows.iter().filter(|row| row.sign != without).count();
                    let line = 1 + index * 100;
                    out += &format!(
                        "@@ -{line},{} +{line},{} @@ fn f()\n",
                        count('+'),
                        count('-')
                    );
                    write_rows(&mut out, rows);
                    let is_at_end = index + 1 == hunks.len() && lacks_end.is_some();
                    if is_at_end {
                        out += NO_END;
                    }
                    push(EditBody::Hunk(Hunk {
                        old: side(rows, '+'),
                        new: side(rows, '-'),
                        anchors: vec!["fn f()".to_owned()],
                        line: Some(line),
                        is_at_end,
                        final_newline: is_at_end.then_some(false),
                    }));
                }
                if let Some(to) = to {
                    push(EditBody::Move { to: to.clone() });
                }
                if let Some(executable) = executable {
                    push(EditBody::Executable {
                        executable: *executable,
                    });
                }
            }
        }
    }
    (out, edits)
}

/// Whole files and blocks of the changes that these can say.
fn as_blocks(changes: &Changes) -> (String, Vec<(String, EditBody)>) {
    let mut out = String::new();
    let mut edits = Vec::new();
    for (path, change) in changes {
        let mut push = |body| edits.push(((*path).to_owned(), body));
        match change {
            Change::Add {
                lines,
                executable: true,
                ..
            } => {
                out += &format!(
                    "<PlandexBlock lang=\"x\" path=\"{path}\">\n{}</PlandexBlock>\n",
                    text(lines)
                );
                push(EditBody::Whole {
                    content: text(lines),
                });
            }
            Change::Add { lines, .. } => {
                out += &format!("`````x path=\"{path}\"\n{}`````\n", text(lines));
                push(EditBody::Whole {
                    content: text(lines),
                });
            }
            Change::Update { hunks, .. } => {
                for rows in hunks {
                    let (search, replace) = (side(rows, '+'), side(rows, '-'));
                    out += &format!(
                        "File: {path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"
                    );
                    push(EditBody::Replace { search, replace });
                }
            }
            Change::Delete { .. } => {}
        }
    }
    (out, edits)
}

#[derive(Debug, Clone, Copy)]
enum Writing {
    Patch,
    FencedPatch,
    BareDiff,
    FencedDiff,
    Blocks,
}

fn write(changes: &Changes, writing: Writing) -> (String, Vec<(String, EditBody)>) {
    let fenced =
        |info: &str, (text, edits): (String, _)| (format!("`````{info}\n{text}`````\n"), edits);
    match writing {
        Writing::Patch => as_patch(changes),
        Writing::FencedPatch => fenced("", as_patch(changes)),
        Writing::BareDiff => as_diff(changes),
        Writing::FencedDiff => fenced("diff", as_diff(changes)),
        Writing::Blocks => as_blocks(changes),
    }
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
    let edit = |event: &ReplyEvent| match event {
        ReplyEvent::Edit(edit) if edit.path == path => Some(edit.clone()),
        _ => None,
    };
    events.iter().filter_map(edit).collect()
}

fn is_refused(events: &[ReplyEvent], path: &str) -> bool {
    let is_of = |event: &ReplyEvent| match event {
        ReplyEvent::Malformed(found) => found.path.as_deref() == Some(path),
        _ => false,
    };
    events.iter().any(is_of)
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
        let (body, expect) = write(&changes, writing);
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
        let (body, expect) = write(&changes, writing);
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
                let is_unfenced = match body {
                    EditBody::Whole { content } => {
                        edit.format == Format::PlandexBlock && content.starts_with("```")
                    }
                    _ => false,
                };
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
        let (mut reply, _) = write(&changes, writing);
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
        let events = read(&[&write(&changes, writing).0], Ending::Complete);
        let edits = edits_of(&events, "src/a.rs");
        assert_eq!(edits[0].format, format);
    }
}
