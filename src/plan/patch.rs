//! One file's change in git's own syntax, as bytes: what `git apply` takes, whatever the content.

use anyhow::Result;
use similar::{DiffTag, group_diff_ops};

use super::lines;
use crate::repo;

/// Lines of context around each hunk, as git has it.
const CONTEXT: usize = 3;

/// One side of a file's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) path: String,
    pub(super) content: Vec<u8>,
    pub(super) is_program: bool,
}

impl Side {
    fn mode(&self) -> &'static str {
        if self.is_program { "100755" } else { "100644" }
    }
}

/// The change from `old` to `new` (`None`: no file); empty if nothing differs.
pub(super) fn patch(old: Option<&Side>, new: Option<&Side>) -> Result<Vec<u8>> {
    if old == new {
        return Ok(Vec::new());
    }
    let empty = &Vec::new();
    let (from, to) = (
        old.map_or(empty, |side| &side.content),
        new.map_or(empty, |side| &side.content),
    );
    let is_binary = lines::is_binary(from) || lines::is_binary(to);
    let mut out = head(old, new, from == to).into_bytes();
    // A file that comes or goes without a line is told by its blobs alone.
    let needs_index = is_binary || from.is_empty() || to.is_empty();
    if from == to && old.is_some() && new.is_some() {
        return Ok(out);
    }
    if needs_index {
        let line = index(old, new, is_binary)?;
        out.extend_from_slice(line.as_bytes());
    }
    if is_binary {
        out.extend_from_slice(b"GIT binary patch\n");
        literal(to, &mut out)?;
        literal(from, &mut out)?;
    } else if from != to {
        for (sign, side, letter) in [("---", old, 'a'), ("+++", new, 'b')] {
            let name = side.map_or_else(|| "/dev/null".to_owned(), |side| hunk_name(letter, side));
            out.extend_from_slice(format!("{sign} {name}\n").as_bytes());
        }
        hunks(from, to, &mut out);
    }
    Ok(out)
}

/// Everything above the index line.
fn head(old: Option<&Side>, new: Option<&Side>, is_same: bool) -> String {
    let (Some(a), Some(b)) = (old.or(new), new.or(old)) else {
        return String::new();
    };
    let (from, to) = (quoted("a/", &a.path), quoted("b/", &b.path));
    let mut lines = vec![format!("diff --git {from} {to}")];
    match (old, new) {
        (None, Some(new)) => lines.push(format!("new file mode {}", new.mode())),
        (Some(old), None) => lines.push(format!("deleted file mode {}", old.mode())),
        (Some(old), Some(new)) => {
            if old.is_program != new.is_program {
                lines.push(format!("old mode {}", old.mode()));
                lines.push(format!("new mode {}", new.mode()));
            }
            if old.path != new.path {
                let alike = if is_same { 100 } else { similarity(old, new) };
                lines.push(format!("similarity index {alike}%"));
                lines.push(format!("rename from {}", quoted("", &old.path)));
                lines.push(format!("rename to {}", quoted("", &new.path)));
            }
        }
        (None, None) => {}
    }
    lines.join("\n") + "\n"
}

/// How much of the larger side the other has, in percent; never all of it.
fn similarity(old: &Side, new: &Side) -> usize {
    let (_, removed) = lines::count(&old.content, &new.content);
    let all = lines::split(&old.content).len().max(1);
    (100 * all.saturating_sub(removed) / all).min(99)
}

fn index(old: Option<&Side>, new: Option<&Side>, is_binary: bool) -> Result<String> {
    let id = |side: Option<&Side>| {
        let none = || Ok("0".repeat(40));
        side.map_or_else(none, |side| repo::blob_id(&side.content))
    };
    let digits = if is_binary { 40 } else { 7 };
    let mode = match (old, new) {
        (Some(old), Some(new)) if old.is_program == new.is_program => format!(" {}", new.mode()),
        _ => String::new(),
    };
    let (old, new) = (id(old)?, id(new)?);
    Ok(format!(
        "index {}..{}{mode}\n",
        &old[..digits],
        &new[..digits]
    ))
}

fn hunk_name(letter: char, side: &Side) -> String {
    let name = quoted(&format!("{letter}/"), &side.path);
    // As git has it: else a name with a space would end at what looks like a date.
    let tab = if name.contains(' ') && !name.starts_with('"') {
        "\t"
    } else {
        ""
    };
    name + tab
}

