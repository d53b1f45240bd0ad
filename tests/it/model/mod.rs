//! The lock protocol, exhausted by a model checker over the functions that production runs.
//!
//! Three processes (each may die and be started again) take tickets on two branches of one plan,
//! to read or to write, wherever and as often as they like. Every transaction is one step, and
//! between any two steps any process may be stopped, resumed or killed, and time may pass.
//! Nothing is counted down: each fault may strike any number of times, and the graph of states is
//! finite all the same because fences are kept as ranks. A second run leaves a branch out and adds
//! kept places, one at a time: waits time out and leave one, the same command may take it up, another
//! one stands behind it, and it is forgotten at any moment. Tickets below a hold are lines of their
//! own by the same rules; what ties them to the hold (they fall with it, its fence is theirs) is not
//! in the model but in the properties of `store::tickets`.
//! The shortest way to some states needs a
//! fault twice; those are asked for by name, so that a model that cannot reach them fails.
//!
//! Time. A ticket's silence is one of three: renewed, longer than the grace, longer than the
//! lease. A lease runs out while its owner does not run, or while the gate is shut (a process
//! stopped inside it, a stall of the whole machine: nobody commits). When a grace passes with the
//! gate open, every running heart has had its turn: a heart at the gate gets in within
//! milliseconds, so the grace waits for it. A waiter that finds the gate shut when its grace is
//! over forgets its first look (`lock::wait` gives up at the gate after half a grace).
//!
//! A waiter's decisions are taken on a snapshot that may be old when its transaction runs, so a
//! waiter here may run any transaction whose own condition holds, not only the one it would
//! choose. What it chooses decides whether the line moves at all, and is used for that: from every
//! state, running processes alone, with every stopped one left stopped, must serve all that wait.

use std::time::Instant;

use plandex::lock::rules;
use plandex::store::tickets::State;
use stateright::{Checker, Model, Property};

mod protocol;
mod world;

use protocol::*;
use world::*;

fn always() -> Vec<Property<Protocol>> {
    vec![
        Property::always("no stale write", |_, world: &World| {
            world.crime != Some(Crime::StaleWrite)
        }),
        Property::always("no inversion", |_, world: &World| {
            world.crime != Some(Crime::Inversion)
        }),
        Property::always("nobody alive is condemned", |_, world: &World| {
            world.crime != Some(Crime::CondemnedAlive)
        }),
        Property::always("no two in conflict", |_, world: &World| {
            let granted = || world.line.iter().filter(|row| row.state.blocks());
            granted().enumerate().all(|(nth, one)| {
                granted()
                    .skip(nth + 1)
                    .all(|other| !rules::conflicts(CLAIMS[one.claim], CLAIMS[other.claim]))
            })
        }),
        Property::always("no idle line", |_, world: &World| {
            rules::grantable(&world.standings()).is_empty()
        }),
        Property::always("no lost ticket", |_, world: &World| {
            no_ticket_is_lost(world)
        }),
        Property::always("everybody is served", |protocol: &Protocol, world| {
            protocol.everybody_is_served(world)
        }),
    ]
}

/// Every row is known to the living process it belongs to, every waiting process has its row, and
/// what a process gave up on is on its way out.
fn no_ticket_is_lost(world: &World) -> bool {
    let mut rows = world.line.iter().filter(|row| row.owner.is_some());
    let rows_are_right = rows.all(|row| {
        let phase = row.owner.map(|process| world.processes[process].phase);
        match phase {
            Some(Phase::Waiting) => !matches!(row.state, State::Held | State::Condemned),
            Some(Phase::Working(work)) => {
                matches!(row.state, State::Held | State::Condemned) && row.fence == work.fence
            }
            Some(Phase::Idle) | None => false,
        }
    });
    let waiters_have_rows = (0..PROCESSES).all(|process| {
        let rows = world.line.iter();
        let mine = rows.filter(|row| row.owner == Some(process));
        match world.processes[process].phase {
            Phase::Waiting => mine.count() == 1,
            Phase::Working(_) => mine.count() <= 1,
            Phase::Idle => mine.count() == 0,
        }
    });
    rows_are_right && waiters_have_rows
}

