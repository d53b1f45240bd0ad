//! Random edits of random files, written as a model would, read and built: the result is what the
//! edit says, or a refusal. Never another file.

use proptest::prelude::*;

use crate::plan::edits::{Built, Edit, build_file};
use crate::plan::reply::{Ending, ReplyEvent, ReplyParser};

const PATH: &str = "src/a.rs";

/// Lines of files: few, so that they repeat, and among them all that means something here.
fn any_line() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(vec![
        "",
        "a",
        "b",
        "c",
        "    a",
        "  b",
        "\tc",
        "a ",
        "word one two",
        "}",
        "src/a.rs",
        "`src/b.rs`:",
        "```",
        "````",
        "```rust",
        "```rust:src/b.rs",
        "~~~",
        "<<<<<<< SEARCH",
        "<<<<< SEARCH",
        "=======",
        "=====",
        ">>>>>>> REPLACE",
        ">>>>> REPLACE",
        "+++++++ REPLACE",
        "...",
        "// ... existing code ...",
        "“a”",
        "\"a\"",
        "# x",
        "    ",
    ]);
    prop_oneof![
        3 => telling.prop_map(str::to_owned),
        2 => "[a-d]{1,3}",
    ]
}

fn any_lines(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any_line(), count)
}

/// How a file lays out its lines.
#[derive(Debug, Clone, Copy)]
struct Layout {
    end: &'static str,
    mark: bool,
    final_newline: bool,
}

fn any_layout() -> impl Strategy<Value = Layout> {
    let ends = prop::sample::select(vec!["\n", "\r\n"]);
    (ends, any::<bool>(), any::<bool>()).prop_map(|(end, mark, final_newline)| Layout {
        end,
        mark,
        final_newline,
    })
}

/// The layout a file with these lines can have: a last line that is empty has its end, and a file
/// without line ends tells none.
fn possible(lines: &[String], layout: Layout) -> Layout {
    let last_is_empty = lines.last().is_none_or(String::is_empty);
    let final_newline = layout.final_newline || last_is_empty;
    let end = if lines.len() < 2 && !final_newline {
        "\n"
    } else {
        layout.end
    };
    Layout {
        end,
        final_newline,
        ..layout
    }
}

fn lay_out(lines: &[String], layout: Layout) -> String {
    let mut text = if layout.mark {
        "\u{feff}".to_owned()
    } else {
        String::new()
    };
    text.push_str(&lines.join(layout.end));
    if layout.final_newline && !lines.is_empty() {
        text.push_str(layout.end);
    }
    text
}

/// An edit: the lines of a file, where it changes, and what to.
#[derive(Debug, Clone)]
struct Change {
    file: Vec<String>,
    at: std::ops::Range<usize>,
    new: Vec<String>,
}

impl Change {
    fn result(&self) -> Vec<String> {
        let mut lines = self.file.clone();
        lines.splice(self.at.clone(), self.new.iter().cloned());
        lines
    }
}

fn any_change() -> impl Strategy<Value = Change> {
    (
        any_lines(1..12),
        any::<(prop::sample::Index, prop::sample::Index)>(),
        any_lines(0..6),
    )
        .prop_map(|(file, (start, length), new)| {
            let start = start.index(file.len());
            let end = start + 1 + length.index(file.len() - start);
            Change {
                file,
                at: start..end,
                new,
            }
        })
}

/// A block as a careful model writes it: with markers as long as no divider in its text.
fn block(search: &[String], replace: &[String], indent: &str) -> Option<String> {
    let text = || search.iter().chain(replace);
    let length = (5..=9).rev().find(|length| {
        let own = ["<", ">", "=", "+", "-"].map(|sign| sign.repeat(*length));
        text().all(|line| {
            own.iter().all(|own| {
                let rest = line.trim().strip_prefix(own.as_str());
                rest.is_none_or(|rest| !rest.is_empty() && !rest.starts_with(' '))
            })
        })
    })?;
    let signs = |sign: &str| sign.repeat(length);
    let mut lines = vec![format!("{} SEARCH", signs("<"))];
    lines.extend_from_slice(search);
    lines.push(signs("="));
    lines.extend_from_slice(replace);
    lines.push(format!("{} REPLACE", signs(">")));
    Some(
        lines
            .iter()
            .map(|line| format!("{indent}{line}\n"))
            .collect(),
    )
}

