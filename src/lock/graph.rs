//! Who waits for whom, and whether anybody waits for itself.
//!
//! A ticket that waits depends on what is ahead of it in its line. A hold depends on the tickets
//! below it, on whatever plan: the command of an `exec` ends after the plandex commands in it. A
//! circle of these never ends by itself. Only a ticket that comes to wait can close one, so it is
//! looked for in the transaction that puts it in line, and the one that closes it gives way.

use std::collections::{HashMap, HashSet};

use super::rules::{self, Standing};
use crate::store::tickets::{State, Ticket};

/// One ticket of a circle; it depends on the next one of the chain, the last on the first.
#[derive(Debug, Clone)]
pub struct Link {
    /// The ticket.
    pub ticket: Ticket,
    /// The name of its plan; its id if the name is not known.
    pub plan: String,
    /// Why it depends on the next.
    pub tie: Tie,
}

/// Why one ticket depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// It waits in line behind it.
    Waits,
    /// Its command runs it and waits for its end.
    Runs,
}

/// The circle that `start` closes, from `start` on, if it does: the shortest one, in the order of
/// the edges. Pure, over edges (from, to).
pub fn circle(edges: &[(i64, i64)], start: i64) -> Option<Vec<i64>> {
    let mut next: HashMap<i64, Vec<i64>> = HashMap::new();
    for (from, to) in edges {
        next.entry(*from).or_default().push(*to);
    }
    // Breadth first, remembering from where each was reached.
    let mut from: HashMap<i64, i64> = HashMap::new();
    let mut seen: HashSet<i64> = HashSet::new();
    let mut front = vec![start];
    while !front.is_empty() {
        let mut reached = Vec::new();
        for node in front {
            for to in next.get(&node).into_iter().flatten() {
                if *to == start {
                    return Some(way_back(&from, start, node));
                }
                if seen.insert(*to) {
                    from.insert(*to, node);
                    reached.push(*to);
                }
            }
        }
        front = reached;
    }
    None
}

fn way_back(from: &HashMap<i64, i64>, start: i64, end: i64) -> Vec<i64> {
    let mut chain = vec![end];
    let mut node = end;
    while node != start {
        node = from[&node];
        chain.push(node);
    }
    chain.reverse();
    chain
}

/// All edges among `tickets`, the rows of all lines of all plans, each line in its order.
pub fn edges(tickets: &[Ticket]) -> Vec<(i64, i64)> {
    let mut edges = Vec::new();
    let mut lines: HashMap<(&str, i64), Vec<&Ticket>> = HashMap::new();
    for ticket in tickets {
        let line = (ticket.plan_id.as_str(), ticket.below);
        lines.entry(line).or_default().push(ticket);
        if let Some(parent) = ticket.parent {
            edges.push((parent, ticket.id));
        }
    }
    for line in lines.values() {
        let standings: Vec<Standing<'_>> =
            line.iter().map(|ticket| Standing::from(*ticket)).collect();
        for (me, ticket) in line.iter().enumerate() {
            if ticket.state != State::Waiting {
                continue;
            }
            let ahead = (0..line.len()).filter(|other| rules::is_ahead(&standings, *other, me));
            edges.extend(ahead.map(|other| (ticket.id, line[other].id)));
        }
    }
    edges
}

/// The chain of tickets that `start` waits for down to itself, if there is one.
pub(super) fn chain(
    tickets: &[Ticket],
    start: i64,
    plan_name: impl Fn(&str) -> Option<String>,
) -> Option<Vec<Link>> {
    let ids = circle(&edges(tickets), start)?;
    let ticket = |id: i64| tickets.iter().find(|ticket| ticket.id == id);
    let count = ids.len();
    let links = ids.iter().enumerate().filter_map(|(nth, id)| {
        let ticket = ticket(*id)?;
        let next = ids[(nth + 1) % count];
        let runs = tickets
            .iter()
            .any(|other| other.id == next && other.parent == Some(*id));
        Some(Link {
            ticket: ticket.clone(),
            plan: plan_name(&ticket.plan_id).unwrap_or_else(|| ticket.plan_id.clone()),
            tie: if runs { Tie::Runs } else { Tie::Waits },
        })
    });
    Some(links.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Whether `to` can be reached from `from`, by the naive closure.
    fn reaches(edges: &[(i64, i64)], from: i64, to: i64) -> bool {
        let mut reached: HashSet<i64> = edges
            .iter()
            .filter(|edge| edge.0 == from)
            .map(|edge| edge.1)
            .collect();
        for _ in 0..edges.len() {
            let more: Vec<i64> = edges
                .iter()
                .filter(|edge| reached.contains(&edge.0))
                .map(|edge| edge.1)
                .collect();
            reached.extend(more);
        }
        reached.contains(&to)
    }

    #[test]
    fn two_that_cross_and_three_in_a_ring() {
        // 1 holds a and runs 3, which waits for 2, which runs 4, which waits for 1.
        let crossing = [(1, 3), (3, 2), (2, 4), (4, 1)];
        assert_eq!(circle(&crossing, 4), Some(vec![4, 1, 3, 2]));
        assert_eq!(circle(&crossing[..3], 4), None);
        let ring = [(1, 4), (4, 2), (2, 5), (5, 3), (3, 6), (6, 1)];
        assert_eq!(circle(&ring, 6), Some(vec![6, 1, 4, 2, 5, 3]));
    }

    #[test]
    fn a_circle_that_the_start_is_not_in_is_not_its_own() {
        assert_eq!(circle(&[(1, 2), (2, 3), (3, 2)], 1), None);
        assert_eq!(circle(&[(7, 7)], 7), Some(vec![7]));
    }

    proptest! {
        #[test]
        fn a_circle_is_found_if_and_only_if_there_is_one(
            edges in vec((0..8_i64, 0..8_i64), 0..20),
            start in 0..8_i64,
        ) {
            let found = circle(&edges, start);
            prop_assert_eq!(found.is_some(), reaches(&edges, start, start));
            if let Some(chain) = found {
                prop_assert_eq!(chain[0], start);
                for (nth, id) in chain.iter().enumerate() {
                    let next = chain[(nth + 1) % chain.len()];
                    prop_assert!(edges.contains(&(*id, next)), "{:?}", chain);
                }
                let distinct: HashSet<_> = chain.iter().collect();
                prop_assert_eq!(distinct.len(), chain.len());
            }
        }
    }
}
