//! Whether a screen says what a document says, but for what differs from run to run.
//!
//! Documents show real values (`pid 4711`, `15s`, `6ba7b810`), so both sides are brought to one
//! form before they are compared: times, clocks, ids, pids, sizes in MB, and the width of columns. A
//! line of `...` alone stands for any lines.

/// What stands for any lines.
const ANY: &str = "...";

/// Whether `seen` is what `shown` says; if not, the first line of `shown` that it misses.
pub(super) fn compare(shown: &[&str], seen: &[String]) -> Result<(), String> {
    let shown: Vec<String> = shown.iter().map(|line| normal(line)).collect();
    let seen: Vec<String> = seen.iter().map(|line| normal(line)).collect();
    matches(&shown, &seen).map_err(|at| match shown.get(at) {
        Some(line) => format!("the document shows\n    {line}"),
        None => "the document shows no more lines".to_owned(),
    })
}

/// How far `shown` was followed, if not to its end.
fn matches(shown: &[String], seen: &[String]) -> Result<(), usize> {
    let Some((first, rest)) = shown.split_first() else {
        return if seen.is_empty() { Ok(()) } else { Err(0) };
    };
    if first.trim() == ANY {
        let mut furthest = 0;
        for from in 0..=seen.len() {
            match matches(rest, &seen[from..]) {
                Ok(()) => return Ok(()),
                Err(at) => furthest = furthest.max(at),
            }
        }
        return Err(furthest + 1);
    }
    if seen.first() != Some(first) {
        return Err(0);
    }
    matches(rest, &seen[1..]).map_err(|at| at + 1)
}

/// A line without what differs from run to run.
pub(super) fn normal(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    let mut out = " ".repeat(indent);
    let words: Vec<&str> = line.trim().split(' ').collect();
    let mut index = 0;
    while index < words.len() {
        let word = words[index];
        if word.is_empty() {
            // The distance between two columns.
            if !out.ends_with("  ") {
                out.push(' ');
            }
            index += 1;
            continue;
        }
        if !out.trim().is_empty() && !out.ends_with("  ") {
            out.push(' ');
        }
        let before = index.checked_sub(1).map(|before| words[before]);
        let after_pid = before.is_some_and(|before| before.ends_with("pid"));
        let unit = words.get(index + 1).copied().unwrap_or_default();
        let number = word.trim_start_matches('~');
        if is_number(number) && is_unit(unit) {
            out.push_str(&word.replace(number, "T"));
            out.push_str(unit.trim_start_matches(char::is_alphabetic));
            index += 1;
        } else {
            out.push_str(&parts(word, after_pid));
        }
        index += 1;
    }
    out
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches(|c: char| !c.is_alphabetic());
    let units = ["ms", "s", "second", "minute", "hour", "day"];
    units.contains(&word.strip_suffix('s').unwrap_or(word)) || units.contains(&word)
}

/// A word with its parts of letters and digits replaced.
fn parts(word: &str, after_pid: bool) -> String {
    let mut out = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
        let gap = rest.find(is_part).unwrap_or(rest.len());
        out.push_str(&rest[..gap]);
        rest = &rest[gap..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (part, tail) = split_tail(&rest[..end]);
        out.push_str(part_of(part, after_pid).unwrap_or(part));
        out.push_str(tail);
        rest = &rest[end..];
    }
    out
}

/// The punctuation after a part belongs to the sentence.
fn split_tail(part: &str) -> (&str, &str) {
    part.split_at(part.trim_end_matches(['.', ':', '-']).len())
}

fn part_of(part: &str, after_pid: bool) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    };
    if after_pid && digits(part) {
        return Some("PID");
    }
    if part.len() >= 8 && hex(&part.replace('-', "")) && !(part.contains('-') && part.len() == 10) {
        return Some("ID");
    }
    if part.len() >= 8
        && part.contains(['-', ':'])
        && digits(&part.replace(['-', ':', '.', 'T', 'Z'], ""))
    {
        return Some("WHEN");
    }
    // Pids in tables; three digits, for a container's are small.
    if part.len() >= 3 && digits(part) {
        return Some("NUM");
    }
    let unit = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &part[..part.len() - unit.len()];
    (is_number(number) && ["s", "ms", "m", "h", "d", "MB"].contains(&unit)).then_some("T")
}

#[test]
fn only_what_differs_from_run_to_run_is_left_out() {
    let same = [
        (
            "  ci-7: tell (pid 4711), started 15s ago",
            "  ci-7: tell (pid 12), started 0s ago",
        ),
        ("Estimated wait: ~30 seconds", "Estimated wait: ~1 second"),
        ("a  b   c", "a     b  c"),
        ("1  cf7cf6507b  3m ago", "1  0123456789  0s ago"),
        (
            "#1 user  2026-11-23 19:55:22",
            "#1 user  2027-01-02 03:04:05",
        ),
        ("✓ Memory Usage: 12MB", "✓ Memory Usage: 0MB"),
        ("Hold p50 31 ms", "Hold p50 4 ms"),
    ];
    for (one, other) in same {
        assert_eq!(normal(one), normal(other));
    }
    let differ = [
        ("Position in queue: 2 of 3", "Position in queue: 1 of 3"),
        ("1 file pending", "2 files pending"),
        ("src/main.rs +1 −1", "src/main.rs +1 −2"),
        ("  a", "a"),
        ("exit 7", "exit 9"),
    ];
    for (one, other) in differ {
        assert_ne!(normal(one), normal(other));
    }
    let seen = ["a", "b", "c", "d"].map(str::to_owned);
    assert!(compare(&["a", "...", "d"], &seen).is_ok());
    assert!(compare(&["...", "c", "..."], &seen).is_ok());
    assert!(compare(&["a", "...", "c"], &seen).is_err());
    assert!(compare(&["a", "b", "c", "d", "e"], &seen).is_err());
    assert!(compare(&["a", "b", "c"], &seen).is_err());
}