/// A fence longer than any in its text.
fn fence(lines: &[String], mark: char) -> String {
    let longest = |line: &String| {
        let line = line.trim_start();
        line.len() - line.trim_start_matches(mark).len()
    };
    let length = lines.iter().map(longest).max().unwrap_or(0).max(2) + 1;
    String::from(mark).repeat(length)
}

/// Said when a reply holds nothing for the file.
const NOTHING: &str = "nothing for the file";

/// Reads a reply and builds the file, as `plan` does: not if any block for it is malformed.
fn build(reply: &str, base: Option<&str>) -> Result<Built, String> {
    let mut parser = ReplyParser::new();
    let mut events = parser.push(reply);
    events.extend(parser.finish(Ending::Complete));
    let mut edits: Vec<Edit> = Vec::new();
    let mut malformed = Vec::new();
    for event in events {
        match event {
            ReplyEvent::Edit(edit) if edit.path == PATH => edits.push(edit),
            ReplyEvent::Malformed(block) => malformed.push(block),
            ReplyEvent::Edit(_)
            | ReplyEvent::Prose(_)
            | ReplyEvent::FileStarted { .. }
            | ReplyEvent::FileLines { .. } => {}
        }
    }
    let is_spoiled = malformed
        .iter()
        .any(|block| block.path.as_deref() == Some(PATH));
    if is_spoiled || (edits.is_empty() && !malformed.is_empty()) {
        return Err(format!("{malformed:?}"));
    }
    if edits.is_empty() {
        return Err(NOTHING.to_owned());
    }
    build_file(PATH, base.map(str::as_bytes), &edits).map_err(|failures| format!("{failures:?}"))
}

/// The lines among [`any_line`]'s that stand for others.
fn stands_for_others(line: &str) -> bool {
    ["...", "// ... existing code ..."].contains(&line.trim())
}

/// Whether `built` has all new lines in their order but for those that stand for others, none of
/// these, and otherwise only lines of the old file, in theirs. Where a line stands in its line is
/// not looked at.
fn is_between(old: &[String], new: &[String], built: &str) -> bool {
    let built: Vec<&str> = built
        .lines()
        .map(|line| line.trim_matches(['\u{feff}', ' ', '\t']))
        .collect();
    let has_in_order = |all: &[&str], some: &[&str]| {
        let mut all = all.iter();
        some.iter().all(|line| all.any(|other| other == line))
    };
    let said: Vec<&str> = new
        .iter()
        .filter(|line| !stands_for_others(line))
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let kept: Vec<&str> = built
        .iter()
        .copied()
        .filter(|line| !line.is_empty() && !said.contains(line))
        .collect();
    let old: Vec<&str> = old.iter().map(|line| line.trim()).collect();
    has_in_order(&built, &said) && has_in_order(&old, &kept)
}