fn sometimes() -> Vec<Property<Protocol>> {
    fn count(world: &World, what: fn(&Row) -> bool) -> usize {
        world.line.iter().filter(|row| what(row)).count()
    }
    fn works(world: &World, what: fn(Work) -> bool) -> usize {
        let works = (0..PROCESSES).filter_map(|process| world.work(process));
        works.filter(|work| what(*work)).count()
    }
    vec![
        Property::sometimes("three reads of one branch", |_, world: &World| {
            count(world, |row| row.state == State::Held) == 3
        }),
        Property::sometimes("killed twice", |_, world: &World| {
            count(world, |row| row.owner.is_none() && !row.kept) == 2
        }),
        Property::sometimes("stopped twice", |_, world: &World| {
            let mut processes = world.processes.iter();
            processes.all(|process| !process.running)
        }),
        Property::sometimes("expired twice", |_, world: &World| {
            count(world, |row| row.state == State::Condemned) == 2
        }),
        Property::sometimes("resumed twice, too late", |_, world: &World| {
            works(world, |work| work.told && work.overtaken) == 2
        }),
        Property::sometimes("passed over twice", |_, world: &World| {
            count(world, |row| row.state == State::Parked) == 2
        }),
    ]
}

/// Goes through every state; `least` of them are enough to mean anything.
#[expect(
    clippy::print_stderr,
    reason = "the counts are what a reader wants to see"
)]
fn exhaust(protocol: Protocol, what: &str, least: usize) {
    let begun = Instant::now();
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    let states = checker.unique_state_count();
    eprintln!(
        "lock model{what}: {states} states, {} steps, {} deep, {:.1} s",
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    checker.assert_properties();
    assert!(
        states >= least,
        "{states} states are too few to mean anything"
    );
}

#[test]
fn the_protocol_holds_in_every_state() {
    exhaust(Protocol::new(Fault::None), "", 100_000);
}

#[test]
fn the_protocol_holds_in_every_state_with_kept_places() {
    exhaust(Protocol::keeping(), " with kept places", 100_000);
}

/// The model is tested by what it must notice: the shortest way to break `property` without the
/// part of the protocol that `fault` leaves out, and the state it ends in.
#[expect(clippy::print_stderr, reason = "the way is what a reader wants to see")]
fn counterexample(fault: Fault, property: &'static str) -> (Vec<Step>, World) {
    // Deepened step by step: within one depth the checker keeps whichever it finds last.
    let found = (2..20).find_map(|depth| {
        let checker = Protocol::new(fault)
            .checker()
            .target_max_depth(depth)
            .spawn_bfs()
            .join();
        let path = checker.discovery(property)?;
        Some((path, checker.unique_state_count()))
    });
    let (path, states) = found.expect("the model notices the fault");
    let end = path.last_state().clone();
    let steps = path.into_actions();
    eprintln!("lock model, {fault:?}: not \"{property}\" ({states} states): {steps:?}");
    (steps, end)
}

#[test]
fn without_the_fence_check_a_stale_write_is_found() {
    let (steps, _) = counterexample(Fault::NoFenceCheck, "no stale write");
    assert!(matches!(steps.last(), Some(Step::Write(_))));
    assert!(steps.iter().any(|step| matches!(step, Step::Condemn(..))));
}

#[test]
fn without_the_second_look_a_stall_condemns_the_living() {
    let (steps, _) = counterexample(Fault::NoSecondLook, "nobody alive is condemned");
    assert!(steps.contains(&Step::GatePasses(Gate::Shut)));
    assert!(!steps.iter().any(|step| matches!(step, Step::Stop(_))));
}

#[test]
fn with_looks_past_the_gate_a_stall_condemns_the_living() {
    let (steps, _) = counterexample(Fault::LooksPastTheGate, "nobody alive is condemned");
    assert!(steps.contains(&Step::GracePasses));
    assert!(!steps.iter().any(|step| matches!(step, Step::Stop(_))));
}

#[test]
fn without_parking_somebody_starves_behind_a_stopped_waiter() {
    let (_, end) = counterexample(Fault::NoParking, "everybody is served");
    assert!(is_stopped(&end, first_in_line(&end)));
}

#[test]
fn if_only_the_first_looks_after_holders_somebody_starves_behind_a_stopped_waiter() {
    let (_, end) = counterexample(Fault::FirstAloneTends, "everybody is served");
    assert!(is_stopped(&end, first_in_line(&end)));
    assert!(end.line.iter().any(|row| row.state == State::Held));
}

#[test]
fn if_any_parked_place_is_taken_up_a_living_waiter_loses_its_own() {
    let (steps, end) = counterexample(Fault::TakesAnyPlace, "no lost ticket");
    assert!(matches!(steps.last(), Some(Step::TakeUp(..))));
    let waits = |process: &usize| end.processes[*process].phase == Phase::Waiting;
    let loser = (0..PROCESSES)
        .filter(waits)
        .find(|p| end.row_of(*p).is_none());
    assert!(loser.is_some());
}

fn first_in_line(world: &World) -> &Row {
    let is_in_line = |row: &&Row| matches!(row.state, State::Waiting | State::Granted);
    world
        .line
        .iter()
        .find(is_in_line)
        .expect("somebody starves")
}

fn is_stopped(world: &World, row: &Row) -> bool {
    row.owner.is_some() && !world.is_running(row.owner)
}
