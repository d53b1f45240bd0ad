//! Text from outside made safe to show (HAZARDS.md H17).
//!
//! Plan names, file names, model text and error messages may carry terminal commands: cursor
//! moves over the text of an approval, clipboard writes, links, or characters that reorder or
//! hide what a person reads. All of them are replaced by visible escapes such as `\x1b` and
//! `\u{202e}`. A backslash itself is left as it is, so that paths and source code stay readable:
//! the escapes are for the eye, not for reading back. Nothing here is undone on a pipe: what
//! leaves a pipe often ends on a terminal.

use std::borrow::Cow;

/// Whether `c` may reach a terminal as itself, on any line. Newline and tab are not among them.
pub fn is_plain(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'            // C0, DEL, C1
        | '\u{ad}' | '\u{61c}' | '\u{180e}'              // soft hyphen, Arabic mark, vowel separator
        | '\u{200b}'..='\u{200f}'                        // zero width, left-to-right marks
        | '\u{2028}'..='\u{202e}'                        // separators, embeddings, overrides
        | '\u{2060}'..='\u{206f}'                        // invisible operators, isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'           // byte-order mark, annotations
        | '\u{e0000}'..='\u{e007f}'                      // tags
    )
}

/// Text of any number of lines: newlines, tabs and the CR of a CRLF stay.
pub fn text(text: &str) -> Cow<'_, str> {
    replace(text, |rest, c| match c {
        '\n' | '\t' => true,
        '\r' => rest.starts_with('\n'),
        _ => is_plain(c),
    })
}

/// Text for one line or one cell: newlines and tabs are shown as escapes too.
pub fn line(text: &str) -> Cow<'_, str> {
    replace(text, |_, c| is_plain(c))
}

/// Bytes as [`text()`]; a byte that is no UTF-8 is shown as `\xff`.
pub fn bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    // A CRLF cut by an invalid byte is not one: each valid run is judged alone.
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&text(chunk.valid()));
        for byte in chunk.invalid() {
            let escape = format!("\\x{byte:02x}");
            shown.push_str(&escape);
        }
    }
    shown
}

/// A JSON document whose strings hold only plain characters, of the same value.
///
/// `document` must be compact JSON, in which every character of concern (none is ASCII but DEL)
/// stands inside a string.
pub fn json(document: &str) -> Cow<'_, str> {
    if document.chars().all(is_plain) {
        return Cow::Borrowed(document);
    }
    let mut shown = String::with_capacity(document.len() + 16);
    for c in document.chars() {
        if is_plain(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let escape = format!("\\u{unit:04x}");
            shown.push_str(&escape);
        }
    }
    Cow::Owned(shown)
}

/// Copies `text`, with an escape for each character that `keep(what follows it, it)` refuses.
fn replace(text: &str, keep: impl Fn(&str, char) -> bool) -> Cow<'_, str> {
    let refused = |(at, c): (usize, char)| !keep(&text[at + c.len_utf8()..], c);
    let Some(first) = text.char_indices().position(refused) else {
        return Cow::Borrowed(text);
    };
    let mut shown = String::with_capacity(text.len() + 16);
    for (place, (at, c)) in text.char_indices().enumerate() {
        if place < first || !refused((at, c)) {
            shown.push(c);
        } else {
            shown.push_str(&escape_of(c));
        }
    }
    Cow::Owned(shown)
}

