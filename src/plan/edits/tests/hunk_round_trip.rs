//! Random changes of random files as hunks of diffs and patches, also as models spoil them: the
//! result is what the change says, or a refusal. Never another file.

use proptest::prelude::*;
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

use super::build::edit;
use crate::plan::edits::{Edit, EditBody, Format, Hunk, build_file};

/// Few different lines, so that most stand in several places.
fn any_line() -> impl Strategy<Value = String> {
    let lines = [
        "",
        "a",
        "b",
        "    a",
        "    b",
        "}",
        "    }",
        "fn one() {",
        "fn two() {",
        "let x = 1;",
        "    let x = 1;",
        "word word",
        "“a”",
        "a ",
        "\tb",
    ];
    prop::sample::select(lines.to_vec()).prop_map(str::to_owned)
}

fn any_lines(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_line(), count)
}

/// A file before and after some changes of it.
fn any_change() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let step = (any::<prop::sample::Index>(), 0_usize..3, any_lines(0..3));
    (any_lines(1..30), prop::collection::vec(step, 1..4)).prop_map(|(before, steps)| {
        let mut after = before.clone();
        for (at, count, lines) in steps {
            let at = at.index(after.len() + 1);
            let end = (at + count).min(after.len());
            after.splice(at..end, lines);
        }
        (before, after)
    })
}

/// What becomes of the numbers.
#[derive(Debug, Clone, Copy)]
enum Numbers {
    Right,
    Missing,
    AllOne,
    FarOff,
}

/// What becomes of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Right,
    TrailingSpace,
    Deeper,
    StaleTop,
    StaleBottom,
}

struct Part {
    rows: Vec<(char, String)>,
    start: usize,
}

impl Part {
    fn side(&self, sign: char) -> String {
        let rows = self.rows.iter().filter(|(other, _)| *other != sign);
        rows.map(|(_, line)| format!("{line}\n")).collect()
    }

    fn spoil(&mut self, how: Rows) {
        let last = self.rows.len() - 1;
        let is_inner_context =
            |rows: &[(char, String)], at: usize| rows.get(at).is_some_and(|row| row.0 == ' ');
        match how {
            Rows::Right => {}
            Rows::TrailingSpace => self
                .rows
                .iter_mut()
                .filter(|row| row.0 != '+')
                .for_each(|row| row.1.push_str("  ")),
            Rows::Deeper => {
                let texts = self.rows.iter_mut().filter(|row| !row.1.is_empty());
                texts.for_each(|row| row.1.insert_str(0, "        "));
            }
            Rows::StaleTop
                if is_inner_context(&self.rows, 0) && is_inner_context(&self.rows, 1) =>
            {
                self.rows[0].1 = "no such line is there".to_owned();
            }
            Rows::StaleBottom
                if last > 0
                    && is_inner_context(&self.rows, last)
                    && is_inner_context(&self.rows, last - 1) =>
            {
                self.rows[last].1 = "no such line is there".to_owned();
            }
            Rows::StaleTop | Rows::StaleBottom => {}
        }
    }

    /// Whether it says, but for trailing blanks, another place than it means.
    fn means_another(&self, before: &[String]) -> bool {
        let old: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| row.0 != '+')
            .map(|row| row.1.trim_end())
            .collect();
        !old.is_empty()
            && before.windows(old.len()).enumerate().any(|(at, window)| {
                at != self.start
                    && window
                        .iter()
                        .zip(&old)
                        .all(|(theirs, ours)| theirs.trim_end() == *ours)
            })
    }
}

fn parts(before: &[String], after: &[String], context: usize) -> Vec<Part> {
    let groups = group_diff_ops(
        capture_diff_slices(Algorithm::Myers, before, after),
        context,
    );
    let groups = groups
        .iter()
        .filter(|group| group.iter().any(|op| !matches!(op, DiffOp::Equal { .. })));
    let part = |ops: &Vec<DiffOp>| {
        let mut rows = Vec::new();
        for op in ops {
            let is_equal = matches!(op, DiffOp::Equal { .. });
            let old = before[op.old_range()]
                .iter()
                .map(|line| (if is_equal { ' ' } else { '-' }, line.clone()));
            rows.extend(old);
            if !is_equal {
                rows.extend(after[op.new_range()].iter().map(|line| ('+', line.clone())));
            }
        }
        Part {
            rows,
            start: ops[0].old_range().start,
        }
    };
    groups.map(part).collect()
}

