//! `locks release`: what is stale goes, what lives is asked for twice, and the victim learns who.

use rustix::process::Signal;

use super::{SOON, holder, holds, is_well_formed, outcomes, project, raw, suspend, teller, waiter};
use crate::support::{Background, Sandbox};

/// `plandex locks release ID FLAGS…` by eve.
fn release(sandbox: &Sandbox, id: i64, flags: &[&str]) -> crate::support::Outcome {
    let id = id.to_string();
    let args = [&["locks", "release", &id], flags].concat();
    sandbox.plandex(args).env("PLANDEX_ACTOR", "eve").finish()
}

/// A ticket of a process that was killed: nobody came after it.
fn dead(sandbox: &Sandbox) -> i64 {
    let mut held = holder(sandbox, "ann");
    let id = holds(sandbox, &held);
    let owner = sandbox.tickets()[0].owner_id.clone();
    held.signal(Signal::KILL);
    held.wait(SOON);
    // Its command is killed by the kernel, which takes a moment.
    sandbox.until("all of it is gone", || {
        (!plandex::lock::owner::is_alive(&sandbox.state_dir(), &owner)).then_some(())
    });
    id
}

#[test]
fn the_dead_are_released_without_further_words() {
    let sandbox = project();
    let id = dead(&sandbox);
    let outcome = release(&sandbox, id, &[]).ok();
    assert_eq!(outcome.stdout, format!("Released ticket {id}\n"));
    outcome.says("ann, pid").says("its process is gone");
    assert_eq!(sandbox.tickets(), []);
    assert_eq!(outcomes(&sandbox)[0].0.as_deref(), Some("owner died"));
    release(&sandbox, id, &[])
        .exits(1)
        .says("there is no ticket");
    let id = dead(&sandbox);
    let document = release(&sandbox, id, &["--json"]).ok().json();
    is_well_formed(&document);
    assert_eq!(document["result"], "released");
}

#[test]
fn who_lives_keeps_its_ticket_without_the_flag() {
    let sandbox = project();
    let mut held = holder(&sandbox, "ann");
    let id = holds(&sandbox, &held);
    for flags in [&[][..], &["--json"]] {
        let outcome = release(&sandbox, id, flags).exits(9);
        let pid = held.pid().to_string();
        for words in [
            "ann",
            &pid,
            "plandex exec -- cat",
            "it lives",
            "--even-if-alive",
        ] {
            outcome.clone().says(words);
        }
    }
    assert!(held.is_running());
    assert_eq!(sandbox.tickets().len(), 1);
    held.finish().ok();
}

/// The victim is woken, writes nothing more, and says who did it; the next has its turn by an
/// ordinary grant.
#[test]
fn a_tell_that_is_robbed_says_by_whom() {
    let sandbox = project();
    let mut victim = teller(&sandbox, "thinking");
    let id = holds(&sandbox, &victim);
    let next = waiter(&sandbox, "bob", &["--", "cat"]);
    let outcome = release(&sandbox, id, &["--even-if-alive"]).ok();
    let by = "eve (pid ";
    let end = victim.wait(SOON).exits(79);
    let words = format!("plandex locks release {id} --even-if-alive");
    assert_eq!(end.stderr.matches("by force").count(), 1, "{end}");
    end.says("released by force by").says(by).says(&words);
    outcome.says("ann, pid");
    holds(&sandbox, &next);
    let (outcome, ended_by) = outcomes(&sandbox)[1].clone();
    assert_eq!(outcome.as_deref(), Some("forced"));
    assert!(ended_by.unwrap().starts_with(by));
    next.finish().ok().says("Repaired");
    let convo = sandbox.ok(&["convo", "--json"]).json();
    assert_eq!(convo["messages"][1]["state"], "interrupted", "{convo}");
    assert_eq!(convo["messages"][1]["text"], "thinking\n", "{convo}");
}

/// No fence reaches a program: it is gone before the next has its turn.
#[test]
fn the_program_of_an_exec_is_gone_before_the_next_begins() {
    let sandbox = project();
    let mut victim = sandbox
        .plandex(["exec", "--", "sh", "-c", "echo $$; exec cat"])
        .held_stdin()
        .start();
    let program: u32 = sandbox.until("it runs", || victim.stdout().trim().parse().ok());
    let id = holds(&sandbox, &victim);
    let look = format!("if test -e /proc/{program}/exe; then exit 33; fi");
    let mut next = waiter(&sandbox, "bob", &["--", "sh", "-c", &look]);
    release(&sandbox, id, &["--even-if-alive"]).ok();
    next.wait(SOON).ok();
    let end = victim.wait(SOON).exits(79);
    assert_eq!(end.stderr.matches("by force").count(), 1, "{end}");
    end.says("released by force by eve");
    assert_eq!(outcomes(&sandbox)[1].0.as_deref(), Some("forced"));
}

