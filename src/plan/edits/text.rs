//! A file's text as lines, with what must survive a change: byte-order mark, line ends, last line.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use super::Reason;
pub(super) use super::lines::Likeness;
use super::lines::{Line, Lines};
use super::report::Flaw;

/// What a text's characters are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// UTF-16 with the lower byte first.
    Little,
    /// UTF-16 with the higher byte first.
    Big,
}

/// Bytes that are not UTF-8 text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Foreign {
    /// UTF-16 text, laid out so.
    Utf16(Layout),
    Unknown,
}

impl Foreign {
    /// Why lines cannot be changed.
    pub(super) fn flaw(self) -> Flaw {
        let flaw = Flaw::of(Reason::Binary);
        match self {
            Self::Utf16(_) => flaw.with_note(
                "it is UTF-16 text: convert it to UTF-8, or have the whole file written anew",
            ),
            Self::Unknown => flaw,
        }
    }
}

/// How bytes that are UTF-16 text, not UTF-8, are laid out; `None` for all others.
pub(super) fn utf16_layout(bytes: &[u8]) -> Option<Layout> {
    let encoding = utf16_order(bytes)?;
    let (pairs, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let units = pairs.iter().map(|pair| match encoding {
        Encoding::Big => u16::from_be_bytes(*pair),
        Encoding::Little | Encoding::Utf8 => u16::from_le_bytes(*pair),
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    let text = text.ok()?;
    let layout = Text::read(text.as_bytes())?.layout();
    Some(Layout { encoding, ..layout })
}

/// The order of the bytes of UTF-16, by its mark or by its zeros: one byte of each Latin letter is
/// zero, always the same.
fn utf16_order(bytes: &[u8]) -> Option<Encoding> {
    if bytes.starts_with(b"\xff\xfe") {
        return Some(Encoding::Little);
    }
    if bytes.starts_with(b"\xfe\xff") {
        return Some(Encoding::Big);
    }
    let start = &bytes[..bytes.len().min(512) & !1];
    let zeros = |side: usize| {
        let bytes = start.iter().skip(side).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    let half = start.len() / 2;
    let is_side = |side: usize| zeros(side) * 10 >= half * 9 && zeros(1 - side) == 0;
    match (is_side(0), is_side(1)) {
        (true, _) if half >= 2 => Some(Encoding::Big),
        (_, true) if half >= 2 => Some(Encoding::Little),
        _ => None,
    }
}

/// How a line ends. A file's last line has one too, written only with `final_newline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    Lf,
    CrLf,
}

/// A line that takes the place of others.
#[derive(Debug)]
pub(super) enum Row<'a> {
    /// The file's own line with this index, as it is.
    Kept(usize),
    /// Other text.
    New(Cow<'a, str>),
}

/// The form of a line under a likeness: two lines are alike if their forms are equal.
pub(super) fn form(line: &str, likeness: Likeness) -> Cow<'_, str> {
    match likeness {
        Likeness::Exact => Cow::Borrowed(line),
        Likeness::UpToTrailingSpace => Cow::Borrowed(line.trim_end_matches(is_space)),
        Likeness::Inner => Cow::Borrowed(line.trim_matches(is_space)),
        Likeness::FoldedInner => match fold(line) {
            Cow::Borrowed(folded) => Cow::Borrowed(folded.trim_matches(is_space)),
            Cow::Owned(folded) => Cow::Owned(folded.trim_matches(is_space).to_owned()),
        },
    }
}

/// A hash of a line's form. Equal hashes are a strong hint, not a proof.
pub(super) fn key(line: &str, likeness: Likeness) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(form(line, likeness).as_bytes());
    hasher.finish()
}

/// Tells whether a line has nothing to see.
pub(super) fn is_blank(line: &str) -> bool {
    line.chars().all(is_space)
}

/// The blanks a line starts with.
pub(super) fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(is_space).len()]
}

