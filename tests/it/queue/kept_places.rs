//! The place of a wait that timed out is kept for a minute, for the same command of the same actor.

use plandex::store::settings;
use plandex::store::tickets::{State, Ticket};

use crate::support::{Background, Run, Sandbox};

use super::{SOON, audited, holds, is_free, project, raw, waits, writer};

/// `plandex exec -- echo WORD` by `actor`, who waits for as long as `wait` says.
fn echo<'s>(sandbox: &'s Sandbox, actor: &str, word: &str, wait: &str) -> Run<'s> {
    let run = sandbox.plandex(["exec", "--", "echo", word]);
    let run = run.env("PLANDEX_WAIT", wait);
    if actor.is_empty() {
        run
    } else {
        run.env("PLANDEX_ACTOR", actor)
    }
}

/// Waits in vain, and leaves a place behind.
fn time_out(sandbox: &Sandbox, actor: &str, word: &str) -> Ticket {
    echo(sandbox, actor, word, "300ms").finish().exits(75);
    let mut kept: Vec<Ticket> = sandbox
        .tickets()
        .into_iter()
        .filter(Ticket::is_kept_place)
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    kept.remove(0)
}

fn waiter<'s>(sandbox: &'s Sandbox, actor: &str, word: &str) -> Background<'s> {
    let waiter = echo(sandbox, actor, word, "forever").start();
    waits(sandbox, &waiter);
    waiter
}

fn id_of(sandbox: &Sandbox, process: &Background<'_>) -> i64 {
    let all = sandbox.tickets().into_iter();
    let mut own = all.filter(|ticket| ticket.pid == process.pid());
    own.next().unwrap().id
}

#[test]
fn the_same_command_of_the_same_actor_takes_its_place_up_again() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let kept = time_out(&sandbox, "ann", "one");
    let other = waiter(&sandbox, "bob", "two");
    let again = waiter(&sandbox, "ann", "one");
    assert_eq!(id_of(&sandbox, &again), kept.id);
    assert!(id_of(&sandbox, &other) > kept.id);
    holder.finish().ok();
    again.finish().ok();
    other.finish().ok();
    // In the order of the places, not of the arrivals.
    let entries = audited(&sandbox);
    let words: Vec<(&str, &str)> = entries
        .iter()
        .map(|e| (e.actor.as_str(), e.outcome.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        words,
        [
            ("", "released"),
            ("ann", "timed out"),
            ("ann", "released"),
            ("bob", "released")
        ]
    );
    is_free(&sandbox);
}

#[test]
fn a_kept_place_blocks_nobody() {
    let sandbox = project();
    let holder = writer(&sandbox);
    time_out(&sandbox, "ann", "one");
    let other = waiter(&sandbox, "bob", "two");
    holder.finish().ok();
    other.finish().ok();
    echo(&sandbox, "bob", "two", "0").finish().ok();
    // Nothing is in the way now: the place is not needed, and goes.
    echo(&sandbox, "ann", "one", "0").finish().ok();
    is_free(&sandbox);
}

#[test]
fn nobody_else_takes_it() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let kept = time_out(&sandbox, "ann", "one");
    for (actor, word) in [("bob", "one"), ("ann", "another"), ("", "one")] {
        let other = waiter(&sandbox, actor, word);
        assert!(id_of(&sandbox, &other) > kept.id, "{actor} {word}");
        other.signal(rustix::process::Signal::INT);
        other.finish().exits(130);
    }
    let run = sandbox.plandex(["exec", "--read", "--", "echo", "one"]);
    let run = run
        .env("PLANDEX_ACTOR", "ann")
        .env("PLANDEX_WAIT", "forever");
    let reader = run.start();
    waits(&sandbox, &reader);
    assert!(id_of(&sandbox, &reader) > kept.id);
    holder.finish().ok();
    reader.finish().ok();
}

/// Who cannot be told from anybody else keeps nothing.
#[test]
fn without_an_actor_no_place_is_kept() {
    let sandbox = project();
    let holder = writer(&sandbox);
    echo(&sandbox, "", "one", "300ms").finish().exits(75);
    assert_eq!(sandbox.tickets().len(), 1);
    holder.finish().ok();
}

/// The place of a waiter that was passed over while it was stopped is its own.
#[test]
fn the_place_of_a_living_process_is_not_taken() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let first = waiter(&sandbox, "ann", "one");
    let id = id_of(&sandbox, &first);
    super::suspend(&sandbox, &first);
    holder.finish().ok();
    // Its turn comes and is not taken up: whoever comes next parks it.
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "cat"]);
    let next = run.held_stdin().start();
    holds(&sandbox, &next);
    let all = sandbox.tickets();
    let parked = all.iter().find(|ticket| ticket.id == id).unwrap();
    assert_eq!(parked.state, State::Parked);
    let second = waiter(&sandbox, "ann", "one");
    assert!(id_of(&sandbox, &second) > id);
    first.cont();
    next.finish().ok();
    first.finish().ok();
    second.finish().ok();
    is_free(&sandbox);
}

#[test]
fn an_expired_place_is_removed_by_whoever_comes() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let kept = time_out(&sandbox, "ann", "one");
    let age = |ms: i64| {
        let sql = "UPDATE repo_locks SET lease_stamp = lease_stamp - ?1 WHERE id = ?2";
        raw(&sandbox).execute(sql, [ms, kept.id]).unwrap();
    };
    age(30_000);
    echo(&sandbox, "bob", "two", "0").finish().exits(75);
    assert!(sandbox.tickets().iter().any(|ticket| ticket.id == kept.id));
    age(30_001);
    let late = waiter(&sandbox, "ann", "one");
    let all = sandbox.tickets();
    assert!(all.iter().all(|ticket| ticket.id != kept.id), "{all:?}");
    holder.finish().ok();
    late.finish().ok();
    is_free(&sandbox);
}

#[test]
fn a_kept_place_counts_neither_in_the_bound_nor_in_positions() {
    let sandbox = project();
    sandbox
        .store()
        .choose(SOON, |tx| settings::set_queue_max(tx, 1))
        .unwrap();
    let holder = writer(&sandbox);
    time_out(&sandbox, "ann", "one");
    let run = sandbox.plandex(["exec", "--wait", "forever", "--json", "--", "true"]);
    let other = run.start();
    waits(&sandbox, &other);
    other.until_says("lock.waiting");
    assert!(
        other.stderr().contains("\"position\":2"),
        "{}",
        other.stderr()
    );
    // The line is full now; but who has a place in it may come back to it.
    echo(&sandbox, "bob", "two", "1s").finish().exits(75);
    let again = waiter(&sandbox, "ann", "one");
    holder.finish().ok();
    again.finish().ok();
    other.finish().ok();
}

/// Without patience, a place that is not the first does not help, and stays.
#[test]
fn without_waiting_the_place_stays_as_it_is() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let kept = time_out(&sandbox, "ann", "one");
    echo(&sandbox, "ann", "one", "0").finish().exits(75);
    let all = sandbox.tickets();
    let still = all.iter().find(|ticket| ticket.id == kept.id).unwrap();
    assert!(still.is_kept_place());
    holder.finish().ok();
}
