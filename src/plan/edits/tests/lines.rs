use std::borrow::Cow;
use std::ops::Range;

use proptest::prelude::*;

use super::build::{replace, whole};
use crate::plan::edits::lines::{Likeness, Line, Lines};
use crate::plan::edits::steps::steps_of;
use crate::plan::edits::text::{LineEnd, key};
use crate::plan::edits::{Edit, EditBody, Format, Hunk, build_file};

fn line(text: &str) -> Line<'_> {
    Line {
        text: Cow::Borrowed(text),
        end: LineEnd::Lf,
        is_new: false,
    }
}

/// Where lines stand, found by looking everywhere.
fn everywhere(all: &[&str], wanted: &[&str]) -> Vec<usize> {
    let starts = 0..(all.len() + 1).saturating_sub(wanted.len());
    starts
        .filter(|start| all[*start..].starts_with(wanted))
        .collect()
}

fn check(lines: &mut Lines<'_>, expected: &[&str]) {
    assert_eq!(lines.count(), expected.len());
    for (at, text) in expected.iter().enumerate() {
        assert_eq!(lines.line(at).text, *text);
    }
    let keys: Vec<u64> = lines.keys(Likeness::Exact).collect();
    let right: Vec<u64> = expected
        .iter()
        .map(|line| key(line, Likeness::Exact))
        .collect();
    assert_eq!(keys, right);
}

const WORDS: [&str; 6] = ["a", "b", " b", "c ", "", "d"];

fn words(count: Range<usize>) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), count)
}

proptest! {
    #[test]
    fn lines_in_chunks_are_the_lines_in_a_row(
        start in words(0..120),
        changes in prop::collection::vec((any::<u16>(), any::<u16>(), words(0..30)), 0..12),
        searches in prop::collection::vec(words(1..4), 1..4),
    ) {
        let mut right = start.clone();
        let mut lines = Lines::new(start.into_iter().map(line).collect());
        for (from, until, with) in changes {
            let at = |number: u16| usize::from(number) % (right.len() + 1);
            let (from, until) = (at(from).min(at(until)), at(from).max(at(until)));
            lines.splice(from..until, with.iter().copied().map(line).collect());
            right.splice(from..until, with);
            check(&mut lines, &right);
            let window: Vec<&str> = lines.window(from..right.len()).map(|line| &*line.text).collect();
            prop_assert_eq!(window, &right[from..]);
            for wanted in &searches {
                let keys: Vec<u64> = wanted.iter().map(|line| key(line, Likeness::Exact)).collect();
                prop_assert_eq!(lines.find(&keys, Likeness::Exact), everywhere(&right, wanted));
            }
        }
    }
}

fn text_line(index: usize) -> String {
    format!("    let value_{index} = compute({index});\n")
}

/// The steps of building a file of so many lines by edits of every twentieth.
fn cost(lines: usize, edit: fn(usize) -> Edit) -> usize {
    let base: String = (0..lines).map(text_line).collect();
    // Not in the order of the file: each edit may be anywhere.
    let edits: Vec<Edit> = (0..lines / 20)
        .map(|number| edit(number * 7919 % (lines / 20) * 20 + 7))
        .collect();
    steps_of(|| {
        let built = build_file("a.rs", Some(base.as_bytes()), &edits).unwrap();
        assert_eq!(built.lines.added, edits.len());
    })
}

fn hunk(old: String, new: String) -> Edit {
    let hunk = Hunk {
        old,
        new,
        ..Hunk::default()
    };
    Edit {
        body: EditBody::Hunk(hunk),
        format: Format::UnifiedDiff,
        ..whole("")
    }
}

/// A kind of edits, and the one of a line.
type Kind = (&'static str, fn(usize) -> Edit);

#[test]
fn many_edits_cost_what_each_costs() {
    let kinds: [Kind; 4] = [
        ("as it is", |at| {
            let old = text_line(at);
            replace(&old, &format!("{old}    // {at}\n"))
        }),
        ("less indented", |at| {
            let old = text_line(at).replace("    let", "let");
            replace(&old, &format!("{old}// {at}\n"))
        }),
        ("other context", |at| {
            let old = format!("not there\n{}{}", text_line(at), text_line(at + 1));
            hunk(old.clone(), format!("{old}    // {at}\n"))
        }),
        ("dashes", |at| {
            let old = text_line(at).replace('_', "_\u{2013}");
            let new = text_line(at) + "// new\n";
            // Not found folded either: the longest way, which ends at the line as it is.
            Edit {
                other_readings: vec![EditBody::Replace {
                    search: old + "x\n",
                    replace: String::new(),
                }],
                ..replace(&text_line(at), &new)
            }
        }),
    ];
    for (kind, edit) in kinds {
        let (small, large) = (cost(2_000, edit), cost(20_000, edit));
        // Ten times the edits, each about the square root of ten: a hundred times where each
        // reads all.
        assert!(
            large < 32 * small,
            "{kind}: {small} steps, {large} of ten times as much"
        );
        let per_edit = large / 1_000;
        assert!(
            per_edit < 2_000,
            "{kind}: {per_edit} steps for each edit of 20,000 lines"
        );
    }
}

#[test]
fn equal_lines_are_read_once_for_each_edit() {
    let base = "x\n".repeat(20_000);
    // Wherever it begins, nearly all of the search stands there, or all.
    for search in ["x\n".repeat(10_000) + "y\n", "x\n".repeat(10_000)] {
        let steps = steps_of(|| {
            let edits = [replace(&search, "")];
            assert!(build_file("a", Some(base.as_bytes()), &edits).is_err());
        });
        assert!(steps < 1_000_000, "{steps} steps");
    }
}
