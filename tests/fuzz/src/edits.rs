//! The builder on any file and any edits: it never panics, and what it makes differs from the file
//! by lines of the edits alone, or it refuses.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use plandex::plan::edits::{Edit, EditBody, Format, Hunk, build_file, check_path};

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
    let body = match kind % 9 {
        0 => EditBody::Replace {
            search: old,
            replace: new,
        },
        1 => EditBody::Hunk(Hunk {
            old,
            new,
            ..Hunk::default()
        }),
        2 => EditBody::Segments { content: new },
        3 => EditBody::Whole { content: new },
        4 => EditBody::Create { content: new },
        5 => EditBody::Delete {
            old: (kind & 16 != 0).then_some(old),
        },
        6 => EditBody::Move {
            to: new.trim_end().to_owned(),
        },
        7 => EditBody::Executable {
            executable: kind & 16 != 0,
        },
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
        format: match kind & 64 {
            0 => Format::SearchReplace,
            _ => Format::ApplyPatch,
        },
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
    // Names and modes are as an edit says, and the names are safe ones.
    if let Some(to) = &built.moved_to {
        let says = |edit: &Edit| matches!(&edit.body, EditBody::Move { to: said } if said == to);
        assert!(edits.iter().any(says), "moved to {to:?} by nobody");
        assert!(check_path(to).is_ok(), "moved to {to:?}");
    }
    if let Some(executable) = built.executable {
        let says = |edit: &Edit| edit.body == EditBody::Executable { executable };
        assert!(edits.iter().any(says), "made executable by nobody");
    }
    let Some(after) = built.content else {
        let deletes = |edit: &Edit| matches!(edit.body, EditBody::Delete { .. });
        assert!(
            edits.is_empty() || edits.iter().any(deletes),
            "it went by nobody"
        );
        return;
    };
    let writes = |edit: &Edit| {
        !matches!(
            edit.body,
            EditBody::Move { .. } | EditBody::Executable { .. } | EditBody::Delete { .. }
        )
    };
    if !edits.iter().any(writes) {
        assert_eq!(after, base, "nothing was written");
        return;
    }
    // What is written anew has none of the old lines.
    let replaces = |edit: &Edit| {
        matches!(
            edit.body,
            EditBody::Whole { .. } | EditBody::Segments { .. } | EditBody::Delete { .. }
        )
    };
    let is_replaced = edits.iter().any(replaces);
    let (before, after) = match (std::str::from_utf8(base), String::from_utf8(after)) {
        (Ok(before), Ok(after)) => (before, after),
        // UTF-16 that was replaced as a whole.
        _ => {
            assert!(is_replaced, "a binary file was built");
            return;
        }
    };
    // The mark of the encoding belongs to no line.
    let unmarked = |text: &str| text.trim_start_matches('\u{feff}').to_owned();
    let (before, after) = (unmarked(before), unmarked(&after));
    let (mut olds, mut news) = (Vec::new(), Vec::new());
    for edit in &edits {
        let (old, new) = match &edit.body {
            EditBody::Replace { search, replace } => (search.as_str(), replace.as_str()),
            EditBody::Hunk(hunk) => (hunk.old.as_str(), hunk.new.as_str()),
            EditBody::Whole { content }
            | EditBody::Create { content }
            | EditBody::Segments { content } => ("", content.as_str()),
            EditBody::Delete { .. } | EditBody::Move { .. } | EditBody::Executable { .. } => {
                ("", "")
            }
        };
        olds.extend(old.lines().map(core));
        news.extend(new.lines().map(core));
    }
    if !is_replaced {
        for line in surplus(&before, &after) {
            let line = core(line);
            // What one edit brought another may take.
            let is_explained = olds.contains(&line) || news.contains(&line);
            assert!(is_explained, "a line went that no edit names: {line:?}");
        }
    }
    for line in surplus(&after, &before) {
        assert!(
            news.contains(&core(line)),
            "a line came that no edit has: {line:?}"
        );
    }
});
