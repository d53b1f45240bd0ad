//! Random sequences of plan, branch, context, run and rewind commands against a model in memory:
//! after each, the rows are the model's and the head's tree says the same; a rebuild changes
//! nothing; a lost database comes back as it was.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::Config;
use rusqlite::Connection;

use super::rebuild::{back, expect_same};
use super::trees;
use crate::support::Sandbox;

#[derive(Debug, Clone)]
enum Step {
    New,
    /// To one of the plans.
    Cd(usize),
    Fork,
    Checkout(usize),
    Load(usize),
    Note,
    Remove(usize),
    Tell,
    Apply,
    Rewind(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::New),
        1 => (0..8_usize).prop_map(Step::Cd),
        2 => Just(Step::Fork),
        2 => (0..8_usize).prop_map(Step::Checkout),
        3 => (0..4_usize).prop_map(Step::Load),
        2 => Just(Step::Note),
        2 => (0..4_usize).prop_map(Step::Remove),
        4 => Just(Step::Tell),
        2 => Just(Step::Apply),
        4 => (1..5_usize).prop_map(Step::Rewind),
    ]
}

/// What a version holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    contexts: BTreeSet<String>,
    messages: usize,
    pending: BTreeSet<String>,
}

/// The versions of a branch, newest last.
type History = Vec<State>;

#[derive(Default)]
struct Model {
    plans: Vec<BTreeMap<String, History>>,
    names: Vec<String>,
    /// Where we are: a plan, a branch.
    at: (usize, String),
    count: usize,
}

impl Model {
    fn history(&mut self) -> &mut History {
        self.plans[self.at.0].get_mut(&self.at.1).unwrap()
    }

    fn now(&mut self) -> State {
        self.history().last().unwrap().clone()
    }

    /// Adds a version that differs as `change` says.
    fn next(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.now();
        change(&mut state);
        self.history().push(state);
    }

    fn fresh(&mut self) -> usize {
        self.count += 1;
        self.count
    }

    /// Does one step here and there.
    fn take(&mut self, step: &Step, sandbox: &Sandbox) {
        match step {
            Step::New => {
                let name = format!("plan-{}", self.fresh());
                sandbox.ok(&["new", "-n", &name]);
                let main = BTreeMap::from([("main".to_owned(), vec![State::default()])]);
                self.plans.push(main);
                self.names.push(name);
                self.at = (self.plans.len() - 1, "main".to_owned());
            }
            Step::Cd(number) => {
                let number = number % self.plans.len();
                sandbox.ok(&["cd", &(number + 1).to_string()]);
                sandbox.ok(&["checkout", "main"]);
                self.at = (number, "main".to_owned());
            }
            Step::Fork => {
                let name = format!("branch-{}", self.fresh());
                sandbox.ok(&["checkout", "-b", &name]);
                let mut history = self.history().clone();
                history.push(history.last().unwrap().clone());
                self.plans[self.at.0].insert(name.clone(), history);
                self.at.1 = name;
            }
            Step::Checkout(number) => {
                let names: Vec<String> = self.plans[self.at.0].keys().cloned().collect();
                let name = &names[number % names.len()];
                sandbox.ok(&["checkout", name]);
                self.at.1.clone_from(name);
            }
            Step::Rewind(steps) => self.rewind(*steps, sandbox),
            Step::Load(_) | Step::Note | Step::Remove(_) | Step::Tell | Step::Apply => {
                self.change(step, sandbox);
            }
        }
    }