fn escape_of(c: char) -> String {
    match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\0'..='\u{7f}' => format!("\\x{:02x}", u32::from(c)),
        _ => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_shown() {
        for (given, shown) in [
            ("plain, ü, 日本, 👍, \\n", "plain, ü, 日本, 👍, \\n"),
            ("a\nb\tc\r\nd", "a\nb\tc\r\nd"),
            ("over\rwrite", "over\\rwrite"),
            ("end\r", "end\\r"),
            ("\r\r\n", "\\r\r\n"),
            ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
            ("\x1b[2J\x7f\0", "\\x1b[2J\\x7f\\x00"),
            (
                "\u{9b}31m\u{80}\u{9f}\u{85}",
                "\\u{9b}31m\\u{80}\\u{9f}\\u{85}",
            ),
            ("\u{202e}fdp.exe", "\\u{202e}fdp.exe"),
            (
                "\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
                "\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}",
            ),
            (
                "\u{2028}\u{2029}\u{200b}\u{feff}",
                "\\u{2028}\\u{2029}\\u{200b}\\u{feff}",
            ),
            ("\u{e0041}\u{ad}", "\\u{e0041}\\u{ad}"),
        ] {
            assert_eq!(text(given), shown);
        }
        assert_eq!(line("a\nb\tc\r\nd\x1b"), "a\\nb\\tc\\r\\nd\\x1b");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_one_by_one() {
        assert_eq!(bytes(b"ok\xff\xc3(\x9b31m\n"), "ok\\xff\\xc3(\\x9b31m\n");
        assert_eq!(bytes("ü\u{9b}".as_bytes()), "ü\\u{9b}");
        assert_eq!(bytes(b"\r\xff\n"), "\\r\\xff\n");
    }

    /// Any text, rich in the characters that matter.
    fn hostile() -> impl Strategy<Value = String> {
        let special = prop::sample::select(vec![
            '\0',
            '\x07',
            '\x08',
            '\t',
            '\n',
            '\r',
            '\x1b',
            '\x7f',
            '\u{80}',
            '\u{90}',
            '\u{9b}',
            '\u{9c}',
            '\u{9d}',
            '\u{9f}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{fffb}',
            '\u{e0001}',
            '\u{e007f}',
            '\\',
            'x',
            '"',
            '[',
        ]);
        let any = prop_oneof![special, any::<char>()];
        prop::collection::vec(any, 0..40).prop_map(|chars| chars.into_iter().collect())
    }

    /// The characters of concern, said a second time and in another way than the code does.
    fn is_dangerous(c: char) -> bool {
        let ranges = [
            (0x00, 0x1f),
            (0x7f, 0x9f),
            (0x61c, 0x61c),
            (0x200b, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0xfeff, 0xfeff),
            (0xe0000, 0xe007f),
        ];
        let code = u32::from(c);
        ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&code))
    }

    proptest! {
        #[test]
        fn nothing_dangerous_gets_through(given in hostile()) {
            let shown = text(&given);
            let bare = shown.replace("\r\n", "").replace(['\n', '\t'], "");
            prop_assert!(!bare.chars().any(is_dangerous), "{:?}", shown);
            prop_assert!(!line(&given).chars().any(is_dangerous), "{:?}", line(&given));
        }

        #[test]
        fn what_is_safe_stays_as_it_is(given in hostile()) {
            let (shown, one) = (text(&given).into_owned(), line(&given).into_owned());
            prop_assert!(matches!(text(&shown), Cow::Borrowed(again) if again == shown));
            prop_assert!(matches!(line(&one), Cow::Borrowed(again) if again == one));
            let safe: String = given.chars().filter(|c| !is_dangerous(*c) && is_plain(*c)).collect();
            prop_assert_eq!(text(&safe), safe.as_str());
        }

        #[test]
        fn bytes_never_let_anything_through(given in prop::collection::vec(any::<u8>(), 0..60)) {
            let shown = bytes(&given);
            let bare = shown.replace("\r\n", "").replace(['\n', '\t'], "");
            prop_assert!(!bare.chars().any(is_dangerous), "{:?}", shown);
        }

        #[test]
        fn json_keeps_its_value(key in hostile(), value in hostile()) {
            let whole = serde_json::json!({ key: value });
            let document = whole.to_string();
            let shown = json(&document);
            prop_assert!(!shown.chars().any(is_dangerous), "{:?}", shown);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), whole);
        }
    }
}