/// A name as git writes it: in C's quotes if a program could take it for something else.
pub(super) fn quoted(prefix: &str, path: &str) -> String {
    let is_plain = |c: char| !c.is_control() && c != '"' && c != '\\';
    if path.chars().all(is_plain) {
        return format!("{prefix}{path}");
    }
    let mut out = format!("\"{prefix}");
    for c in path.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    let octal = format!("\\{byte:03o}");
                    out.push_str(&octal);
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn hunks(from: &[u8], to: &[u8], out: &mut Vec<u8>) {
    let (old, new) = (lines::split(from), lines::split(to));
    for group in group_diff_ops(lines::compare(&old, &new), CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let before = range(first.old_range().start, last.old_range().end);
        let after = range(first.new_range().start, last.new_range().end);
        out.extend_from_slice(format!("@@ -{before} +{after} @@\n").as_bytes());
        for op in &group {
            if op.tag() == DiffTag::Equal {
                old[op.old_range()]
                    .iter()
                    .for_each(|line| put(b' ', line, out));
            } else {
                old[op.old_range()]
                    .iter()
                    .for_each(|line| put(b'-', line, out));
                new[op.new_range()]
                    .iter()
                    .for_each(|line| put(b'+', line, out));
            }
        }
    }
}

fn put(sign: u8, line: &[u8], out: &mut Vec<u8>) {
    out.push(sign);
    out.extend_from_slice(line);
    if line.last() != Some(&b'\n') {
        out.extend_from_slice(b"\n\\ No newline at end of file\n");
    }
}

/// Lines `start..end` as a hunk's head has them: of none, the line before.
fn range(start: usize, end: usize) -> String {
    match end - start {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        count => format!("{},{count}", start + 1),
    }
}

/// A content as a binary patch has it: compressed, 52 bytes a line in base 85.
fn literal(content: &[u8], out: &mut Vec<u8>) -> Result<()> {
    const ALPHABET: &[u8; 85] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\
          !#$%&()*+-;<=>?@^_`{|}~";
    out.extend_from_slice(format!("literal {}\n", content.len()).as_bytes());
    for line in repo::deflated(content)?.chunks(52) {
        // The length as a letter: A is 1, Z is 26, a is 27.
        let length = u8::try_from(line.len())?;
        out.push(if length <= 26 {
            b'A' + length - 1
        } else {
            b'a' + length - 27
        });
        for four in line.chunks(4) {
            let mut word = [0; 4];
            word[..four.len()].copy_from_slice(four);
            let mut rest = u32::from_be_bytes(word);
            let mut five = [0; 5];
            for digit in five.iter_mut().rev() {
                *digit = ALPHABET[(rest % 85) as usize];
                rest /= 85;
            }
            out.extend_from_slice(&five);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(path: &str, content: &str, is_program: bool) -> Side {
        Side {
            path: path.to_owned(),
            content: content.as_bytes().to_vec(),
            is_program,
        }
    }

    fn text(old: Option<&Side>, new: Option<&Side>) -> String {
        String::from_utf8(patch(old, new).unwrap()).unwrap()
    }

    #[test]
    fn names_are_quoted_as_git_does() {
        assert_eq!(quoted("a/", "x y"), "a/x y");
        assert_eq!(quoted("a/", "ünï"), "a/ünï");
        assert_eq!(quoted("b/", "a\"b\\c\n\u{1}"), r#""b/a\"b\\c\n\001""#);
    }

    #[test]
    fn every_kind_of_change_has_its_head() {
        let a = &side("a", "1\n", false);
        assert_eq!(text(Some(a), Some(a)), "");
        assert_eq!(
            text(None, Some(&side("x y", "1", true))),
            "diff --git a/x y b/x y\nnew file mode 100755\nindex 0000000..56a6051\n\
             --- /dev/null\n+++ b/x y\t\n@@ -0,0 +1 @@\n+1\n\\ No newline at end of file\n"
        );
        assert_eq!(
            text(Some(a), Some(&side("a", "1\n", true))),
            "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n"
        );
        assert_eq!(
            text(Some(a), Some(&side("b", "1\n", false))),
            "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n"
        );
        assert_eq!(
            text(Some(&side("a", "", false)), None),
            "diff --git a/a b/a\ndeleted file mode 100644\nindex e69de29..0000000\n"
        );
    }
}