    fn change(&mut self, step: &Step, sandbox: &Sandbox) {
        match step {
            Step::Load(number) => {
                let name = format!("file{number}.txt");
                sandbox.write(&name, format!("{}\n", self.fresh()));
                sandbox.ok(&["load", &name]);
                self.next(|state| {
                    state.contexts.insert(name);
                });
            }
            Step::Note => {
                let text = format!("note {}", self.fresh());
                sandbox.ok(&["load", "-n", &text]);
                self.next(|state| {
                    state.contexts.insert(text);
                });
            }
            Step::Remove(number) => {
                let name = format!("file{number}.txt");
                if self.now().contexts.contains(&name) {
                    sandbox.ok(&["rm", &name]);
                    self.next(|state| {
                        state.contexts.remove(&name);
                    });
                }
            }
            Step::Tell => {
                let path = format!("made{}.txt", self.fresh());
                let edit = "```\n<<<<<<< SEARCH\n=======\nmade\n>>>>>>> REPLACE\n```\n";
                sandbox.ok(&["tell", &format!("Make it.\n\n{path}\n{edit}")]);
                self.next(|state| {
                    state.messages += 2;
                    state.pending.insert(path);
                });
            }
            Step::Apply
            | Step::New
            | Step::Cd(_)
            | Step::Fork
            | Step::Checkout(_)
            | Step::Rewind(_) => {
                sandbox.ok(&["apply", "--yes"]);
                if !self.now().pending.is_empty() {
                    self.next(|state| state.pending.clear());
                }
            }
        }
    }

    fn rewind(&mut self, steps: usize, sandbox: &Sandbox) {
        let history = self.history();
        if steps >= history.len() {
            let refused = sandbox.run(&["rewind", &steps.to_string()]);
            assert_eq!(refused.code, Some(2), "{}", refused.text());
            return;
        }
        let then = history[history.len() - 1 - steps].clone();
        history.push(then);
        sandbox.ok(&["rewind", &steps.to_string()]);
    }

    #[track_caller]
    fn check(&mut self, sandbox: &Sandbox, what: &str) {
        let expected = self.now();
        let connection = Connection::open(sandbox.state_dir().join("plandex.db")).unwrap();
        let of_branch = |sql: &str| -> Vec<String> {
            let sql = format!(
                "{sql} WHERE branch_id = (SELECT b.id FROM branches b JOIN plans p
                    ON p.id = b.plan_id AND p.name = ?1 AND b.name = ?2)"
            );
            let mut select = connection.prepare(&sql).unwrap();
            let names = [self.names[self.at.0].as_str(), self.at.1.as_str()];
            let rows = select.query_map(names, |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let found = State {
            contexts: of_branch("SELECT name FROM contexts").into_iter().collect(),
            messages: of_branch("SELECT id FROM convo_messages").len(),
            pending: of_branch("SELECT iif(state = 'pending', path, '') FROM pending_changes")
                .into_iter()
                .filter(|path| !path.is_empty())
                .collect(),
        };
        assert_eq!(found, expected, "{what}");
        trees::check(sandbox, what);
    }
}

proptest! {
    #![proptest_config(Config { cases: 5, max_shrink_iters: 20, failure_persistence: None, ..Config::default() })]

    #[test]
    fn rows_and_trees_are_what_a_model_says(steps in proptest::collection::vec(step(), 8..20)) {
        let sandbox = Sandbox::in_memory(std::time::Duration::from_secs(300));
        let mut model = Model::default();
        model.take(&Step::New, &sandbox);
        for (number, step) in steps.iter().enumerate() {
            model.take(step, &sandbox);
            model.check(&sandbox, &format!("step {number} of {steps:?}"));
        }
        let before = back(&sandbox);
        let said = sandbox.ok(&["doctor", "--rebuild"]).stdout;
        prop_assert!(said.contains("Nothing to rebuild"), "{said}");
        expect_same(&back(&sandbox), &before, "rebuilt");
        for ending in ["", "-wal", "-shm"] {
            std::fs::remove_file(sandbox.state_dir().join(format!("plandex.db{ending}"))).ok();
        }
        sandbox.ok(&["doctor", "--rebuild"]);
        expect_same(&back(&sandbox), &before, "made again");
        trees::check(&sandbox, "made again");
    }
}
