//! The elision guard: text such as `// ... existing code ...` stands for lines the model left out,
//! and is never written into a file.
//!
//! A line that merely looks so is let through where the old text shows that it is meant: it stands
//! there already, or it is the `...` body of a Python function that has no other body in the file.

use std::collections::{HashMap, HashSet};

use super::text::{indent, is_blank};

/// The old text an edit's lines take the place of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Old<'a> {
    /// The whole file; none of it for a new one. A line is known by the one before it, too.
    File(&'a [&'a str]),
    /// The lines of a file that a search was found at.
    Region(&'a [&'a str]),
}

/// The first line of `new` that stands for text left out, as an index.
///
/// `file` gives the lines of the whole old file; it is asked only if a line looks like one.
pub(super) fn find_elided<'a>(
    path: &str,
    new: &[&str],
    old: Old<'_>,
    file: impl Fn() -> Vec<&'a str>,
) -> Option<usize> {
    let comments = Comments::of(path);
    let mut suspects = Vec::new();
    let mut place = Place::default();
    for (index, line) in new.iter().enumerate() {
        let before = place.step(line);
        if stands_for_others(line, comments) {
            suspects.push((index, before));
        }
    }
    if suspects.is_empty() {
        return None;
    }
    let (lines, before_matters) = match old {
        Old::File(lines) => (lines, true),
        Old::Region(lines) => (lines, false),
    };
    let context = |before| if before_matters { before } else { "" };
    let mut there_already: HashMap<(&str, &str), usize> = HashMap::new();
    let mut place = Place::default();
    for line in lines {
        let before = place.step(line);
        *there_already
            .entry((context(before), line.trim()))
            .or_default() += 1;
    }
    let file = file();
    let elided = suspects.into_iter().find(|&(index, before)| {
        if let Some(left) = there_already.get_mut(&(context(before), new[index].trim()))
            && *left > 0
        {
            *left -= 1;
            return false;
        }
        !(comments == Comments::Python && is_stub_body(new, index, &file))
    });
    elided.map(|(index, _)| index)
}

/// What a line that stands for others says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// They stay.
    Kept,
    /// They go.
    Removed,
}

/// The lines of a file's new text that stand for others, as indices.
///
/// # Errors
/// The first that may be a line of its own, because the file has one like it.
pub(super) fn find_references(
    path: &str,
    new: &[&str],
    file: &[&str],
) -> Result<Vec<(usize, Reference)>, usize> {
    let comments = Comments::of(path);
    let mut references = Vec::new();
    let mut own: Option<HashSet<&str>> = None;
    for (index, line) in new.iter().enumerate() {
        if !stands_for_others(line, comments)
            || (comments == Comments::Python && is_stub_body(new, index, file))
        {
            continue;
        }
        let own = own.get_or_insert_with(|| file.iter().map(|line| line.trim()).collect());
        if own.contains(line.trim()) {
            return Err(index);
        }
        let (inner, _) = without_comment_marks(line.trim(), comments);
        let (words, _) = without_ellipsis(inner);
        let kind = match words.to_lowercase().starts_with(REMOVED_WORDS) {
            true => Reference::Removed,
            false => Reference::Kept,
        };
        references.push((index, kind));
    }
    Ok(references)
}

/// How the comment begins that says so of lines to be removed.
const REMOVED_WORDS: &str = "plandex: removed";

/// The last line with text above the one looked at.
#[derive(Default)]
struct Place<'a> {
    last: &'a str,
}

impl<'a> Place<'a> {
    /// Goes one line on, and gives what stood before that line.
    fn step(&mut self, line: &'a str) -> &'a str {
        let before = self.last;
        if !is_blank(line) {
            self.last = line.trim();
        }
        before
    }
}

/// Tells whether a line is only a comment or an ellipsis that means "the rest stays".
pub(super) fn is_elision(path: &str, line: &str) -> bool {
    stands_for_others(line, Comments::of(path))
}

/// What a leading `#` and a lone `...` mean in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comments {
    /// `#` starts a heading.
    Markdown,
    /// `#` starts a comment, `...` may be a body.
    Python,
    Other,
}

