//! When a log hears of a wait.

use super::picture::Condition;
use super::*;

const KEY: Key = Key {
    holder: Some((7, Condition::Running)),
    position: 2,
};

/// The seconds at which a log hears of `line`, which is looked at once a second for `limit_s`.
fn heard(limit_s: u64, line: impl Fn(u64) -> Key) -> Vec<u64> {
    let mut last: Option<(Key, u64)> = None;
    (0..=limit_s)
        .filter(|now| {
            let key = line(*now);
            let ago = last.map(|(_, at)| Duration::from_secs(now - at));
            let due = is_due(last.map(|(key, _)| key), key, ago);
            if due {
                last = Some((key, *now));
            }
            due
        })
        .collect()
}

#[test]
fn a_log_hears_of_a_line_that_stands_still_every_half_minute() {
    assert_eq!(heard(95, |_| KEY), [0, 30, 60, 90]);
}

#[test]
fn a_log_hears_at_once_of_a_holder_or_a_position_that_changed() {
    let moved = |now: u64| match now {
        0..10 => Key { position: 3, ..KEY },
        10..20 => KEY,
        20..25 => Key {
            holder: Some((7, Condition::Suspended)),
            ..KEY
        },
        _ => Key {
            holder: Some((8, Condition::Running)),
            ..KEY
        },
    };
    assert_eq!(heard(60, moved), [0, 10, 20, 25, 55]);
}
