//! plandex inside `plandex exec`: it works under the hold of the command that runs it.

use plandex::store::settings::{self, Intervals};
use plandex::store::tickets::{State, Ticket};

use std::path::PathBuf;
use std::time::Duration;

use crate::support::{Background, Run, Sandbox};

use super::{SOON, audited, error_type, holds, is_free, project, raw, waits};

/// `plandex exec FLAGS -- sh -c SCRIPT`, in which `$P` is plandex.
pub(super) fn script<'s>(sandbox: &'s Sandbox, flags: &[&str], script: &str) -> Run<'s> {
    sandbox
        .plandex(["exec"])
        .args(flags)
        .args(["--", "sh", "-c", script])
        .env("P", env!("CARGO_BIN_EXE_plandex"))
}

/// A pipe with a name, which ends a `read` in a script when the test writes to it.
pub(super) fn fifo(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.place().join("tmp").join(name);
    sandbox.program("mkfifo", [&path]).finish().ok();
    path
}

/// The ticket of the hold that `process` has.
fn ticket_of(sandbox: &Sandbox, process: &Background<'_>) -> Ticket {
    let all = sandbox.tickets().into_iter();
    let mut own = all.filter(|ticket| ticket.pid == process.pid());
    own.next().unwrap()
}

/// Waits until so many tickets below `hold` are in `state`; returns them.
fn below(sandbox: &Sandbox, hold: i64, state: State, count: usize) -> Vec<Ticket> {
    let is_one = |ticket: &Ticket| ticket.below == hold && ticket.state == state;
    let what = format!("{count} are {} below {hold}", state.word());
    let all = sandbox.until_queue(&what, |all| {
        all.iter().filter(|t| is_one(t)).count() == count
    });
    all.into_iter().filter(is_one).collect()
}

#[test]
fn reads_and_writes_run_inside_a_write() {
    let sandbox = project();
    let message = sandbox.write_beside("message.md", &super::edit("a.txt", "inside"));
    let run = script(
        &sandbox,
        &[],
        r#"set -e
        "$P" exec --no-wait -- echo a write
        "$P" exec --no-wait --read -- echo a read
        "$P" exec --no-wait --read --root -- echo the root
        "$P" tell --no-wait -f "$M" > /dev/null
        "$P" diff --no-wait
        "$P" exec --no-wait -- "$P" exec --no-wait -- echo deeper"#,
    );
    let outcome = run.env("M", message).finish().ok();
    for words in ["a write", "a read", "the root", "+inside", "deeper"] {
        assert!(outcome.stdout.contains(words), "{words}\n{outcome}");
    }
    is_free(&sandbox);
    // Each was one operation of its own, with its own grant.
    let reasons: Vec<String> = audited(&sandbox).into_iter().map(|e| e.reason).collect();
    assert_eq!(
        reasons,
        [
            "exec",
            "exec",
            "exec read",
            "exec read",
            "tell execution",
            "view diffs",
            "exec",
            "exec"
        ]
    );
}

#[test]
fn nobody_from_outside_comes_between() {
    let sandbox = project();
    let fifo = fifo(&sandbox, "go");
    let outer = script(
        &sandbox,
        &[],
        r#""$P" exec --no-wait -- echo inside 1; read go < "$F"
        "$P" exec --no-wait -- echo inside 2; read go < "$F""#,
    );
    let outer = outer.env("F", &fifo).start();
    outer.until_says("inside 1");
    let run = sandbox.plandex(["exec", "--wait", "forever", "--", "echo", "outside"]);
    let outside = run.start();
    waits(&sandbox, &outside);
    std::fs::write(&fifo, "go\n").unwrap();
    outer.until_says("inside 2");
    assert_eq!(outside.stdout(), "");
    waits(&sandbox, &outside);
    std::fs::write(&fifo, "go\n").unwrap();
    outer.finish().ok();
    outside.finish().ok();
}

