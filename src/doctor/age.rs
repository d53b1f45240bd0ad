//! Times and durations as people and scripts read them.

use jiff::Timestamp;

const UNITS: [(u64, &str); 4] = [
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
    (1, "second"),
];

/// A duration by its largest unit and the next smaller one: "2 hours 15 minutes", "45 seconds".
pub fn in_words(seconds: u64) -> String {
    let Some(largest) = UNITS.iter().position(|(size, _)| seconds >= *size) else {
        return "0 seconds".to_owned();
    };
    let mut left = seconds;
    let mut words = Vec::new();
    for (size, name) in UNITS.iter().skip(largest).take(2) {
        let count = left / size;
        left %= size;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            words.push(format!("{count} {name}{plural}"));
        }
    }
    words.join(" ")
}

/// Whole seconds from the wall time `then_ms` to `now_ms`; 0 if the clock went backwards.
pub fn seconds_between(then_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(then_ms) / 1000).unwrap_or(0)
}

/// RFC 3339 in UTC; `None` for a time that was never set.
pub fn rfc3339(ms: i64) -> Option<String> {
    if ms <= 0 {
        return None;
    }
    let time = Timestamp::from_millisecond(ms).ok()?;
    Some(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_named_by_two_units() {
        let check = |seconds, words| assert_eq!(in_words(seconds), words);
        check(0, "0 seconds");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "1 minute");
        check(65, "1 minute 5 seconds");
        check(7_200, "2 hours");
        check(8_100, "2 hours 15 minutes");
        check(3_601, "1 hour");
        check(90_000, "1 day 1 hour");
        check(86_400 * 400 + 59, "400 days");
    }

    #[test]
    fn a_clock_that_went_back_gives_no_age() {
        assert_eq!(seconds_between(5_000, 1_000), 0);
        assert_eq!(seconds_between(1_000, 4_999), 3);
        assert_eq!(seconds_between(i64::MIN, i64::MAX), i64::MAX as u64 / 1000);
    }

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(
            rfc3339(1_795_415_416_000).as_deref(),
            Some("2026-11-23T06:30:16Z")
        );
        assert_eq!(
            rfc3339(1_795_415_416_042).as_deref(),
            Some("2026-11-23T06:30:16.042Z")
        );
        assert_eq!(rfc3339(0), None);
        assert_eq!(rfc3339(i64::MAX), None);
    }
}
