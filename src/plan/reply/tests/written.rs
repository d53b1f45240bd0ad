//! Changes of files, written in each format as a model would, and the edits that this says.

use std::fmt::Write as _;

use crate::plan::edits::{EditBody, Hunk};

/// One line of a hunk.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) sign: char,
    pub(super) text: String,
}

/// What happens to a file.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Add {
        lines: Vec<String>,
        final_newline: bool,
        executable: bool,
    },
    Update {
        hunks: Vec<Vec<Row>>,
        to: Option<String>,
        executable: Option<bool>,
        final_newline: bool,
    },
    Delete {
        lines: Vec<String>,
    },
}

/// What happens to each of some files.
pub(super) type Changes = Vec<(&'static str, Change)>;

/// A format, and what it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writing {
    Patch,
    FencedPatch,
    BareDiff,
    FencedDiff,
    Blocks,
}

/// The text of some changes, and the edits it says, each with its file.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) edits: Vec<(String, EditBody)>,
}

const NO_END: &str = "\\ No newline at end of file\n";

pub(super) fn write(changes: &Changes, writing: Writing) -> Written {
    let mut written = Written::default();
    let each = match writing {
        Writing::Patch | Writing::FencedPatch => Written::patch,
        Writing::BareDiff | Writing::FencedDiff => Written::diff,
        Writing::Blocks => Written::blocks,
    };
    for (path, change) in changes {
        each(&mut written, path, change);
    }
    let text = &mut written.text;
    if let Writing::Patch | Writing::FencedPatch = writing {
        *text = format!("*** Begin Patch\n{text}*** End Patch\n");
    }
    match writing {
        Writing::FencedPatch => *text = format!("`````\n{text}`````\n"),
        Writing::FencedDiff => *text = format!("`````diff\n{text}`````\n"),
        Writing::Patch | Writing::BareDiff | Writing::Blocks => {}
    }
    written
}

/// Lines as an edit's text.
pub(super) fn text(lines: &[String]) -> String {
    signed("", lines)
}

fn signed(sign: &str, lines: &[String]) -> String {
    lines.iter().map(|line| format!("{sign}{line}\n")).collect()
}

/// One side of a hunk: the rows without those of the other side.
fn side(rows: &[Row], other: char) -> String {
    let kept = rows.iter().filter(|row| row.sign != other);
    kept.map(|row| format!("{}\n", row.text)).collect()
}

fn rows_text(rows: &[Row]) -> String {
    let row = |row: &Row| format!("{}{}\n", row.sign, row.text);
    rows.iter().map(row).collect()
}

/// A name as git writes it.
fn quoted(prefix: &str, path: &str) -> String {
    if path.is_ascii() {
        return format!("{prefix}{path}");
    }
    let escape = |byte| match byte {
        b' '..=b'~' => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    };
    let escaped: String = path.bytes().map(escape).collect();
    format!("\"{prefix}{escaped}\"")
}

fn mode(executable: bool) -> &'static str {
    if executable { "100755" } else { "100644" }
}

impl Written {
    fn push(&mut self, path: &str, body: EditBody) {
        self.edits.push((path.to_owned(), body));
    }

    fn patch(&mut self, path: &str, change: &Change) {
        let (hunks, to) = match change {
            Change::Add { lines, .. } => {
                let rows = signed("+", lines);
                write!(self.text, "*** Add File: {path}\n{rows}").unwrap();
                let content = text(lines);
                return self.push(path, EditBody::Whole { content });
            }
            Change::Delete { .. } => {
                writeln!(self.text, "*** Delete File: {path}").unwrap();
                return self.push(path, EditBody::Delete { old: None });
            }
            Change::Update { hunks, to, .. } => (hunks, to),
        };
        writeln!(self.text, "*** Update File: {path}").unwrap();
        if let Some(to) = to {
            writeln!(self.text, "*** Move to: {to}").unwrap();
        }
        for (index, rows) in hunks.iter().enumerate() {
            let is_at_end = index == 1;
            let end = if is_at_end { "*** End of File\n" } else { "" };
            write!(self.text, "@@ fn f() {{\n{}{end}", rows_text(rows)).unwrap();
            let hunk = Hunk {
                old: side(rows, '+'),
                new: side(rows, '-'),
                anchors: vec!["fn f() {".to_owned()],
                line: None,
                is_at_end,
                final_newline: Some(true),
            };
            self.push(path, EditBody::Hunk(hunk));
        }
        if let Some(to) = to.clone() {
            self.push(path, EditBody::Move { to });
        }
    }