fn edits(parts: &[Part], numbers: Numbers, format: Format) -> Vec<Edit> {
    let edits = parts.iter().map(|part| {
        let line = match numbers {
            Numbers::Right => Some(part.start + 1),
            Numbers::Missing => None,
            Numbers::AllOne => Some(1),
            Numbers::FarOff => Some(part.start + 1_000),
        };
        let hunk = Hunk {
            old: part.side('+'),
            new: part.side('-'),
            line,
            ..Hunk::default()
        };
        edit(format, EditBody::Hunk(hunk))
    });
    edits.collect()
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn hunks_make_what_they_say(
        (before, after) in any_change(),
        context in 0_usize..4,
        numbers in prop::sample::select(vec![Numbers::Right, Numbers::Missing, Numbers::AllOne, Numbers::FarOff]),
        how in prop::sample::select(vec![Rows::Right, Rows::TrailingSpace, Rows::Deeper, Rows::StaleTop, Rows::StaleBottom]),
        is_patch: bool,
        crlf: bool,
    ) {
        let mut parts = parts(&before, &after, context);
        parts.iter_mut().for_each(|part| part.spoil(how));
        if how != Rows::Right && parts.iter().any(|part| part.means_another(&before)) {
            return Ok(());
        }
        let format = if is_patch { Format::ApplyPatch } else { Format::UnifiedDiff };
        let end = if crlf { "\r\n" } else { "\n" };
        let lay_out = |lines: &[String]| text(lines).replace('\n', end);
        let edits = edits(&parts, numbers, format);
        if let Ok(built) = build_file("src/a.rs", Some(lay_out(&before).as_bytes()), &edits) {
            let built = String::from_utf8(built.content.unwrap()).unwrap();
            prop_assert_eq!(built, lay_out(&after), "{:#?}", edits);
        }
    }

    /// With lines that stand once, plain hunks with context are never refused.
    #[test]
    fn plain_hunks_are_never_refused(
        length in 2_usize..60,
        at in any::<prop::sample::Index>(),
        new in prop::collection::vec("[a-z]{4,8} = [0-9]{1,3};", 1..6),
        context in 1_usize..4,
        how in prop::sample::select(vec![Rows::Right, Rows::TrailingSpace, Rows::Deeper]),
    ) {
        let before: Vec<String> = (0..length).map(|line| format!("let v{line} = {line};")).collect();
        let mut after = before.clone();
        let at = at.index(length);
        after.splice(at..=at, new);
        let mut parts = parts(&before, &after, context);
        parts.iter_mut().for_each(|part| part.spoil(how));
        let edits = edits(&parts, Numbers::Missing, Format::UnifiedDiff);
        let built = build_file("src/a.rs", Some(text(&before).as_bytes()), &edits).unwrap();
        prop_assert_eq!(String::from_utf8(built.content.unwrap()).unwrap(), text(&after));
        prop_assert!(built.warnings.is_empty());
    }

    /// Whatever is built, not a byte above a hunk or below it is another.
    #[test]
    fn bytes_outside_of_hunks_stay(
        before in prop::collection::vec((any_line(), any::<bool>()), 1..30),
        at in any::<prop::sample::Index>(),
        new in any_lines(1..4),
        mark: bool,
        final_newline: bool,
    ) {
        let mut base = String::from(if mark { "\u{feff}" } else { "" });
        let mut starts = Vec::new();
        for (line, crlf) in &before {
            starts.push(base.len());
            base.push_str(line);
            base.push_str(if *crlf { "\r\n" } else { "\n" });
        }
        starts.push(base.len());
        if !final_newline && before.last().is_some_and(|(line, _)| !line.is_empty()) {
            base.truncate(base.trim_end_matches(['\r', '\n']).len());
        }
        let old: Vec<String> = before.iter().map(|(line, _)| line.clone()).collect();
        let at = at.index(old.len());
        let mut after = old.clone();
        after.splice(at..=at, new);
        let parts = parts(&old, &after, 2);
        let Some(part) = parts.first() else {
            return Ok(());
        };
        let end = part.start + part.side('+').lines().count();
        let edits = edits(&parts, Numbers::Right, Format::UnifiedDiff);
        if let Ok(built) = build_file("src/a.rs", Some(base.as_bytes()), &edits) {
            let built = String::from_utf8(built.content.unwrap()).unwrap();
            prop_assert!(built.starts_with(&base[..starts[part.start]]), "{:?} {:?}", built, edits);
            let tail = &base[starts[end].min(base.len())..];
            prop_assert!(built.ends_with(tail), "{:?} {:?}", built, edits);
        }
    }
}
