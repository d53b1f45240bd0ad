//! How many tokens a text is, roughly, without any model's vocabulary.
//!
//! Tokenizers cut a text into pieces first (words where the case changes, numbers by three digits,
//! runs of punctuation, line ends with their indentation) and look up the pieces; the cutting is
//! nearly the same everywhere, so counting pieces comes close for every model. Here each byte has
//! a price that depends on the byte before it: beginning a piece costs a token, going on with it
//! the fraction by which long pieces are cut again. The count leans to the high side, the safe one
//! for a budget: some 10 % above cl100k over whole trees of source files (MODEL.md §4). It is
//! shown as `~12.3k`, and the ratio that a model's own figures teach corrects it.

/// Prices are in this fraction of a token.
const TOKEN: u8 = 40;
/// One more letter of a word: most words are one token, long ones several.
const LETTER: u8 = 1;
/// One more capital: a constant's name takes more pieces than a word.
const CAPITAL: u8 = 9;
const DIGIT: u8 = 10;
/// One more mark of another kind; of the same kind (`//`, `-----`), runs are in vocabularies.
const MARK: u8 = 12;
const SAME_MARK: u8 = 3;

/// What a byte is to a tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Blank,
    LineEnd,
    /// The joint of a `snake_case` name.
    Joint,
    Mark,
    /// The first byte of a character of two, three or four bytes, and the bytes after it.
    Two,
    Three,
    Four,
    Rest,
}

const ALL: [Class; 11] = {
    use Class::{Blank, Digit, Four, Joint, LineEnd, Lower, Mark, Rest, Three, Two, Upper};
    [
        Lower, Upper, Digit, Blank, LineEnd, Joint, Mark, Two, Three, Four, Rest,
    ]
};

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' => Class::Blank,
            b'\n' | b'\r' => Class::LineEnd,
            b'_' => Class::Joint,
            0x80..0xC0 => Class::Rest,
            0xC0..0xE0 => Class::Two,
            0xE0..0xF0 => Class::Three,
            0xF0.. => Class::Four,
            _ => Class::Mark,
        };
        byte += 1;
    }
    classes
};

const fn price(before: Class, here: Class) -> u8 {
    use Class::{Blank, Digit, Four, Joint, LineEnd, Lower, Mark, Rest, Three, Two, Upper};
    match (before, here) {
        (Lower | Upper, Lower) => LETTER,
        (Upper, Upper) => CAPITAL,
        (Joint, Upper) => TOKEN + MARK,
        (Digit, Digit) => DIGIT,
        (Mark | Joint, Joint) | (Mark, Mark) => MARK,
        (_, Lower | Upper | Digit | Mark | Three) => TOKEN,
        // Indentation is a piece; else one blank belongs to what follows it.
        (LineEnd, Blank) => TOKEN,
        // A line's end belongs to the marks before it, and takes empty lines with it.
        (Mark | LineEnd, LineEnd) => 0,
        (_, LineEnd) => TOKEN,
        // The joint belongs to the word after it.
        (_, Blank | Joint | Rest) => 0,
        // Two letters of an alphabet a token; one sign of an East Asian script was above.
        (_, Two) => TOKEN / 2,
        (_, Four) => 2 * TOKEN,
    }
}

const PRICES: [[u8; ALL.len()]; ALL.len()] = {
    let mut prices = [[0; ALL.len()]; ALL.len()];
    let mut before = 0;
    while before < ALL.len() {
        let mut here = 0;
        while here < ALL.len() {
            prices[ALL[before] as usize][ALL[here] as usize] = price(ALL[before], ALL[here]);
            here += 1;
        }
        before += 1;
    }
    prices
};

/// Estimates the tokens of `text`.
pub fn estimate_tokens(text: &str) -> u64 {
    let (mut sum, mut last) = (0, b'\n');
    for &byte in text.as_bytes() {
        let class = CLASSES[usize::from(byte)];
        let is_same_mark = byte == last && class == Class::Mark;
        let price = PRICES[CLASSES[usize::from(last)] as usize][class as usize];
        sum += u64::from(if is_same_mark { SAME_MARK } else { price });
        last = byte;
    }
    let token = u64::from(TOKEN);
    // Not rounded down to nothing, and a lone joint has no word to belong to.
    ((sum + token / 2) / token).max(u64::from(!text.trim().is_empty()))
}
