//! One first-in-first-out line per plan, worked off in groups. Pure; whoever has it locks it.
//!
//! Everything changes in one step under the owner's mutex, so a wake-up cannot be lost between
//! "the queue is empty" and "nobody works on it".

use std::collections::{HashMap, VecDeque};

use crate::lock::rules::{self, Claim};
use crate::store::tickets::Scope;

/// What something in a line works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The plan whose line it stands in.
    pub plan_id: String,
    /// Read or write.
    pub scope: Scope,
    /// The branch of a read; `None` is the root. Ignored for writes.
    pub branch: Option<String>,
}

impl Place {
    fn claim(&self) -> Claim<'_> {
        Claim {
            scope: self.scope,
            branch: self.branch.as_deref().filter(|_| self.scope == Scope::Read),
        }
    }
}

/// So many reads of one branch run at the same time at the most: fewer than a plan's line in the
/// database takes, so that a group never finds it full of itself.
pub const GROUP_MAX: usize = 64;

/// The lines of all plans.
#[derive(Debug)]
pub struct Queues<J> {
    plans: HashMap<String, PlanQueue<J>>,
}

#[derive(Debug)]
struct PlanQueue<J> {
    waiting: VecDeque<(Place, J)>,
    /// What runs: so many, each of which works on this.
    running: usize,
    group: Option<Place>,
}

impl<J> Default for Queues<J> {
    fn default() -> Self {
        Self {
            plans: HashMap::new(),
        }
    }
}

impl<J> Queues<J> {
    /// Puts `job` at the end of its plan's line.
    pub fn push(&mut self, place: Place, job: J) {
        let plan = self
            .plans
            .entry(place.plan_id.clone())
            .or_insert_with(|| PlanQueue {
                waiting: VecDeque::new(),
                running: 0,
                group: None,
            });
        plan.waiting.push_back((place, job));
    }

    /// Takes out what of `plan_id` may run now: if nothing runs, the next group (one write or root
    /// read, or the reads of one branch that stand together); else the reads that stand first in
    /// line and belong to the group that runs. Each is to be reported
    /// [`finished`](Self::finished).
    pub fn next_group(&mut self, plan_id: &str) -> Vec<J> {
        let Some(queue) = self.plans.get_mut(plan_id) else {
            return Vec::new();
        };
        let most = queue.waiting.iter().take(GROUP_MAX - queue.running);
        let claims = most.map(|(place, _)| place.claim());
        let count = match &queue.group {
            // Nobody is passed over: whoever stands before it belongs to the group too.
            Some(group) => claims
                .take_while(|claim| !rules::conflicts(group.claim(), *claim))
                .count(),
            None => rules::next_batch(&claims.collect::<Vec<_>>()),
        };
        if queue.running == 0 && count == 0 {
            self.plans.remove(plan_id);
            return Vec::new();
        }
        queue.running += count;
        let (places, group): (Vec<Place>, Vec<J>) = queue.waiting.drain(..count).unzip();
        queue.group = queue.group.take().or(places.into_iter().next());
        group
    }

    /// One of the running group of `plan_id` has ended.
    pub fn finished(&mut self, plan_id: &str) {
        if let Some(queue) = self.plans.get_mut(plan_id) {
            queue.running = queue.running.saturating_sub(1);
            if queue.running == 0 {
                queue.group = None;
            }
        }
    }

    /// How many plans have a line now: something runs or waits.
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// How many wait in the line of `plan_id`.
    pub fn waiting(&self, plan_id: &str) -> usize {
        self.plans
            .get(plan_id)
            .map_or(0, |queue| queue.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(plan: &str, branch: &str) -> Place {
        Place {
            plan_id: plan.to_owned(),
            scope: Scope::Read,
            branch: (!branch.is_empty()).then(|| branch.to_owned()),
        }
    }

    fn write(plan: &str) -> Place {
        Place {
            plan_id: plan.to_owned(),
            scope: Scope::Write,
            branch: None,
        }
    }

    /// Works one plan off to its end; each group as it came.
    fn groups(places: Vec<Place>) -> Vec<Vec<usize>> {
        let mut queues = Queues::default();
        for (number, place) in places.into_iter().enumerate() {
            queues.push(place, number);
        }
        let mut groups = Vec::new();
        loop {
            let group = queues.next_group("a");
            if group.is_empty() {
                assert_eq!(queues.plans(), 0);
                return groups;
            }
            assert!(queues.next_group("a").is_empty(), "one group at a time");
            group.iter().for_each(|_| queues.finished("a"));
            groups.push(group);
        }
    }

    #[test]
    fn a_plan_is_worked_off_in_groups_and_in_order() {
        let (main, other, root) = (read("a", "main"), read("a", "other"), read("a", ""));
        let places = vec![
            main.clone(),
            main.clone(),
            other,
            main.clone(),
            write("a"),
            root.clone(),
            root,
            main,
        ];
        let expected: [&[usize]; 7] = [&[0, 1], &[2], &[3], &[4], &[5], &[6], &[7]];
        assert_eq!(groups(places), expected);
    }

    #[test]
    fn a_group_has_a_limit_and_the_rest_follows() {
        let sizes: Vec<usize> = groups(vec![read("a", "main"); 150])
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [64, 64, 22]);
    }

    #[test]
    fn reads_join_the_group_that_runs_unless_somebody_stands_before_them() {
        let mut queues = Queues::default();
        queues.push(read("a", "main"), 1);
        assert_eq!(queues.next_group("a"), [1]);
        queues.push(read("a", "main"), 2);
        assert_eq!(queues.next_group("a"), [2]);
        queues.push(write("a"), 3);
        queues.push(read("a", "main"), 4);
        assert!(queues.next_group("a").is_empty());
        queues.finished("a");
        assert!(queues.next_group("a").is_empty());
        queues.finished("a");
        assert_eq!(queues.next_group("a"), [3]);
        queues.finished("a");
        assert_eq!(queues.next_group("a"), [4]);
        // A root read runs alone, and nobody joins it.
        queues.push(read("a", ""), 5);
        queues.finished("a");
        assert_eq!(queues.next_group("a"), [5]);
        queues.push(read("a", ""), 6);
        assert!(queues.next_group("a").is_empty());
    }

    #[test]
    fn plans_do_not_wait_for_each_other() {
        let mut queues = Queues::default();
        for plan in ["a", "b"] {
            queues.push(write(plan), format!("{plan}1"));
            queues.push(write(plan), format!("{plan}2"));
        }
        assert_eq!(queues.next_group("a"), ["a1"]);
        assert_eq!(queues.next_group("b"), ["b1"]);
        queues.finished("b");
        assert_eq!(queues.next_group("b"), ["b2"]);
        assert_eq!((queues.plans(), queues.waiting("a")), (2, 1));
        assert!(queues.next_group("a").is_empty());
        assert!(queues.next_group("c").is_empty());
    }
}
