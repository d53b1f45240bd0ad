//! A document as the tests read it: its fenced blocks with the orders before them, and its prose.

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// The line of its fence, from 1.
    pub(super) line: usize,
    /// "console", "sh", "toml", …; empty if the fence names none.
    pub(super) language: String,
    /// Its lines, without the indentation of the fence.
    pub(super) text: String,
    /// What the comments since the block before say about it.
    pub(super) orders: Vec<String>,
}

/// A piece of code in a sentence, and the section that it stands in.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) text: String,
    /// How many headings stand before it.
    pub(super) section: usize,
    /// The whole line, for spans in tables.
    pub(super) around: String,
}

/// What a document consists of.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    pub(super) spans: Vec<Span>,
    pub(super) headings: Vec<String>,
    /// The rows of all tables, as their cells, with their lines.
    pub(super) rows: Vec<(usize, Vec<String>)>,
    /// Orders after the last block.
    pub(super) rest: Vec<String>,
    /// The targets of links.
    pub(super) links: Vec<(usize, String)>,
}

/// The name of a section's place on the page, as pages are shown: "Two terminals" → "two-terminals".
pub(super) fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| match c {
        ' ' => '-',
        c => c.to_ascii_lowercase(),
    })
    .collect()
}

/// Reads a document.
pub(super) fn read(name: &str, text: &str) -> Document {
    let mut document = Document {
        name: name.to_owned(),
        ..Document::default()
    };
    let mut lines = text.lines().enumerate();
    let (mut orders, mut prose) = (Vec::new(), Vec::new());
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim_start();
        if let Some(language) = fence(trimmed) {
            let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
            let indent = line.len() - trimmed.len();
            let mut text = String::new();
            for (_, line) in lines.by_ref() {
                let body = line.get(indent..).unwrap_or(line.trim_start());
                if body.trim_end() == "`".repeat(ticks) {
                    break;
                }
                text.push_str(body);
                text.push('\n');
            }
            document.blocks.push(Block {
                line: index + 1,
                language: language.to_owned(),
                text,
                orders: std::mem::take(&mut orders),
            });
        } else if let Some(order) = trimmed.strip_prefix("<!--") {
            let order = order.trim_end().strip_suffix("-->");
            let order = order.unwrap_or_else(|| panic!("{name}:{}: no end of comment", index + 1));
            orders.push(order.trim().to_owned());
        } else {
            prose.push((index + 1, line));
        }
    }
    document.rest = orders;
    read_prose(&mut document, &prose);
    document
}

/// The language of the fence that begins here.
fn fence(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('`');
    (line.len() - rest.len() >= 3 && !rest.contains('`')).then_some(rest.trim())
}

fn read_prose(document: &mut Document, prose: &[(usize, &str)]) {
    // A span may go on in the next line of its paragraph: an open one takes the lines that follow.
    let mut open: Option<(usize, String)> = None;
    for (line, text) in prose {
        if let Some(heading) = text.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim();
            document.headings.push(heading.to_owned());
        }
        if text.starts_with('|') {
            let inside = text.trim().trim_matches('|').replace("\\|", "\u{1}");
            let cells = inside
                .split('|')
                .map(|cell| cell.trim().replace('\u{1}', "|"));
            document.rows.push((*line, cells.collect()));
        }
        let (begins, whole) = match open.take() {
            Some((begins, mut before)) if !text.trim().is_empty() => {
                before.push(' ');
                before.push_str(text.trim_start());
                (begins, before)
            }
            Some(_) | None => (*line, (*text).to_owned()),
        };
        let (spans, rest) = spans_of(&whole);
        for text in spans {
            document.spans.push(Span {
                line: begins,
                text: text.replace("\\|", "|"),
                section: document.headings.len(),
                around: whole.clone(),
            });
        }
        open = rest.map(|rest| (begins, rest));
        links_of(document, *line, text);
    }
}

/// The spans of a text, and where one begins that does not end in it.
fn spans_of(text: &str) -> (Vec<String>, Option<String>) {
    let (mut spans, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('`') {
        let begins = &rest[at..];
        let body = begins.trim_start_matches('`');
        let ticks = "`".repeat(begins.len() - body.len());
        let Some(end) = body.find(&ticks) else {
            return (spans, Some(begins.to_owned()));
        };
        spans.push(body[..end].trim().to_owned());
        rest = &body[end + ticks.len()..];
    }
    (spans, None)
}

fn links_of(document: &mut Document, line: usize, text: &str) {
    for (at, _) in text.match_indices("](") {
        let target = &text[at + 2..];
        if let Some(end) = target.find(')') {
            document.links.push((line, target[..end].to_owned()));
        }
    }
}

#[test]
fn blocks_orders_and_spans_are_found() {
    let text = "# One two!\n\n<!-- world: x -->\n  ```console\n  $ a\n    b\n  ```\nSee `plandex\nlog`, \
                ``a ` b`` and [x](y#z).\n\n````text\n```rust\n````\n| `a \\| b` | c |\n<!-- end -->\n";
    let document = read("X.md", text);
    let blocks: Vec<_> = document
        .blocks
        .iter()
        .map(|block| (block.line, block.language.as_str(), block.text.as_str()))
        .collect();
    assert_eq!(
        blocks,
        [(4, "console", "$ a\n  b\n"), (11, "text", "```rust\n")]
    );
    assert_eq!(document.blocks[0].orders, ["world: x"]);
    assert_eq!(document.rest, ["end"]);
    let spans: Vec<_> = document
        .spans
        .iter()
        .map(|span| span.text.as_str())
        .collect();
    assert_eq!(spans, ["plandex log", "a ` b", "a | b"]);
    assert_eq!(
        document.rows,
        [(14, vec!["`a | b`".to_owned(), "c".to_owned()])]
    );
    assert_eq!(document.links, [(9, "y#z".to_owned())]);
    assert_eq!(anchor(&document.headings[0]), "one-two");
}