/// Whoever waits behind it leaves it the time to clean up that it would have had without them.
#[test]
fn a_waiter_does_not_cut_the_grace_of_the_program_short() {
    let sandbox = project();
    let script = "trap 'sleep 3; echo cleaned; exit 0' TERM; echo ready; \
                  while :; do sleep 0.05; done";
    let mut victim = sandbox
        .plandex(["exec", "--", "sh", "-c", script])
        .held_stdin()
        .start();
    victim.until_says("ready");
    let id = holds(&sandbox, &victim);
    let mut next = waiter(&sandbox, "bob", &["--", "true"]);
    release(&sandbox, id, &["--even-if-alive"]).ok();
    next.wait(SOON).ok();
    let end = victim.wait(SOON).exits(79);
    assert_eq!(end.stdout, "ready\ncleaned\n");
}

#[test]
fn a_suspended_owner_loses_its_ticket_and_hears_of_it_later() {
    let sandbox = project();
    let mut victim = teller(&sandbox, "thinking");
    let id = holds(&sandbox, &victim);
    suspend(&sandbox, &victim);
    release(&sandbox, id, &["--even-if-alive"]).ok();
    sandbox.ok(&["exec", "--no-wait", "--", "true"]);
    victim.cont();
    victim.close_stdin();
    victim.wait(SOON).exits(79).says("released by force by eve");
}

#[test]
fn a_waiter_is_taken_out_of_the_line_and_told_by_whom() {
    let sandbox = project();
    let held = holder(&sandbox, "ann");
    let mut victim = waiter(&sandbox, "bob", &["--", "echo", "ran"]);
    let id = super::waits(&sandbox, &victim);
    release(&sandbox, id, &[]).exits(9);
    release(&sandbox, id, &["--even-if-alive"]).ok();
    let end = victim.wait(SOON).exits(1);
    assert_eq!(end.stdout, "");
    end.says("released by force by eve");
    held.finish().ok();
    assert_eq!(sandbox.tickets(), []);
}

/// Nobody waits who would find it: its lease is over, it is looked at twice, and it goes.
#[test]
fn who_hangs_past_the_lease_is_released_without_further_words() {
    let sandbox = project();
    sandbox.quicken();
    let mut victim = teller(&sandbox, "thinking");
    let id = holds(&sandbox, &victim);
    suspend(&sandbox, &victim);
    sandbox.until("its lease is over", || {
        let expired = sandbox.ok(&["locks", "--sql", "expired", "--json"]).json();
        (expired["rows"][0]["id"] == id).then_some(())
    });
    let outcome = release(&sandbox, id, &[]).ok();
    outcome.says("it hangs");
    assert_eq!(outcomes(&sandbox)[0].0.as_deref(), Some("lease expired"));
    assert_eq!(sandbox.tickets(), []);
    victim.cont();
    victim.close_stdin();
    victim.wait(SOON).exits(79);
}

/// Between the look and the deed the ticket was granted anew: its fence is another one.
#[test]
fn a_ticket_that_was_granted_anew_is_left_alone() {
    let sandbox = project();
    // No heartbeat meets the fence while it is another's.
    sandbox.ok(&["set-config", "lock.lease", "10m"]);
    sandbox.ok(&["set-config", "lock.heartbeat", "1m"]);
    let mut held = holder(&sandbox, "ann");
    // Its command runs, so that it has looked at its ticket.
    held.say("it runs\n");
    held.until_says("it runs");
    let seen = sandbox.tickets()[0].clone();
    let cancel = plandex::platform::cancel::Cancel::new().unwrap();
    let store = sandbox.store();
    let force = |ticket| {
        let forever = plandex::lock::Patience::Forever;
        plandex::lock::force(&store, ticket, "eve", &cancel, forever, &mut |_| {}).unwrap()
    };
    raw(&sandbox)
        .execute("UPDATE repo_locks SET fence = fence + 1000", [])
        .unwrap();
    let before = sandbox.dump();
    assert_eq!(force(&seen), plandex::lock::Forced::Changed);
    let mut as_tell = seen.clone();
    as_tell.reason = "tell execution".to_owned();
    assert_eq!(force(&as_tell), plandex::lock::Forced::Changed);
    assert_eq!(sandbox.dump(), before);
    assert!(held.is_running());
    raw(&sandbox)
        .execute("UPDATE repo_locks SET fence = fence - 1000", [])
        .unwrap();
    held.finish().ok();
    // It is gone by now: a second release finds another ticket, or none.
    let again: Background<'_> = holder(&sandbox, "ann");
    assert_eq!(force(&seen), plandex::lock::Forced::Changed);
    assert_eq!(sandbox.tickets().len(), 1);
    again.finish().ok();
}