fn text(built: &Built) -> &str {
    std::str::from_utf8(built.content.as_deref().unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn a_block_makes_the_edit_it_says(
        change in any_change(),
        layout in any_layout(),
        wrap in prop::sample::select(vec!["plain", "fence", "labelled", "indented"]),
        crlf_reply: bool,
    ) {
        let indent = if wrap == "indented" { "   " } else { "" };
        let Some(block) = block(&change.file[change.at.clone()], &change.new, indent) else {
            return Ok(());
        };
        let mut reply = match wrap {
            "plain" => format!("{PATH}\n{block}"),
            "fence" => format!("Now:\n\n**{PATH}**\n```rust\n{block}```\nDone.\n"),
            "labelled" => format!("```rust:{PATH}\n{block}```\n"),
            _ => format!("1. Do:\n   ```rust:{PATH}\n{block}   ```\n"),
        };
        if crlf_reply {
            reply = reply.replace('\n', "\r\n");
        }
        let layout = possible(&change.file, layout);
        let base = lay_out(&change.file, layout);
        if let Ok(built) = build(&reply, Some(&base)) {
            let expected = lay_out(&change.result(), layout);
            prop_assert_eq!(text(&built), expected, "{}", reply);
        }
    }

    #[test]
    fn a_whole_file_is_what_it_says(
        old in any_lines(0..12),
        new in any_lines(0..12),
        layout in any_layout(),
        exists: bool,
        above: bool,
        tilde: bool,
    ) {
        // A marker at the start, or after a path there, makes it a block.
        if new.iter().take(4).any(|line| line.ends_with(" SEARCH")) {
            return Ok(());
        }
        let fence = fence(&new, if tilde { '~' } else { '`' });
        let content: String = new.iter().map(|line| format!("{line}\n")).collect();
        let reply = if above {
            format!("Text.\n\n### `{PATH}`\n{fence}rust\n{content}{fence}\nMore.\n")
        } else {
            format!("{fence}rust:{PATH}\n{content}{fence}\n")
        };
        let layout = possible(&old, layout);
        let base = lay_out(&old, layout);
        let plain = Layout { end: "\n", mark: false, final_newline: true };
        let expected = match (exists, old.as_slice()) {
            (false, _) => lay_out(&new, plain),
            // Nothing in an empty file tells its line ends.
            (true, []) => lay_out(&new, Layout { mark: layout.mark, ..plain }),
            (true, _) => lay_out(&new, layout),
        };
        match build(&reply, exists.then_some(base.as_str())) {
            // Such lines stand for some of the file, if it has none like them.
            Ok(built) if exists && new.iter().any(|line| stands_for_others(line)) => {
                let whole = text(&built) == expected;
                prop_assert!(whole || is_between(&old, &new, text(&built)), "{}", reply);
            }
            Ok(built) => prop_assert_eq!(text(&built), expected, "{}", reply),
            Err(refusal) => prop_assert_ne!(refusal, NOTHING, "{}", reply),
        }
    }

    /// With lines that occur once and mean nothing, nothing is refused.
    #[test]
    fn plain_edits_are_never_refused(
        length in 1_usize..40,
        start: prop::sample::Index,
        count: prop::sample::Index,
        new in prop::collection::vec("[a-z]{4,8} = [0-9]{1,3};", 0..6),
        layout in any_layout(),
    ) {
        let file: Vec<String> = (0..length).map(|index| format!("let v{index} = {index};")).collect();
        let start = start.index(length);
        let at = start..start + 1 + count.index(length - start);
        let change = Change { file, at, new };
        let block = block(&change.file[change.at.clone()], &change.new, "").unwrap();
        let layout = possible(&change.file, layout);
        let base = lay_out(&change.file, layout);
        let built = build(&format!("{PATH}\n{block}"), Some(&base)).unwrap();
        prop_assert_eq!(text(&built), lay_out(&change.result(), layout));
        prop_assert!(built.warnings.is_empty());
    }

    /// Edits made one after another in one reply, each on what the one before made.
    #[test]
    fn several_edits_make_what_they_say_in_order(
        length in 1_usize..20,
        steps in prop::collection::vec(
            (any::<(prop::sample::Index, prop::sample::Index)>(), 0_usize..4), 1..8,
        ),
        layout in any_layout(),
    ) {
        // No line comes twice, so that every place is the only one.
        let mut lines = ["a", "  b;", "\tc", "“d”", "=== e", "f "]
            .iter()
            .cycle()
            .zip(0..)
            .map(|(stem, number)| format!("{stem} {number}"));
        let file: Vec<String> = lines.by_ref().take(length).collect();
        let base = lay_out(&file, possible(&file, layout));
        let mut change = Change { file: file.clone(), at: 0..0, new: Vec::new() };
        let mut reply = format!("{PATH}\n");
        for ((start, length), new) in steps {
            if change.file.is_empty() {
                break;
            }
            let start = start.index(change.file.len());
            let at = start..start + 1 + length.index(change.file.len() - start);
            change = Change { at, new: lines.by_ref().take(new).collect(), ..change };
            reply.push_str(&block(&change.file[change.at.clone()], &change.new, "").unwrap());
            change.file = change.result();
        }
        let built = build(&reply, Some(&base)).unwrap();
        prop_assert_eq!(text(&built), lay_out(&change.file, possible(&file, layout)), "{}", reply);
    }
}
