//! Edits as the readers of the formats give them.

use plandex::plan::edits::{self, Edit, EditBody, Format};

use super::hunks::Hunk;
use super::layout::Lines;

pub(super) fn edit(path: &str, format: Format, body: EditBody) -> Edit {
    Edit {
        path: path.to_owned(),
        format,
        line: 1,
        body,
        other_readings: Vec::new(),
    }
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub(super) fn hunks(path: &str, format: Format, hunks: &[Hunk]) -> Result<Vec<Edit>, String> {
    let is_diff = format == Format::UnifiedDiff;
    let edits = hunks.iter().map(|hunk| {
        let final_newline = match hunk.bare_ends {
            (_, true) => Some(false),
            (true, false) => Some(true),
            _ => None,
        };
        let body = edits::Hunk {
            old: text(&hunk.old()),
            new: text(&hunk.new_lines()),
            anchors: hunk.anchor(format).into_iter().collect(),
            line: is_diff.then_some(hunk.number),
            is_at_end: !is_diff && hunk.is_at_end,
            final_newline: final_newline.filter(|_| is_diff),
        };
        edit(path, format, EditBody::Hunk(body))
    });
    Ok(edits.collect())
}

pub(super) fn file(
    path: &str,
    format: Format,
    before: Option<&Lines>,
    after: Option<&Lines>,
    parts: &[Hunk],
) -> Result<Vec<Edit>, String> {
    match (before, after) {
        (None, Some(after)) => {
            let lines: Vec<&str> = after.lines.iter().map(String::as_str).collect();
            Ok(vec![edit(
                path,
                format,
                EditBody::Create {
                    content: text(&lines),
                },
            )])
        }
        (Some(before), None) => {
            let lines: Vec<&str> = before.lines.iter().map(String::as_str).collect();
            let old = (format == Format::UnifiedDiff).then(|| text(&lines));
            Ok(vec![edit(path, format, EditBody::Delete { old })])
        }
        _ => hunks(path, format, parts),
    }
}
