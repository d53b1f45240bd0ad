//! The schedule of retries (SEED.md 5.5), as a pure function of the row and a drawn number.
//!
//! It governs what conflicts, not what queues: a transaction that somebody outside plandex keeps
//! from beginning, and a wait that would never end. Waiting at our own gate and in line has no
//! schedule, because there somebody rings.

use std::time::Duration;

use rand::RngExt as _;

/// So many retries at the most: the rows 0 to 5 of the table.
pub const RETRIES: u32 = 6;

/// The base delay of row 0; every later row doubles it.
const FIRST: Duration = Duration::from_millis(300);
/// The delay drawn is the base, more or less this part of it.
const JITTER: f64 = 0.3;

/// The base delay of a row of the table; rows past the last repeat it.
pub fn base(row: u32) -> Duration {
    FIRST * 2_u32.pow(row.min(RETRIES - 1))
}

/// The delay of a row for a number between -1 and 1.
pub fn delay(row: u32, drawn: f64) -> Duration {
    base(row).mul_f64(1.0 + JITTER * drawn.clamp(-1.0, 1.0))
}

/// The delay of a row with its jitter drawn.
pub fn draw(row: u32) -> Duration {
    delay(row, rand::rng().random_range(-1.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEED.md B.3 RetryBackoff: the table of 5.5, in milliseconds.
    mod retry_backoff {
        use super::*;

        fn check(row: u32, base_ms: u64, least_ms: u64, most_ms: u64) {
            assert_eq!(base(row), Duration::from_millis(base_ms));
            let draws = 10_000;
            let mut sum = Duration::ZERO;
            let (mut least, mut most) = (Duration::MAX, Duration::ZERO);
            for _ in 0..draws {
                let delay = draw(row);
                sum += delay;
                least = least.min(delay);
                most = most.max(delay);
            }
            assert!(least >= Duration::from_millis(least_ms), "{least:?}");
            assert!(most <= Duration::from_millis(most_ms), "{most:?}");
            let mean = sum.as_secs_f64() / f64::from(draws);
            let off = mean / base(row).as_secs_f64() - 1.0;
            assert!(off.abs() < 0.01, "the mean is off by {off}");
            // It really draws, over the whole range.
            let reach = (most - least).as_secs_f64() / base(row).as_secs_f64();
            assert!(reach > 0.59, "{least:?} to {most:?}");
        }

        #[test]
        fn attempt_0() {
            check(0, 300, 210, 390);
        }

        #[test]
        fn attempt_1() {
            check(1, 600, 420, 780);
        }

        #[test]
        fn attempt_2() {
            check(2, 1_200, 840, 1_560);
        }

        #[test]
        fn attempt_3() {
            check(3, 2_400, 1_680, 3_120);
        }

        #[test]
        fn attempt_4() {
            check(4, 4_800, 3_360, 6_240);
        }

        #[test]
        fn attempt_5() {
            check(5, 9_600, 6_720, 12_480);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_those_of_the_table() {
        for row in 0..RETRIES {
            assert_eq!(delay(row, -1.0), base(row).mul_f64(0.7));
            assert_eq!(delay(row, 0.0), base(row));
            assert_eq!(delay(row, 1.0), base(row).mul_f64(1.3));
            assert_eq!(delay(row, 7.0), delay(row, 1.0));
        }
    }
}
