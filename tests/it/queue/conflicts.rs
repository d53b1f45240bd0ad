//! Who excludes whom, and who runs together.

use plandex::store::tickets::State;

use crate::support::{Background, Outcome, Run, Sandbox};

use super::{SOON, holds, project, waits};

/// What a process asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Main,
    Feature,
    Root,
    Write,
}

use Claim::{Feature, Main, Root, Write};

impl Claim {
    /// `plandex exec`, with the flags that ask for this.
    fn exec(self, sandbox: &Sandbox) -> Run<'_> {
        sandbox.plandex(["exec"]).args(match self {
            Main => &["--read", "--branch", "main"][..],
            Feature => &["--read", "--branch", "feature"],
            Root => &["--read", "--root"],
            Write => &[],
        })
    }

    /// DESIGN.md 4: reads of one branch run together, and nothing else does.
    fn runs_with(self, other: Self) -> bool {
        self == other && matches!(self, Main | Feature)
    }

    /// A process that holds this until its standard input ends.
    fn held(self, sandbox: &Sandbox) -> Background<'_> {
        let holder = self.exec(sandbox).args(["--", "cat"]).held_stdin().start();
        holds(sandbox, &holder);
        holder
    }

    /// A process that waits for this behind what is in the way.
    fn waiting(self, sandbox: &Sandbox) -> Background<'_> {
        let run = self.exec(sandbox).args(["--wait", "forever", "--", "cat"]);
        let waiter = run.held_stdin().start();
        waits(sandbox, &waiter);
        waiter
    }

    fn at_once(self, sandbox: &Sandbox) -> Outcome {
        self.exec(sandbox)
            .args(["--no-wait", "--", "true"])
            .finish()
    }
}

fn branched() -> Sandbox {
    let sandbox = project();
    sandbox.ok(&["checkout", "-b", "feature"]);
    sandbox.ok(&["checkout", "main"]);
    sandbox
}

/// The holder is seen in `locks --json` with its scope, its branch and its program running.
fn is_shown(sandbox: &Sandbox, claim: Claim, holder: &Background<'_>) {
    let document = sandbox.ok(&["locks", "--json"]).json();
    let locks = document["locks"].as_array().unwrap();
    let lock = locks
        .iter()
        .find(|lock| lock["pid"] == holder.pid())
        .unwrap();
    let (scope, branch) = match claim {
        Main => ("read", Some("main")),
        Feature => ("read", Some("feature")),
        Root => ("read", None),
        Write => ("write", None),
    };
    assert_eq!(lock["state"], "held");
    assert_eq!(lock["scope"], scope);
    assert_eq!(lock["branch"].as_str(), branch);
    assert_eq!(lock["isAlive"], true);
}

/// One cell of the table: `first` holds, `second` comes.
fn check_cell(sandbox: &Sandbox, first: Claim, second: Claim) {
    let cell = format!("{first:?} held, {second:?} comes");
    let mut holder = first.held(sandbox);
    is_shown(sandbox, first, &holder);
    holder.say("works\n");
    holder.until_says("works");
    let refused = second.at_once(sandbox);
    if first.runs_with(second) {
        assert_eq!(refused.code, Some(0), "{cell}\n{refused}");
        assert!(holder.is_running(), "{cell}");
        holder.finish().ok();
        return;
    }
    assert_eq!(refused.code, Some(75), "{cell}\n{refused}");
    refused
        .says("lock conflict: cannot acquire")
        .says("nothing was changed");
    let mut waiter = second.waiting(sandbox);
    waiter.say("my turn\n");
    assert_eq!(waiter.stdout(), "", "{cell}: it runs beside the holder");
    holder.finish().ok();
    waiter.until_says("my turn");
    waiter.finish().ok();
}

#[test]
fn every_cell_of_the_conflict_table() {
    let sandbox = branched();
    let all = [Main, Feature, Root, Write];
    for first in all {
        for second in all {
            check_cell(&sandbox, first, second);
        }
    }
    super::is_free(&sandbox);
}

mod lock_conflict_detection {
    use super::*;

    #[test]
    fn write_conflicts_with_read() {
        let sandbox = branched();
        for read in [Main, Feature, Root] {
            check_cell(&sandbox, Write, read);
            check_cell(&sandbox, read, Write);
        }
    }

    #[test]
    fn read_conflicts_different_branch() {
        let sandbox = branched();
        check_cell(&sandbox, Main, Feature);
        check_cell(&sandbox, Feature, Main);
        check_cell(&sandbox, Main, Root);
        check_cell(&sandbox, Root, Main);
    }

    #[test]
    fn read_compatible_same_branch() {
        let sandbox = branched();
        let readers = [Main.held(&sandbox), Main.held(&sandbox)];
        Main.at_once(&sandbox).ok();
        Feature.at_once(&sandbox).exits(75);
        for reader in readers {
            reader.finish().ok();
        }
        Feature.at_once(&sandbox).ok();
    }
}

