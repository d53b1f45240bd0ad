//! SIGUSR1: what each thread waits for, without stopping anything.

use rustix::process::Signal;

use super::{log_file, project};
use crate::support::Sandbox;

/// A plan that is held, and who holds it.
fn held(sandbox: &Sandbox) -> crate::support::Background<'_> {
    let holder = sandbox
        .plandex(["exec", "--plan", "a", "--", "cat"])
        .held_stdin()
        .start();
    sandbox.until_queue("it is held", |line| !line.is_empty());
    holder
}

#[test]
fn a_waiter_says_what_its_threads_wait_for_and_waits_on() {
    let sandbox = project();
    let holder = held(&sandbox);
    let args = ["exec", "--plan", "a", "--wait", "forever", "--", "true"];
    let waiter = sandbox.plandex(args).start();
    sandbox.until_queue("both are in line", |line| line.len() == 2);
    // Asked again and again: at one of them every thread stands where it will stand.
    let report = sandbox.until("all its threads say what they wait for", || {
        waiter.signal(Signal::USR1);
        let said = waiter.stderr();
        let whole = [
            " main: waits for its operation, ",
            " worker 1: waits for ticket 2 in its line, ",
            " heartbeat: waits for its next beat, or the owner's doorbell, ",
            " signals: prints this",
        ];
        whole
            .iter()
            .all(|words| said.contains(words))
            .then_some(said)
    });
    assert!(
        report.contains(&format!("plandex pid {}: ", waiter.pid())),
        "{report}"
    );
    holder.finish().ok();
    waiter.finish().ok();
}

#[test]
fn a_tell_and_a_batch_say_it_into_the_log_file() {
    let sandbox = project();
    let run = sandbox
        .plandex(["tell", "x", "--plan", "a", "--reply", "-"])
        .held_stdin();
    let run = run.env("PLANDEX_LOG_FILE", log_file(&sandbox));
    let mut tell = run.env("PLANDEX_LOG", "queue").start();
    sandbox.until_queue("the tell runs", |line| !line.is_empty());
    sandbox.until("it says so", || {
        tell.signal(Signal::USR1);
        let log = std::fs::read_to_string(log_file(&sandbox)).unwrap_or_default();
        let waits = [
            " reply: waits for more of the reply, ",
            " worker 1: waits for more of the reply, ",
        ];
        waits.iter().all(|words| log.contains(words)).then_some(())
    });
    assert!(!tell.stderr().contains("waits for"), "{}", tell.stderr());
    tell.say("n.txt\n```\nx\n```\n");
    tell.finish().ok();

    let batch = sandbox
        .plandex(["batch", "-"])
        .stdin("exec --plan b -- sleep 1000\n")
        .start();
    // By then it can be asked: before that, a signal ends it as it ends any program.
    sandbox.until_queue("the line runs", |line| !line.is_empty());
    sandbox.until("the batch says so", || {
        batch.signal(Signal::USR1);
        let said = batch.stderr();
        let waits = [
            " main: waits for the end of a line, ",
            " line 1: waits for its operation, ",
        ];
        waits.iter().all(|words| said.contains(words)).then_some(())
    });
    batch.signal(Signal::TERM);
    batch.finish().exits(143);
}

/// A command that takes no ticket has nobody to answer; it lives all the same.
#[test]
fn a_command_that_only_looks_survives_it() {
    let sandbox = project();
    // The pipe keeps it inside: it blocks when the pipe is full, or is through already.
    let script =
        "\"$0\" batch - & pid=$!; sleep 0.2; kill -USR1 $pid; kill -TERM $pid; wait $pid; echo $?";
    let tool = env!("CARGO_BIN_EXE_plandex");
    let outcome = sandbox
        .program("sh", ["-c", script, tool])
        .held_stdin()
        .finish()
        .ok();
    assert!(!outcome.stdout.contains("138"), "{outcome}");
}

/// What is started inherits the default, not our handler: SIGUSR1 ends it, as it ends any program.
#[test]
fn a_command_that_is_run_is_not_protected_from_it() {
    let sandbox = project();
    let outcome = sandbox.run(&[
        "exec",
        "--plan",
        "a",
        "--",
        "sh",
        "-c",
        "kill -USR1 $$; echo lives",
    ]);
    let outcome = outcome.exits(128 + 10);
    assert_eq!(outcome.stdout, "");
}
