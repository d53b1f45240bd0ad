//! The time axis: round steps in local time, few enough to be read.

use jiff::Timestamp;
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The steps that people count in, in milliseconds.
const STEPS: [i64; 31] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
];

/// A mark on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) at: i64,
    pub(super) label: String,
}

/// At most `most` marks between `from` and `until`, at round times of `zone`.
pub(super) fn ticks(from: i64, until: i64, most: i64, zone: &TimeZone) -> Vec<Tick> {
    let length = (until - from).max(1);
    let longest = STEPS[STEPS.len() - 1];
    let step = STEPS
        .into_iter()
        .find(|step| length / step <= most)
        .unwrap_or(length / most / longest * longest + longest);
    // Midnight is round in local time, not in UTC. Where the clocks change inside the picture the
    // marks stay evenly spaced.
    let shift = i64::from(
        Timestamp::from_millisecond(from).map_or(0, |time| zone.to_offset(time).seconds()),
    ) * SECOND;
    let first = from + (step - (from + shift).rem_euclid(step)) % step;
    let count = (until - first).max(-1) / step;
    (0..=count)
        .map(|nth| first + nth * step)
        .filter(|at| *at <= until)
        .map(|at| Tick {
            at,
            label: label(at, (step, length), zone),
        })
        .collect()
}

fn label(at: i64, (step, length): (i64, i64), zone: &TimeZone) -> String {
    let format = if step < SECOND {
        "%H:%M:%S%.3f"
    } else if step < MINUTE {
        "%H:%M:%S"
    } else if step < DAY && length < DAY {
        "%H:%M"
    } else if step < DAY {
        "%m-%d %H:%M"
    } else {
        "%Y-%m-%d"
    };
    time(at, format, zone)
}

/// A point in time as people read it.
pub(super) fn time(at: i64, format: &str, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(at).map_or_else(
        |_| at.to_string(),
        |time| time.to_zoned(zone.clone()).strftime(format).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_round_in_local_time() {
        let india = TimeZone::fixed(jiff::tz::Offset::from_seconds(5 * 3600 + 1800).unwrap());
        // 2026-11-23T10:07:00Z is 15:37 there.
        let from = 1_795_428_420_000;
        let labels = |length: i64, zone: &TimeZone| -> Vec<String> {
            let ticks = ticks(from, from + length, 6, zone);
            ticks.into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(
            labels(HOUR, &TimeZone::UTC),
            ["10:10", "10:20", "10:30", "10:40", "10:50", "11:00"]
        );
        assert_eq!(
            labels(3 * HOUR, &india),
            ["16:00", "16:30", "17:00", "17:30", "18:00", "18:30"]
        );
        assert_eq!(
            labels(5, &TimeZone::UTC)[..2],
            ["10:07:00.000", "10:07:00.001"]
        );
        assert_eq!(labels(3 * DAY, &india)[0], "11-24 00:00");
        assert_eq!(labels(20 * DAY, &india)[0], "2026-11-26");
    }

    proptest! {
        #[test]
        fn marks_are_few_inside_and_in_order(
            from in 0..2_000_000_000_000_i64,
            length in 0..400 * DAY,
            most in 3..12_i64,
        ) {
            let ticks = ticks(from, from + length, most, &TimeZone::UTC);
            prop_assert!(i64::try_from(ticks.len()).unwrap() <= most + 1);
            prop_assert!(ticks.iter().all(|tick| (from..=from + length).contains(&tick.at)));
            prop_assert!(ticks.windows(2).all(|pair| pair[0].at < pair[1].at));
        }
    }
}
