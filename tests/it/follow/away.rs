//! Each way to lose sight of a run, with its words (SEED.md 4.3.1 and 8.3.1).

use rustix::process::Signal;

use super::{SOON, file, lines, newest, project, raw, runner, until_stored};
use crate::support::{Background, Sandbox};

/// A follower that has heard of the beginning.
fn follower<'s>(sandbox: &'s Sandbox, flags: &[&str]) -> Background<'s> {
    let follower = sandbox.start(&[&["connect", "--deltas"], flags].concat());
    follower.until_says("I begin.");
    follower
}

/// Ctrl-Z, and waits until it has stopped.
fn suspend(sandbox: &Sandbox, process: &Background<'_>) {
    process.signal(Signal::TSTP);
    sandbox.until("it is stopped", || {
        let stat = plandex::platform::process::stat(process.pid())?;
        matches!(stat.state, 'T').then_some(())
    });
}

#[test]
fn a_follower_that_was_suspended_says_how_it_stands_and_goes_on() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut person = follower(&sandbox, &[]);
    let mut program = follower(&sandbox, &["--json"]);
    runner.say(&file("a.txt", "a"));
    until_stored(&sandbox, "a.txt");
    suspend(&sandbox, &person);
    suspend(&sandbox, &program);
    runner.say("Said meanwhile.\n");
    until_stored(&sandbox, "Said meanwhile.");
    person.cont();
    program.cont();
    person.until_says("Said meanwhile.");
    runner.close_stdin();
    runner.wait(SOON).ok();
    let seen = person.wait(SOON).ok();
    seen.says(
        "Connection lost during operation.

Attempting to reconnect... Connected!

Checking operation status...
  Plan: work
  Status: Replying
  Progress: 0/1 file

Resuming stream...
",
    );
    let events = lines(&program.wait(SOON).ok().stdout);
    let resumed: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "connection.resumed")
        .collect();
    assert_eq!(resumed.len(), 1, "{events:#?}");
    assert_eq!(resumed[0]["status"], "replying");
    assert_eq!(resumed[0]["filesNamed"], 1);
}

/// SIGSTOP is told to nobody: a follower knows it by the clock.
#[test]
fn a_follower_that_was_stopped_knows_it_by_the_clock() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut person = follower(&sandbox, &[]);
    // It has shown what there was, and waits.
    sandbox.until("it sleeps", || {
        let stat = plandex::platform::process::stat(person.pid())?;
        (stat.state == 'S').then_some(())
    });
    person.stop();
    // Longer than it waits between two looks, and two seconds more.
    std::thread::sleep(std::time::Duration::from_millis(3_600));
    person.cont();
    person.until_says("Resuming stream...");
    runner.close_stdin();
    runner.wait(SOON).ok();
    person.wait(SOON).ok();
}

#[test]
fn a_run_that_ended_meanwhile_is_told_with_its_status() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut person = follower(&sandbox, &[]);
    suspend(&sandbox, &person);
    runner.say(&file("a.txt", "a"));
    runner.close_stdin();
    runner.wait(SOON).ok();
    person.cont();
    person
        .wait(SOON)
        .ok()
        .says(
            "Connection lost. Reconnecting...
Plan status: ready (operation completed while disconnected)
",
        )
        .says("building a.txt")
        .says("1 file pending");
}

#[test]
fn a_runner_that_dies_is_told_with_what_is_left_of_it() {
    let sandbox = project();
    let runner = runner(&sandbox, &[]);
    let pid = runner.pid();
    let person = follower(&sandbox, &[]);
    let away = follower(&sandbox, &[]);
    let program = follower(&sandbox, &["--json"]);
    suspend(&sandbox, &away);
    runner.kill();
    let words = format!(
        "Connection lost. Reconnecting...
Plan status: interrupted (its process, pid {pid}, is gone)
Files: no file named yet
"
    );
    person.finish().exits(1).says(&words);
    away.cont();
    let away = away.finish().exits(1);
    assert!(!away.stderr.contains("Resuming"), "{away}");
    away.says(&words);
    let events = lines(&program.finish().exits(1).stdout);
    let lost = &events[events.len() - 2];
    assert_eq!(
        (&lost["type"], &lost["status"], &lost["pid"]),
        (&"run.lost".into(), &"interrupted".into(), &pid.into())
    );
    // Who comes later sees the same, before the repair and after it.
    sandbox.run(&["connect"]).exits(1).says(&words);
    sandbox.ok(&["status"]);
    sandbox.ok(&["diff"]).says("Repaired");
    sandbox
        .run(&["connect"])
        .exits(1)
        .says("the last one (run 1) ended")
        .says("the process died before the run was over");
    let run = newest(&sandbox).unwrap();
    assert_eq!(run.ended.as_deref(), Some("interrupted"));
}

/// A read that fails is tried again, and the run is followed from where it stood.
#[test]
fn a_read_that_fails_is_tried_again() {
    let sandbox = project();
    let mut runner = runner(&sandbox, &[]);
    let mut person = follower(&sandbox, &[]);
    let connection = raw(&sandbox);
    connection
        .execute_batch("ALTER TABLE stream_events RENAME TO away")
        .unwrap();
    person.until_says("Connection lost during operation.");
    connection
        .execute_batch("ALTER TABLE away RENAME TO stream_events")
        .unwrap();
    person.until_says("Resuming stream...");
    runner.say("Said after.\n");
    person.until_says("Said after.");
    runner.close_stdin();
    runner.wait(SOON).ok();
    let seen = person.wait(SOON).ok();
    assert_eq!(seen.stdout.matches("I begin.").count(), 1, "{seen}");
    seen.says("Attempting to reconnect... Connected!");
}

/// What the runner's own terminal says of a model's lost connection, followers say too.
#[test]
fn a_retried_request_is_told_as_a_lost_connection() {
    let sandbox = project();
    let runner = runner(&sandbox, &[]);
    let person = follower(&sandbox, &[]);
    raw(&sandbox)
        .execute(
            "INSERT INTO stream_events (stream_id, number, at, kind, payload)
             SELECT stream_id, max(number) + 1, max(at), 'request.retrying',
                '{\"attempt\":2,\"max\":3,\"delayMs\":500,\"kind\":\"transport\",\"message\":\"refused\"}'
             FROM stream_events",
            [],
        )
        .unwrap();
    person.until_says("refused\nConnection lost. Reconnecting...\n");
    runner.kill();
    person.finish().exits(1);
}
