//! Holders that die, hang or lose their lock: nothing late is written, and the next proceeds.

use crate::support::{Awake, Outcome, Sandbox, needs, suspended_at, suspending};

use super::{SOON, convo, edit, error_type, is_free, project, quick_project, raw, suspend};

/// Tells, waiting for as long as a lease and its looks take, and must succeed.
fn next_tell(sandbox: &Sandbox) -> Outcome {
    let message = sandbox.write_beside("next.md", &edit("next.txt", "next"));
    sandbox
        .plandex(["tell", "--wait", "20s", "-f"])
        .args([message])
        .finish()
        .ok()
}

/// Role and state of each message.
fn states(sandbox: &Sandbox) -> Vec<(String, String)> {
    let said = convo(sandbox).into_iter();
    said.map(|(role, state, _)| (role, state)).collect()
}

fn pairs(states: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(role, state): &(&str, &str)| ((*role).to_owned(), (*state).to_owned());
    states.iter().map(owned).collect()
}

/// The conversation once a dead or deposed tell has been followed by the next one.
const INTERRUPTED_THEN_NEXT: [(&str, &str); 4] = [
    ("user", "complete"),
    ("assistant", "interrupted"),
    ("user", "complete"),
    ("assistant", "complete"),
];

/// The tell lost its lock: it says so, and says it in JSON.
fn lost(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(79), "{outcome}");
    assert_eq!(error_type(&outcome.stderr), "heartbeat_lost", "{outcome}");
}

/// An apply that is suspended between its files and robbed finishes them when it is awake again. What
/// was built meanwhile, on the change that it was at, fits what it wrote.
#[test]
fn a_change_built_beside_a_suspended_apply_fits_what_that_wrote() {
    needs!("strace");
    suspending!(change_built_beside_a_suspended_apply);
}

fn change_built_beside_a_suspended_apply() -> Result<(), Awake> {
    let sandbox = quick_project();
    let tell = |text: &str| {
        let message = sandbox.write_beside("message.md", &edit("a.txt", text));
        let run = sandbox.plandex(["tell", "--wait", "20s", "-f"]);
        run.args([message]).finish().ok()
    };
    tell("first");
    let apply = ["apply", "--yes", "--json"];
    let (mut tracer, asleep) = suspended_at(&sandbox, "renameat2", &apply)?;
    tell("second");
    rustix::process::kill_process(asleep, rustix::process::Signal::CONT).unwrap();
    lost(&tracer.wait(SOON));
    assert_eq!(sandbox.read("a.txt"), "first\n");
    sandbox.ok(&["apply", "--yes"]);
    assert_eq!(sandbox.read("a.txt"), "second\n");
    let repeated = sandbox.run(&["apply", "--yes"]).ok();
    assert!(repeated.text().contains("No pending changes"), "{repeated}");
    sandbox.ok(&["doctor"]);
    is_free(&sandbox);
    Ok(())
}

/// SEED.md 7.2.1.
#[test]
fn a_stale_row_written_by_hand_is_cleaned() {
    let sandbox = project();
    let document = sandbox.ok(&["status", "--json"]).json();
    let plan = raw(&sandbox)
        .query_row("SELECT id FROM plans", [], |row| row.get::<_, String>(0))
        .unwrap();
    assert!(document.is_object());
    for scope in ["w", "r"] {
        raw(&sandbox)
            .execute(
                "INSERT INTO repo_locks (plan_id, scope) VALUES (?1, ?2)",
                [plan.as_str(), scope],
            )
            .unwrap();
        assert_eq!(sandbox.tickets().len(), 1);
        sandbox.ok(&["exec", "--no-wait", "--", "true"]);
        is_free(&sandbox);
    }
}

