//! `events`: what happens to locks and runs, past and as it happens.

use rustix::process::Signal;
use serde_json::Value;

use super::{SOON, holder, is_well_formed, lines, project, teller, waiter};
use crate::support::{Background, Sandbox};

fn whole(follower: &Background<'_>) -> Vec<Value> {
    let text = follower.stdout();
    lines(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

/// Waits until the follower has told of `kind` and returns that event.
fn told(sandbox: &Sandbox, follower: &Background<'_>, kind: &str) -> Value {
    sandbox.until(&format!("{kind} is told"), || {
        whole(follower)
            .into_iter()
            .rfind(|event| event["type"] == kind)
    })
}

#[test]
fn a_follower_hears_of_locks_and_runs_in_order() {
    let sandbox = project();
    sandbox.ok(&["exec", "--", "true"]);
    let mut follower = sandbox.start(&["events", "--follow", "--json"]);
    told(&sandbox, &follower, "session.started");
    let mut runner = teller(&sandbox, "thinking");
    let said = told(&sandbox, &follower, "message.delta");
    assert_eq!(
        (&said["text"], &said["plan"]),
        (&"thinking\n".into(), &"work".into())
    );
    let mut next = waiter(&sandbox, "bob", &["--", "true"]);
    let waits = told(&sandbox, &follower, "lock.waiting");
    assert_eq!(
        (&waits["actor"], &waits["pid"]),
        (&"bob".into(), &next.pid().into())
    );
    runner.signal(Signal::INT);
    runner.wait(SOON).exits(130);
    next.wait(SOON).ok();
    sandbox.until("both ends are told", || {
        let events = whole(&follower);
        let told = types(&events);
        let ends = told.contains(&"lock.cancelled") && told.contains(&"lock.released");
        (ends && told.contains(&"run.ended")).then_some(())
    });
    follower.signal(Signal::INT);
    follower.wait(SOON).exits(130);
    let events = whole(&follower);
    for (place, event) in events.iter().enumerate() {
        is_well_formed(event);
        assert_eq!(event["seq"], place + 1, "{event}");
        assert!(event["ts"].as_str().unwrap().ends_with('Z'));
    }
    let told = types(&events);
    let place = |kind: &str| told.iter().position(|one| *one == kind).unwrap();
    // What was before it began to follow is not told.
    assert_eq!(
        told.iter().filter(|kind| **kind == "lock.acquired").count(),
        2,
        "{told:?}"
    );
    assert!(place("lock.acquired") < place("run.started"), "{told:?}");
    assert!(place("run.started") < place("message.delta"), "{told:?}");
    assert!(place("lock.waiting") < place("lock.released"), "{told:?}");
    // The lock is passed on in one transaction: its end comes before the grant that came of it.
    let granted = told.iter().rposition(|one| *one == "lock.acquired");
    assert!(Some(place("lock.cancelled")) < granted, "{told:?}");
    assert!(place("run.ended") < place("lock.cancelled"), "{told:?}");
    assert_eq!(told.first(), Some(&"session.started"));
    assert_eq!(told.last(), Some(&"session.ended"));
    assert_eq!(events.last().unwrap()["exitCode"], 130);
}

#[test]
fn the_past_is_told_once_and_in_order_of_time() {
    let sandbox = project();
    let message = sandbox.write_beside("message", "set a.txt\n\na.txt\n```\na\n```\n");
    sandbox.ok(&["tell", "-f", message.to_str().unwrap()]);
    let held = holder(&sandbox, "ann");
    let id = super::holds(&sandbox, &held).to_string();
    let flags = ["locks", "release", &id, "--even-if-alive"];
    sandbox
        .plandex(flags)
        .env("PLANDEX_ACTOR", "eve")
        .finish()
        .ok();
    let mut held = held;
    held.wait(SOON).exits(79);
    let outcome = sandbox.ok(&["events", "--json", "--since", "1h"]);
    let events = lines(&outcome.stdout);
    events.iter().for_each(is_well_formed);
    let told = types(&events);
    let count = |kind: &str| told.iter().filter(|one| **one == kind).count();
    assert_eq!(
        (
            count("lock.acquired"),
            count("lock.released"),
            count("lock.lost")
        ),
        (2, 1, 1),
        "{told:?}"
    );
    assert_eq!(
        (count("run.started"), count("run.ended")),
        (1, 1),
        "{told:?}"
    );
    let times: Vec<&str> = events[1..]
        .iter()
        .map(|event| event["ts"].as_str().unwrap())
        .collect();
    let stamp = |text: &&str| text.parse::<jiff::Timestamp>().unwrap();
    assert!(
        times
            .windows(2)
            .all(|pair| stamp(&pair[0]) <= stamp(&pair[1])),
        "{times:?}"
    );
    let lost = events
        .iter()
        .find(|event| event["type"] == "lock.lost")
        .unwrap();
    assert_eq!(lost["outcome"], "forced");
    assert!(
        lost["endedBy"].as_str().unwrap().starts_with("eve (pid "),
        "{lost}"
    );
    let people = sandbox.ok(&["events"]).stdout;
    assert!(
        people.contains("lock.lost         Command, ann, pid"),
        "{people}"
    );
    assert!(people.contains("forced by eve (pid"), "{people}");
    let none = sandbox.ok(&["events", "--since", "0", "--json"]);
    assert_eq!(
        types(&lines(&none.stdout)),
        ["session.started", "session.ended"]
    );
    sandbox.ok(&["new", "--name", "other"]);
    let other = sandbox.ok(&["events", "--plan", "other", "--json"]);
    assert_eq!(
        types(&lines(&other.stdout)),
        ["session.started", "session.ended"]
    );
}

/// More than one read takes is told whole.
#[test]
fn a_long_past_is_told_whole() {
    let sandbox = project();
    let plan = super::raw(&sandbox)
        .query_row("SELECT id FROM plans", [], |row| row.get::<_, String>(0))
        .unwrap();
    super::raw(&sandbox)
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
             INSERT INTO repo_locks_audit (plan_id, created_at, ticket, scope, reason, actor, pid,
                command, queued_at, granted_at, ended_at, outcome)
             SELECT ?1, ?2 - 5000 + i, i, 'w', 'exec', '', 1, 'x', ?2 - 5000 + i, ?2 - 5000 + i,
                ?2 - 5000 + i, 'released' FROM n",
            rusqlite::params![plan, plandex::platform::clock::wall_ms()],
        )
        .unwrap();
    let outcome = sandbox.ok(&["events", "--json"]);
    let events = lines(&outcome.stdout);
    assert_eq!(events.len(), 2 + 2 * 2500);
}
