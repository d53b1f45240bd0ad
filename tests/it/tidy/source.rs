//! Rust sources as the rules see them: without comments, without tests, with or without strings.

use std::ops::Range;
use std::path::Path;

/// One file below `src/`.
#[derive(Debug)]
pub(super) struct Source {
    /// From the top of the repository, "src/store/mod.rs".
    pub(super) path: String,
    /// As it is.
    pub(super) text: String,
    /// Comments, tests and the insides of strings blanked; same lines as `text`.
    pub(super) code: String,
    /// Comments and tests blanked, strings kept; same lines as `text`.
    pub(super) uncommented: String,
    /// How many lines are not tests.
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let (mut code, mut uncommented) = blank(text);
        let mut lines = text.lines().count();
        for range in tests(&code) {
            lines -= code[range.clone()].matches('\n').count();
            blank_range(&mut code, range.clone());
            blank_range(&mut uncommented, range);
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            uncommented,
            lines,
        }
    }

    /// The room it belongs to: "store", "workers", "main".
    pub(super) fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let first = inside.split('/').next().unwrap_or(inside);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many modules deep its items are: 1 in a room's own file.
    pub(super) fn depth(&self) -> usize {
        let parts = self.path.split('/').count() - 1;
        if self.path.ends_with("/mod.rs") {
            parts - 1
        } else {
            parts
        }
    }

    /// The line that byte `at` of the code is on, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// "src/store/mod.rs:17".
    pub(super) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path, self.line(at))
    }
}

/// All sources below `root/src` that are not tests.
pub(super) fn all(root: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    walk(&root.join("src"), &mut paths);
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            Source::new(name, &std::fs::read_to_string(path).unwrap())
        })
        .filter(|source| {
            let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
            !is_test
        })
        .collect()
}

fn walk(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every place of `name` in `text` where it is a whole word.
pub(super) fn places(text: &str, name: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = text[..*at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            let begins = !name.starts_with(is_word) || !before.is_some_and(is_word);
            let ends = !name.ends_with(is_word) || !after.is_some_and(is_word);
            begins && ends
        })
        .collect()
}

/// The code without comments and strings, and the code without comments.
fn blank(text: &str) -> (String, String) {
    let (mut code, mut uncommented) = (text.to_owned(), text.to_owned());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (length, kind) = token(text, at);
        match kind {
            Kind::Comment => {
                blank_range(&mut code, at..at + length);
                blank_range(&mut uncommented, at..at + length);
            }
            Kind::Literal => blank_range(&mut code, at..at + length),
            Kind::Code => {}
        }
        debug_assert!(length > 0, "{rest}");
        at += length;
    }
    (code, uncommented)
}

enum Kind {
    Comment,
    Literal,
    Code,
}

/// The length and kind of what begins at byte `at`.
fn token(text: &str, at: usize) -> (usize, Kind) {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Comment);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Comment);
    }
    let first = rest.chars().next().map_or(1, char::len_utf8);
    let after_word = text[..at]
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !after_word && let Some(length) = raw_string(rest) {
        return (length, Kind::Literal);
    }
    if rest.starts_with('"') {
        return (quoted(rest, '"'), Kind::Literal);
    }
    if rest.starts_with('\'') && is_char(rest) {
        return (quoted(rest, '\''), Kind::Literal);
    }
    (first, Kind::Code)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of `r"…"`, `br#"…"#` and the like, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(rest.len() - inside.len() + length)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// Whether the quote begins a character, not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// What stands under `#[cfg(test)]`.
fn tests(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let opens = code[at..].find('{').unwrap_or(usize::MAX);
        let ends = code[at..].find(';').unwrap_or(usize::MAX);
        let length = if ends < opens {
            ends + 1
        } else {
            opens.min(code.len() - at) + block(&code[at + opens.min(code.len() - at)..])
        };
        found.push(at..at + length);
    }
    found
}

/// The length of the block that opens here.
fn block(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// Replaces everything but line ends by blanks, so that lines and bytes stay where they are.
fn blank_range(text: &mut String, range: Range<usize>) {
    let blanks: String = text[range.clone()]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    text.replace_range(range, &blanks);
}
