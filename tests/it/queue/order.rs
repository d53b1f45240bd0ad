//! The line: its order, and what those in it are told.

use plandex::store::tickets::State;

use crate::support::{Background, Sandbox};

use super::{SOON, project, suspend, waits, writer};

/// A waiter that notes its name when it runs.
fn noting<'s>(sandbox: &'s Sandbox, name: &str) -> Background<'s> {
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "sh", "-c"]);
    let waiter = run.args([format!("echo {name} >> ../tmp/order")]).start();
    waits(sandbox, &waiter);
    waiter
}

fn order(sandbox: &Sandbox) -> Vec<String> {
    let text = std::fs::read_to_string(sandbox.place().join("tmp/order")).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn eight_waiters_run_in_the_order_they_came() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let names: Vec<String> = (1..=8).map(|number| number.to_string()).collect();
    let waiters: Vec<Background<'_>> = names.iter().map(|name| noting(&sandbox, name)).collect();
    let shown = sandbox.ok(&["locks", "--json"]).json();
    for (index, waiter) in waiters.iter().enumerate() {
        let locks = shown["locks"].as_array().unwrap();
        let lock = locks
            .iter()
            .find(|lock| lock["pid"] == waiter.pid())
            .unwrap();
        assert_eq!(lock["position"], index + 2, "{shown}");
        assert_eq!(lock["state"], "waiting");
    }
    holder.finish().ok();
    for mut waiter in waiters {
        waiter.wait(SOON).ok();
    }
    assert_eq!(order(&sandbox), names);
}

/// Whoever leaves the middle of the line changes nothing for the others.
#[test]
fn a_waiter_killed_in_line_is_stepped_over() {
    let sandbox = project();
    let holder = writer(&sandbox);
    let first = noting(&sandbox, "first");
    let dead = noting(&sandbox, "dead");
    let last = noting(&sandbox, "last");
    dead.kill();
    holder.finish().ok();
    for mut waiter in [first, last] {
        waiter.wait(SOON).ok();
    }
    assert_eq!(order(&sandbox), ["first", "last"]);
    super::is_free(&sandbox);
}

#[test]
fn a_suspended_waiter_is_passed_over_and_served_later_in_its_place() {
    let sandbox = project();
    let first = writer(&sandbox);
    let mut suspended = noting(&sandbox, "suspended");
    let mut next = noting(&sandbox, "next");
    suspend(&sandbox, &suspended);
    first.finish().ok();
    // Granted, not confirmed within the grace of a second: the next one parks it.
    next.wait(SOON).ok();
    assert_eq!(order(&sandbox), ["next"]);
    let pid = suspended.pid();
    let line = sandbox.tickets();
    let parked = line.iter().find(|ticket| ticket.pid == pid).unwrap();
    assert_eq!(parked.state, State::Parked);
    // Behind a new holder and before somebody who came later, it takes its place up again.
    let second = writer(&sandbox);
    let mut later = noting(&sandbox, "later");
    suspended.cont();
    waits(&sandbox, &suspended);
    second.finish().ok();
    suspended.wait(SOON).ok();
    later.wait(SOON).ok();
    assert_eq!(order(&sandbox), ["next", "suspended", "later"]);
    assert!(sandbox.dump().contains("outcome=\"unconfirmed\""));
}

#[test]
fn a_waiter_says_what_it_waits_for() {
    let sandbox = project();
    let holder = super::teller(&sandbox, "first", "thinking");
    let run = sandbox.plandex(["exec", "--wait", "5m", "--", "true"]);
    let mut waiter = run.start();
    waiter.until_says("Press Ctrl+C to cancel");
    let said = waiter.stderr();
    assert!(
        said.contains("Waiting for another operation to complete..."),
        "{said}"
    );
    assert!(
        said.contains("Current operation: Tell operation on plan 'work'"),
        "{said}"
    );
    assert!(said.contains("plandex tell first --reply -"), "{said}");
    assert!(
        said.contains(&format!("(pid {}), started ", holder.pid())),
        "{said}"
    );
    assert!(said.contains("heartbeat "), "{said}");
    assert!(said.contains("Position in queue: 2 of 2"), "{said}");
    assert!(said.contains("Gives up: in "), "{said}");
    let ticket = sandbox
        .tickets()
        .into_iter()
        .find(|t| t.pid == waiter.pid())
        .unwrap();
    let mut json = sandbox
        .plandex(["exec", "--json", "--wait", "5m", "--", "true"])
        .start();
    json.until_says("lock.waiting");
    let line = json.stderr();
    let event: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!(event["type"], "lock.waiting");
    assert_eq!(event["position"], 3);
    assert_eq!(event["holder"]["pid"], holder.pid());
    assert!(event["ticket"].as_i64().unwrap() > ticket.id, "{event}");
    // The text is said once, and again only when the holder or the position changes.
    assert_eq!(waiter.stderr().matches("Position in queue").count(), 1);
    holder.finish().ok();
    let done = waiter.wait(SOON).ok();
    assert_eq!(done.stdout, "");
    assert!(
        done.stderr.contains("Operation started after waiting "),
        "{}",
        done.stderr
    );
    json.wait(SOON).ok();
}

/// A wait below 400 ms is nobody's concern. Which waits were that short is in the audit, so the
/// test says the same on a slow machine.
#[test]
fn a_short_wait_is_silent() {
    let sandbox = project();
    let mut silent = 0;
    for _ in 0..10 {
        let holder = writer(&sandbox);
        let mut waiter = sandbox.start(&["exec", "--", "true"]);
        let pid = waiter.pid();
        waits(&sandbox, &waiter);
        holder.finish().ok();
        let outcome = waiter.wait(SOON).ok();
        let audit = super::audited(&sandbox);
        let entry = audit.iter().rfind(|entry| entry.pid == pid).unwrap();
        let waited = entry.granted_at.unwrap() - entry.queued_at;
        if waited < 200 {
            assert_eq!(outcome.stderr, "", "after {waited} ms");
            silent += 1;
        }
    }
    assert!(silent > 0, "every wait took longer than 200 ms");
}
