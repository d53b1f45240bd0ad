//! Numbers, ages, diffs and long lines for people. Pure: nothing here writes.

mod beside;
mod diff;
pub mod timeline;

use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::ui::style::Signs;

pub use beside::{Cell, beside};
pub use diff::{FileStat, diff, stat, stats};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An age in words, in its two largest units: "2 hours 15 minutes", "12 seconds".
pub fn age_words(age: Duration) -> String {
    let ((count, unit), rest) = largest_units(age);
    let first = counted(count, unit.words);
    match rest {
        Some((0, _)) | None => first,
        Some((count, unit)) => format!("{first} {}", counted(count, unit.words)),
    }
}

/// An age in as little room as possible, in its two largest units: "2h 15m", "12s".
pub fn age(age: Duration) -> String {
    let ((count, unit), rest) = largest_units(age);
    let first = format!("{count}{}", unit.letter);
    match rest {
        Some((0, _)) | None => first,
        Some((count, unit)) => format!("{first} {count}{}", unit.letter),
    }
}

#[derive(Clone, Copy)]
struct Unit {
    seconds: u64,
    letter: char,
    words: &'static str,
}

const UNITS: [Unit; 4] = [
    Unit {
        seconds: DAY,
        letter: 'd',
        words: "day",
    },
    Unit {
        seconds: HOUR,
        letter: 'h',
        words: "hour",
    },
    Unit {
        seconds: MINUTE,
        letter: 'm',
        words: "minute",
    },
    Unit {
        seconds: 1,
        letter: 's',
        words: "second",
    },
];

type Part = (u64, Unit);

/// The largest unit that `age` fills, with its count, and the next smaller one. Rounds down.
fn largest_units(age: Duration) -> (Part, Option<Part>) {
    let seconds = age.as_secs();
    let last = UNITS.len() - 1;
    let place = UNITS.iter().position(|unit| seconds >= unit.seconds);
    let place = place.unwrap_or(last);
    let unit = UNITS[place];
    let next = UNITS.get(place + 1);
    let rest = next.map(|next| (seconds % unit.seconds / next.seconds, *next));
    ((seconds / unit.seconds, unit), rest)
}

/// A count with its noun, whose plural takes an s: "1 file", "1,234 files".
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A count with separators: "1,234".
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A size in binary units with one decimal: "512 B", "1.5 KiB", "20.0 MiB". Rounds down.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let place = bytes.ilog2() / 10;
    let tenths = (u128::from(bytes) * 10) >> (10 * place);
    let unit = UNITS[place as usize - 1];
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// An estimate of tokens: "~950", "~12.3k", "~4.5M". Rounds down.
pub fn tokens(tokens: u64) -> String {
    let (unit, letter) = match tokens {
        0..1_000 => return format!("~{tokens}"),
        1_000..1_000_000 => (1_000, 'k'),
        _ => (1_000_000, 'M'),
    };
    format!(
        "~{}.{}{letter}",
        count(tokens / unit),
        tokens % unit * 10 / unit
    )
}

/// `text` on one line (newlines become spaces), cut to `width` columns with an ellipsis.
///
/// What is cut is measured as it will be shown, escapes included; the result is safe to show.
pub fn truncated(text: &str, width: usize, signs: &Signs) -> String {
    let shown = crate::ui::escape::line(&text.replace(['\n', '\t'], " ")).into_owned();
    if shown.width() <= width {
        return shown;
    }
    let room = width.saturating_sub(signs.ellipsis.width());
    let mut cut = head(&shown, room).to_owned();
    cut.push_str(head(signs.ellipsis, width));
    cut
}

