//! Many processes on few plans, somebody who kills, stops and interrupts them at random, and a
//! checker that was not there: it judges by what is left and by what the processes were told.
//!
//! Every command that ended with exit code 0 was acknowledged, and what it acknowledged must be
//! there; every other one did all of its work or none. `scripts/stress [SECONDS] [SEED]` runs it
//! for long; under plain `cargo test` it runs for two seconds. The seed gives each process's
//! commands and the adversary's moves; what the scheduler makes of them is its own affair.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a checker that cannot go on has found something; it reads its settings and prints"
)]

#[expect(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "shared with tests/it, which uses all of it"
)]
#[path = "../it/support/mod.rs"]
mod support;

mod adversary;
mod afterwards;
mod lane;
mod ledger;
mod queue;
mod tally;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::Sandbox;

use lane::Lane;

/// So many processes work at once.
const LANES: usize = 8;
/// On so few plans, so that they meet.
pub(crate) const PLANS: [&str; 2] = ["one", "two"];
/// Each with these branches.
pub(crate) const BRANCHES: [&str; 2] = ["main", "side"];

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is {text:?}, not a number"),
    }
}

fn main() -> ExitCode {
    // The checkers first: they must find what was planted.
    ledger::prove();
    queue::prove();
    afterwards::prove();
    let seconds = setting("PLANDEX_STRESS_SECONDS").unwrap_or(2);
    let seed = setting("PLANDEX_STRESS_SEED").unwrap_or_else(rand::random);
    println!("stress: {LANES} processes, {seconds} s, seed {seed}");
    let limit = Duration::from_secs(seconds + 300);
    let sandbox = Sandbox::with_limit(limit);
    prepare(&sandbox);
    let lanes: Vec<Lane> = (0..LANES).map(|_| Lane::default()).collect();
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let (operations, blows) = std::thread::scope(|scope| {
        let adversary = scope.spawn(|| adversary::run(&lanes, seed, &over));
        let workers: Vec<_> = lanes
            .iter()
            .enumerate()
            .map(|(number, lane)| {
                let (sandbox, over) = (&sandbox, &over);
                scope.spawn(move || lane.run(sandbox, number, seed, over))
            })
            .collect();
        std::thread::sleep(Duration::from_secs(seconds));
        over.store(true, Ordering::SeqCst);
        let operations: Vec<_> = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        (operations, adversary.join().unwrap())
    });
    let took = begun.elapsed();
    let mut found = tally::check(&operations);
    found.extend(afterwards::check(&sandbox, &operations));
    tally::print(&sandbox, &operations, &blows, took);
    if found.is_empty() {
        println!("stress: nothing was lost, nothing overlapped, nothing is left behind");
        return ExitCode::SUCCESS;
    }
    println!("stress: {} violations, seed {seed}", found.len());
    for line in found.iter().take(50) {
        println!("  {line}");
    }
    println!("the evidence is kept in {}", sandbox.keep().display());
    ExitCode::FAILURE
}

/// A project with two plans of two branches each, and short leases.
fn prepare(sandbox: &Sandbox) {
    sandbox.write("README.md", "# Stress\n");
    for number in 0..LANES {
        sandbox.write(&format!("src/file{number}.rs"), "fn main() {}\n");
    }
    sandbox.git(&["init", "--quiet", "--initial-branch", "main"]);
    sandbox.git(&["add", "--all"]);
    sandbox.git(&["commit", "--quiet", "--message", "start"]);
    for plan in PLANS {
        sandbox.ok(&["new", "--name", plan]);
        for branch in &BRANCHES[1..] {
            sandbox.ok(&[
                "--plan",
                plan,
                "--branch",
                BRANCHES[0],
                "checkout",
                "-b",
                branch,
            ]);
        }
    }
    sandbox.quicken();
}