impl Comments {
    fn of(path: &str) -> Self {
        match super::label::extension(path).to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mdx" | "rst" | "txt" | "adoc" => Self::Markdown,
            "py" | "pyi" => Self::Python,
            _ => Self::Other,
        }
    }
}

/// Tells whether `...` is the whole body of a Python block that the old file does not have with
/// another body. `def f():` with code in the file and `...` in the edit is an elision.
fn is_stub_body(new: &[&str], index: usize, known: &[&str]) -> bool {
    if new[index].trim() != "..." {
        return false;
    }
    let Some(header) = new[..index].iter().rev().find(|line| !is_blank(line)) else {
        return false;
    };
    let depth = indent(new[index]).len();
    let next = new[index + 1..].iter().find(|line| !is_blank(line));
    let is_whole_body = next.is_none_or(|line| indent(line).len() < depth);
    let has_header = header.trim_end().ends_with(':') && indent(header).len() < depth;
    let has_other_body = known.iter().enumerate().any(|(at, line)| {
        line.trim() == header.trim()
            && known[at + 1..]
                .iter()
                .find(|line| !is_blank(line))
                .is_none_or(|b| b.trim() != "...")
    });
    has_header && is_whole_body && !has_other_body
}

fn stands_for_others(line: &str, comments: Comments) -> bool {
    // Placeholders are short; this also keeps the check cheap on long lines.
    if line.len() > 160 {
        return false;
    }
    let trimmed = line.trim();
    let (inner, commented) = without_comment_marks(trimmed, comments);
    let (words, ellipsis) = without_ellipsis(inner);
    let is_spread = ellipsis == Ellipsis::Before && inner.ends_with(words) && {
        let dots = &inner[..inner.len() - words.len()];
        !dots.ends_with(char::is_whitespace)
    };
    if is_spread && !words.is_empty() && !commented {
        return false;
    }
    if words.is_empty() {
        return ellipsis != Ellipsis::None;
    }
    let lower = words.to_lowercase();
    if lower.starts_with(REMOVED_WORDS) {
        return commented;
    }
    let words: Vec<&str> = lower
        .split(|character: char| !character.is_alphanumeric() && character != '\'')
        .filter(|word| !word.is_empty())
        .collect();
    let names_the_rest = words.iter().any(|word| REST_WORDS.contains(word));
    let only_plain_words = words
        .iter()
        .all(|word| REST_WORDS.contains(word) || PLAIN_WORDS.contains(word));
    match ellipsis {
        Ellipsis::BothSides => names_the_rest && words.len() <= 12,
        Ellipsis::Before => names_the_rest && (only_plain_words || (commented && words.len() <= 8)),
        Ellipsis::After => names_the_rest && only_plain_words,
        Ellipsis::None => only_plain_words && says_it_stays(&words, commented),
    }
}

/// Without dots a line needs more than one plain word about the rest: `# remaining fields` and
/// `// other methods` are comments that people write.
fn says_it_stays(words: &[&str], commented: bool) -> bool {
    let has = |word: &str| words.contains(&word);
    let has_any = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let kept = has_any(&["unchanged", "unmodified", "omitted", "snipped", "truncated"]);
    let rest_of = (has("rest") || has("remainder")) && has("of");
    let same = has("same") && has_any(&["as", "remains", "remain", "stays", "stay", "rest"]);
    let whole = has_any(&["existing", "remaining", "previous", "original"])
        && has_any(&["code", "file", "content", "contents", "implementation"]);
    match words {
        [_] => kept && commented,
        _ => rest_of || same || kept || (whole && commented),
    }
}