/// `text` with each of its lines broken at spaces so that none takes more than `width` columns;
/// what is broken off is indented as its line is. A word longer than that stays whole.
pub fn wrapped(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let words = line.trim_start_matches(' ');
        let indent = &line[..line.len() - words.len()];
        let mut shown = indent.to_owned();
        let mut used = indent.width();
        let mut is_empty = true;
        for word in words.split(' ') {
            if !is_empty && used + 1 + word.width() > width {
                shown.extend(["\n", indent]);
                used = indent.width();
            } else if !is_empty {
                shown.push(' ');
                used += 1;
            }
            shown.push_str(word);
            used += word.width();
            is_empty = false;
        }
        shown
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// How many columns `text` takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The longest beginning of `text` that takes at most `width` columns.
///
/// Characters are counted one by one, which never counts less than a terminal needs: the one
/// that makes its neighbour wider, the emoji selector, is counted as that difference.
pub(super) fn head(text: &str, width: usize) -> &str {
    const EMOJI_SELECTOR: char = '\u{fe0f}';
    let mut used = 0;
    let past = text.char_indices().find(|(_, c)| {
        used += match *c {
            EMOJI_SELECTOR => 1,
            c => c.width().unwrap_or(1),
        };
        used > width
    });
    past.map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::{ASCII, UNICODE};
    use proptest::prelude::*;

    #[test]
    fn ages_name_their_two_largest_units() {
        for (seconds, words, short) in [
            (0, "0 seconds", "0s"),
            (1, "1 second", "1s"),
            (12, "12 seconds", "12s"),
            (60, "1 minute", "1m"),
            (65, "1 minute 5 seconds", "1m 5s"),
            (3_600, "1 hour", "1h"),
            (3_659, "1 hour", "1h"),
            (8_100, "2 hours 15 minutes", "2h 15m"),
            (86_400, "1 day", "1d"),
            (180_000, "2 days 2 hours", "2d 2h"),
            (86_400 * 1_234, "1,234 days", "1234d"),
        ] {
            let given = Duration::from_secs(seconds);
            assert_eq!(
                (age_words(given).as_str(), age(given).as_str()),
                (words, short)
            );
        }
        assert_eq!(age(Duration::from_millis(999)), "0s");
        assert!(age_words(Duration::MAX).ends_with("hours"));
    }

    #[test]
    fn long_lines_are_broken_at_spaces() {
        let given = "one two three\n  four five six\n\nunbreakable-words stay";
        assert_eq!(
            wrapped(given, 9),
            "one two\nthree\n  four\n  five\n  six\n\nunbreakable-words\nstay"
        );
        assert_eq!(wrapped(given, 80), given);
        assert_eq!(wrapped("日本 日本", 5), "日本\n日本");
    }

    proptest! {
        #[test]
        fn breaking_lines_loses_nothing(text in "[a-z \\n]{0,80}", width in 1..40_usize) {
            let bare = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let shown = wrapped(&text, width);
            prop_assert_eq!(bare(&shown), bare(&text));
            for line in shown.lines().filter(|line| line.trim().contains(' ')) {
                prop_assert!(line.trim_end().width() <= width, "{:?}", line);
            }
        }
    }

    #[test]
    fn numbers_are_grouped_and_shortened() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(count(number), shown);
        }
        for (bytes, shown) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (1_048_575, "1023.9 KiB"),
            (20 << 20, "20.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
        for (number, shown) in [
            (0, "~0"),
            (999, "~999"),
            (1_000, "~1.0k"),
            (12_345, "~12.3k"),
            (999_999, "~999.9k"),
            (4_567_890, "~4.5M"),
        ] {
            assert_eq!(tokens(number), shown);
        }
        assert!(tokens(u64::MAX).ends_with('M'));
        assert_eq!(
            (counted(1, "file"), counted(1_200, "file")),
            ("1 file".into(), "1,200 files".into())
        );
    }

    #[test]
    fn long_lines_are_cut_to_their_width() {
        for (text, width, shown) in [
            ("plandex tell", 20, "plandex tell"),
            ("plandex tell", 12, "plandex tell"),
            ("plandex tell", 11, "plandex te…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("a\nb\tc", 9, "a b c"),
            ("ab\x1b[2Jcd", 7, "ab\\x1b…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
            ("\u{2764}\u{fe0f}\u{2764}\u{fe0f}", 3, "\u{2764}\u{fe0f}…"),
        ] {
            assert_eq!(truncated(text, width, &UNICODE), shown);
        }
        assert_eq!(truncated("plandex tell", 8, &ASCII), "pland...");
        assert_eq!(truncated("plandex tell", 2, &ASCII), "..");
    }

    proptest! {
        #[test]
        fn a_cut_line_is_never_wider_than_asked(text in "\\PC{0,30}|.{0,30}", width in 0..40_usize) {
            for signs in [&UNICODE, &ASCII] {
                let shown = truncated(&text, width, signs);
                prop_assert!(shown.width() <= width, "{:?}", shown);
                prop_assert!(!shown.contains('\n'));
            }
        }
    }
}
