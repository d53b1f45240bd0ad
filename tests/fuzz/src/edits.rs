//! The builder on any file and any edits: it never panics, and what it makes differs from the file
//! by lines of the edits alone, or it refuses.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use plandex::plan::edits::{Edit, EditBody, Format, Hunk, build_file};

/// Between the parts of an input: no text has it.
const SEPARATOR: u8 = 0xff;

/// What is left of a line whatever tier an edit took: its letters and digits.
fn core(line: &str) -> String {
    line.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// How many more of each line `one` has than `two`.
fn surplus<'t>(one: &'t str, two: &'t str) -> Vec<&'t str> {
    let mut have: HashMap<&str, usize> = HashMap::new();
    for line in two.lines() {
        *have.entry(line).or_default() += 1;
    }
    let mut more = Vec::new();
    for line in one.lines() {
        match have.get_mut(line) {
            Some(count @ 1..) => *count -= 1,
            _ => more.push(line),
        }
    }
    more
}

fn edit(kind: u8, old: String, new: String) -> Edit {
    let body = match kind % 3 {
        0 => EditBody::Replace {
            search: old,
            replace: new,
        },
        1 => EditBody::Hunk(Hunk {
            old,
            new,
            ..Hunk::default()
        }),
        _ => EditBody::Hunk(Hunk {
            anchors: new.lines().take(1).map(str::to_owned).collect(),
            old,
            new,
            line: Some(usize::from(kind)),
            is_at_end: kind & 8 != 0,
            final_newline: [None, Some(true), Some(false)][usize::from(kind / 32) % 3],
        }),
    };
    Edit {
        path: "a.rs".to_owned(),
        format: Format::SearchReplace,
        line: 1,
        body,
        other_readings: Vec::new(),
    }
}

/// The text of an edit: every line ends in LF.
fn lines_of(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == SEPARATOR);
    let base = parts.next().unwrap_or_default();
    let rest: Vec<&[u8]> = parts.take(12).collect();
    let edits: Vec<Edit> = rest
        .chunks_exact(2)
        .map(|pair| {
            let (kind, old) = pair[0].split_first().unwrap_or((&0, &[]));
            edit(*kind, lines_of(old), lines_of(pair[1]))
        })
        .collect();
    let Ok(built) = build_file("a.rs", Some(base), &edits) else {
        return;
    };
    // A file that is no text is never touched by such an edit, nor one without an edit.
    let (Ok(before), Some(after)) = (std::str::from_utf8(base), built.content) else {
        assert!(edits.is_empty(), "a binary file was built");
        return;
    };
    let after = String::from_utf8(after).expect("text stays text");
    if edits.is_empty() {
        assert_eq!(after, before);
    }
    let (mut olds, mut news) = (Vec::new(), Vec::new());
    for edit in &edits {
        let (old, new) = match &edit.body {
            EditBody::Replace { search, replace } => (search, replace),
            EditBody::Hunk(hunk) => (&hunk.old, &hunk.new),
            _ => unreachable!("none is made"),
        };
        olds.extend(old.lines().map(core));
        news.extend(new.lines().map(core));
    }
    for line in surplus(before, &after) {
        let line = core(line);
        // What one edit brought another may take.
        let is_explained = olds.contains(&line) || news.contains(&line);
        assert!(is_explained, "a line went that no edit names: {line:?}");
    }
    for line in surplus(&after, before) {
        assert!(
            news.contains(&core(line)),
            "a line came that no edit has: {line:?}"
        );
    }
});