/// Puts plain characters for typographic quotes, dashes and spaces.
pub(super) fn fold(line: &str) -> Cow<'_, str> {
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let plain = |character| match character {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        other => other,
    };
    Cow::Owned(line.chars().map(plain).collect())
}

/// The lines of an edit's text, where every line ends in LF.
pub(super) fn edit_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

/// A file's text.
#[derive(Debug)]
pub(super) struct Text<'a> {
    lines: Lines<'a>,
    size: usize,
    layout: Layout,
}

/// What a file's text keeps whatever is edited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    byte_order_mark: bool,
    final_newline: bool,
    /// What most lines end in.
    end: LineEnd,
    encoding: Encoding,
}

impl<'a> Text<'a> {
    /// Reads a file, or gives `None` for bytes that are not text.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        if text.contains('\0') {
            return None;
        }
        let unmarked = text.strip_prefix('\u{feff}');
        let byte_order_mark = unmarked.is_some();
        let mut rest = unmarked.unwrap_or(text);
        let mut lines = Vec::new();
        let mut crlf_count = 0_usize;
        while let Some(at) = rest.find('\n') {
            let (line, end) = match rest[..at].strip_suffix('\r') {
                Some(line) => (line, LineEnd::CrLf),
                None => (&rest[..at], LineEnd::Lf),
            };
            crlf_count += usize::from(end == LineEnd::CrLf);
            lines.push(Line {
                text: Cow::Borrowed(line),
                end,
                is_new: false,
            });
            rest = &rest[at + 1..];
        }
        let end = if crlf_count * 2 > lines.len() {
            LineEnd::CrLf
        } else {
            LineEnd::Lf
        };
        let final_newline = rest.is_empty();
        if !final_newline {
            lines.push(Line {
                text: Cow::Borrowed(rest),
                end,
                is_new: false,
            });
        }
        let layout = Layout {
            byte_order_mark,
            final_newline,
            end,
            encoding: Encoding::Utf8,
        };
        Some(Self {
            lines: Lines::new(lines),
            size: bytes.len(),
            layout,
        })
    }

    /// Lays out an edit's text as a file: as `layout` says, or plainly for a new file.
    pub(super) fn from_edit(content: &'a str, layout: Option<Layout>) -> Self {
        let plain = Layout {
            byte_order_mark: false,
            final_newline: content.is_empty() || content.ends_with('\n'),
            end: LineEnd::Lf,
            encoding: Encoding::Utf8,
        };
        // An existing file has its mark from the layout.
        let content = match layout {
            Some(_) => content.strip_prefix('\u{feff}').unwrap_or(content),
            None => content,
        };
        let layout = layout.unwrap_or(plain);
        let lines = edit_lines(content)
            .into_iter()
            .map(|line| Line {
                text: Cow::Borrowed(line),
                end: layout.end,
                is_new: false,
            })
            .collect();
        Self {
            lines: Lines::new(lines),
            size: content.len(),
            layout,
        }
    }

    /// What a text that takes this one's place must keep. An empty file has no last line to go by.
    pub(super) fn layout(&self) -> Layout {
        let final_newline = self.layout.final_newline || self.lines.count() == 0;
        Layout {
            final_newline,
            ..self.layout
        }
    }

    /// How many lines there are.
    pub(super) fn count(&self) -> usize {
        self.lines.count()
    }

    /// The text of one line.
    pub(super) fn line(&self, at: usize) -> &str {
        &self.lines.line(at).text
    }

    /// The text of the lines in a range.
    pub(super) fn window(&self, range: Range<usize>) -> impl Iterator<Item = &str> {
        self.lines.window(range).map(|line| line.text.as_ref())
    }

    /// Whether an edit wrote any of these lines.
    pub(super) fn is_new(&self, range: Range<usize>) -> bool {
        self.lines.window(range).any(|line| line.is_new)
    }

    /// Gives the last line an end, or takes it.
    pub(super) fn set_final_newline(&mut self, final_newline: bool) {
        self.layout.final_newline = final_newline;
    }

    /// The size of the file it was read from, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The hashes of all lines.
    pub(super) fn keys(&mut self, likeness: Likeness) -> Vec<u64> {
        self.lines.keys(likeness).collect()
    }

    /// All places of lines with these hashes, ascending.
    pub(super) fn find(&mut self, keys: &[u64], likeness: Likeness) -> Vec<usize> {
        self.lines.find(keys, likeness)
    }

    /// Puts lines in the place of others. New ones end as most of the file's lines do.
    pub(super) fn replace(&mut self, range: Range<usize>, with: Vec<Row<'a>>) {
        let end = self.layout.end;
        let with = with.into_iter().map(|row| match row {
            Row::Kept(at) => self.lines.line(at).clone(),
            Row::New(text) => Line {
                text,
                end,
                is_new: true,
            },
        });
        let with = with.collect();
        self.lines.splice(range, with);
    }

    /// The file's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(self.size);
        if self.layout.byte_order_mark {
            text.push('\u{feff}');
        }
        let count = self.lines.count();
        for (index, line) in self.lines.window(0..count).enumerate() {
            text.push_str(&line.text);
            if index + 1 == count && !self.layout.final_newline {
                continue;
            }
            text.push_str(match line.end {
                LineEnd::Lf => "\n",
                LineEnd::CrLf => "\r\n",
            });
        }
        match self.layout.encoding {
            Encoding::Utf8 => text.into_bytes(),
            Encoding::Little => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Big => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new<'a>(lines: &[&'a str]) -> Vec<Row<'a>> {
        let rows = lines.iter().map(|line| Row::New(Cow::Borrowed(*line)));
        rows.collect()
    }

    #[test]
    fn a_text_reads_back_as_it_was() {
        let samples: [&[u8]; 11] = [
            b"",
            b"\n",
            b"\n\n",
            b"a",
            b"a\n",
            b"a\r\nb\r\n",
            b"a\r\nb\nc",
            b"a\rb",
            b"a\r",
            b"\xef\xbb\xbfa\r\n\r\nb",
            b"\xef\xbb\xbf",
        ];
        for sample in samples {
            assert_eq!(Text::read(sample).unwrap().bytes(), sample, "{sample:?}");
        }
        assert!(Text::read(b"a\0b").is_none());
        assert!(Text::read(b"caf\xe9").is_none());
    }

    #[test]
    fn new_lines_end_as_most_lines_do() {
        let mut text = Text::read(b"a\r\nb\r\nc\n").unwrap();
        text.replace(1..2, new(&["x", "y"]));
        assert_eq!(text.bytes(), b"a\r\nx\r\ny\r\nc\n");
    }

    #[test]
    fn a_missing_last_newline_stays_missing() {
        let mut text = Text::read(b"a\nb").unwrap();
        text.replace(2..2, new(&["c"]));
        assert_eq!(text.bytes(), b"a\nb\nc");
        text.replace(1..3, vec![]);
        assert_eq!(text.bytes(), b"a");
        text.replace(0..1, vec![]);
        assert_eq!(text.bytes(), b"");
    }

    #[test]
    fn keys_follow_the_lines() {
        let mut text = Text::read(b"a\n b \nc\n").unwrap();
        let _ = (
            text.keys(Likeness::Exact).len(),
            text.keys(Likeness::Inner).len(),
        );
        text.replace(0..1, new(&["b", "q"]));
        for likeness in [Likeness::Exact, Likeness::Inner, Likeness::FoldedInner] {
            let expected: Vec<u64> = ["b", "q", " b ", "c"]
                .iter()
                .map(|line| key(line, likeness))
                .collect();
            assert_eq!(text.keys(likeness), expected, "{likeness:?}");
        }
    }
}
