//! Each terminal has a plan and a branch of its own; scripts without one have the project's.

use super::{names, with_plans};
use crate::support::{OnTerminal, Sandbox};

const BINARY: &str = env!("CARGO_BIN_EXE_plandex");

/// A shell on a terminal of its own, as a person has one open all day.
struct Shell<'s> {
    terminal: OnTerminal<'s>,
    typed: usize,
}

impl<'s> Shell<'s> {
    fn open(sandbox: &'s Sandbox) -> Self {
        let terminal = sandbox
            .program("sh", [""; 0])
            .env("P", BINARY)
            .env("PS1", "")
            .on_terminal(200);
        Self { terminal, typed: 0 }
    }

    /// Types a command and waits for its end; returns the screen.
    fn run(&mut self, command: &str) -> String {
        self.typed += 1;
        let number = self.typed;
        // What is typed is echoed, too, and must not be taken for the answer.
        self.terminal
            .type_in(&format!("{command}; echo over-$(({number}))-$?\n"));
        self.terminal.until_shows(&format!("over-{number}-"));
        self.terminal.screen().text()
    }

    /// The plan, the branch and what decided them, in one line.
    fn current(&mut self) -> String {
        let screen = self.run("$P current");
        let value = |label: &str| {
            let line = screen.lines().rfind(|line| line.starts_with(label));
            line.map_or("", |line| line[label.len()..].trim())
                .to_owned()
        };
        ["Plan", "Branch", "Decided by"].map(value).join(" / ")
    }
}

#[test]
fn two_cds_do_not_meet() {
    let sandbox = with_plans(&["auth", "billing", "cache"]);
    let (mut a, mut b) = (Shell::open(&sandbox), Shell::open(&sandbox));
    // Before they choose, both have the project's.
    assert_eq!(a.current(), "cache / main / project");
    a.run("$P cd auth");
    b.run("$P cd billing");
    assert_eq!(a.current(), "auth / main / this terminal");
    assert_eq!(b.current(), "billing / main / this terminal");
    a.run("$P checkout -b twig");
    assert_eq!(a.current(), "auth / twig / this terminal");
    b.run("$P cd auth");
    assert_eq!(b.current(), "auth / main / this terminal");
    assert_eq!(a.current(), "auth / twig / this terminal");
    // A script without a terminal is where it was, and takes nobody with it.
    let script = || sandbox.ok(&["current", "--json"]).json()["plan"]["name"].clone();
    assert_eq!(script(), "cache");
    sandbox.ok(&["cd", "billing"]);
    assert_eq!(script(), "billing");
    assert_eq!(a.current(), "auth / twig / this terminal");
    // The environment and the flag are for one command.
    let screen = a.run("PLANDEX_PLAN=billing $P current");
    assert!(screen.contains("Decided by  PLANDEX_PLAN"), "{screen}");
    assert_eq!(a.current(), "auth / twig / this terminal");
}

#[test]
fn who_had_chosen_a_deleted_plan_is_told_who_deleted_it() {
    let sandbox = with_plans(&["auth", "billing"]);
    let (mut a, mut b) = (Shell::open(&sandbox), Shell::open(&sandbox));
    a.run("$P cd auth");
    b.run("$P cd auth");
    b.run("PLANDEX_ACTOR=bob $P dp auth -y");
    let screen = a.run("$P status");
    assert!(
        screen.contains("plan \"auth\", which this terminal had chosen, was deleted by bob"),
        "{screen}"
    );
    assert!(screen.contains("over-2-2"), "{screen}");
    a.run("$P cd billing");
    assert_eq!(a.current(), "billing / main / this terminal");
    assert_eq!(names(&sandbox, &[]), ["billing"]);
}
