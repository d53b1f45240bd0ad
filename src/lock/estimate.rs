//! How long a wait will probably last, from how long such operations took before.
//!
//! Counted, never invented: what is not known from at least three past operations makes the whole
//! estimate unknown.

use std::time::Duration;

use super::rules::{self, Claim};

/// Fewer past durations than this say nothing.
pub const SAMPLES_LEAST: usize = 3;

/// An operation that must end before the waiter's turn comes.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// What it asks for.
    pub claim: Claim<'a>,
    /// How long such operations held their tickets, in milliseconds, in any order.
    pub past: &'a [i64],
    /// How long it has run.
    pub ran: Duration,
}

/// How long it takes until `me` has its turn: what runs (together) must end, then what waits
/// before it, group by group. `None` if too little is known of one of them.
pub fn until_turn(
    running: &[Expected<'_>],
    waiting: &[Expected<'_>],
    me: Claim<'_>,
) -> Option<Duration> {
    let mut total = longest(running)?;
    let claims: Vec<Claim<'_>> = waiting.iter().map(|one| one.claim).chain([me]).collect();
    let mut next = 0;
    while next < waiting.len() {
        let end = next + rules::next_batch(&claims[next..]);
        if end > waiting.len() {
            // Its own group: it starts with them.
            break;
        }
        total += longest(&waiting[next..end])?;
        next = end;
    }
    Some(total)
}

/// What is left of the longest of a group.
fn longest(group: &[Expected<'_>]) -> Option<Duration> {
    let mut most = Duration::ZERO;
    for one in group {
        most = most.max(left(one)?);
    }
    Some(most)
}

/// What is left of the median. Once that is over, of those that lasted longer still: the others
/// say nothing about this one any more.
fn left(one: &Expected<'_>) -> Option<Duration> {
    if let Some(left) = median(one.past)?.checked_sub(one.ran) {
        return Some(left);
    }
    let ran_ms = i64::try_from(one.ran.as_millis()).unwrap_or(i64::MAX);
    let longer: Vec<i64> = one.past.iter().copied().filter(|ms| *ms > ran_ms).collect();
    Some(median(&longer)?.saturating_sub(one.ran))
}

/// The median of at least three durations in milliseconds (the lower one of the middle two).
fn median(past: &[i64]) -> Option<Duration> {
    if past.len() < SAMPLES_LEAST {
        return None;
    }
    let mut sorted = past.to_vec();
    sorted.sort_unstable();
    let middle = sorted[(sorted.len() - 1) / 2];
    Some(Duration::from_millis(
        u64::try_from(middle).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tickets::Scope;

    const READ: Claim<'static> = Claim {
        scope: Scope::Read,
        branch: Some("main"),
    };
    const WRITE: Claim<'static> = Claim {
        scope: Scope::Write,
        branch: None,
    };

    fn expected(claim: Claim<'static>, past: &'static [i64], ran: u64) -> Expected<'static> {
        let ran = Duration::from_secs(ran);
        Expected { claim, past, ran }
    }

    const fn seconds(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count))
    }

    const TENS: &[i64] = &[12_000, 10_000, 1_000];
    const FIVES: &[i64] = &[5_000, 5_000, 4_000, 90_000];

    #[test]
    fn what_runs_has_the_rest_of_its_median_left() {
        assert_eq!(
            until_turn(&[expected(WRITE, TENS, 4)], &[], WRITE),
            seconds(6)
        );
        assert_eq!(
            until_turn(&[expected(WRITE, TENS, 10)], &[], WRITE),
            seconds(0)
        );
        // Several run together: the longest counts.
        let readers = [expected(READ, TENS, 4), expected(READ, FIVES, 1)];
        assert_eq!(until_turn(&readers, &[], WRITE), seconds(6));
    }

    /// "Any moment now" is no estimate for what has run a thousand times as long as its like.
    #[test]
    fn what_outlasts_the_median_is_compared_with_what_did_so_too() {
        const MOSTLY_SHORT: &[i64] = &[10, 10, 10, 10, 10, 20_000, 30_000, 90_000];
        let after = |past, ran| until_turn(&[expected(WRITE, past, ran)], &[], WRITE);
        assert_eq!(after(MOSTLY_SHORT, 4), seconds(26));
        assert_eq!(after(MOSTLY_SHORT, 25), None);
        assert_eq!(after(TENS, 40), None);
    }

    #[test]
    fn what_waits_before_comes_group_by_group() {
        let running = [expected(WRITE, TENS, 4)];
        let line = [
            expected(READ, TENS, 0),
            expected(READ, FIVES, 0),
            expected(WRITE, FIVES, 0),
        ];
        assert_eq!(until_turn(&running, &line, WRITE), seconds(6 + 10 + 5));
    }

    #[test]
    fn its_own_group_is_not_waited_for() {
        let running = [expected(WRITE, TENS, 4)];
        let line = [expected(WRITE, FIVES, 0), expected(READ, TENS, 0)];
        assert_eq!(until_turn(&running, &line, READ), seconds(6 + 5));
        assert_eq!(until_turn(&running, &line, WRITE), seconds(6 + 5 + 10));
    }

    #[test]
    fn two_samples_are_too_few() {
        let known = expected(WRITE, TENS, 0);
        let unknown = expected(WRITE, &TENS[..2], 0);
        assert_eq!(until_turn(&[unknown], &[], WRITE), None);
        assert_eq!(until_turn(&[known], &[unknown], WRITE), None);
        assert_eq!(until_turn(&[known], &[], WRITE), seconds(10));
    }
}