    fn diff(&mut self, path: &str, change: &Change) {
        let (old, new) = (quoted("a/", path), quoted("b/", path));
        match change {
            Change::Add {
                lines,
                final_newline,
                executable,
            } => {
                let (count, mode) = (lines.len(), mode(*executable));
                let head = format!("diff --git {old} {new}\nnew file mode {mode}\n");
                let names = format!("--- /dev/null\n+++ {new}\n@@ -0,0 +1,{count} @@\n");
                let end = if *final_newline { "" } else { NO_END };
                write!(self.text, "{head}{names}{}{end}", signed("+", lines)).unwrap();
                let mut content = text(lines);
                if !final_newline {
                    content.pop();
                }
                self.push(path, EditBody::Create { content });
                if *executable {
                    self.push(path, EditBody::Executable { executable: true });
                }
            }
            Change::Delete { lines } => {
                let head = format!("diff --git {old} {new}\ndeleted file mode 100644\n");
                let names = format!("--- {old}\n+++ /dev/null\n@@ -1,{} +0,0 @@\n", lines.len());
                write!(self.text, "{head}{names}{}", signed("-", lines)).unwrap();
                let old = Some(text(lines));
                self.push(path, EditBody::Delete { old });
            }
            Change::Update {
                hunks,
                to,
                executable,
                final_newline,
            } => {
                let new = quoted("b/", to.as_deref().unwrap_or(path));
                writeln!(self.text, "diff --git {old} {new}").unwrap();
                if let Some(executable) = *executable {
                    let (old, new) = (mode(!executable), mode(executable));
                    write!(self.text, "old mode {old}\nnew mode {new}\n").unwrap();
                }
                if let Some(to) = to {
                    let from = quoted("", path);
                    write!(self.text, "rename from {from}\nrename to {to}\n").unwrap();
                }
                write!(self.text, "--- {old}\n+++ {new}\n").unwrap();
                for (index, rows) in hunks.iter().enumerate() {
                    let is_at_end = index + 1 == hunks.len() && !final_newline;
                    self.hunk_of_diff(path, rows, 1 + index * 100, is_at_end);
                }
                if let Some(to) = to.clone() {
                    self.push(path, EditBody::Move { to });
                }
                if let Some(executable) = *executable {
                    self.push(path, EditBody::Executable { executable });
                }
            }
        }
    }

    fn hunk_of_diff(&mut self, path: &str, rows: &[Row], line: usize, is_at_end: bool) {
        let count = |other| rows.iter().filter(|row| row.sign != other).count();
        let (old, new) = (count('+'), count('-'));
        let end = if is_at_end { NO_END } else { "" };
        let head = format!("@@ -{line},{old} +{line},{new} @@ fn f()\n");
        write!(self.text, "{head}{}{end}", rows_text(rows)).unwrap();
        let hunk = Hunk {
            old: side(rows, '+'),
            new: side(rows, '-'),
            anchors: vec!["fn f()".to_owned()],
            line: Some(line),
            is_at_end,
            final_newline: is_at_end.then_some(false),
        };
        self.push(path, EditBody::Hunk(hunk));
    }

    /// Whole files and SEARCH/REPLACE blocks, as far as these can say it.
    fn blocks(&mut self, path: &str, change: &Change) {
        match change {
            Change::Add {
                lines, executable, ..
            } => {
                let content = text(lines);
                let (start, end) = if *executable {
                    let tag = format!("<PlandexBlock lang=\"x\" path=\"{path}\">");
                    (tag, "</PlandexBlock>")
                } else {
                    (format!("`````x path=\"{path}\""), "`````")
                };
                write!(self.text, "{start}\n{content}{end}\n").unwrap();
                self.push(path, EditBody::Whole { content });
            }
            Change::Update { hunks, .. } => {
                for rows in hunks {
                    let (search, replace) = (side(rows, '+'), side(rows, '-'));
                    let block = format!("{search}=======\n{replace}>>>>>>> REPLACE\n");
                    write!(self.text, "File: {path}\n<<<<<<< SEARCH\n{block}").unwrap();
                    self.push(path, EditBody::Replace { search, replace });
                }
            }
            Change::Delete { .. } => {}
        }
    }
}
