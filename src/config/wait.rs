//! How long a command may wait for its turn.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

/// The longest bounded wait; whoever wants more says `forever`.
pub const WAIT_LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a command waits when nobody said anything (SEED.md §8.1.3).
pub const WAIT_DEFAULT: Wait = Wait::For(Duration::from_secs(30));

/// How long a command may wait for everything it waits for, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: what is not free at once is refused.
    No,
    /// At most this long; never zero, never more than [`WAIT_LONGEST`].
    For(Duration),
    /// Until it is granted or cancelled.
    Forever,
}

/// The units of [`parse_wait`], largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads `30s`, `2m`, `1h30m`, `500ms`, a number of seconds, `0` or `forever`.
///
/// Units go from large to small, each at most once. Anything else, and anything longer than
/// [`WAIT_LONGEST`], is an error that lists the good forms.
pub fn parse_wait(text: &str) -> Result<Wait> {
    let trimmed = text.trim();
    if trimmed.eq_ignore_ascii_case("forever") {
        return Ok(Wait::Forever);
    }
    let Some(total_ms) = total_ms(trimmed) else {
        bail!(
            "{text:?} is not a time to wait: use 30s, 2m, 1h30m, 500ms, a number of seconds, \
             0 (do not wait) or forever"
        );
    };
    ensure!(
        u128::from(total_ms) <= WAIT_LONGEST.as_millis(),
        "{text:?} is more than 365 days: use forever to wait without a limit"
    );
    Ok(match total_ms {
        0 => Wait::No,
        _ => Wait::For(Duration::from_millis(total_ms)),
    })
}

/// The sum of the parts of `text`, saturating; `None` if it is malformed.
fn total_ms(text: &str) -> Option<u64> {
    if is_number(text) {
        return Some(number(text).saturating_mul(1_000));
    }
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| !c.is_ascii_alphabetic());
        let place = units.iter().position(|(name, _)| *name == unit)?;
        if digits.is_empty() {
            return None;
        }
        total = total.saturating_add(number(digits).saturating_mul(units[place].1));
        units = &units[place + 1..];
        rest = after.trim_start();
    }
    (units.len() < UNITS.len()).then_some(total)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of ASCII digits; more of them than a `u64` holds mean its largest value.
fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

impl fmt::Display for Wait {
    /// In a form that [`parse_wait`] reads back as the same value (to the millisecond), so that
    /// a command to retry can be printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("0"),
            Self::Forever => f.write_str("forever"),
            Self::For(limit) => {
                let mut rest = limit.as_millis();
                for (unit, unit_ms) in UNITS {
                    let count = rest / u128::from(unit_ms);
                    rest %= u128::from(unit_ms);
                    if count > 0 {
                        write!(f, "{count}{unit}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(count: u64) -> Wait {
        Wait::For(Duration::from_secs(count))
    }

    #[test]
    fn good_forms_are_read() {
        for (text, wait) in [
            ("0", Wait::No),
            ("0s", Wait::No),
            ("000", Wait::No),
            ("forever", Wait::Forever),
            (" Forever ", Wait::Forever),
            ("7", seconds(7)),
            ("30s", seconds(30)),
            ("90s", seconds(90)),
            ("2m", seconds(120)),
            ("1h30m", seconds(5_400)),
            ("1h 30m", seconds(5_400)),
            ("1d2h3m4s", seconds(93_784)),
            ("1s500ms", Wait::For(Duration::from_millis(1_500))),
            ("500ms", Wait::For(Duration::from_millis(500))),
            ("365d", Wait::For(WAIT_LONGEST)),
        ] {
            assert_eq!(parse_wait(text).unwrap(), wait, "{text}");
        }
    }

    #[test]
    fn bad_forms_are_refused_with_the_good_ones() {
        for text in [
            "", " ", "-5", "-5s", "+5", "s", "5x", "5s5", "1.5h", "5m1h", "5s5s", "30 s", "1h,30m",
            "never", "infinity", "٣s", "5 5", "0x10", "1e3", "PT30S",
        ] {
            let error = parse_wait(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
            for form in ["30s", "2m", "1h30m", "forever"] {
                assert!(error.contains(form), "{error}");
            }
        }
    }

    #[test]
    fn absurd_lengths_are_refused_with_the_way_out() {
        for text in [
            "366d",
            "365d1ms",
            "31536001",
            "99999999999999999999999999",
            "9999999999999999999d",
        ] {
            let error = parse_wait(text).unwrap_err().to_string();
            assert!(
                error.contains("365 days") && error.contains("forever"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(ms in 1..=31_536_000_000_u64) {
            let wait = Wait::For(Duration::from_millis(ms));
            prop_assert_eq!(parse_wait(&wait.to_string()).unwrap(), wait);
        }

        #[test]
        fn no_text_makes_it_panic_or_wait_too_long(text in "\\PC{0,12}|[0-9dhms ]{0,30}") {
            if let Ok(Wait::For(limit)) = parse_wait(&text) {
                prop_assert!(!limit.is_zero() && limit <= WAIT_LONGEST);
            }
        }
    }

    #[test]
    fn the_ends_are_read_back() {
        for wait in [Wait::No, Wait::Forever, WAIT_DEFAULT] {
            assert_eq!(parse_wait(&wait.to_string()).unwrap(), wait);
        }
    }
}