#[test]
fn a_write_below_a_read_is_refused_with_the_reason() {
    let sandbox = project();
    let run = script(&sandbox, &["--read"], r#""$P" exec -- echo never"#);
    let refused = run.finish().exits(2);
    assert_eq!(refused.stdout, "");
    refused
        .says("this command changes the plan, and it runs inside `plandex exec --read")
        .says("which only reads it")
        .says("without `--read`");
    let run = script(&sandbox, &["--read"], r#""$P" exec --json -- true"#);
    let refused = run.finish().exits(2);
    assert_eq!(error_type(&refused.stderr), "write_below_read");
    // Deeper down too: the nearest hold of the plan decides.
    let deeper = r#""$P" exec --read -- "$P" exec -- echo never"#;
    let refused = script(&sandbox, &[], deeper).finish().exits(2);
    assert_eq!(refused.stdout, "");
    assert_eq!(super::convo(&sandbox), []);
    is_free(&sandbox);
}

#[test]
fn reads_run_together_inside_a_read() {
    let sandbox = project();
    let outer = script(
        &sandbox,
        &["--read"],
        r#""$P" exec --read -- cat < "$F" & "$P" exec --read -- cat < "$F"; wait"#,
    );
    let fifo = fifo(&sandbox, "go");
    let outer = outer.env("F", &fifo).start();
    // Open for reading too, so that nobody here waits for the other end.
    let hold = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    holds(&sandbox, &outer);
    let ticket = ticket_of(&sandbox, &outer);
    let children = below(&sandbox, ticket.id, State::Held, 2);
    assert!(children.iter().all(|child| child.parent == Some(ticket.id)));
    drop(hold);
    outer.finish().ok();
    is_free(&sandbox);
}

#[test]
fn two_children_of_one_write_exclude_each_other() {
    let sandbox = project();
    let fifo = fifo(&sandbox, "go");
    let run = script(
        &sandbox,
        &[],
        r#""$P" exec -- sh -c 'echo first runs; read go < "$F"; echo first ends' &
        read ready
        "$P" exec --no-wait -- echo never; echo "at once: $?"
        "$P" exec --no-wait --read -- echo never; echo "a read at once: $?"
        "$P" exec --wait forever -- echo second runs
        wait"#,
    );
    let mut outer = run.env("F", &fifo).held_stdin().start();
    outer.until_says("first runs");
    let ticket = ticket_of(&sandbox, &outer);
    outer.say("ready\n");
    outer.until_says("a read at once: 75");
    assert!(outer.stdout().contains("\nat once: 75"));
    below(&sandbox, ticket.id, State::Waiting, 1);
    assert!(!outer.stdout().contains("second runs"));
    std::fs::write(&fifo, "go\n").unwrap();
    let outcome = outer.finish().ok();
    let said = &outcome.stdout;
    assert!(!said.contains("never"), "{outcome}");
    let at = |words: &str| said.find(words).unwrap();
    assert!(at("first ends") < at("second runs"), "{outcome}");
    is_free(&sandbox);
}

#[test]
fn the_token_of_a_finished_hold_is_worthless() {
    let sandbox = project();
    let outcome = script(&sandbox, &[], "echo $PLANDEX_LOCK_TOKEN")
        .finish()
        .ok();
    let token = outcome.stdout.trim().to_owned();
    assert!(token.len() > 32, "{token}");
    // It counts as none: an ordinary ticket, which waits for others and keeps others out.
    let run = sandbox.plandex(["exec", "--no-wait", "--", "cat"]);
    let ordinary = run.env("PLANDEX_LOCK_TOKEN", &token).held_stdin().start();
    holds(&sandbox, &ordinary);
    let ticket = ticket_of(&sandbox, &ordinary);
    assert_eq!((ticket.parent, ticket.below), (None, 0));
    let run = sandbox.plandex(["exec", "--no-wait", "--", "true"]);
    let refused = run.env("PLANDEX_LOCK_TOKEN", &token).finish().exits(75);
    refused.says("lock conflict");
    ordinary.finish().ok();
}

#[test]
fn a_token_needs_its_own_number_and_its_own_secret() {
    let sandbox = project();
    let outer = script(&sandbox, &[], "echo $PLANDEX_LOCK_TOKEN; cat");
    let outer = outer.held_stdin().start();
    let token = sandbox.until("the token is said", || {
        let said = outer.stdout();
        said.ends_with('\n').then(|| said.trim().to_owned())
    });
    let (number, secret) = token.split_once('-').unwrap();
    let other: i64 = number.parse::<i64>().unwrap() + 1;
    let zeros = "0".repeat(32);
    let with = |token: &str| {
        let run = sandbox.plandex(["exec", "--no-wait", "--", "true"]);
        run.env("PLANDEX_LOCK_TOKEN", token).finish()
    };
    with(&format!("{other}-{secret}")).exits(75);
    with(&format!("{number}-{zeros}")).exits(75);
    with(&token).ok();
    for broken in [
        "yes",
        "17",
        secret,
        &format!("{number}-"),
        &format!("{token} "),
    ] {
        with(broken).exits(2).says("PLANDEX_LOCK_TOKEN");
    }
    outer.finish().ok();
}

#[test]
fn the_token_of_a_stolen_hold_is_worthless() {
    let sandbox = project();
    let outer = script(&sandbox, &[], "echo $PLANDEX_LOCK_TOKEN; cat");
    let mut outer = outer.held_stdin().start();
    let token = sandbox.until("the token is said", || {
        let said = outer.stdout();
        said.ends_with('\n').then(|| said.trim().to_owned())
    });
    raw(&sandbox).execute("DELETE FROM repo_locks", []).unwrap();
    let run = sandbox.plandex(["exec", "--no-wait", "--", "cat"]);
    let other = run.env("PLANDEX_LOCK_TOKEN", &token).held_stdin().start();
    holds(&sandbox, &other);
    let ticket = ticket_of(&sandbox, &other);
    assert_eq!((ticket.parent, ticket.below), (None, 0));
    outer.wait(SOON).exits(79);
    other.finish().ok();
}

/// The fence alone: no heartbeat comes in time to tell.
#[test]
fn work_below_a_hold_that_is_gone_is_refused() {
    let sandbox = project();
    let slow = Intervals {
        heartbeat: Duration::from_secs(600),
        lease: Duration::from_secs(6_000),
    };
    sandbox
        .store()
        .choose(SOON, |tx| settings::set_intervals(tx, slow))
        .unwrap();
    for what in [
        "DELETE FROM repo_locks WHERE parent IS NULL",
        "UPDATE repo_locks SET state = 'condemned' WHERE parent IS NULL",
        // By a program that does not enforce foreign keys.
        "PRAGMA foreign_keys = OFF; DELETE FROM repo_locks WHERE parent IS NULL",
    ] {
        let mut outer = script(
            &sandbox,
            &[],
            r#""$P" tell inside --reply - > /dev/null; echo "child: $?""#,
        )
        .held_stdin()
        .start();
        outer.say("thinking\n");
        sandbox.until("the words are stored", || {
            super::stream_text(&sandbox)
                .contains("thinking")
                .then_some(())
        });
        raw(&sandbox).execute_batch(what).unwrap();
        outer.say("late.txt\n```\nlate\n```\n");
        let outcome = outer.finish();
        assert!(outcome.stdout.contains("child: 79"), "{what}\n{outcome}");
        assert_eq!(outcome.code, Some(79), "{what}\n{outcome}");
        assert!(!sandbox.dump().contains("late.txt"), "{what}");
        raw(&sandbox)
            .execute_batch("DELETE FROM repo_locks; DELETE FROM stream_events")
            .unwrap();
    }
}

#[test]
fn another_plan_inside_keeps_the_outer_hold_known() {
    let sandbox = project();
    sandbox.ok(&["new", "--name", "other"]);
    let outer = script(
        &sandbox,
        &["--plan", "work"],
        r#""$P" exec --plan other -- "$P" exec --plan work --no-wait -- cat"#,
    );
    let outer = outer.held_stdin().start();
    let all = sandbox.until_queue("three hold", |all| {
        all.iter().filter(|t| t.state == State::Held).count() == 3
    });
    let mut all = all;
    all.sort_by_key(|ticket| ticket.id);
    let [first, second, third] = &all[..] else {
        panic!("{all:?}");
    };
    assert_eq!((first.parent, first.below), (None, 0));
    // An ordinary place in the other plan's line, which keeps others out of it.
    assert_eq!((second.parent, second.below), (Some(first.id), 0));
    let at_once = ["exec", "--plan", "other", "--no-wait", "--", "true"];
    sandbox.run(&at_once).exits(75);
    // And back on the first plan, it works below the first hold, and ends with the second.
    assert_eq!((third.parent, third.below), (Some(second.id), first.id));
    outer.finish().ok();
    sandbox.run(&at_once).ok();
    is_free(&sandbox);
}

/// Whoever waits outside sees one operation before it, however many work below that.
#[test]
fn what_is_below_counts_neither_in_the_bound_nor_in_positions() {
    let sandbox = project();
    sandbox
        .store()
        .choose(SOON, |tx| settings::set_queue_max(tx, 1))
        .unwrap();
    let (end, ready) = (fifo(&sandbox, "end"), fifo(&sandbox, "ready"));
    let run = script(
        &sandbox,
        &[],
        r#""$P" exec -- cat "$F" & read ready < "$R"
        for n in 1 2 3; do "$P" exec --wait forever -- true & done; wait"#,
    );
    let outer = run.env("F", &end).env("R", &ready).start();
    holds(&sandbox, &outer);
    let ticket = ticket_of(&sandbox, &outer);
    below(&sandbox, ticket.id, State::Held, 1);
    std::fs::write(&ready, "ready\n").unwrap();
    below(&sandbox, ticket.id, State::Waiting, 3);
    let run = sandbox.plandex(["exec", "--wait", "forever", "--json", "--", "true"]);
    let outside = run.start();
    waits(&sandbox, &outside);
    outside.until_says("lock.waiting");
    assert!(
        outside.stderr().contains("\"position\":2"),
        "{}",
        outside.stderr()
    );
    let full = sandbox
        .run(&["exec", "--wait", "20s", "--", "true"])
        .exits(75);
    full.says("queue of this plan is full");
    std::fs::write(&end, "").unwrap();
    outer.finish().ok();
    outside.finish().ok();
    is_free(&sandbox);
}

#[test]
fn a_killed_child_makes_way_for_its_sibling() {
    let sandbox = project();
    let mut outer = script(
        &sandbox,
        &[],
        r#""$P" tell inside --reply - > /dev/null
        echo "first: $?"; "$P" exec --no-wait -- echo second runs"#,
    )
    .held_stdin()
    .start();
    outer.say("thinking\n");
    sandbox.until("the words are stored", || {
        super::stream_text(&sandbox)
            .contains("thinking")
            .then_some(())
    });
    let ticket = ticket_of(&sandbox, &outer);
    let child = below(&sandbox, ticket.id, State::Held, 1).remove(0);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let outcome = outer.wait(SOON).ok();
    assert!(outcome.stdout.contains("first: 137"), "{outcome}");
    assert!(outcome.stdout.contains("second runs"), "{outcome}");
    let said = super::convo(&sandbox);
    assert_eq!(said[1].1, "interrupted", "{said:?}");
}

/// A command that ended normally holds nothing, whatever it left running.
#[test]
fn what_is_left_below_a_hold_that_ended_falls_with_it() {
    let sandbox = project();
    sandbox.ok(&["new", "--name", "other"]);
    let fifo = fifo(&sandbox, "go");
    let outer = script(
        &sandbox,
        &["--plan", "work"],
        r#""$P" exec --plan other -- cat "$F" > /dev/null 2> "$E" &
        cat > /dev/null"#,
    );
    let errors = sandbox.place().join("tmp/errors");
    let outer = outer.env("F", &fifo).env("E", &errors).held_stdin().start();
    sandbox.until_queue("both hold", |all| {
        all.iter().filter(|t| t.state == State::Held).count() == 2
    });
    let run = ["exec", "--plan", "other", "--wait", "forever", "--", "true"];
    let mut waiter = sandbox.start(&run);
    waits(&sandbox, &waiter);
    outer.finish().ok();
    waiter.wait(SOON).ok();
    is_free(&sandbox);
    assert!(sandbox.dump().contains("parent ended"));
    // And the one that was left is told.
    sandbox.until("it says that it lost its lock", || {
        let said = std::fs::read_to_string(&errors).unwrap();
        said.contains("the lock was lost").then_some(())
    });
}