/// SEED.md 7.2.2: nobody can write for longer than a lease, so that heartbeats really fail.
#[test]
fn heartbeats_that_fail_past_the_lease_end_the_tell() {
    let sandbox = quick_project();
    let mut teller = super::teller(&sandbox, "first", "thinking");
    let blocker = raw(&sandbox);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = teller.wait(SOON);
    lost(&outcome);
    let before = sandbox.dump();
    blocker.execute_batch("ROLLBACK").unwrap();
    assert_eq!(sandbox.dump(), before);
    next_tell(&sandbox).says("Repaired");
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
    assert_eq!(convo(&sandbox)[1].2, "thinking\n");
}

/// The same while more of the reply comes in: what is heard after the loss is written nowhere.
#[test]
fn a_reply_that_goes_on_while_nobody_can_write_is_not_written() {
    let sandbox = quick_project();
    let mut teller = super::teller(&sandbox, "first", "thinking");
    let blocker = raw(&sandbox);
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    teller.say("too late\n");
    let outcome = teller.wait(SOON);
    lost(&outcome);
    blocker.execute_batch("ROLLBACK").unwrap();
    next_tell(&sandbox).says("Repaired");
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
    assert!(!sandbox.dump().contains("too late"));
}

#[test]
fn a_holder_suspended_past_its_lease_can_write_nothing_more() {
    let sandbox = quick_project();
    let mut first = super::teller(&sandbox, "first", "thinking");
    suspend(&sandbox, &first);
    next_tell(&sandbox).says("Repaired");
    first.say("too late\n\nlate.txt\n```\nlate\n```\n");
    first.close_stdin();
    first.cont();
    lost(&first.wait(SOON));
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
    assert_eq!(convo(&sandbox)[1].2, "thinking\n");
    let dump = sandbox.dump();
    assert!(
        !dump.contains("late.txt") && !dump.contains("too late"),
        "{dump}"
    );
    assert!(dump.contains("lease expired"), "{dump}");
}

#[test]
fn a_killed_tell_is_followed_at_once() {
    let sandbox = project();
    let first = super::teller(&sandbox, "first", "thinking");
    assert_eq!(first.kill().signal, Some(9));
    // The lease is a minute: only the owner file can have told.
    let message = sandbox.write_beside("next.md", &edit("next.txt", "next"));
    let next = sandbox.plandex(["tell", "--no-wait", "-f"]).args([message]);
    next.finish()
        .ok()
        .says("Repaired: branch \"main\"")
        .says("is kept");
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
    assert_eq!(convo(&sandbox)[1].2, "thinking\n");
    assert!(sandbox.dump().contains("owner died"));
}

/// A waiter is woken by the death itself: nobody comes later to find it.
#[test]
fn the_waiter_hears_of_a_killed_holder() {
    let sandbox = project();
    let first = super::teller(&sandbox, "first", "thinking");
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "true"]);
    let mut waiter = run.start();
    super::waits(&sandbox, &waiter);
    first.kill();
    waiter.wait(SOON).ok().says("Repaired");
}

#[test]
fn a_row_deleted_under_a_holder_ends_its_work() {
    let sandbox = quick_project();
    let mut first = super::teller(&sandbox, "first", "thinking");
    raw(&sandbox).execute("DELETE FROM repo_locks", []).unwrap();
    lost(&first.wait(SOON));
    assert_eq!(
        states(&sandbox),
        pairs(&[("user", "complete"), ("assistant", "open")])
    );
    next_tell(&sandbox).says("Repaired");
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
}

/// The fence alone: no heartbeat comes in time to tell, and the last write is refused all the same.
#[test]
fn a_row_deleted_under_a_holder_refuses_its_last_write() {
    let sandbox = project();
    let mut first = super::teller(&sandbox, "first", "thinking");
    raw(&sandbox).execute("DELETE FROM repo_locks", []).unwrap();
    first.say("late.txt\n```\nlate\n```\n");
    first.close_stdin();
    lost(&first.wait(SOON));
    assert!(!sandbox.dump().contains("late.txt"));
    next_tell(&sandbox).says("Repaired");
    assert_eq!(states(&sandbox), pairs(&INTERRUPTED_THEN_NEXT));
}