/// Words that speak of text left out.
const REST_WORDS: &[&str] = &[
    "rest",
    "remainder",
    "remaining",
    "remains",
    "remain",
    "existing",
    "unchanged",
    "unmodified",
    "same",
    "omitted",
    "snip",
    "snipped",
    "truncated",
    "other",
    "others",
    "previous",
    "original",
    "before",
    "more",
    "etc",
    "keep",
    "stays",
    "stay",
    "skipped",
    "elided",
    "abbreviated",
];

/// Words that may stand beside them in a placeholder, and mean nothing by themselves.
const PLAIN_WORDS: &[&str] = &[
    "the",
    "of",
    "is",
    "are",
    "as",
    "in",
    "and",
    "for",
    "here",
    "goes",
    "go",
    "your",
    "this",
    "that",
    "all",
    "above",
    "below",
    "no",
    "not",
    "changes",
    "change",
    "changed",
    "needed",
    "brevity",
    "code",
    "file",
    "class",
    "classes",
    "function",
    "functions",
    "method",
    "methods",
    "module",
    "modules",
    "implementation",
    "implementations",
    "component",
    "components",
    "imports",
    "import",
    "content",
    "contents",
    "body",
    "lines",
    "line",
    "logic",
    "tests",
    "test",
    "fields",
    "definitions",
    "declarations",
    "types",
    "props",
    "routes",
    "handlers",
    "styles",
    "config",
    "configuration",
    "section",
    "part",
    "parts",
    "script",
    "document",
    "it",
    "be",
    "shown",
    "was",
    "were",
    "with",
    "to",
    "a",
];

/// Strips what makes a line a comment, or a remark in brackets.
fn without_comment_marks(line: &str, comments: Comments) -> (&str, bool) {
    const STARTS: &[&str] = &[
        "<!--", "{/*", "/**", "/*", "///", "//!", "//", "--", "\"\"\"", ";;", ";", "%", "*",
    ];
    const MARKDOWN_STARTS: &[&str] = &["<!--", "{/*"];
    const ENDS: &[&str] = &["-->", "*/}", "**/", "*/", "\"\"\""];
    let mut inner = line;
    let mut commented = false;
    let starts = if comments == Comments::Markdown {
        MARKDOWN_STARTS
    } else {
        STARTS
    };
    if let Some(start) = starts.iter().find(|start| inner.starts_with(**start)) {
        inner = &inner[start.len()..];
        commented = true;
    } else if comments != Comments::Markdown && inner.starts_with('#') {
        inner = inner.trim_start_matches('#');
        commented = true;
    }
    if commented && let Some(end) = ENDS.iter().find(|end| inner.ends_with(**end)) {
        inner = &inner[..inner.len() - end.len()];
    }
    inner = inner.trim();
    for (open, close) in [('(', ')'), ('[', ']'), ('<', '>'), ('{', '}')] {
        let bracketed = inner
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close));
        if let Some(bracketed) = bracketed {
            // `[...rest]` is code; `[rest of the file]` is a remark.
            let is_remark = !bracketed.trim_start().starts_with("...");
            return (bracketed.trim(), commented || is_remark);
        }
    }
    (inner, commented)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ellipsis {
    None,
    Before,
    After,
    BothSides,
}

fn without_ellipsis(text: &str) -> (&str, Ellipsis) {
    let (rest, before) = strip_dots(text, |text| text.trim_start_matches(['.', '…']));
    let (rest, after) = strip_dots(rest, |text| text.trim_end_matches(['.', '…']));
    let rest = rest.trim();
    let ellipsis = match (before, after) {
        (true, true) => Ellipsis::BothSides,
        (true, false) => Ellipsis::Before,
        (false, true) => Ellipsis::After,
        (false, false) => Ellipsis::None,
    };
    (rest, ellipsis)
}

/// Strips dots from one side, and says whether they were an ellipsis: three or more, or `…`.
fn strip_dots(text: &str, strip: impl Fn(&str) -> &str) -> (&str, bool) {
    let rest = strip(text);
    let stripped_bytes = text.len() - rest.len();
    (rest, stripped_bytes >= 3)
}
