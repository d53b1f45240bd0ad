//! Unified diffs for people.

use super::{columns, count, counted, truncated};
use crate::ui::style::{Signs, Style, Text};

/// The lines of a unified diff in their styles, without their newlines.
///
/// A line keeps a CR at its end, which is then shown: a change of line ends alone stays visible.
pub fn diff(unified: &str) -> Vec<Text> {
    let mut place = Place::Head;
    let lines = unified.split_inclusive('\n');
    let lines = lines.map(|line| line.strip_suffix('\n').unwrap_or(line));
    lines
        .map(|line| Text::styled(place.style_of(line), line))
        .collect()
}

/// Where in a unified diff a line stands: `--- x` is a file's name or a removed `-- x`.
enum Place {
    /// Before a file's first hunk.
    Head,
    /// In a hunk of which so many old and new lines are still to come.
    Hunk { old: u64, new: u64 },
}

impl Place {
    /// The style of the next line of the diff, moving past it.
    fn style_of(&mut self, line: &str) -> Style {
        if let Self::Hunk { old: 0, new: 0 } = self
            && !line.starts_with('\\')
        {
            *self = Self::Head;
        }
        match self {
            Self::Head => match hunk_lengths(line) {
                Some((old, new)) => {
                    *self = Self::Hunk { old, new };
                    Style::Cyan
                }
                None => Style::Bold,
            },
            Self::Hunk { old, new } => match line.as_bytes().first() {
                Some(b'-') => {
                    *old = old.saturating_sub(1);
                    Style::Red
                }
                Some(b'+') => {
                    *new = new.saturating_sub(1);
                    Style::Green
                }
                Some(b'\\') => Style::Dim,
                _ => {
                    (*old, *new) = (old.saturating_sub(1), new.saturating_sub(1));
                    Style::Plain
                }
            },
        }
    }
}

/// The old and new line counts of `@@ -3,7 +3,9 @@ …`; a count left out is 1.
fn hunk_lengths(line: &str) -> Option<(u64, u64)> {
    let (ranges, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let length = |range: &str| match range.split_once(',') {
        Some((_, length)) => length.parse().ok(),
        None => Some(1),
    };
    Some((length(old)?, length(new)?))
}

/// Added and removed lines: `+12 −3`.
pub fn stats(added: u64, removed: u64, signs: &Signs) -> Text {
    Text::styled(Style::Green, format!("+{}", count(added)))
        .plain(" ")
        .then(Style::Red, format!("{}{}", signs.minus, count(removed)))
}

/// A file's line in a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// The name as people read it.
    pub name: String,
    /// Lines added and removed; `None` for what is no text.
    pub lines: Option<(u64, u64)>,
}

/// A line for each file with a bar of what was added and removed, and one for all of them, as git
/// has it.
pub fn stat(files: &[FileStat], width: usize, signs: &Signs) -> Vec<Text> {
    let name_of = |file: &FileStat| truncated(&file.name, (width / 2).max(20), signs);
    let longest = files.iter().map(|file| columns(&name_of(file))).max();
    let longest = longest.unwrap_or_default();
    let sum = |lines: Option<(u64, u64)>| lines.map_or(0, |(added, removed)| added + removed);
    let most = files
        .iter()
        .map(|file| sum(file.lines))
        .max()
        .unwrap_or_default();
    let digits = most.to_string().len().max(3);
    let room = width.saturating_sub(longest + digits + 5).max(10) as u64;
    let bar = |lines: u64| match most > room {
        // What has changed is seen, however little it is.
        true => (lines * room).div_ceil(most.max(1)),
        false => lines,
    };
    let signs_of = |sign: &str, lines| sign.repeat(usize::try_from(bar(lines)).unwrap_or_default());
    let mut rows: Vec<Text> = files
        .iter()
        .map(|file| {
            let name = name_of(file);
            let gap = " ".repeat(longest - columns(&name));
            let row = Text::from(format!(" {name}{gap} | "));
            match file.lines {
                None => row.plain(format!("{:>digits$}", "Bin")),
                Some((added, removed)) => row
                    .plain(format!("{:>digits$} ", added + removed))
                    .then(Style::Green, signs_of("+", added))
                    .then(Style::Red, signs_of("-", removed)),
            }
        })
        .collect();
    let all =
        |pick: fn((u64, u64)) -> u64| files.iter().filter_map(|file| file.lines).map(pick).sum();
    let (added, removed): (u64, u64) = (all(|lines| lines.0), all(|lines| lines.1));
    let mut line = format!(" {} changed", counted(files.len() as u64, "file"));
    for (count, word, sign) in [(added, "insertion", "+"), (removed, "deletion", "-")] {
        if count > 0 {
            line = format!("{line}, {}({sign})", counted(count, word));
        }
    }
    rows.push(Text::from(line));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::{ASCII, UNICODE};

    #[test]
    fn a_diff_is_coloured_by_what_each_line_is() {
        let unified = "diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,3 @@ fn\n \
                       select\n--- a comment\n+++ plus\n end\r\n\\ No newline at end of file\n\
                       --- a/two\n+++ b/two\n@@ -1 +0,0 @@\n-x";
        let expected = [
            (Style::Bold, "diff --git a/q.sql b/q.sql"),
            (Style::Bold, "--- a/q.sql"),
            (Style::Bold, "+++ b/q.sql"),
            (Style::Cyan, "@@ -1,3 +1,3 @@ fn"),
            (Style::Plain, " select"),
            (Style::Red, "--- a comment"),
            (Style::Green, "+++ plus"),
            (Style::Plain, " end\r"),
            (Style::Dim, "\\ No newline at end of file"),
            (Style::Bold, "--- a/two"),
            (Style::Bold, "+++ b/two"),
            (Style::Cyan, "@@ -1 +0,0 @@"),
            (Style::Red, "-x"),
        ];
        let expected = expected.map(|(style, line)| Text::styled(style, line));
        assert_eq!(diff(unified), expected);
    }

    #[test]
    fn a_broken_diff_is_shown_whole() {
        for unified in [
            "",
            "\n",
            "@@",
            "@@ -x +y @@\n-a",
            "@@ -99 +99 @@\n+a\n\n-b",
            "+a\n-b",
        ] {
            let said: Vec<String> = diff(unified).iter().map(Text::unstyled).collect();
            assert_eq!(
                said.join("\n"),
                unified.strip_suffix('\n').unwrap_or(unified)
            );
        }
    }

    #[test]
    fn a_summary_has_a_bar_a_file() {
        let file = |name: &str, lines| FileStat {
            name: name.to_owned(),
            lines,
        };
        let files = [
            file("a", Some((1, 2))),
            file("long/name", Some((300, 0))),
            file("pic", None),
        ];
        let rows: Vec<String> = stat(&files, 40, &ASCII)
            .iter()
            .map(Text::unstyled)
            .collect();
        assert_eq!(
            rows,
            [
                " a         |   3 +-",
                &format!(" long/name | 300 {}", "+".repeat(23)),
                " pic       | Bin",
                " 3 files changed, 301 insertions(+), 2 deletions(-)",
            ]
        );
    }

    #[test]
    fn stats_use_the_signs_of_the_locale() {
        assert_eq!(stats(12, 3, &UNICODE).unstyled(), "+12 −3");
        assert_eq!(stats(1_200, 0, &ASCII).unstyled(), "+1,200 -0");
    }
}
