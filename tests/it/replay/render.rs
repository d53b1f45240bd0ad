//! A change as a careful model writes it, in each format.

use plandex::plan::edits::Format;

use super::hunks::{Hunk, Row};
use super::layout::Lines;

/// A whole file in a fence that is longer than any in it.
pub(super) fn whole(path: &str, after: &Lines) -> String {
    let fence = "`".repeat(longest_fence(&after.lines) + 1);
    let text: String = after.lines.iter().map(|line| format!("{line}\n")).collect();
    format!("This is the file:\n\n{fence}text:{path}\n{text}{fence}\n")
}

fn longest_fence(lines: &[String]) -> usize {
    let ticks = |line: &String| {
        let line = line.trim_start();
        line.len() - line.trim_start_matches('`').len()
    };
    lines.iter().map(ticks).max().unwrap_or(0).max(2)
}

/// SEARCH/REPLACE blocks, with markers that the text does not have; `None` if it has all of them.
pub(super) fn blocks(path: &str, hunks: &[Hunk]) -> Option<String> {
    let mut reply = String::new();
    for hunk in hunks {
        let (search, replace) = (hunk.old(), hunk.new_lines());
        let all = || search.iter().chain(&replace);
        let length = (5..=9).rev().find(|length| {
            let own = ["<", ">", "=", "+", "-"].map(|sign| sign.repeat(*length));
            all().all(|line| {
                own.iter().all(|own| {
                    let rest = line.trim().strip_prefix(own.as_str());
                    rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(' '))
                })
            })
        })?;
        let sign = |sign: &str| sign.repeat(length);
        let lines =
            |lines: &[&str]| -> String { lines.iter().map(|line| format!("{line}\n")).collect() };
        reply.extend([format!(
            "{path}\n{} SEARCH\n{}{}\n{}{} REPLACE\n\n",
            sign("<"),
            lines(&search),
            sign("="),
            lines(&replace),
            sign(">"),
        )]);
    }
    Some(reply)
}

/// A unified diff as git prints it, in a fence.
pub(super) fn diff(
    path: &str,
    before: Option<&Lines>,
    after: Option<&Lines>,
    hunks: &[Hunk],
) -> String {
    let mut text = format!("diff --git a/{path} b/{path}\n");
    let side = |letter: char, lines: Option<&Lines>| match lines {
        Some(_) => format!("{letter}/{path}"),
        None => "/dev/null".to_owned(),
    };
    match (before, after) {
        (None, _) => text.push_str("new file mode 100644\n"),
        (_, None) => text.push_str("deleted file mode 100644\n"),
        _ => {}
    }
    if hunks.is_empty() {
        // An empty file has no lines to tell of.
        return format!("```diff\n{text}```\n");
    }
    text.extend([format!(
        "--- {}\n+++ {}\n",
        side('a', before),
        side('b', after)
    )]);
    let mut added = 0_isize;
    for hunk in hunks {
        let (old, new) = (hunk.old().len(), hunk.new_lines().len());
        let start = isize::try_from(hunk.number).unwrap() + added;
        let start = start + isize::from(old == 0) - isize::from(new == 0);
        let heading = hunk.heading.as_ref().map(|heading| format!(" {heading}"));
        text.extend([format!(
            "@@ -{},{old} +{start},{new} @@{}\n",
            hunk.number,
            heading.unwrap_or_default()
        )]);
        added += isize::try_from(new).unwrap() - isize::try_from(old).unwrap();
        rows(&mut text, hunk);
    }
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // A row's sign stands before a fence of the file's own.
    let fence = "`".repeat(longest_fence(&lines) + 1);
    format!("{fence}diff\n{text}{fence}\n")
}

/// The rows, each last one of a file without a line end followed by what says so.
fn rows(text: &mut String, hunk: &Hunk) {
    let last = |sign: char| hunk.rows.iter().rposition(|row| row.sign != sign);
    let (last_old, last_new) = (last('+'), last('-'));
    for (at, Row { sign, text: line }) in hunk.rows.iter().enumerate() {
        text.extend([format!("{sign}{line}\n")]);
        let is_bare = (hunk.bare_ends.0 && last_old == Some(at))
            || (hunk.bare_ends.1 && last_new == Some(at));
        if is_bare {
            text.push_str("\\ No newline at end of file\n");
        }
    }
}

/// The `*** Begin Patch` envelope.
pub(super) fn patch(
    path: &str,
    before: Option<&Lines>,
    after: Option<&Lines>,
    hunks: &[Hunk],
) -> String {
    let mut text = "*** Begin Patch\n".to_owned();
    match (before, after) {
        (None, Some(after)) => {
            text.extend([format!("*** Add File: {path}\n")]);
            text.extend(after.lines.iter().map(|line| format!("+{line}\n")));
        }
        (_, None) => text.extend([format!("*** Delete File: {path}\n")]),
        _ => {
            text.extend([format!("*** Update File: {path}\n")]);
            for hunk in hunks {
                match hunk.anchor(Format::ApplyPatch) {
                    Some(heading) => text.extend([format!("@@ {heading}\n")]),
                    None => text.push_str("@@\n"),
                }
                text.extend(
                    hunk.rows
                        .iter()
                        .map(|row| format!("{}{}\n", row.sign, row.text)),
                );
                if hunk.is_at_end {
                    text.push_str("*** End of File\n");
                }
            }
        }
    }
    text.push_str("*** End Patch\n");
    text
}

/// The file with comments in the place of what stays: each part begins and ends with a line of the
/// file that says something. `None` if there is no such line near enough.
pub(super) fn references(path: &str, before: &Lines, hunks: &[Hunk]) -> Option<String> {
    let mark = match path.rsplit('.').next() {
        Some("md") => "<!-- ... existing code ... -->",
        Some("rs") => "// ... existing code ...",
        Some("sql") => "-- ... existing code ...",
        _ => "# ... existing code ...",
    };
    let mut text = String::new();
    let mut end = 0;
    for hunk in hunks {
        let telling = |row: &Row| {
            let letters = row.text.chars().filter(|c| c.is_alphanumeric());
            row.sign == ' ' && letters.count() >= 4
        };
        let first = hunk.rows.iter().position(telling)?;
        let last = hunk.rows.iter().rposition(telling)?;
        let is_whole = hunk.rows[..first]
            .iter()
            .chain(&hunk.rows[last + 1..])
            .all(|row| row.sign == ' ');
        if !is_whole {
            return None;
        }
        let old_first = hunk.start + first;
        if before.lines[end..old_first]
            .iter()
            .any(|line| !line.trim().is_empty())
        {
            text.extend([format!("{mark}\n")]);
        }
        let rows = hunk.rows[first..=last].iter();
        text.extend(
            rows.filter(|row| row.sign != '-')
                .map(|row| format!("{}\n", row.text)),
        );
        let old_rows = hunk.rows[..=last].iter().filter(|row| row.sign != '+');
        end = hunk.start + old_rows.count();
    }
    if before.lines[end..]
        .iter()
        .any(|line| !line.trim().is_empty())
    {
        text.extend([format!("{mark}\n")]);
    }
    Some(format!(
        "- {path}:\n\n<PlandexBlock lang=\"text\" path=\"{path}\">\n{text}</PlandexBlock>\n"
    ))
}