mod queue_batching {
    use super::*;

    /// Queues `claims` behind a writer, lets the writer end and returns how many then run
    /// together, by who really holds; then lets each run to its end, in groups.
    fn groups(claims: &[Claim]) -> Vec<usize> {
        let sandbox = branched();
        let gate = Write.held(&sandbox);
        let mut line: Vec<Background<'_>> =
            claims.iter().map(|claim| claim.waiting(&sandbox)).collect();
        gate.finish().ok();
        let mut groups = Vec::new();
        while !line.is_empty() {
            // Whoever is next in line runs; the grant step that let it run let its group run too.
            holds(&sandbox, &line[0]);
            let pids: Vec<u32> = line.iter().map(Background::pid).collect();
            let tickets = sandbox.until_queue("every grant is taken up", |line| {
                line.iter().all(|ticket| ticket.state != State::Granted)
            });
            let held: Vec<bool> = pids
                .iter()
                .map(|pid| {
                    let ticket = tickets.iter().find(|ticket| ticket.pid == *pid).unwrap();
                    ticket.state.blocks()
                })
                .collect();
            let count = held.iter().filter(|held| **held).count();
            assert!(
                held[..count].iter().all(|held| *held),
                "one ran out of turn: {held:?}"
            );
            let rest = line.split_off(count);
            for (number, mut member) in line.into_iter().enumerate() {
                member.say(&format!("member {number}\n"));
                member.until_says(&format!("member {number}"));
                member.finish().ok();
            }
            line = rest;
            groups.push(count);
        }
        groups
    }

    #[test]
    fn write_operations_are_not_batched() {
        assert_eq!(groups(&[Write, Main]), [1, 1]);
    }

    #[test]
    fn same_branch_reads_are_batched() {
        assert_eq!(groups(&[Main; 5]), [5]);
    }

    #[test]
    fn different_branch_reads_stop_batching() {
        assert_eq!(groups(&[Main, Main, Feature, Main]), [2, 1, 1]);
    }

    #[test]
    fn root_branch_reads_are_not_batched() {
        assert_eq!(groups(&[Root, Root]), [1, 1]);
    }
}

mod concurrent_tell_operations {
    use super::*;

    /// SEED.md 7.1.2, without waiting: one runs, the others say why they cannot.
    #[test]
    fn without_waiting() {
        let sandbox = project();
        let first = super::super::teller(&sandbox, "first", "thinking");
        let mut others: Vec<_> = ["second", "third"]
            .map(|prompt| {
                let reply = sandbox.write_beside(prompt, "an answer\n");
                let run = sandbox.plandex(["tell", prompt, "--no-wait", "--reply"]);
                run.args([reply]).start()
            })
            .into();
        for other in &mut others {
            let refused = other.wait(SOON).exits(75);
            refused
                .says("lock conflict: cannot acquire write lock")
                .says("Tell operation");
        }
        first.finish().ok();
        let said: Vec<_> = super::super::convo(&sandbox);
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0].2, "first");
        assert_eq!(said[1].2, "thinking\n");
    }

    /// SEED.md 7.1.2, waiting: all succeed, in the order of their tickets, and nothing is interleaved.
    #[test]
    fn waiting() {
        let sandbox = project();
        let mut first = super::super::teller(&sandbox, "first", "thinking");
        let others = ["second", "third"].map(|prompt| {
            let run = sandbox.plandex(["tell", prompt, "--wait", "forever", "--reply", "-"]);
            run.stdin(&format!("answer to {prompt}\n")).start()
        });
        for other in &others {
            waits(&sandbox, other);
        }
        let tickets = sandbox.tickets();
        first.say("done thinking\n");
        first.finish().ok();
        let by_pid = others.each_ref().map(Background::pid);
        for other in others {
            other.finish().ok();
        }
        // Both were started before either was seen in line: their tickets say who came first.
        let mut expected = vec!["first", "thinking\ndone thinking\n"];
        for ticket in tickets.iter().filter(|ticket| by_pid.contains(&ticket.pid)) {
            expected.extend(if ticket.pid == by_pid[0] {
                ["second", "answer to second\n"]
            } else {
                ["third", "answer to third\n"]
            });
        }
        let said = super::super::convo(&sandbox);
        let texts: Vec<&str> = said.iter().map(|(_, _, text)| text.as_str()).collect();
        assert_eq!(texts, expected);
        assert!(
            said.iter().all(|(_, state, _)| state == "complete"),
            "{said:?}"
        );
        let roles: Vec<&str> = said.iter().map(|(role, _, _)| role.as_str()).collect();
        assert_eq!(roles, ["user", "assistant"].repeat(3));
    }
}
