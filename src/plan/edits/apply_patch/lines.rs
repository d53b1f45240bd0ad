//! The lines of an envelope that mean something by themselves.

/// A line of three stars that means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Star<'a> {
    Begin,
    End,
    Add(&'a str),
    Update(&'a str),
    Delete(&'a str),
    MoveTo(&'a str),
    EndOfFile,
}

impl<'a> Star<'a> {
    /// Reads a line that starts with the stars.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let words = line.strip_prefix("*** ")?.trim();
        let path = |head: &str| words.strip_prefix(head).map(path_of);
        match words {
            "Begin Patch" => Some(Self::Begin),
            "End Patch" => Some(Self::End),
            "End of File" => Some(Self::EndOfFile),
            _ => path("Add File:")
                .map(Self::Add)
                .or_else(|| path("Update File:").map(Self::Update))
                .or_else(|| path("Delete File:").map(Self::Delete))
                .or_else(|| path("Move to:").map(Self::MoveTo)),
        }
    }

    /// Reads a line that may have blanks before the stars.
    pub(crate) fn read_padded(line: &'a str) -> Option<Self> {
        Self::read(line.trim_start_matches([' ', '\t']))
    }
}

/// Tells whether a line opens an envelope.
pub(crate) fn is_begin(line: &str) -> bool {
    Star::read_padded(line) == Some(Star::Begin)
}

fn path_of(text: &str) -> &str {
    let mut path = text.trim();
    for quote in ['`', '"', '\''] {
        let inner = path.strip_prefix(quote).and_then(|p| p.strip_suffix(quote));
        path = inner.unwrap_or(path);
    }
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path
}

/// What follows `@@`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor<'a> {
    pub(super) text: &'a str,
    pub(super) line: Option<usize>,
}

/// Reads `@@`, `@@ text`, and the header of a unified diff, which models mix in.
pub(super) fn anchor_of(row: &str) -> Option<Anchor<'_>> {
    let rest = row.strip_prefix("@@")?;
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    if let Some(header) = crate::plan::edits::hunk_header::read(row)
        && header.counts.is_some()
    {
        return Some(Anchor {
            text: header.section,
            line: header.line,
        });
    }
    let text = rest.trim();
    let text = text.strip_suffix("@@").unwrap_or(text).trim_end();
    let text = if text == "..." { "" } else { text };
    Some(Anchor { text, line: None })
}

/// The word that ends the document that a shell reads from here on.
pub(super) fn heredoc_word(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("<<")?;
    let rest = rest.trim_start_matches(['-', ' ', '\t']);
    let word: String = rest
        .trim_start_matches(['\'', '"', '\\'])
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}
