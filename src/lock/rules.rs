//! Whose turn it is, as pure functions of the line.
//!
//! | earlier \ later   | read, same branch | read, other branch | read, root | write    |
//! |-------------------|-------------------|--------------------|------------|----------|
//! | read on a branch  | run together      | conflict           | conflict   | conflict |
//! | read, root        | conflict          | conflict           | conflict   | conflict |
//! | write             | conflict          | conflict           | conflict   | conflict |
//!
//! This is SEED.md 5.3 as its tests name it: a read of another branch stops the batch. A ticket is
//! granted when it conflicts with no granted ticket of its plan, whatever its place, and with no
//! waiting one before it. That one rule gives exclusion, first-in-first-out order, batching of
//! adjacent reads and no starved writer. The SQL of `store::tickets` is held to these functions by
//! a property test, the lock's model is built of them, and the workers batch by them.

use crate::store::tickets::{Scope, State, Ticket};

/// What a ticket asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim<'a> {
    /// Read or write.
    pub scope: Scope,
    /// The branch of a read; `None` is the root.
    pub branch: Option<&'a str>,
}

/// A ticket as the rules see it, in the order of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing<'a> {
    /// Where it stands.
    pub state: State,
    /// What it asks for.
    pub claim: Claim<'a>,
}

impl<'a> From<&'a Ticket> for Standing<'a> {
    fn from(ticket: &'a Ticket) -> Self {
        let claim = Claim {
            scope: ticket.scope,
            branch: ticket.branch.as_deref(),
        };
        Self {
            state: ticket.state,
            claim,
        }
    }
}

/// Whether two tickets of one plan exclude each other.
pub fn conflicts(one: Claim<'_>, other: Claim<'_>) -> bool {
    let both_read = one.scope == Scope::Read && other.scope == Scope::Read;
    let same_branch = one.branch.is_some() && one.branch == other.branch;
    !(both_read && same_branch)
}

