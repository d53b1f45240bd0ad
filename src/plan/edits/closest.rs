//! The place in a file most like lines that were not found: for the report, never for a build.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices};

use super::Closest;
use super::matcher::without_blank_ends;
use super::text::{Likeness, Text, is_blank, key};

/// Less alike than this is no help.
const SCORE_MIN: f64 = 0.6;

/// Searches of up to this many lines are compared word by word if no place has most of the lines;
/// longer ones always have some line unchanged.
const WORDWISE_LINES_MAX: usize = 8;

/// Files with more lines are not compared word by word.
const WORDWISE_FILE_LINES_MAX: usize = 50_000;

/// The diff shows at most this many lines.
const DIFF_LINES_MAX: usize = 60;

/// Finds the window of the file that is most like the searched lines, if any is much like them.
pub(super) fn find_closest(text: &mut Text<'_>, search: &[&str]) -> Option<Closest> {
    let search = &search[without_blank_ends(search)];
    if search.is_empty() || text.count() == 0 {
        return None;
    }
    let wanted: Vec<u64> = search
        .iter()
        .map(|line| key(line, Likeness::Inner))
        .collect();
    let window = linewise(text, search, &wanted);
    let (window, score) = match window {
        Some((window, score)) if score >= SCORE_MIN => (window, score),
        _ => wordwise(text, search)?,
    };
    let diff = diff(text, search, &wanted, window.clone());
    Some(Closest {
        start: window.start + 1,
        end: window.end,
        score,
        diff,
    })
}

/// The window with the most searched lines in it, and their share counted in order.
fn linewise(text: &mut Text<'_>, search: &[&str], wanted: &[u64]) -> Option<(Range<usize>, f64)> {
    let keys = text.keys(Likeness::Inner);
    let size = search.len().min(keys.len());
    let mut needed: HashMap<u64, i64> = HashMap::new();
    for (line, key) in search.iter().zip(wanted) {
        if !is_blank(line) {
            *needed.entry(*key).or_default() += 1;
        }
    }
    let mut common = 0_usize;
    let mut best: Option<(usize, usize)> = None;
    for (index, key) in keys.iter().enumerate() {
        if let Some(left) = needed.get_mut(key) {
            common += usize::from(*left > 0);
            *left -= 1;
        }
        if index + 1 < size {
            continue;
        }
        let start = index + 1 - size;
        if best.is_none_or(|(_, most)| common > most) && common > 0 {
            best = Some((start, common));
        }
        if let Some(left) = needed.get_mut(&keys[start]) {
            *left += 1;
            common -= usize::from(*left > 0);
        }
    }
    let (start, _) = best?;
    let window = start..start + size;
    let ops = capture_diff_slices(Algorithm::Myers, wanted, &keys[window.clone()]);
    let equal: usize = ops
        .iter()
        .filter(|op| op.tag() == DiffTag::Equal)
        .map(|op| op.old_range().len())
        .sum();
    Some((window, share(2 * equal, wanted.len() + size)))
}

/// The window whose lines have most words in common with the searched ones, line by line.
fn wordwise(text: &Text<'_>, search: &[&str]) -> Option<(Range<usize>, f64)> {
    let line_count = text.count();
    if search.len() > WORDWISE_LINES_MAX.min(line_count) || line_count > WORDWISE_FILE_LINES_MAX {
        return None;
    }
    let wanted: Vec<Vec<u64>> = search.iter().map(|line| words(line)).collect();
    let theirs: Vec<Vec<u64>> = text.window(0..line_count).map(words).collect();
    let mut best: Option<(usize, f64)> = None;
    for (start, window) in theirs.windows(wanted.len()).enumerate() {
        let alike: f64 = window
            .iter()
            .zip(&wanted)
            .map(|(a, b)| common_share(a, b))
            .sum();
        if best.is_none_or(|(_, most)| alike > most) {
            best = Some((start, alike));
        }
    }
    let (start, alike) = best?;
    let score = alike / share(wanted.len(), 1);
    (score >= SCORE_MIN).then(|| (start..start + wanted.len(), score))
}

/// Hashes of a line's words and signs, sorted.
fn words(line: &str) -> Vec<u64> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut words: Vec<u64> = line
        .split(|character| !is_word(character))
        .filter(|word| !word.is_empty())
        .map(|word| key(word, Likeness::Exact))
        .chain(
            line.chars()
                .filter(|character| !is_word(*character) && !character.is_whitespace())
                .map(u64::from),
        )
        .collect();
    words.sort_unstable();
    words
}

/// How much of two sorted lists is common, 0 to 1.
fn common_share(a: &[u64], b: &[u64]) -> f64 {
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    let (mut i, mut j, mut common) = (0, 0, 0_usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    share(2 * common, a.len() + b.len())
}

fn share(part: usize, whole: usize) -> f64 {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    count(part) / count(whole)
}

fn diff(text: &mut Text<'_>, search: &[&str], wanted: &[u64], window: Range<usize>) -> String {
    let ops = capture_diff_slices(
        Algorithm::Myers,
        wanted,
        &text.keys(Likeness::Inner)[window.clone()],
    );
    let theirs: Vec<&str> = text.window(window).collect();
    let mut rows: Vec<String> = Vec::new();
    let mut put = |sign: char, lines: &[&str]| {
        rows.extend(lines.iter().map(|line| format!("{sign}{line}\n")));
    };
    for op in &ops {
        match op {
            DiffOp::Equal { .. } => put(' ', &theirs[op.new_range()]),
            DiffOp::Delete { .. } | DiffOp::Insert { .. } | DiffOp::Replace { .. } => {
                put('-', &search[op.old_range()]);
                put('+', &theirs[op.new_range()]);
            }
        }
    }
    rows.truncate(DIFF_LINES_MAX);
    rows.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, search: &[&str], expect: Option<(usize, usize, &str)>) {
        let mut text = Text::read(file.as_bytes()).unwrap();
        let found = find_closest(&mut text, search);
        let found = found.as_ref().map(|closest| {
            assert!((SCORE_MIN..=1.0).contains(&closest.score), "{closest:?}");
            (closest.start, closest.end, closest.diff.as_str())
        });
        assert_eq!(found, expect, "{search:?} in {file:?}");
    }

    #[test]
    fn the_window_with_most_lines_wins() {
        let file = "fn a() {\n    one();\n    two();\n}\nfn b() {\n    one();\n    three();\n}\n";
        check(
            file,
            &["fn b() {", "one();", "four();", "}"],
            Some((
                5,
                8,
                " fn b() {\n     one();\n-four();\n+    three();\n }\n",
            )),
        );
        check(file, &["struct S;", "enum E {}"], None);
    }

    #[test]
    fn short_searches_are_compared_by_words() {
        let file = "let total = count(list, 1);\nlet other = sum(x);\n";
        check(
            file,
            &["let total = count(items, 1);"],
            Some((
                1,
                1,
                "-let total = count(items, 1);\n+let total = count(list, 1);\n",
            )),
        );
        check(file, &["match whatever {"], None);
    }

    #[test]
    fn a_search_longer_than_the_file_has_a_window_too() {
        check(
            "a\nb\nc\n",
            &["a", "b", "c", "d"],
            Some((1, 3, " a\n b\n c\n-d\n")),
        );
        check("", &["a"], None);
    }
}
