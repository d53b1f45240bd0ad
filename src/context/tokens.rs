//! How many tokens a text is, roughly, without any model's vocabulary.
//!
//! Tokenizers cut a text into pieces first and look up the pieces; the cutting is nearly the same
//! everywhere, so counting pieces comes close for every model. The count leans to the high side,
//! the safe one for a budget: some 10 % above cl100k over whole trees of source files (MODEL.md
//! §4). It is shown as `~12.3k`, and the ratio that a model's own figures teach corrects it.

/// A longer word is several tokens.
const LETTERS_PER_TOKEN: usize = 10;
/// Capitals are rarer in vocabularies: a constant's name takes more pieces.
const CAPITALS_PER_TOKEN: usize = 4;
const DIGITS_PER_TOKEN: usize = 3;
const MARKS_PER_TOKEN: usize = 2;
/// A rule (`-----`) of one repeated mark is in every vocabulary, up to a length.
const REPEATED_PER_TOKEN: usize = 16;

/// What a byte belongs to; a run of one class is a piece, or part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    Mark,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' | b'\n' | b'\r' => Class::Space,
            0x80.. => Class::Other,
            _ => Class::Mark,
        };
        byte += 1;
    }
    classes
};

/// Estimates the tokens of `text`.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut rest = text.as_bytes();
    let mut tokens = 0;
    let mut before = Class::Space;
    while let Some(first) = rest.first() {
        let here = CLASSES[usize::from(*first)];
        let (run, after) = rest.split_at(run_length(rest, here));
        rest = after;
        tokens += match here {
            Class::Lower => run.len().div_ceil(LETTERS_PER_TOKEN),
            Class::Upper => {
                let (word, after) = rest.split_at(run_length(rest, Class::Lower));
                rest = after;
                capitalised(run.len(), word.len())
            }
            Class::Digit => run.len().div_ceil(DIGITS_PER_TOKEN),
            Class::Space => space(run, before),
            Class::Mark => marks(run, rest),
            Class::Other => other(run),
        };
        before = here;
    }
    tokens as u64
}

fn run_length(bytes: &[u8], class: Class) -> usize {
    bytes
        .iter()
        .take_while(|byte| CLASSES[usize::from(**byte)] == class)
        .count()
}

/// Capitals and the small letters after them, cut where the case changes: `HTTPReply` is `HTTP`
/// and `Reply`.
fn capitalised(capitals: usize, letters: usize) -> usize {
    match (capitals, letters) {
        (_, 0) => capitals.div_ceil(CAPITALS_PER_TOKEN),
        (1, _) => (letters + 1).div_ceil(LETTERS_PER_TOKEN),
        _ => {
            (capitals - 1).div_ceil(CAPITALS_PER_TOKEN) + (letters + 1).div_ceil(LETTERS_PER_TOKEN)
        }
    }
}

/// White space. One blank belongs to what follows it, and a line's end to the marks before it.
fn space(run: &[u8], before: Class) -> usize {
    let last_line_end = run.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    let indent = run.len() - last_line_end.map_or(0, |at| at + 1);
    let line_end = usize::from(last_line_end.is_some() && before != Class::Mark);
    line_end + usize::from(indent > 1)
}

fn marks(run: &[u8], rest: &[u8]) -> usize {
    // The joint of a snake_case name belongs to the word after it.
    if run == b"_" && rest.first().is_some_and(u8::is_ascii_lowercase) {
        return 0;
    }
    let is_repeated = run.len() > 3 && run.windows(2).all(|pair| pair.first() == pair.last());
    run.len().div_ceil(if is_repeated {
        REPEATED_PER_TOKEN
    } else {
        MARKS_PER_TOKEN
    })
}

/// Beyond ASCII: two letters of an alphabet a token, or one sign of an East Asian script.
fn other(run: &[u8]) -> usize {
    let halves: usize = run
        .iter()
        .map(|byte| match byte {
            // The first byte of a character tells its length.
            0xF0.. => 4,
            0xE0.. => 2,
            0xC0.. => 1,
            _ => 0,
        })
        .sum();
    halves.div_ceil(2)
}
