//! What a command prints for a terminal, without what only a terminal understands.

/// The longest escape sequence; what is longer was none, or is an attack, and ends there.
const SEQUENCE_MAX: usize = 4096;

/// Takes escape sequences and carriage returns out of text that arrives in pieces.
///
/// The grammar is that of ECMA-48: ESC and an intermediate, `ESC [` parameters and a final byte,
/// and the strings (`ESC ]`, `ESC P`, `ESC X`, `ESC ^`, `ESC _`) up to BEL or `ESC \`; the C1
/// characters for the same. A line end ends a string that nothing closed, so that an unterminated
/// one cannot swallow a reply.
#[derive(Debug, Default)]
pub(super) struct Plain {
    place: Place,
    length: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In `ESC [`.
    Control,
    /// In a string.
    Text8,
    /// In a string, after ESC.
    TextEscape,
}

impl Plain {
    /// The plain text of the next piece.
    pub(super) fn push(&mut self, text: &str) -> String {
        text.chars().filter(|c| self.keeps(*c)).collect()
    }

    fn keeps(&mut self, c: char) -> bool {
        if self.place == Place::Text {
            self.length = 0;
        } else {
            self.length += 1;
            if self.length > SEQUENCE_MAX {
                self.place = Place::Text;
            }
        }
        let was = self.place;
        self.place = match (was, c) {
            (Place::Text, '\u{1b}') => Place::Escape,
            (Place::Text, '\u{9b}') => Place::Control,
            (Place::Text, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}') => Place::Text8,
            (Place::Text, _) => Place::Text,
            (Place::Escape, '[') => Place::Control,
            (Place::Escape, ']' | 'P' | 'X' | '^' | '_') => Place::Text8,
            (Place::Escape, ' '..='/') => Place::Escape,
            (Place::Escape, _) => Place::Text,
            (Place::Control, ' '..='?') => Place::Control,
            (Place::Control, _) => Place::Text,
            (Place::Text8 | Place::TextEscape, '\u{1b}') => Place::TextEscape,
            (Place::TextEscape, '\\') => Place::Text,
            (Place::Text8 | Place::TextEscape, '\u{7}' | '\u{9c}' | '\n') => Place::Text,
            (Place::Text8 | Place::TextEscape, _) => Place::Text8,
        };
        // A line end is kept wherever it stands; what else is left of a control is not text.
        c == '\n' || (was == Place::Text && (c == '\t' || !c.is_control()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_go_and_text_stays_at_every_split() {
        for (text, expected) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("a\r\nb\rc", "a\nbc"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}", "link"),
            ("\u{1b}]52;c;aGk=\u{7}x", "x"),
            ("\u{9b}31mred\u{9d}0;t\u{9c}x", "redx"),
            ("\u{1b}(Bx\u{1b}7y\u{1b}Pq\u{1b}\\z", "xyz"),
            ("\u{1b}]never closed\nnext", "\nnext"),
            ("\u{1b}[never\u{7}x", "ever\u{7}x"),
            ("ß漢😀\u{8}", "ß漢😀"),
        ] {
            let expected = expected.replace('\u{7}', "");
            let places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            for at in places {
                let (one, two) = text.split_at(at);
                let mut plain = Plain::default();
                let got = plain.push(one) + &plain.push(two);
                assert_eq!(got, expected, "{text:?} at {at}");
            }
        }
    }

    #[test]
    fn a_sequence_without_an_end_is_bounded() {
        let long = format!("\u{1b}]{}", "x".repeat(2 * SEQUENCE_MAX));
        let left = Plain::default().push(&long).len();
        assert!(
            (SEQUENCE_MAX - 2..=SEQUENCE_MAX + 2).contains(&left),
            "{left}"
        );
    }
}