/// Whether the ticket at `index` keeps its place from `line`: what conflicts with it and is
/// granted, or waits before it.
pub fn is_ahead(line: &[Standing<'_>], index: usize, of: usize) -> bool {
    let (other, me) = (line[index], line[of]);
    let in_the_way = other.state.blocks() || (other.state == State::Waiting && index < of);
    index != of && in_the_way && conflicts(other.claim, me.claim)
}

/// The waiting tickets that the grant step grants, by index in `line`, in order.
pub fn grantable(line: &[Standing<'_>]) -> Vec<usize> {
    let waits = |index: &usize| line[*index].state == State::Waiting;
    (0..line.len())
        .filter(waits)
        .filter(|&me| !(0..line.len()).any(|other| is_ahead(line, other, me)))
        .collect()
}

/// What wakes the waiter at `me` by its end: for the first in line all that keeps it out, for every
/// other the waiter before it alone, so that an end wakes one and not all.
pub fn watched(line: &[Standing<'_>], me: usize) -> Vec<usize> {
    match waiter_before(line, me) {
        Some(before) => vec![before],
        None => tended(line, me),
    }
}

/// What the waiter at `me` looks after whenever it wakes: all that is granted, whatever it claims,
/// and the waiter before it. The first in line alone would not do: it may be stopped.
pub fn tended(line: &[Standing<'_>], me: usize) -> Vec<usize> {
    let before = waiter_before(line, me);
    (0..line.len())
        .filter(|&other| other != me)
        .filter(|&other| line[other].state.blocks() || Some(other) == before)
        .collect()
}

fn waiter_before(line: &[Standing<'_>], me: usize) -> Option<usize> {
    (0..me)
        .rev()
        .find(|&other| line[other].state == State::Waiting)
}

/// The position that people see: the running ones first, then the line, from 1. Parked tickets
/// are out of line and have none.
pub fn position(line: &[Standing<'_>], me: usize) -> Option<usize> {
    let in_line = |standing: &Standing<'_>| standing.state == State::Waiting;
    let running = line
        .iter()
        .filter(|standing| standing.state.blocks())
        .count();
    match line[me].state {
        State::Parked => None,
        State::Waiting => Some(running + line[..me].iter().filter(|s| in_line(s)).count() + 1),
        State::Granted | State::Held | State::Condemned => Some(
            line[..me]
                .iter()
                .filter(|standing| standing.state.blocks())
                .count()
                + 1,
        ),
    }
}

/// How many operations at the front of an in-process queue run as one group: a write alone, a
/// read of the root alone, adjacent reads of one branch together.
pub fn next_batch(queue: &[Claim<'_>]) -> usize {
    let Some(first) = queue.first() else { return 0 };
    1 + queue[1..]
        .iter()
        .take_while(|next| !conflicts(*first, **next))
        .count()
}

/// Whether a write under `fence` may commit, given the ticket's row as it is now.
pub fn may_write(row: Option<(State, i64)>, fence: i64) -> bool {
    row == Some((State::Held, fence))
}

/// What a look at a held ticket's lease shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lease {
    /// It was renewed in time.
    Alive,
    /// It is over, seen for the first time with this stamp: look again after the grace.
    FirstLook,
    /// It is over and has not been renewed between two looks: condemn.
    Over,
}

/// Judges a lease: `silence` since its last renewal, and the stamp that an earlier look (at least
/// the grace ago) found it over with.
pub fn judge(silence: i64, lease: i64, stamp: i64, looked_at: Option<i64>) -> Lease {
    if silence <= lease {
        Lease::Alive
    } else if looked_at == Some(stamp) {
        Lease::Over
    } else {
        Lease::FirstLook
    }
}

/// Whether a grant has been left unconfirmed for too long.
pub fn is_overdue(state: State, silence: i64, limit: i64) -> bool {
    state == State::Granted && silence > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn read(branch: &str) -> Claim<'_> {
        Claim {
            scope: Scope::Read,
            branch: Some(branch),
        }
    }
    const ROOT: Claim<'static> = Claim {
        scope: Scope::Read,
        branch: None,
    };
    const WRITE: Claim<'static> = Claim {
        scope: Scope::Write,
        branch: None,
    };

    fn line<'a>(states: &[(State, Claim<'a>)]) -> Vec<Standing<'a>> {
        states
            .iter()
            .map(|&(state, claim)| Standing { state, claim })
            .collect()
    }

    mod lock_conflict_detection {
        use super::*;

        #[test]
        fn write_conflicts_with_read() {
            assert!(conflicts(WRITE, read("main")) && conflicts(read("main"), WRITE));
            assert!(conflicts(WRITE, WRITE) && conflicts(WRITE, ROOT) && conflicts(ROOT, WRITE));
        }

        #[test]
        fn read_conflicts_different_branch() {
            assert!(conflicts(read("main"), read("feature")));
            assert!(conflicts(read("main"), ROOT) && conflicts(ROOT, ROOT));
        }

        #[test]
        fn read_compatible_same_branch() {
            assert!(!conflicts(read("main"), read("main")));
        }
    }

    mod queue_batching {
        use super::*;

        #[test]
        fn write_operations_are_not_batched() {
            assert_eq!(next_batch(&[WRITE, read("main")]), 1);
        }

        #[test]
        fn same_branch_reads_are_batched() {
            assert_eq!(next_batch(&[read("main"); 5]), 5);
        }

        #[test]
        fn different_branch_reads_stop_batching() {
            assert_eq!(
                next_batch(&[read("main"), read("main"), read("feature"), read("main")]),
                2
            );
        }

        #[test]
        fn root_branch_reads_are_not_batched() {
            assert_eq!(next_batch(&[ROOT, ROOT]), 1);
        }
    }

    #[test]
    fn a_read_does_not_jump_over_a_waiting_write() {
        use State::{Held, Waiting};
        let held = line(&[
            (Held, read("main")),
            (Waiting, WRITE),
            (Waiting, read("main")),
        ]);
        assert!(grantable(&held).is_empty());
        let free = line(&[
            (Waiting, read("main")),
            (Waiting, read("main")),
            (Waiting, WRITE),
        ]);
        assert_eq!(grantable(&free), [0, 1]);
    }

    #[test]
    fn parked_blocks_nobody_and_is_not_granted() {
        use State::{Condemned, Parked, Waiting};
        assert_eq!(grantable(&line(&[(Parked, WRITE), (Waiting, WRITE)])), [1]);
        assert!(grantable(&line(&[(Condemned, WRITE), (Waiting, WRITE)])).is_empty());
    }

    #[test]
    fn the_first_in_line_is_woken_by_holders_and_everybody_looks_after_them() {
        use State::{Granted, Held, Parked, Waiting};
        let line = line(&[
            (Parked, WRITE),
            (Waiting, WRITE),
            (Held, read("main")),
            (Waiting, ROOT),
            (Granted, read("main")),
            (Waiting, read("main")),
        ]);
        let woken: Vec<_> = [1, 3, 5].map(|me| watched(&line, me)).into();
        assert_eq!(woken, [vec![2, 4], vec![1], vec![3]]);
        let looked_after: Vec<_> = [1, 3, 5].map(|me| tended(&line, me)).into();
        assert_eq!(looked_after, [vec![2, 4], vec![1, 2, 4], vec![2, 3, 4]]);
    }

    #[test]
    fn positions_count_the_running_first() {
        use State::{Held, Parked, Waiting};
        let line = line(&[
            (Waiting, WRITE),
            (Parked, WRITE),
            (Held, read("main")),
            (Held, read("main")),
            (Waiting, WRITE),
        ]);
        let positions: Vec<_> = (0..5).map(|me| position(&line, me)).collect();
        assert_eq!(positions, [Some(3), None, Some(1), Some(2), Some(4)]);
    }

    #[test]
    fn a_lease_needs_two_looks_at_one_stamp() {
        assert_eq!(judge(60, 60, 5, Some(5)), Lease::Alive);
        assert_eq!(judge(61, 60, 5, None), Lease::FirstLook);
        assert_eq!(judge(61, 60, 5, Some(4)), Lease::FirstLook);
        assert_eq!(judge(61, 60, 5, Some(5)), Lease::Over);
    }
}
